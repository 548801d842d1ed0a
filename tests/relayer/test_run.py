"""The relayer as it runs: by itself, next to another one, through a node that comes and goes, and as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from contracts import deployment
from exchange.relayer import store
from exchange.relayer.run import Relayer, relay
from tests.relayer.rig import MASTER, OPERATOR, RELAYER, Programme, Rig

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def running(*relayers: Relayer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(relay(relayer)) for relayer in relayers]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def minted(rig: Rig, programme: Programme, points: int) -> None:
    """Waits for it, mining meanwhile."""
    for _ in range(400):
        await rig.hurry()
        await rig.mine()
        if await rig.supply(programme) == points:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{await rig.supply(programme)} of {points} minted")


async def test_what_waits_and_what_is_paused_is_measured(rig: Rig) -> None:
    programme = await rig.programme()
    await rig.purchases(programme, 3, customers=await rig.customers(1))
    await rig.sql.execute("update exchange.purchase set accepted_at = accepted_at - 100")
    await rig.sql.execute("update exchange.call set created_at = now() - interval '50 seconds'")
    calls, call_age, purchase_age = await store.backlog(rig.sql)
    assert (calls, 50 <= call_age < 60, 100 <= purchase_age < 110) == (1, True, True)
    await rig.settle()
    await rig.batch()
    await rig.settle()
    assert await store.backlog(rig.sql) == (0, 0, 0)
    [lane] = [signer.address for signer in await rig.signers() if signer.role == "relayer"]
    await store.pause(rig.sql, lane, "a reason")
    assert [stopped for address, stopped in (await store.paused(rig.sql)).items() if address == lane] == [True]


async def test_two_relayers_at_once_mint_once(rig: Rig) -> None:
    programme = await rig.programme()
    customers = await rig.customers(5)
    async with running(rig.relayer(), rig.relayer()):
        for _ in range(5):
            await rig.purchases(programme, 100, customers=customers)
            await asyncio.sleep(0.1)
        await minted(rig, programme, 2500)
    nonces = await rig.all("select nonce from exchange.transaction where signer <> %s order by 1", b"")
    assert nonces == [(n,) for n in range(len(nonces))]
    assert await rig.all("select failure from exchange.call where failure is not null") == []


async def test_a_node_that_is_down_delays_and_loses_nothing(rig: Rig, tmp_path: Path) -> None:
    programme = await rig.programme()
    customers = await rig.customers(5)
    async with running(rig.relayer()):
        await rig.purchases(programme, 100, customers=customers)
        await minted(rig, programme, 500)
        await rig.dump(tmp_path / "state.json")
        rig.anvil.kill()
        await rig.purchases(programme, 100, customers=customers)
        await asyncio.sleep(0.5)
        await rig.restart(tmp_path / "state.json")
        await minted(rig, programme, 1000)


async def test_a_database_that_hangs_up_is_connected_again(rig: Rig) -> None:
    programme = await rig.programme()
    customers = await rig.customers(5)
    async with running(rig.relayer()):
        await rig.purchases(programme, 100, customers=customers)
        await minted(rig, programme, 500)
        async with await psycopg.AsyncConnection.connect(rig.database, autocommit=True) as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'points relayer%'"
            )
        await rig.purchases(programme, 100, customers=customers)
        await minted(rig, programme, 1000)


async def start_process(rig: Rig, folder: Path) -> asyncio.subprocess.Process:
    deployment.save(rig.deployment, folder / "deployment.json")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exchange.relayer",
        env={
            "PATH": os.environ["PATH"],
            "POINTS_DATABASE_URL": rig.database,
            "POINTS_RPC_URL": rig.anvil.url,
            "POINTS_DEPLOYMENT": str(folder / "deployment.json"),
            "POINTS_MASTER_KEY": MASTER.hex(),
            "POINTS_OPERATOR_KEY": "0x" + OPERATOR.hex(),
            "POINTS_RELAYER_KEYS": RELAYER.hex(),
            "POINTS_TICK": "0.01",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_the_process_takes_its_settings_from_the_environment_and_stops_cleanly(rig: Rig, tmp_path: Path) -> None:
    programme = await rig.programme()
    await rig.purchases(programme, 10, customers=await rig.customers(1))
    process = await start_process(rig, tmp_path)
    try:
        await minted(rig, programme, 50)
        process.send_signal(signal.SIGTERM)
        output, errors = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert errors == b""
    assert b'"event":"stopped"' in output
    assert RELAYER.hex().encode() not in output
    assert OPERATOR.hex().encode() not in output


async def test_a_process_that_is_killed_again_and_again_mints_once(rig: Rig, tmp_path: Path) -> None:
    programme = await rig.programme()
    customers = await rig.customers(5)
    processes = []
    for delay in (0.03, 0.2, 0.11):
        processes.append(await start_process(rig, tmp_path))
        await processes[-1].stdout.readline()  # type: ignore[union-attr]  # it is up
        for _ in range(6):
            await rig.purchases(programme, 50, customers=customers)
            await rig.hurry()
            await asyncio.sleep(delay)
            await rig.mine()
        processes[-1].kill()
        await processes[-1].communicate()
    async with running(rig.relayer()):
        await minted(rig, programme, 3 * 6 * 50 * 5)
    nonces = await rig.all("select nonce from exchange.transaction order by 1")
    assert nonces == [(n,) for n in range(len(nonces))]
    assert await rig.next_batch(programme) == await rig.one("select next_batch from exchange.merchant")
    assert await rig.all("select failure from exchange.call where failure is not null") == []
