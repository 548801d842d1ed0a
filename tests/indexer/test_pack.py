"""The fast way to the same rows: what is packed is what `project` says, and what it refuses is refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from indexer import pack, project
from indexer.blocks import Block, Log
from indexer.errors import Inconsistent, Unprojectable
from indexer.pack import Lines
from indexer.project import Known
from indexer.source import Answer
from tests.indexer import chain as made
from tests.indexer.chain import (
    BOTH,
    NOBODY,
    NOTHING_KNOWN,
    A,
    B,
    Chain,
    Emitted,
    address,
    created,
    expired,
    fee_set,
    given,
    minted,
    redeemed,
    sent,
    swapped,
    transfer,
)

HOLDERS = [address(f"holder {number}") for number in range(6)]
ANN, BOB, CHARITY = HOLDERS[0], HOLDERS[1], address("charity")


def told(log: Log) -> dict[str, Any]:
    """A log as a node tells of it."""
    return {
        "address": f"0x{log.address.hex()}",
        "topics": [f"0x{topic.hex()}" for topic in log.topics],
        "data": f"0x{log.data.hex()}",
        "blockHash": f"0x{log.block_hash.hex()}",
        "blockNumber": hex(log.block),
        "blockTimestamp": "0x1",
        "transactionHash": f"0x{log.transaction.hex()}",
        "transactionIndex": hex(log.transaction_index),
        "logIndex": hex(log.index),
        "removed": False,
    }


Change = Callable[[list[dict[str, Any]]], None]


def answer(chain: Chain, known: Known, change: Change | None = None) -> Answer:
    logs = [told(log) for stretch in chain.stretches for log in stretch.logs]
    if change is not None:
        change(logs)
    blocks: list[Block] = [stretch.first for stretch in chain.stretches]
    return Answer(blocks, msgspec.json.encode(logs), known.programmes, frozenset(block.number for block in blocks))


def rows(lines: Lines) -> dict[str, list[str]]:
    return {table: sorted(text.splitlines()) for table, text in lines.items() if text}


def require_equal(chain: Chain, known: Known) -> None:
    logs = [log for stretch in chain.stretches for log in stretch.logs]
    slow, after = project.project(logs, known)
    fast = pack.pack(answer(chain, known), known)
    assert rows(fast.lines) == rows(pack.lines(slow))
    assert (fast.known, fast.logs) == (after, len(logs))
    spoke = {log.block for log in logs}
    assert [block.number for block in fast.silent] == [s.first.number for s in chain.stretches if not s.logs]
    assert not spoke & {block.number for block in fast.silent}


def one(*transactions: Sequence[Emitted]) -> Chain:
    chain = Chain()
    chain.add(*transactions)
    return chain


def test_batches_are_packed_as_they_are_projected() -> None:
    chain = one(
        minted(A, 1, [(ANN, 5), (BOB, 7), (ANN, 2**96 - 1)]),
        [*minted(A, 2, [(ANN, 1)]), *minted(B, 1, [(BOB, 1), (BOB, 2)]), *minted(A, 3, [(ANN, 3)])],
    )
    chain.add()
    chain.add(minted(B, 2, [(ANN, 1)]))
    require_equal(chain, BOTH)


def test_what_stands_between_batches_is_projected() -> None:
    batch = minted(A, 1, [(ANN, 5), (BOB, 7)])
    mixed = [
        *sent(A, ANN, BOB, 1),
        *batch,
        transfer(A, ANN, BOB, 3),
        *minted(B, 1, [(ANN, 9)]),
        *redeemed(A, ANN, 4),
        *swapped(A, B, ANN, amount=9, out=9, value=9, fee=1),
        *given(A, CHARITY, ANN, amount=10, value=6),
    ]
    require_equal(one([fee_set(10, BOB)], mixed, mixed), BOTH)


def test_a_batch_in_whose_midst_points_expire_is_projected() -> None:
    batch = minted(A, 1, [(ANN, 5), (BOB, 7)])
    require_equal(one([batch[0], *expired(A, BOB, 90), *batch[1:]], minted(A, 2, [(ANN, 1)])), BOTH)


def test_a_batch_of_a_programme_that_these_blocks_created_is_not_forgotten() -> None:
    chain = one([created(A)], minted(A, 1, [(ANN, 5)]))
    with pytest.raises(pack.CreatedError) as error:
        pack.pack(answer(chain, NOTHING_KNOWN), NOTHING_KNOWN)
    asked = Known(NOTHING_KNOWN.factory, NOTHING_KNOWN.exchange, error.value.args[0])
    packed = pack.pack(answer(chain, asked), NOTHING_KNOWN)
    assert packed.lines["entry"].count("\n") == 1
    assert packed.known.programmes == {A}


@pytest.mark.parametrize("seed", range(30))
def test_any_history_is_packed_as_it_is_projected(seed: int) -> None:
    chance = random.Random(seed)
    chain, numbers = Chain(str(seed)), {A: 0, B: 0}

    def act() -> list[Emitted]:
        token, holder, other = chance.choice((A, B)), chance.choice(HOLDERS), chance.choice(HOLDERS)
        what = chance.randrange(8)
        if what == 0:
            return sent(token, holder, other, chance.randint(1, 9))
        if what == 1:
            return redeemed(token, holder, 3)
        if what == 2:
            return swapped(A, B, holder, amount=4, out=3, value=4, fee=chance.choice((0, 1)))
        if what == 3:
            return [transfer(token, holder, other, chance.choice((0, 5)))]
        if what == 4:
            return expired(token, holder, 8)
        numbers[token] += 1
        entries = [(chance.choice(HOLDERS), chance.randint(0, 2**90)) for _ in range(chance.randint(1, 12))]
        return minted(token, numbers[token], entries)

    for _ in range(chance.randint(1, 6)):
        chain.add(*[[log for _ in range(chance.randint(1, 4)) for log in act()] for _ in range(chance.randint(0, 4))])
    require_equal(chain, BOTH)


def _other_hash(logs: list[dict[str, Any]]) -> None:
    logs[1]["blockHash"] = "0x" + "11" * 32


def _other_number(logs: list[dict[str, Any]]) -> None:
    logs[1]["blockNumber"] = "0x7"


def _twice(logs: list[dict[str, Any]]) -> None:
    logs.insert(1, logs[0])


def _removed(logs: list[dict[str, Any]]) -> None:
    logs[1]["removed"] = True


def _no_hex_amount(logs: list[dict[str, Any]]) -> None:
    logs[1]["data"] = "0x" + "z" * 64


def _underscored_amount(logs: list[dict[str, Any]]) -> None:
    logs[1]["data"] = "0x" + "0" * 60 + "1_00"


def _no_hex_holder(logs: list[dict[str, Any]]) -> None:
    logs[1]["topics"][2] = "0x" + "0" * 24 + "zz" * 20


def _blank_in_holder(logs: list[dict[str, Any]]) -> None:
    logs[1]["topics"][2] = "0x" + "0" * 24 + "1" * 38 + "  "


def _no_hex_transaction(logs: list[dict[str, Any]]) -> None:
    for log in logs:
        log["transactionHash"] = "0x" + "q" * 64


@pytest.mark.parametrize(
    "change",
    [
        _other_hash, _other_number, _twice, _removed, _no_hex_amount, _underscored_amount, _no_hex_holder,
        _no_hex_transaction,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_an_answer_that_contradicts_itself_is_not_packed(change: Change) -> None:
    chain = one(minted(A, 1, [(ANN, 5), (BOB, 7), (ANN, 1)]))
    with pytest.raises(Inconsistent):
        pack.pack(answer(chain, BOTH, change), BOTH)


@pytest.mark.parametrize(
    "emitted",
    [
        minted(A, 1, [(ANN, 5), (BOB, 7)])[1:],
        [transfer(A, NOBODY, ANN, 5), transfer(A, NOBODY, BOB, 6), minted(A, 1, [(ANN, 5), (BOB, 7)])[-1]],
        [transfer(A, NOBODY, ANN, 5)],
        [transfer(address("stranger"), NOBODY, ANN, 5)],
        [(A, [made.digest("Vanished()")], b"")],
        [(A, [], b"")],
    ],
)
def test_what_project_refuses_is_refused(emitted: list[Emitted]) -> None:
    with pytest.raises(Unprojectable):
        pack.pack(answer(one(emitted), BOTH), BOTH)


def test_an_address_with_blanks_in_it_is_no_address() -> None:
    chain = one(minted(A, 1, [(ANN, 5), (BOB, 7), (ANN, 1)]))
    with pytest.raises((Inconsistent, Unprojectable)):
        pack.pack(answer(chain, BOTH, _blank_in_holder), BOTH)


def test_logs_that_come_in_another_order_are_put_in_theirs() -> None:
    chain = one(minted(A, 1, [(ANN, 5), (BOB, 7)]), sent(A, ANN, BOB, 1))
    turned = pack.pack(answer(chain, BOTH, lambda logs: logs.reverse()), BOTH)
    assert rows(turned.lines) == rows(pack.pack(answer(chain, BOTH), BOTH).lines)


def test_text_that_would_end_a_row_or_a_column_does_not() -> None:
    assert pack.line((1, None, True, False, b"\x00\xff", "a\tb\nc\\d\re", -5)) == (
        "1\t\\N\tt\tf\t\\\\x00ff\ta\\tb\\nc\\\\d\\re\t-5\n"
    )
