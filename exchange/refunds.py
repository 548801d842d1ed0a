"""Refunds: a purchase, or a part of it, is undone, and the points that the part had earned are taken back.

What a refund takes back follows from the rule that the purchase earned by: of what is left of the amount the customer
keeps the points, the rest goes. Refunds of one purchase are made one after another, under a lock on it, so that
together they never exceed it. While the purchase is in no batch, a refund lowers what will be minted, at once and for
good: its answer has the issuer's receipt of what is left, which takes the place of the one before. Later the gateway
only writes the refund down, and the relayer proves the receipt on the chain (`exchange/relayer/refunding.py`); what the
customer has spent already is a shortfall: the chain tells. If the purchase had offset an earlier shortfall, the refund
takes what was minted first, and then makes owed again what was offset: as if only the rest had been bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from uuid_utils.compat import uuid7

from contracts import eip712
from contracts.layout import RING
from exchange import idempotency, points, purchases, shortfalls
from exchange.database import Connection, one, snapshot
from exchange.errors import (
    PurchaseNotFound,
    ReferenceConflict,
    RefundTooLarge,
    RefundWindowClosed,
    RequestInFlight,
)
from exchange.gateway import Gateway
from exchange.hexes import hexed
from exchange.history import as_of, head
from exchange.merchant import Merchant
from exchange.points import EarningRule

_PURCHASE: Final = """
select p.*, r.version, r.rate_millionths, m.next_batch
from exchange.purchase p
join exchange.merchant m on m.id = p.merchant_id
left join exchange.earning_rule r on r.merchant_id = p.merchant_id and r.version = p.rule_version
where p.merchant_id = %s and p.id = %s
for no key update of p
"""

_BEFORE: Final = """
select coalesce(sum(amount_minor), 0)::bigint as amount, coalesce(max(taken), 0)::bigint as taken,
       coalesce(sum(restored), 0)::bigint as restored
from exchange.refund where merchant_id = %s and purchase_id = %s
"""

_INSERT: Final = """
insert into exchange.refund (merchant_id, id, purchase_id, reference, amount_minor, points, taken, cancelled, restored,
                             promised, amended_at, signature)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning *
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


@dataclass(frozen=True, slots=True)
class Shares:
    """Where the points of one refund come from, in base units; `taken` is clawed back of the purchase in all."""

    amount_minor: int
    cancelled: int
    clawed: int
    taken: int
    restored: int


def shared(*, points: int, batched: bool, cancelled: int, taken: int, owed: int, before: int) -> tuple[int, int, int]:
    """`owed` points are taken back in all, `before` of them earlier: what this refund cancels, claws back, restores.

    Of a purchase with a receipt of `points`, of which `cancelled` and `taken` went earlier. Pure.
    """
    held = min(owed - before, points - cancelled - taken)
    restored = owed - before - held
    return (0, held, restored) if batched else (held, 0, restored)


async def accept(gateway: Gateway, merchant: Merchant, *, key: str, fingerprint: bytes, wish: Wish) -> dict[str, Any]:
    """The refund as it was accepted, the same for every repetition.

    Raises `PurchaseNotFound`, `ReferenceConflict`, `RefundTooLarge`, `RefundWindowClosed`, `InvalidAmount`.
    """
    for _ in range(purchases.ATTEMPTS):
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
    shares = await _judge(sql, merchant, bought, wish)
    amended = _amended(gateway, merchant, bought, shares) if shares.cancelled else (None, None, None)
    row = await one(
        sql, _INSERT, merchant.id, id, wish.purchase, wish.reference, shares.amount_minor, shares.clawed, shares.taken,
        shares.cancelled, shares.restored, *amended,
    )  # fmt: skip
    if row is None:
        raise RuntimeError("an insert returned nothing")
    if shares.cancelled:
        await sql.execute(
            "update exchange.purchase set cancelled = cancelled + %s where merchant_id = %s and id = %s",
            (shares.cancelled, merchant.id, wish.purchase),
        )
    if shares.restored:
        await shortfalls.restore(
            sql, merchant, holder=bought["holder"], purchase=bought["id"], points=shares.restored, at=gateway.now()
        )
    gateway.metrics.refunds.inc()
    return row


def _amended(gateway: Gateway, merchant: Merchant, bought: Mapping[str, Any], shares: Shares) -> tuple[int, int, bytes]:
    """The receipt of what is left to be minted: amount, time and signature."""
    promise = purchases.promise(gateway, merchant)
    left = bought["points"] - bought["cancelled"] - shares.cancelled
    digest = eip712.receipt_digest(
        promise.separator,
        holder=bought["holder"],
        amount=left,
        purchase=bought["commitment"],
        accepted_at=promise.now,
        mint_by=bought["mint_by"],
    )
    return left, promise.now, promise.sign(digest)


async def _judge(sql: Connection, merchant: Merchant, bought: Mapping[str, Any], wish: Wish) -> Shares:
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
        earned=bought["points"] + bought["withheld"],
        refunded_minor=before["amount"] + amount,
    )
    batch = bought["batch_number"]
    cancelled, clawed, restored = shared(
        points=bought["points"],
        batched=batch is not None,
        cancelled=bought["cancelled"],
        taken=before["taken"],
        owed=owed,
        before=bought["cancelled"] + before["taken"] + before["restored"],
    )
    if clawed and batch is not None and bought["next_batch"] - batch > RING:
        raise RefundWindowClosed(
            f"The purchase is in batch {batch}; the programme remembers the last {RING:,} batches,"
            f" {bought['next_batch'] - 1:,} were made."
        )
    return Shares(amount, cancelled, clawed, before["taken"] + clawed, restored)


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


def _receipt(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the issuer signed anew of the purchase's receipt: all else of it stays."""
    if row["signature"] is None:
        return None
    return {
        "amount": points.render_points(row["promised"]),
        "amount_base_units": str(row["promised"]),
        "accepted_at": row["amended_at"],
        "signature": hexed(row["signature"]),
    }


def _answer(row: Mapping[str, Any], merchant: Merchant) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "reference": row["reference"],
        "purchase": str(row["purchase_id"]),
        "amount": points.render(row["amount_minor"], digits=merchant.minor_digits),
        "currency": merchant.currency,
        "points": points.render_points(row["points"] + row["cancelled"] + row["restored"]),
        "cancelled": points.render_points(row["cancelled"]),
        "restored": points.render_points(row["restored"]),
        "receipt": _receipt(row),
        # There is nothing to take back of what earned nothing, or was not minted.
        "status": "accepted" if row["points"] else "final",
    }
