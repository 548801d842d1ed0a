"""A merchant's receiver of webhooks, as a real HTTP server that can fail in every way that receivers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

from tests.conftest import free_port


@dataclass
class Receiver:
    """Answers as `behaviour` says; what it was sent and took is in `taken`, everything in `seen`."""

    port: int = field(default_factory=free_port)
    behaviour: str = "take"
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    elsewhere: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def hook(self, request: web.Request) -> web.StreamResponse:
        message = (dict(request.headers), await request.read())
        self.seen.append(message)
        if self.behaviour == "hang":
            await asyncio.sleep(30)
        if self.behaviour == "redirect":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        if self.behaviour.isdigit():
            return web.Response(status=int(self.behaviour))
        if self.behaviour == "drop":
            assert request.transport is not None
            request.transport.close()
        self.taken.append(message)
        return web.Response(status=204)

    async def other(self, _: web.Request) -> web.StreamResponse:
        self.elsewhere += 1
        return web.Response()

    def events(self, secret: str) -> list[dict[str, Any]]:
        """What was taken, each verified by the specification's own library."""
        return [dict(Webhook(secret).verify(body, headers)) for headers, body in self.taken]


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    app = web.Application()
    app.router.add_post("/hook", receiver.hook)
    app.router.add_route("*", "/elsewhere", receiver.other)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()
