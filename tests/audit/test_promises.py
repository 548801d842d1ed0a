"""Purchases and refunds in SQL are what the chain minted and took back, by their signed receipts; nothing of a person
is needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from scripts.audit import mirror, purchases
from scripts.audit.mirror import Connection
from scripts.audit.promises import Kept
from scripts.audit.purchases import Purchases
from scripts.audit.record import Record
from tests.audit.conftest import Lived
from tests.audit.world import DAY, Past

pytestmark = pytest.mark.asyncio

PERSONAL_TABLES = (
    "personal", "data_key", "index_key", "blind_index", "link_code", "member", "customer", "credential", "session",
    "session_token", "pin", "access_code", "challenge", "idempotency", "erasure", "hold", "webhook_event",
)  # fmt: skip
PERSONAL_COLUMNS = (
    "purchase.reference", "purchase.fingerprint", "purchase.customer_id", "purchase.store", "purchase.purchased_at",
    "purchase.salt", "refund.reference",
)  # fmt: skip


async def by_receipts(past: Past, folder: Path, *, time: int | None = None) -> tuple[Record, int]:
    """Without a database."""
    record, kept = Record(), Kept(past.network.chain_id)
    for _, acts in past.history:
        kept.apply(acts)
    waiting = await purchases.check(kept, record, time=time or past.anchor.time, folder=folder)
    return record, waiting


async def judge(connection: Connection, past: Past, *, time: int | None = None) -> tuple[Record, Purchases]:
    record, kept = Record(), Kept(past.network.chain_id)
    for _, acts in past.history:
        kept.apply(acts)
    made = Purchases(connection, kept, record, time=time or past.anchor.time)
    await made.run()
    return record, made


async def judged(
    lived: Lived, *changes: str, role: str | None = None, time: int | None = None
) -> tuple[Record, Purchases]:
    """As if somebody had made these changes, which are then undone."""
    async with await psycopg.AsyncConnection.connect(lived.database) as connection:
        for change in changes:
            await connection.execute(change.encode())
        if role is not None:
            await connection.execute(f"set local role {role}".encode())
        await mirror.prepare(connection)
        found = await judge(connection, lived.past, time=time)
        await connection.rollback()
    return found


async def test_purchases_that_were_kept_raise_no_alarm(lived: Lived) -> None:
    record, found = await judged(lived)
    assert (record.findings, record.doubts) == ([], [])
    assert record.tallies["promises"].proved > 35
    assert found.open == 2, "two purchases may still be returned, and were not all refunded"


def without_persons() -> Sequence[str]:
    drop = [f"drop table exchange.{table} cascade" for table in PERSONAL_TABLES]
    return drop + [
        f"alter table exchange.{table} drop column {column} cascade"
        for table, column in (name.split(".") for name in PERSONAL_COLUMNS)
    ]


async def test_it_passes_with_everything_personal_dropped_and_in_the_role_of_an_auditor(lived: Lived) -> None:
    plain, _ = await judged(lived)
    record, found = await judged(lived, *without_persons(), role="points_auditor")
    assert (record.findings, record.doubts, found.open) == ([], [], 2)
    assert record.tallies["promises"] == plain.tallies["promises"]


async def test_a_purchase_whose_time_has_passed_is_overdue_with_its_receipt_as_evidence(lived: Lived) -> None:
    record, found = await judged(lived, time=lived.past.anchor.time + 400 * DAY)
    assert (len(record.findings), found.open) == (2, 0)
    assert all("overdue" in each.message for each in record.findings)
    assert {"holder", "amount", "commitment", "accepted_at", "mint_by", "signature"} <= record.findings[0].place.keys()


async def test_receipts_alone_are_found_on_the_chain_as_far_as_it_tells(lived: Lived) -> None:
    record, waiting = await by_receipts(lived.past, lived.receipts)
    assert (record.findings, record.doubts) == ([], [])
    # Nothing in an answer names its place: an entry fits, and which one it is the chain does not say.
    assert (record.tallies["promises"].skipped, record.tallies["promises"].proved) == (29, 2)
    assert waiting == 2
    record, waiting = await by_receipts(lived.past, lived.receipts, time=lived.past.anchor.time + 400 * DAY)
    assert (len(record.findings), waiting) == (2, 0)
