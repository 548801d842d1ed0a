"""The gateway's one way to PostgreSQL: a pool, and two ways to use it.

`transaction` is the only place that commits: whoever answers 2xx has left it without an error. `reading` runs each
statement on its own, for reads and for the hot path, whose whole effect is one statement. What the driver raises
becomes ours here: a database that is down or too slow is `DatabaseUnavailable`, a mirror that is being rebuilt is
`MirrorUnavailable`. The pool opens without waiting, so a gateway starts, and says why it is not ready, with the
database down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from exchange.errors import DatabaseUnavailable, MirrorUnavailable, RequestInFlight
from exchange.settings import Settings

Connection = psycopg.AsyncConnection[DictRow]

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


class Database:
    """A pool of connections; made by `connect`, opened and closed by the application's lifespan."""

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self._pool = pool

    async def open(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Commits when left without an error, else rolls back."""
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection on which every statement is a transaction of its own."""
        with _translated():
            async with self._pool.connection() as connection:
                yield connection


def connect(settings: Settings) -> Database:
    """The pool of one worker, not yet open."""
    milliseconds = int(settings.statement_timeout * 1000)
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        settings.database_url,
        connection_class=Connection,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "prepare_threshold": 2,
            "connect_timeout": 2,
            "application_name": "points-exchange gateway",
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds // 2} -c timezone=UTC",
        },
        min_size=min(2, settings.pool_size),
        max_size=settings.pool_size,
        timeout=settings.pool_timeout,
        # Short, for the delay between attempts doubles: a database that came back must not be waited for.
        reconnect_timeout=settings.pool_timeout,
        open=False,
    )
    return Database(pool)


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
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        if "mirror." not in str(error):
            raise
        raise MirrorUnavailable("The tables of the mirror do not exist at this moment.") from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable("The database could not be reached, or did not answer in time.") from error


def create_schema(url: str) -> None:
    """Brings schema `exchange` at `url` (`postgresql://…`) to the newest revision; does nothing if it is there."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    command.upgrade(config, "head")
