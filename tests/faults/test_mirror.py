"""The gateway while its mirror is dropped, built anew, and replaced under it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from contracts.rpc import Rpc
from indexer import schema, store
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.store import Deployed
from tests.faults.oracle import require_exactly_once
from tests.faults.processes import Postgres
from tests.faults.world import World, living

pytestmark = pytest.mark.asyncio

PATHS = ("/v1/holders/0x{:040x}/balances", "/v1/holders/0x{:040x}/history")


@asynccontextmanager
async def asking(world: World) -> AsyncIterator[Counter[int]]:
    """Reads what only the mirror knows, all the time: how often each status was answered."""
    answered: Counter[int] = Counter()

    async def ask(path: str) -> None:
        while True:
            async with world.http.get(world.gateways[0] + path.format(1)) as answer:
                answered[answer.status] += 1
                if answer.status == 503:
                    assert (await answer.json())["type"].endswith("mirror-unavailable")
                    assert int(answer.headers["Retry-After"]) >= 1
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(ask(path)) for path in PATHS]
    try:
        yield answered
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_gateway_answers_503_while_there_is_no_mirror_and_as_always_while_one_is_replaced(
    tmp_path: Path, postgres: Postgres, contracts: tuple[Deployment, Path]
) -> None:
    async with living(tmp_path, postgres, contracts, seed=8) as world, asking(world) as answered:
        await world.sell_many(world.shops[0], 20)
        async with await store.connect(postgres.url) as connection:
            await schema.drop(connection)

        async def mirrored() -> bool:
            return bool(await world.rows("select 1 where to_regclass('mirror.cursor') is not null"))

        await world.until(mirrored, seconds=30, what="the indexer has built the mirror anew")
        assert answered.keys() <= {200, 503}
        before = answered[503]
        found = world.deployment
        deployed = Deployed(found.chain_id, found.factory, found.exchange, found.first_block)
        async with Rpc(world.node.anvil.url) as rpc:
            for _ in range(3):
                await follow(
                    database_url=postgres.url, rpc=rpc, deployed=deployed, metrics=Metrics(), poll=0.05, rebuild=True,
                    to_the_head=True,
                )  # fmt: skip
                await world.sell_many(world.shops[0], 20)
        assert answered[503] <= before + 1, "one may still have been on its way"
        assert answered[200] > 20
        await require_exactly_once(world)
