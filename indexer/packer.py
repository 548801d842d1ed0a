"""A process that packs answers while this one fetches and stores.

Answers are packed one after the other, each with what the one before made known. Small ones are packed here at once:
sending them would take longer. The process is started for the first large answer and ended by `close`; it ends itself
when ours is gone, even by kill -9 (an executor's would not: it holds both ends of its queues). If it dies the work is
done here.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

from indexer import pack
from indexer.pack import Packed
from indexer.project import Known
from indexer.source import Answer

LARGE: Final = 1_000_000
"""Bytes of JSON from which on an answer goes to the other process: some 1,500 logs, 10 ms."""


def collect_rarely() -> None:
    """Logs and rows hold no cycles; looking for some among a hundred thousand of them is most of the time (2x)."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


class Packer:
    """Close it when it is not needed for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # an answer that nobody waits for any more is packed to its end all the same
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    async def pack(self, answer: Answer, known: Known) -> Packed:
        """As `pack.pack`."""
        if len(answer.logs) >= LARGE:
            packed = await asyncio.to_thread(self._elsewhere, answer, known)
            if packed is not None:
                return packed
        return pack.pack(answer, known)

    def _elsewhere(self, answer: Answer, known: Known) -> Packed | None:
        """None if the other process died."""
        with self._lock:
            try:
                pipe = self._pipe or self._start()
                pipe.send((answer, known))
                outcome: Packed | Exception = pipe.recv()
            except (OSError, EOFError):
                self._end()
                return None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="packer", daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe

    async def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.terminate()
            self._process.join()
        self._pipe = self._process = None


def _serve(pipe: Connection, work: Callable[..., Packed] = pack.pack) -> None:
    """The other process: packs until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group, and our parent ends us
    collect_rarely()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            outcome: Packed | Exception = work(*task)
        except Exception as error:
            outcome = error
        pipe.send(outcome)
