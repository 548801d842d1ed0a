"""The SQL mirror is equal to the chain, cell by cell.

PostgreSQL hashes each table stretch by stretch of blocks, and we hash what the chain says should be there; only where
the two differ are rows fetched and compared one by one. The stretches cover every block from the lowest number that a
row can have, so that a row in a block that does not exist is one too many. Everything is read in one snapshot, which
may be ahead of the audited block (what is above it is not judged, but for what the sums owe to it) or behind it (judged
up to its cursor, and said to be behind). What this file does not know of, a table or a column more, is a doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from scripts.audit.acts import Act, Network
from scripts.audit.evidence import Block
from scripts.audit.record import Record
from scripts.audit.rows import CURSOR, FOLDS, TABLES, Derivation, Row, Rows, Table

Connection = AsyncConnection[tuple[Any, ...]]

STRETCH: Final = 15_000
"""Rows of the chain's after which they are compared: a few megabytes."""

SHOWN: Final = 20
"""Rows of one table and stretch that are each told of; of more than that, how many."""

_LOWEST: Final = -(2**63)

# Statistics may be older than the rows, and whole tables would then be read for each stretch.
_SNAPSHOT: Final = (
    "set local timezone = 'UTC'; set local enable_seqscan = off; set local jit = off; set local statement_timeout = 0"
)

_CATALOGUE: Final = """
select c.relname, c.relkind::text, c.relrowsecurity or c.relhasrules, a.attname, t.typname
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_type t on t.oid = a.atttypid
where n.nspname = 'mirror' and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by c.relname, a.attnum
"""


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[Connection]:
    """A connection that sees the database at one moment and changes nothing."""
    async with await AsyncConnection.connect(url, row_factory=tuple_row) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        await prepare(connection)
        yield connection
        await connection.rollback()


async def prepare(connection: Connection) -> None:
    """Settings of the caller's transaction, for this one's many small reads of large tables."""
    await connection.execute(_SNAPSHOT)


class Mirror:
    """One comparison: `begin` with a snapshot, `add` every block with its acts, in order, then `end`.

    The first block is the one before the deployment's first: the mirror begins with it. Begun again with another
    snapshot it goes on behind `judged`, the last block that it compared; the sums are compared whole each time.
    """

    def __init__(self, network: Network, record: Record) -> None:
        self.network = network
        self.record = record
        self.judged = network.first_block - 2
        self._derivation = Derivation()
        self._low = _LOWEST
        self._top = -1
        self._held: list[tuple[Block, Sequence[Act]]] = []
        self._size = 0
        self._tables: Mapping[str, Table] = {}
        self._connection: Connection | None = None
        self._cursor: dict[str, Any] | None = None
        self._anchor: Block | None = None

    async def begin(self, connection: Connection) -> bool:
        """Whether there is a mirror at all, in a transaction of the caller's; if there is none, that is a doubt."""
        self._connection = connection
        columns = await self._columns()
        if "cursor" not in columns or "block" not in columns:
            self.record.doubted("mirror", "there is no mirror in this database, or this login may not see it")
            self._top = -1
            return False
        self._tables = self._known(columns)
        self._cursor = await self._read_cursor() if "cursor" in self._tables else None
        if self._cursor is None:
            self.record.found("mirror", "the cursor has no row, or is no table of ours", table="cursor", id=1)
            [(highest,)] = await self._rows("select coalesce(max(number), -1) from mirror.block")
            self._top = int(highest)
        else:
            self._top = self._cursor["next_block"] - 1
        return True

    async def add(self, block: Block, acts: Sequence[Act]) -> None:
        """The next block. Those above the mirror's own last one are not judged, nor is what follows on them later."""
        self._anchor = block
        following = self._held[-1][0].number + 1 if self._held else self.judged + 1
        if block.number > self._top or block.number > following:
            return
        self._held.append((block, acts))
        self._size += 1 + len(acts) + sum([len(act.moves) for act in acts])
        if self._size >= STRETCH:
            await self._compare()

    async def end(self, *, finalized: int | None = None, tolerated: int = 0) -> None:
        """What is left, then the cursor, the sums, and how far the mirror is behind, `tolerated` blocks or more.

        `finalized` is the height that the nodes called final after the snapshot was taken.
        """
        if self._top < 0 or self._anchor is None:
            return
        if self._held:
            await self._compare()
        if self._cursor is not None:
            self._judge_cursor(self._cursor, self._anchor, finalized)
        await self._beyond()
        await self._sums()
        behind = self._anchor.number - self._top
        if behind > tolerated:
            message = f"the mirror is {behind} blocks behind block {self._anchor.number}"
            self.record.found("freshness", message, block=self._top)
        elif self.judged < min(self._top, self._anchor.number):
            message = f"the mirror was behind when blocks above {self.judged} came by, and was not compared there"
            self.record.doubted("mirror", message, block=self.judged)
        else:
            self.record.proved("freshness")

    # --- what there is to compare -------------------------------------------------------------------------------------

    async def _columns(self) -> dict[str, dict[str, str]]:
        """Types of columns by table, as the catalogue has them; what hides or makes up rows is a doubt."""
        found: dict[str, dict[str, str]] = {}
        for table, kind, ruled, column, type_ in await self._rows(_CATALOGUE):
            if not found.setdefault(table, {}) and (kind not in ("r", "p") or ruled):
                message = f"mirror.{table} is no plain table: what others read there may not be what we read"
                self.record.doubted("mirror", message, table=table)
            if column is not None:
                found[table][column] = type_
        return found

    def _known(self, columns: Mapping[str, Mapping[str, str]]) -> dict[str, Table]:
        """Our tables, as far as they are there as we know them."""
        ours = {**TABLES, **FOLDS, CURSOR.name: CURSOR}
        for name in columns.keys() - ours.keys():
            self.record.doubted("mirror", f"mirror.{name} is no table that this audit knows", table=name)
        sound = {}
        for name, table in ours.items():
            there = columns.get(name, {})
            wrong = [column for column, type_ in table.columns.items() if there.get(column) != type_]
            for column in wrong:
                what = f"is {there[column]}" if column in there else "is missing"
                message = f"mirror.{name}.{column} {what}, and should be {table.columns[column]}"
                self.record.found("mirror", message, table=name, column=column)
            for column in there.keys() - table.columns.keys():
                message = f"mirror.{name}.{column} is no column that this audit knows"
                self.record.doubted("mirror", message, table=name, column=column)
            if not wrong:
                sound[name] = table
        return sound

    async def _read_cursor(self) -> dict[str, Any] | None:
        rows = await self._rows(_select(CURSOR, sql.SQL("")))
        return dict(zip(CURSOR.columns, rows[0], strict=True)) if rows else None

    # --- stretches ----------------------------------------------------------------------------------------------------

    async def _compare(self) -> None:
        """All tables over the blocks that are held: PostgreSQL hashes its rows while we hash ours."""
        held, self._held, self._size = self._held, [], 0
        low, high = self._low, held[-1][0].number
        hashing = asyncio.create_task(self._digests(low, high))
        await asyncio.sleep(0)  # its queries are under way from here on
        expected = self._derivation.rows(held, self.network.settlement)
        ours = {name: table.digest(expected[name]) for name, table in TABLES.items() if name in self._tables}
        theirs = await hashing
        for name, (count, digest) in theirs.items():
            if count == len(expected[name]) and (count == 0 or digest == ours[name]):
                self.record.proved("mirror", count)
            else:
                await self._differences(TABLES[name], expected, low, high)
        self._low, self.judged = high + 1, high

    async def _digests(self, low: int, high: int) -> dict[str, tuple[int, bytes | None]]:
        """Of each table, how many rows it has in these blocks, and their digest (`Table.digest`)."""
        assert self._connection is not None  # noqa: S101 - between `begin` and `end`
        asked = []
        async with self._connection.pipeline():
            for name in TABLES.keys() & self._tables.keys():
                asked.append((name, await self._connection.execute(_digest(TABLES[name]), (low, high), binary=True)))
        return {name: (await cursor.fetchone() or (0, None))[:2] for name, cursor in asked}

    async def _differences(self, table: Table, expected: Rows, low: int, high: int) -> None:
        """Row by row, and column by column."""
        wanted = {table.key_of(row): row for row in expected[table.name]}
        told = _Telling(self.record, table)
        where = sql.SQL("where {} between {} and {}").format(sql.Identifier(table.block), low, high)
        async for row in self._stream(_select(table, where)):
            ours = wanted.pop(table.key_of(row), None)
            if ours is None:
                told.foreign(row)
            elif row != ours:
                told.changed(row, ours)
            else:
                told.equal()
        for row in wanted.values():
            told.missing(row)
        told.end(f"blocks up to {high}")
        if told.rows == 0:
            message = f"mirror.{table.name} hashes otherwise up to block {high}, and no row differs"
            self.record.doubted("mirror", message, table=table.name)

    # --- what is no stretch -------------------------------------------------------------------------------------------

    def _judge_cursor(self, cursor: Mapping[str, Any], anchor: Block, finalized: int | None) -> None:
        network = self.network
        expected = {
            "chain_id": network.chain_id,
            "factory": network.factory,
            "exchange": network.exchange,
            "first_block": network.first_block,
        }
        if self._top == anchor.number:
            expected["tip"] = anchor.hash
        told = _Telling(self.record, CURSOR)
        told.changed(tuple(cursor.values()), tuple({**cursor, **expected}.values()))
        most = self._top if finalized is None else min(self._top, finalized)
        if not network.first_block - 1 <= cursor["finalized"] <= most:
            told.cell((cursor["id"],), "finalized", cursor["finalized"], f"at most {most}")

    async def _beyond(self) -> None:
        """Rows above the cursor are of blocks that the mirror does not have; its last block is the cursor's tip."""
        for name in TABLES.keys() & self._tables.keys():
            told = _Telling(self.record, TABLES[name])
            where = sql.SQL("where {} > {}").format(sql.Identifier(TABLES[name].block), self._top)
            async for row in self._stream(_select(TABLES[name], where)):
                told.foreign(row)
            told.end(f"blocks above {self._top}, the cursor's")
        if self._cursor is not None and "block" in self._tables:
            [last] = await self._rows("select hash from mirror.block where number = %s", self._top) or [(None,)]
            if last[0] != self._cursor["tip"]:
                _Telling(self.record, CURSOR).cell((1,), "tip", self._cursor["tip"], last[0])

    async def _sums(self) -> None:
        """Every fold is the sum of what the chain says up to the judged block, and of the mirror's rows above it."""
        for name, sums in self._derivation.sums().items():
            if name not in self._tables or FOLDS[name].block not in self._tables:
                continue
            fold = FOLDS[name]
            for *key, delta in await self._rows(_sum_above(fold, self.judged)):
                sums[tuple(key)] = sums.get(tuple(key), 0) + int(delta)
            told = _Telling(self.record, fold)
            async for row in self._stream(_select(fold, sql.SQL(""))):
                expected = sums.pop(row[:-1], 0)
                if expected == row[-1] != 0:
                    told.equal()
                elif expected:
                    told.changed(row, (*row[:-1], expected))
                else:
                    told.foreign(row)
            for key_, amount in sums.items():
                if amount:
                    told.missing((*key_, amount))
            told.end("all blocks")

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _rows(self, statement: Any, *arguments: object) -> list[tuple[Any, ...]]:
        assert self._connection is not None  # noqa: S101 - between `begin` and `end`
        return await (await self._connection.execute(statement, arguments or None, binary=True)).fetchall()

    async def _stream(self, statement: sql.Composed) -> AsyncIterator[Row]:
        """Through a cursor of the server's: however many rows there are, few of them are here."""
        assert self._connection is not None  # noqa: S101 - between `begin` and `end`
        async with self._connection.cursor("audit_rows") as cursor:
            cursor.itersize = 5_000
            await cursor.execute(statement, binary=True)
            async for row in cursor:
                yield row


class _Telling:
    """Findings about one table, of which the first are told one by one."""

    def __init__(self, record: Record, table: Table) -> None:
        self.record = record
        self.table = table
        self.rows = 0

    def equal(self) -> None:
        self.record.proved("mirror")

    def missing(self, row: Row) -> None:
        if self._again():
            self._found(f"the row {_shown(row)} is missing", self.table.key_of(row), {})

    def foreign(self, row: Row) -> None:
        if self._again():
            self._found(f"the chain has no such row: {_shown(row)}", self.table.key_of(row), {})

    def changed(self, row: Row, expected: Row) -> None:
        wrong = [place for place, pair in enumerate(zip(row, expected, strict=True)) if pair[0] != pair[1]]
        if wrong and self._again():
            for place in wrong:
                self.cell(self.table.key_of(expected), list(self.table.columns)[place], row[place], expected[place])

    def cell(self, key: Row, column: str, found: object, expected: object) -> None:
        values = {"column": column, "expected": _value(expected), "found": _value(found)}
        message = f"{column} is {_value(found)}, and by the chain {_value(expected)}"
        self._found(message, key, values)

    def end(self, where: str) -> None:
        if self.rows > SHOWN:
            message = f"{self.rows - SHOWN} more rows differ in {where}"
            self.record.found("mirror", f"mirror.{self.table.name}: {message}", table=self.table.name)

    def _again(self) -> bool:
        self.rows += 1
        return self.rows <= SHOWN

    def _found(self, message: str, key: Row, values: Mapping[str, int | str]) -> None:
        place = {name: _value(part) for name, part in zip(self.table.key, key, strict=True)}
        self.record.found("mirror", f"mirror.{self.table.name}: {message}", table=self.table.name, **place, **values)


def _value(value: object) -> int | str:
    """As a report shows it."""
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, str):
        return value
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):  # null, and numbers that are none
        return str(value)


def _shown(row: Row) -> str:
    return f"({', '.join(str(_value(value)) for value in row)})"


def _select(table: Table, where: sql.SQL | sql.Composed) -> sql.Composed:
    return sql.SQL("select {} from mirror.{} {}").format(_list(table.columns), sql.Identifier(table.name), where)


def _digest(table: Table) -> sql.Composed:
    return sql.SQL(
        "select count(*), sha256(string_agg(record_send(row({})), ''::bytea order by {}))"
        " from mirror.{} where {} between %s and %s"
    ).format(_list(table.columns), _list(table.key), sql.Identifier(table.name), sql.Identifier(table.block))


def _sum_above(fold: Table, block: int) -> sql.Composed:
    """Of the rows that a fold sums, those above a block."""
    keys = _list(fold.key)
    return sql.SQL("select {}, sum(delta) from mirror.{} where block > {} group by {}").format(
        keys, sql.Identifier(fold.block), block, keys
    )


def _list(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
