"""What others have seen happen to a relayer's nonces, again and again, with several lanes: nothing is lost or doubled.

Somebody else signs with our keys (the next nonce, a pending one, one ahead of us), and some of it leaves the chain
again; pools are dropped, inclusions reorganised away, and the node tells nonces that are too low or too high. A lane
stops only while a nonce of ours is somebody else's, says which, and goes on by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from tests.faults.chaos import NONCE_FAULTS, Chaos, rich
from tests.faults.oracle import require_exactly_once
from tests.faults.processes import Postgres
from tests.faults.proxy import never
from tests.faults.test_proxy import trade
from tests.faults.world import LANES, World, living

pytestmark = pytest.mark.asyncio

SEED = int(os.environ.get("SEED", time.time()))
FAULTS = int(os.environ.get("NONCE_FAULTS", 24))
LIES = ("nonce that is stale", "nonce that is ahead", "not sent: nonce too low", "sent, then dropped from the pool")


def pauses(world: World) -> list[tuple[bytes, str]]:
    """Each time that a lane stopped, and why."""
    lines = (json.loads(line) for line in world.programs["relayer-1"].log.read_text().splitlines() if line[:1] == "{")
    return [(bytes.fromhex(line["signer"]), line["reason"]) for line in lines if line["event"] == "paused"]


async def test_a_lanes_nonces_are_taken_dropped_and_lied_about_and_nothing_is_lost(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    print(f"SEED={SEED} NONCE_FAULTS={FAULTS}", flush=True)  # noqa: T201
    async with living(tmp_path, postgres, contracts, seed=SEED, lanes=2, block_seconds=0.15) as world:
        await rich(world, LANES)
        chaos = Chaos(world, LANES, random.Random(SEED), NONCE_FAULTS, pause=0.25, events=FAULTS)
        world.proxy.kinds, world.proxy.rate = LIES, 0.05
        enough = asyncio.Event()
        trading = asyncio.create_task(trade(world, enough, pause=0.3))
        await chaos.run(enough)
        enough.set()
        await trading
        world.proxy.rate = 0.0
        minted = await require_exactly_once(world)
        [(lost,)] = await world.rows("select count(*) from exchange.transaction where state = 'lost'")
        [(filled,)] = await world.rows("select count(*) from exchange.transaction where target = signer")
        stopped = pauses(world)
        for signer, reason in stopped:
            named = re.fullmatch(r"nonce (\d+) was used by a transaction that is not ours", reason)
            assert named, reason
            assert (signer, int(named[1])) in chaos.used, "it stopped for nothing"
        met = chaos.happened + world.proxy.injected
        print("\n".join(f"{count:6} {kind}" for kind, count in sorted(met.items())))  # noqa: T201
        print(  # noqa: T201
            f"{minted} purchases, each minted once, through {sum(chaos.happened.values())} nonce faults and"
            f" {sum(world.proxy.injected.values())} lies about nonces; lanes stopped {len(stopped)} times,"
            f" {lost} transactions given up, {filled} nonces filled"
        )
        assert never(chaos.happened, NONCE_FAULTS) == []
