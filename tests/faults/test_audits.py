"""Audits of a network at work: whatever is under way, and whatever a reorganisation undoes, none of them alarms."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from scripts.audit import report
from scripts.audit.endpoint import Endpoint
from scripts.audit.options import Options, Step
from scripts.audit.record import Record
from scripts.audit.run import audit
from tests.faults.processes import Postgres
from tests.faults.world import World, living

N = int(os.environ.get("N", 3))
LIFE = 20
"""Audits of one network: each is of all that was before."""
SEED = int(os.environ.get("SEED") or 20261122)
SLOTS = 4
"""A block is final once twice as many are above it."""

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("life", range(-(-N // LIFE)))
async def test_no_audit_of_a_network_at_work_raises_an_alarm(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path], life: int
) -> None:
    many = min(LIFE, N - life * LIFE)
    print(f"SEED={SEED} N={N}: {many} audits of network {life}")  # noqa: T201
    async with living(tmp_path, postgres, contracts, seed=SEED + life, slots=SLOTS) as world:
        works = [asyncio.create_task(work) for work in (_trade(world), _reorganise(world))]
        try:
            await world.until(lambda: _has_final_batches(world), seconds=120, what="a final batch")
            audited = [await _audit(world) for _ in range(many)]
        finally:
            for work in works:
                work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*works)
    blocks = [anchor for anchor, _ in audited]
    facts = [sum(tally.proved for tally in record.tallies.values()) for _, record in audited]
    print(f"{many} audits of blocks {blocks[0]} to {blocks[-1]}, {facts[0]:,} to {facts[-1]:,} facts each")  # noqa: T201
    assert facts == sorted(facts)
    assert blocks[-1] > blocks[0]
    assert min(audited[-1][1].tallies[check].proved for check in ("batches", "state", "mirror")) > 0


async def _has_final_batches(world: World) -> bool:
    [(final,)] = await world.rows("select count(*) from mirror.batch b, mirror.cursor c where b.block <= c.finalized")
    return bool(final)


async def _audit(world: World) -> tuple[int, Record]:
    begun = time.monotonic()
    async with Endpoint(world.node.anvil.url) as node:
        options = Options(deployment=world.deployment, database=world.postgres.url)
        record = await audit(options, [node], _quiet)
    made = report.of(record)
    assert made.exit_code == 0, [*made.findings, *made.doubts]
    # Not all at one block.
    await asyncio.sleep(max(0.0, 2 * world.node.block_seconds - (time.monotonic() - begun)))
    return int(made.inputs["anchor"]["number"]), record


def _quiet(_: Step) -> None:
    pass


async def _trade(world: World) -> None:
    while True:
        for shop in world.shops:
            await asyncio.gather(*(world.sell(shop) for _ in range(5)))
            await world.sell_many(shop, 20)
            await world.refund_one(shop)


async def _reorganise(world: World) -> None:
    while True:
        await asyncio.sleep(world.chance.uniform(1.0, 4.0))
        await world.node.reorganise(world.chance.randint(1, SLOTS))
