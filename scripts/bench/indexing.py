"""A million transfers from a chain to SQL, cold, beside Ponder; and how soon a block is in SQL once the node has it.

Both index the same transfers of the same node into the same PostgreSQL server, each into a database of its own, one
after the other, and both end with the same balances. Ours has besides them the feed of both sides of each transfer,
the batches, supplies, and every block's hash. The chain is built once for all rounds.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
import psutil
import psycopg

from contracts import bindings, deployment
from contracts.deployment import Deployment
from contracts.rpc import Rpc, from_hex, from_quantity, to_hex, to_quantity
from scripts import node, postgres
from scripts.bench import longchain
from scripts.bench.bench import Bench
from scripts.bench.figures import Baseline, Figure, Goal, percentile
from scripts.bench.network import free_port
from scripts.errors import CommandFailed

EVENTS: Final = 1_000_000
BLOCKS: Final = 120
"""Blocks of a second, with a thousand transfers each, whose way to SQL is timed."""

BATCHES: Final = 5
"""In each of those blocks."""

LOOK: Final = 0.005
PATIENCE: Final = 1800.0
PONDER: Final = Path(__file__).parent / "ponder"

Sql = psycopg.AsyncConnection[Any]


@dataclass(slots=True)
class Cold:
    """One cold run. Seconds are from the start of the program to the last row's commit; memory is MB."""

    events: int
    seconds: float
    peak: float
    end: float
    database: float  # processor seconds of PostgreSQL
    own: float  # processor seconds of the indexer
    balances: tuple[int, int]  # how many, and their sum

    @property
    def rate(self) -> float:
        return self.events / self.seconds


@dataclass(slots=True)
class Head:
    """The way of new blocks. Milliseconds; MB."""

    waits: list[float] = field(default_factory=list)
    peak: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round happens."""

    rpc_url: str
    tip: int
    tip_hash: bytes
    server: psutil.Process
    database_url: str
    folder: Path
    deployed: Deployment


async def measure(bench: Bench) -> list[Figure]:
    events = max(1000, bench.scaled(EVENTS) // 1000 * 1000)
    folder = Path(tempfile.mkdtemp(prefix="points-bench-index-"))
    folder.chmod(0o755)  # noqa: ASYNC240 - PostgreSQL runs as a user of its own
    ours: list[Cold] = []
    theirs: list[Cold] = []
    heads: list[Head] = []
    try:
        chain = await _chain(bench, folder, events)
        with _server(folder) as (url, server):
            for number in range(1, bench.rounds + 1):
                async with _node(chain) as rpc, Rpc(rpc, timeout=120) as asked:
                    block = await asked.call("eth_getBlockByNumber", "latest", False)
                    tip, tip_hash = from_quantity(block["number"]), bytes.fromhex(block["hash"][2:])
                    deployed = deployment.load(chain / "deployment.json")
                    place = Place(rpc, tip, tip_hash, server, url, folder, deployed)
                    ours.append(await _ours(place, events))
                    bench.say(f"round {number}: ours {ours[-1].rate:,.0f} events/s")
                    if installed():
                        theirs.append(await _theirs(place, events))
                        bench.say(f"round {number}: Ponder {theirs[-1].rate:,.0f} events/s")
                        if theirs[-1].balances != ours[-1].balances:
                            raise CommandFailed(f"Ponder has other balances: {theirs[-1].balances}")
                    heads.append(await _head(place, asked, events, max(5, bench.scaled(BLOCKS))))
                    bench.say(f"round {number}: a block is in SQL after {percentile(heads[-1].waits, 50):.0f} ms")
    finally:
        shutil.rmtree(folder)
    if not theirs:
        bench.say("Ponder is not installed: `make bench-index` installs it")
    return _figures(ours, theirs, heads)


def _figures(ours: list[Cold], theirs: list[Cold], heads: list[Head]) -> list[Figure]:
    def beside(name: str) -> Baseline | None:
        return Baseline(_ponder(), [getattr(cold, name) for cold in theirs]) if theirs else None

    eight = Goal("at least", 8, times_baseline=True) if theirs else None
    return [
        Figure("cold to SQL with balances and feed", "events/s", [cold.rate for cold in ours], beside("rate"), eight),
        Figure(
            *("memory, with child processes, peak", "MB", [cold.peak for cold in ours]),
            *(beside("peak"), Goal("at most", 400)),
        ),
        Figure("memory when done", "MB", [cold.end for cold in ours], beside("end")),
        Figure("processor time", "s", [cold.own for cold in ours], beside("own")),
        Figure("PostgreSQL, processor time", "s", [cold.database for cold in ours], beside("database")),
        Figure("a block in SQL after the node has it, median", "ms", [percentile(head.waits, 50) for head in heads]),
        Figure(
            *("a block in SQL after the node has it, p99", "ms", [percentile(head.waits, 99) for head in heads]),
            goal=Goal("at most", 150),
        ),
        Figure("memory while following, peak", "MB", [head.peak for head in heads]),
    ]


def installed() -> bool:
    return (PONDER / "node_modules" / "ponder").is_dir()


def _ponder() -> str:
    text = (PONDER / "node_modules" / "ponder" / "package.json").read_bytes()
    version = msgspec.json.decode(text)["version"]
    return f"Ponder {version}, transfers and balances"


async def _chain(bench: Bench, folder: Path, events: int) -> Path:
    """Where the chain's state and deployment are: built now, or already in BENCH_CHAIN (of as many events)."""
    given = os.environ.get("BENCH_CHAIN")
    if given is not None:
        return Path(given)
    bench.say(f"building a chain of {events:,} transfers")
    await longchain.build(folder / "chain", events)
    return folder / "chain"


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A PostgreSQL of the benchmark's own, as the wheel configures it."""
    run = folder / "run"
    run.mkdir()
    server = postgres.start(folder / "postgres", run)
    try:
        yield server.get_uri(), psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
    finally:
        server.cleanup()


@asynccontextmanager
async def _node(chain: Path) -> AsyncIterator[str]:
    """The chain's node, alone, from its saved state; no block is mined before it is told to."""
    port = free_port()
    process = subprocess.Popen(longchain.command(port, "--load-state", str(chain / "state.json")))  # noqa: ASYNC220, S603
    url = f"http://127.0.0.1:{port}"
    try:
        async with Rpc(url, timeout=120) as rpc:
            await longchain.ready(rpc)
        yield url
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def _program(
    command: list[str], environment: Mapping[str, str], *, cwd: Path, log: Path
) -> AsyncIterator[psutil.Process]:
    """Runs it, and ends it with everything that it started."""
    with log.open("wb") as file:
        environment = {**node.with_node(), **environment}
        process = psutil.Popen(command, cwd=cwd, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        yield process
        if process.poll() is not None:
            raise CommandFailed(f"It ended:\n{log.read_text()[-2000:]}")  # noqa: ASYNC240
    finally:
        with suppress(psutil.NoSuchProcess):
            family = [process, *process.children(recursive=True)]
            process.terminate()
            _, alive = await asyncio.to_thread(psutil.wait_procs, family, 10)
            for left in alive:
                left.kill()


def resident(process: psutil.Process) -> float:
    """MB of a process and its children."""
    return sum(_each(process, lambda one: one.memory_info().rss)) / 1e6


def processor(process: psutil.Process) -> float:
    """Seconds of a process and its children, those that ended included."""

    def seconds(one: psutil.Process) -> float:
        times = one.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    return sum(_each(process, seconds))


def _each(process: psutil.Process, ask: Callable[[psutil.Process], float]) -> list[float]:
    found = []
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            found.append(ask(one))
    return found


@asynccontextmanager
async def _database(place: Place, name: str) -> AsyncIterator[tuple[str, Sql]]:
    """An empty database, and a connection to it; dropped when left."""
    async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as admin:
        await admin.execute(f"drop database if exists {name} with (force)".encode())
        await admin.execute(f"create database {name}".encode())
        await admin.execute("checkpoint")
        url = urlunsplit(urlsplit(place.database_url)._replace(path=f"/{name}"))
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                yield url, connection
        finally:
            await admin.execute(f"drop database {name} with (force)".encode())


async def _cold(
    place: Place, process: psutil.Process, begun: float, events: int, done: Callable[[], Awaitable[bool]]
) -> Cold:
    """Watches until `done`. The balances are for the caller to fill in."""
    database = processor(place.server)
    peak = 0.0
    while not await done():
        peak = max(peak, resident(process))
        if time.monotonic() > begun + PATIENCE:
            raise CommandFailed(f"Not done after {PATIENCE:.0f} s.")
        if process.poll() is not None:
            raise CommandFailed("It ended before it was done.")
        await asyncio.sleep(0.1)
    seconds, end = time.monotonic() - begun, resident(process)
    used = processor(place.server) - database
    return Cold(events, seconds, max(peak, end), end, used, processor(process), (0, 0))


def _indexer(place: Place, url: str) -> tuple[list[str], dict[str, str]]:
    settings = {
        "POINTS_DATABASE_URL": url,
        "POINTS_RPC_URL": place.rpc_url,
        "POINTS_DEPLOYMENT": str(place.folder / "deployment.json"),
    }
    return [sys.executable, "-m", "indexer", "run"], settings


async def _tip(connection: Sql) -> tuple[int, bytes] | None:
    """The mirror's newest block; None before there is a mirror."""
    try:
        found = await (await connection.execute("select next_block - 1, tip from mirror.cursor")).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return None if found is None else (found[0], found[1])


async def _ours(place: Place, events: int) -> Cold:
    deployment.save(place.deployed, place.folder / "deployment.json")
    async with _database(place, "ours") as (url, connection):

        async def done() -> bool:
            return await _tip(connection) == (place.tip, place.tip_hash)

        command, settings = _indexer(place, url)
        begun = time.monotonic()
        async with _program(command, settings, cwd=node.ROOT, log=place.folder / "indexer.log") as process:
            cold = await _cold(place, process, begun, events, done)
        [(entries,)] = await _rows(connection, "select count(*) from mirror.entry")
        if entries != events:
            raise CommandFailed(f"{entries:,} entries of {events:,} transfers")
        [cold.balances] = await _rows(connection, "select count(*), sum(amount)::bigint from mirror.balance")
        return cold


async def _theirs(place: Place, events: int) -> Cold:
    async with _database(place, "ponder") as (url, connection):

        async def done() -> bool:
            try:
                [(count,)] = await _rows(connection, "select count(*) from bench.transfer")
            except psycopg.errors.UndefinedTable:
                return False
            return bool(count == events)

        tokens = await _tokens(place)
        settings = {
            "DATABASE_URL": url,
            "BENCH_RPC_URL": place.rpc_url,
            "BENCH_TOKENS": ",".join(to_hex(token) for token in tokens),
            "BENCH_FIRST_BLOCK": str(place.deployed.first_block),
            "PONDER_TELEMETRY_DISABLED": "true",
        }
        program = str(PONDER / "node_modules" / "ponder" / "dist" / "esm" / "bin" / "ponder.js")
        command = ["node", program, "start", "--schema", "bench", "--port", str(free_port())]
        begun = time.monotonic()
        async with _program(command, settings, cwd=PONDER, log=place.folder / "ponder.log") as process:
            cold = await _cold(place, process, begun, events, done)
        [cold.balances] = await _rows(
            connection, "select count(*), sum(amount)::bigint from bench.balance where amount <> 0"
        )
        return cold


async def _head(place: Place, rpc: Rpc, events: int, blocks: int) -> Head:
    """Blocks of a second with new batches, while our indexer follows."""
    head = Head()
    async with _database(place, "head") as (url, connection):
        command, settings = _indexer(place, url)
        async with _program(command, settings, cwd=node.ROOT, log=place.folder / "head.log") as process:
            while await _tip(connection) != (place.tip, place.tip_hash):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            tokens = await _tokens(place)
            made = events // longchain.BATCH
            chance = Random(2017)  # noqa: S311 - as the chain's
            batches = longchain.mints(place.deployed.chain_id, tokens, made + BATCHES * blocks, chance)
            calls = await asyncio.to_thread(list, islice(batches, made, None))
            await rpc.call("evm_setIntervalMining", 1)
            tasks = [
                asyncio.create_task(_send(rpc, calls)),
                asyncio.create_task(_watch_memory(process, head)),
            ]
            try:
                head.waits = await _waits(rpc, connection, range(place.tip + 1, place.tip + 1 + blocks))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await rpc.call("evm_setIntervalMining", 0)
    return head


async def _send(rpc: Rpc, calls: Sequence[Mapping[str, str]]) -> None:
    for start in range(0, len(calls), BATCHES):
        await rpc.batch([("eth_sendTransaction", (call,)) for call in calls[start : start + BATCHES]])
        await asyncio.sleep(1)


async def _watch_memory(process: psutil.Process, head: Head) -> None:
    while True:
        head.peak = max(head.peak, resident(process))
        await asyncio.sleep(0.5)


async def _waits(rpc: Rpc, connection: Sql, blocks: range) -> list[float]:
    """For each block, milliseconds from when the node tells of it to when a reader of the mirror sees it."""

    async def at_node() -> int:
        return from_quantity(await rpc.call("eth_blockNumber"))

    async def in_mirror() -> int:
        tip = await _tip(connection)
        return -1 if tip is None else tip[0]

    told, seen = await asyncio.gather(_reached(at_node, blocks), _reached(in_mirror, blocks))
    return [(seen[block] - told[block]) * 1000 for block in blocks]


async def _reached(height: Callable[[], Awaitable[int]], blocks: range) -> dict[int, float]:
    """When each block was reached, on the monotonic clock."""
    found: dict[int, float] = {}
    deadline = time.monotonic() + PATIENCE
    while len(found) < len(blocks):
        newest = await height()
        now = time.monotonic()
        found |= {block: now for block in blocks[len(found) :] if block <= newest}
        if now > deadline:
            raise CommandFailed(f"Only {len(found)} of {len(blocks)} blocks came in {PATIENCE:.0f} s.")
        await asyncio.sleep(LOOK)
    return found


async def _tokens(place: Place) -> list[bytes]:
    """The programmes' addresses, in the order of their creation."""
    wanted = {
        "fromBlock": to_quantity(place.deployed.first_block),
        "toBlock": "latest",
        "address": to_hex(place.deployed.factory),
        "topics": [to_hex(bindings.PROGRAMME_CREATED_TOPIC)],
    }
    async with Rpc(place.rpc_url, timeout=120) as rpc:
        return [from_hex(log["topics"][1])[12:] for log in await rpc.call("eth_getLogs", wanted)]


async def _rows(connection: Sql, query: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode())).fetchall()
