"""A database that is killed, restarted, hangs up, and is full, while everything works on it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from tests.faults.oracle import require_exactly_once
from tests.faults.processes import Postgres
from tests.faults.test_proxy import SEED, trade
from tests.faults.world import living

pytestmark = pytest.mark.asyncio

ROUNDS = 3


async def test_whatever_happens_to_the_database_every_purchase_is_minted_once(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    print(f"SEED={SEED}")  # noqa: T201
    chance = random.Random(SEED)
    async with living(tmp_path, postgres, contracts, seed=SEED) as world:
        enough = asyncio.Event()
        trading = asyncio.create_task(trade(world, enough, pause=0.02))
        happened = Counter[str]()
        idle = 0
        try:
            for _ in range(ROUNDS):
                for fault in chance.sample(("kill", "restart", "hang up", "hang up in a transaction", "full"), 5):
                    await asyncio.sleep(0.5 * chance.uniform(0.5, 1.5))
                    match fault:
                        case "kill":
                            await postgres.kill()
                        case "restart":
                            await postgres.restart()
                        case "hang up":
                            assert await postgres.terminate_backends() > 0
                        case "hang up in a transaction":
                            for _ in range(40):
                                idle += await postgres.terminate_backends(idle_in_transaction=True)
                                await asyncio.sleep(0.01)
                        case "full":
                            await postgres.read_only()
                    happened[fault] += 1
                    world.require_alive()
        finally:
            enough.set()
            await trading
        minted = await require_exactly_once(world)
        print(f"{minted} purchases, each minted once, through {dict(happened)}; {idle} transactions cut off")  # noqa: T201
        assert idle > 0
