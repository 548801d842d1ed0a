"""The gateway's one way to PostgreSQL: two ways to use it, and always on behalf of somebody.

`transaction` is the only place that commits: whoever answers 2xx has left it without an error. `reading` runs each
statement on its own, for reads and for the hot path, whose whole effect is one statement. Both are asked for by naming
the tenant: a merchant's or a customer's id, a person whose data it is about, or the operator, an auditor, the public or
the door, who are none. PostgreSQL itself then shows and takes what is theirs and nothing else (row-level security,
revisions 0011, 0030 and 0040): each has a role that owns no table, and a pool whose connections never leave that role.
A tenant's id travels in front of the first statement of each checkout, in the same packet, so that it costs no round
trip; until it is there the connection can do nothing.

What the driver raises becomes ours here: a database that is down or too slow is `DatabaseUnavailable`, a mirror that
is being rebuilt is `MirrorUnavailable`. Pools open without waiting, so a gateway starts, and says why it is not ready,
with the database down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from contracts import crash
from exchange.errors import DatabaseUnavailable, MirrorUnavailable, RequestInFlight
from exchange.settings import Settings

MIGRATIONS = Path(__file__).resolve().parent / "migrations"

Role = Literal["public", "merchant", "operator", "auditor", "door", "customer", "person"]


@dataclass(frozen=True, slots=True)
class Person:
    """What concerns this person's data, at whichever merchants: export and erasure, whoever asks (revision 0040)."""

    id: UUID


@dataclass(frozen=True, slots=True)
class OfCustomer:
    """On behalf of a customer that has signed in."""

    id: UUID


Tenant = UUID | OfCustomer | Person | Literal["public", "operator", "auditor", "door"]
"""On whose behalf: a merchant's id, a customer's or person's, or who is no tenant and has policies of its own. The door
is where people sign in, before anybody knows who they are."""

ROLES: Final[Mapping[Role, str]] = {
    "public": "points_public",
    "merchant": "points_merchant",
    "operator": "points_operator",
    "auditor": "points_auditor",
    "door": "points_door",
    "customer": "points_customer",
    "person": "points_person",
}
"""The role in PostgreSQL of each; `points_relayer` is the relayer's."""

# Requests look at few rows, in the order of an index. Where statistics are missing or old, the planner would rather
# gather all rows of an account and sort them to find the newest: 60 ms for one with 4,000 entries, instead of 0.5.
_NARROW: Final = "-c enable_bitmapscan=off"

# Who reads by a key gains nothing from a plan made for each value, and making one takes longer than to read a page.
_PLANNED_ONCE: Final = "-c plan_cache_mode=force_generic_plan"

_SELDOM: Final = 2
"""Connections for the operator, for auditors, and for what concerns one person's data: they are rare."""


class UnsafeLogin(Exception):
    """When the login of a production database could leave the gateway's roles and see every tenant's rows."""


class Connection(psycopg.AsyncConnection[DictRow]):
    """Brings the tenant with the first statement after `on_behalf_of`."""

    _due: bytes | None = None

    def on_behalf_of(self, tenant: UUID | None, *, setting: str = "points.tenant") -> None:
        """Says whose rows the following statements are about. None: the connection's role says it all."""
        self._due = None if tenant is None else f"set {setting} = '{tenant}'".encode()

    async def execute(self, *arguments: Any, **options: Any) -> AsyncCursor[DictRow]:
        due, self._due = self._due, None
        if due is None:
            return await super().execute(*arguments, **options)
        try:
            async with self.pipeline():
                await super().execute(due, prepare=False)
                return await super().execute(*arguments, **options)
        except BaseException:
            self._due = due  # both were undone together
            raise

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        if self._due is not None:
            raise RuntimeError("the tenant comes with `execute`: a connection's first statement goes that way")
        return super().cursor(*arguments, **options)


class Database:
    """A pool for each role; made by `connect`, opened and closed by the application's lifespan."""

    def __init__(self, pools: Mapping[Role, AsyncConnectionPool[Connection]]) -> None:
        self._pools = pools

    async def open(self) -> None:
        for pool in self._pools.values():
            await pool.open(wait=False)

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()

    @asynccontextmanager
    async def transaction(self, tenant: Tenant) -> AsyncIterator[Connection]:
        """Commits when left without an error, else rolls back."""
        async with self.reading(tenant) as connection:
            async with connection.transaction():
                yield connection
                crash.point("gateway: transaction not committed")
            crash.point("gateway: transaction committed, not answered")

    @asynccontextmanager
    async def reading(self, tenant: Tenant) -> AsyncIterator[Connection]:
        """A connection on which every statement is a transaction of its own."""
        role, id = _whose(tenant)
        with _translated():
            async with self._pools[role].connection() as connection:
                connection.on_behalf_of(id, setting="points.person" if role == "person" else "points.tenant")
                yield connection


def _whose(tenant: Tenant) -> tuple[Role, UUID | None]:
    if isinstance(tenant, UUID):
        return "merchant", tenant
    if isinstance(tenant, OfCustomer):
        return "customer", tenant.id
    if isinstance(tenant, Person):
        return "person", tenant.id
    return tenant, None


def connect(settings: Settings) -> Database:
    """The pools of one worker, not yet open."""
    return Database({role: _pool(settings, role) for role in ROLES})


def _pool(settings: Settings, role: Role) -> AsyncConnectionPool[Connection]:
    milliseconds = int(settings.statement_timeout * 1000)
    seldom = role in ("operator", "auditor", "person")
    planning = _PLANNED_ONCE if role in ("public", "customer") else ""
    most = settings.pool_size if role == "merchant" else _SELDOM if seldom else max(1, settings.pool_size // 2)

    async def checked(connection: Connection) -> None:
        if settings.environment == "production":
            await require_safe(connection)

    return AsyncConnectionPool(
        settings.database_url,
        connection_class=Connection,
        configure=checked,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "prepare_threshold": 2,
            "connect_timeout": 2,
            "application_name": f"points-exchange gateway {role}",
            "options": f"-c role={ROLES[role]} -c statement_timeout={milliseconds}"
            f" -c lock_timeout={milliseconds // 2} -c timezone=UTC {_NARROW} {planning}",
        },
        min_size=min(2, most) if role in ("merchant", "public") else 0,
        max_size=most,
        timeout=settings.pool_timeout,
        # Short, for the delay between attempts doubles: a database that came back must not be waited for.
        reconnect_timeout=settings.pool_timeout,
        open=False,
    )


_LOGIN: Final = """
select session_user::text as login, r.rolsuper as superuser, r.rolbypassrls as bypasses,
       exists (select 1 from pg_class c
               where c.relnamespace = to_regnamespace('exchange') and pg_has_role(session_user, c.relowner, 'member'))
       as owns
from pg_roles r where r.rolname = session_user
"""


async def require_safe(connection: Connection) -> None:
    """Raises `UnsafeLogin` unless the login has no more than the gateway's roles: `reset role` must win nothing."""
    row = await one(connection, _LOGIN)
    if row is None or row["superuser"] or row["bypasses"] or row["owns"]:
        login = "?" if row is None else row["login"]
        raise UnsafeLogin(
            f'Production refuses the database login "{login}": a superuser, an owner of the tables and whoever bypasses'
            f" row-level security could see every merchant's rows. Give the gateway a login of its own that is granted"
            f" {', '.join(ROLES.values())} and nothing else."
        )


async def refuse_unsafe_login(settings: Settings) -> None:
    """At the start in production. A database that is down is no reason: every connection is looked at when it opens."""
    if settings.environment != "production":
        return
    try:
        async with await Connection.connect(
            settings.database_url, autocommit=True, row_factory=dict_row, connect_timeout=2
        ) as connection:
            await require_safe(connection)
    except psycopg.OperationalError:
        return


async def snapshot(sql: Connection) -> None:
    """Begins the caller's transaction: all that it reads is as of one moment, and it writes nothing."""
    await sql.execute("set transaction isolation level repeatable read read only")


async def one(sql: Connection, query: str, *arguments: Any) -> DictRow | None:
    cursor = await sql.execute(query, arguments)
    row: DictRow | None = await cursor.fetchone()
    return row


async def rows(sql: Connection, query: str, *arguments: Any) -> list[DictRow]:
    cursor = await sql.execute(query, arguments)
    found: list[DictRow] = await cursor.fetchall()
    return found


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise RequestInFlight("Another request holds what this one needs.") from error
    except psycopg.errors.ForeignKeyViolation as error:
        # A member that was there a moment ago is erased: the foreign key is by an id that nobody has any more.
        if "_customer_id_fkey" not in str(error):
            raise
        raise RequestInFlight("The customer was erased at this moment.") from error
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.InsufficientPrivilege,
    ) as error:
        if "mirror." not in str(error) and "schema mirror" not in str(error):
            raise
        raise MirrorUnavailable("The tables of the mirror do not exist at this moment.") from error
    # Read-only is a server that has just lost its place as the primary, or whose disk is full.
    except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise DatabaseUnavailable("The database could not be reached, or did not answer in time.") from error


def create_schema(url: str) -> None:
    """Brings schema `exchange` at `url` (`postgresql://…`) to the newest revision; does nothing if it is there."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    command.upgrade(config, "head")
