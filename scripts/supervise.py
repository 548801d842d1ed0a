"""Keeps processes alive: starts them, sends what they say to a log each, starts them again when they die, stops them.

Every child leads its own process group, so that Ctrl-C reaches the supervisor alone and the stop is in order. A child
that outlived a killed supervisor is found by its pid file and ended before a new one starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from scripts.errors import CommandFailed

log = structlog.get_logger(__name__)

STOP_SECONDS = 15.0
FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 5.0
HALTED = 3
"""The exit code of a process that needs a person: starting it again would change nothing."""


class NotReady(CommandFailed):
    """Raised when a process did not become ready in time; names its log."""


@dataclass(slots=True)
class Child:
    """One process. `command` is asked at every start, for it may depend on what is on disk by then."""

    name: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str]
    log: Path
    pid_file: Path
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    _keeper: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Starts the process and, until `stop`, starts it again whenever it ends."""
        end_leftover(self.pid_file)
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.name}")

    async def ready(self, check: Callable[[], Awaitable[bool]], *, seconds: float = 60.0) -> None:
        """Waits until `check` holds; raises `NotReady` when it does not, or as soon as the process keeps dying."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.restarts < 5:
            if await check():
                return
            await asyncio.sleep(0.1)
        raise NotReady(f"{self.name} did not become ready; the last lines of {self.log}:\n{self.tail()}")

    async def stop(self) -> None:
        """Asks the process to end, and ends it after `STOP_SECONDS`."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self.process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                log.warning("child.killed", name=self.name, after_seconds=STOP_SECONDS)
                _end_group(process.pid)
                await process.wait()
        self.pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    async def _spawn(self) -> None:
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self.process.pid} {time.time()}\n")

    async def _keep(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            assert self.process is not None  # noqa: S101  (started before it is kept)
            begun = time.monotonic()
            code = await self.process.wait()
            _end_group(self.process.pid)  # workers that a killed parent left would hold its port
            if code == HALTED:
                log.error("child.halted", name=self.name, log=str(self.log), last_words=self.tail(2))
                return
            if time.monotonic() - begun > 10:
                backoff = FIRST_BACKOFF
            self.restarts += 1
            log.warning("child.ended", name=self.name, code=code, restart_in_seconds=backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)
            await self._spawn()


def end_leftover(pid_file: Path) -> None:
    """Ends the process that a killed supervisor left behind, if the pid is still that very process."""
    try:
        pid, created = pid_file.read_text().split()
        process = psutil.Process(int(pid))
        if abs(process.create_time() - float(created)) < 2:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        _end_group(int(pid))
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, ProcessLookupError):
        pass  # nothing was left behind
    pid_file.unlink(missing_ok=True)


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
