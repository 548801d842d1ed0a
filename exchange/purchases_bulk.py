"""Accepting up to a thousand purchases at once: every item is judged alone, all that pass are stored together.

An item that is refused harms no other and is kept with its problem under the request's idempotency key, so a repetition
gets the same answer; send it under a new key to have it judged again. Look-ups and the insert are of whole sets, and
signing, which is pure, leaves the event loop to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import psycopg

from exchange import idempotency, purchase, shortfalls
from exchange.database import Connection, one, rows
from exchange.errors import ExchangeError, PurchaseErased, RequestInFlight
from exchange.gateway import Gateway
from exchange.merchant import Merchant
from exchange.points import EarningRule
from exchange.purchase import Promise, Report
from exchange.purchases import ATTEMPTS, promise, refusal, unknown

LARGEST: Final = 1_000

# COPY does not know row-level security; columns as arrays are the next best thing, and what all rows share once.
_ARRAYS: Final = {name: kind for name, kind in purchase.COLUMNS.items() if name not in purchase.SHARED}
INSERT: Final = f"""
insert into exchange.purchase ({", ".join((*purchase.SHARED, *_ARRAYS))})
select {", ".join(f"%b::{purchase.COLUMNS[name]}" for name in purchase.SHARED)}, own.*
from unnest({", ".join(f"%b::{kind}[]" for kind in _ARRAYS.values())}) as own
"""  # noqa: S608
"""Takes `columns`."""

_MEMBERS: Final = """
select b.reference, b.id, c.holder from exchange.member b join exchange.customer c on c.id = b.customer_id
where b.merchant_id = %b and b.{column} = any(%b)
"""
_STORED: Final = "select * from exchange.purchase where merchant_id = %b and reference = any(%b)"

Item = Report | ExchangeError
"""An item as it came, or what is wrong with its form."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says about the items of one request."""

    rule: EarningRule
    customers: dict[Any, tuple[Any, bytes]]  # member reference or customer id -> (customer id, holder)
    purchases: dict[str, dict[str, Any]]  # by reference
    owed: dict[bytes, int] = field(default_factory=dict)  # base units of shortfalls to be offset, by holder


async def accept(gateway: Gateway, merchant: Merchant, *, key: str, fingerprint: bytes, items: Sequence[Item]) -> bytes:
    """The JSON answer: `results` in the order of the items."""
    scope = str(merchant.id)
    for _ in range(ATTEMPTS):
        async with gateway.database.reading(merchant.id) as sql:
            claim = await idempotency.find(sql, scope=scope, key=key, fingerprint=fingerprint)
            known = await _known(sql, merchant, items)
        if claim is not None:
            repeated = _repeated(items, known, claim.outcome or {})
            return await asyncio.to_thread(_answer, gateway, merchant, repeated)
        results, fresh = await asyncio.to_thread(_judge_all, items, known, promise(gateway, merchant))
        offsetting = [row["holder"] for row in fresh if row["withheld"]]
        try:
            async with gateway.database.transaction(merchant.id) as sql:
                refused = {str(i): result.problem() for i, result in enumerate(results) if _is_refusal(result)}
                claim = await idempotency.claim(
                    sql, scope=scope, key=key, fingerprint=fingerprint, subject=None, outcome=refused
                )
                if claim.first:
                    if offsetting:
                        # What was looked up may have been offset by others since: it is judged again under the lock.
                        owed = await shortfalls.lock(sql, merchant, offsetting)
                        known = replace(known, owed=owed)
                        results, fresh = await asyncio.to_thread(_judge_all, items, known, promise(gateway, merchant))
                    await store(sql, fresh)
                    if offsetting:
                        await shortfalls.offset(sql, fresh)
        except psycopg.errors.UniqueViolation:
            continue
        if claim.first:
            gateway.metrics.purchases.inc(len(fresh))
            return await asyncio.to_thread(_answer, gateway, merchant, results)
    raise RequestInFlight("Some of the references are being used by several requests at once.")


async def _known(sql: Connection, merchant: Merchant, items: Sequence[Item]) -> Known:
    reports = [item for item in items if isinstance(item, Report)]
    rule = await one(
        sql,
        "select version, rate_millionths, return_window, offsets from exchange.earning_rule where merchant_id = %s"
        " order by version desc limit 1",
        merchant.id,
    )
    if rule is None:
        raise RuntimeError(f"merchant {merchant.id} has no earning rule")
    members = list({report.member for report in reports if report.member is not None})
    customers = list({report.customer for report in reports if report.customer is not None})
    references = [report.reference for report in reports]
    known: dict[Any, tuple[Any, bytes]] = {}
    for column, values in (("reference", members), ("id", customers)):
        # Each by its own index: one look-up by either takes five times as long.
        for row in await rows(sql, _MEMBERS.format(column=column), merchant.id, values) if values else ():
            known[row["reference"]] = known[row["id"]] = (row["id"], row["holder"])
    stored = await rows(sql, _STORED, merchant.id, references)
    terms = EarningRule(**rule)
    holders = [bytes(holder) for _, holder in known.values()]
    return Known(
        rule=terms,
        owed=await shortfalls.owed(sql, merchant, holders) if terms.offsets else {},
        customers=known,
        purchases={row["reference"]: row for row in stored},
    )


def _judge_all(items: Sequence[Item], known: Known, promise: Promise) -> tuple[list[Any], list[dict[str, Any]]]:
    """For each item its row or its refusal, and the rows that are new. A reference may come twice, with equal facts."""
    stored, owed = dict(known.purchases), dict(known.owed)
    results: list[Any] = []
    fresh: list[dict[str, Any]] = []
    for item in items:
        try:
            if isinstance(item, ExchangeError):
                raise item
            customer = known.customers.get(item.who)
            if customer is None:
                raise unknown(item)
            facts = purchase.judge(
                item,
                merchant=promise.merchant,
                rule=known.rule,
                customer_id=customer[0],
                holder=customer[1],
                now=promise.now,
            )
            row = stored.get(item.reference)
            if row is None:
                if facts.holder in owed:
                    facts = purchase.withhold(facts, owed[facts.holder])
                    owed[facts.holder] -= facts.withheld
                row = stored[item.reference] = purchase.draft(facts, promise)
                fresh.append(row)
            else:
                purchase.same(row, facts)
            results.append(row)
        except ExchangeError as error:
            results.append(error)
    purchase.sign(fresh, promise)
    return results, fresh


async def store(sql: Connection, fresh: list[dict[str, Any]]) -> None:
    """Whole rows of one request. Raises `UniqueViolation` for a reference that is there."""
    if fresh:
        await sql.execute(INSERT, columns(fresh))


def columns(fresh: Sequence[dict[str, Any]]) -> list[Any]:
    """Of one request's or one round's rows."""
    return [*(fresh[0][name] for name in purchase.SHARED), *([row[name] for row in fresh] for name in _ARRAYS)]


def _repeated(items: Sequence[Item], known: Known, refused: dict[str, dict[str, Any]]) -> list[Any]:
    return [
        refused[str(i)] if str(i) in refused else known.purchases.get(item.reference, _ERASED)  # type: ignore[union-attr]
        for i, item in enumerate(items)
    ]


_ERASED: Final = PurchaseErased("The purchase was accepted, and erased with its customer since.")


def _is_refusal(result: Any) -> bool:
    return isinstance(result, ExchangeError)


def _answer(gateway: Gateway, merchant: Merchant, results: list[Any]) -> bytes:
    """`results` are rows, refusals, or the problems of refusals made before."""
    answers: list[dict[str, Any]] = []
    for result in results:
        if isinstance(result, ExchangeError):
            answers.append(refusal(result))
        elif "type" in result:
            answers.append({"status": "refused", "problem": result})
        else:
            stored = purchase.answer(result, merchant, gateway.deployment.chain_id)
            answers.append({"status": stored["status"], "purchase": stored})
    refused = sum(answer["status"] == "refused" for answer in answers)
    return msgspec.json.encode({"accepted": len(answers) - refused, "refused": refused, "results": answers})
