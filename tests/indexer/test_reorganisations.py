"""Reorganisations of a real node, of any depth down to finality, under a loop that follows it. `REORGS` says how many.

The blocks that take the place of others have transactions of their own: batches that reuse the lost ones' numbers,
intents that were never sent before. What the mirror holds is compared with a mirror made from nothing.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.deployment import Deployment
from contracts.rpc import Rpc
from indexer import store
from tests.conftest import Anvil, free_port
from tests.indexer.mirror import contents
from tests.indexer.network import Network, holder
from tests.indexer.simulator import quiet_log
from tests.indexer.test_follow import a_market, caught_up, following, fresh, require_chains_balances

SEED = os.environ.get("SEED", "1")
REORGS = int(os.environ.get("REORGS", "20"))
LIFE = 200
"""Reorganisations of one node: anvil forgets the contracts' code when it goes back to a state that it wrote to disk."""
EPOCH = 12
"""Slots; this node's final block is two epochs behind its head."""

NAMES = ("ann", "bob", "cat", "dan")

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("quiet")]


@pytest.fixture
def quiet() -> Iterator[None]:
    with quiet_log():
        yield


async def act(network: Network, draw: random.Random, tokens: tuple[bytes, bytes]) -> None:
    """One transaction; it may fail, as transactions do that a reorganisation moved."""
    one, two = draw.sample(tokens, 2)
    name, other = draw.sample(NAMES, 2)
    kind = draw.choice(("mint", "mint", "send", "redeem", "swap"))
    if kind == "mint":
        await network.mint(
            one, *[(holder(draw.choice(NAMES)), draw.randint(1, 900)) for _ in range(draw.randint(1, 3))]
        )
    elif kind == "send":
        await network.pass_on(one, name, holder(other), draw.randint(1, 50))
    elif kind == "redeem":
        await network.redeem(one, name, draw.randint(1, 50))
    else:
        await network.swap(one, two, name, draw.randint(1, 50))


async def replace_blocks(
    network: Network, draw: random.Random, tokens: tuple[bytes, bytes], batches: list[dict[bytes, int]], depth: int
) -> None:
    """`anvil_reorg`, with transactions in some of the new blocks. `batches` are the numbers used up to each height."""
    fork = len(batches) - 1 - depth
    del batches[fork + 1 :]
    network.batches = dict(batches[fork])
    placed: list[list[object]] = []
    for place in range(depth):
        network.held = []
        for _ in range(draw.choice((0, 0, 1, 2)) if depth > 3 else draw.randint(0, 2)):
            await act(network, draw, tokens)
        placed += [[call, place] for call in network.held]
        batches.append(dict(network.batches))
    network.held = None
    await network.rpc.call("anvil_reorg", depth, placed)


async def grow(
    network: Network, draw: random.Random, tokens: tuple[bytes, bytes], batches: list[dict[bytes, int]]
) -> None:
    for _ in range(draw.choice((1, 1, 2, 3))):
        for _ in range(draw.randint(0, 2)):
            await act(network, draw, tokens)
        await network.rpc.call("evm_mine")
        batches.append(dict(network.batches))
    network.pending.clear()


async def live(
    network: Network, database: str, postgres_url: str, draw: random.Random, times: int, depths: Counter[int]
) -> tuple[int, int]:
    """That many reorganisations of one node; compares now and then. Returns differences and batches in the end."""
    differences = 0
    async with await store.connect(database) as connection:
        async with following(database, network) as work:
            tokens = await a_market(network)
            number, _ = await network.head()
            batches = [dict(network.batches) for _ in range(number + 1)]
            for done in range(1, times + 1):
                await grow(network, draw, tokens, batches)
                if draw.random() < 0.8:  # at other times the indexer finds itself several reorganisations behind
                    await caught_up(connection, network, work)
                room = min(2 * EPOCH, len(batches) - 1 - number)
                depth = min(room, draw.choice((1, 2, draw.randint(1, room), room)))
                depths[depth] += 1
                await replace_blocks(network, draw, tokens, batches, depth)
                if done % 50 == 0 or done == times:
                    await grow(network, draw, tokens, batches)
                    await caught_up(connection, network, work)
                    differences += await contents(connection) != await fresh(postgres_url, database, network)
                    await require_chains_balances(connection, network)
        held = await contents(connection)
        await connection.execute("drop schema mirror cascade")
    return differences, len(held["batch"])


async def test_after_any_reorganisation_of_a_node_the_mirror_is_what_a_fresh_one_would_be(
    database: str, postgres_url: str, contracts_deployed: tuple[Deployment, Path]
) -> None:
    deployment, state = contracts_deployed
    draw, depths, differences, batches = random.Random(SEED), Counter[int](), 0, 0
    arguments = ("--no-mining", "--slots-in-an-epoch", str(EPOCH), "--load-state", str(state))
    for start in range(0, REORGS, LIFE):
        node = Anvil(free_port(), arguments, history=True)
        node.start()
        try:
            async with Rpc(node.url) as rpc:
                network = Network(node=node, rpc=rpc, deployment=deployment)
                found, held = await live(network, database, postgres_url, draw, min(LIFE, REORGS - start), depths)
        finally:
            node.kill()
        differences, batches = differences + found, batches + held
        print(  # noqa: T201
            f"SEED={SEED}: {depths.total():,} reorganisations of depth {min(depths)} to {max(depths)}, mean "
            f"{sum(depth * count for depth, count in depths.items()) / depths.total():.1f}; {batches:,} batches in the "
            f"blocks that stayed; {differences} differences",
            flush=True,
        )
    assert differences == 0
    assert batches > REORGS / 10, "the new blocks had no batches"
    assert max(depths) > EPOCH
