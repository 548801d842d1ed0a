"""`points up`: the whole system on one machine, from nothing or from where it was.

One supervisor over real processes. Order of start: PostgreSQL, chain, contracts, schemas, indexer, relayer, gateway,
samples. Order of stop: the reverse, with a last dump of the chain before it ends. Whatever dies is started again.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import structlog
from rich.console import Console

from contracts.deploy import deploy
from contracts.errors import ChainError
from contracts.rpc import Rpc
from exchange.database import create_schema
from scripts import chain, environment, postgres
from scripts.errors import CommandFailed
from scripts.replay.drive import replay
from scripts.supervise import Child, end_leftover

log = structlog.get_logger(__name__)


class PortTaken(CommandFailed):
    """Raised when something else listens where a part of ours should."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start and where."""

    data: Path
    port: int
    rpc_port: int
    workers: int
    weeks: int
    samples: bool


async def up(plan: Plan, console: Console) -> None:
    """Runs until SIGINT or SIGTERM; a second signal ends everything at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None  # noqa: S101

    def on_signal() -> None:
        if stop.is_set():
            main.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(plan, console, stack))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stop.wait()
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        console.print("\nStopping ...")
    console.print("Everything is stopped; `make up` goes on from here.")


async def _start(plan: Plan, console: Console, stack: AsyncExitStack) -> None:
    place = environment.installation(plan.data)
    if "POINTS_DATABASE_URL" in os.environ:
        database_url = os.environ["POINTS_DATABASE_URL"]
        console.print("PostgreSQL    the one that POINTS_DATABASE_URL names")
    else:
        server = await asyncio.to_thread(postgres.start, place.postgres, place.run)
        stack.push_async_callback(asyncio.to_thread, server.cleanup)
        await _background(stack, postgres.keep(server))
        database_url = server.get_uri()
        console.print(f"PostgreSQL    {environment.shown(place.postgres)}")
    rpc_url = f"http://127.0.0.1:{plan.rpc_port}"
    gateway_url = f"http://127.0.0.1:{plan.port}"
    settings = environment.store(
        place,
        database_url=database_url,
        rpc_url=rpc_url,
        gateway_url=gateway_url,
        origin=f"http://localhost:{plan.port}",  # a browser's passkeys are of a name, never of a number
    )
    rpc = await _start_chain(plan, console, stack, place, rpc_url)
    deployment = await asyncio.to_thread(
        deploy, rpc_url, bytes.fromhex(settings["POINTS_OPERATOR_KEY"][2:]), path=place.deployment
    )
    # A node that dies before its first dump would come back as another chain, with another first block.
    await chain.dump(rpc, place.chain)
    console.print(f"Contracts     exchange 0x{deployment.exchange.hex()}")
    await asyncio.to_thread(create_schema, database_url)
    await _start_processes(plan, console, stack, place, settings)
    if plan.samples:
        await replay(settings, place, console, weeks=plan.weeks)
    console.print(f"\n[bold]Ready.[/bold] Gateway on {gateway_url} (documentation: {gateway_url}/docs)")
    shown = [environment.shown(path) for path in (place.settings, place.partners, place.logs)]
    console.print("Operator's key in {}, merchants' keys in {}, logs in {}.".format(*shown))
    console.print("Ctrl-C stops everything.")


async def _start_chain(
    plan: Plan, console: Console, stack: AsyncExitStack, place: environment.Installation, rpc_url: str
) -> Rpc:
    rpc = await stack.enter_async_context(Rpc(rpc_url, timeout=120.0))

    async def answers() -> bool:
        try:
            return int(await rpc.call("eth_chainId"), 16) == environment.LOCAL_CHAIN_ID
        except ChainError:
            return False

    node = _child("chain", place, {}, lambda: chain.command(port=plan.rpc_port, state=place.chain))
    await _run(stack, node, plan.rpc_port, answers)

    async def last_dump() -> None:
        try:
            await chain.dump(rpc, place.chain)
        except (ChainError, ValueError, OSError) as error:
            log.error("chain.not_dumped", error=str(error))

    stack.push_async_callback(last_dump)
    await _background(stack, chain.keep(rpc, place.chain))
    head = int(await rpc.call("eth_blockNumber"), 16)
    console.print(f"Chain         {rpc_url}, block {head}")
    return rpc


async def _start_processes(
    plan: Plan, console: Console, stack: AsyncExitStack, place: environment.Installation, settings: dict[str, str]
) -> None:
    variables = {**settings, "POINTS_PORT": str(plan.port), "POINTS_WORKERS": str(plan.workers)}
    gateway_url = settings["POINTS_GATEWAY_URL"]

    async def alive() -> bool:
        return True

    async def serving() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{gateway_url}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    for name, module, port, check in (
        ("indexer", ("indexer", "run"), None, alive),
        ("relayer", ("exchange.relayer",), None, alive),
        ("webhooks", ("exchange.webhooks",), None, alive),
        ("gateway", ("exchange",), plan.port, serving),
    ):
        child = _child(name, place, variables, functools.partial(_python, *module))
        await _run(stack, child, port, check)
        console.print(f"{name.capitalize():<13} started")


def _python(*module: str) -> list[str]:
    return [sys.executable, "-m", *module]


def _child(
    name: str, place: environment.Installation, variables: dict[str, str], command: Callable[[], list[str]]
) -> Child:
    return Child(
        name=name,
        command=command,
        environment={**os.environ, **variables},
        log=place.logs / f"{name}.log",
        pid_file=place.run / f"{name}.pid",
    )


async def _run(stack: AsyncExitStack, child: Child, port: int | None, check: Callable[[], Awaitable[bool]]) -> None:
    if port is not None:
        _require_free(port, child)
    await child.start()
    stack.push_async_callback(child.stop)
    await child.ready(check)


def _require_free(port: int, child: Child) -> None:
    end_leftover(child.pid_file)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} is in use, so the {child.name} cannot start: stop what listens there,"
                " or choose another with --port / --rpc-port."
            ) from error


async def _background(stack: AsyncExitStack, work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
