"""Two of a kind at once, one of them without its lock: each purchase is minted once, each block mirrored once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from contracts.deployment import Deployment
from contracts.rpc import Rpc
from exchange.relayer import run
from exchange.relayer.lane import Chain
from exchange.relayer.metrics import make_metrics
from exchange.relayer.run import Relayer, relay
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.store import Deployed
from tests.faults.oracle import require_exactly_once
from tests.faults.processes import Postgres
from tests.faults.world import LANES, MASTER, OPERATOR, World, living

pytestmark = pytest.mark.asyncio

ROUNDS = 12
MEETING = 120.0
"""Seconds until two indexers have met at a block."""


@asynccontextmanager
async def unlocked(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """One more relayer, in this process, whose lanes wait for no advisory lock."""

    async def locked(*_: object) -> bool:
        return True

    monkeypatch.setattr(run, "_locked", locked)
    found = world.deployment
    async with Rpc(world.node.anvil.url) as rpc:
        relayer = Relayer(
            database_url=world.postgres.url,
            rpc=rpc,
            chain=Chain(found.chain_id, found.bundle, 10**12, 16, 3),
            exchange=found.exchange,
            master=MASTER,
            operator_key=OPERATOR,
            relayer_keys=LANES,
            metrics=make_metrics(CollectorRegistry()),
            log=structlog.get_logger(),
            tick=0.03,
            linger=0.03,
        )
        work = asyncio.create_task(relay(relayer))
        try:
            yield
            assert not work.done(), work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def test_of_two_relayers_one_without_its_lock_mint_each_purchase_once(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with living(tmp_path, postgres, contracts, seed=4, lanes=2) as world, unlocked(world, monkeypatch):
        for _ in range(ROUNDS):
            shop = world.chance.choice(world.shops)
            await world.sell_many(shop, 40)
            await world.sell(shop)
        await world.refund_one(shop)
        assert await require_exactly_once(world) == ROUNDS * 41
        both = await world.rows("select distinct pid from pg_locks where locktype = 'advisory' and granted")
        assert len(both) >= 2, "the process held its lanes' locks, and the other worked all the same"


async def test_of_two_indexers_each_block_is_written_by_one(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    async with living(tmp_path, postgres, contracts, seed=5) as world, Rpc(world.node.anvil.url) as rpc:
        found, metrics = world.deployment, Metrics()
        deployed = Deployed(found.chain_id, found.factory, found.exchange, found.first_block)
        work = asyncio.create_task(
            follow(database_url=postgres.url, rpc=rpc, deployed=deployed, metrics=metrics, poll=0.02)
        )
        try:
            turn, raced, theirs = 0, 0.0, world.programs["indexer-1"].log
            deadline = time.monotonic() + MEETING
            while turn < ROUNDS or (not raced and time.monotonic() < deadline):
                await world.sell_many(world.shops[0], 30)
                if turn % 4 == 3:
                    await world.node.reorganise(3)
                await world.node.mine()
                await asyncio.sleep(0.1)
                turn += 1
                raced = metrics.retries.labels("Raced")._value.get() + theirs.read_text().count("Raced")
            assert await require_exactly_once(world) == turn * 30
            assert not work.done(), work.result()
            ours = metrics.logs._value.get()
            print(f"met {raced:.0f} times; one of the two wrote {ours:.0f} logs")  # noqa: T201
            assert raced > 0
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
