"""What of a request is not even read: a body beyond a bound, before it fills the memory, and an address with a NUL,
which no text in PostgreSQL can hold. Pure ASGI."""

from __future__ import annotations

import contextlib
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.api.problems import respond
from exchange.errors import InvalidRequest, RequestTooLarge

LARGEST_BODY: Final = 4 * 1024 * 1024
"""A thousand purchases are a third of a megabyte."""


class _TooLarge(Exception):
    """When a body without a length goes on beyond the bound."""


class Bounded:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            refused = InvalidRequest("The address has a NUL character.")
            await respond(refused)(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            await self._refuse(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                raise _TooLarge
            return message

        async def unless_refused(message: Message) -> None:
            # The application answers a body that it cannot read in its own way; ours says why.
            if read <= LARGEST_BODY:
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self.app(scope, counted, unless_refused)
        if read > LARGEST_BODY:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = RequestTooLarge(f"The body is larger than {LARGEST_BODY} bytes.")
        await respond(error, {"Connection": "close"})(scope, receive, send)
