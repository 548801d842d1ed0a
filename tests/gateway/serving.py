"""The gateway as a process of its own, for tests of streams, of kills and of clients that are processes too."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from exchange.settings import Settings
from tests.conftest import ROOT, free_port
from tests.gateway.conftest import OPERATOR


def environment(settings: Settings, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "POINTS_DATABASE_URL": settings.database_url,
        "POINTS_DEPLOYMENT": str(settings.deployment),
        "POINTS_OPERATOR_API_KEY": OPERATOR,
        **more,
    }


class Gateways:
    """A gateway and its workers, always at the same address, that can be killed altogether and started again."""

    def __init__(self, settings: Settings, **more: str) -> None:
        self.settings, self.port, self.more = settings, free_port(), more
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        variables = environment(self.settings, POINTS_PORT=str(self.port), **self.more)
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-m", "exchange"], env=variables, cwd=ROOT, stdout=quiet, stderr=quiet
        )
        wait_for(self.port, seconds=120, process=self.process)

    @property
    def gone(self) -> bool:
        """It ends by itself if a worker is killed while it starts; whoever supervises it then starts it again."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """kill -9 of all of them."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            self._kill(psutil.Process(self.process.pid))
        self.process.wait()
        self.process = None

    def _kill(self, parent: psutil.Process) -> None:
        parent.suspend()  # or it would start another worker meanwhile
        workers = parent.children(recursive=True)
        parent.kill()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(workers, timeout=10)

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def serving(settings: Settings, **more: str) -> Iterator[str]:
    """The URL of a running gateway, at any port if `POINTS_PORT` does not say it."""
    port = int(more.pop("POINTS_PORT", 0)) or free_port()
    variables = environment(settings, POINTS_PORT=str(port), **more)
    process = subprocess.Popen([sys.executable, "-m", "exchange"], env=variables, cwd=ROOT)
    try:
        wait_for(port, seconds=120, process=process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_for(port: int, *, seconds: float = 30.0, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until something listens, or the process has ended."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process is not None and process.poll() is not None:
            return
        assert time.monotonic() < deadline, "nothing listens"
        time.sleep(0.05)


def points(settings: Settings, url: str, data: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """The `points` command against the gateway at `url`."""
    variables = environment(settings, POINTS_GATEWAY_URL=url, POINTS_DATA=str(data), COLUMNS="200", **more)
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", *arguments],
        env=variables, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
