"""Every named crash point: a real process dies there, is started again, and every purchase is minted exactly once."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError

from contracts import bindings, crash, eip712, signatures
from contracts.crash import POINTS, Point
from contracts.deployment import Deployment
from contracts.rpc import to_hex
from exchange.settings import Settings
from indexer.settings import Settings as IndexerSettings
from tests.conftest import ROOT
from tests.faults.chaos import REPLACED, Chaos
from tests.faults.oracle import require_exactly_once
from tests.faults.processes import Postgres
from tests.faults.world import LANES, World, address, living

DEADLINE = 240.0
WEEK = 7 * 86_400

PROGRAMS = {
    "gateway": "gateway-1", "batching": "relayer-1", "refunding": "relayer-1", "withdrawing": "relayer-1",
    "lane": "relayer-1", "indexer": "indexer-1", "notifier": "notifier",
}  # fmt: skip


def test_every_point_in_the_code_is_listed_and_every_listed_one_is_in_the_code() -> None:
    found = {
        name
        for package in ("contracts", "exchange", "indexer")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "node_modules" not in path.parts
        for name in re.findall(r'crash\.point\("([^"]+)"\)', path.read_text())
    }
    assert found == set(POINTS)


def test_production_refuses_to_crash_on_purpose(tmp_path: Path) -> None:
    wanted = {"database_url": "postgresql://", "deployment": tmp_path, "crash_at": POINTS[0]}
    secrets = {"master_key": "ab" * 32, "pepper": "its-own", "operator_api_key": "its-own"}
    for settings in (Settings, IndexerSettings):
        with pytest.raises(ValidationError, match="does not crash on purpose"):
            settings(**{**wanted, **secrets, "environment": "production"})  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="no crash point"):
            settings(**{**wanted, "crash_at": "gateway: over lunch"})  # type: ignore[arg-type]
        assert settings(**wanted).crash_at == POINTS[0]  # type: ignore[arg-type]


def test_a_point_that_nobody_armed_does_nothing_and_an_armed_one_counts() -> None:
    crash.point("lane: signed, not sent")
    crash.arm("lane: signed, not sent#3")
    try:
        for _ in range(2):
            crash.point("lane: signed, not sent")
            crash.point("indexer: committed")
        pid = os.fork()
        if pid == 0:
            crash.point("lane: signed, not sent")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    finally:
        crash.arm(None)


# --- what makes a process pass by

Stimulus = Callable[[World], Awaitable[None]]


async def _lose_blocks(world: World) -> None:
    await asyncio.sleep(1.0)
    await world.node.reorganise(4)


async def _raise_the_base_fee(world: World) -> None:
    """Above what a pending transaction of ours offers, until the relayer has outbid it."""
    world.node.ticking = False
    await _something_pending(world)
    died = world.programs["relayer-1"].kills.total()
    for _ in range(20):
        await world.node.mine(base_fee=60 * 10**9)
        await asyncio.sleep(0.4)
        if world.programs["relayer-1"].kills.total() > died:
            break
    await world.node.mine(base_fee=10**9)
    world.node.ticking = True


async def _something_pending(world: World) -> None:
    lane = to_hex(address(LANES[0]))

    async def pending() -> bool:
        counts = [await world.node.ask("eth_getTransactionCount", lane, block) for block in ("latest", "pending")]
        return int(counts[0], 16) < int(counts[1], 16)

    await world.until(pending, seconds=30, what="the relayer has sent something")


async def _ask_the_impossible(world: World) -> None:
    """An intent that has expired already, past the gateway's door."""
    key, shop = signatures.new_key(), world.shops[0]
    fields = {"holder": signatures.address_of(key), "to": b"\x77" * 20, "amount": 5, "nonce": 1, "deadline": 1}
    digest = eip712.send_digest(eip712.domain_separator(31337, shop.programme), **fields)  # type: ignore[arg-type]
    data = bindings.points_send(**fields, signature=signatures.sign(key, digest))  # type: ignore[arg-type]
    await world.rows(
        "insert into exchange.call (kind, target, data, gas) values ('send', %s, %s, 150000) returning id",
        shop.programme, data,
    )  # fmt: skip


async def _let_finality_move_alone(world: World) -> None:
    """A node that hears of finality after it has heard of the block, as real ones do."""
    world.node.ticking = False
    head = int(await world.node.ask("eth_blockNumber"), 16)
    world.proxy.finality = head - 20
    await world.node.mine()
    await asyncio.sleep(0.7)
    world.proxy.finality = None
    await asyncio.sleep(0.7)
    world.node.ticking = True


async def _steal_a_nonce(world: World) -> None:
    """A pending transaction of ours is replaced by somebody else's, and that one becomes final."""
    world.node.ticking = False
    await _something_pending(world)
    await Chaos(world, LANES[:1], world.chance, (REPLACED,), pause=0.0).do(REPLACED)
    died = world.programs["relayer-1"].kills.total()
    for _ in range(60):
        await world.node.mine()
        await asyncio.sleep(0.2)
        if world.programs["relayer-1"].kills.total() > died:
            break
    world.node.ticking = True


async def _withdraw(world: World) -> None:
    """Announced once; the notice of a week is over at once."""
    shop = world.shops[-1]

    async def there() -> bool:
        return bool(await world.rows("select 1 from mirror.programme where address = %s", shop.programme))

    await world.until(there, seconds=30, what="the programme is back after the blocks that were lost")
    body = {"amount": "5", "to": "0x" + "99" * 20}
    await world.post(f"/v1/merchants/{shop.id}/withdrawals", body, key=shop.key, once="withdraw")

    async def announced() -> bool:
        margin = await world.get(f"/v1/merchants/{shop.id}/margin", key=shop.key)
        return bool(margin["withdrawals"][0]["status"] == "announced")

    if await world.rows("select 1 from exchange.withdrawal where completion_id is null"):
        await world.until(announced, seconds=30, what="the withdrawal is announced")
        await world.node.ask("evm_increaseTime", WEEK + 60)


async def _drop_the_mirror(world: World) -> None:
    async with await psycopg.AsyncConnection.connect(world.postgres.url, autocommit=True) as sql:
        await sql.execute("drop schema if exists mirror cascade")
    await asyncio.sleep(1.0)


STIMULI: dict[Point, Stimulus] = {
    "lane: left the chain, not recorded": _lose_blocks,
    "indexer: rolled back, not committed": _lose_blocks,
    "indexer: rolled back": _lose_blocks,
    "lane: replacement signed, not stored": _raise_the_base_fee,
    "lane: replacement stored, not sent": _raise_the_base_fee,
    "lane: refused, not recorded": _ask_the_impossible,
    "lane: lost, not recorded": _steal_a_nonce,
    "indexer: final, not stored": _let_finality_move_alone,
    "indexer: built, not committed": _drop_the_mirror,
    "indexer: switched, not committed": _drop_the_mirror,
    "withdrawing: due, completion not queued": _withdraw,
    "withdrawing: completion queued": _withdraw,
}
"""Beside them purchases, bulks and refunds come in all the time, and blocks become final."""


async def _trade(world: World, enough: asyncio.Event) -> None:
    while not enough.is_set():
        shop = world.chance.choice(world.shops)
        await world.sell_many(shop, 7)
        await world.sell(shop)
        await world.refund_one(shop)
        await asyncio.sleep(0.05)


def _arm(world: World) -> dict[str, list[Point]]:
    """Each program is to die at its points one after another. What each still has before it."""
    ahead: dict[str, list[Point]] = {}
    for point in POINTS:
        ahead.setdefault(PROGRAMS[point.partition(":")[0]], []).append(point)
    for name, points in ahead.items():
        program = world.programs[name]

        def arm(points: list[Point] = points, name: str = name) -> str | None:
            while points and world.programs[name].kills[points[0]]:
                del points[0]
            return points[0] if points else None

        program.arm = arm
    return ahead


async def _die_everywhere(world: World) -> None:
    ahead = _arm(world)
    for name in ahead:
        world.programs[name].kill()  # the next life is armed
    deadline = time.monotonic() + DEADLINE
    while any(ahead.values()):
        world.require_alive()
        assert time.monotonic() < deadline, f"never reached: {ahead}\n{await world.shown()}"
        for point in {points[0] for points in ahead.values() if points}:
            if point in STIMULI:
                await STIMULI[point](world)
        await asyncio.sleep(0.2)


@pytest.mark.asyncio
async def test_a_process_that_dies_at_any_point_loses_nothing_and_repeats_nothing(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    async with living(tmp_path, postgres, contracts, seed=1) as world:
        enough = asyncio.Event()
        trading = asyncio.create_task(_trade(world, enough))
        try:
            await _die_everywhere(world)
        finally:
            enough.set()
            await trading
        minted = await require_exactly_once(world)
        died = {name: dict(program.kills) for name, program in world.programs.items()}
        print(f"{minted} purchases, each minted once; died at: {died}")  # noqa: T201
        assert {point for kills in died.values() for point in kills} >= set(POINTS)
