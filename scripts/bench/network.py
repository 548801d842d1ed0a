"""A network of a benchmark's own: `points up` in an empty folder, and what its processes take of the machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console

from scripts import environment
from scripts.environment import Installation
from scripts.errors import CommandFailed
from scripts.samples import Partner, enrol_samples

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0

PARTS: Final = ("gateway", "relayer", "indexer", "chain", "postgres")

UNLIMITED: Final = {"POINTS_KEY_RATE": "0", "POINTS_ADDRESS_RATE": "0"}
"""A benchmark is a single caller that asks as often as it can."""


@dataclass(frozen=True, slots=True)
class Network:
    """A running network with nothing in it, and its settings."""

    place: Installation
    settings: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.settings["POINTS_GATEWAY_URL"]

    @property
    def rpc_url(self) -> str:
        return self.settings["POINTS_RPC_URL"]

    @property
    def database_url(self) -> str:
        return self.settings["POINTS_DATABASE_URL"]

    async def partners(self) -> dict[str, Partner]:
        """The sample merchants, enrolled with a key each; by slug."""
        return await enrol_samples(self.settings, self.place, Console(quiet=True))

    def processor_seconds(self) -> dict[str, float]:
        """What each part has used so far, in user and system mode, its ended children included."""
        return {part: sum(_seconds(process) for process in self._processes(part)) for part in PARTS}

    def resident(self, part: str) -> float:
        """Megabytes that the part holds in memory. Not for PostgreSQL, whose processes share most of theirs."""
        return float(sum(process.memory_info().rss for process in self._processes(part))) / 1e6

    def _processes(self, part: str) -> list[psutil.Process]:
        file = self.place.postgres / "postmaster.pid" if part == "postgres" else self.place.run / f"{part}.pid"
        root = psutil.Process(int(file.read_text().split()[0]))
        return [root, *root.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # its parent counts it from now on
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@asynccontextmanager
async def network(*, workers: int = 2) -> AsyncIterator[Network]:
    """Started from nothing, without samples, on free ports; removed when left."""
    folder = await asyncio.to_thread(_folder)
    place = Installation(folder / "data")
    process = await asyncio.to_thread(_start, folder, place, workers)
    try:
        yield Network(place, environment.load(place))
    finally:
        await asyncio.to_thread(_stop, process)
        shutil.rmtree(folder)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="points-bench-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    return folder


def _start(folder: Path, place: Installation, workers: int) -> subprocess.Popen[bytes]:
    output = folder / "output"
    command = [sys.executable, "-m", "scripts.cli", "up", "--data", str(place.data), "--no-samples"]
    ports = ["--port", str(free_port()), "--rpc-port", str(free_port()), "--workers", str(workers)]
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603
            [*command, *ports], stdout=file, stderr=file, start_new_session=True, env={**os.environ, **UNLIMITED}
        )
    deadline = time.monotonic() + START_SECONDS
    while b"Ready." not in output.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            _stop(process)
            raise CommandFailed(f"The network did not start:\n{output.read_text()}")
        time.sleep(0.2)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    """In order; what does not stop is ended with everything that it started."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
