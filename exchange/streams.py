"""How many long answers are given at a time: each holds memory, and some a connection to the database.

One object a process, made with the application. Pure but for its counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from exchange.errors import TooManyStreams

STATEMENTS: Final = 2
"""Each holds a database connection of the process's pool."""
FEEDS: Final = 200
FEEDS_OF_ONE: Final = 5


class Streams:
    def __init__(self) -> None:
        self._open: Counter[Hashable] = Counter()

    @contextmanager
    def statement(self) -> Iterator[None]:
        with self._one("statements", STATEMENTS):
            yield

    @contextmanager
    def feed(self, holder: bytes) -> Iterator[None]:
        with self._one("feeds", FEEDS), self._one(holder, FEEDS_OF_ONE):
            yield

    @contextmanager
    def _one(self, name: Hashable, most: int) -> Iterator[None]:
        """Raises `TooManyStreams`."""
        if self._open[name] >= most:
            raise TooManyStreams(f"{most} of this kind are open already.")
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
