"""The whole network as its users run it: `points up` in a folder of its own, on ports of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil

from scripts import environment
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
POINTS = [sys.executable, "-m", "scripts.cli"]


@dataclass
class Network:
    """A running `points up`. Its output is in `output`, each process's in `data/logs`."""

    data: Path
    port: int = field(default_factory=free_port)
    rpc_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.rpc_port}"

    @property
    def output(self) -> Path:
        return self.data.parent / "output"

    @property
    def settings(self) -> Mapping[str, str]:
        return environment.load(environment.Installation(self.data))

    def start(self, *arguments: str, seconds: float = 180.0) -> None:
        """Until it says that it is ready."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *POINTS, "up", "--data", str(self.data), "--port", str(self.port), "--rpc-port", str(self.rpc_port),
                    *arguments,
                ],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                env={name: value for name, value in os.environ.items() if not name.startswith("POINTS_")},
            )  # fmt: skip
        deadline = time.monotonic() + seconds
        while b"Ready." not in self.output.read_bytes():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def points(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*POINTS, *arguments, "--data", str(self.data)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def pid(self, name: str) -> int:
        return int((self.data / "run" / f"{name}.pid").read_text().split()[0])

    def kill(self, name: str) -> None:
        """kill -9 of one process; PostgreSQL's is its postmaster."""
        if name == "postgres":
            pid = int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])
        else:
            pid = self.pid(name)
        psutil.Process(pid).kill()

    def partner(self, slug: str) -> Mapping[str, str]:
        """A sample merchant's id, programme and API key."""
        found: dict[str, dict[str, str]] = json.loads((self.data / "merchants.json").read_text())
        return found[slug]

    def get(self, path: str, *, key: str | None = None) -> Any:
        answer = httpx.get(self.url + path, headers=_authorization(key), timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object, *, key: str, once: str) -> httpx.Response:
        headers = {**_authorization(key), "idempotency-key": once}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=20)


def _authorization(key: str | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}
