"""Seeded lives of an indexer: the real loop and the real store, on a chain and a node that are simulated.

A life is one mirror, from nothing, under some hundred reorganisations; its number and the campaign's seed repeat it.
The chain moves when the indexer asks: mostly when it has caught up, at times in the middle of what it does. Now and
then everything holds still: then the indexer must catch up, and its mirror must hold what the canonical chain says, row
by row. At the end of a life a second mirror, made from nothing without faults, must hold the same.

A crash is an exception at one of the indexer's crash points, which the loop does not know: its transaction is rolled
back, its memory is lost, and it is started again (`tests/faults` has real kills).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import LiteralString, Self

import msgspec
import psycopg
import structlog
import uvloop

from contracts import crash
from contracts.rpc import Rpc
from indexer import store, tables
from indexer.errors import BelowFinality
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.project import Row, Rows
from tests.indexer import faults
from tests.indexer.chain import DEPLOYED
from tests.indexer.faults import FORKING, Faults
from tests.indexer.mirror import contents
from tests.indexer.simulated import CHAIN_ID, SimulatedBlock, SimulatedChain, View

PATIENCE = 3000
"""Requests within which an indexer that nothing disturbs has caught up."""

CUT = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)
SELDOM = ("indexer: built, not committed", "indexer: switched, not committed")
CRASHES = tuple(point for point in crash.POINTS if point.startswith("indexer: ") and point not in SELDOM)
SHAPES = ("shorter branch", "branch of the same length", "longer branch", "down to finality", "deeper than one search")
RARE = (
    "two writers",
    "halt below finality",
    "database connections cut",
    "mirror dropped",
    "chain moved during a request",
)
KINDS = (*(f"fault: {name}" for name in FORKING), *(f"crash: {name}" for name in CRASHES), *SHAPES, *RARE)
"""What a campaign must have met; a kind that never happened was not tested."""

Table = set[Row]


class Crashed(BaseException):
    """A kill -9 of the indexer, as far as one process can play it."""


class NotLive(AssertionError):
    """Nothing disturbed the indexer, and it did not catch up."""


@dataclass(frozen=True, slots=True)
class Temper:
    """How one life goes. `window` is how far finality lags behind the head, at most."""

    faults: Faults
    crashes: float = 0.0
    cuts: float = 0.0
    drops: float = 0.0  # of the whole mirror, which is then built beside and put in its place
    window: int = 32
    writers: int = 1
    forks: bool = True
    balanced: bool = False  # each request goes to a node that has everything or to one that lags
    move: float = 0.03  # chance that the chain moves during a request that is not for its head
    halts: bool = False  # in the end, for the chain changes below finality


def temper(draw: random.Random) -> Temper:
    """A life of its own: some are calm, some are hell, most lack some kinds of fault altogether."""
    names = tuple(name for name in FORKING if draw.random() < 0.7)
    return Temper(
        Faults(names, draw.choice((0.0, 0.01, 0.03, 0.1)) if names else 0.0),
        crashes=draw.choice((0.0, 0.0, 0.0, 0.002, 0.01)),
        cuts=draw.choice((0.0, 0.0, 0.001)),
        drops=draw.choice((0.0, 0.0, 0.002)),
        window=draw.choice((3, 12, 12, 40, 40, 150)),
        writers=2 if draw.random() < 0.08 else 1,
        move=draw.choice((0.0, 0.02, 0.1)),
        halts=draw.random() < 0.2,
    )


@dataclass(slots=True)
class Counts:
    """What happened, over lives."""

    kinds: Counter[str] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)
    reorganisations: int = 0
    rollbacks: int = 0
    false_heads: int = 0  # heads that a node told of and that were not the canonical chain's
    comparisons: int = 0
    lives: int = 0

    def add(self, other: Counts) -> None:
        self.kinds += other.kinds
        self.depths += other.depths
        for name in ("reorganisations", "rollbacks", "false_heads", "comparisons", "lives"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def missing(self, kinds: Sequence[str]) -> list[str]:
        return [kind for kind in kinds if not self.kinds[kind]]

    def __str__(self) -> str:
        mean = sum(depth * count for depth, count in self.depths.items()) / max(1, sum(self.depths.values()))
        kinds = "".join(f"\n  {count:>9,}  {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.reorganisations:,} reorganisations in {self.lives:,} lives, {mean:.1f} blocks deep, at most "
            f"{max(self.depths, default=0)}; {self.false_heads:,} false heads; {self.rollbacks:,} rollbacks; "
            f"{self.comparisons:,} comparisons{kinds}"
        )


class World:
    """The chain, what its nodes answer to whom, and when it moves."""

    def __init__(self, draw: random.Random, chain: SimulatedChain, temper: Temper, counts: Counts) -> None:
        self.draw, self.chain, self.temper, self.counts = draw, chain, temper, counts
        self.highest = chain.tip  # that any node ever told of
        self.calm = False
        self.left = 0  # reorganisations, or false heads, before everything holds still
        self.parked = 0
        self.asked = 0  # requests since everything holds still
        self.disturbed = 0  # times that something befell the database
        self.disturbing: set[asyncio.Task[None]] = set()
        self.quiet = asyncio.Event()
        self._going = asyncio.Event()

    def go_on(self, times: int) -> None:
        """Lets the chain move until it was, or seemed to be, reorganised that often; 0 holds it still at once."""
        self.calm, self.left, self.parked, self.asked = False, times, 0, 0
        self.quiet.clear()
        self._going.set()
        if not times:
            self.hold_still()

    def happened(self) -> None:
        """One of the times that `go_on` waits for."""
        self.left -= 1
        if self.left <= 0:
            self.hold_still()

    def hold_still(self) -> None:
        """From now on no fault and no move; the canonical chain is as high as any that was ever told of."""
        self.chain.grow(max(0, self.highest - self.chain.tip))
        self.calm, self.asked = True, 0

    async def park(self) -> None:
        """Where an indexer waits that has caught up while everything holds still."""
        self.parked += 1
        self._going.clear()
        if self.parked == self.temper.writers:
            self.quiet.set()
        await self._going.wait()

    def moves(self, idle: bool) -> None:
        """What the chain does before an answer; `idle` if who asks had nothing to do since the last."""
        if not idle:
            if self.draw.random() < self.temper.move:
                self.counts.kinds["chain moved during a request"] += 1
                self._move()
        elif self.draw.random() < 0.95:
            self._move()

    def _move(self) -> None:
        chain, draw = self.chain, self.draw
        room = chain.tip - chain.final
        if room > self.temper.window or draw.random() < 0.1:
            chain.finalise(chain.tip - draw.randint(0, min(room, self.temper.window)))
        elif room == 0 or not self.temper.forks or draw.random() < 0.35:
            chain.grow(draw.choice((1, 1, 1, 2, 3, draw.randint(1, max(3, self.temper.window // 4)))))
        else:
            self._reorganise(room)
        self.highest = max(self.highest, chain.tip)

    def _reorganise(self, room: int) -> None:
        draw, kinds = self.draw, self.counts.kinds
        depth = draw.choice((1, 1, 2, draw.randint(1, min(room, 8)), draw.randint(1, room)))
        depth = room if draw.random() < 0.06 else min(depth, room)
        blocks = depth + draw.choice((1, 1, 1, 1, 0, 2, -draw.randint(0, depth)))
        if blocks <= 0:
            blocks = draw.choice((1, 0))
        kinds["down to finality"] += depth == room
        kinds["deeper than one search"] += depth > 64
        kinds["shorter branch" if blocks < depth else "longer branch"] += blocks != depth
        kinds["branch of the same length"] += blocks == depth
        self.counts.depths[depth] += 1
        self.counts.reorganisations += 1
        self.chain.reorganise(self.chain.tip - depth, blocks)
        self.happened()

    def crash(self, point: crash.Point) -> None:
        often = 5 if point == "indexer: final, not stored" else 1  # passed more rarely than the others
        if not self.calm and self.draw.random() < self.temper.crashes * often:
            self.counts.kinds[f"crash: {point}"] += 1
            raise Crashed(point)


class SimulatedRpc(Rpc):
    """The real client's encoding and decoding; the bytes in between are the simulated node's."""

    def __init__(self, world: World, observer: store.Connection) -> None:
        super().__init__("simulated")
        self.world, self.observer = world, observer
        self.idle = False  # its last request was for the head too, or brought the last blocks: it has caught up
        self.settled: int | None = None  # and was answered while everything held still, after so many disturbances
        self.cut_short = False  # of the last logs; nobody can tell a node that always does it from the chain

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def _post(self, payload: bytes) -> bytes:
        world = self.world
        await asyncio.sleep(0)  # what else runs (a fetch ahead, another writer) may be faster
        calls = msgspec.json.decode(payload)
        if isinstance(calls, dict):
            if calls["method"] != "eth_chainId":
                raise AssertionError(f"the indexer asks for {calls['method']}")
            return _entry(calls["id"], b'"%b"' % CHAIN_ID.encode())
        heads = calls[0]["params"][0] == "latest"
        if world.calm:
            world.asked += 1
            if world.asked > PATIENCE:
                raise NotLive(f"{PATIENCE} requests, and the mirror has not reached block {world.chain.tip}")
            if heads and world.disturbing:
                await asyncio.wait(world.disturbing, timeout=5)
            if heads and self.settled == world.disturbed:
                await world.park()
        before, disturbed = world.chain.view, world.disturbed
        if not world.calm:
            world.moves(idle=heads and self.idle)
            if world.draw.random() < world.temper.cuts:
                await self._befall("database connections cut", CUT)
            if world.draw.random() < world.temper.drops:
                await self._befall("mirror dropped", "drop schema if exists mirror cascade")
        fetched = calls[-1]["method"] == "eth_getLogs" and world.draw.random() < 0.6
        self.idle, self.settled = heads or fetched, disturbed if heads and world.calm else None
        return self._answer(calls, before)

    async def _befall(self, kind: str, statement: LiteralString) -> None:
        """Happens to the database, and whole, even if the indexer gives this request up meanwhile."""
        world = self.world

        async def happen() -> None:
            with suppress(psycopg.errors.DeadlockDetected):  # the indexer won
                await self.observer.execute(statement)
                world.counts.kinds[kind] += 1
                world.disturbed += 1

        happening = asyncio.create_task(happen())
        world.disturbing.add(happening)
        happening.add_done_callback(world.disturbing.discard)
        await asyncio.shield(happening)

    def _answer(self, calls: list[faults.Call], before: View) -> bytes:
        world, now = self.world, self.world.chain.view
        seen, fault = [now] * len(calls), ""
        if not world.calm and world.temper.balanced and world.draw.random() < 0.5:
            world.counts.kinds["a balancer's stale node"] += 1
            seen = [world.chain.lagging()] * len(calls)
        elif not world.calm:
            if world.temper.faults.rate > world.draw.random():
                fault = world.draw.choice(world.temper.faults.names)
            if now.branch is not before.branch and not fault:  # the chain moved while the node answered
                cut = world.draw.randint(0, len(calls))
                seen = [before] * cut + [now] * (len(calls) - cut)
        refusal = faults.refuse(fault) if fault in faults.REFUSALS[1:3] else None
        if fault in faults.REFUSALS[:3]:
            world.counts.kinds[f"fault: {fault}"] += 1
            if refusal is not None:
                return refusal
            faults.refuse(fault)
        other = faults.views(fault, world.chain, world.draw, len(calls))
        if other is not None:
            world.counts.kinds[f"fault: {fault}"] += 1
            seen = other
        world.highest = max(world.highest, *(view.height for view in seen))
        entries = [self._entry(call, view, fault) for call, view in zip(calls, seen, strict=True)]
        if fault == "entry missing":
            world.counts.kinds[f"fault: {fault}"] += 1
            entries.pop(world.draw.randrange(len(entries)))
        if fault == "entry refused":
            world.counts.kinds[f"fault: {fault}"] += 1
            place = world.draw.randrange(len(entries))
            entries[place] = b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32603,"message":"internal error"}}' % place
        return b"[" + b",".join(entries) + b"]"

    def _entry(self, call: faults.Call, view: View, fault: str) -> bytes:
        world = self.world
        if call["method"] == "eth_getBlockByNumber":
            block = view.block(call["params"][0])
            text = b"null" if block is None else block.header
            changed = faults.change_block(fault, call, text, view, world.draw) if fault else None
            if changed is not None:
                world.counts.kinds[f"fault: {fault}"] += 1
            if call["params"][0] == "latest" and (changed or text) != world.chain.branch[-1].header:
                world.counts.false_heads += 1
                if not world.temper.forks and not world.calm:
                    world.happened()
            return _entry(call["id"], text if changed is None else changed)
        if call["method"] != "eth_getLogs":
            raise AssertionError(f"the indexer asks for {call['method']}")
        wanted = call["params"][0]
        if fault == "range refused" and wanted.get("fromBlock") != wanted.get("toBlock"):
            world.counts.kinds[f"fault: {fault}"] += 1
            return b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32005,"message":"block range"}}' % call["id"]
        try:
            logs = view.logs(wanted)
        except LookupError:
            return b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"unknown block"}}' % call["id"]
        # A node that leaves the same logs out twice, of a block that it has, is not to be told from the chain.
        believed = self.cut_short or "blockHash" in wanted
        texts = None if believed else faults.change_logs(fault, logs, world.draw)
        self.cut_short = fault == "batch cut short" and texts is not None
        if texts is None:
            texts = [log.text for log in logs]
        else:
            world.counts.kinds[f"fault: {fault}"] += 1
        return _entry(call["id"], b"[" + b",".join(texts) + b"]")


def _entry(number: int, result: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (number, result)


def expected(branch: list[SimulatedBlock]) -> dict[str, Table]:
    """What a mirror of this chain holds."""
    return expected_rows([block.mirrored for block in branch], [block.rows for block in branch])


def expected_rows(blocks: Sequence[Row], rows: Sequence[Rows]) -> dict[str, Table]:
    """Rows of `mirror.block` and those that the projection made, with their folds, which are done here once more."""
    found: dict[str, Table] = {name: set() for name in Rows.__slots__}
    found["block"] = set(blocks)
    for some in rows:
        for name in Rows.__slots__:
            found[name].update(getattr(some, name))
    sums: dict[str, Counter[Row]] = {"balance": Counter(), "supply": Counter(), "margin": Counter()}
    for row in found["entry"]:
        sums["balance"][row[5], row[4]] += row[6]
        sums["supply"][(row[4],)] += row[6]
    for row in found["movement"]:
        sums["margin"][(row[3],)] += row[4]
    for name, amounts in sums.items():
        found[name] = {(*key, amount) for key, amount in amounts.items() if amount}
    return found


async def require_mirrored(connection: store.Connection, chain: SimulatedChain) -> None:
    """The mirror is the canonical chain's, row by row, and its cursor stands on the tip and knows what is final."""
    right = expected(chain.branch)
    held = await contents(connection)
    assert held.keys() == right.keys() == {table.name for table in tables.metadata.sorted_tables} - {"cursor"}
    for name, rows in held.items():
        assert len(rows) == len(right[name]), f"{name}: {len(rows)} rows instead of {len(right[name])}"
        assert set(rows) == right[name], f"{name}: {set(rows) ^ right[name]}"
    cursor = await store.read_cursor(connection, DEPLOYED)
    assert cursor == store.Cursor(chain.tip + 1, chain.branch[-1].hash, chain.final)


@asynccontextmanager
async def indexing(world: World, url: str, observer: store.Connection) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Indexers of one mirror, started again after each crash."""
    metrics = Metrics()

    async def live() -> None:
        while True:
            try:
                rpc = SimulatedRpc(world, observer)
                await follow(database_url=url, rpc=rpc, deployed=DEPLOYED, metrics=metrics, poll=0.0)
            except Crashed:
                continue

    tasks = [asyncio.create_task(live()) for _ in range(world.temper.writers)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        world.counts.rollbacks += int(metrics.reorganisations._value.get())


async def until_quiet(world: World, tasks: list[asyncio.Task[None]]) -> None:
    """Waits until all have caught up; raises what ended one of them."""
    quiet = asyncio.create_task(world.quiet.wait())
    try:
        await asyncio.wait([quiet, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        quiet.cancel()


async def empty(url: str) -> None:
    """A database without rows, with the mirror's tables."""
    async with await store.connect(url) as connection:
        await store.create_schema(connection)
        names = ", ".join(f"mirror.{table.name}" for table in tables.metadata.sorted_tables)
        await connection.execute(f"truncate {names}".encode())


async def life(seed: str, *, url: str, fresh_url: str, times: int, terms: Temper | None = None) -> Counts:
    """One mirror under that many reorganisations, compared about every 20 of them. Raises what is wrong.

    Where the terms have no forks, `times` are the false heads that nodes tell of.
    """
    draw = random.Random(seed)
    counts = Counts(lives=1)
    world = World(draw, SimulatedChain(draw), terms or temper(draw), counts)
    counts.kinds["two writers"] += world.temper.writers > 1
    await empty(url)
    with quiet_log(), _crashing(world):
        async with await store.connect(url) as observer, indexing(world, url, observer) as tasks:
            left = times
            while left > 0:
                some = min(draw.randint(1, 40), left)
                left -= some
                world.go_on(some)
                await until_quiet(world, tasks)
                await require_mirrored(observer, world.chain)
                counts.comparisons += 1
            if world.temper.halts and world.chain.final > 1:
                await _contradict_finality(world, observer, tasks)
        await require_fresh_is_the_same(world, fresh_url)
    return counts


async def _contradict_finality(world: World, observer: store.Connection, tasks: list[asyncio.Task[None]]) -> None:
    """Another chain from below the final block on: every indexer halts, and nothing is written."""
    held = await contents(observer)
    honest = world.chain.branch
    world.chain.branch = honest[: world.draw.randint(1, world.chain.final)]
    world.chain.grow(len(honest))
    world.go_on(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [BelowFinality] * len(tasks)
    assert await contents(observer) == held
    world.chain.branch = honest
    world.counts.kinds["halt below finality"] += 1


async def require_fresh_is_the_same(world: World, url: str) -> None:
    """A mirror of the canonical chain that was made from nothing, without faults."""
    await empty(url)
    calm = World(world.draw, world.chain, Temper(Faults((), 0.0), forks=False), Counts())
    async with await store.connect(url) as observer, indexing(calm, url, observer) as tasks:
        calm.go_on(0)
        await until_quiet(calm, tasks)
        await require_mirrored(observer, world.chain)
    world.counts.comparisons += 1


def lives(seed: str, numbers: Sequence[int], *, url: str, fresh_url: str, times: int) -> Counts:
    """Lives of these numbers, one after the other. Raises `AssertionError` that names the one that failed."""
    counts = Counts()
    for number in numbers:
        name = f"{seed}/{number}"
        try:
            counts.add(uvloop.run(life(name, url=url, fresh_url=fresh_url, times=times)))
        except Exception as error:
            raise AssertionError(f"life {name!r} of {times}: {type(error).__name__}: {error}"[:2000]) from error
    return counts


@contextmanager
def _crashing(world: World) -> Iterator[None]:
    real = crash.point
    setattr(crash, "point", world.crash)  # noqa: B010 - to mypy it is a constant
    try:
        yield
    finally:
        setattr(crash, "point", real)  # noqa: B010


@contextmanager
def quiet_log() -> Iterator[None]:
    """Some lines a reorganisation would be most of the time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
