"""The gateway as a process of its own, for tests of streams, of kills and of clients that are processes too."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def serving(settings: Settings, *, port: int | None = None, **more: str) -> Iterator[str]:
    """The URL of a running gateway, at any port if it is not said."""
    port = free_port() if port is None else port
    variables = environment(settings, POINTS_PORT=str(port), **more)
    process = subprocess.Popen([sys.executable, "-m", "exchange"], env=variables, cwd=ROOT)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_for(port: int, *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
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
