"""What the indexer does with a node's answers: a real node behind a proxy that tampers with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from contracts.errors import RangeTooLarge, UnknownBlock
from contracts.rpc import Rpc
from indexer import source, store
from indexer.errors import Inconsistent
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.project import Known
from tests.conftest import free_port
from tests.indexer.mirror import require_sound
from tests.indexer.network import Network, holder

pytestmark = pytest.mark.asyncio

Tamper = Callable[[dict[str, Any], dict[str, Any]], None]
"""Changes one answer of a batch, given its call."""


@asynccontextmanager
async def proxy(node: str, tamper: Tamper) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        calls = json.loads(await request.read())
        async with aiohttp.ClientSession() as session, session.post(node, json=calls) as response:
            answers = await response.json()
        if isinstance(calls, list):
            by_id = {call["id"]: call for call in calls}
            for answer in answers:
                tamper(by_id[answer["id"]], answer)
        return web.json_response(answers)

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


def known(network: Network) -> Known:
    return Known(network.deployment.factory, network.deployment.exchange)


async def test_logs_of_a_programme_are_found_in_the_block_that_created_it(network: Network) -> None:
    token = await network.create("Grocery")
    await network.mint(token, (holder("ann"), 5))
    await network.mine()
    number, _ = await network.head()
    found = await source.fetch(network.rpc, first=1, last=number, known=known(network))
    assert [block.number for block in found.blocks] == list(range(1, number + 1))
    assert [log.address == token for log in found.logs if log.block == number] == [False, True, True]
    assert source.with_created(known(network), found).programmes == {token}


def strange_hash(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getLogs" and answer["result"]:
        answer["result"][-1]["blockHash"] = "0x" + "11" * 32


def lost_header(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "0x2":
        answer["result"] = None


def other_parent(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "0x2":
        answer["result"]["parentHash"] = "0x" + "11" * 32


def twice(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getLogs" and answer["result"]:
        answer["result"].append(answer["result"][-1])


def removed(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getLogs":
        for log in answer["result"]:
            log["removed"] = True


def no_hex(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getLogs":
        for log in answer["result"]:
            log["data"] = "0xzz"


def left_out(call: dict[str, Any], answer: dict[str, Any]) -> None:
    """What a node says that has not these blocks, to whom another one told of them."""
    if call["method"] == "eth_getLogs" and "fromBlock" in call["params"][0]:
        answer["result"] = []


def another_shape(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if call["method"] == "eth_getLogs":
        answer["result"] = {"logs": answer["result"]}


@pytest.mark.parametrize(
    "tamper",
    [strange_hash, lost_header, other_parent, twice, removed, no_hex, left_out, another_shape],
    ids=lambda tamper: tamper.__name__,
)
async def test_answers_that_do_not_fit_each_other_are_not_taken(network: Network, tamper: Tamper) -> None:
    await network.create("Grocery")
    await network.mine()
    number, _ = await network.head()
    async with proxy(network.node.url, tamper) as url, Rpc(url) as rpc:
        with pytest.raises(Inconsistent):
            await source.fetch(rpc, first=1, last=number, known=known(network))


async def test_a_node_that_has_not_the_block_does_not_answer_for_one_that_has(network: Network) -> None:
    def lagging(call: dict[str, Any], answer: dict[str, Any]) -> None:
        left_out(call, answer)
        if call["method"] == "eth_getLogs" and "blockHash" in call["params"][0]:
            del answer["result"]
            answer["error"] = {"code": -32000, "message": "unknown block"}

    await network.create("Grocery")
    await network.mine()
    number, _ = await network.head()
    async with proxy(network.node.url, lagging) as url, Rpc(url) as rpc:
        with pytest.raises(UnknownBlock):
            await source.fetch(rpc, first=1, last=number, known=known(network))


async def test_a_node_without_finality_still_has_a_head(network: Network) -> None:
    def no_finality(call: dict[str, Any], answer: dict[str, Any]) -> None:
        if call["params"][0] == "finalized":
            del answer["result"]
            answer["error"] = {"code": -32602, "message": "invalid block tag"}

    async with proxy(network.node.url, no_finality) as url, Rpc(url) as rpc:
        head, final = await source.heads(rpc)
        assert (head.number, head.hash) == await network.head()
        assert final is None


async def test_a_node_that_grants_few_blocks_and_answers_wrongly_at_times_is_followed(
    network: Network, database: str
) -> None:
    most, asked = 3, 0

    def narrow(call: dict[str, Any], answer: dict[str, Any]) -> None:
        nonlocal asked
        if call["method"] != "eth_getLogs":
            return
        asked += 1
        wanted = call["params"][0]
        if int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) >= most:
            answer.pop("result")
            answer["error"] = {"code": -32005, "message": "query returned more than 10000 results"}
        elif asked % 5 == 0:
            strange_hash(call, answer)
        elif asked % 5 == 2 and answer["result"]:
            answer["result"].pop()  # the batch's own log is missing after its transfers

    token = await network.create("Grocery")
    for amount in range(1, 10):
        await network.mint(token, (holder("ann"), amount))
        await network.mine()
    number, tip = await network.head()
    async with proxy(network.node.url, narrow) as url, Rpc(url) as rpc, await store.connect(database) as connection:
        with pytest.raises(RangeTooLarge):
            await source.fetch(rpc, first=1, last=number, known=known(network))
        await store.create_schema(connection)
        work = asyncio.create_task(
            follow(database_url=database, rpc=rpc, deployed=network.deployed, metrics=Metrics(), poll=0.01)
        )
        async with asyncio.timeout(20):
            while not (cursor := await store.read_cursor(connection, network.deployed)) or cursor.tip != tip:
                await asyncio.sleep(0.02)
                assert not work.done()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await require_sound(connection)
        result = await connection.execute("select amount from mirror.balance")
        assert await result.fetchall() == [(45,)]
