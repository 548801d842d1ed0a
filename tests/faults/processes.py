"""Real processes that are killed and started again within milliseconds, and a PostgreSQL whose postmaster can be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from scripts import postgres
from tests.conftest import ROOT

KILLED = -signal.SIGKILL


@dataclass
class Zygote:
    """Forks programs (`tests/faults/zygote.py`); `ended` has the exit code of each that is no more."""

    process: asyncio.subprocess.Process
    ended: dict[int, int] = field(default_factory=dict)
    _born: deque[asyncio.Future[int]] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, module: str, *arguments: str, environment: dict[str, str], log: Path) -> int:
        wish = {"module": module, "arguments": arguments, "environment": environment, "log": str(log)}
        born: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._born.append(born)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wish).encode() + b"\n")
        await self.process.stdin.drain()
        return await born

    async def end_of(self, pid: int) -> int:
        """Waits for it; the exit code, negative for a signal."""
        while pid not in self.ended:
            self._changed.clear()
            await self._changed.wait()
        return self.ended[pid]

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            said: dict[str, int] = json.loads(line)
            if "pid" in said:
                born = self._born.popleft()
                if not born.done():  # whoever wanted it was cancelled
                    born.set_result(said["pid"])
            else:
                self.ended[said["ended"]] = said["code"]
                self._changed.set()


@asynccontextmanager
async def forking() -> AsyncIterator[Zygote]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.zygote", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    zygote = Zygote(process)
    listening = asyncio.create_task(zygote.listen())
    try:
        yield zygote
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


@dataclass
class Program:
    """One of ours, kept alive: whatever ends it, it is started again, at once.

    `arm` says before each start at which crash point the process is to die, if at one. A program that ends by itself,
    and not by a kill, is a bug: `failure` then holds its last words.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    zygote: Zygote
    arm: Callable[[], str | None] = lambda: None
    pause: float = 0.0  # before it is started again
    pid: int = 0
    armed: str | None = None
    kills: Counter[str] = field(default_factory=Counter)  # by what: "at random", or a crash point
    failure: str | None = None
    _ours: set[int] = field(default_factory=set)

    async def start(self) -> None:
        self.armed = self.arm()
        environment = {"PATH": os.environ["PATH"], **self.environment}
        if self.armed is not None:
            environment["POINTS_CRASH_AT"] = self.armed
        self.pid = await self.zygote.start(self.module, *self.arguments, environment=environment, log=self.log)

    async def keep(self) -> None:
        """Until cancelled, or until it ends otherwise than by a kill."""
        while True:
            code = await self.zygote.end_of(self.pid)
            if code != KILLED:
                self.failure = f"{self.name} ended with {code}:\n{self.tail()}"
                return
            by_us = self.pid in self._ours
            self.kills["at random" if by_us else (self.armed or "?").partition("#")[0]] += 1
            await asyncio.sleep(self.pause)
            await self.start()

    def kill(self) -> bool:
        """kill -9, if it lives; whether it did."""
        if self.pid in self.zygote.ended:
            return False
        self._ours.add(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return True

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


@dataclass
class Postgres:
    """A server of one's own, on a socket in its folder. It skips fsync: a kill is no power cut."""

    data: Path
    server: Any
    admin: str  # of the server's first database
    process: subprocess.Popen[bytes] | None = None
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        """Of the database `world`."""
        return urlunsplit(urlsplit(self.admin)._replace(path="/world"))

    @property
    def postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    async def kill(self) -> None:
        """kill -9 of the postmaster, and a new one as soon as the old one's memory is free: crash recovery."""
        await self._end("kill -9", signal.SIGKILL)

    async def restart(self) -> None:
        """`pg_ctl restart -m immediate`: no checkpoint, crash recovery."""
        await self._end("immediate", signal.SIGQUIT)

    async def _end(self, how: str, number: signal.Signals) -> None:
        old = psutil.Process(self.postmaster)
        children = old.children()
        old.send_signal(number)
        while any(_lives(each) for each in (old, *children)):  # noqa: ASYNC110 - nobody tells us of its end
            await asyncio.sleep(0.005)
        if self.process is not None:
            self.process.wait()
        self.kills[how] += 1
        await self.start()

    async def start(self) -> None:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        program = self.server.bin_path / "postgres"
        with (self.data / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it lives on
                [str(program), "-D", str(self.data), "-k", str(self.folder), "-h", ""],
                user=self.server.system_user, cwd="/", stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self.admin, connect_timeout=2):
                    return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.data / "log").read_text()[-2000:]
                if self.process.poll() is not None:  # the old one's shared memory was still there
                    return await self.start()
                await asyncio.sleep(0.02)

    @property
    def folder(self) -> Path:
        return Path(str(self.server.get_postmaster_info().socket_dir))

    async def read_only(self, seconds: float = 0.6) -> None:
        """Every write fails for a while and reads go on, in all sessions: a full disk without filling one."""
        for state in ("on", "off"):
            async with await psycopg.AsyncConnection.connect(self.admin, autocommit=True) as connection:
                # Whoever has begun goes on; whoever begins cannot write.
                await connection.execute(f"alter system set default_transaction_read_only = {state}".encode())
                await connection.execute("select pg_reload_conf()")
            if state == "on":
                await asyncio.sleep(seconds)

    async def terminate_backends(self, *, idle_in_transaction: bool = False) -> int:
        """How many sessions of others were ended by `pg_terminate_backend`."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            cursor = await connection.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend' and (state like %s)",
                ("idle in transaction%" if idle_in_transaction else "%",),
            )
            row = await cursor.fetchone()
        ended = 0 if row is None else int(row[0])
        self.kills["idle in transaction" if idle_in_transaction else "backends"] += ended
        return ended


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: whoever inherited it may take seconds to notice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextlib.contextmanager
def own_postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="points-faults-pg-"))
    folder.chmod(0o755)
    data = folder / "data"
    server: Any = postgres.start(data, folder)
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync = off", "max_connections = 200", "checkpoint_timeout = '30s'", "max_wal_size = '256MB'"):
            connection.execute(f"alter system set {setting}".encode())
    server._stop()
    made = Postgres(data, server, url)
    try:
        asyncio.run(made.start())
        yield made
    finally:
        psutil.Process(made.postmaster).send_signal(signal.SIGINT)
        if made.process is not None:
            made.process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
