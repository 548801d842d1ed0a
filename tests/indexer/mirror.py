"""Reads a whole mirror, so that two of them can be compared, and checks what must hold in any."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from indexer import project, store, tables
from indexer.blocks import Block
from indexer.project import Known
from indexer.store import Connection, Cursor
from tests.indexer.chain import DEPLOYED, Chain

Contents = dict[str, list[tuple[Any, ...]]]


async def contents(connection: Connection) -> Contents:
    """Every row of every table but the cursor's."""
    found: Contents = {}
    for table in tables.metadata.sorted_tables:
        if table is not tables.cursor:
            statement = sql.SQL("select * from mirror.{} as t order by t").format(sql.Identifier(table.name))
            found[table.name] = list(await (await connection.execute(statement)).fetchall())
    return found


async def require_sound(connection: Connection) -> None:
    """Balances, supplies and margins are the sums of the ledger's rows, and the cursor stands on the last block."""
    for statement in (
        "select holder, programme, sum(delta) from mirror.entry group by 1, 2 having sum(delta) <> 0 "
        "except select holder, programme, amount from mirror.balance",
        "select holder, programme, amount from mirror.balance "
        "except select holder, programme, sum(delta) from mirror.entry group by 1, 2",
        "select programme, sum(amount) from mirror.balance group by 1 "
        "except select programme, amount from mirror.supply",
        "select programme, amount from mirror.supply "
        "except select programme, sum(amount) from mirror.balance group by 1",
        "select account, amount from mirror.margin except select account, sum(delta) from mirror.movement group by 1",
        "select account, sum(delta) from mirror.movement group by 1 having sum(delta) <> 0 "
        "except select account, amount from mirror.margin",
        "select next_block - 1, tip from mirror.cursor "
        "except select number, hash from mirror.block where number = (select max(number) from mirror.block)",
        "select one.number from mirror.block one join mirror.block two on two.number = one.number + 1 "
        "where two.parent <> one.hash",
        "select number from mirror.block where number > (select min(number) from mirror.block) "
        "except select number + 1 from mirror.block",
    ):
        rows = await (await connection.execute(statement.encode())).fetchall()
        assert rows == [], statement


async def begin(connection: Connection, chain: Chain) -> Cursor:
    """An empty mirror, whatever was there before."""
    exists = await (await connection.execute("select to_regclass('mirror.cursor')")).fetchone()
    if exists == (None,):
        await store.create_schema(connection)
    else:
        names = ", ".join(f"mirror.{table.name}" for table in tables.metadata.sorted_tables)
        await connection.execute(f"truncate {names}".encode())
    return await store.begin(connection, DEPLOYED, chain.genesis)


async def extend(
    connection: Connection, cursor: Cursor, chain: Chain, known: Known, finalized: Block | None = None
) -> tuple[Cursor, Known]:
    """Appends the chain's blocks above the cursor, one transaction each."""
    for stretch in chain.stretches:
        if stretch.first.number >= cursor.next_block:
            rows, known = project.project(stretch.logs, known)
            cursor = await store.append(
                connection, expected_tip=cursor.tip, blocks=stretch.blocks, rows=rows, finalized=finalized
            )
    return cursor, known
