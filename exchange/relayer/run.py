"""The relayer's loops, until cancelled: one that batches purchases and proves refunds, one that enters what refunds
fell short of, one that completes withdrawals, and one lane a signer.

Each loop owns one database connection and gives it up on any failure of the database or the node, waits, and starts
anew: starting *is* recovery, for every loop derives what to do from rows and chain. One line is logged when a loop's
state changes, not one a try. A lane also needs its signer's advisory lock, so that a second relayer idles; should both
run all the same, the signer's row keeps them apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import AsyncConnection
from structlog.typing import FilteringBoundLogger

from contracts.errors import ChainError
from contracts.rpc import Rpc
from exchange.relayer import offsetting, store, withdrawing
from exchange.relayer.batching import batch_everyone
from exchange.relayer.lane import Chain, Context, Memory, step
from exchange.relayer.metrics import Metrics
from exchange.relayer.refunding import refund_everyone
from exchange.relayer.signers import Signer, ensure_signers, signers

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
LOCK_WAIT = 1.0

ROLE = "-c role=points_relayer -c enable_hashjoin=off -c enable_mergejoin=off"
"""In PostgreSQL: what the relayer needs, and no customer, member or API key (revision 0011). It reads few rows of large
tables by their keys; where statistics are old, the planner would read whole tables."""


@dataclass(frozen=True, slots=True)
class Relayer:
    """Everything that the loops share. Times are seconds."""

    database_url: str
    rpc: Rpc
    chain: Chain
    exchange: bytes
    master: bytes
    operator_key: bytes | None
    relayer_keys: tuple[bytes, ...]
    metrics: Metrics
    log: FilteringBoundLogger
    tick: float = 0.15
    linger: float = 0.25
    batch_size: int = 200


Up = Callable[[], None]


async def relay(relayer: Relayer) -> None:
    """Runs until cancelled, or until something fails that waiting cannot cure."""
    found: list[Signer] = []
    await _persistently(relayer, "start", partial(_start, relayer, found))
    lanes = any(signer.role == "relayer" for signer in found)
    async with asyncio.TaskGroup() as loops:
        loops.create_task(_persistently(relayer, "batching", partial(_batching, relayer)))
        loops.create_task(_persistently(relayer, "offsetting", partial(_offsetting, relayer)))
        loops.create_task(_persistently(relayer, "withdrawing", partial(_withdrawing, relayer)))
        for signer in found:
            # Without a relayer's key the operator's carries everything.
            bundles = signer.role == "relayer" or not lanes
            work = partial(_lane, relayer, signer, bundles)
            loops.create_task(_persistently(relayer, f"lane {signer.address.hex()}", work))


async def _start(relayer: Relayer, found: list[Signer], up: Up) -> None:
    async with await _connect(relayer, "start") as connection:
        await ensure_signers(
            connection,
            relayer.rpc,
            master=relayer.master,
            operator=relayer.operator_key,
            relayers=relayer.relayer_keys,
        )
        found.extend(await signers(connection, master=relayer.master))
    up()


async def _batching(relayer: Relayer, up: Up) -> None:
    async with await _connect(relayer, "batching") as connection:
        while True:
            batched = await batch_everyone(
                connection,
                master=relayer.master,
                chain_id=relayer.chain.chain_id,
                size=relayer.batch_size,
                now=int(time.time()),
            )
            await refund_everyone(connection, master=relayer.master, chain_id=relayer.chain.chain_id)
            up()
            relayer.metrics.batched.inc(batched)
            await _report(relayer, connection)
            # More than a batch came in meanwhile: there is no company to wait for.
            await asyncio.sleep(0 if batched > relayer.batch_size else relayer.linger)


async def _offsetting(relayer: Relayer, up: Up) -> None:
    async with await _connect(relayer, "offsetting") as connection:
        while True:
            await offsetting.enter_shortfalls(connection)
            up()
            await asyncio.sleep(offsetting.TICK)


async def _withdrawing(relayer: Relayer, up: Up) -> None:
    async with await _connect(relayer, "withdrawing") as connection:
        while True:
            await withdrawing.complete_everyone(connection, relayer.rpc, exchange=relayer.exchange)
            up()
            await asyncio.sleep(withdrawing.TICK)


async def _report(relayer: Relayer, connection: AsyncConnection) -> None:
    backlog = await store.backlog(connection)
    relayer.metrics.queue.set(backlog.calls)
    relayer.metrics.queue_age.set(backlog.oldest_call)
    relayer.metrics.promise_age.set(backlog.oldest_purchase)
    for signer, paused in (await store.paused(connection)).items():
        relayer.metrics.paused.labels(signer.hex()).set(paused)


async def _lane(relayer: Relayer, signer: Signer, bundles: bool, up: Up) -> None:
    async with await _connect(relayer, f"lane {signer.address.hex()[:8]}") as connection:
        while not await _locked(connection, signer.address):
            up()
            await asyncio.sleep(LOCK_WAIT)
        log = relayer.log.bind(signer=signer.address.hex())
        context = Context(connection, relayer.rpc, relayer.chain, signer, bundles, relayer.metrics, log, Memory())
        while True:
            await step(context)
            up()
            await asyncio.sleep(relayer.tick)


async def _locked(connection: AsyncConnection, address: bytes) -> bool:
    """Whether this session holds the signer's lock; it is released when the session ends, however that happens."""
    number = int.from_bytes(address[:8], "big", signed=True)
    cursor = await connection.execute("select pg_try_advisory_lock(%s::bigint)", (number,))
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def _connect(relayer: Relayer, name: str) -> AsyncConnection:
    return await AsyncConnection.connect(
        relayer.database_url,
        autocommit=True,
        connect_timeout=5,
        application_name=f"points relayer {name}",
        options=ROLE,
    )


async def _persistently(relayer: Relayer, name: str, work: Callable[[Up], Awaitable[None]]) -> None:
    """Does `work` until it ends by itself, through failures of database and node, with growing waits."""
    log = relayer.log.bind(loop=name)
    down: str | None = ""  # the failure that was logged last; None while up
    wait = FIRST_WAIT

    def up() -> None:
        nonlocal down, wait
        if down is not None:
            log.info("up")
        down, wait = None, FIRST_WAIT

    while True:
        try:
            return await work(up)
        # A table that is not there is the mirror's, which is being made.
        except (
            ChainError,
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.UndefinedTable,
            psycopg.errors.ReadOnlySqlTransaction,  # a primary that was demoted, or whose disk is full
        ) as error:
            kind = type(error).__name__
            if down != kind:
                log.warning("down; trying again", error=f"{kind}: {error}")
            down = kind
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
