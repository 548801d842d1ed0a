"""A node that loses answers is asked again; one that refuses is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from contracts.errors import NodeError, Unavailable
from scripts.audit.endpoint import CALLS_AT_ONCE, Endpoint
from tests.conftest import free_port

Answer = Callable[[int, list[Any]], tuple[int, Any]]
"""From the number of the request (from 1) and its calls to an HTTP status and a body."""


@asynccontextmanager
async def serving(answer: Answer) -> Any:
    """A server that answers so; yields its URL and the sizes of the batches that it got."""
    sizes: list[int] = []

    async def handle(request: web.Request) -> web.Response:
        calls = await request.json()
        sizes.append(len(calls))
        status, body = answer(len(sizes), calls)
        return web.Response(status=status, text=json.dumps(body))

    app = web.Application()
    app.router.add_post("/", handle)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}", sizes
    finally:
        await runner.cleanup()


def told(calls: list[Any]) -> list[dict[str, Any]]:
    return [{"jsonrpc": "2.0", "id": call["id"], "result": call["params"][0]} for call in reversed(calls)]


def ask(answer: Answer, many: int) -> tuple[list[Any], list[int]]:
    async def run() -> tuple[list[Any], list[int]]:
        async with serving(answer) as (url, sizes), Endpoint(url, waits=(0, 0)) as endpoint:
            results = await endpoint.ask([("echo", [number]) for number in range(many)])
            return [msgspec.json.decode(each) for each in results], sizes

    return asyncio.run(run())


def test_many_calls_are_asked_in_requests_that_nodes_take_and_answered_in_their_order() -> None:
    results, sizes = ask(lambda _, calls: (200, told(calls)), 250)
    assert results == [*range(250)]
    assert sizes == [CALLS_AT_ONCE, CALLS_AT_ONCE, 50]
    assert ask(lambda _, calls: (200, told(calls)), 0) == ([], [])


@pytest.mark.parametrize(
    "lost",
    [
        (502, "bad gateway"),
        (200, "half an ans"),
        (200, {"jsonrpc": "2.0", "id": None, "error": {"code": -32005, "message": "rate limit reached"}}),
    ],
)
def test_what_is_lost_or_came_too_often_is_asked_again(lost: tuple[int, Any]) -> None:
    results, sizes = ask(lambda number, calls: lost if number < 3 else (200, told(calls)), 3)
    assert results == [0, 1, 2]
    assert sizes == [3, 3, 3]


def test_a_node_that_never_answers_is_given_up() -> None:
    with pytest.raises(Unavailable):
        ask(lambda _, __: (502, "bad gateway"), 3)


def test_what_a_node_refuses_is_refused_at_once_for_all_that_was_asked_with_it() -> None:
    requests = 0

    def refuse(number: int, calls: list[Any]) -> tuple[int, Any]:
        nonlocal requests
        requests = number
        return 200, [*told(calls[1:]), {"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": "no"}}]

    with pytest.raises(NodeError):
        ask(refuse, 3)
    assert requests == 1
