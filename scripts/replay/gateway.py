"""A client of the gateway that survives it: every request may be repeated, so a dead or busy gateway is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp

from scripts.errors import CommandFailed

PATIENCE_SECONDS = 600.0


class Refused(CommandFailed):
    """Raised when the gateway answers with a problem. `slug` is the last part of its type."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.slug = str(problem.get("type", "")).rpartition(":")[2]
        super().__init__(f"{status} {self.slug}: {problem.get('detail', problem)} {problem.get('action', '')}".strip())


class GatewayGone(CommandFailed):
    """Raised when the gateway did not come back within `PATIENCE_SECONDS`."""


class Gateway:
    """The gateway at `url`. Every post carries an idempotency key, so that repeating it is harmless."""

    def __init__(self, url: str, *, waiting: Callable[[str], None] = lambda _: None) -> None:
        """`waiting` is told, once for each time, that the gateway does not answer and is waited for."""
        self._url = url
        self._waiting = waiting
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None  # noqa: S101
        await self._session.close()

    async def get(self, path: str, *, key: str | None = None) -> Any:
        return await self._request("GET", path, key=key)

    async def put(self, path: str, body: object, *, key: str) -> Any:
        return await self._request("PUT", path, key=key, body=body)

    async def post(self, path: str, body: object, *, key: str, once: str | None) -> Any:
        """`once` is the idempotency key; None where the request names what it creates."""
        return await self._request("POST", path, key=key, body=body, once=once)

    async def _request(
        self, method: str, path: str, *, key: str | None = None, body: object = None, once: str | None = None
    ) -> Any:
        assert self._session is not None  # noqa: S101
        headers = {"authorization": f"Bearer {key}"} if key else {}
        if once:
            headers["idempotency-key"] = once
        deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.1
        while True:
            try:
                async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
                    if answer.status != 503:
                        content = await answer.json(content_type=None)
                        if answer.status < 400:
                            return content
                        refused = Refused(answer.status, content)
                        if refused.slug != "request-in-flight":
                            raise refused
            except (aiohttp.ClientError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise GatewayGone(f"{self._url} has not answered for {PATIENCE_SECONDS:.0f} s: {error}") from error
            if time.monotonic() > deadline:
                raise GatewayGone(f"{self._url} has been unavailable for {PATIENCE_SECONDS:.0f} s")
            if pause > 1:
                self._waiting(f"{self._url} does not answer; waiting for it")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
