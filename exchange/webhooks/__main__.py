"""`python -m exchange.webhooks`: derives events and delivers them, until SIGTERM.

Loops with a connection each. A loop whose database fails gives its connection up, waits, and starts anew: all
that it needs to know is in the tables.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

import aiohttp
import psycopg
import structlog
from psycopg import AsyncConnection

from contracts import crash
from exchange import logs
from exchange.settings import Settings
from exchange.webhooks.deriving import derive
from exchange.webhooks.destination import guarded
from exchange.webhooks.sending import TICK, TIMEOUT, Sender, prune
from exchange.webhooks.warning import warn

HOUR = 3_600.0
ROLE = "-c role=points_notifier"
"""In PostgreSQL: reads what is told, and no key but those of the endpoints (revision 0021)."""
WAIT = 1.0


def session(settings: Settings) -> aiohttp.ClientSession:
    """Connects to public addresses only, asks no proxy, keeps no cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            socket_factory=guarded(loopback=settings.webhook_loopback), limit=200, limit_per_host=20, ttl_dns_cache=10
        ),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def main(settings: Settings) -> None:
    crash.arm(settings.crash_at)
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to cancel")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    structlog.get_logger().info("started")
    try:
        async with asyncio.TaskGroup() as loops:
            loops.create_task(_persistently(settings, "deriving", _deriving))
            loops.create_task(_persistently(settings, "sending", _sending))
            loops.create_task(_persistently(settings, "warning", _warning))
            loops.create_task(_persistently(settings, "pruning", _pruning))
    except asyncio.CancelledError:
        structlog.get_logger().info("stopped")


async def _deriving(settings: Settings, connection: AsyncConnection) -> None:  # noqa: ARG001
    while True:
        more = await derive(connection, now=int(time.time()))
        await asyncio.sleep(0 if more else TICK)


async def _sending(settings: Settings, connection: AsyncConnection) -> None:
    async with session(settings) as http:
        await Sender(connection, http, settings.master, time.time).run()


async def _warning(settings: Settings, connection: AsyncConnection) -> None:  # noqa: ARG001
    while True:
        await warn(connection, now=int(time.time()))
        await asyncio.sleep(6 * HOUR)


async def _pruning(settings: Settings, connection: AsyncConnection) -> None:  # noqa: ARG001
    while True:
        await prune(connection)
        await asyncio.sleep(HOUR)


async def _persistently(
    settings: Settings, name: str, work: Callable[[Settings, AsyncConnection], Awaitable[None]]
) -> None:
    """Through failures of the database, and while the mirror is being rebuilt; one line a change."""
    log, down = structlog.get_logger().bind(loop=name), ""
    while True:
        try:
            async with await AsyncConnection.connect(
                settings.database_url,
                autocommit=True,
                connect_timeout=5,
                application_name=f"points webhooks {name}",
                options=ROLE,
            ) as connection:
                down = ""
                await work(settings, connection)
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.UndefinedTable,
            psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            kind = type(error).__name__
            if down != kind:
                log.warning("down; trying again", error=f"{kind}: {error}")
            down = kind
        await asyncio.sleep(WAIT)


if __name__ == "__main__":
    logs.configure()
    asyncio.run(main(Settings()))  # type: ignore[call-arg]  # fields come from the environment
