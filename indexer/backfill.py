"""Many blocks at once, in order: some requests ahead, one answer being packed, one stretch handed over to be stored.

Ranges are as large as the node grants and as its answers stay of a size that it serves fast (`window`). A stretch that
creates a programme is asked for again with the new address, and so is all that was asked ahead of it: no log of ours is
missed, not even one of the block that created its contract.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Final

from contracts.errors import RangeTooLarge, RateLimited, Unavailable
from indexer import source, window
from indexer.errors import Inconsistent, Unprojectable
from indexer.metrics import Metrics
from indexer.pack import CreatedError, Packed
from indexer.packer import Packer
from indexer.project import Known
from indexer.source import Answer, Node

AHEAD: Final = 3
"""Requests in flight: more do not make a node faster, and each takes some 10 MB."""


@dataclass(slots=True)
class Reader:
    """How blocks are read. `width` is how many the next request asks for, as learnt from those before."""

    node: Node
    metrics: Metrics
    packer: Packer = field(default_factory=Packer)
    width: int = 10


async def stretches(reader: Reader, *, first: int, last: int, known: Known) -> AsyncGenerator[Packed, None]:
    """Consecutive stretches from block `first` to `last`. Close it (`aclosing`) if it is left early."""
    queue = _Queue(reader, first, last, known)
    ahead = asyncio.create_task(queue.next(known))
    try:
        while True:
            packed = await ahead
            if packed.last.number < last:
                ahead = asyncio.create_task(queue.next(packed.known))
            yield packed
            if packed.last.number >= last:
                return
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
        await queue.forget()


class _Queue:
    """Answers in order, some of them still under way."""

    def __init__(self, reader: Reader, first: int, last: int, known: Known) -> None:
        self.reader, self.reach, self.last, self.known = reader, first, last, known
        self.asked: deque[asyncio.Task[list[Answer]]] = deque()
        self.come: deque[Answer] = deque()

    async def next(self, known: Known) -> Packed:
        """The next stretch, packed, when `known` is what all before made known."""
        reader = self.reader
        answer = await self._answer()
        first, last = answer.blocks[0].number, answer.blocks[-1].number
        while True:
            try:
                packed = await self._packed(answer, known)
                break
            except CreatedError as error:
                # Nothing that was asked so far names what was created here.
                await self.forget()
                self.known, self.reach = replace(self.known, programmes=error.args[0]), last + 1
                answer = await source.ask(reader.node, first=first, last=last, known=self.known)
            except Unprojectable as error:
                # A node that left logs out is asked again; what it says twice is the chain's word.
                again = await source.ask(reader.node, first=first, last=last, known=self.known)
                if again == answer:
                    raise
                raise Inconsistent(f"the node answers otherwise when asked again: {error}") from error
        await source.require_none_left_out(reader.node, packed.silent, self.known)
        reader.width = window.grown(reader.width, blocks=len(packed.blocks), logs=packed.logs)
        return packed

    async def _answer(self) -> Answer:
        if not self.come:
            self._ask()
            task = self.asked.popleft()
            started = time.perf_counter()
            try:
                self.come += await task
            finally:
                task.cancel()
            self.reader.metrics.stage_seconds.labels("fetch").inc(time.perf_counter() - started)
            self._ask()
        return self.come.popleft()

    async def _packed(self, answer: Answer, known: Known) -> Packed:
        started = time.perf_counter()
        packed = await self.reader.packer.pack(answer, known)
        self.reader.metrics.stage_seconds.labels("project").inc(time.perf_counter() - started)
        return packed

    def _ask(self) -> None:
        while len(self.asked) < AHEAD and self.reach <= self.last:
            last = min(self.reach + self.reader.width - 1, self.last)
            self.asked.append(asyncio.create_task(self._fetch(self.reach, last)))
            self.reach = last + 1

    async def _fetch(self, first: int, last: int) -> list[Answer]:
        """These blocks, in as many answers as the node wants to give them in."""
        reader = self.reader
        try:
            return [await source.ask(reader.node, first=first, last=last, known=self.known)]
        except (RangeTooLarge, RateLimited, Unavailable) as error:
            if first == last:
                raise
            reader.width = min(reader.width, window.shrunk(last - first + 1))
            if not isinstance(error, RangeTooLarge):
                raise  # it may have been too much for the node, or the node is away: the next try asks for less
            reader.metrics.retries.labels(type(error).__name__).inc()
        middle = (first + last) // 2
        return [*await self._fetch(first, middle), *await self._fetch(middle + 1, last)]

    async def forget(self) -> None:
        """Gives up what is under way."""
        for task in self.asked:
            task.cancel()
        await asyncio.gather(*self.asked, return_exceptions=True)
        self.asked.clear()
        self.come.clear()
