"""A chain's nodes over JSON-RPC, as the auditor asks them: reads only, so whatever got lost is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import msgspec

from contracts.errors import NodeError, RateLimited, Unavailable
from contracts.rpc import Call, Rpc

CALLS_AT_ONCE: Final = 100
"""In one HTTP request; public nodes take no more."""

WAITS: Final = (0.5, 2.0, 8.0)
"""Seconds before a question is asked again."""


class Endpoint:
    """One node at `url`; use as an async context manager. What it refuses is an error, what it loses is asked again."""

    def __init__(self, url: str, *, timeout: float = 60.0, waits: Sequence[float] = WAITS) -> None:
        self.url = url
        self._rpc = Rpc(url, timeout=timeout)
        self._waits = waits

    async def __aenter__(self) -> Self:
        await self._rpc.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rpc.__aexit__(kind, error, trace)

    async def ask(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        """The results, undecoded, in the order of the calls. Raises `ChainError`, for one that fails as for all."""
        parts = [calls[start : start + CALLS_AT_ONCE] for start in range(0, len(calls), CALLS_AT_ONCE)]
        return [result for part in parts for result in await self._part(part)]

    async def _part(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        for wait in self._waits:
            try:
                return await self._once(calls)
            except (Unavailable, RateLimited):
                await asyncio.sleep(wait)
        return await self._once(calls)

    async def _once(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        results: list[msgspec.Raw] = []
        for outcome in await self._rpc.batch_raw(calls):
            if isinstance(outcome, NodeError):
                raise outcome
            results.append(outcome)
        return results
