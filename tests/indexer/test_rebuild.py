"""A mirror that is missing, or of another definition, is built beside the one that is read, then takes its place."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from contracts.rpc import Rpc
from indexer import schema, store
from indexer.endpoints import Endpoints
from indexer.errors import Halt, OtherDeployment, Raced
from indexer.follow import Mirror, follow, open_mirror, step
from indexer.metrics import Metrics
from indexer.store import Connection, Deployed
from tests.indexer.mirror import contents, require_sound
from tests.indexer.network import Network, holder
from tests.indexer.test_follow import a_market, caught_up, following, fresh, rows

pytestmark = pytest.mark.asyncio

OTHER = "comment on schema mirror is 'definition of an older version'"


async def mirrored(database: str, network: Network, connection: Connection) -> None:
    async with following(database, network) as work:
        await caught_up(connection, network, work)


async def beside(connection: Connection, network: Network, rpc: Rpc, *, rebuild: bool = False) -> Mirror:
    """A mirror in the making, at the head, and not yet whole."""
    mirror = await open_mirror(connection, rpc, network.deployed, Metrics(), rebuild=rebuild)
    assert mirror.beside
    assert await step(mirror)
    return mirror


async def definitions(connection: Connection) -> list[tuple[Any, ...]]:
    """Tables, columns, constraints, indexes and rights of schema `mirror`, as PostgreSQL tells of them."""
    found = []
    for statement in (
        "select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns "
        "where table_schema = 'mirror' order by 1, ordinal_position",
        "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint "
        "where connamespace = 'mirror'::regnamespace order by 1, 2",
        "select indexname, indexdef from pg_indexes where schemaname = 'mirror' order by 1",
        "select table_name, grantee, privilege_type from information_schema.table_privileges "
        "where table_schema = 'mirror' and grantee = 'PUBLIC' order by 1",
        "select nspacl::text from pg_namespace where nspname = 'mirror'",
    ):
        found += await rows(connection, statement)
    return found


async def test_a_mirror_built_beside_is_defined_and_filled_as_one_made_in_place(
    database: str, network: Network, postgres_url: str
) -> None:
    await a_market(network)
    async with await store.connect(database) as connection:
        await store.create_schema(connection)
        in_place = await definitions(connection)
        await mirrored(database, network, connection)
        held = await contents(connection)
        await connection.execute("drop schema mirror cascade")
        await mirrored(database, network, connection)
        assert await definitions(connection) == in_place
        assert await contents(connection) == held
        assert await schema.state(connection, schema.NEXT) is None
        assert held == await fresh(postgres_url, database, network)


async def test_another_definition_is_replaced_while_the_old_mirror_is_read(database: str, network: Network) -> None:
    one, _ = await a_market(network)
    async with await store.connect(database) as connection, await store.connect(database) as reader:
        await mirrored(database, network, connection)
        before = await contents(connection)
        for statement in (OTHER, "alter table mirror.entry add column note text", "drop table mirror.matching"):
            await connection.execute(statement.encode())
        await network.pass_on(one, "ann", holder("bob"), 100)
        await network.mine()
        async with Rpc(network.node.url) as rpc:
            mirror = await beside(connection, network, rpc)
            assert mirror.building
            assert await rows(reader, "select count(*) from mirror.entry") == [(len(before["entry"]),)]
            assert not await step(mirror)
            assert not mirror.beside
        assert await schema.state(reader, schema.MIRROR) == schema.DEFINITION
        assert await rows(reader, "select count(*) from mirror.entry") == [(len(before["entry"]) + 2,)]
        await require_sound(reader)


async def test_who_reads_the_old_mirror_is_waited_for_and_never_sees_half_of_both(
    database: str, network: Network
) -> None:
    await a_market(network)
    async with await store.connect(database) as connection, await store.connect(database) as reader:
        await mirrored(database, network, connection)
        await connection.execute(OTHER.encode())
        async with Rpc(network.node.url) as rpc:
            mirror = await beside(connection, network, rpc)
            async with reader.transaction():
                await reader.execute("set transaction isolation level repeatable read, read only")
                [(tip,)] = await rows(reader, "select tip from mirror.cursor")
                assert not await step(mirror)
                assert mirror.beside, "it switched under a reader"
                # Meanwhile it follows the chain, and others read.
                await network.mine(2)
                assert await step(mirror)
                assert await rows(reader, "select tip from mirror.cursor") == [(tip,)]
                [(entries,)] = await rows(reader, "select count(*) from mirror.entry")
                assert entries > 0
            assert not await step(mirror)
            assert not mirror.beside
        await require_sound(reader)


async def test_a_switch_loses_no_answer_of_those_who_read_all_the_time(database: str, network: Network) -> None:
    await a_market(network)
    async with await store.connect(database) as connection:
        await mirrored(database, network, connection)
        [(entries,)] = await rows(connection, "select count(*) from mirror.entry")
        enough = asyncio.Event()

        async def read() -> int:
            asked = 0
            async with await store.connect(database) as reader:
                while not enough.is_set():
                    async with reader.transaction():
                        await reader.execute("set transaction isolation level repeatable read, read only")
                        [(one,)] = await rows(reader, "select sum(delta) from mirror.entry")
                        [(two,)] = await rows(reader, "select sum(amount) from mirror.balance")
                        assert one == two
                        assert await rows(reader, "select count(*) from mirror.entry") == [(entries,)]
                    asked += 1
            return asked

        reading = [asyncio.create_task(read()) for _ in range(4)]
        async with Rpc(network.node.url) as rpc:
            for _ in range(5):
                await follow(
                    database_url=database, rpc=rpc, deployed=network.deployed, metrics=Metrics(), poll=0.01,
                    rebuild=True, to_the_head=True,
                )  # fmt: skip
        enough.set()
        assert min(await asyncio.gather(*reading)) > 10


async def test_a_reorganisation_while_it_is_built_is_followed(
    database: str, network: Network, postgres_url: str
) -> None:
    one, _ = await a_market(network)
    await network.mine(3)
    await network.mint(one, (holder("ann"), 77))
    await network.mine(2)
    async with await store.connect(database) as connection:
        async with Rpc(network.node.url) as rpc:
            mirror = await beside(connection, network, rpc)
            await rpc.call("anvil_reorg", 4, [])
            while await step(mirror):
                pass
            assert not mirror.beside
        await require_sound(connection)
        assert await contents(connection) == await fresh(postgres_url, database, network)


async def test_a_build_that_was_broken_off_goes_on_where_it_was(database: str, network: Network) -> None:
    await a_market(network)
    async with Rpc(network.node.url) as rpc:
        async with await store.connect(database) as connection:
            mirror = await beside(connection, network, rpc)
            reached = mirror.cursor
        await network.mine(2)
        async with await store.connect(database) as connection:
            mirror = await open_mirror(connection, rpc, network.deployed, Metrics())
            assert (mirror.cursor, mirror.building) == (reached, True)
            while await step(mirror):
                pass
            await require_sound(connection)


async def test_only_one_builds_and_the_other_follows_what_it_built(database: str, network: Network) -> None:
    await a_market(network)
    async with (
        Rpc(network.node.url) as rpc,
        await store.connect(database) as one,
        await store.connect(database) as two,
    ):
        mirror = await beside(one, network, rpc)
        with pytest.raises(Raced, match="another indexer builds"):
            await open_mirror(two, rpc, network.deployed, Metrics())
        assert not await step(mirror)
        assert not (await open_mirror(two, rpc, network.deployed, Metrics())).beside


async def test_a_writer_of_another_version_changes_nothing(database: str, network: Network) -> None:
    await a_market(network)
    async with Rpc(network.node.url) as rpc, await store.connect(database) as connection:
        await mirrored(database, network, connection)
        mirror = await open_mirror(connection, rpc, network.deployed, Metrics())
        before = await contents(connection)
        await connection.execute("comment on schema mirror is 'definition of a newer version'")
        await network.mine()
        with pytest.raises(Raced):
            await step(mirror)
        assert await contents(connection) == before


async def test_two_versions_do_not_undo_each_others_mirror_for_ever(database: str, network: Network) -> None:
    await a_market(network)
    async with await store.connect(database) as connection, following(database, network) as work:
        await caught_up(connection, network, work)
        await connection.execute("comment on schema mirror is 'definition of a newer version'")
        await network.mine()
        with pytest.raises(Halt, match="another version"):
            await asyncio.wait_for(work, 10)


async def test_a_node_that_is_behind_the_old_mirror_is_waited_for(database: str, network: Network) -> None:
    await a_market(network)
    async with Rpc(network.node.url) as rpc, await store.connect(database) as connection:
        await mirrored(database, network, connection)
        number, _ = await network.head()
        await connection.execute("update mirror.cursor set next_block = next_block + 2")
        mirror = await beside(connection, network, rpc, rebuild=True)
        assert not await step(mirror)
        assert mirror.beside
        assert not mirror.building
        await network.mine(2)
        while await step(mirror):
            pass
        assert not mirror.beside
        assert mirror.tip == number + 2


async def test_the_mirror_of_other_contracts_is_never_replaced(database: str, network: Network) -> None:
    await a_market(network)
    right = network.deployed
    async with Rpc(network.node.url) as rpc, await store.connect(database) as connection:
        await mirrored(database, network, connection)
        await connection.execute(OTHER.encode())
        other = Deployed(right.chain_id, right.factory, holder("ann"), right.first_block)
        with pytest.raises(OtherDeployment, match="Drop schema mirror"):
            await open_mirror(connection, Endpoints([rpc], Metrics()), other, Metrics())
        assert await schema.state(connection, schema.NEXT) is None


async def test_a_table_that_somebody_dropped_brings_a_new_mirror(database: str, network: Network) -> None:
    await a_market(network)
    async with await store.connect(database) as connection:
        await mirrored(database, network, connection)
        before = await contents(connection)
        await connection.execute("drop table mirror.swap")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await contents(connection)
        async with Rpc(network.node.url) as rpc:
            await follow(
                database_url=database, rpc=rpc, deployed=network.deployed, metrics=Metrics(), poll=0.01,
                to_the_head=True,
            )  # fmt: skip
        assert await contents(connection) == before
