"""`python -m indexer run | backfill | verify | rewind | status`, or `points index …`.

Exit codes: 0 done (of `run`: after SIGTERM or SIGINT); 1 `verify` found a difference, `rewind` refused, there is no
mirror, or anything unforeseen; 2 wrong usage, or the node or the database could not be reached; 3 a halt that needs a
person.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import psycopg
import structlog
from prometheus_client import start_http_server

from contracts import crash, deployment
from contracts.errors import ChainError
from contracts.rpc import Rpc
from indexer import commands, packer
from indexer.endpoints import Endpoints
from indexer.errors import Halt
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.settings import Settings
from indexer.store import Deployed

REFUSED = 1
UNREACHABLE = 2
HALTED = 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="points index", description="Mirrors the chain into PostgreSQL.")
    verbs = parser.add_subparsers(dest="command", required=True)
    verbs.add_parser("run", help="follow the chain, for ever")
    backfill = verbs.add_parser("backfill", help="go to the chain's head, tell of the progress, and end")
    backfill.add_argument(
        "--rebuild", action="store_true", help="build another mirror beside the one that is there, then switch"
    )
    verify = verbs.add_parser("verify", help="read blocks again and compare; exit 1 if the mirror differs")
    verify.add_argument("--first", type=int, metavar="BLOCK", help="default: the contracts' first")
    verify.add_argument("--last", type=int, metavar="BLOCK", help="default: the mirror's newest")
    rewind = verbs.add_parser("rewind", help="roll the mirror back to a block, which stays")
    rewind.add_argument("block", type=int, metavar="BLOCK")
    rewind.add_argument("--drop", action="store_true", help="drop the whole mirror if the block is below finality")
    verbs.add_parser("status", help="say where the mirror stands; exit 1 if there is none")
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20 if options.command == "run" else 30),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = Settings()  # type: ignore[call-arg]
    crash.arm(settings.crash_at)
    packer.collect_rarely()
    try:
        return asyncio.run(_command(options, settings))
    except Halt as error:
        structlog.get_logger("indexer").error("halted", reason=type(error).__name__, message=str(error))
        return HALTED
    except (ChainError, psycopg.OperationalError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return UNREACHABLE
    except commands.Refused as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED


async def _command(options: argparse.Namespace, settings: Settings) -> int:
    found = deployment.load(settings.deployment)
    deployed = Deployed(found.chain_id, found.factory, found.exchange, found.first_block)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        rpcs = [await stack.enter_async_context(Rpc(url, timeout=settings.rpc_timeout)) for url in settings.nodes]
        nodes = Endpoints(rpcs, metrics)
        if options.command == "run":
            return await run(settings, deployed, nodes, metrics)
        url = settings.database_url
        if options.command == "backfill":
            return await commands.backfill(url, deployed, nodes, metrics, rebuild=options.rebuild)
        if options.command == "verify":
            return await commands.verify(url, deployed, nodes, first=options.first, last=options.last)
        if options.command == "rewind":
            return await commands.rewind(url, deployed, options.block, drop=options.drop)
        return await commands.status(url, deployed, nodes)


async def run(settings: Settings, deployed: Deployed, nodes: Endpoints, metrics: Metrics) -> int:
    """Follows the chain until a signal comes."""
    server = None
    if settings.indexer_metrics_port is not None:
        server, _ = start_http_server(settings.indexer_metrics_port, "127.0.0.1", metrics.registry)
    work = asyncio.create_task(
        follow(database_url=settings.database_url, rpc=nodes, deployed=deployed, metrics=metrics, poll=settings.poll)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        structlog.get_logger("indexer").info("stopped")
    finally:
        if server is not None:
            server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
