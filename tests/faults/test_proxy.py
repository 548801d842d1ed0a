"""A node that errs, lies, forgets and hangs up: once it stops, all that was accepted is minted, and mirrored, once."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from tests.faults.chaos import NODE_EVENTS, Chaos
from tests.faults.oracle import require_exactly_once
from tests.faults.processes import Postgres
from tests.faults.proxy import KINDS, never
from tests.faults.world import LANES, World, living

pytestmark = pytest.mark.asyncio

SEED = int(os.environ.get("SEED", time.time()))
SECONDS = float(os.environ.get("FAULT_SECONDS", 0))  # at least; and until every kind was met
RATE = float(os.environ.get("FAULT_RATE", 0.25))


async def trade(world: World, enough: asyncio.Event, *, pause: float = 0.2) -> None:
    while not enough.is_set():
        shop = world.chance.choice(world.shops)
        await world.sell_many(shop, world.chance.randint(1, 30))
        await world.sell(shop)
        await world.refund_one(shop)
        await asyncio.sleep(pause)


async def test_whatever_a_node_answers_every_purchase_is_minted_and_mirrored_once(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    print(f"SEED={SEED} FAULT_RATE={RATE} FAULT_SECONDS={SECONDS}")  # noqa: T201
    async with living(tmp_path, postgres, contracts, seed=SEED, dump_seconds=1.5) as world:
        chaos = Chaos(world, LANES[:1], random.Random(SEED), NODE_EVENTS, pause=1.5)
        enough = asyncio.Event()
        world.proxy.rate = RATE
        work = [asyncio.create_task(trade(world, enough)), asyncio.create_task(chaos.run(enough))]
        begun = time.monotonic()

        async def met_all() -> bool:
            missing = never(world.proxy.injected + chaos.happened, KINDS + NODE_EVENTS)
            return not missing and time.monotonic() - begun > SECONDS

        await world.until(met_all, seconds=SECONDS + 60, what="every kind of fault was met")
        enough.set()
        await asyncio.gather(*work)
        world.proxy.rate = 0.0
        minted = await require_exactly_once(world)
        met = world.proxy.injected + chaos.happened
        print(f"{minted} purchases, each minted once, through {sum(met.values())} faults of a node:")  # noqa: T201
        print("\n".join(f"{count:6} {kind}" for kind, count in sorted(met.items())))  # noqa: T201
        assert never(met, KINDS + NODE_EVENTS) == []
