"""`python -m indexer run | status`.

Exit codes of `run`: 0 after SIGTERM or SIGINT, 3 after a halt that needs a person, 1 for anything unforeseen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

import structlog
from prometheus_client import start_http_server

from contracts import crash, deployment
from contracts.errors import ChainError
from contracts.rpc import Rpc
from indexer import packer, source, store
from indexer.errors import Halt
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.settings import Settings
from indexer.store import Deployed

HALTED = 3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="indexer", description=__doc__)
    parser.add_argument("command", choices=("run", "status"))
    command = parser.parse_args(arguments).command
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = Settings()  # type: ignore[call-arg]
    crash.arm(settings.crash_at)
    found = deployment.load(settings.deployment)
    deployed = Deployed(found.chain_id, found.factory, found.exchange, found.first_block)
    if command == "status":
        return asyncio.run(status(settings, deployed))
    packer.collect_rarely()
    return asyncio.run(run(settings, deployed))


async def run(settings: Settings, deployed: Deployed) -> int:
    """Follows the chain until a signal comes."""
    log = structlog.get_logger("indexer")
    metrics = Metrics()
    server = None
    if settings.indexer_metrics_port is not None:
        server, _ = start_http_server(settings.indexer_metrics_port, "127.0.0.1", metrics.registry)
    async with Rpc(settings.rpc_url, timeout=settings.rpc_timeout) as rpc:
        work = asyncio.create_task(
            follow(database_url=settings.database_url, rpc=rpc, deployed=deployed, metrics=metrics, poll=settings.poll)
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            log.info("stopped")
        except Halt as error:
            log.error("halted", reason=type(error).__name__, message=str(error))
            return HALTED
        finally:
            if server is not None:
                server.shutdown()
    return 0


async def status(settings: Settings, deployed: Deployed) -> int:
    """Prints where the mirror stands, a name and a number a line."""
    lines: dict[str, object] = {}
    async with await store.connect(settings.database_url) as connection:
        await store.create_schema(connection)
        cursor = await store.read_cursor(connection, deployed)
        if cursor is None:
            sys.stdout.write("the mirror was not begun\n")
            return 1
        lines |= {"next_block": cursor.next_block, "tip": f"0x{cursor.tip.hex()}", "finalized": cursor.finalized}
        async with Rpc(settings.rpc_url, timeout=settings.rpc_timeout) as rpc:
            with contextlib.suppress(ChainError):
                head, _ = await source.heads(rpc)
                lines |= {"head": head.number, "lag": head.number - cursor.next_block + 1}
        lines |= await store.counts(connection)
    lines.setdefault("head", "unreachable")
    sys.stdout.write("".join(f"{name} {value}\n" for name, value in lines.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
