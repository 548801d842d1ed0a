"""Accepting purchases one by one, but together: a merchant's that are reported at the same time share a transaction.

A round looks up what it needs in one statement and stores keys and purchases in another, which is its transaction; its
receipts share signatures. Each report is judged alone. What is not simply new (a key or a reference that was seen, in
the table or in this round, or an earlier shortfall that may have to be offset) is left out and then accepted by itself,
as is everything if the round loses a race. A round is of one merchant: no transaction is ever of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg.rows import DictRow

from contracts import crash
from exchange import purchase, purchases, purchases_bulk
from exchange.database import Connection, rows
from exchange.errors import ExchangeError, RequestInFlight
from exchange.gateway import Gateway
from exchange.merchant import Merchant
from exchange.points import EarningRule
from exchange.purchase import Promise
from exchange.purchases import Reported

# Each look-up is of one row by a unique index; `limit` keeps the planner from reading whole tables that are small yet.
_LOOK_UP: Final = """
select k.key is not null or p.id is not null as seen, b.id as customer, c.holder,
       r.version, r.rate_millionths, r.return_window, r.offsets
from unnest(%b::text[], %b::text[], %b::text[], %b::uuid[]) with ordinality as a (key, reference, member, customer, n)
left join (select version, rate_millionths, return_window, offsets from exchange.earning_rule
           where merchant_id = %b order by version desc limit 1) r on true
left join lateral (select key from exchange.idempotency where scope = %b and key = a.key limit 1) k on true
left join lateral (select id from exchange.purchase
                   where merchant_id = %b and reference = a.reference limit 1) p on true
left join lateral (select id, customer_id from exchange.member where merchant_id = %b and reference = a.member
                   union all
                   select id, customer_id from exchange.member where merchant_id = %b and id = a.customer
                   limit 1) b on true
left join lateral (select holder from exchange.customer where id = b.customer_id limit 1) c on true
order by a.n
"""
_INSERT: Final = f"""
with claimed as (insert into exchange.idempotency (scope, key, fingerprint, subject)
                 select %b::text, own.* from unnest(%b::text[], %b::bytea[], %b::uuid[]) as own)
{purchases_bulk.INSERT}
"""  # noqa: S608


async def accept(gateway: Gateway, reported: Reported) -> bytes:
    """The JSON answer, byte for byte the same for every repetition."""
    row = await gateway.purchases.ask((gateway, reported), group=reported.merchant.id)
    structlog.contextvars.bind_contextvars(purchase=str(row["id"]))
    return msgspec.json.encode(purchase.answer(row, reported.merchant, gateway.deployment.chain_id))


async def accept_round(asked: Sequence[tuple[Gateway, Reported]]) -> list[DictRow | Exception]:
    """A row or a refusal for each."""
    gateway, merchant = asked[0][0], asked[0][1].merchant
    everybody = [reported for _, reported in asked]
    try:
        outcomes = await _together(gateway, merchant, everybody)
    except (psycopg.errors.UniqueViolation, RequestInFlight):
        outcomes = [None] * len(everybody)
    return [
        await _alone(gateway, reported) if outcome is None else outcome
        for reported, outcome in zip(everybody, outcomes, strict=True)
    ]


async def _together(
    gateway: Gateway, merchant: Merchant, everybody: Sequence[Reported]
) -> list[DictRow | Exception | None]:
    """None for what is to be accepted by itself."""
    outcomes: list[Any] = []
    fresh: list[Reported] = []
    made: list[dict[str, Any]] = []
    promise = purchases.promise(gateway, merchant)
    async with gateway.database.reading(merchant.id) as sql:
        for reported, found in zip(everybody, await _look_up(sql, merchant, everybody), strict=True):
            twin = any(reported.key == each.key or reported.report.reference == each.report.reference for each in fresh)
            simple = not (found["seen"] or twin or found["version"] is None or found["offsets"])
            outcome = _judged(reported, found, promise) if simple else None
            outcomes.append(outcome)
            if isinstance(outcome, dict):
                fresh.append(reported)
                made.append(outcome)
        purchase.sign(made, promise)
        crash.point("gateway: purchase signed, not stored")
        await _store(sql, merchant, fresh, made)
        crash.point("gateway: purchase stored, not answered")
    gateway.metrics.purchases.inc(len(made))
    return outcomes


def _judged(reported: Reported, found: DictRow, promise: Promise) -> dict[str, Any] | ExchangeError:
    try:
        if found["holder"] is None:
            raise purchases.unknown(reported.report)
        facts = purchase.judge(
            reported.report,
            merchant=promise.merchant,
            rule=EarningRule(found["version"], found["rate_millionths"], found["return_window"], found["offsets"]),
            customer_id=found["customer"],
            holder=found["holder"],
            now=promise.now,
        )
    except ExchangeError as error:
        return error
    return purchase.draft(facts, promise)


async def _look_up(sql: Connection, merchant: Merchant, everybody: Sequence[Reported]) -> list[DictRow]:
    reports = [each.report for each in everybody]
    return await rows(
        sql,
        _LOOK_UP,
        [each.key for each in everybody],
        [report.reference for report in reports],
        [report.member for report in reports],
        [report.customer for report in reports],
        merchant.id,
        str(merchant.id),
        merchant.id,
        merchant.id,
        merchant.id,
    )


async def _store(
    sql: Connection, merchant: Merchant, fresh: Sequence[Reported], made: Sequence[dict[str, Any]]
) -> None:
    if not made:
        return
    keys = ([each.key for each in fresh], [each.fingerprint for each in fresh], [row["id"] for row in made])
    await sql.execute(_INSERT, (str(merchant.id), *keys, *purchases_bulk.columns(made)))


async def _alone(gateway: Gateway, reported: Reported) -> DictRow | Exception:
    try:
        return await purchases.accept(gateway, reported)
    except Exception as error:
        return error
