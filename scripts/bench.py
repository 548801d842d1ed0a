"""`points bench`: purchases per second, end to end, on real parts, beside what the database alone would take.

Every run starts a network of its own in an empty folder and replays the same weeks: from the first HTTP request to the
last act in the mirror. The baseline, in the same run on the same server, is a bare durable COPY of the same purchases,
a thousand a transaction: nothing that keeps them can be faster.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from scripts import environment
from scripts.errors import CommandFailed
from scripts.node import tool
from scripts.replay.drive import replay
from scripts.replay.journey import Purchase, purchases_by_week

PACKAGES = ("fastapi", "uvicorn", "psycopg", "coincurve", "web3")
PORT, RPC_PORT = 8100, 8645


async def bench(console: Console, *, weeks: int, runs: int) -> None:
    """Prints each run's figures, then the medians."""
    _describe(console)
    purchases = [each for _, week in purchases_by_week(weeks) for each in week]
    table = Table(title=f"{len(purchases):,} purchases, {weeks} weeks, {runs} runs", title_justify="left")
    for column in ("run", "bare COPY, purchases/s", "end to end, purchases/s", "ratio"):
        table.add_column(column, justify="right")
    figures = []
    for run in range(1, runs + 1):
        bare, whole = await _run(weeks, purchases)
        figures.append((bare, whole))
        table.add_row(str(run), f"{bare:,.0f}", f"{whole:,.0f}", f"{whole / bare:.3f}")
    bare, whole = (statistics.median(column) for column in zip(*figures, strict=True))
    table.add_section()
    table.add_row("median", f"{bare:,.0f}", f"{whole:,.0f}", f"{whole / bare:.3f}")
    console.print(table)


def _describe(console: Console) -> None:
    node = subprocess.run([str(tool("anvil")), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    console.print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    console.print(", ".join(f"{name} {version(name)}" for name in PACKAGES) + f", {node.stdout.splitlines()[0]}")


async def _run(weeks: int, purchases: list[Purchase]) -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="points-bench-"))
    place = environment.Installation(folder / "data")
    process = await asyncio.to_thread(_start, folder, place)
    try:
        settings = environment.load(place)
        bare = await _copy(settings, purchases)
        tally = await replay(settings, place, Console(quiet=True), weeks=weeks)
        if not tally.equal:
            raise CommandFailed("The replay did not end with equal columns.")
        return bare, tally.purchases / tally.seconds
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _start(folder: Path, place: environment.Installation) -> subprocess.Popen[bytes]:
    """A fresh network, ready, with nothing in it."""
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    output = folder / "output"
    command = [sys.executable, "-m", "scripts.cli", "up", "--data", str(place.data), "--no-samples"]
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--port", str(PORT), "--rpc-port", str(RPC_PORT)], stdout=file, stderr=file
        )
    while b"Ready." not in output.read_bytes():
        if process.poll() is not None:
            raise CommandFailed(f"The network did not start:\n{output.read_text()}")
        time.sleep(0.2)
    return process


async def _copy(settings: Mapping[str, str], purchases: list[Purchase]) -> float:
    """Purchases per second of a bare COPY, committed durably every thousand."""
    async with await psycopg.AsyncConnection.connect(settings["POINTS_DATABASE_URL"]) as connection:
        await connection.execute("create table public.bare (merchant text, reference text unique, amount bigint)")
        await connection.commit()
        begun = time.monotonic()
        for start in range(0, len(purchases), 1_000):
            async with connection.cursor() as cursor, cursor.copy("copy public.bare from stdin") as copy:
                for each in purchases[start : start + 1_000]:
                    await copy.write_row((each.merchant, each.reference, each.amount))
            await connection.commit()
        return len(purchases) / (time.monotonic() - begun)
