"""Refunds: a purchase, or a part of it, is undone, and the points that the part had earned are taken back.

What a refund takes back follows from the rule that the purchase earned by: of what is left of the amount the customer
keeps the points, the rest goes. Refunds of one purchase are made one after another, under a lock on it, so that
together they never exceed it. The gateway only writes the refund down; the relayer proves the receipt on the chain once
it is there (`exchange/relayer/refunding.py`). What the customer has spent already is a shortfall: the chain tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from uuid_utils.compat import uuid7

from exchange import idempotency, points
from exchange.database import Connection, one, snapshot
from exchange.errors import (
    PurchaseNotFound,
    ReferenceConflict,
    RefundTooLarge,
    RefundWindowClosed,
    RequestInFlight,
)
from exchange.gateway import Gateway
from exchange.history import as_of, head
from exchange.merchant import Merchant
from exchange.points import EarningRule
from exchange.purchases import ATTEMPTS

WINDOW: Final = 4_096
"""Batches whose receipts the token remembers (`Issuing.ROOTS`)."""

_PURCHASE: Final = """
select p.id, p.amount_minor, p.points, p.batch_number, r.version, r.rate_millionths, m.next_batch
from exchange.purchase p
join exchange.merchant m on m.id = p.merchant_id
left join exchange.earning_rule r on r.merchant_id = p.merchant_id and r.version = p.rule_version
where p.merchant_id = %s and p.id = %s
for no key update of p
"""

_BEFORE: Final = """
select coalesce(sum(amount_minor), 0)::bigint as amount, coalesce(max(taken), 0)::bigint as taken
from exchange.refund where merchant_id = %s and purchase_id = %s
"""

_INSERT: Final = """
insert into exchange.refund (merchant_id, id, purchase_id, reference, amount_minor, points, taken)
values (%s, %s, %s, %s, %s, %s, %s) returning *
"""

# The chain reports clawbacks of one receipt in the order in which they were made, and so are ours.
_STATUS: Final = """
with made as (
    select *, case when points > 0 then count(*) filter (where points > 0) over (order by id) end as place
    from exchange.refund where merchant_id = %(merchant)s and purchase_id = %(purchase)s
), happened as (
    select x.block, x.burned, x.shortfall, row_number() over (order by x.block, x.log_index) as place
    from exchange.purchase p join mirror.clawback x
      on x.programme = %(programme)s and x.batch = p.batch_number and x.index = p.batch_index
    where p.merchant_id = %(merchant)s and p.id = %(purchase)s
)
select r.*, c.state as call_state, c.failure, h.block, h.burned, h.shortfall, k.hash as block_hash
from made r
left join exchange.call c on c.id = r.call_id
left join happened h on h.place = r.place
left join mirror.block k on k.number = h.block
order by r.id
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """As the merchant sent it; without an amount, all that is left."""

    purchase: UUID
    reference: str
    amount: str | None


def taken_back(*, rule: EarningRule, amount_minor: int, earned: int, refunded_minor: int) -> int:
    """Base units that are taken back in all, once `refunded_minor` of the `amount_minor` that had `earned` is refunded.

    The customer keeps what the rule gives for the rest, rounded as any purchase is.
    """
    return earned - rule.points(amount_minor - refunded_minor)


async def accept(gateway: Gateway, merchant: Merchant, *, key: str, fingerprint: bytes, wish: Wish) -> dict[str, Any]:
    """The refund as it was accepted, the same for every repetition.

    Raises `PurchaseNotFound`, `ReferenceConflict`, `RefundTooLarge`, `RefundWindowClosed`, `InvalidAmount`.
    """
    for _ in range(ATTEMPTS):
        try:
            async with gateway.database.transaction(merchant.id) as sql:
                row = await _accept(gateway, sql, merchant, key=key, fingerprint=fingerprint, wish=wish)
        except psycopg.errors.UniqueViolation:
            continue  # the same reference at the same time
        structlog.contextvars.bind_contextvars(refund=str(row["id"]), purchase=str(row["purchase_id"]))
        return _answer(row, merchant)
    raise RequestInFlight("The same reference is being used by several requests at once.")


async def _accept(
    gateway: Gateway, sql: Connection, merchant: Merchant, *, key: str, fingerprint: bytes, wish: Wish
) -> dict[str, Any]:
    stored = await one(
        sql, "select * from exchange.refund where merchant_id = %s and reference = %s", merchant.id, wish.reference
    )
    id = uuid7() if stored is None else stored["id"]
    claim = await idempotency.claim(sql, scope=str(merchant.id), key=key, fingerprint=fingerprint, subject=id)
    if not claim.first:
        return await _stored(sql, merchant, claim.subject)
    if stored is not None:
        _same(stored, wish, merchant)
        return stored
    bought = await one(sql, _PURCHASE, merchant.id, wish.purchase)
    if bought is None:
        raise PurchaseNotFound(f'The merchant has no purchase "{wish.purchase}".')
    amount, owed, before = await _judge(sql, merchant, bought, wish)
    row = await one(sql, _INSERT, merchant.id, id, wish.purchase, wish.reference, amount, owed - before, owed)
    if row is None:
        raise RuntimeError("an insert returned nothing")
    gateway.metrics.refunds.inc()
    return row


async def _judge(sql: Connection, merchant: Merchant, bought: Mapping[str, Any], wish: Wish) -> tuple[int, int, int]:
    """The refund in minor units, and the base units taken back after it and before it."""
    before = await one(sql, _BEFORE, merchant.id, wish.purchase)
    if before is None:
        raise RuntimeError("an aggregate has a row")
    # Nothing was paid for an opening balance, so nothing of it can be refunded.
    left = bought["amount_minor"] - before["amount"]
    amount = left if wish.amount is None else _minor(merchant, wish.amount)
    if amount > left or left == 0:
        raise RefundTooLarge(
            f"{points.render(left, digits=merchant.minor_digits)} {merchant.currency} is left of the purchase"
            f" {wish.purchase}."
        )
    owed = taken_back(
        rule=EarningRule(bought["version"], bought["rate_millionths"]),
        amount_minor=bought["amount_minor"],
        earned=bought["points"],
        refunded_minor=before["amount"] + amount,
    )
    batch = bought["batch_number"]
    if owed > before["taken"] and batch is not None and bought["next_batch"] - batch > WINDOW:
        raise RefundWindowClosed(
            f"The purchase is in batch {batch}; the programme remembers the last {WINDOW:,} batches,"
            f" {bought['next_batch'] - 1:,} were made."
        )
    return amount, owed, before["taken"]


def _minor(merchant: Merchant, amount: str) -> int:
    return points.parse(amount, digits=merchant.minor_digits, name="amount", largest=points.LARGEST_MINOR)


def _same(stored: Mapping[str, Any], wish: Wish, merchant: Merchant) -> None:
    amount = stored["amount_minor"] if wish.amount is None else _minor(merchant, wish.amount)
    if (stored["purchase_id"], stored["amount_minor"]) != (wish.purchase, amount):
        raise ReferenceConflict("The reference belongs to a refund with other facts.")


async def _stored(sql: Connection, merchant: Merchant, id: UUID | None) -> dict[str, Any]:
    row = await one(sql, "select * from exchange.refund where merchant_id = %s and id = %s", merchant.id, id)
    if row is None:
        raise RuntimeError(f"the refund {id} vanished")
    return row


async def status(merchant: Merchant, sql: Connection, purchase: UUID) -> dict[str, Any]:
    """All refunds of a purchase, and how far each has come. Raises `PurchaseNotFound`."""
    await snapshot(sql)
    known = await one(sql, "select 1 from exchange.purchase where merchant_id = %s and id = %s", merchant.id, purchase)
    if known is None:
        raise PurchaseNotFound(f'The merchant has no purchase "{purchase}".')
    newest = await head(sql)
    finalized = -1 if newest is None else newest["finalized"]
    cursor = await sql.execute(
        _STATUS, {"merchant": merchant.id, "purchase": purchase, "programme": merchant.programme}
    )
    found = await cursor.fetchall()
    return {"refunds": [_progress(row, merchant, finalized) for row in found], "as_of": as_of(newest)}


def _progress(row: Mapping[str, Any], merchant: Merchant, finalized: int) -> dict[str, Any]:
    there = row["block"] is not None
    return {
        **_answer(row, merchant),
        "status": _stage(row, finalized),
        "burned": points.render_points(int(row["burned"])) if there else None,
        "shortfall": points.render_points(int(row["shortfall"])) if there else None,
        "reason": None if there else row["failure"],
        "block": row["block"],
    }


def _stage(row: Mapping[str, Any], finalized: int) -> str:
    if row["points"] == 0:
        return "final"
    if row["block"] is not None:
        return "final" if row["block"] <= finalized else "confirmed"
    if row["failure"] is not None:
        return "refused"
    return "submitted" if row["call_state"] == "placed" else "accepted"


def _answer(row: Mapping[str, Any], merchant: Merchant) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "reference": row["reference"],
        "purchase": str(row["purchase_id"]),
        "amount": points.render(row["amount_minor"], digits=merchant.minor_digits),
        "currency": merchant.currency,
        "points": points.render_points(row["points"]),
        # There is nothing to take back of what earned nothing.
        "status": "accepted" if row["points"] else "final",
    }
