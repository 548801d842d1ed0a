"""The process: what it prints, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from contracts import deployment
from contracts.rpc import to_hex
from tests.conftest import ROOT
from tests.indexer.network import Network

pytestmark = pytest.mark.asyncio


def start(command: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "indexer", command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_it_runs_until_told_to_stop_says_where_it_is_and_halts_with_three(
    database: str, network: Network, tmp_path: Path, unused_port: int
) -> None:
    deployment.save(network.deployment, tmp_path / "deployment.json")
    environment = {
        **os.environ,
        "POINTS_DATABASE_URL": database,
        "POINTS_RPC_URL": network.node.url,
        "POINTS_DEPLOYMENT": str(tmp_path / "deployment.json"),
        "POINTS_INDEXER_METRICS_PORT": str(unused_port),
    }
    token = await network.create("Grocery")
    await network.mine()
    number, tip = await network.head()
    running = start("run", environment)
    try:
        wait_for_block(database, number)
        assert "indexer_logs_total 2.0" in metrics(unused_port)
        after, _ = start("status", environment).communicate(timeout=20)
        lines = dict(line.split(" ", 1) for line in after.splitlines())
        assert (lines["tip"], lines["lag"], lines["programme"]) == (to_hex(tip), "0", "1")
    finally:
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=20)
    assert running.returncode == 0, log
    assert '"stopped"' in log
    await network.rpc.call("anvil_setCode", to_hex(token), "0x60015f5fa1")
    await network.send(token, b"")
    await network.mine()
    halting = start("run", environment)
    _, log = halting.communicate(timeout=20)
    assert halting.returncode == 3, log
    assert "unknown event" in log


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read(), "utf-8")


def wait_for_block(database: str, number: int) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(400):
            try:
                if connection.execute("select next_block from mirror.cursor").fetchone() == (number + 1,):
                    return
            except psycopg.errors.UndefinedTable:
                pass
            time.sleep(0.05)
    raise AssertionError(f"block {number} was not mirrored in 20 s")
