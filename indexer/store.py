"""The mirror in PostgreSQL: every statement that writes it.

`append` and `rollback` are each exactly one transaction, and each begins by comparing and setting the stored tip: of
two writers that saw the same tip one wins and the other gets `Raced`, having changed nothing. Rows are copied in,
never upserted: the compare-and-set excludes repeats, so that a clash of keys is a bug and must be seen. Balances,
supplies and margins are folded from the ledger's rows by one statement each, forward after an append and backward
before a rollback's deletion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from psycopg import sql
from sqlalchemy import Table

from contracts import crash
from indexer import pack, schema, tables
from indexer.blocks import Block, require_linked
from indexer.connection import Connection as Connection
from indexer.connection import connect as connect
from indexer.errors import BelowFinality, OtherDeployment, Raced
from indexer.pack import Lines
from indexer.project import Known, Rows

_PLACED = schema.PLACED
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


async def create_schema(connection: Connection) -> None:
    """Creates what is missing of schema `mirror`; safe to run by several at once."""
    await schema.create(connection)


async def begin(connection: Connection, deployed: Deployed, before: Block) -> Cursor:
    """Sets the cursor before the deployment's first block. `before` is the block under it: no fork goes below it."""
    if before.number != deployed.first_block - 1:
        raise ValueError(f"block {before.number} is not the one before {deployed.first_block}")
    async with connection.transaction():
        made = await connection.execute(
            "insert into cursor (id, chain_id, factory, exchange, first_block, next_block, tip, finalized) "
            "values (1, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            (
                *(deployed.chain_id, deployed.factory, deployed.exchange, deployed.first_block),
                *(deployed.first_block, before.hash, before.number),
            ),
        )
        if made.rowcount != 1:
            raise Raced("another writer began")
        await _copy_blocks(connection, [before])
    return Cursor(deployed.first_block, before.hash, before.number)


async def read_cursor(connection: Connection, deployed: Deployed) -> Cursor | None:
    """How far the mirror goes; None if it was never begun. Raises `OtherDeployment` if it mirrors other contracts."""
    result = await connection.execute(
        "select chain_id, factory, exchange, first_block, next_block, tip, finalized from cursor"
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
    found = await connection.execute("select address from programme")
    programmes = frozenset(row[0] for row in await found.fetchall())
    paid = await connection.execute("select account from fee order by block desc, log_index desc limit 1")
    fee = await paid.fetchone()
    return Known(deployed.factory, deployed.exchange, programmes, fee[0] if fee else None)  # type: ignore[arg-type]


async def hashes(connection: Connection, *, first: int, last: int) -> dict[int, bytes]:
    """Our blocks' hashes at these heights, as far as we hold any."""
    found = await connection.execute("select number, hash from block where number between %s and %s", (first, last))
    return dict(await found.fetchall())  # type: ignore[arg-type]


async def time_of(connection: Connection, number: int) -> int:
    """When a block that we hold was made, in Unix seconds."""
    row = await (await connection.execute("select time from block where number = %s", (number,))).fetchone()
    if row is None:
        raise Raced(f"block {number} is not in the mirror")
    return int(str(row[0]))


async def counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has."""
    found: dict[str, int] = {}
    for table in tables.metadata.sorted_tables:
        result = await connection.execute(sql.SQL("select count(*) from {}").format(_identifier(table)))
        row = await result.fetchone()
        found[table.name] = int(str(row[0])) if row else 0
    return found


async def append(
    connection: Connection,
    *,
    expected_tip: bytes,
    blocks: Sequence[Block],
    rows: Rows | Lines,
    finalized: Block | None = None,
    building: bool = False,
) -> Cursor:
    """Adds `blocks`, the first of which follows `expected_tip`, and their rows. Raises `Raced`.

    `finalized` is a final block, of these or held already; the stored height never falls. The sums of a mirror that is
    being built come later, by `complete`.
    """
    lines = pack.lines(rows) if isinstance(rows, Rows) else rows
    require_linked(blocks)
    if blocks[0].parent != expected_tip:
        raise ValueError(f"block {blocks[0].number} does not follow the expected tip")
    first, last = blocks[0], blocks[-1]
    async with connection.transaction():
        await _advance(connection, expected_tip, first.number, last.number + 1, last.hash, building=building)
        await _copy_blocks(connection, blocks)
        for name in Rows.__slots__:
            if name in lines:
                await _copy(connection, tables.metadata.tables[f"{schema.MIRROR}.{name}"], lines[name])
        if not building:
            await _fold(connection, first.number, sign=1)
        final = await _finalize(connection, last.hash, finalized)
        crash.point("indexer: stored, not committed")
    return Cursor(last.number + 1, last.hash, final)


async def complete(connection: Connection, *, expected_tip: bytes) -> None:
    """Makes what a mirror lacked while it was built: keys, indexes and sums. Raises `Raced`."""
    async with connection.transaction():
        await _advance(connection, expected_tip, None, None, expected_tip, building=True)
        for setting in ("enable_seqscan = on", "enable_hashjoin = on", "work_mem = '64MB'"):  # whole tables, this once
            await connection.execute(f"set local {setting}".encode())
        await _fold(connection, 0, sign=1)
        await schema.complete(connection)
        crash.point("indexer: built, not committed")


async def rollback(connection: Connection, *, expected_tip: bytes, fork: int, building: bool = False) -> Cursor:
    """Removes everything above block `fork`, which stays. Raises `Raced`, and `BelowFinality`."""
    async with connection.transaction():
        kept = await hashes(connection, first=fork, last=fork)
        if fork not in kept:
            raise Raced(f"block {fork} is not in the mirror")
        await _advance(connection, expected_tip, None, fork + 1, kept[fork], building=building)
        cursor = await connection.execute("select finalized from cursor")
        (finalized,) = await cursor.fetchone() or (None,)
        if not isinstance(finalized, int) or fork < finalized:
            raise BelowFinality(f"the chain parts at block {fork}, which is below the final block {finalized}")
        if not building:
            await _fold(connection, fork + 1, sign=-1)
        await connection.execute(_delete_above(), {"fork": fork})
        crash.point("indexer: rolled back, not committed")
    return Cursor(fork + 1, kept[fork], finalized)


async def finalize(connection: Connection, *, expected_tip: bytes, finalized: Block) -> int:
    """Marks a held block, and all below it, as final. Returns the stored height, which stays if we hold another."""
    return await _finalize(connection, expected_tip, finalized)


async def _advance(
    connection: Connection,
    expected_tip: bytes,
    first: int | None,
    next_block: int | None,
    tip: bytes,
    *,
    building: bool,
) -> None:
    """The compare-and-set. It also locks the cursor's row, so that the loser waits for the winner and then fails."""
    done = await connection.execute(
        "update cursor set next_block = coalesce(%(next)s, next_block), tip = %(tip)s "
        "where id = 1 and tip = %(expected)s and (%(first)s::bigint is null or next_block = %(first)s) "
        "and obj_description(current_schema()::regnamespace, 'pg_namespace') = %(state)s",
        {
            **{"next": next_block, "tip": tip, "expected": expected_tip, "first": first},
            "state": schema.BUILDING if building else schema.DEFINITION,
        },
    )
    if done.rowcount != 1:
        raise Raced(f"the stored tip is not 0x{expected_tip.hex()}, or the mirror is another one")


async def _finalize(connection: Connection, tip: bytes, finalized: Block | None) -> int:
    if finalized is not None:
        await connection.execute(
            "update cursor set finalized = %(number)s where id = 1 and tip = %(tip)s and finalized < %(number)s "
            "and exists (select from block where number = %(number)s and hash = %(hash)s)",
            {"number": finalized.number, "hash": finalized.hash, "tip": tip},
        )
    stored = await (await connection.execute("select finalized from cursor")).fetchone()
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
            "  select {keys}, {sign} * sum(delta) as delta from {source}"
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
    deleted = sql.SQL("with {} delete from block where number > %(fork)s").format(sql.SQL(", ").join(each))
    return deleted.as_bytes()


async def _copy(connection: Connection, table: Table, lines: str) -> None:
    async with connection.cursor() as cursor, cursor.copy(_copy_statement(table)) as copy:
        await copy.write(lines)


async def _copy_blocks(connection: Connection, blocks: Sequence[Block]) -> None:
    await _copy(connection, tables.block, "".join(pack.line((b.number, b.hash, b.parent, b.time)) for b in blocks))


@cache
def _copy_statement(table: Table) -> bytes:
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    return sql.SQL("copy {} ({}) from stdin").format(_identifier(table), columns).as_bytes()


def _identifier(table: Table) -> sql.Identifier:
    return sql.Identifier(table.name)
