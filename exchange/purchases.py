"""Accepting a purchase: the idempotency key, the purchase and its place in the queue of the relayer, all or nothing.

One statement inserts both rows, so it is the transaction; a 2xx is a committed purchase with a signed receipt. Nothing
here reads the chain or its mirror: a node that is down delays minting, never acceptance. Races are left to the unique
keys: whoever loses looks again and answers what the winner stored.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import DictRow

from contracts import crash
from contracts.signatures import signer
from exchange import idempotency, points, purchase, shortfalls
from exchange.database import Connection, one
from exchange.errors import CustomerNotFound, ExchangeError, PurchaseNotFound, RequestInFlight
from exchange.gateway import Gateway
from exchange.hexes import hexed
from exchange.history import as_of
from exchange.merchant import Merchant
from exchange.points import EarningRule
from exchange.purchase import Facts, Promise, Report

ATTEMPTS: Final = 3

_LOOKUP: Final = """
select k.fingerprint as key_fingerprint, r.version, r.rate_millionths, r.return_window, r.offsets,
       c.id as known_customer, c.holder as known_holder, p.*
from (values (1)) as request
left join exchange.idempotency k on k.scope = %s and k.key = %s
left join lateral (select version, rate_millionths, return_window, offsets from exchange.earning_rule
                   where merchant_id = %s order by version desc limit 1) r on true
left join lateral (select b.id, c.holder from exchange.member b join exchange.customer c on c.id = b.customer_id
                   where b.merchant_id = %s and b.{column} = %s) c on true
left join exchange.purchase p on p.merchant_id = %s and p.reference = %s
"""
_BY_MEMBER: Final = _LOOKUP.format(column="reference")
_BY_CUSTOMER: Final = _LOOKUP.format(column="id")

_INSERT: Final = f"""
with claimed as (insert into exchange.idempotency (scope, key, fingerprint, subject) values (%s, %s, %s, %s))
insert into exchange.purchase ({", ".join(purchase.COLUMNS)}) values ({", ".join(["%s"] * len(purchase.COLUMNS))})
"""  # noqa: S608


class Reported(msgspec.Struct, frozen=True, gc=False):
    """A report as it came, by whom, and under which idempotency key."""

    merchant: Merchant
    key: str
    fingerprint: bytes
    report: Report


def promise(gateway: Gateway, merchant: Merchant) -> Promise:
    """Opens the issuer's key for the time of one request."""
    return Promise(
        merchant=merchant,
        chain_id=gateway.deployment.chain_id,
        separator=gateway.domain(merchant.programme),
        sign=signer(merchant.issuer_secret(gateway.master)),
        now=gateway.now(),
        receipt_life=gateway.settings.receipt_life,
    )


async def accept(gateway: Gateway, reported: Reported) -> DictRow:
    """The stored row, the same for every repetition. In a transaction of its own: see `purchases_together`."""
    for _ in range(ATTEMPTS):
        async with gateway.database.reading(reported.merchant.id) as sql:
            row = await _attempt(gateway, sql, reported)
        if row is not None:
            return row
    raise RequestInFlight("The same reference and the same key are being used by several requests at once.")


async def _attempt(gateway: Gateway, sql: Connection, reported: Reported) -> DictRow | None:
    """The stored row, or None if another request was faster and one must look again."""
    merchant, key, fingerprint, report = reported.merchant, reported.key, reported.fingerprint, reported.report
    scope = str(merchant.id)
    query = _BY_CUSTOMER if report.member is None else _BY_MEMBER
    found = await one(sql, query, scope, key, merchant.id, merchant.id, report.who, merchant.id, report.reference)
    if found is None or found["version"] is None:
        raise RuntimeError(f"merchant {merchant.id} has no earning rule")
    if found["key_fingerprint"] is not None:
        if found["key_fingerprint"] != fingerprint:
            raise idempotency.reused()
        if found["id"] is not None:
            return found
    if found["known_customer"] is None:
        raise unknown(report)
    rule = EarningRule(found["version"], found["rate_millionths"], found["return_window"], found["offsets"])
    facts = purchase.judge(
        report,
        merchant=merchant,
        rule=rule,
        customer_id=found["known_customer"],
        holder=found["known_holder"],
        now=gateway.now(),
    )
    if found["id"] is not None:
        purchase.same(found, facts)
        claim = await idempotency.claim(sql, scope=scope, key=key, fingerprint=fingerprint, subject=found["id"])
        return found if claim.first or claim.subject == found["id"] else None
    insert = partial(_insert, gateway, merchant, sql, key=key, fingerprint=fingerprint)
    try:
        if rule.offsets and await shortfalls.owed(sql, merchant, [facts.holder]):
            async with sql.transaction():
                owed = await shortfalls.lock(sql, merchant, [facts.holder])
                row = await insert(purchase.withhold(facts, owed[facts.holder]))
                await shortfalls.offset(sql, [row])
        else:
            row = await insert(facts)
    except psycopg.errors.UniqueViolation:
        return None
    crash.point("gateway: purchase stored, not answered")
    gateway.metrics.purchases.inc()
    return row


async def _insert(
    gateway: Gateway, merchant: Merchant, sql: Connection, facts: Facts, *, key: str, fingerprint: bytes
) -> dict[str, Any]:
    row = purchase.accept(facts, promise(gateway, merchant))
    crash.point("gateway: purchase signed, not stored")
    await sql.execute(_INSERT, (str(merchant.id), key, fingerprint, row["id"], *purchase.values(row)))
    return row


def unknown(report: Report) -> CustomerNotFound:
    if report.member is None:
        return CustomerNotFound(f"The merchant has no customer {report.customer}.")
    return CustomerNotFound("The merchant has no member of this number.")


# --- how far a purchase has come

_STATUS: Final = """
select p.*, c.state as call_state, b.block, k.hash as block_hash, t.hash as transaction_hash,
       u.next_block - 1 as head, u.tip, u.finalized
from exchange.purchase p
join exchange.merchant m on m.id = p.merchant_id
left join exchange.batch x on x.merchant_id = p.merchant_id and x.number = p.batch_number
left join exchange.call c on c.id = x.call_id
left join mirror.cursor u on u.id = 1
left join mirror.batch b on b.programme = m.programme and b.number = p.batch_number
left join mirror.block k on k.number = b.block
left join mirror.transaction t on t.block = b.block and t.index = b.transaction_index
where p.merchant_id = %s and {column} = %s
"""


async def status(
    gateway: Gateway, merchant: Merchant, sql: Connection, *, id: UUID | None = None, reference: str | None = None
) -> dict[str, Any]:
    """The purchase with its live status and where it is on the chain. Raises `PurchaseNotFound`."""
    column, value = ("p.id", id) if id is not None else ("p.reference", reference)
    row = await one(sql, _STATUS.format(column=column), merchant.id, value)
    if row is None:
        raise PurchaseNotFound(f'The merchant has no purchase "{value}".')
    answer = purchase.answer(row, merchant, gateway.deployment.chain_id)
    answer["status"] = stage(row, now=gateway.now())
    answer["cancelled"] = points.render_points(row["cancelled"])
    answer["chain"] = (
        None
        if row["batch_number"] is None
        else {
            "batch": row["batch_number"],
            "index": row["batch_index"],
            "block": row["block"],
            "block_hash": None if row["block_hash"] is None else hexed(row["block_hash"]),
            "transaction": None if row["transaction_hash"] is None else hexed(row["transaction_hash"]),
        }
    )
    answer["as_of"] = as_of(row)
    return answer


def stage(row: DictRow, *, now: int) -> str:
    """pending (it may still be returned), accepted, submitted (in a transaction), confirmed (in a block) or final (in
    a finalized one); or cancelled, if it was returned before anything was minted."""
    if row["points"] == 0:
        return "final"
    if row["points"] == row["cancelled"]:
        return "cancelled"
    if row["batch_number"] is None and row["available_at"] > now:
        return "pending"
    if row["block"] is not None:
        return "final" if row["block"] <= row["finalized"] else "confirmed"
    return "submitted" if row["call_state"] == "placed" else "accepted"


def refusal(error: ExchangeError) -> dict[str, Any]:
    """An item of a bulk answer that was refused."""
    return {"status": "refused", "problem": error.problem()}
