"""The mirror in PostgreSQL: every statement that writes it.

`append` and `rollback` are each exactly one transaction, and each begins by comparing and setting the stored tip: of
two writers that saw the same tip one wins and the other gets `Raced`, having changed nothing. Rows are copied in,
never upserted: the compare-and-set excludes repeats, so that a clash of keys is a bug and must be seen. Balances,
supplies and margins are folded from the ledger's rows by one statement each, forward after an append and backward
before a rollback's deletion.

Commits are not waited for to reach the disk. A power cut can lose the last of them, cursor and rows together, and the
chain still has them; whatever another table commits durably afterwards flushes them first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from psycopg import AsyncConnection, sql
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from contracts import crash
from indexer import tables
from indexer.blocks import Block, require_linked
from indexer.errors import BelowFinality, OtherDeployment, Raced
from indexer.project import Known, Row, Rows

Connection = AsyncConnection[tuple[object, ...]]

# Every statement here touches the newest few rows of large tables by their keys. In a backfill the statistics are older
# than the rows, and the planner would read whole tables: 250 ms for a block of 200 entries instead of 10.
_OPTIONS = "-c synchronous_commit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"

_PLACED = [table for table in tables.metadata.sorted_tables if "block" in table.columns]
"""The tables whose rows a rollback deletes by their block."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """Which contracts, on which chain, from which block on."""

    chain_id: int
    factory: bytes
    exchange: bytes
    first_block: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the mirror goes. `tip` is the hash of block `next_block - 1`; `finalized` is a height."""

    next_block: int
    tip: bytes
    finalized: int


async def connect(url: str) -> Connection:
    """A connection of the indexer's own; transactions are explicit."""
    return await AsyncConnection.connect(url, autocommit=True, options=_OPTIONS)


async def create_schema(connection: Connection) -> None:
    """Creates what is missing of schema `mirror`; safe to run by several at once.

    Where nothing is missing it locks nothing: to create an index that exists waits for whoever writes to its table, and
    deadlocks with it.
    """
    if await _complete(connection):
        return
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('mirror schema'))")
        await connection.execute("create schema if not exists mirror")
        for table in tables.metadata.sorted_tables:
            await _ddl(connection, str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                await _ddl(connection, str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)))
        for grant in tables.READABLE:
            await _ddl(connection, grant)


async def _complete(connection: Connection) -> bool:
    wanted = {table.name for table in tables.metadata.sorted_tables}
    wanted |= {str(index.name) for table in tables.metadata.sorted_tables for index in table.indexes}
    found = await connection.execute(
        "select relname from pg_class where relnamespace = to_regnamespace('mirror') and relname = any(%s)",
        (sorted(wanted),),
    )
    return len(await found.fetchall()) == len(wanted)


async def _ddl(connection: Connection, statement: str) -> None:
    await connection.execute(statement.encode())


async def begin(connection: Connection, deployed: Deployed, before: Block) -> Cursor:
    """Sets the cursor before the deployment's first block. `before` is the block under it: no fork goes below it."""
    if before.number != deployed.first_block - 1:
        raise ValueError(f"block {before.number} is not the one before {deployed.first_block}")
    async with connection.transaction():
        made = await connection.execute(
            "insert into mirror.cursor (id, chain_id, factory, exchange, first_block, next_block, tip, finalized) "
            "values (1, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            (
                *(deployed.chain_id, deployed.factory, deployed.exchange, deployed.first_block),
                *(deployed.first_block, before.hash, before.number),
            ),
        )
        if made.rowcount != 1:
            raise Raced("another writer began")
        await _copy(connection, tables.block, [(before.number, before.hash, before.parent, before.time)])
    return Cursor(deployed.first_block, before.hash, before.number)


async def read_cursor(connection: Connection, deployed: Deployed) -> Cursor | None:
    """How far the mirror goes; None if it was never begun. Raises `OtherDeployment` if it mirrors other contracts."""
    result = await connection.execute(
        "select chain_id, factory, exchange, first_block, next_block, tip, finalized from mirror.cursor"
    )
    row = await result.fetchone()
    if row is None:
        return None
    chain_id, factory, exchange, first_block, *rest = row
    if (chain_id, factory, exchange, first_block) != (
        *(deployed.chain_id, deployed.factory, deployed.exchange, deployed.first_block),
    ):
        raise OtherDeployment(
            f"the mirror is of chain {chain_id}, exchange 0x{bytes(exchange).hex()} from block {first_block}; "  # type: ignore[call-overload]
            f"the deployment is chain {deployed.chain_id}, exchange 0x{deployed.exchange.hex()} from block "
            f"{deployed.first_block}. Drop schema mirror to mirror this one."
        )
    return Cursor(*rest)  # type: ignore[arg-type]


async def read_known(connection: Connection, deployed: Deployed) -> Known:
    """What the projection knows at the stored tip."""
    found = await connection.execute("select address from mirror.programme")
    programmes = frozenset(row[0] for row in await found.fetchall())
    paid = await connection.execute("select account from mirror.fee order by block desc, log_index desc limit 1")
    fee = await paid.fetchone()
    return Known(deployed.factory, deployed.exchange, programmes, fee[0] if fee else None)  # type: ignore[arg-type]


async def hashes(connection: Connection, *, first: int, last: int) -> dict[int, bytes]:
    """Our blocks' hashes at these heights, as far as we hold any."""
    found = await connection.execute(
        "select number, hash from mirror.block where number between %s and %s", (first, last)
    )
    return dict(await found.fetchall())  # type: ignore[arg-type]


async def counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has."""
    found: dict[str, int] = {}
    for table in tables.metadata.sorted_tables:
        result = await connection.execute(sql.SQL("select count(*) from {}").format(_identifier(table)))
        row = await result.fetchone()
        found[table.name] = int(str(row[0])) if row else 0
    return found


async def append(
    connection: Connection, *, expected_tip: bytes, blocks: Sequence[Block], rows: Rows, finalized: Block | None = None
) -> Cursor:
    """Adds `blocks`, the first of which follows `expected_tip`, and their rows. Raises `Raced`.

    `finalized` is a final block, of these or held already; the stored height never falls.
    """
    require_linked(blocks)
    if blocks[0].parent != expected_tip:
        raise ValueError(f"block {blocks[0].number} does not follow the expected tip")
    first, last = blocks[0], blocks[-1]
    async with connection.transaction():
        await _advance(connection, expected_tip, first.number, last.number + 1, last.hash)
        await _copy(connection, tables.block, [(b.number, b.hash, b.parent, b.time) for b in blocks])
        for name in Rows.__slots__:
            await _copy(connection, tables.metadata.tables[f"mirror.{name}"], getattr(rows, name))
        await _fold(connection, first.number, sign=1)
        final = await _finalize(connection, last.hash, finalized)
        crash.point("indexer: stored, not committed")
    return Cursor(last.number + 1, last.hash, final)


async def rollback(connection: Connection, *, expected_tip: bytes, fork: int) -> Cursor:
    """Removes everything above block `fork`, which stays. Raises `Raced`, and `BelowFinality`."""
    async with connection.transaction():
        kept = await hashes(connection, first=fork, last=fork)
        if fork not in kept:
            raise Raced(f"block {fork} is not in the mirror")
        await _advance(connection, expected_tip, None, fork + 1, kept[fork])
        cursor = await connection.execute("select finalized from mirror.cursor")
        (finalized,) = await cursor.fetchone() or (None,)
        if not isinstance(finalized, int) or fork < finalized:
            raise BelowFinality(f"the chain parts at block {fork}, which is below the final block {finalized}")
        await _fold(connection, fork + 1, sign=-1)
        await connection.execute(_delete_above(), {"fork": fork})
        crash.point("indexer: rolled back, not committed")
    return Cursor(fork + 1, kept[fork], finalized)


async def finalize(connection: Connection, *, expected_tip: bytes, finalized: Block) -> int:
    """Marks a held block, and all below it, as final. Returns the stored height, which stays if we hold another."""
    return await _finalize(connection, expected_tip, finalized)


async def _advance(connection: Connection, expected_tip: bytes, first: int | None, next_block: int, tip: bytes) -> None:
    """The compare-and-set. It also locks the cursor's row, so that the loser waits for the winner and then fails."""
    done = await connection.execute(
        "update mirror.cursor set next_block = %(next)s, tip = %(tip)s "
        "where id = 1 and tip = %(expected)s and (%(first)s::bigint is null or next_block = %(first)s)",
        {"next": next_block, "tip": tip, "expected": expected_tip, "first": first},
    )
    if done.rowcount != 1:
        raise Raced(f"the stored tip is not 0x{expected_tip.hex()}")


async def _finalize(connection: Connection, tip: bytes, finalized: Block | None) -> int:
    if finalized is not None:
        await connection.execute(
            "update mirror.cursor set finalized = %(number)s where id = 1 and tip = %(tip)s and finalized < %(number)s "
            "and exists (select from mirror.block where number = %(number)s and hash = %(hash)s)",
            {"number": finalized.number, "hash": finalized.hash, "tip": tip},
        )
    stored = await (await connection.execute("select finalized from mirror.cursor")).fetchone()
    if stored is None or not isinstance(stored[0], int):
        raise Raced("the cursor is gone")
    return stored[0]


_FOLDS = (
    (tables.balance, "entry", ("holder", "programme")),
    (tables.supply, "entry", ("programme",)),
    (tables.margin, "movement", ("account",)),
)


async def _fold(connection: Connection, first: int, *, sign: int) -> None:
    """Adds the ledger's rows from block `first` on to their sums, or takes them away. A sum of zero has no row."""
    for table, source, keys in _FOLDS:
        await connection.execute(_fold_statement(table, source, keys, sign), (first,))


@cache
def _fold_statement(table: Table, source: str, keys: tuple[str, ...], sign: int) -> bytes:
    columns = [sql.Identifier(key) for key in keys]
    comma = sql.SQL(", ")
    return (
        sql.SQL(
            "merge into {table} as held using ("
            "  select {keys}, {sign} * sum(delta) as delta from mirror.{source}"
            "  where block >= %s group by {keys} having sum(delta) <> 0"
            ") as net on {same} "
            "when matched and held.amount + net.delta = 0 then delete "
            "when matched then update set amount = held.amount + net.delta "
            "when not matched then insert ({keys}, amount) values ({values}, net.delta)"
        )
        .format(
            table=_identifier(table),
            keys=comma.join(columns),
            sign=sql.Literal(sign),
            source=sql.Identifier(source),
            same=sql.SQL(" and ").join(sql.SQL("held.{0} = net.{0}").format(column) for column in columns),
            values=comma.join(sql.SQL("net.{}").format(column) for column in columns),
        )
        .as_bytes()
    )


@cache
def _delete_above() -> bytes:
    """Deletes all rows above a block: one statement, for a round trip costs more than each of the many tables."""
    each = [
        sql.SQL("{} as (delete from {} where block > %(fork)s)").format(
            sql.Identifier(f"of_{table.name}"), _identifier(table)
        )
        for table in _PLACED
    ]
    deleted = sql.SQL("with {} delete from mirror.block where number > %(fork)s").format(sql.SQL(", ").join(each))
    return deleted.as_bytes()


async def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    async with connection.cursor() as cursor, cursor.copy(_copy_statement(table)) as copy:
        for row in rows:
            await copy.write_row(row)


@cache
def _copy_statement(table: Table) -> bytes:
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    return sql.SQL("copy {} ({}) from stdin").format(_identifier(table), columns).as_bytes()


def _identifier(table: Table) -> sql.Identifier:
    return sql.Identifier("mirror", table.name)
