"""Any order of appends, rollbacks, finalities and late writers leaves the mirror of the chain that was last told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from indexer import project, store
from indexer.blocks import Stretch
from indexer.errors import BelowFinality, Raced
from indexer.project import Known
from indexer.store import Connection, Cursor
from tests.indexer.chain import DEPLOYED, NOTHING_KNOWN, Chain
from tests.indexer.ledger import Act, grow
from tests.indexer.mirror import begin, contents, require_sound
from tests.indexer.simulator import expected_rows
from tests.indexer.test_store import block_acts

T = TypeVar("T")


class Mirrored(RuleBasedStateMachine):
    """`chain` is what the mirror was told of and holds; `final` a height on it."""

    database: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.connection: Connection = self.run(store.connect(self.database))
        self.chain = Chain()
        self.final = 0
        self.forks = 0
        self.cursor = Cursor(0, b"", 0)
        self.known: Known = NOTHING_KNOWN

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.connection.close())
        self.runner.close()

    @initialize()
    def begin(self) -> None:
        self.cursor = self.run(begin(self.connection, self.chain))

    @rule(blocks=st.lists(block_acts, min_size=1, max_size=3), together=st.booleans(), final=st.integers(0, 3))
    def append(self, blocks: list[list[Act]], together: bool, final: int) -> None:
        held = len(self.chain.stretches)
        added = grow(self.chain, blocks).stretches[held:]
        for some in [added] if together else [[one] for one in added]:
            self._append(some, final)

    def _append(self, some: list[Stretch], final: int) -> None:
        rows, self.known = project.project([log for one in some for log in one.logs], self.known)
        last = some[-1].last
        finalized = self.chain.stretches[last.number - final - 1].last if last.number > final else None
        self.cursor = self.run(
            store.append(
                *(self.connection,),
                expected_tip=self.cursor.tip,
                blocks=[one.first for one in some],
                rows=rows,
                finalized=finalized,
            )
        )
        self.final = max(self.final, finalized.number if finalized else 0)

    @precondition(lambda self: self.chain.stretches)
    @rule(depth=st.integers(0, 6))
    def roll_back(self, depth: int) -> None:
        fork = max(0, self.chain.tip.number - depth)
        work = store.rollback(self.connection, expected_tip=self.cursor.tip, fork=fork)
        if fork < self.final:
            with pytest.raises(BelowFinality):
                self.run(work)
            return
        self.forks += 1
        self.cursor = self.run(work)
        self.chain = self.chain.fork(fork, f"fork {self.forks}")
        self.known = self.run(store.read_known(self.connection, DEPLOYED))

    @precondition(lambda self: self.chain.stretches)
    @rule(below=st.integers(0, 4), ours=st.booleans())
    def finalise(self, below: int, ours: bool) -> None:
        """A final block that we do not hold changes nothing."""
        number = max(1, self.chain.tip.number - below)
        block = self.chain.stretches[number - 1].last if ours else self.chain.fork(number - 1, "other").add().last
        found = self.run(store.finalize(self.connection, expected_tip=self.cursor.tip, finalized=block))
        if ours:
            self.final = max(self.final, number)
        assert found == self.final
        self.cursor = Cursor(self.cursor.next_block, self.cursor.tip, found)

    @precondition(lambda self: len(self.chain.stretches) > 1)
    @rule(back=st.integers(1, 3))
    def a_late_writer(self, back: int) -> None:
        """Who saw an older tip appends and rolls back nothing."""
        stretches = self.chain.stretches
        tip = stretches[-back - 1].last if back < len(stretches) else self.chain.genesis
        late = self.chain.fork(tip.number, "late").add()
        with pytest.raises(Raced):
            self.run(store.append(self.connection, expected_tip=tip.hash, blocks=late.blocks, rows=project.Rows()))
        with pytest.raises(Raced):
            self.run(store.rollback(self.connection, expected_tip=tip.hash, fork=self.final))

    @invariant()
    def the_mirror_is_the_chains(self) -> None:
        if self.cursor.next_block == 0:
            return
        rows, known = project.project([log for one in self.chain.stretches for log in one.logs], NOTHING_KNOWN)
        blocks = [self.chain.genesis, *(one.last for one in self.chain.stretches)]
        held = self.run(contents(self.connection))
        right = expected_rows([(b.number, b.hash, b.parent, b.time) for b in blocks], [rows])
        assert {name: set(found) for name, found in held.items()} == right
        assert known == self.known
        assert self.run(store.read_cursor(self.connection, DEPLOYED)) == self.cursor
        assert self.cursor == Cursor(self.chain.tip.number + 1, self.chain.tip.hash, self.final)
        if self.chain.stretches:
            self.run(require_sound(self.connection))


def test_any_order_of_appends_rollbacks_and_finalities_leaves_the_mirror_of_the_chain(database: str) -> None:
    Mirrored.database = database
    run_state_machine_as_test(
        Mirrored,
        settings=settings(
            max_examples=15,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
