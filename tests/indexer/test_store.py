"""The mirror's transactions on a real database: exact folds, rollback as if it had never been, one winner of a race."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import project, store
from indexer.errors import BelowFinality, Inconsistent, OtherDeployment, Raced
from indexer.project import Rows
from indexer.store import Cursor, Deployed
from tests.indexer.chain import DEPLOYED, EXCHANGE, FACTORY, NOTHING_KNOWN, A, Chain, address, minted, redeemed
from tests.indexer.ledger import ACTS, HOLDERS, Act, grow
from tests.indexer.mirror import begin, contents, extend, require_sound

acts = st.tuples(st.sampled_from(ACTS), st.integers(0, 3), st.integers(0, 3), st.integers(1, 60))
block_acts = st.lists(acts, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    old=st.lists(block_acts, min_size=1, max_size=5),
    new=st.lists(block_acts, min_size=1, max_size=5),
    cut=st.integers(0, 6),
)
def test_rolling_back_and_appending_equals_a_fresh_mirror_of_the_new_chain(
    old: list[list[Act]], new: list[list[Act]], cut: int, database: str
) -> None:
    before = grow(Chain(), old)
    fork = min(cut, before.tip.number)
    after = grow(before.fork(fork, "other"), new)

    async def check() -> None:
        async with await store.connect(database) as connection:
            cursor, _ = await extend(connection, await begin(connection, before), before, NOTHING_KNOWN)
            await require_sound(connection)
            cursor = await store.rollback(connection, expected_tip=cursor.tip, fork=fork)
            await require_sound(connection)
            known = await store.read_known(connection, DEPLOYED)
            cursor, known = await extend(connection, cursor, after, known)
            await require_sound(connection)
            turned, turned_known = await contents(connection), await store.read_known(connection, DEPLOYED)
            fresh, fresh_known = await extend(connection, await begin(connection, after), after, NOTHING_KNOWN)
            assert turned == await contents(connection)
            assert cursor == fresh == await store.read_cursor(connection, DEPLOYED)
            assert known == turned_known == fresh_known

    asyncio.run(check())


@pytest.mark.asyncio
async def test_blocks_appended_together_equal_blocks_appended_one_by_one(database: str) -> None:
    chain = grow(Chain(), [[("mint", 0, 1, 50)], [("send", 0, 2, 20), ("swap", 0, 0, 9)], [("give", 2, 0, 20)]])
    async with await store.connect(database) as connection:
        await extend(connection, await begin(connection, chain), chain, NOTHING_KNOWN)
        singly = await contents(connection)
        cursor = await begin(connection, chain)
        rows, _ = project.project([log for one in chain.stretches for log in one.logs], NOTHING_KNOWN)
        blocks = [one.first for one in chain.stretches]
        await store.append(connection, expected_tip=cursor.tip, blocks=blocks, rows=rows)
        assert await contents(connection) == singly


@pytest.mark.asyncio
async def test_of_two_writers_that_saw_the_same_tip_one_wins_and_the_other_changes_nothing(database: str) -> None:
    chain = grow(Chain(), [[("mint", 0, 1, 50)], [("mint", 0, 1, 50)]])
    async with await store.connect(database) as one, await store.connect(database) as two:
        start = await begin(one, chain)
        rows, _ = project.project([log for part in chain.stretches for log in part.logs], NOTHING_KNOWN)
        blocks = [part.first for part in chain.stretches]
        outcomes = await asyncio.gather(
            *[store.append(c, expected_tip=start.tip, blocks=blocks, rows=rows) for c in (one, two)],
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Cursor", "Raced"]
        await require_sound(one)
        # An append and a rollback race for the same tip too.
        (cursor,) = [outcome for outcome in outcomes if isinstance(outcome, Cursor)]
        block = chain.add().first
        later = await asyncio.gather(
            store.append(one, expected_tip=cursor.tip, blocks=[block], rows=Rows()),
            store.rollback(two, expected_tip=cursor.tip, fork=1),
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in later) == ["Cursor", "Raced"]
        await require_sound(one)


@pytest.mark.asyncio
async def test_who_opens_a_mirror_that_is_there_waits_for_no_writer(database: str) -> None:
    async with await store.connect(database) as one, await store.connect(database) as two:
        await store.create_schema(one)
        async with one.transaction():
            await one.execute("lock table mirror.entry in row exclusive mode")
            await two.execute("set lock_timeout = '2s'")
            await store.create_schema(two)


@pytest.mark.asyncio
async def test_an_append_that_fails_leaves_nothing(database: str) -> None:
    chain = grow(Chain(), [[("mint", 0, 1, 50)]])
    async with await store.connect(database) as connection:
        cursor, known = await extend(connection, await begin(connection, chain), chain, NOTHING_KNOWN)
        before = await contents(connection)
        # More than the holder has: the ledger would go below zero.
        stretch = chain.add(minted(A, 2, [(HOLDERS[3], 7)]), redeemed(A, HOLDERS[0], 51))
        rows, _ = project.project(stretch.logs, known)
        with pytest.raises(psycopg.errors.CheckViolation):
            await store.append(connection, expected_tip=cursor.tip, blocks=stretch.blocks, rows=rows)
        assert await contents(connection) == before
        assert await store.read_cursor(connection, DEPLOYED) == cursor


@pytest.mark.asyncio
async def test_blocks_that_do_not_follow_are_refused(database: str) -> None:
    chain = grow(Chain(), [[], []])
    async with await store.connect(database) as connection:
        cursor = await begin(connection, chain)
        blocks = [one.first for one in chain.stretches]
        with pytest.raises(ValueError, match="does not follow"):
            await store.append(connection, expected_tip=cursor.tip, blocks=blocks[1:], rows=Rows())
        with pytest.raises(Inconsistent):
            await store.append(connection, expected_tip=cursor.tip, blocks=[blocks[0], blocks[2]], rows=Rows())
        with pytest.raises(Raced):
            await store.append(connection, expected_tip=blocks[0].hash, blocks=blocks[1:], rows=Rows())


@pytest.mark.asyncio
async def test_finality_rises_only_to_blocks_that_we_hold_and_is_never_rolled_back(database: str) -> None:
    chain = grow(Chain(), [[], [], []])
    blocks = [one.first for one in chain.stretches]
    other = chain.fork(1, "other").add().first
    async with await store.connect(database) as connection:
        cursor, _ = await extend(connection, await begin(connection, chain), chain, NOTHING_KNOWN)
        assert cursor.finalized == 0
        assert await store.finalize(connection, expected_tip=cursor.tip, finalized=other) == 0
        assert await store.finalize(connection, expected_tip=blocks[0].hash, finalized=blocks[1]) == 0
        assert await store.finalize(connection, expected_tip=cursor.tip, finalized=blocks[1]) == 2
        assert await store.finalize(connection, expected_tip=cursor.tip, finalized=blocks[0]) == 2
        with pytest.raises(BelowFinality, match="below the final block"):
            await store.rollback(connection, expected_tip=cursor.tip, fork=1)
        assert await store.rollback(connection, expected_tip=cursor.tip, fork=2) == Cursor(3, blocks[1].hash, 2)


@pytest.mark.asyncio
async def test_a_mirror_of_other_contracts_is_refused(database: str) -> None:
    async with await store.connect(database) as connection:
        await store.create_schema(connection)
        assert await store.read_cursor(connection, DEPLOYED) is None
        await begin(connection, Chain())
        for other in (Deployed(1, FACTORY, EXCHANGE, 1), Deployed(31337, FACTORY, address("other"), 1)):
            with pytest.raises(OtherDeployment, match="Drop schema mirror"):
                await store.read_cursor(connection, other)
