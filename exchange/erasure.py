"""Erasing a person: what tells of them goes, in one transaction; a ledger of addresses and integers stays.

For one merchant its membership is erased, and the customer itself with the last one; the operator erases all of them at
once. Gone are profile, consents and the key that they were sealed with, blind indexes, link codes, references, stores,
orders, times of sales, salts, the requests' idempotency keys, and, with the customer, whatever else `OF_PERSON` lists.
A member becomes a tombstone under an id that is new, so nothing that the merchant kept outside leads to it. A purchase
keeps the commitment that its salt and facts made: others' refunds in the same batch are proved as before, and every
root can be derived again, while nobody can open the commitment any more.

It has its effect once something can no longer change on the chain: purchases have to be minted and final, refunds and
intents too, holds closed. A card customer's points are asked about, for with the sealed key nobody could ever spend
them. What was erased is noted in `erasure` by ids that lead nowhere, so repeating it has the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import structlog

from exchange.database import Connection, Person, one, rows
from exchange.errors import CustomerNotFound, NotYetFinal, PointsRemain
from exchange.gateway import Gateway
from exchange.hexes import checksum
from exchange.merchant import Merchant
from exchange.points import render_points
from exchange.times import rfc3339

OF_MEMBER: Final[tuple[LiteralString, ...]] = (
    "delete from exchange.blind_index where merchant_id = %(merchant)s and customer_id = %(member)s",
    "delete from exchange.personal where merchant_id = %(merchant)s and customer_id = %(member)s",
    "delete from exchange.data_key where merchant_id = %(merchant)s and customer_id = %(member)s",
    "delete from exchange.pin where merchant_id = %(merchant)s and customer_id = %(person)s",
    "delete from exchange.access_code where merchant_id = %(merchant)s and customer_id = %(person)s",
    "delete from exchange.idempotency where scope = %(merchant)s::text and subject in ("
    " select p.id from exchange.purchase p where p.merchant_id = %(merchant)s and p.customer_id = %(member)s"
    " union all select r.id from exchange.refund r join exchange.purchase p on p.id = r.purchase_id"
    " where p.merchant_id = %(merchant)s and p.customer_id = %(member)s"
    " union all select h.id from exchange.hold h where h.merchant_id = %(merchant)s and h.customer_id = %(member)s)",
    "update exchange.refund r set reference = 'erased/' || r.id from exchange.purchase p"
    " where p.merchant_id = %(merchant)s and p.customer_id = %(member)s"
    " and r.merchant_id = p.merchant_id and r.purchase_id = p.id",
    "update exchange.hold set \"order\" = 'erased/' || id"
    " where merchant_id = %(merchant)s and customer_id = %(member)s",
)
"""What erasing a membership does, in this order, as the person (revision 0040), to what a table holds of a member: a
table that comes to hold something personal adds its statement, and the grant and policy of `points_person` for it.
Arguments: `merchant`, `member` (the merchant's own id), `person` (the customer's)."""

OF_PERSON: Final[tuple[LiteralString, ...]] = (
    "delete from exchange.link_code where customer_id = %(person)s",
    "delete from exchange.challenge where customer_id = %(person)s",
    "delete from exchange.credential where customer_id = %(person)s",
    "delete from exchange.session where customer_id = %(person)s",
    "delete from exchange.customer where id = %(person)s",
)
"""The same for the customer itself, once no merchant has it as a member: its credentials, its sessions, and last the
row with its sealed key. Argument: `person`."""

_MEMBERSHIPS: Final = """
select b.merchant_id, b.id, m.programme, m.slug
from exchange.member b join exchange.programme m on m.id = b.merchant_id
where b.customer_id = %s order by b.merchant_id for update of b
"""

_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended(encode(%s::bytea, 'hex'), 0))"
"""Whoever spends of a holder or sets its points aside holds this (`exchange/intents.py`)."""

_OPEN_CALL: Final = "(c.state = 'queued' or (c.state = 'placed' and t.state <> 'final'))"

_UNDER_WAY: Final = f"""
with members as (
    select w.merchant_id, w.id, m.programme
    from unnest(%(merchants)s::uuid[], %(members)s::uuid[]) as w (merchant_id, id)
    join exchange.programme m on m.id = w.merchant_id
), bought as (
    select p.merchant_id, p.id, p.points - p.cancelled as points, p.batch_number, m.programme from members m
    join exchange.purchase p on p.merchant_id = m.merchant_id and p.customer_id = m.id
)
select
    (select count(*) from bought p where p.points > 0 and not exists (
        select 1 from mirror.batch b where b.programme = p.programme and b.number = p.batch_number
          and b.block <= (select finalized from mirror.cursor where id = 1))) as purchases,
    (select count(*) from bought p join exchange.refund r on r.merchant_id = p.merchant_id and r.purchase_id = p.id
     left join exchange.call c on c.id = r.call_id left join exchange.transaction t on t.id = c.transaction_id
     where r.points > 0 and (c.id is null or {_OPEN_CALL})) as refunds,
    (select count(*) from exchange.intent i join exchange.call c on c.id = i.call_id
     left join exchange.transaction t on t.id = c.transaction_id
     where i.holder = %(holder)s and {_OPEN_CALL}
       and (%(last)s or i.programme in (select programme from members))) as intents,
    (select count(*) from members m join exchange.hold h on h.merchant_id = m.merchant_id and h.customer_id = m.id
     where h.state = 'open' and h.expires_at > %(now)s) as holds
"""  # noqa: S608 - of constants

_POINTS: Final = """
select programme, amount from mirror.balance
where holder = %(holder)s and amount > 0 and (%(last)s or programme = any(%(programmes)s)) order by programme
"""

# Of the times only that of acceptance stays, which the receipt was signed with.
_CLOSE: Final = """
update exchange.purchase p
set reference = 'erased/' || p.id, store = null, purchased_at = to_timestamp(p.accepted_at), fingerprint = '',
    salt = null
where p.merchant_id = %s and p.customer_id = %s and p.salt is not null
"""

_TOMBSTONE: Final = """
with fresh as (select gen_random_uuid() as id)
update exchange.member b set id = fresh.id, reference = 'erased/' || fresh.id, customer_id = null
from fresh where b.merchant_id = %s and b.id = %s
"""

_NOTE: Final = """
insert into exchange.erasure (id, merchant_id, purchases, forfeited) values (%s, %s, %s, %s) returning *
"""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is to be erased: the memberships in question, and whether they are the customer's last."""

    person: UUID
    holder: bytes
    custody: str
    memberships: Sequence[Mapping[str, Any]]
    last: bool


async def of_member(gateway: Gateway, merchant: Merchant, id: UUID, *, forfeit: bool) -> dict[str, Any]:
    """The merchant's membership, by the merchant's own id; with the last one the customer itself.

    Raises `CustomerNotFound`, `NotYetFinal`, `PointsRemain`.
    """
    async with gateway.database.reading(merchant.id) as sql:
        noted = await one(sql, "select * from exchange.erasure where merchant_id = %s and id = %s", merchant.id, id)
        member = await one(
            sql, "select customer_id from exchange.member where merchant_id = %s and id = %s", merchant.id, id
        )
    if noted is not None:
        return _answer(noted)
    if member is None or member["customer_id"] is None:
        raise CustomerNotFound(f"There is no customer {id}.")
    return await _erase(gateway, member["customer_id"], noted_as=id, of=merchant.id, forfeit=forfeit)


async def of_person(gateway: Gateway, id: UUID, *, forfeit: bool) -> dict[str, Any]:
    """The customer by its own id, at every merchant. Raises `CustomerNotFound`, `NotYetFinal`, `PointsRemain`."""
    return await _erase(gateway, id, noted_as=id, of=None, forfeit=forfeit)


async def _erase(gateway: Gateway, person: UUID, *, noted_as: UUID, of: UUID | None, forfeit: bool) -> dict[str, Any]:
    async with gateway.database.transaction(Person(person)) as sql:
        every = await rows(sql, _MEMBERSHIPS, person)
        chosen = [each for each in every if of is None or each["merchant_id"] == of]
        customer = await one(sql, "select holder, custody from exchange.customer where id = %s", person)
        if customer is None or (of is not None and not chosen):
            noted = await one(sql, "select * from exchange.erasure where id = %s", noted_as)
            if noted is None:
                raise CustomerNotFound(f"There is no customer {noted_as}.")
            return _answer(noted)  # somebody was faster
        case = _Case(person, bytes(customer["holder"]), customer["custody"], chosen, len(chosen) == len(every))
        await sql.execute(_LOCK, (case.holder,))
        await _require_final(sql, case, now=gateway.now())
        forfeited = await _require_spent(sql, case, forfeit=forfeit)
        counts = [await _erase_member(sql, person, each, forfeited) for each in chosen]
        if case.last:
            for statement in OF_PERSON:
                await sql.execute(statement, {"person": person})
        if of is None:
            await sql.execute(_NOTE, (noted_as, None, sum(counts), forfeited))
        noted = await one(sql, "select * from exchange.erasure where id = %s", noted_as)
    if noted is None:
        raise RuntimeError("an erasure was not noted")
    for each in chosen:  # what has to be repeated after a backup was restored
        structlog.get_logger().info("erased", merchant=str(each["merchant_id"]), customer=str(each["id"]))
    return _answer(noted)


async def _require_final(sql: Connection, case: _Case, *, now: int) -> None:
    under_way = await (
        await sql.execute(
            _UNDER_WAY,
            {
                "merchants": [each["merchant_id"] for each in case.memberships],
                "members": [each["id"] for each in case.memberships],
                "holder": case.holder,
                "last": case.last,
                "now": now,
            },
        )
    ).fetchone()
    waiting = {name: count for name, count in (under_way or {}).items() if count}
    if waiting:
        named = ", ".join(f"{name}: {count}" for name, count in waiting.items())
        raise NotYetFinal(f"Not final yet, or still open: {named}.", waiting=waiting)


async def _require_spent(sql: Connection, case: _Case, *, forfeit: bool) -> bool:
    """Whether points are given up with the key; a wallet's points are its own, and stay there."""
    if case.custody != "custodial":
        return False
    wanted = {
        "holder": case.holder, "last": case.last, "programmes": [each["programme"] for each in case.memberships],
    }  # fmt: skip
    left = await (await sql.execute(_POINTS, wanted)).fetchall()
    if left and not forfeit:
        balances = [
            {"programme": checksum(row["programme"]), "points": render_points(int(row["amount"]))} for row in left
        ]
        raise PointsRemain("The customer's key is kept here, and it still has points.", balances=balances)
    return bool(left)


async def _erase_member(sql: Connection, person: UUID, member: Mapping[str, Any], forfeited: bool) -> int:
    """How many purchases there were."""
    place = {"merchant": member["merchant_id"], "member": member["id"], "person": person}
    for statement in OF_MEMBER:
        await sql.execute(statement, place)
    bought = (await sql.execute(_CLOSE, (member["merchant_id"], member["id"]))).rowcount
    await sql.execute(_NOTE, (member["id"], member["merchant_id"], bought, forfeited))
    await sql.execute(_TOMBSTONE, (member["merchant_id"], member["id"]))
    return bought


def _answer(noted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "customer": str(noted["id"]),
        "purchases": noted["purchases"],
        "forfeited": noted["forfeited"],
        "erased_at": rfc3339(int(noted["erased_at"].timestamp())),
    }
