"""A holder's activity as it happens, as server-sent events out of the mirror's feed.

An event's id is its place on the chain with its block's hash, so a stream can be taken up anywhere, on any gateway:
nothing is remembered here. If the block of the last event seen has left the chain, the stream says so and goes on from
the last final block, below which nothing changes. An event may come twice, never not at all.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from exchange import history
from exchange.database import Connection, one, snapshot
from exchange.errors import DatabaseUnavailable, InvalidRequest, MirrorUnavailable
from exchange.gateway import Gateway

TICK: Final = 1.0
HEARTBEAT: Final = 15.0
LONGEST: Final = 3_600.0
AT_ONCE: Final = 500
END_OF_BLOCK: Final = 2**31 - 1

_ID: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,10})-([01])-([0-9a-f]{16})")

_FEED: Final = f"""
{history.ENTRIES}
where e.holder = %s and (e.block, e.log_index, e.side) > (%s::bigint, %s::integer, %s::smallint)
order by e.block, e.log_index, e.side limit %s
"""

_BEAT: Final = b": \n\n"


class Position(NamedTuple):
    """Behind which entry the stream is. `hash` begins the hash of the block, which must still be there."""

    block: int
    log_index: int
    side: int
    hash: str

    @property
    def id(self) -> str:
        return f"{self.block}-{self.log_index}-{self.side}-{self.hash}"


def position(text: str) -> Position:
    """Raises `InvalidRequest`."""
    match = _ID.fullmatch(text)
    if match is None or int(match[2]) > END_OF_BLOCK:
        raise InvalidRequest("Last-Event-ID is not the id of an event of this stream.", field="Last-Event-ID")
    return Position(int(match[1]), int(match[2]), int(match[3]), match[4])


async def events(gateway: Gateway, holder: bytes, *, after: Position | None) -> AsyncIterator[bytes]:
    """Ready to be sent. The first one comes at once. Raises `TooManyStreams` and what the database raises before it;
    once it has begun, a stream waits for the database instead."""
    with gateway.streams.feed(holder):
        ends = time.monotonic() + LONGEST
        async with gateway.database.transaction("public") as sql:
            at, begun = await _begin(sql, after)
        yield b"retry: 2000\n\n" + begun
        beat, tip = time.monotonic(), b""
        while time.monotonic() < ends:
            try:
                async with gateway.database.transaction("public") as sql:
                    found, at, tip, more = await _more(sql, holder, at, tip)
            except (DatabaseUnavailable, MirrorUnavailable):
                found, more = [], False
            if found:
                yield b"".join(found)
                beat = time.monotonic()
            elif time.monotonic() > beat + HEARTBEAT:
                yield _BEAT
                beat = time.monotonic()
            if not more:
                await asyncio.sleep(TICK)


async def _begin(sql: Connection, after: Position | None) -> tuple[Position | None, bytes]:
    newest = await history.head(sql)
    at = after or _end_of(newest)
    return at, _event("ready", at, {"as_of": history.as_of(newest)})


def _end_of(newest: Mapping[str, Any] | None) -> Position | None:
    """The end of the mirror's newest block; None before the first."""
    if newest is None or newest["time"] is None:
        return None
    return Position(newest["head"], END_OF_BLOCK, 1, newest["tip"].hex()[:16])


async def _more(
    sql: Connection, holder: bytes, at: Position | None, tip: bytes
) -> tuple[list[bytes], Position | None, bytes, bool]:
    """What is new since `at`, where that leads, the mirror's tip, and whether there may be more at once."""
    await snapshot(sql)
    newest = await history.head(sql)
    if newest is None or newest["time"] is None or bytes(newest["tip"]) == tip:
        return [], at, tip, False
    told: list[bytes] = []
    if at is not None and not await _stands(sql, at):
        if newest["head"] < at.block and newest["head"] < newest["finalized"]:
            return [], at, tip, False  # the mirror is being rebuilt
        at = await _final(sql, newest)
        told.append(_event("rollback", at, {"after_block": -1 if at is None else at.block}))
    place = (-1, 0, 0) if at is None else at[:3]
    cursor = await sql.execute(_FEED, (holder, *place, AT_ONCE))
    rows = await cursor.fetchall()
    for row in rows:
        at = Position(row["block"], row["log_index"], row["side"], row["block_hash"].hex()[:16])
        told.append(_event("entry", at, history.entry(row, newest["finalized"])))
    more = len(rows) == AT_ONCE
    return told, at, b"" if more else bytes(newest["tip"]), more


async def _stands(sql: Connection, at: Position) -> bool:
    row = await one(sql, "select hash from mirror.block where number = %s", at.block)
    return row is not None and row["hash"].hex().startswith(at.hash)


async def _final(sql: Connection, newest: Mapping[str, Any]) -> Position | None:
    """The end of the last final block."""
    number = min(newest["finalized"], newest["head"])
    row = await one(sql, "select number, hash from mirror.block where number = %s", number)
    return None if row is None else Position(row["number"], END_OF_BLOCK, 1, row["hash"].hex()[:16])


def _event(name: str, at: Position | None, data: Mapping[str, Any]) -> bytes:
    id = b"" if at is None else f"id: {at.id}\n".encode()
    return b"event: " + name.encode() + b"\n" + id + b"data: " + msgspec.json.encode(data) + b"\n\n"
