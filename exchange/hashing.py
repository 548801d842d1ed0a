"""Argon2id for secrets that people can remember, beside the event loop: slow on purpose, so only so many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from exchange.errors import TooManyRequests

T = TypeVar("T")

AT_ONCE: Final = 2
"""Each takes 19 MiB and some 20 ms of a processor."""
WAITING: Final = 100


class Hashing:
    """One object a process, made with the application."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._nobodys = self._hasher.hash("nobody's")
        self._running = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, secret: bytes) -> str:
        """Raises `TooManyRequests`."""
        return await self._in_turn(lambda: self._hasher.hash(secret))

    async def matches(self, digest: str | None, secret: bytes) -> bool:
        """No without a digest, in the same time. Raises `TooManyRequests`."""

        def verify() -> bool:
            try:
                self._hasher.verify(self._nobodys if digest is None else digest, secret)
            except VerifyMismatchError:
                return False
            return digest is not None

        return await self._in_turn(verify)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING:
            raise TooManyRequests(1)
        self._waiting += 1
        try:
            async with self._running:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
