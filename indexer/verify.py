"""Reads blocks again, from the node, and compares what they make with the mirror, row by row.

The rows are made by `project`, one log after the other, and not by the way that made the mirror (`pack`); who created
what is read from the chain again too. Whoever wants a proof that shares no code with the indexer at all runs the
auditor. A difference in blocks that are not final may be a reorganisation under way, so it is looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql
from sqlalchemy import Table

from contracts.errors import RangeTooLarge
from indexer import project, source, tables
from indexer.blocks import Stretch
from indexer.connection import Connection
from indexer.endpoints import Endpoints
from indexer.project import Known, Row, Rows
from indexer.store import Cursor, Deployed

BLOCKS: Final = 50
AGAIN: Final = 3
"""Times that a difference above finality is looked at."""

PAUSE: Final = 1.0

SUMS: Final = (
    (tables.balance, "entry", ("holder", "programme")),
    (tables.supply, "entry", ("programme",)),
    (tables.margin, "movement", ("account",)),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that the chain makes and the mirror lacks, or the other way round; or both, of one key."""

    table: str
    key: Row
    chain: Row | None
    mirror: Row | None

    def __str__(self) -> str:
        place = ", ".join(map(shown, self.key))
        if self.mirror is None:
            return f"{self.table} ({place}): the mirror lacks {_row(self.chain)}"
        if self.chain is None:
            return f"{self.table} ({place}): the mirror has {_row(self.mirror)}, which the chain does not say"
        return f"{self.table} ({place}): the mirror has {_row(self.mirror)}, the chain {_row(self.chain)}"


async def verify(
    connection: Connection,
    nodes: Endpoints,
    deployed: Deployed,
    cursor: Cursor,
    *,
    first: int,
    last: int,
    progress: Callable[[int], None],
    most: int = 20,
) -> list[Difference]:
    """The first `most` differences in blocks `first` to `last`, and of the sums. `progress` hears of blocks done."""
    found: list[Difference] = []
    known = await _known_before(connection, deployed, first)
    at = first
    while at <= last and len(found) < most:
        for attempt in range(AGAIN):
            stretch = await _fetch(nodes, at, min(at + BLOCKS - 1, last), known)
            rows, after = project.project(stretch.logs, known)
            differences = await _compare(connection, stretch, rows)
            if not differences or stretch.first.number <= cursor.finalized or attempt == AGAIN - 1:
                break
            await asyncio.sleep(PAUSE)
        found += differences
        known, at = after, stretch.last.number + 1
        progress(stretch.last.number)
    return (found or await _compare_sums(connection))[:most]


async def _fetch(nodes: Endpoints, first: int, last: int, known: Known) -> Stretch:
    try:
        return await source.fetch(nodes, first=first, last=last, known=known)
    except RangeTooLarge:
        if first == last:
            raise
        return await _fetch(nodes, first, (first + last) // 2, known)


async def _known_before(connection: Connection, deployed: Deployed, block: int) -> Known:
    """What blocks before this one made known, by the mirror: reading from the start says whether it is right."""
    programmes = await connection.execute("select address from programme where block < %s", (block,))
    addresses: Any = await programmes.fetchall()
    paid = await connection.execute(
        "select account from fee where block < %s order by block desc, log_index desc limit 1", (block,)
    )
    fee: Any = await paid.fetchone()
    return Known(deployed.factory, deployed.exchange, frozenset(row[0] for row in addresses), fee[0] if fee else None)


async def _compare(connection: Connection, stretch: Stretch, rows: Rows) -> list[Difference]:
    """In one snapshot of the mirror."""
    first, last = stretch.first.number, stretch.last.number
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        headers = [(block.number, block.hash, block.parent, block.time) for block in stretch.blocks]
        found = list(_differences(tables.block, headers, await _held(connection, tables.block, "number", first, last)))
        for name in Rows.__slots__:
            table = tables.metadata.tables[f"mirror.{name}"]
            held = await _held(connection, table, "block", first, last)
            found += _differences(table, getattr(rows, name), held)
    return found


async def _held(connection: Connection, table: Table, column: str, first: int, last: int) -> list[Row]:
    columns = sql.SQL(", ").join(sql.Identifier(each.name) for each in table.columns)
    statement = sql.SQL("select {} from {} where {} between %s and %s").format(
        columns, sql.Identifier(table.name), sql.Identifier(column)
    )
    return list(await (await connection.execute(statement, (first, last), binary=True)).fetchall())


def _differences(table: Table, chain: list[Row], mirror: list[Row]) -> Iterator[Difference]:
    place = [list(table.columns).index(column) for column in table.primary_key]

    def by_key(rows: list[Row]) -> dict[Row, Row]:
        return {tuple(row[at] for at in place): tuple(row) for row in rows}

    said, held = by_key(chain), by_key(mirror)
    for key in sorted(said.keys() | held.keys()):
        if said.get(key) != held.get(key):
            yield Difference(table.name, key, said.get(key), held.get(key))


async def _compare_sums(connection: Connection) -> list[Difference]:
    """Balances, supplies and margins beside the ledger's rows that they are the sums of, all of them."""
    found: list[Difference] = []
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        await connection.execute("set local enable_seqscan = on")
        await connection.execute("set local enable_hashjoin = on")
        for table, ledger, keys in SUMS:
            columns = sql.SQL(", ").join(map(sql.Identifier, keys))
            statement = sql.SQL(
                "select {columns}, summed.amount, held.amount from"
                " (select {columns}, sum(delta) as amount from {ledger} group by {columns} having sum(delta) <> 0)"
                " summed full join {table} held using ({columns})"
                " where summed.amount is distinct from held.amount order by {columns} limit 20"
            ).format(columns=columns, ledger=sql.Identifier(ledger), table=sql.Identifier(table.name))
            for *key, summed, held in await (await connection.execute(statement)).fetchall():
                place = tuple(key)
                sides = [None if amount is None else (*place, amount) for amount in (summed, held)]
                found.append(Difference(table.name, place, *sides))
    return found


def shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def _row(row: Row | None) -> str:
    return f"({', '.join(map(shown, row or ()))})"


def require_range(cursor: Cursor, deployed: Deployed, first: int | None, last: int | None) -> tuple[int, int]:
    """The blocks to read: all that are mirrored, unless told otherwise. Raises `ValueError`."""
    tip = cursor.next_block - 1
    start, end = deployed.first_block if first is None else first, tip if last is None else last
    if not deployed.first_block <= start <= end <= tip:
        raise ValueError(f"the mirror has blocks {deployed.first_block} to {tip}, not {start} to {end}")
    return start, end
