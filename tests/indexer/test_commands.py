"""`points index backfill | verify | rewind | status`: what they say, and how they end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from contracts import deployment
from indexer import store, tables
from tests.conftest import ROOT
from tests.indexer.mirror import contents, require_sound
from tests.indexer.network import Network, holder
from tests.indexer.test_follow import a_market

pytestmark = pytest.mark.asyncio

Points = Callable[..., tuple[int, str]]
"""Runs the command with these arguments: its exit code, and what it said."""


@pytest_asyncio.fixture
async def points(network: Network, database: str, tmp_path: Path) -> Points:
    """A chain with points on it; nothing is mirrored yet."""
    deployment.save(network.deployment, tmp_path / "deployment.json")
    environment = {
        **os.environ,
        "POINTS_DATABASE_URL": database,
        "POINTS_RPC_URL": network.node.url,
        "POINTS_DEPLOYMENT": str(tmp_path / "deployment.json"),
    }
    one, _ = await a_market(network)
    await network.pass_on(one, "ann", holder("bob"), 100)
    await network.mine(3)

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "indexer", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout or done.stderr

    return run


async def test_backfill_goes_to_the_head_and_ends(points: Points, network: Network, database: str) -> None:
    code, said = await asyncio.to_thread(points, "backfill")
    number, tip = await network.head()
    assert (code, said.splitlines()[-1]) == (0, "at the head")
    assert f"block {number} of {number}" in said
    async with await store.connect(database) as connection:
        await require_sound(connection)
        assert await store.read_cursor(connection, network.deployed) == store.Cursor(number + 1, tip, 1)


async def test_a_rebuilt_mirror_is_the_same_mirror(points: Points, database: str) -> None:
    await asyncio.to_thread(points, "backfill")
    async with await store.connect(database) as connection:
        before = await contents(connection)
        await connection.execute("update mirror.entry set delta = delta + 1 where kind = 'earned'")
        code, said = await asyncio.to_thread(points, "backfill", "--rebuild")
        assert code == 0, said
        assert await contents(connection) == before


async def test_verify_finds_nothing_in_a_mirror_of_the_chain(points: Points) -> None:
    await asyncio.to_thread(points, "backfill")
    code, said = await asyncio.to_thread(points, "verify")
    assert (code, said.splitlines()[-1].partition(": ")[2]) == (0, "equal to the chain")


ROWS = {
    "entry": "update mirror.entry set delta = delta - 1 where kind = 'sent'",
    "batch": "update mirror.batch set receipts_root = entries_hash where number = 1",
    "transaction": "delete from mirror.transaction where block = (select max(block) from mirror.transaction)",
    "movement": "update mirror.movement set account = '\\x00' where kind = 'deposit'",
    "block": "update mirror.block set time = time + 1 where number = 3",
    "quote": "insert into mirror.quote select block, log_index + 100, programme, bid, ask, until, cap, effective "
    "from mirror.quote",
    "programme": "update mirror.programme set name = name || '!'",
}
SUMS = {
    "balance": "update mirror.balance set amount = amount + 1",
    "supply": "delete from mirror.supply",
    "margin": "update mirror.margin set amount = 0",
}


@pytest.mark.parametrize("changes", [ROWS, SUMS], ids=["rows", "sums"])
async def test_verify_names_every_row_that_the_chain_does_not_say(
    points: Points, database: str, changes: dict[str, str]
) -> None:
    await asyncio.to_thread(points, "backfill")
    with psycopg.connect(database) as connection:
        for change in changes.values():
            assert connection.execute(change.encode()).rowcount > 0
    code, said = await asyncio.to_thread(points, "verify")
    *named, verdict = said.splitlines()
    assert code == 1
    assert {line.partition(" (")[0] for line in named} == set(changes)
    assert verdict.endswith("the mirror differs from the chain")


async def test_verify_reads_only_the_blocks_that_it_is_asked_for(points: Points, database: str) -> None:
    await asyncio.to_thread(points, "backfill")
    with psycopg.connect(database) as connection:
        connection.execute("update mirror.block set time = time + 1 where number = 3")
    assert (await asyncio.to_thread(points, "verify", "--first=4"))[0] == 0
    assert (await asyncio.to_thread(points, "verify", "--last=2"))[0] == 0
    assert (await asyncio.to_thread(points, "verify", "--first=3", "--last=3"))[0] == 1
    code, said = await asyncio.to_thread(points, "verify", "--last=1000")
    assert (code, "the mirror has blocks" in said) == (1, True)


async def test_rewind_rolls_back_what_is_not_final(points: Points, network: Network, database: str) -> None:
    await asyncio.to_thread(points, "backfill")
    number, _ = await network.head()
    async with await store.connect(database) as connection:
        before = await contents(connection)
        code, said = await asyncio.to_thread(points, "rewind", str(number - 3))
        assert (code, said.partition(".")[0]) == (0, f"Rolled back from block {number} to block {number - 3}")
        await require_sound(connection)
        cursor = await store.read_cursor(connection, network.deployed)
        assert cursor is not None
        assert cursor.next_block == number - 2
        await asyncio.to_thread(points, "backfill")
        assert await contents(connection) == before


async def test_rewind_refuses_what_is_final_and_drops_only_if_told_to(
    points: Points, network: Network, database: str
) -> None:
    await asyncio.to_thread(points, "backfill")
    number, _ = await network.head()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update mirror.cursor set finalized = %s", (number - 1,))
        code, said = await asyncio.to_thread(points, "rewind", str(number - 2))
        assert (code, "what is final is never rolled back" in said) == (1, True)
        assert connection.execute("select next_block from mirror.cursor").fetchone() == (number + 1,)
        code, said = await asyncio.to_thread(points, "rewind", str(number + 1))
        assert (code, said) == (1, f"The mirror ends at block {number}.\n")
        assert (await asyncio.to_thread(points, "rewind", str(number - 2), "--drop"))[0] == 0
        assert connection.execute("select to_regnamespace('mirror')").fetchone() == (None,)


async def test_status_says_where_the_mirror_stands(points: Points, network: Network, database: str) -> None:
    assert await asyncio.to_thread(points, "status") == (1, "the mirror was not begun\n")
    await asyncio.to_thread(points, "backfill")
    number, _ = await network.head()
    code, said = await asyncio.to_thread(points, "status")
    lines = dict(line.split(" ", 1) for line in said.splitlines())
    assert code == 0
    assert (lines["next_block"], lines["lag"], lines["definition"]) == (str(number + 1), "0", "current")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("comment on schema mirror is 'definition of another version'")
    assert (
        "definition another: the indexer builds a new mirror beside" in (await asyncio.to_thread(points, "status"))[1]
    )


async def test_a_node_or_a_database_that_is_away_is_one_sentence(points: Points, network: Network) -> None:
    await asyncio.to_thread(points, "backfill")
    network.node.kill()
    code, said = await asyncio.to_thread(points, "verify")
    assert code == 2
    assert "Traceback" not in said
    assert "head unreachable" in (await asyncio.to_thread(points, "status"))[1]


async def test_what_it_does_not_know_is_refused_with_its_usage(points: Points) -> None:
    code, said = await asyncio.to_thread(points, "rewind")
    assert (code, "usage: points index rewind" in said) == (2, True)
    assert {*ROWS, *SUMS} <= {table.name for table in tables.metadata.sorted_tables}
