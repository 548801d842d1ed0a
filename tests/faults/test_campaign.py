"""kill -9 of everything, for as long as one likes: at random and at named points, while the tills go on selling.

`make kills KILLS=1000 PURCHASES=100000` is the long form; the seed is printed and decides what is killed when.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.crash import POINTS
from contracts.deployment import Deployment
from tests.faults.oracle import require_exactly_once, require_told
from tests.faults.processes import Postgres, Program
from tests.faults.world import World, living

pytestmark = pytest.mark.asyncio

SEED = int(os.environ.get("SEED", time.time()))
KILLS = int(os.environ.get("KILLS", 30))
PURCHASES = int(os.environ.get("PURCHASES", 2_000))
PAUSE = float(os.environ.get("PAUSE", 0.8))  # seconds between two kills at random, on average
LIMIT = float(os.environ.get("LIMIT", 3_600))

OF_PROGRAM = {
    "gateway": ("gateway",),
    "relayer": ("batching", "refunding", "lane"),
    "indexer": ("indexer",),
    "notifier": ("notifier",),
}
TILLS = 8
ARMED = 0.5  # of all lives
RARE = ("refused", "replacement", "lost", "final, not stored")
"""Points that nothing here leads to; `test_points.py` does."""
SELDOM = {"node": 0.25, "postgres": 0.3}  # a node's kill is everybody's; the others' chance is 1


@dataclass
class Campaign:
    world: World
    chance: random.Random
    begun: float

    @property
    def kills(self) -> Counter[str]:
        return self.world.kills()

    @property
    def sold(self) -> int:
        return sum(len(shop.sales) for shop in self.world.shops)

    @property
    def over(self) -> bool:
        return sum(self.kills.values()) >= KILLS and self.sold >= PURCHASES

    def arm(self, program: Program) -> str | None:
        """Every other life is to end at a point, passed for the first time or a later one."""
        groups = OF_PROGRAM[program.name.partition("-")[0]]
        points = [p for p in POINTS if p.partition(":")[0] in groups and not any(each in p for each in RARE)]
        return f"{self.chance.choice(points)}#{self.chance.randint(1, 2)}" if self.chance.random() < ARMED else None

    async def kill(self) -> None:
        names = [*self.world.programs, *SELDOM]
        while not self.over:
            enough = sum(self.kills.values()) >= KILLS  # then only the tills have something left to do
            await asyncio.sleep(PAUSE * self.chance.uniform(0.2, 1.8) * (3 if enough else 1))
            [name] = self.chance.choices(names, [SELDOM.get(each, 1.0) for each in names])
            match name:
                case "node":
                    await self.world.node.kill()
                case "postgres":
                    await self.chance.choice((self.world.postgres.kill, self.world.postgres.restart))()
                case _:
                    self.world.programs[name].kill()

    async def trade(self) -> None:
        """As many purchases, in proportion, as there were kills."""
        while not self.over:
            if self.sold > PURCHASES * (sum(self.kills.values()) + 2) / KILLS:
                await asyncio.sleep(0.1)
                continue
            shop = self.world.chance.choice(self.world.shops)
            await self.world.sell_many(shop, self.world.chance.randint(1, max(2, min(300, 4 * PURCHASES // KILLS))))
            for _ in range(4):
                await self.world.sell(shop)
            await self.world.refund_one(shop)

    async def watch(self) -> None:
        while not self.over:
            self.world.require_alive()
            assert time.monotonic() - self.begun < LIMIT, await self.world.shown()
            self.say()
            await asyncio.sleep(15)

    def say(self) -> None:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        print(  # noqa: T201
            f"{time.monotonic() - self.begun:6.0f} s  {sum(self.kills.values()):5} kills ({kills})  "
            f"{self.sold:7} purchases",
            flush=True,
        )


async def test_kills_of_everything_at_any_time_lose_nothing_and_repeat_nothing(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    print(f"SEED={SEED} KILLS={KILLS} PURCHASES={PURCHASES} PAUSE={PAUSE}", flush=True)  # noqa: T201
    async with living(
        tmp_path, postgres, contracts, seed=SEED, gateways=2, relayers=2, indexers=2, lanes=2, shops=4,
        block_seconds=0.4, slots=32, dump_seconds=4.0, history=False,
    ) as world:  # fmt: skip
        campaign = Campaign(world, random.Random(SEED), time.monotonic())
        for program in world.programs.values():
            program.arm = lambda program=program: campaign.arm(program)  # type: ignore[misc]
        async with asyncio.TaskGroup() as group:
            group.create_task(campaign.kill())
            group.create_task(campaign.watch())
            for _ in range(TILLS):
                group.create_task(campaign.trade())
        campaign.say()
        # Of these one may still die at a point that it was armed with.
        for program in world.programs.values():
            program.arm = lambda: None
        await require_told(world, world.shops[0])
        minted = await require_exactly_once(world)
        campaign.say()
        points = Counter[str]()
        for program in world.programs.values():
            points.update({point: n for point, n in program.kills.items() if point != "at random"})
        print(f"{sum(points.values())} of them at {len(points)} named points")  # noqa: T201
        print(f"requests: {dict(world.answers)}")  # noqa: T201
        print(f"{minted} purchases answered 2xx, each minted once: 0 lost, 0 double; the mirror is equal")  # noqa: T201
