"""What a person asks of the mirror: fill it, check it, take it back, say where it is. Each returns an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Final

from contracts.errors import ChainError
from indexer import schema, store
from indexer import verify as verifying
from indexer.connection import Connection
from indexer.endpoints import Endpoints
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.store import Cursor, Deployed

PROGRESS_SECONDS: Final = 1.0


class Refused(Exception):
    """The command cannot be done, for this reason."""


async def backfill(
    database_url: str, deployed: Deployed, nodes: Endpoints, metrics: Metrics, *, rebuild: bool = False
) -> int:
    """Goes to the head, and ends."""
    begun = time.monotonic()
    telling = asyncio.create_task(_tell(metrics, begun))
    try:
        await follow(
            database_url=database_url, rpc=nodes, deployed=deployed, metrics=metrics, poll=0.05, rebuild=rebuild,
            to_the_head=True,
        )  # fmt: skip
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
    _say(_progress(metrics, begun))
    _say("at the head")
    return 0


async def _tell(metrics: Metrics, begun: float) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        _tell_of(_progress(metrics, begun))


def _progress(metrics: Metrics, begun: float) -> str:
    head, tip, logs = (int(_value(metric)) for metric in (metrics.head, metrics.next_block, metrics.logs))
    seconds = time.monotonic() - begun
    return f"block {max(tip - 1, 0):,} of {head:,}, {logs:,} events, {logs / seconds:,.0f} a second"


def _value(metric: object) -> float:
    return float(metric._value.get())  # type: ignore[attr-defined]


async def verify(
    database_url: str, deployed: Deployed, nodes: Endpoints, *, first: int | None, last: int | None
) -> int:
    """Compares blocks with the chain; 1 and the rows if they differ."""
    async with await store.connect(database_url) as connection:
        cursor = await _cursor(connection, deployed)
        try:
            start, end = verifying.require_range(cursor, deployed, first, last)
        except ValueError as error:
            raise Refused(str(error)) from error
        await nodes.require_chain(deployed.chain_id)
        told = time.monotonic()

        def progress(block: int) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                _tell_of(f"block {block:,} of {end:,}")

        found = await verifying.verify(connection, nodes, deployed, cursor, first=start, last=end, progress=progress)
    for difference in found:
        _say(str(difference))
    _say(f"blocks {start:,} to {end:,}: " + ("the mirror differs from the chain" if found else "equal to the chain"))
    return 1 if found else 0


async def rewind(database_url: str, deployed: Deployed, block: int, *, drop: bool) -> int:
    """Rolls back to `block`, or drops the mirror if that is below finality and the caller wants it."""
    async with await store.connect(database_url) as connection:
        cursor = await _cursor(connection, deployed)
        tip = cursor.next_block - 1
        if block > tip:
            raise Refused(f"The mirror ends at block {tip}.")
        if block < cursor.finalized:
            if not drop:
                raise Refused(
                    f"Block {block} is below block {cursor.finalized}, which is final: what is final is never rolled "
                    "back, for others have relied on it. If the mirror is wrong there, --drop drops it whole, and the "
                    "indexer builds it anew; `points index backfill --rebuild` does so while the old one is read."
                )
            await schema.drop(connection)
            _say("Dropped: the indexer builds it anew.")
            return 0
        if block == tip:
            _say(f"The mirror ends at block {tip} already.")
            return 0
        await store.rollback(connection, expected_tip=cursor.tip, fork=block)
    _say(f"Rolled back from block {tip} to block {block}. An indexer that runs brings the blocks back.")
    return 0


async def status(database_url: str, deployed: Deployed, nodes: Endpoints) -> int:
    """Prints where the mirror stands, a name and a value a line."""
    lines: dict[str, object] = {}
    async with await store.connect(database_url) as connection:
        beside = await schema.state(connection, schema.NEXT)
        if beside is not None:
            await schema.use(connection, schema.NEXT)
            with contextlib.suppress(Refused):
                lines["beside"] = (await _cursor(connection, deployed)).next_block
            await schema.use(connection, schema.MIRROR)
        cursor = await _cursor(connection, deployed)
        current = await schema.state(connection, schema.MIRROR) == schema.DEFINITION
        lines |= {"next_block": cursor.next_block, "tip": f"0x{cursor.tip.hex()}", "finalized": cursor.finalized}
        lines["definition"] = "current" if current else "another: the indexer builds a new mirror beside"
        with contextlib.suppress(ChainError):
            head, _ = await nodes.heads()
            lines |= {"head": head.number, "lag": head.number - cursor.next_block + 1}
        if current:
            lines |= await store.counts(connection)
    lines.setdefault("head", "unreachable")
    sys.stdout.write("".join(f"{name} {value}\n" for name, value in lines.items()))
    return 0


async def _cursor(connection: Connection, deployed: Deployed) -> Cursor:
    exists = await (await connection.execute("select to_regclass('cursor')")).fetchone()
    cursor = None if exists == (None,) else await store.read_cursor(connection, deployed)
    if cursor is None:
        raise Refused("the mirror was not begun")
    return cursor


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _tell_of(progress: str) -> None:
    sys.stderr.write(progress + "\n")
