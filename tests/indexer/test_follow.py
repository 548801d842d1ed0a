"""The indexer on a real node and a real database: what it mirrors, and what it survives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from psycopg import AsyncConnection

from contracts import bindings
from contracts.rpc import Rpc, to_hex, to_quantity
from indexer import store
from indexer.errors import BelowFinality, Halt, OtherDeployment, Raced, Unprojectable
from indexer.follow import follow, open_mirror, step
from indexer.metrics import Metrics
from indexer.store import Deployed
from tests.conftest import Anvil
from tests.indexer.mirror import Contents, contents, require_sound
from tests.indexer.network import OPERATOR, Network, dump, holder

pytestmark = pytest.mark.asyncio

ANN, BOB = holder("ann"), holder("bob")
CHARITY = holder("charity")
CONNECTED = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


@asynccontextmanager
async def following(
    database: str, network: Network, *, deployed: Deployed | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    async with Rpc(network.node.url) as rpc:
        work = asyncio.create_task(
            follow(database_url=database, rpc=rpc, deployed=deployed or network.deployed, metrics=Metrics(), poll=0.01)
        )
        try:
            yield work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]], work: asyncio.Task[None] | None = None) -> None:
    """Waits until it holds; a halt of `work` is raised at once."""
    async with asyncio.timeout(20):
        while not await condition():
            if work is not None and work.done():
                work.result()
            await asyncio.sleep(0.01)


async def caught_up(connection: store.Connection, network: Network, work: asyncio.Task[None]) -> None:
    """Waits until the mirror's tip is the node's, then checks it."""
    number, tip = await network.head()

    async def there() -> bool:
        exists = await (await connection.execute("select to_regclass('mirror.cursor')")).fetchone()
        if exists is None or exists[0] is None:
            return False
        cursor = await store.read_cursor(connection, network.deployed)
        return cursor is not None and (cursor.next_block, cursor.tip) == (number + 1, tip)

    await until(there, work)
    await require_sound(connection)


async def fresh(postgres_url: str, database: str, network: Network) -> Contents:
    """What a mirror made from nothing would hold now, computed in another database."""
    parts = urlsplit(database)
    name = f"fresh_{parts.path[1:]}"
    async with await AsyncConnection.connect(postgres_url, autocommit=True) as admin:
        await admin.execute(f'create database "{name}"'.encode())
        url = urlunsplit(parts._replace(path=f"/{name}"))
        try:
            async with following(url, network) as work, await store.connect(url) as connection:
                await caught_up(connection, network, work)
                return await contents(connection)
        finally:
            await admin.execute(f'drop database "{name}" with (force)'.encode())


async def rows(connection: store.Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return list(await (await connection.execute(statement.encode(), parameters)).fetchall())


async def require_chains_balances(connection: store.Connection, network: Network) -> None:
    """Every balance, supply and margin in the mirror is what the contracts say."""
    for owner, token, amount in await rows(connection, "select holder, programme, amount from mirror.balance"):
        data = bindings.points_balance_of(account=owner)
        assert int.from_bytes(await network.view(token, data)) == amount
    for token, amount in await rows(connection, "select programme, amount from mirror.supply"):
        assert int.from_bytes(await network.view(token, bindings.points_total_supply())) == amount
    for account, amount in await rows(connection, "select account, amount from mirror.margin"):
        data = bindings.exchange_margin_of(account=account)
        assert int.from_bytes(await network.view(network.deployment.exchange, data)) == amount


async def a_market(network: Network) -> tuple[bytes, bytes]:
    """Two programmes open to each other, and points with ann and bob, created and minted in one block."""
    one, two = await network.create("Grocery"), await network.create("Drugstore")
    await network.mint(one, (ANN, 10_000), (BOB, 5_000), (ANN, 1))
    await network.mint(two, (BOB, 700))
    await network.open_market(one, two, bid=9 * 10**9, ask=10**10, margin=10**9)
    await network.mine()
    await network.open_market(two, one, bid=9 * 10**9, ask=10**10, margin=10**9)
    await network.mine()
    return one, two


async def test_every_act_is_mirrored_as_the_contracts_did_it(database: str, network: Network) -> None:
    exchange = network.deployment.exchange
    async with following(database, network) as work, await store.connect(database) as connection:
        one, two = await a_market(network)
        await network.send(exchange, bindings.exchange_set_fee(fee_bps=100, account=OPERATOR))
        await network.send(exchange, bindings.exchange_register_charity(charity=CHARITY, name=b"Food".ljust(32, b"\0")))
        await network.send(exchange, bindings.exchange_open_campaign(charity=CHARITY, goal=10**9, end=2**40 - 1))
        await network.mine()
        sent = await network.pass_on(one, "ann", BOB, 100)
        redeemed = await network.redeem(one, "ann", 200)
        swapped = await network.swap(one, two, "ann", 1000)
        given = await network.give(one, CHARITY, "bob", 300, 1)
        await network.rpc.call("anvil_setBalance", to_hex(BOB), to_quantity(10**18))
        await network.rpc.call("anvil_impersonateAccount", to_hex(BOB))
        await network.send(one, bindings.points_transfer(to=ANN, value=7), sender=BOB)
        withdrawal = bindings.exchange_withdraw(account=OPERATOR, to=ANN, amount=5, nonce=0, signature=b"")
        await network.send(exchange, withdrawal)
        await network.mine()
        await caught_up(connection, network, work)
        await require_chains_balances(connection, network)
        ledger = await rows(
            connection,
            "select kind, programme, holder, delta, counterparty, intent from mirror.entry "
            "where kind <> 'earned' order by kind, side, programme = %s desc",
            one,
        )
        (out,) = (row[3] for row in ledger if row[0] == "swapped" and row[3] > 0)
        assert ledger == [
            ("gave", one, BOB, -300, CHARITY, given),
            ("received", one, BOB, 100, ANN, sent),
            ("redeemed", one, ANN, -200, None, redeemed),
            ("sent", one, ANN, -100, BOB, sent),
            ("swapped", one, ANN, -1000, two, swapped),
            ("swapped", two, ANN, out, one, swapped),
            ("transferred", one, BOB, -7, ANN, None),
            ("transferred", one, ANN, 7, BOB, None),
        ]
        moved = await rows(connection, "select kind, sum(delta) from mirror.movement group by 1 order by 1")
        assert moved == [("deposit", 2 * 10**9), ("fee", 90), ("gift", 0), ("swap", -90), ("withdrawal", -5)]
        assert await rows(connection, "select count, total from mirror.batch order by count desc") == [
            (3, 15_001),
            (1, 700),
        ]
        assert len(await rows(connection, "select * from mirror.quote")) == 2
        assert len(await rows(connection, "select * from mirror.campaign")) == 1


async def test_a_reorganisation_leaves_what_a_fresh_mirror_would_hold(
    database: str, network: Network, postgres_url: str
) -> None:
    async with following(database, network) as work, await store.connect(database) as connection:
        one, two = await a_market(network)
        await network.mine(3)
        for amount in (100, 200, 300):
            await network.mint(one, (ANN, amount))
            await network.pass_on(one, "ann", BOB, 10)
            await network.swap(one, two, "bob", 100)
            await network.mine()
        await caught_up(connection, network, work)
        old = await contents(connection)
        await network.rpc.call("anvil_reorg", 4, [])
        await caught_up(connection, network, work)
        assert len(old["batch"]) == 5
        assert len((await contents(connection))["batch"]) == 2
        await network.mine(2)
        await caught_up(connection, network, work)
        assert await contents(connection) == await fresh(postgres_url, database, network)
        await require_chains_balances(connection, network)


async def test_a_killed_node_that_forgot_blocks_is_waited_for_and_then_followed(
    database: str, network: Network, postgres_url: str, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    async with following(database, network) as work, await store.connect(database) as connection:
        one, _ = await a_market(network)
        dump(network.node.url, state)
        await network.mint(one, (ANN, 111))
        await network.mine(3)
        await caught_up(connection, network, work)
        held, connected = await contents(connection), await rows(connection, CONNECTED)
        network.node.kill()
        await asyncio.sleep(0.2)  # connections are refused meanwhile
        network.node.start("--load-state", str(state))
        # Its head is lower, and every block that it has is ours: nothing changes.
        await asyncio.sleep(0.3)
        assert not work.done()
        assert await contents(connection) == held
        assert await rows(connection, CONNECTED) == connected, "a node that is away costs connections to the database"
        # Its next block is another one than ours at that height.
        network.batches[one] -= 1
        await network.mint(one, (BOB, 222))
        await network.mine()
        await caught_up(connection, network, work)
        assert [row[6] for row in (await contents(connection))["entry"] if row[6] in (111, 222)] == [222]
        await network.mine(5)
        await caught_up(connection, network, work)
        assert await contents(connection) == await fresh(postgres_url, database, network)


async def test_another_chain_below_finality_halts_and_writes_nothing(
    database: str, contracts_deployed: Any, new_anvil: Callable[..., Anvil]
) -> None:
    deployment, state = contracts_deployed
    arguments = ("--no-mining", "--slots-in-an-epoch", "1", "--load-state", str(state))  # final: two behind the head
    node = new_anvil(*arguments, history=True)
    async with Rpc(node.url) as rpc, await store.connect(database) as connection:
        network = Network(node=node, rpc=rpc, deployment=deployment)
        async with following(database, network) as work:
            await a_market(network)
            await network.mine(8)
            await caught_up(connection, network, work)

            async def final() -> bool:
                cursor = await store.read_cursor(connection, network.deployed)
                return cursor is not None and cursor.finalized == cursor.next_block - 3

            await until(final, work)
            held = await contents(connection)
            await rpc.call("anvil_reorg", 6, [])
            await network.mine(4)
            with pytest.raises(BelowFinality, match="was final as 0x"):
                await until(lambda: _never(), work)
            assert await contents(connection) == held
        # Nor does it go on after a restart.
        async with following(database, network) as work:
            with pytest.raises(BelowFinality):
                await until(lambda: _never(), work)


async def _never() -> bool:
    return False


async def test_a_log_that_cannot_be_decoded_halts_before_its_block(database: str, network: Network) -> None:
    async with following(database, network) as work, await store.connect(database) as connection:
        one, _ = await a_market(network)
        await caught_up(connection, network, work)
        # PUSH1 1, PUSH0, PUSH0, LOG1: an event of our token that no contract of ours has.
        await network.rpc.call("anvil_setCode", to_hex(one), "0x60015f5fa1")
        await network.send(one, b"")
        await network.mine()
        number, _ = await network.head()
        with pytest.raises(Unprojectable, match=f"block {number}, .*unknown event, topic 00.*01"):
            await until(lambda: _never(), work)
        cursor = await store.read_cursor(connection, network.deployed)
        assert cursor is not None
        assert cursor.next_block == number


async def test_two_indexers_of_one_mirror_write_each_block_once(
    database: str, network: Network, postgres_url: str
) -> None:
    async with (
        following(database, network) as one,
        following(database, network) as two,
        await store.connect(database) as connection,
    ):
        token, _ = await a_market(network)
        for amount in range(1, 15):
            await network.mint(token, (ANN, amount))
            await network.mine()
        await network.rpc.call("anvil_reorg", 5, [])
        await network.mine()
        await caught_up(connection, network, one)
        assert not two.done()
        assert await contents(connection) == await fresh(postgres_url, database, network)


async def test_an_indexer_that_another_one_overtook_takes_over_when_that_one_stops(
    database: str, network: Network
) -> None:
    async with Rpc(network.node.url) as rpc, await store.connect(database) as connection:
        await a_market(network)
        await network.mine(5)
        waiting = await open_mirror(connection, rpc, network.deployed, Metrics())
        while await step(waiting):
            pass
        await network.rpc.call("anvil_reorg", 3, [])
        async with following(database, network) as other, await store.connect(database) as observer:
            await caught_up(observer, network, other)
        await network.mine()
        with pytest.raises(Raced, match="another writer"):
            await step(waiting)
        async with following(database, network) as work:
            await caught_up(connection, network, work)


async def test_a_database_that_cuts_its_connections_or_loses_the_mirror_is_written_again(
    database: str, network: Network, postgres_url: str
) -> None:
    async with following(database, network) as work, await store.connect(database) as connection:
        await a_market(network)
        await caught_up(connection, network, work)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        await network.mine()
        await caught_up(connection, network, work)
        await connection.execute("drop schema mirror cascade")
        await network.mine()
        await caught_up(connection, network, work)
        assert await contents(connection) == await fresh(postgres_url, database, network)


async def test_the_wrong_chain_or_the_wrong_contracts_halt(database: str, network: Network) -> None:
    right = network.deployed
    for deployed, reason in (
        (Deployed(1, right.factory, right.exchange, right.first_block), "of chain 31337"),
        (Deployed(31337, right.factory, ANN, right.first_block), "Drop schema mirror"),
    ):
        async with following(database, network, deployed=right) as work, await store.connect(database) as connection:
            await caught_up(connection, network, work)
        async with following(database, network, deployed=deployed) as work:
            with pytest.raises(OtherDeployment, match=reason):
                await until(lambda: _never(), work)
    assert issubclass(OtherDeployment, Halt)
