"""Where the mirror's tables are made, and how another set of them takes their place.

Readers read schema `mirror`, which is always whole. A mirror that does not exist, or whose tables are defined otherwise
than `indexer.tables` has them, is built beside it in `mirror_next`, without keys, indexes and sums, which are made at
the end at a fifth of their price, and then takes its name, with its grants, in one transaction. A comment on the schema
says which definition its tables have and whether they are still being built; every write compares it, so that a writer
of another version, or one that thinks the build is still on, changes nothing (`store._advance`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from psycopg import sql
from psycopg.errors import LockNotAvailable
from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, ExecutableDDLElement

from contracts import crash
from indexer import tables
from indexer.connection import Connection

MIRROR: Final = "mirror"
NEXT: Final = "mirror_next"

PLACED: Final = [table for table in tables.metadata.sorted_tables if "block" in table.columns]
"""The tables whose rows a rollback deletes by their block, and that have no keys or indexes while they are built."""

_LOCK: Final = "hashtext('mirror schema')"
_BUILDER: Final = "hashtext('mirror build')"


def _rendered(element: ExecutableDDLElement, name: str) -> bytes:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = element.compile(dialect=dialect, schema_translate_map={MIRROR: name}, render_schema_translate=True)
    return str(compiled).encode()


def _tables(name: str) -> Iterator[bytes]:
    for table in tables.metadata.sorted_tables:
        yield _rendered(CreateTable(table, if_not_exists=True), name)
    for grant in tables.READABLE:
        yield grant.replace(f"schema {MIRROR}", f"schema {name}").encode()


def _indexes(name: str) -> Iterator[bytes]:
    for table in tables.metadata.sorted_tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield _rendered(CreateIndex(index, if_not_exists=True), name)


def _keys(table: Table) -> list[PrimaryKeyConstraint | UniqueConstraint]:
    found = [c for c in table.constraints if isinstance(c, PrimaryKeyConstraint | UniqueConstraint)]
    return sorted(found, key=lambda key: (isinstance(key, UniqueConstraint), key.columns.keys()))


DEFINITION: Final = "definition " + hashlib.sha256(b";".join(
    [*_tables(MIRROR), *_indexes(MIRROR), str(tables.MEANING).encode()]
)).hexdigest()[:16]  # fmt: skip
"""The comment of a whole mirror: what its tables, their indexes and their rows are."""

BUILDING: Final = f"building {DEFINITION}"
"""The comment of one whose keys, indexes and sums are still to be made."""


async def create(connection: Connection) -> None:
    """Makes what is missing of schema `mirror`; safe to run by several at once.

    Where nothing is missing it locks nothing: to create an index that exists waits for whoever writes to its table, and
    deadlocks with it.
    """
    if await state(connection, MIRROR) == DEFINITION:
        return
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({_LOCK})".encode())
        is_new = await state(connection, MIRROR) is None
        await _make(connection, MIRROR)
        for statement in _indexes(MIRROR):
            await connection.execute(statement)
        if is_new:
            await _comment(connection, MIRROR, DEFINITION)


async def state(connection: Connection, name: str) -> str | None:
    """The comment of a schema, empty if it has none or lacks a table of ours; None if there is no such schema."""
    found = await connection.execute(
        "select coalesce(obj_description(n.oid, 'pg_namespace'), ''),"
        " (select array_agg(relname::text) from pg_class where relnamespace = n.oid and relkind = 'r')"
        " from pg_namespace n where nspname = %s",
        (name,),
    )
    row = await found.fetchone()
    if row is None:
        return None
    comment, there = row
    whole = {table.name for table in tables.metadata.sorted_tables} <= set(there or ())  # type: ignore[call-overload]
    return str(comment) if whole else ""


async def progress(connection: Connection) -> int | None:
    """The next block of schema `mirror`, whatever its definition; None if it was never begun."""
    exists = await (await connection.execute("select to_regclass('mirror.cursor')")).fetchone()
    if exists == (None,):
        return None
    row = await (await connection.execute("select next_block from mirror.cursor")).fetchone()
    return None if row is None else int(str(row[0]))


async def use(connection: Connection, name: str) -> None:
    """What this connection writes from now on."""
    await connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(name)))


async def claim(connection: Connection) -> bool:
    """Whether this connection is the one that builds, as long as it lives or until `switch`."""
    row = await (await connection.execute(f"select pg_try_advisory_lock({_BUILDER})".encode())).fetchone()
    return row == (True,)


async def prepare(connection: Connection) -> None:
    """Makes `mirror_next`, bare and empty, unless one of our definition is there to go on with."""
    if await state(connection, NEXT) in (BUILDING, DEFINITION):
        return
    async with connection.transaction():
        await drop_next(connection)
        await _make(connection, NEXT)
        for table in PLACED:
            for key in _keys(table):
                await connection.execute(
                    sql.SQL("alter table {} drop constraint {}").format(
                        sql.Identifier(NEXT, table.name), sql.Identifier(_name(table, key))
                    )
                )
        await _comment(connection, NEXT, BUILDING)


async def complete(connection: Connection) -> None:
    """Makes the keys and indexes that were left out, within the caller's transaction: the mirror is whole then."""
    await connection.execute("set local maintenance_work_mem = '128MB'")
    for table in PLACED:
        for key in _keys(table):
            await connection.execute(_rendered(AddConstraint(key, isolate_from_table=False), NEXT))
    for statement in _indexes(NEXT):
        await connection.execute(statement)
    await _comment(connection, NEXT, DEFINITION)


async def switch(connection: Connection) -> bool:
    """Puts `mirror_next` in the place of `mirror`, once nobody is reading there. False if somebody was, all the time.

    Readers wait meanwhile, half a second at most. Who was reading goes on undisturbed, and a transaction that has read
    the old mirror never reads the new one.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"select pg_advisory_xact_lock({_LOCK})".encode())
            await connection.execute("set local lock_timeout = '500ms'")
            found = await connection.execute("select tablename from pg_tables where schemaname = %s", (MIRROR,))
            if old := [sql.Identifier(MIRROR, str(name)) for (name,) in await found.fetchall()]:
                await connection.execute(
                    sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(", ").join(old))
                )
            await connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(MIRROR)))
            await connection.execute(
                sql.SQL("alter schema {} rename to {}").format(sql.Identifier(NEXT), sql.Identifier(MIRROR))
            )
            crash.point("indexer: switched, not committed")
    except LockNotAvailable:
        return False
    await use(connection, MIRROR)
    await connection.execute(f"select pg_advisory_unlock({_BUILDER})".encode())
    return True


async def drop_next(connection: Connection) -> None:
    """Forgets what was built beside."""
    await connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(NEXT)))


async def drop(connection: Connection) -> None:
    """Drops the mirror, and one that is built beside. Who writes it begins with the cursor, and so do we."""
    async with connection.transaction():
        if await progress(connection) is not None:
            await connection.execute("lock table mirror.cursor in access exclusive mode")
        await drop_next(connection)
        await connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(MIRROR)))


async def _make(connection: Connection, name: str) -> None:
    await connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(name)))
    for statement in _tables(name):
        await connection.execute(statement)


async def _comment(connection: Connection, name: str, comment: str) -> None:
    await connection.execute(sql.SQL("comment on schema {} is {}").format(sql.Identifier(name), sql.Literal(comment)))


def _name(table: Table, key: PrimaryKeyConstraint | UniqueConstraint) -> str:
    """As PostgreSQL names it."""
    return f"{table.name}_pkey" if isinstance(key, PrimaryKeyConstraint) else "_".join(
        [table.name, *key.columns.keys(), "key"]
    )  # fmt: skip
