"""Several nodes of one chain: which one is read, what is final, and how patient we are. Real nodes behind a proxy."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from contracts.errors import Unavailable
from contracts.rpc import Rpc
from indexer import source, store
from indexer.endpoints import Endpoints, shown
from indexer.errors import Disagreement, OtherDeployment
from indexer.follow import follow
from indexer.metrics import Metrics
from tests.conftest import free_port
from tests.indexer.mirror import require_sound
from tests.indexer.network import Network, holder

pytestmark = pytest.mark.asyncio


@dataclass
class Front:
    """What stands before the node: how far its chain seems to go, what of it is another one, and what it refuses."""

    url: str = ""
    head: int | None = None  # the node seems to end here
    final: int | None = None
    strange_from: int | None = None  # blocks from here on have other hashes
    refusal: web.Response | None = None
    refuse: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
    asked: list[float] = field(default_factory=list)

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """The call as it is passed on: what is beyond the seeming head does not exist."""
        if call["method"] != "eth_getBlockByNumber":
            return call
        wanted = call["params"][0]
        if wanted == "latest" and self.head is not None:
            wanted = hex(self.head)
        if wanted == "finalized" and self.final is not None:
            wanted = hex(self.final)
        if wanted.startswith("0x") and self.head is not None and int(wanted, 16) > self.head:
            wanted = "0xffffffff"
        return {**call, "params": [wanted, False]}

    def tamper(self, result: Any) -> None:
        if (
            isinstance(result, dict)
            and self.strange_from is not None
            and int(result["number"], 16) >= self.strange_from
        ):
            result["hash"] = "0x" + "ab" * 32


@asynccontextmanager
async def front(node: str) -> AsyncIterator[Front]:
    standing = Front()

    async def handle(request: web.Request) -> web.Response:
        standing.asked.append(time.monotonic())
        calls = json.loads(await request.read())
        if standing.refusal is not None:
            return web.Response(
                status=standing.refusal.status, headers=standing.refusal.headers, body=standing.refusal.body
            )
        several = calls if isinstance(calls, list) else [calls]
        async with (
            aiohttp.ClientSession() as session,
            session.post(node, json=[standing.answer(call) for call in several]) as response,
        ):
            answers = await response.json()
        for call, answer in zip(several, sorted(answers, key=lambda each: each["id"]), strict=True):
            if standing.refuse is not None and (error := standing.refuse(call)) is not None:
                answer.pop("result", None)
                answer["error"] = error
            else:
                standing.tamper(answer.get("result"))
        return web.json_response(answers if isinstance(calls, list) else answers[0])

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    standing.url = f"http://127.0.0.1:{port}/"
    try:
        yield standing
    finally:
        await runner.cleanup()


@asynccontextmanager
async def several(
    network: Network, count: int, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[tuple[Endpoints, list[Front], Metrics]]:
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        fronts = [await stack.enter_async_context(front(network.node.url)) for _ in range(count)]
        rpcs = [await stack.enter_async_context(Rpc(each.url)) for each in fronts]
        yield Endpoints(rpcs, metrics, clock=clock), fronts, metrics


def in_use(metrics: Metrics, fronts: list[Front]) -> list[float]:
    return [metrics.node_in_use.labels(shown(each.url))._value.get() for each in fronts]


def down() -> web.Response:
    return web.Response(status=502, text="Bad Gateway")


async def test_reading_goes_on_with_another_node_when_one_fails(network: Network) -> None:
    await network.mine(5)
    async with several(network, 3) as (nodes, fronts, metrics):
        assert in_use(metrics, fronts) == [1, 0, 0]
        fronts[0].refusal = down()
        found = await source.headers(nodes, [1, 2])
        assert sorted(found) == [1, 2]
        assert in_use(metrics, fronts) == [0, 1, 0]
        fronts[1].refusal = down()
        assert sorted(await source.headers(nodes, [1, 2])) == [1, 2]
        assert in_use(metrics, fronts) == [0, 0, 1]
        failed = metrics.node_failures.labels(shown(fronts[0].url), "Unavailable")
        assert failed._value.get() == 1


async def test_when_all_fail_the_reason_is_told(network: Network) -> None:
    async with several(network, 2) as (nodes, fronts, _):
        for each in fronts:
            each.refusal = down()
        with pytest.raises(Unavailable, match="502"):
            await source.headers(nodes, [1])


async def test_a_node_that_lags_is_left_for_one_that_does_not(network: Network) -> None:
    await network.mine(10)
    number, tip = await network.head()
    async with several(network, 2) as (nodes, fronts, metrics):
        fronts[0].head = number - 5
        head, _ = await nodes.heads()
        assert (head.number, head.hash) == (number, tip)
        assert in_use(metrics, fronts) == [0, 1]


async def test_a_block_is_final_when_all_that_answer_have_it_and_most_answer(network: Network) -> None:
    await network.mine(20)
    now = 0.0
    async with several(network, 3, clock=lambda: now) as (nodes, fronts, _):

        async def final() -> int | None:
            nonlocal now
            now += 100
            _, block = await nodes.heads()
            return None if block is None else block.number

        for each, height in zip(fronts, (10, 8, 12), strict=True):
            each.final = height
        fronts[0].refusal = fronts[1].refusal = down()
        assert await final() is None, "one of three is no majority"
        fronts[0].refusal = None
        assert await final() == 10
        fronts[1].refusal = None
        assert await final() == 10, "what was final stays so"
        fronts[1].final = 11
        fronts[0].final = 15
        assert await final() == 11


async def test_two_nodes_with_different_final_blocks_halt(network: Network, database: str) -> None:
    await network.mine(20)
    async with several(network, 3) as (nodes, fronts, metrics):
        for each in fronts:
            each.final = 10
        fronts[2].strange_from = 9
        with pytest.raises(Disagreement, match=r"block 10 is final as 0x\w+ at 127.0.0.1:\d+ and as 0xabab"):
            await nodes.heads()
        with pytest.raises(Disagreement, match="Nothing was written"):
            await asyncio.wait_for(
                follow(database_url=database, rpc=nodes, deployed=network.deployed, metrics=metrics, poll=0.01), 10
            )


async def test_nodes_that_part_above_finality_halt_nothing(network: Network) -> None:
    await network.mine(20)
    async with several(network, 3) as (nodes, fronts, _):
        for each in fronts:
            each.final = 10
        fronts[2].strange_from = 15
        _, final = await nodes.heads()
        assert final is not None
        assert final.number == 10


async def test_a_node_of_another_chain_halts(network: Network) -> None:
    other = Network(network.node, network.rpc, network.deployment)
    async with several(other, 2) as (nodes, _, _):
        await nodes.require_chain(31337)
        with pytest.raises(OtherDeployment, match="is of chain 31337"):
            await nodes.require_chain(1)


async def test_a_node_that_says_when_it_may_be_asked_again_is_asked_then(network: Network) -> None:
    async with several(network, 1) as (nodes, fronts, _):
        fronts[0].refusal = web.Response(status=429, headers={"Retry-After": "1"}, text="slow down")
        with pytest.raises(Unavailable, match="429"):
            await source.headers(nodes, [1])
        fronts[0].refusal = None
        await source.headers(nodes, [1])
        first, second = fronts[0].asked
        assert 0.95 <= second - first < 3


async def test_too_many_requests_are_answered_with_longer_and_longer_pauses(network: Network) -> None:
    def limited(_: dict[str, Any]) -> dict[str, Any]:
        return {"code": -32005, "message": "daily request count exceeded, request rate limited"}

    async with several(network, 1) as (nodes, fronts, metrics):
        fronts[0].refuse = limited
        for _ in range(3):
            with pytest.raises(Exception, match="rate limited"):
                await source.headers(nodes, [1])
        pauses = [two - one for one, two in zip(fronts[0].asked, fronts[0].asked[1:], strict=False)]
        assert pauses[0] >= 0.45
        assert pauses[1] >= 0.95
        assert metrics.node_failures.labels(shown(fronts[0].url), "RateLimited")._value.get() == 3


async def test_a_mirror_is_filled_from_nodes_that_fail_in_turns(network: Network, database: str) -> None:
    token = await network.create("Grocery")
    for amount in range(1, 30):
        await network.mint(token, (holder("ann"), amount))
        await network.mine()
    number, tip = await network.head()
    async with several(network, 3) as (nodes, fronts, metrics), await store.connect(database) as connection:
        turns = [0, 0, 0]

        def grumpy(which: int) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
            def refuse(call: dict[str, Any]) -> dict[str, Any] | None:
                if call["method"] != "eth_getLogs":
                    return None
                turns[which] += 1
                if turns[which] % 5 == which:
                    return {"code": -32005, "message": "too many requests"}
                asked = call["params"][0]
                too_many = int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) >= 4
                return {"code": -32602, "message": "block range is too large"} if too_many else None

            return refuse

        for which, each in enumerate(fronts):
            each.refuse = grumpy(which)
        await asyncio.wait_for(
            follow(
                database_url=database, rpc=nodes, deployed=network.deployed, metrics=metrics, poll=0.01,
                to_the_head=True,
            ), 60,
        )  # fmt: skip
        await require_sound(connection)
        cursor = await store.read_cursor(connection, network.deployed)
        assert cursor is not None
        assert (cursor.next_block, cursor.tip) == (number + 1, tip)


async def test_a_key_in_a_nodes_url_is_not_shown() -> None:
    assert shown("https://user:secret@node.example:8545/v3/secret?key=secret") == "node.example:8545"
