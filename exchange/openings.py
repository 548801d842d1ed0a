"""Opening balances: the points that members of a programme had before it came here, each made a signed receipt.

They take the way of a purchase (the same table, queue, batches and receipts), so that what was accepted and what is
minted stay one sum; they are of another kind, for no money was paid and no rule applied. A balance is known by its
reference, which unless given is made of the member's number: sent again it changes nothing, however often an import is
killed and begun anew. Every item is judged alone, and all that pass are stored together. A dry run judges the same and
stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from exchange import customers, points, purchase, purchases_bulk
from exchange.customers import Customer, Enrolment
from exchange.database import Connection, rows
from exchange.errors import AmountTooLarge, CustomerNotFound, ExchangeError, RequestInFlight, SupplyCapReached
from exchange.gateway import Gateway
from exchange.merchant import Merchant
from exchange.purchase import Facts, Promise
from exchange.purchases import ATTEMPTS, promise, refusal

LARGEST: Final = 1_000

# What the programme has outstanding by the mirror, and what is promised and not in the mirror yet.
_ISSUED: Final = """
select coalesce((select amount from mirror.supply where programme = %(programme)s), 0)
     + coalesce((select sum(points - cancelled) from exchange.purchase
                 where merchant_id = %(merchant)s and batch_number is null and points > cancelled), 0)
     + coalesce((select sum(b.total) from exchange.batch b where b.merchant_id = %(merchant)s
                 and b.number > coalesce((select max(number) from mirror.batch
                                          where programme = %(programme)s), 0)), 0) as points
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """As the merchant sent it: `points` is a decimal string."""

    member: str
    points: str
    reference: str | None

    @property
    def key(self) -> str:
        return self.reference or f"opening/{self.member}"


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says about the items of one request. `room` is what the programme may still issue."""

    members: Mapping[str | UUID, Customer]
    enrolled: frozenset[str]
    stored: dict[str, Mapping[str, Any]]
    room: int


_NOBODY: Final = Customer(UUID(int=0), UUID(int=0), bytes(20), "custodial", None)
"""Stands, in a dry run, for a customer that would be enrolled."""


async def accept(
    gateway: Gateway, merchant: Merchant, *, items: Sequence[Opening | ExchangeError], enrol: bool, dry_run: bool
) -> dict[str, Any]:
    """`results` in the order of the items. With `enrol`, unknown members become custodial customers."""
    for _ in range(ATTEMPTS):
        try:
            async with gateway.database.transaction(merchant.id) as sql:
                return await _accept(gateway, sql, merchant, items, enrol=enrol, dry_run=dry_run)
        except psycopg.errors.UniqueViolation:
            continue  # the same references at the same time
    raise RequestInFlight("Some of the references are being used by several requests at once.")


async def _accept(
    gateway: Gateway,
    sql: Connection,
    merchant: Merchant,
    items: Sequence[Opening | ExchangeError],
    *,
    enrol: bool,
    dry_run: bool,
) -> dict[str, Any]:
    amounts = [_amount(item, merchant) for item in items]
    sound = [item for item, amount in zip(items, amounts, strict=True) if isinstance(item, Opening) and _is_int(amount)]
    known = await _known(gateway, sql, merchant, sound, enrol=enrol, dry_run=dry_run)
    results, fresh = _judge(gateway, items, amounts, known)
    if not dry_run and fresh:
        signing = promise(gateway, merchant)
        made = await asyncio.to_thread(_accepted, list(fresh.values()), signing)
        await purchases_bulk.store(sql, made)
        gateway.metrics.purchases.inc(len(made))
        known.stored.update({row["reference"]: row for row in made})
    answers = [_answer(gateway, merchant, each, known, dry_run) for each in results]
    counts = [each["status"] for each in answers]
    return {
        "merchant": merchant.slug,
        "accepted": counts.count("accepted"),
        "known": counts.count("known"),
        "refused": counts.count("refused"),
        "room": points.render_points(max(0, known.room)),
        "results": answers,
    }


def _accepted(fresh: Sequence[Facts], signing: Promise) -> list[dict[str, Any]]:
    made = [purchase.draft(facts, signing) for facts in fresh]
    purchase.sign(made, signing)
    return made


def _is_int(amount: int | ExchangeError) -> bool:
    return isinstance(amount, int)


def _amount(item: Opening | ExchangeError, merchant: Merchant) -> int | ExchangeError:
    """Base units, or what is wrong with the item by itself. A member with nothing is a member all the same."""
    if isinstance(item, ExchangeError):
        return item
    try:
        amount = points.points(item.points, name="points", zero=True)
    except ExchangeError as error:
        return error
    if amount > merchant.entry_cap:
        return AmountTooLarge(
            f"One entry may have {points.render_points(merchant.entry_cap)} points, this one has"
            f" {points.render_points(amount)}.",
            field="points",
        )
    return amount


async def _known(
    gateway: Gateway, sql: Connection, merchant: Merchant, sound: Sequence[Opening], *, enrol: bool, dry_run: bool
) -> Known:
    names = list(dict.fromkeys(item.member for item in sound))
    members = await customers.members(sql, merchant, references=names, ids=[])
    unknown = [name for name in names if name not in members]
    if enrol and unknown and dry_run:
        members |= dict.fromkeys(unknown, _NOBODY)
    elif enrol and unknown:
        await customers.enrol(gateway, sql, merchant, [Enrolment(name) for name in unknown])
        members |= await customers.members(sql, merchant, references=unknown, ids=[])
    references = [item.key for item in sound]
    found = await rows(
        sql, "select * from exchange.purchase where merchant_id = %s and reference = any(%s)", merchant.id, references
    )
    cursor = await sql.execute(_ISSUED, {"programme": merchant.programme, "merchant": merchant.id})
    issued = await cursor.fetchone()
    return Known(
        members=members,
        enrolled=frozenset(unknown) if enrol else frozenset(),
        stored={row["reference"]: row for row in found},
        room=merchant.supply_cap - (0 if issued is None else int(issued["points"])),
    )


def _judge(
    gateway: Gateway, items: Sequence[Opening | ExchangeError], amounts: Sequence[int | ExchangeError], known: Known
) -> tuple[list[Any], dict[str, Facts]]:
    """For each item its facts, its stored row or its refusal; and, by reference, what is new."""
    now = datetime.fromtimestamp(gateway.now(), UTC)
    room = known.room
    results: list[Any] = []
    fresh: dict[str, Facts] = {}
    for item, amount in zip(items, amounts, strict=True):
        try:
            if isinstance(amount, ExchangeError):
                raise amount
            assert isinstance(item, Opening)  # noqa: S101 - else its amount is the error
            facts = _facts(item, amount, known, now)
            if item.key in known.stored:
                purchase.same(known.stored[item.key], facts)
                results.append(known.stored[item.key])
            elif item.key in fresh:
                purchase.same({"fingerprint": fresh[item.key].fingerprint}, facts)
                results.append((item, False))
            else:
                if amount > room:
                    raise SupplyCapReached(f"The programme may issue {points.render_points(max(0, room))} more points.")
                room -= amount
                fresh[item.key] = facts
                results.append((item, True))
        except ExchangeError as error:
            results.append(error)
    return results, fresh


def _facts(item: Opening, amount: int, known: Known, now: datetime) -> Facts:
    customer = known.members.get(item.member)
    if customer is None:
        raise CustomerNotFound("The merchant has no member of this number.")
    return Facts(
        reference=item.key,
        customer_id=customer.id,
        holder=customer.holder,
        amount_minor=0,
        store=None,
        purchased_at=now,
        points=amount,
        rule_version=None,
        kind="opening",
    )


def _answer(gateway: Gateway, merchant: Merchant, result: Any, known: Known, dry_run: bool) -> dict[str, Any]:
    if isinstance(result, ExchangeError):
        return {**refusal(result), "enrolled": False, "purchase": None}
    if isinstance(result, Mapping):
        return _shown(gateway, merchant, "known", False, result)
    item, new = result
    row = None if dry_run else known.stored[item.key]
    return _shown(gateway, merchant, "accepted" if new else "known", new and item.member in known.enrolled, row)


def _shown(
    gateway: Gateway, merchant: Merchant, status: str, enrolled: bool, row: Mapping[str, Any] | None
) -> dict[str, Any]:
    made = None if row is None else purchase.answer(row, merchant, gateway.deployment.chain_id)
    return {"status": status, "enrolled": enrolled, "purchase": made, "problem": None}
