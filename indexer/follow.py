"""The loop: from the stored tip to the chain's head, for ever.

One step looks at the node's newest block and does one of four things (`window.meaning`): fetch what is above our tip,
find the fork and roll back to it, wait for a node that is behind, or rest. A rollback happens only on proof: a block
that the node and the mirror share, at or above finality, and another above it. If even the final block differs it halts
and writes nothing. A node or a database that cannot be reached is asked again, with growing pauses, for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import psycopg
import structlog
from psycopg.errors import InvalidSchemaName, ReadOnlySqlTransaction, UndefinedTable

from contracts import crash
from contracts.errors import ChainError, RangeTooLarge, Unavailable
from contracts.rpc import Rpc, from_quantity
from indexer import project, source, store, window
from indexer.blocks import Block, Stretch
from indexer.errors import BelowFinality, Halt, Inconsistent, OtherDeployment, Raced, Unprojectable
from indexer.metrics import Metrics
from indexer.project import Known, Rows
from indexer.store import Connection, Cursor, Deployed

LONGEST_PAUSE = 5.0

SEARCH = 64
"""Heights compared in one request when a fork is looked for."""

_log = structlog.get_logger("indexer")


@dataclass(slots=True)
class Mirror:
    """One writer's view of the mirror. `cursor` and `known` are always those of one committed state."""

    connection: Connection
    rpc: Rpc
    deployed: Deployed
    metrics: Metrics
    cursor: Cursor
    known: Known
    blocks_a_request: int = 50

    @property
    def tip(self) -> int:
        return self.cursor.next_block - 1


async def follow(*, database_url: str, rpc: Rpc, deployed: Deployed, metrics: Metrics, poll: float) -> None:
    """Never returns; cancel it at any time. `poll` is seconds between looks at the head. Raises `Halt`."""
    pauses = _Pauses(poll, metrics)
    while True:
        try:
            async with await store.connect(database_url) as connection:
                mirror = await open_mirror(connection, rpc, deployed, metrics)
                while True:
                    try:
                        moved = await step(mirror)
                    except ChainError as error:  # what the mirror holds is as true as before
                        await pauses.after(error)
                        continue
                    pauses.next = poll
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


async def open_mirror(connection: Connection, rpc: Rpc, deployed: Deployed, metrics: Metrics) -> Mirror:
    """Reads where the mirror stands, or begins it. Raises `OtherDeployment`."""
    chain_id = from_quantity(await rpc.call("eth_chainId"))
    if chain_id != deployed.chain_id:
        raise OtherDeployment(f"the node is of chain {chain_id}, the deployment of chain {deployed.chain_id}")
    await store.create_schema(connection)
    cursor = await store.read_cursor(connection, deployed)
    if cursor is None:
        before = (await source.headers(rpc, [deployed.first_block - 1])).get(deployed.first_block - 1)
        if before is None:
            raise Inconsistent(f"the node has no block {deployed.first_block - 1} yet, before the deployment's first")
        cursor = await store.begin(connection, deployed, before)
    known = await store.read_known(connection, deployed)
    _log.info("opened", next_block=cursor.next_block, finalized=cursor.finalized, programmes=len(known.programmes))
    return Mirror(connection, rpc, deployed, metrics, cursor, known)


async def step(mirror: Mirror) -> bool:
    """One look at the head and what follows from it. Returns whether the mirror moved."""
    head, finalized = await source.heads(mirror.rpc)
    held = (await store.hashes(mirror.connection, first=head.number, last=head.number)).get(head.number)
    meaning = window.meaning(head, tip=mirror.tip, held=held)
    mirror.metrics.head.set(head.number)
    mirror.metrics.next_block.set(mirror.cursor.next_block)
    mirror.metrics.finalized.set(mirror.cursor.finalized)
    if meaning is window.Head.AHEAD:
        return await advance(mirror, head.number, finalized)
    if meaning is window.Head.PARTED:
        return await reorganise(mirror, min(head.number, mirror.tip))
    if meaning is window.Head.BEHIND:
        _log.debug("the node is behind", head=head.number, tip=mirror.tip)
    elif finalized is not None and finalized.number > mirror.cursor.finalized:
        await _finalize(mirror, finalized)
    return False


async def advance(mirror: Mirror, target: int, finalized: Block | None) -> bool:
    """Appends up to block `target`, fetching one stretch while the one before is stored."""
    async with aclosing(_stretches(mirror, mirror.cursor.next_block, target)) as stretches:
        async for stretch in stretches:
            if stretch.first.parent != mirror.cursor.tip:
                return await reorganise(mirror, mirror.tip)
            await _append(mirror, stretch, finalized)
    return True


async def _append(mirror: Mirror, stretch: Stretch, finalized: Block | None) -> None:
    started = time.perf_counter()
    rows, known = await _project(mirror, stretch)
    projected = time.perf_counter()
    crash.point("indexer: fetched, not stored")
    mirror.cursor = await store.append(
        mirror.connection,
        expected_tip=mirror.cursor.tip,
        blocks=stretch.blocks,
        rows=rows,
        finalized=window.final(stretch.blocks, finalized),
    )
    crash.point("indexer: committed")
    mirror.known = known
    stored = time.perf_counter()
    mirror.metrics.stage_seconds.labels("project").inc(projected - started)
    mirror.metrics.stage_seconds.labels("store").inc(stored - projected)
    mirror.metrics.logs.inc(len(stretch.logs))
    if stretch.logs:
        _log.info(
            "appended",
            first=stretch.first.number,
            last=stretch.last.number,
            logs=len(stretch.logs),
            seconds=round(stored - started, 3),
        )


async def _project(mirror: Mirror, stretch: Stretch) -> tuple[Rows, Known]:
    """A node that left logs out is asked again; what it says twice is the chain's word. Raises `Unprojectable`."""
    try:
        return project.project(stretch.logs, mirror.known)
    except Unprojectable as error:
        first, last = stretch.first.number, stretch.last.number
        if await source.fetch(mirror.rpc, first=first, last=last, known=mirror.known) != stretch:
            raise Inconsistent(f"the node answers otherwise when asked again: {error}") from error
        raise


async def _stretches(mirror: Mirror, first: int, target: int) -> AsyncGenerator[Stretch, None]:
    """Consecutive stretches from `first` to `target`, one fetched ahead."""
    ahead = asyncio.create_task(_fetch(mirror, first, target, mirror.known))
    try:
        while True:
            stretch = await ahead
            if stretch.last.number < target:
                # Programmes that this stretch created are not projected yet, and the next request must name them.
                known = source.with_created(mirror.known, stretch)
                ahead = asyncio.create_task(_fetch(mirror, stretch.last.number + 1, target, known))
            yield stretch
            if stretch.last.number >= target:
                return
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def _fetch(mirror: Mirror, first: int, target: int, known: Known) -> Stretch:
    """As many blocks as the node grants, from `first` on."""
    while True:
        count = mirror.blocks_a_request
        started = time.perf_counter()
        try:
            stretch = await source.fetch(mirror.rpc, first=first, last=min(first + count - 1, target), known=known)
        except (RangeTooLarge, Unavailable):
            if count == 1:
                raise
            mirror.blocks_a_request = window.shrunk(count)
            continue
        mirror.blocks_a_request = window.grown(count, logs=len(stretch.logs))
        mirror.metrics.stage_seconds.labels("fetch").inc(time.perf_counter() - started)
        return stretch


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
    mirror.cursor = await store.rollback(mirror.connection, expected_tip=mirror.cursor.tip, fork=fork)
    crash.point("indexer: rolled back")
    mirror.known = await store.read_known(mirror.connection, mirror.deployed)
    mirror.metrics.reorganisations.inc()
    mirror.metrics.depth.set(depth)
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
