"""Whatever a node lies about is found, by the right check and in the right place; and who does not lie is believed."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from scripts.audit import chain, report
from scripts.audit.endpoint import Endpoint
from scripts.audit.evidence import Node
from scripts.audit.options import Options, Step
from scripts.audit.record import Record
from scripts.audit.report import Found
from scripts.audit.run import audit
from tests.audit.lies import KINDS, Heard, Liar, Lie, draw, hashed, name
from tests.audit.market import opened
from tests.conftest import Anvil, free_port

N = int(os.environ.get("N", len(KINDS)))
SEED = os.environ.get("SEED") or secrets.token_hex(4)
BLOCKS = 80


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Options, str]]:
    """A market that has traded, up to the newest block; the URL of its node."""
    node = Anvil(free_port(), history=True)
    node.start()
    try:
        yield asyncio.run(traded(node, tmp_path_factory.mktemp("market"))), node.url
    finally:
        node.kill()


async def traded(node: Anvil, folder: Path) -> Options:
    async with opened(node, folder, seed=SEED) as market:
        await market.trade(BLOCKS)
        return await market.options()


def quiet(_: Step) -> None:
    pass


async def judged(options: Options, nodes: Sequence[Node]) -> tuple[int, list[Found]]:
    """The exit code and what was found, as the command would have it."""
    try:
        record: Record = await audit(options, nodes, quiet)
    except chain.NoAnchor:
        return 2, []
    made = report.of(record)
    return made.exit_code, [*made.findings, *made.doubts]


def is_found(lie: Lie, code: int, found: list[Found], blocks: frozenset[int]) -> bool:
    """By the right check, in the right place."""
    if code == 0 or (not found and not lie.blocks & blocks):
        return False
    return not found or any(
        each.check in lie.checks
        and (not lie.blocks or each.place.get("block") in lie.blocks)
        and (not lie.words or any(word in f"{each.message} {each.place}" for word in lie.words))
        for each in found
    )


def test_whatever_a_node_lies_about_is_found_by_the_right_check_in_the_right_place(asked: tuple[Options, str]) -> None:
    asyncio.run(tell_lies(*asked))


async def tell_lies(options: Options, url: str) -> None:
    print(f"SEED={SEED} N={N}")  # noqa: T201
    begun = time.process_time()
    chance = random.Random(SEED)
    kinds = list(KINDS)
    caught: Counter[str] = Counter()
    missed: list[object] = []
    async with Endpoint(url) as node:
        heard = Heard(node)
        code, found = await judged(options, [heard])
        assert code == 0, "\n".join(map(str, found))
        trusted = frozenset({max(number for number in numbers(heard))})
        for turn in range(N):
            kind = kinds[turn % len(kinds)]
            lie = draw(chance, heard, kind)
            liar = Liar(heard, lie)
            code, found = await judged(options, [liar])
            assert liar.told, f"{kind}: nobody heard it"
            if is_found(lie, code, found, trusted):
                caught[kind] += 1
            else:
                missed.append((kind, code, sorted(lie.blocks), lie.words, found[:3]))
    print(f"{N} lies of {len(caught)} kinds, {sum(caught.values())} found; {time.process_time() - begun:.1f} s of CPU")  # noqa: T201
    assert missed == []


def numbers(heard: Heard) -> list[int]:
    return [int(answer["number"], 16) for _, answer in heard.of("eth_getBlockByNumber")]


def test_nodes_that_do_not_agree_on_the_final_block_are_not_chosen_between(asked: tuple[Options, str]) -> None:
    asyncio.run(disagree(*asked))


async def disagree(options: Options, url: str) -> None:
    final = msgspec.structs.replace(options, block=None)
    async with Endpoint(url) as node:
        honest, other = Heard(node), Heard(node)
        await chain.anchor([honest, other], None)
        finalized, numbered = other.said.values()
        forged = hashed({**numbered[1], "stateRoot": "0x" + "ab" * 32})
        for said in ({name(numbered[0]): forged}, {name(numbered[0]): None}, {name(finalized[0]): None}):
            liar = Liar(other, Lie("of the final block", dict(said), frozenset()))
            with pytest.raises(chain.NoAnchor):
                await audit(final, [honest, liar], quiet)
            assert liar.told
