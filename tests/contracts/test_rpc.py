"""The JSON-RPC client against a real node, and against a server that answers as a broken node does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from contracts import errors
from contracts.errors import NodeError, Unavailable, classify
from contracts.rpc import Rpc, from_hex, from_quantity, to_hex, to_quantity
from tests.conftest import Anvil

pytestmark = pytest.mark.asyncio

SENDER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"  # anvil's first account
BROKE = "0x00000000000000000000000000000000000000aa"

Answer = Callable[[Any], Awaitable[web.Response]]


@asynccontextmanager
async def server(answer: Answer, port: int) -> AsyncIterator[str]:
    """A node that answers every request with `answer(parsed body)`."""

    async def handle(request: web.Request) -> web.Response:
        return await answer(json.loads(await request.read()))

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


def always(body: str | bytes, status: int = 200) -> Answer:
    async def answer(_: Any) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    return answer


async def test_a_call_returns_its_result(anvil: Anvil) -> None:
    async with Rpc(anvil.url) as rpc:
        assert from_quantity(await rpc.call("eth_chainId")) == 31337
        assert await rpc.call("eth_getBlockByNumber", to_quantity(99), False) is None


async def test_a_batch_keeps_its_order_and_one_failing_entry_harms_no_other(anvil: Anvil) -> None:
    async with Rpc(anvil.url) as rpc:
        chain, refused, number = await rpc.batch(
            [("eth_chainId", ()), ("eth_noSuchThing", ()), ("eth_blockNumber", ())]
        )
        assert (chain, number) == ("0x7a69", "0x0")
        assert isinstance(refused, errors.UnknownMethod)
        assert await rpc.batch([]) == []


async def test_refusals_of_a_real_node_are_told_apart(anvil: Anvil) -> None:
    async with Rpc(anvil.url) as rpc:
        await rpc.call("anvil_impersonateAccount", BROKE)
        with pytest.raises(errors.InsufficientFunds):
            await rpc.call("eth_sendTransaction", {"from": BROKE, "to": SENDER, "value": "0x1", "gas": "0x5208"})
        first = {"from": SENDER, "to": BROKE, "value": "0x1", "gas": "0x5208", "nonce": "0x0"}
        await rpc.call("eth_sendTransaction", {**first, "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1"})
        with pytest.raises(errors.Underpriced):
            await rpc.call("eth_sendTransaction", {**first, "value": "0x2", "maxFeePerGas": "0x77359400"})
        await rpc.call("evm_mine")
        with pytest.raises(errors.NonceTooLow):
            await rpc.call("eth_sendTransaction", first)
        with pytest.raises(errors.GasOutOfBounds):
            await rpc.call("eth_sendTransaction", {"from": SENDER, "to": BROKE, "gas": "0x10"})
        # PUSH4 0xdeadbeef, MSTORE, REVERT(28, 4)
        with pytest.raises(errors.Reverted) as reverted:
            await rpc.call("eth_call", {"from": SENDER, "data": "0x63deadbeef5f526004601cfd"}, "latest")
        assert reverted.value.data == bytes.fromhex("deadbeef")
        with pytest.raises(errors.UnknownBlock):
            await rpc.call("eth_call", {"to": BROKE}, "0xffff")


async def test_a_refused_connection_is_unavailable(unused_port: int) -> None:
    async with Rpc(f"http://127.0.0.1:{unused_port}") as rpc:
        with pytest.raises(Unavailable):
            await rpc.call("eth_chainId")


async def test_a_node_that_dies_is_unavailable_and_usable_again_when_it_is_back(anvil: Anvil) -> None:
    async with Rpc(anvil.url) as rpc:
        assert await rpc.call("eth_chainId")
        anvil.kill()
        with pytest.raises(Unavailable):
            await rpc.call("eth_chainId")
        anvil.start()
        assert await rpc.call("eth_chainId")


async def test_a_time_out_is_unavailable(unused_port: int) -> None:
    async def answer(_: Any) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    async with server(answer, unused_port) as url, Rpc(url, timeout=0.05) as rpc:
        with pytest.raises(Unavailable):
            await rpc.call("eth_chainId")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "{}",
        "null",
        '{"id":1}',
        '{"id":2,"result":"0x1"}',
        '{"id":"1","result":1}',
        b"\xff\xfe",
        b'{"id":1,"result":"0x1\x97"}',
        b'{"id":1,"error":{"code":1,"message":"\x97"}}',
        '{"id":1,"res',
    ],
)
async def test_garbage_is_unavailable(body: str | bytes, unused_port: int) -> None:
    async with server(always(body), unused_port) as url, Rpc(url) as rpc:
        with pytest.raises(Unavailable):
            await rpc.call("eth_chainId")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '[{"id":0,"result":1}]',
        '[{"id":0,"result":1},{"id":0,"result":2}]',
        '[{"id":0,"result":1},{"id":1,"result":2},{"id":1,"result":3}]',
        '[{"id":0,"result":1},{"id":null,"result":2}]',
        '[{"id":0,"result":1},{"id":1}]',
        b'[{"id":0,"result":"\x97"},{"id":1,"result":2}]',
    ],
)
async def test_a_batch_answered_in_part_or_twice_is_unavailable(body: str | bytes, unused_port: int) -> None:
    async with server(always(body), unused_port) as url, Rpc(url) as rpc:
        with pytest.raises(Unavailable):
            await rpc.batch([("a", ()), ("b", ())])


async def test_answers_of_a_batch_may_come_in_any_order(unused_port: int) -> None:
    async def answer(calls: Any) -> web.Response:
        return web.json_response([{"id": call["id"], "result": call["method"]} for call in reversed(calls)])

    async with server(answer, unused_port) as url, Rpc(url) as rpc:
        names = [f"m{i}" for i in range(12)]
        assert await rpc.batch([(name, ()) for name in names]) == names


async def test_http_errors_are_unavailable_unless_they_carry_a_json_rpc_error(unused_port: int) -> None:
    error = '{"id":1,"error":{"code":-32000,"message":"nonce too low"}}'
    for body, status, expected in (
        ("no", 503, Unavailable),
        (error, 500, Unavailable),
        ("slow down", 429, Unavailable),
        (error, 400, errors.NonceTooLow),
    ):
        async with server(always(body, status), unused_port) as url, Rpc(url) as rpc:
            with pytest.raises(expected):
                await rpc.call("eth_chainId")


async def test_a_batch_refused_as_a_whole_is_a_node_error(unused_port: int) -> None:
    body = '{"id":null,"error":{"code":-32600,"message":"batch too large"}}'
    async with server(always(body), unused_port) as url, Rpc(url) as rpc:
        with pytest.raises(NodeError, match="batch too large"):
            await rpc.batch([("a", ()), ("b", ())])


async def test_one_connection_serves_many_calls(unused_port: int) -> None:
    peers: set[object] = set()

    async def handle(request: web.Request) -> web.Response:
        peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        return web.json_response({"id": 1, "result": 1})

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_port).start()
    async with Rpc(f"http://127.0.0.1:{unused_port}/") as rpc:
        for _ in range(20):
            await rpc.call("a")
    await runner.cleanup()
    assert len(peers) == 1


@pytest.mark.parametrize(
    ("code", "message", "data", "kind"),
    [
        (-32000, "already known", None, errors.AlreadyKnown),
        (-32003, "transaction already imported", None, errors.AlreadyKnown),
        (-32010, "AlreadyKnown", None, errors.AlreadyKnown),
        (-32000, "Known transaction", None, errors.AlreadyKnown),
        (-32000, "nonce too low: next nonce 5, tx nonce 4", None, errors.NonceTooLow),
        (-32010, "OldNonce, Current nonce: 3, nonce of rejected tx: 2", None, errors.NonceTooLow),
        (-32001, "Nonce too low", None, errors.NonceTooLow),
        (-32000, "replacement transaction underpriced", None, errors.Underpriced),
        (-32010, "ReplacementNotAllowed", None, errors.Underpriced),
        (-32000, "max fee per gas less than block base fee: address 0x1", None, errors.Underpriced),
        (-32003, "Insufficient funds for gas * price + value", None, errors.InsufficientFunds),
        (-32004, "Upfront cost exceeds account balance", None, errors.InsufficientFunds),
        (-32000, "txpool is full", None, errors.PoolFull),
        (-32005, "query returned more than 10000 results", None, errors.RangeTooLarge),
        (-32005, "Requested range exceeds maximum range limit", None, errors.RangeTooLarge),
        (-32602, "eth_getLogs is limited to a 10000 block range", None, errors.RangeTooLarge),
        (-32005, "busy", None, errors.RateLimited),
        (3, "execution reverted: custom error 0xdeadbeef", "0xdeadbeef", errors.Reverted),
        (-32015, "VM execution error.", "Reverted 0xdeadbeef", errors.Reverted),
        (3, "execution reverted: nonce too low", {"data": "0xdeadbeef"}, errors.Reverted),
        (-32000, "something new", "not hex 0xzz", NodeError),
    ],
)
async def test_sentences_of_four_nodes_map_to_one_tree(
    code: int, message: str, data: object, kind: type[NodeError]
) -> None:
    error = classify(code, message, data)
    assert type(error) is kind
    assert error.data == (bytes.fromhex("deadbeef") if kind is errors.Reverted else b"")


async def test_hex_goes_there_and_back() -> None:
    assert from_hex(to_hex(b"\x00\xff")) == b"\x00\xff"
    assert from_quantity(to_quantity(255)) == 255
    with pytest.raises(ValueError, match="0x"):
        from_hex("abcd")
