"""Whatever is done to an audited table is found, and nearly always named to the row; `make mutations` does N."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection

from exchange import vault
from scripts.audit import mirror, purchases
from scripts.audit.mirror import Mirror
from scripts.audit.promises import Kept
from scripts.audit.record import Record
from tests.audit.conftest import Lived
from tests.audit.mutations import Mutation, Mutator
from tests.relayer.rig import MASTER

pytestmark = pytest.mark.asyncio

N = int(os.environ.get("N") or 150)
SEED = int(os.environ.get("SEED") or 20261122)
LOCATED = 0.99


@asynccontextmanager
async def mutating(lived: Lived, seed: int) -> AsyncIterator[tuple[AsyncConnection[Any], Mutator]]:
    """As a superuser whom no foreign key holds."""
    async with await AsyncConnection.connect(lived.database) as connection:
        await connection.execute("set session_replication_role = replica")
        await mirror.prepare(connection)
        keys = {
            id: vault.unseal(MASTER, key, purpose=f"issuer:{id}")
            for id, key in await (await connection.execute("select id, issuer_key from exchange.merchant")).fetchall()
        }
        mutator = Mutator(connection, keys, seed)
        await mutator.read()
        yield connection, mutator
        await connection.rollback()


async def audit(connection: AsyncConnection[Any], lived: Lived, kept: Kept) -> Record:
    """Of SQL, by evidence that was read before, and by the receipts that merchants have."""
    record, past = Record(), lived.past
    compared = Mirror(past.network, record)
    if await compared.begin(connection):
        for block, acts in past.history:
            await compared.add(block, acts)
        await compared.end(finalized=past.anchor.number)
    await purchases.check(kept, record, time=lived.past.anchor.time, connection=connection, folder=lived.receipts)
    return record


async def once(connection: AsyncConnection[Any], mutator: Mutator, lived: Lived, evidence: Kept, **wanted: str) -> Any:
    """One mutation, what an audit says of it, and everything as it was."""
    await connection.execute("savepoint untouched")
    mutation = await mutator.apply(**wanted)
    record = await audit(connection, lived, evidence)
    await connection.execute("rollback to savepoint untouched")
    return mutation, record


async def test_every_mutation_is_found_and_nearly_all_are_named_to_the_row(lived: Lived) -> None:
    evidence, begun = lived.past.kept(), time.process_time()
    tried: Counter[tuple[str, str]] = Counter()
    missed: list[Mutation] = []
    vague: list[tuple[Mutation, Record]] = []
    async with mutating(lived, SEED) as (connection, mutator):
        for _ in range(N):
            mutation, record = await once(connection, mutator, lived, evidence)
            tried[mutation.kind, mutation.table] += 1
            if not mutation.is_found(record):
                missed.append(mutation)
            elif not mutation.is_located(record):
                vague.append((mutation, record))
        clean = await audit(connection, lived, evidence)
    _tell(tried, missed, vague, time.process_time() - begun)
    assert clean.findings == []
    assert missed == []
    assert len(vague) <= (1 - LOCATED) * N


async def test_every_kind_of_mutation_is_found_in_every_table(lived: Lived) -> None:
    evidence = lived.past.kept()
    async with mutating(lived, SEED) as (connection, mutator):
        together = mutator.kinds[6:]
        for kind in together:
            mutation, record = await once(connection, mutator, lived, evidence, kind=kind)
            assert mutation.is_located(record), (mutation, record.findings)
        for table in mutator.rows:
            for kind in ("cell", "delete"):
                mutation, record = await once(connection, mutator, lived, evidence, kind=kind, table=table)
                assert mutation.is_located(record), (mutation, record.findings)


def _tell(
    tried: Counter[tuple[str, str]], missed: list[Mutation], vague: list[tuple[Mutation, Record]], seconds: float
) -> None:
    total = sum(tried.values())
    lines = [
        f"\nmutations: {total}, seed {SEED}: {len(missed)} missed, {total - len(missed) - len(vague)} named to the row",
        f"{seconds:.1f} s of processor time here, PostgreSQL's not counted",
    ]
    for by, place in (("kind", 0), ("table", 1)):
        counts = Counter[str]()
        for pair, count in tried.items():
            counts[pair[place]] += count
        lines.append(f"by {by}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    for mutation in missed:
        lines.append(f"missed: {mutation}")
    for mutation, record in vague:
        said = [each.message[:120] for each in record.findings[:2]]
        lines.append(f"not named: {mutation.kind} of {mutation.table}: {str(mutation.touched[:1])[:200]}: {said}")
    print("\n".join(lines), flush=True)  # noqa: T201
