"""The loop: from the stored tip to the chain's head, for ever.

One step looks at the node's newest block and does one of four things (`window.meaning`): fetch what is above our tip,
find the fork and roll back to it, wait for a node that is behind, or rest. A rollback happens only on proof: a block
that the node and the mirror share, at or above finality, and another above it. If even the final block differs it halts
and writes nothing. A node or a database that cannot be reached is asked again, with growing pauses, for ever.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg.errors import InvalidSchemaName, ReadOnlySqlTransaction, UndefinedTable

from contracts import crash
from contracts.errors import ChainError
from contracts.rpc import Rpc
from indexer import backfill, schema, source, store, window
from indexer.backfill import Reader
from indexer.blocks import Block
from indexer.connection import Connection
from indexer.endpoints import Endpoints
from indexer.errors import BelowFinality, Halt, Inconsistent, Raced
from indexer.metrics import Metrics
from indexer.pack import Packed
from indexer.project import Known
from indexer.store import Cursor, Deployed

LONGEST_PAUSE = 5.0

SEARCH = 64
"""Heights compared in one request when a fork is looked for."""

_log = structlog.get_logger("indexer")


@dataclass(slots=True)
class Mirror:
    """One writer's view of the mirror. `cursor` and `known` are always those of one committed state.

    `beside` is a mirror in `mirror_next` that is to take the place of the other one once it has reached the head;
    `building` one whose keys, indexes and sums are made then.
    """

    connection: Connection
    rpc: Endpoints
    deployed: Deployed
    metrics: Metrics
    cursor: Cursor
    known: Known
    beside: bool = False
    building: bool = False
    is_at_the_head: bool = False
    time: int = 0  # of the tip, in Unix seconds
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = Reader(self.rpc, self.metrics)

    @property
    def tip(self) -> int:
        return self.cursor.next_block - 1


async def follow(
    *,
    database_url: str,
    rpc: Rpc | Endpoints,
    deployed: Deployed,
    metrics: Metrics,
    poll: float,
    rebuild: bool = False,
    to_the_head: bool = False,
) -> None:
    """Never returns, unless it is to go only to the head; cancel it at any time. Raises `Halt`.

    `poll` is seconds between looks at the head. `rebuild` builds another mirror beside the one that is there, once.
    """
    nodes = rpc if isinstance(rpc, Endpoints) else Endpoints([rpc], metrics)
    pauses, was_ours = _Pauses(poll, metrics), False
    while True:
        try:
            async with await store.connect(database_url) as connection:
                if was_ours:
                    await _require_ours(connection)
                mirror = await open_mirror(connection, nodes, deployed, metrics, rebuild=rebuild)
                while True:
                    try:
                        moved = await step(mirror)
                    except ChainError as error:  # what the mirror holds is as true as before
                        if isinstance(error, Inconsistent):
                            nodes.doubt()
                        await pauses.after(error)
                        continue
                    pauses.next, was_ours = poll, not mirror.beside
                    rebuild = rebuild and mirror.beside
                    if to_the_head and mirror.is_at_the_head:
                        return
                    if not moved:
                        await asyncio.sleep(poll)
        except (
            ChainError,
            psycopg.OperationalError,
            ReadOnlySqlTransaction,
            UndefinedTable,
            InvalidSchemaName,
            Raced,
        ) as error:
            # A table is missing when somebody dropped the mirror under us: it is begun anew.
            await pauses.after(error)
        except psycopg.IntegrityError as error:
            raise Halt(f"the rows contradict the mirror: {error}") from error


@dataclass(slots=True)
class _Pauses:
    """Seconds to wait before trying again, twice as long each time."""

    next: float
    metrics: Metrics

    async def after(self, error: Exception) -> None:
        self.metrics.retries.labels(type(error).__name__).inc()
        _log.warning("trying again", reason=f"{type(error).__name__}: {error}".strip(), pause=round(self.next, 2))
        await asyncio.sleep(self.next)
        self.next = min(self.next * 2, LONGEST_PAUSE)


async def _require_ours(connection: Connection) -> None:
    """Raises `Halt` if another version has built a mirror in ours' place: two would do so in turns, for ever."""
    if await schema.state(connection, schema.MIRROR) not in (schema.DEFINITION, None, ""):
        raise Halt("another version of the indexer has built the mirror anew; this one would only undo it")


async def open_mirror(
    connection: Connection, rpc: Rpc | Endpoints, deployed: Deployed, metrics: Metrics, *, rebuild: bool = False
) -> Mirror:
    """Reads where the mirror stands, or begins it, beside what is there if that is of another definition.

    Raises `OtherDeployment`, and `Raced` while somebody else builds.
    """
    nodes = rpc if isinstance(rpc, Endpoints) else Endpoints([rpc], metrics)
    await nodes.require_chain(deployed.chain_id)
    beside = rebuild or await schema.state(connection, schema.MIRROR) != schema.DEFINITION
    building = False
    if beside:
        if not await schema.claim(connection):
            raise Raced("another indexer builds the mirror")
        # Whoever had the claim before may have finished meanwhile.
        beside = rebuild or await schema.state(connection, schema.MIRROR) != schema.DEFINITION
    if beside:
        if await schema.progress(connection) is not None:
            await store.read_cursor(connection, deployed)  # is the old one of these contracts?
        await schema.prepare(connection)
        await schema.use(connection, schema.NEXT)
        building = await schema.state(connection, schema.NEXT) == schema.BUILDING
    cursor = await store.read_cursor(connection, deployed)
    if cursor is None:
        before = (await source.headers(nodes, [deployed.first_block - 1])).get(deployed.first_block - 1)
        if before is None:
            raise Inconsistent(f"the node has no block {deployed.first_block - 1} yet, before the deployment's first")
        cursor = await store.begin(connection, deployed, before)
    known = await store.read_known(connection, deployed)
    _log.info(
        "opened",
        next_block=cursor.next_block,
        finalized=cursor.finalized,
        programmes=len(known.programmes),
        **({"beside": True} if beside else {}),
    )
    time_ = await store.time_of(connection, cursor.next_block - 1)
    return Mirror(connection, nodes, deployed, metrics, cursor, known, beside, building, time=time_)


async def step(mirror: Mirror) -> bool:
    """One look at the head and what follows from it. Returns whether the mirror moved."""
    head, finalized = await mirror.rpc.heads()
    held = (await store.hashes(mirror.connection, first=head.number, last=head.number)).get(head.number)
    meaning = window.meaning(head, tip=mirror.tip, held=held)
    _show(mirror, head)
    mirror.is_at_the_head = False
    if meaning is window.Head.AHEAD:
        moved = await advance(mirror, head.number, finalized)
        _show(mirror, head)
        return moved
    if meaning is window.Head.PARTED:
        return await reorganise(mirror, min(head.number, mirror.tip))
    if meaning is window.Head.BEHIND:
        _log.debug("the node is behind", head=head.number, tip=mirror.tip)
        mirror.rpc.look_around()
    elif finalized is not None and finalized.number > mirror.cursor.finalized:
        await _finalize(mirror, finalized)
    if mirror.beside:
        await settle(mirror)
    mirror.is_at_the_head = meaning is window.Head.SAME and not mirror.beside
    await mirror.reader.packer.close()
    return False


def _show(mirror: Mirror, head: Block) -> None:
    metrics = mirror.metrics
    metrics.head.set(head.number)
    metrics.next_block.set(mirror.cursor.next_block)
    metrics.finalized.set(mirror.cursor.finalized)
    metrics.lag_blocks.set(max(0, head.number - mirror.tip))
    metrics.lag_seconds.set(max(0, head.time - mirror.time) if mirror.time else 0)
    metrics.building.set(mirror.beside)


async def advance(mirror: Mirror, target: int, finalized: Block | None) -> bool:
    """Appends up to block `target`, fetching and packing ahead while a stretch is stored."""
    found = backfill.stretches(mirror.reader, first=mirror.cursor.next_block, last=target, known=mirror.known)
    async with aclosing(found) as stretches:
        async for stretch in stretches:
            if stretch.first.parent != mirror.cursor.tip:
                return await reorganise(mirror, mirror.tip)
            await _append(mirror, stretch, finalized)
    return True


async def _append(mirror: Mirror, stretch: Packed, finalized: Block | None) -> None:
    started = time.perf_counter()
    crash.point("indexer: fetched, not stored")
    mirror.cursor = await store.append(
        mirror.connection,
        expected_tip=mirror.cursor.tip,
        blocks=stretch.blocks,
        rows=stretch.lines,
        finalized=window.final(stretch.blocks, finalized),
        building=mirror.building,
    )
    crash.point("indexer: committed")
    mirror.known, mirror.time = stretch.known, stretch.last.time
    seconds = time.perf_counter() - started
    mirror.metrics.stage_seconds.labels("store").inc(seconds)
    mirror.metrics.logs.inc(stretch.logs)
    mirror.metrics.next_block.set(mirror.cursor.next_block)
    if stretch.logs:
        first, last = stretch.first.number, stretch.last.number
        _log.info("appended", first=first, last=last, logs=stretch.logs, seconds=round(seconds, 3))


async def settle(mirror: Mirror) -> None:
    """Makes a mirror that was built beside whole, and puts it in the place of the other one."""
    if mirror.building:
        started = time.perf_counter()
        await store.complete(mirror.connection, expected_tip=mirror.cursor.tip)
        mirror.building = False
        _log.info("built", next_block=mirror.cursor.next_block, seconds=round(time.perf_counter() - started, 3))
    old = await schema.progress(mirror.connection)
    if old is not None and old > mirror.cursor.next_block:
        _log.info("built, and behind the mirror that it is to replace", next_block=mirror.cursor.next_block, old=old)
    elif await schema.switch(mirror.connection):
        mirror.beside = False
        _log.info("switched", next_block=mirror.cursor.next_block)
    else:
        _log.info("built, and waiting for the readers of the mirror that it is to replace")


async def reorganise(mirror: Mirror, from_: int) -> bool:
    """Finds where the node's chain leaves ours, looking down from block `from_`, and rolls back to there."""
    floor = min(mirror.cursor.finalized, from_)
    held: dict[int, bytes] = {}
    seen: dict[int, bytes] = {}
    high, fork = from_, None
    while fork is None:
        low = max(floor, high - SEARCH + 1)
        held |= await store.hashes(mirror.connection, first=low, last=high)
        found = await source.headers(mirror.rpc, range(low, high + 1))
        seen |= {number: block.hash for number, block in found.items()}
        fork = window.fork(held, seen)
        if fork is None and low == floor:
            _require_final(held[floor], seen.get(floor), floor)
        high = low - 1
    if fork in (from_, mirror.tip) or fork + 1 not in seen:
        if await store.read_cursor(mirror.connection, mirror.deployed) != mirror.cursor:
            raise Raced("another writer moved the mirror")
        return False  # no proof: the node came back to our chain, or fell behind, while we looked
    depth = mirror.tip - fork
    mirror.cursor = await store.rollback(
        mirror.connection, expected_tip=mirror.cursor.tip, fork=fork, building=mirror.building
    )
    crash.point("indexer: rolled back")
    mirror.known = await store.read_known(mirror.connection, mirror.deployed)
    mirror.metrics.reorganisations.inc()
    mirror.metrics.depth.observe(depth)
    _log.warning("rolled back", fork=fork, depth=depth)
    return True


def _require_final(ours: bytes, theirs: bytes | None, height: int) -> None:
    """Raises: the search for a fork has reached finality without one."""
    if theirs is None:
        raise Inconsistent(f"the node has no block {height}, which was final")
    raise BelowFinality(
        f"block {height} was final as 0x{ours.hex()}, and the node has 0x{theirs.hex()} there. Nothing was written. "
        "Find out which is right; if it is the node, drop schema mirror to mirror its chain anew."
    )


async def _finalize(mirror: Mirror, finalized: Block) -> None:
    crash.point("indexer: final, not stored")
    stored = await store.finalize(mirror.connection, expected_tip=mirror.cursor.tip, finalized=finalized)
    mirror.cursor = Cursor(mirror.cursor.next_block, mirror.cursor.tip, stored)
