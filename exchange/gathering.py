"""What is cheaper done together: whoever asks while a round is under way is in the next one.

Somebody who asks alone is served at once; the more ask, the larger the rounds, up to a bound, and beyond another bound
nobody is let in. A round costs as much as several askers more in it, so after a round of several the next waits until a
set time has passed since that one began: a machine that is half busy must not spend the other half on small rounds. A
round answers each of its askers alone, with a result or a refusal; if it fails as a whole they all learn why. An asker
that gave up before its round began was never there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

from exchange.errors import Overloaded

Asked = TypeVar("Asked")
Result = TypeVar("Result")


class Gathering(Generic[Asked, Result]):
    """Rounds of at most `most`, one after the other for each group; at most `room` wait in all.

    `work` answers a round: results or exceptions, in the order in which it was asked. `apart` is the least time between
    the beginning of a round of several and that of the next of its group, in seconds.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Asked]], Awaitable[Sequence[Result | Exception]]],
        *,
        most: int = 100,
        room: int = 2_000,
        apart: float = 0.0,
    ) -> None:
        self._work = work
        self._most = most
        self._room = room
        self._apart = apart
        self._asked = 0
        self._groups: dict[Hashable, deque[tuple[Asked, asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked, *, group: Hashable = None) -> Result:
        """Raises what the round has for this asker, or `Overloaded`."""
        if self._asked >= self._room:
            raise Overloaded("More requests wait for their turn than can be served soon.")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if group in self._groups:
            self._groups[group].append((asked, answer))
        else:
            self._groups[group] = deque([(asked, answer)])
            # In a context of its own: a round is nobody's request.
            task = asyncio.get_running_loop().create_task(self._rounds(group), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._asked += 1
        try:
            return await answer
        finally:
            self._asked -= 1

    async def _rounds(self, group: Hashable) -> None:
        waiting, clock = self._groups[group], asyncio.get_running_loop().time
        try:
            while waiting:
                begun, several = clock(), len(waiting) > 1
                await self._round([waiting.popleft() for _ in range(min(self._most, len(waiting)))])
                if several and (early := begun + self._apart - clock()) > 0:
                    await asyncio.sleep(early)
        finally:
            del self._groups[group]
            for _, answer in waiting:
                answer.cancel()

    async def _round(self, everybody: Sequence[tuple[Asked, asyncio.Future[Result]]]) -> None:
        present = [(asked, answer) for asked, answer in everybody if not answer.done()]
        results: Sequence[Any]
        try:
            results = await self._work([asked for asked, _ in present])
        except Exception as error:
            results = [error] * len(present)
        except BaseException:
            for _, answer in present:
                answer.cancel()
            raise
        for (_, answer), result in zip(present, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
