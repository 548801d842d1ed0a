"""A JSON-RPC node that lies, forgets, repeats and hangs up: an HTTP server between our programs and a real node.

Every kind of fault is drawn by its own chance from one seeded generator, counted, and of a kind that has been seen of
real nodes, gateways and load balancers. While `rate` is zero it passes everything on unchanged. The seed decides what
is drawn, not which request meets it: requests come when they come.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web

from tests.conftest import free_port

Call = dict[str, Any]
Answer = dict[str, Any]

READ_FAULTS: Final = (
    "error -32000",
    "HTTP 429",
    "HTTP 502",
    "connection reset before the request",
    "connection reset after the request",
    "body cut short",
    "body garbled",
    "answers out of order",
    "answer missing",
    "answer twice",
    "head that lags",
    "nonce that is stale",
    "nonce that is ahead",
    "null for an answer",
    "slow answer",
)
SEND_FAULTS: Final = (
    "sent, then silence",
    "sent, then an error",
    "sent twice",
    "not sent: already known",
    "not sent: nonce too low",
    "not sent: replacement underpriced",
    "not sent: pool is full",
    "sent, then dropped from the pool",
)
KINDS: Final = READ_FAULTS + SEND_FAULTS

_REFUSALS: Final = {
    "not sent: already known": (-32000, "already known"),
    "not sent: nonce too low": (-32000, "nonce too low"),
    "not sent: replacement underpriced": (-32000, "replacement transaction underpriced"),
    "not sent: pool is full": (-32000, "txpool is full"),
}
_BATCHES_ONLY: Final = ("answers out of order", "answer missing", "answer twice")
_HEADS: Final = ("eth_getBlockByNumber", "eth_getTransactionCount", "eth_getBalance", "eth_call", "eth_getCode")


class _Cut(Exception):
    """The connection ends here."""


@dataclass
class Proxy:
    """`rate` is the chance of a fault of a request; `injected` counts them by kind."""

    node: str
    chance: random.Random
    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    silence: float = 1.5  # seconds; longer than the clients wait
    port: int = field(default_factory=free_port)
    injected: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    finality: int | None = None  # the newest block that is told to be final, if it is held back
    session: aiohttp.ClientSession | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests += 1
        wish = msgspec.json.decode(body)
        calls: list[Call] = wish if isinstance(wish, list) else [wish]
        kind = self._draw(calls, whole=isinstance(wish, list))
        try:
            return await self._answer(kind, calls, whole=isinstance(wish, list))
        except (_Cut, aiohttp.ClientError, OSError):  # a node that is down looks the same
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    def _draw(self, calls: list[Call], *, whole: bool) -> str | None:
        sends = any(call["method"] == "eth_sendRawTransaction" for call in calls)
        nonces = any(call["method"] == "eth_getTransactionCount" for call in calls)
        # Few requests send anything, and it is they that matter.
        if self.chance.random() >= min(1.0, self.rate * (3 if sends else 1)):
            return None
        wanted = SEND_FAULTS if sends and self.chance.random() < 0.8 else READ_FAULTS
        fitting = [
            kind
            for kind in self.kinds
            if kind in wanted
            and (kind not in _BATCHES_ONLY or (whole and len(calls) > 1))
            and ("nonce that" not in kind or nonces)
            and (kind != "head that lags" or not sends)
        ]
        if not fitting:
            return None
        # What has been drawn least goes first, so that short runs meet every kind, too.
        least = min(self.injected[kind] for kind in fitting)
        kind = self.chance.choice([kind for kind in fitting if self.injected[kind] <= least + 1])
        self.injected[kind] += 1
        return kind

    async def _answer(self, kind: str | None, calls: list[Call], *, whole: bool) -> web.StreamResponse:
        match kind:
            case "HTTP 429":
                return web.Response(status=429, text="Too Many Requests")
            case "HTTP 502":
                return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>")
            case "connection reset before the request":
                raise _Cut
            case "error -32000":
                return self._told([_error(call, -32000, "internal error") for call in calls], whole)
            case (
                "not sent: already known"
                | "not sent: nonce too low"
                | "not sent: replacement underpriced"
                | ("not sent: pool is full")
            ):
                return self._told([_error(call, *_REFUSALS[kind]) for call in calls], whole)
            case "slow answer":
                await asyncio.sleep(self.silence / 3)
            case "head that lags":
                calls = await self._behind(calls)
        answers = await self.forward(calls)
        match kind:
            case "connection reset after the request":
                raise _Cut
            case "sent, then silence":
                await asyncio.sleep(self.silence)
                raise _Cut
            case "sent, then an error":
                answers = [_error(call, -32603, "the upstream timed out") for call in calls]
            case "sent twice":
                answers = await self.forward(calls)
            case "sent, then dropped from the pool":
                for answer in answers:
                    if "result" in answer:
                        await self.ask("anvil_dropTransaction", answer["result"])
            case "nonce that is stale" | "nonce that is ahead":
                by = self.chance.randint(1, 4) * (-1 if kind == "nonce that is stale" else 1)
                answers = [_shifted(call, answer, by) for call, answer in zip(calls, answers, strict=True)]
            case "null for an answer":
                place = self.chance.randrange(len(answers))
                answers[place] = {"jsonrpc": "2.0", "id": calls[place]["id"], "result": None}
            case "answers out of order":
                self.chance.shuffle(answers)
            case "answer missing":
                del answers[self.chance.randrange(len(answers))]
            case "answer twice":
                answers.append(self.chance.choice(answers))
        if self.finality is not None:
            answers = await self._held_back(calls, answers)
        return self._told(answers, whole, kind)

    def _told(self, answers: list[Answer], whole: bool, kind: str | None = None) -> web.Response:
        body = msgspec.json.encode(answers if whole else answers[0])
        if kind == "body cut short":
            body = body[: self.chance.randrange(len(body))]
        elif kind == "body garbled":
            place = self.chance.randrange(len(body))
            body = body[:place] + self.chance.randbytes(9) + body[place + 9 :]
        return web.Response(body=body, content_type="application/json")

    async def forward(self, calls: list[Call]) -> list[Answer]:
        """The node's own answers, in the order of the calls."""
        assert self.session is not None
        async with self.session.post(self.node, data=msgspec.json.encode(calls)) as response:
            found: list[Answer] = msgspec.json.decode(await response.read())
        by_id = {answer["id"]: answer for answer in found}
        return [by_id[call["id"]] for call in calls]

    async def ask(self, method: str, *params: object) -> Any:
        """Of the node itself."""
        [answer] = await self.forward([{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}])
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def _behind(self, calls: list[Call]) -> list[Call]:
        """As a node answers that has not yet heard of the last blocks."""
        head = int(await self.ask("eth_blockNumber"), 16)
        older = hex(max(0, head - self.chance.randint(1, 4)))
        return [
            {**call, "params": [older if each == "latest" else each for each in call["params"]]}
            if call["method"] in _HEADS
            else call
            for call in calls
        ]

    async def _held_back(self, calls: list[Call], answers: list[Answer]) -> list[Answer]:
        told = []
        for call, answer in zip(calls, answers, strict=True):
            final = call["method"] == "eth_getBlockByNumber" and call["params"][0] == "finalized"
            held = await self.ask("eth_getBlockByNumber", hex(self.finality or 0), False) if final else None
            told.append({**answer, "result": held} if final else answer)
        return told


def _error(call: Call, code: int, message: str) -> Answer:
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}


def _shifted(call: Call, answer: Answer, by: int) -> Answer:
    if call["method"] != "eth_getTransactionCount" or "result" not in answer:
        return answer
    return {**answer, "result": hex(max(0, int(answer["result"], 16) + by))}


@asynccontextmanager
async def between(node: str, *, seed: int, **options: Any) -> AsyncIterator[Proxy]:
    """A proxy before `node`, served until the end of the block."""
    proxy = Proxy(node, random.Random(seed), **options)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/", proxy.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", proxy.port).start()
    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), headers=headers) as session:
        proxy.session = session
        try:
            yield proxy
        finally:
            await runner.cleanup()


def never(injected: Counter[str], kinds: tuple[str, ...]) -> list[str]:
    """The kinds that a run has not met: a test of them would prove nothing."""
    return [kind for kind in kinds if injected[kind] == 0]
