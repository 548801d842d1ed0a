"""A watch goes on with what it has, tells a lie once, and begins anew when it may have believed one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from contracts.errors import Unavailable
from contracts.rpc import Call
from scripts.audit.endpoint import Endpoint
from scripts.audit.options import Options
from scripts.audit.watch import Watch
from tests.audit.lies import hashed
from tests.audit.market import Market, opened
from tests.conftest import Anvil

pytestmark = pytest.mark.asyncio

FINAL = 4


@dataclass
class Changing:
    """A node whose answers pass through `change`."""

    node: Endpoint
    change: Callable[[Call, Any], Any] = lambda _, answer: answer
    asked: list[Call] = field(default_factory=list)

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        self.asked += calls
        answers = await self.node.ask(calls)
        changed = [self.change(call, msgspec.json.decode(answer)) for call, answer in zip(calls, answers, strict=True)]
        return [msgspec.Raw(msgspec.json.encode(answer)) for answer in changed]


@dataclass
class Watched:
    market: Market
    node: Changing
    watch: Watch
    lines: list[dict[str, Any]]

    async def round(self, blocks: int = 3) -> list[str]:
        """Some blocks, a look at them; the kinds of what is told."""
        await self.market.trade(blocks)
        self.lines.clear()
        self.node.asked.clear()
        await self.watch.round()
        return [line["kind"] for line in self.lines]


@pytest_asyncio.fixture
async def watched(new_anvil: Callable[..., Anvil], tmp_path: Path) -> AsyncIterator[Watched]:
    """After its first round."""
    node = new_anvil("--slots-in-an-epoch", str(FINAL // 2), history=True)
    async with opened(node, tmp_path, seed="watch") as market, Endpoint(node.url, waits=()) as endpoint:
        await market.trade(15)
        lines: list[dict[str, Any]] = []
        changing = Changing(endpoint)
        options = Options(deployment=market.network.deployment)
        watched = Watched(market, changing, Watch(options, [changing], lambda _: None, lines.append), lines)
        assert await watched.round() == ["audited"]
        yield watched


def blocks_asked(watched: Watched) -> set[str]:
    return {str(call[1][0]) for call in watched.node.asked if call[0] == "eth_getBlockByNumber"}


async def test_only_what_is_new_is_asked_for(watched: Watched) -> None:
    before = watched.watch.audit.next
    assert await watched.round(3) == ["audited"]
    assert blocks_asked(watched) == {"finalized", *(hex(before + n) for n in range(3))}
    assert await watched.round(0) == []
    assert blocks_asked(watched) == {"finalized", hex(before + 2)}


async def test_a_lie_is_told_once_and_the_audit_begins_anew_from_an_honest_answer(watched: Watched) -> None:
    def forge(call: Call, answer: Any) -> Any:
        if call[0] == "eth_getBlockByNumber" and call[1][0] == hex(watched.watch.audit.next):
            return hashed({**answer, "stateRoot": "0x" + "ab" * 32})
        return answer

    watched.node.change = forge
    assert await watched.round() == ["contradiction", "audited"]
    assert watched.lines[0]["check"] == "history"
    assert watched.watch.alarmed
    watched.node.change = lambda _, answer: answer
    assert await watched.round() == ["audited"]
    assert hex(watched.market.network.deployment.first_block) in blocks_asked(watched)
    assert await watched.round() == ["audited"]
    assert len(blocks_asked(watched)) == 1 + 3


async def test_a_final_block_that_becomes_another_one_is_an_alarm(watched: Watched) -> None:
    def replace(call: Call, answer: Any) -> Any:
        return hashed({**answer, "mixHash": "0x" + "cd" * 32}) if call[0] == "eth_getBlockByNumber" else answer

    watched.node.change = replace
    kinds = await watched.round(0)
    assert kinds[0] == "contradiction"
    assert "was final as" in watched.lines[0]["message"]


async def test_a_node_that_is_away_or_behind_is_waited_for(watched: Watched) -> None:
    def fail(_call: Call, _answer: Any) -> Any:
        raise Unavailable("connection refused")

    watched.node.change = fail
    assert await watched.round() == ["unreachable"]
    older = await watched.market.network.rpc.call("eth_getBlockByNumber", "0x5", False)
    watched.node.change = lambda call, answer: older if call[1][0] == "finalized" else answer
    assert await watched.round() == []
    watched.node.change = lambda _, answer: answer
    assert await watched.round() == ["audited"]
    assert not watched.watch.alarmed


async def test_an_audit_that_has_lasted_long_begins_anew(watched: Watched) -> None:
    watched.watch.lasting = 0.0
    assert await watched.round() == ["audited"]
    assert hex(watched.market.network.deployment.first_block) in blocks_asked(watched)
