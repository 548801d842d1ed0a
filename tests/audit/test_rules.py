"""What the auditor makes of histories: of the contracts' own it doubts none, and none that was tampered with passes."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from contracts import bindings
from scripts.audit import words
from scripts.audit.evidence import Block, Log
from scripts.audit.ledger import Ledger
from tests.audit.lives import Life, Lives

SEED = os.environ.get("SEED", "1")
LIVES = int(os.environ.get("LIVES", 3))
STEPS = 150
CHANGES = int(os.environ.get("CHANGES", 500))

UNTOLD: dict[type[bindings.Event], set[str]] = {
    bindings.Sent: {"intent"},
    bindings.Redeemed: {"intent", "order"},
    bindings.Swapped: {"intent"},
    bindings.Given: {"intent"},
    bindings.ClawedBack: {"purchase"},
    bindings.Approval: {"spender", "value"},
    bindings.NonceCancelled: {"nonce"},
    bindings.CharityRegistered: {"name"},
    bindings.ProgrammeCreated: {"owner", "issuer", "name", "symbol", "verified_above"},
}
"""What no other event repeats, and no word of storage that is looked at. A token's code tells its names and roles, and
receipts tell purchases; intents, orders, spenders, nonces and names of charities are only said in a proved log."""

SILENT = {bindings.Approval, bindings.NonceCancelled, bindings.Sent}
"""These leave nothing but a day and a nonce: without `Sent` a transfer was made by the holder's own transaction."""

TERMS = {
    *(bindings.GuardianSet, bindings.FeeSet, bindings.PauseSet, bindings.SponsorNamed, bindings.LimitsSet),
    *(bindings.MatchSet, bindings.PayoutSet, bindings.WithdrawalAnnounced, bindings.Quoted),
    *(bindings.RecoveryStarted, bindings.PartnerSet, bindings.OwnershipTransferred, bindings.LifeExtended),
}
"""Of these only the last leaves something, unless somebody acted on an earlier one; one said twice changes nothing."""

NETWORK_WIDE = {bindings.GuardianSet, bindings.FeeSet, bindings.PauseSet, bindings.OwnershipTransferred}


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    with Lives.on_a_node() as lives:
        yield lives


@pytest.fixture(scope="module")
def lived(lives: Lives) -> list[Life]:
    print(f"SEED={SEED} LIVES={LIVES} CHANGES={CHANGES}")  # noqa: T201
    return [lives.live(f"{SEED}/{number}", STEPS) for number in range(LIVES)]


def test_whatever_the_contracts_do_is_found_right_and_is_what_storage_says(lives: Lives) -> None:
    seen: set[str] = set()
    for number in range(LIVES):
        ledger = lives.live(f"{SEED}/right/{number}", STEPS).judged()
        assert (ledger.record.findings, ledger.record.doubts) == ([], [])
        for word in words.expected(ledger):
            found = lives.chain.storage(word.contract, word.slot)
            assert not word.contradicts(found), (word.what, hex(found), hex(word.value), word.days)
        seen |= {check for check, tally in ledger.record.tallies.items() if tally.proved}
    assert seen >= {"supply", "batches", "issuance", "swaps", "margins", "gifts", "refunds", "terms"}


def test_a_history_that_was_changed_anywhere_contradicts_a_rule_or_storage(lived: list[Life]) -> None:
    drawn = random.Random(SEED)
    told: Counter[str] = Counter()
    right = [_words(life.judged()) for life in lived]
    for _ in range(CHANGES):
        number = drawn.randrange(len(lived))
        life = lived[number]
        kind = drawn.choice(KINDS)
        what, blocks = _changed(life, kind, drawn)
        ledger = life.judged(blocks)
        if ledger.record.findings:
            told[f"{kind}: by a rule"] += 1
        else:
            told[f"{kind}: by storage"] += 1
            assert _words(ledger) != right[number], what
    for what, times in sorted(told.items()):
        print(f"{times:6} {what}")  # noqa: T201
    assert {kind for kind in KINDS if told[f"{kind}: by a rule"]} == set(KINDS)


def _words(ledger: Ledger) -> dict[tuple[bytes, int], tuple[Any, ...]]:
    """What storage must be; a word of zero is one that need not be there."""
    expected = [word for word in words.expected(ledger) if word.value or word.days not in (None, (0, 0))]
    found: dict[tuple[bytes, int], tuple[Any, ...]] = {
        (word.contract, word.slot): (word.value, word.mask, word.days) for word in expected
    }
    return found | {(ledger.network.settlement, 0): (ledger.market.held,)}


KINDS = ("a word changed", "a log lost", "a log twice", "two logs in each other's place")


def _changed(life: Life, kind: str, drawn: random.Random) -> tuple[str, list[Block]]:
    """The blocks with one change of a kind, and what it is."""
    blocks, ours = life.blocks, {life.network.exchange, life.network.factory, *life.limits}
    while True:
        place = drawn.randrange(len(blocks))
        block = blocks[place]
        [transaction] = block.transactions
        logs = list(transaction.logs)
        at = drawn.randrange(len(logs))
        log = logs[at]
        later = [log for block in blocks[place + 1 :] for told in block.transactions for log in told.logs]
        if log.address not in ours or _leaves_nothing(log, kind, [*logs[at + 1 :], *later]):
            continue
        match kind:
            case "a word changed":
                other = _with_a_word_changed(log, drawn)
                if other is None:
                    continue
                logs[at] = other
            case "a log lost":
                del logs[at]
            case "a log twice":
                logs.insert(at, log)
            case _:
                if at + 1 == len(logs) or logs[at + 1].topics[0] == log.topics[0] or _are_unordered(log, logs[at + 1]):
                    continue
                logs[at : at + 2] = [logs[at + 1], log]
        told = [Log(number, log.address, log.topics, log.data) for number, log in enumerate(logs)]
        transaction = msgspec.structs.replace(transaction, logs=told)
        changed = msgspec.structs.replace(block, transactions=[transaction])
        return f"{kind}: {log}", [*blocks[:place], changed, *blocks[place + 1 :]]


def _are_unordered(one: Log, two: Log) -> bool:
    """Whether nothing hangs on which of the two comes first: something does between an event and its transfer."""
    topics = {one.topics[0], two.topics[0]}
    anywhere = {bindings.RECOVERY_CANCELLED_TOPIC, bindings.APPROVAL_TOPIC}
    return bindings.TRANSFER_TOPIC not in topics or bool(topics & anywhere)


def _with_a_word_changed(log: Log, drawn: random.Random) -> Log | None:
    """None if nothing can tell that word's change."""
    topics, data = list(log.topics), bytearray(log.data)
    place = drawn.randrange(1, len(topics) + len(data) // 32)
    if place < len(topics):
        topics[place] = _other(topics[place], drawn)
    else:
        start = 32 * (place - len(topics))
        data[start : start + 32] = _other(bytes(data[start : start + 32]), drawn)
    changed = Log(log.index, log.address, topics, bytes(data))
    kind = bindings.EVENTS[topics[0]]
    one, two = kind.from_log(log.topics, log.data), kind.from_log(topics, bytes(data))
    fields = {name for name in kind.__struct_fields__ if getattr(one, name) != getattr(two, name)}
    return changed if fields - UNTOLD.get(kind, set()) else None


def _other(word: bytes, drawn: random.Random) -> bytes:
    number = int.from_bytes(word)
    return ((number + drawn.choice((-1, 1))) % 2**256 or 2).to_bytes(32)


def _leaves_nothing(log: Log, kind: str, later: list[Log]) -> bool:
    """Whether the state at the end, which is all that storage tells, may be the same with the change as without."""
    event = bindings.EVENTS[log.topics[0]]
    if event is bindings.Transfer and log.topics[1] == log.topics[2]:
        return True  # to itself
    if event in SILENT:
        return kind != "a word changed"
    if event in (bindings.Transfer, bindings.PauseSet, bindings.OwnershipTransferred) and not any(log.data):
        return kind != "a word changed"  # of nothing, of what was not paused, or from the owner to itself
    if event not in TERMS:
        return False
    if kind != "a word changed":
        return True  # it may have said what was in force
    subject = slice(0, 1) if event in NETWORK_WIDE else slice(1, 2)
    return any((other.address, other.topics[subject]) == (log.address, log.topics[subject]) for other in later)
