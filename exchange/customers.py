"""Enrolling customers: a member reference of one merchant, tied to a customer with one address.

A customer keeps its own key (`wallet`) or we keep it, sealed (`custodial`: card customers). The same wallet is the same
customer for every merchant, and so is one that was enrolled by a link code of another merchant's (`exchange/links.py`);
any other custodial customer has a key, and an address, of its own at each merchant. A merchant sees a customer only
through a membership of its own, under an id that is random and this merchant's alone; any other is as if absent, and
the customer's own id is the operator's. Enrolling is idempotent on (merchant, member), and of whole sets: one
merchant's enrolments follow one another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from contracts import signatures
from exchange import vault
from exchange.auth import Caller
from exchange.database import Connection, one, rows
from exchange.errors import CustomerNotFound, ExchangeError, LinkCodeRefused, MemberConflict
from exchange.gateway import Gateway
from exchange.hexes import checksum
from exchange.merchant import Merchant

LARGEST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Enrolment:
    """`wallet` or `link` (a code's digest) is set, or neither: a custodial key is to be made."""

    member: str
    wallet: bytes | None = None
    link: bytes | None = None
    pin: str | None = None  # hashed; of a new custodial customer


@dataclass(frozen=True, slots=True)
class Customer:
    """`id` is the merchant's own, `person` the customer's, which no merchant sees."""

    id: UUID
    person: UUID
    holder: bytes
    custody: str
    key: bytes | None


async def enrol(
    gateway: Gateway, sql: Connection, merchant: Merchant, items: Sequence[Enrolment | ExchangeError]
) -> list[dict[str, Any] | ExchangeError]:
    """In the caller's transaction: for each item the customer's answer or its refusal, in order."""
    wanted = [item for item in items if isinstance(item, Enrolment)]
    await sql.execute("select pg_advisory_xact_lock(hashtextextended(%s, 1))", (str(merchant.id),))
    members = {
        row["reference"]: row for row in await rows(sql, _MEMBERS, merchant.id, [item.member for item in wanted])
    }
    new = [item for item in wanted if item.member not in members]
    linked = await _linked(sql, [item for item in wanted if item.link is not None or item.member not in members])
    made = await asyncio.to_thread(_new_custodians, gateway, new)
    results: list[dict[str, Any] | ExchangeError] = []
    fresh: dict[str, dict[str, Any]] = {}
    taken = {
        row["customer_id"] for row in await rows(sql, _TAKEN, merchant.id, [row["person"] for row in linked.values()])
    }
    for item in items:
        try:
            if isinstance(item, ExchangeError):
                raise item
            row = members.get(item.member)
            if row is None:
                row = {"id": uuid4(), **_customer(item, linked, made)}
                if row["person"] in taken:
                    raise MemberConflict("This customer is a member already, under another reference.")
                taken.add(row["person"])
                members[item.member] = fresh[item.member] = row
            else:
                _same(item, row, linked)
            results.append(answer(row, item.member))
        except ExchangeError as error:
            results.append(error)
    await _store(sql, merchant, fresh)
    return results


_MEMBERS: Final = """
select b.reference, b.id, c.id as person, c.holder, c.custody
from exchange.member b join exchange.customer c on c.id = b.customer_id
where b.merchant_id = %s and b.reference = any(%s)
"""
_TAKEN: Final = "select customer_id from exchange.member where merchant_id = %s and customer_id = any(%s)"


async def _linked(sql: Connection, wanted: Sequence[Enrolment]) -> dict[bytes, dict[str, Any]]:
    """The customers that wallets and link codes name, with new ones for new wallets: by address and by digest.

    Inserted in the order of their addresses, so that two merchants' sets cannot wait for each other.
    """
    found: dict[bytes, dict[str, Any]] = {}
    wallets = sorted({item.wallet for item in wanted if item.wallet is not None})
    if wallets:
        await sql.execute(
            "insert into exchange.customer (id, holder, custody)"
            " select id, holder, 'wallet' from unnest(%s::uuid[], %s::bytea[]) as w (id, holder) order by holder"
            " on conflict do nothing",
            ([uuid7() for _ in wallets], wallets),
        )
        named = "select id as person, holder, custody from exchange.customers_named(%s::bytea[])"
        found |= {bytes(row["holder"]): row for row in await rows(sql, named, wallets)}
    codes = sorted({item.link for item in wanted if item.link is not None})
    if codes:
        linked = "select digest, id as person, holder, custody from exchange.customers_linked(%s::bytea[])"
        found |= {bytes(row["digest"]): row for row in await rows(sql, linked, codes)}
    return found


def _new_custodians(gateway: Gateway, items: Sequence[Enrolment]) -> dict[str, dict[str, Any]]:
    """Fresh keys, sealed, by member reference."""
    made = {}
    for item in items:
        if item.wallet is not None or item.link is not None or item.member in made:
            continue
        id, key, member = uuid7(), signatures.new_key(), item.member
        made[member] = {
            "person": id,
            "holder": signatures.address_of(key),
            "custody": "custodial",
            "key": vault.seal(gateway.master, key, purpose=f"customer:{id}"),
            "pin": item.pin,
        }
    return made


def _customer(item: Enrolment, linked: dict[bytes, dict[str, Any]], made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if item.wallet is not None:
        # Addresses are public: whoever names a custodial one must not get to act for its customer.
        if linked[item.wallet]["custody"] == "custodial":
            raise MemberConflict("This address belongs to a customer whose key is kept here: a link code is needed.")
        return linked[item.wallet]
    if item.link is None:
        return made[item.member]
    return _by_code(item.link, linked)


def _by_code(digest: bytes, linked: dict[bytes, dict[str, Any]]) -> dict[str, Any]:
    found = linked.get(digest)
    if found is None:
        raise LinkCodeRefused("The link code is unknown, too old, or was used by another merchant.")
    return found


def _same(item: Enrolment, row: dict[str, Any], linked: dict[bytes, dict[str, Any]]) -> None:
    """Raises `MemberConflict` unless the member was enrolled in this very way."""
    if item.wallet is not None:
        same = bytes(row["holder"]) == item.wallet
    elif item.link is not None:
        same = row["person"] == _by_code(item.link, linked)["person"]
    else:
        same = row["custody"] == "custodial"
    if not same:
        raise MemberConflict("The member is enrolled with another customer.")


async def _store(sql: Connection, merchant: Merchant, fresh: dict[str, dict[str, Any]]) -> None:
    custodial = [row for row in fresh.values() if row.get("key") is not None]
    async with sql.cursor() as cursor:
        if custodial:
            await cursor.executemany(
                "insert into exchange.customer (id, holder, custody, key) values (%s, %s, %s, %s)",
                [(row["person"], row["holder"], row["custody"], row["key"]) for row in custodial],
            )
        if fresh:
            await cursor.executemany(
                "insert into exchange.member (merchant_id, reference, id, customer_id) values (%s, %s, %s, %s)",
                [(merchant.id, member, row["id"], row["person"]) for member, row in fresh.items()],
            )
        if pins := [(merchant.id, row["person"], row["pin"]) for row in custodial if row["pin"] is not None]:
            await cursor.executemany(
                "insert into exchange.pin (merchant_id, customer_id, digest, set_at) values (%s, %s, %s, now())", pins
            )


def answer(row: dict[str, Any], member: str | None) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "member": member,
        "holder": checksum(row["holder"]),
        "custody": row["custody"],
    }


async def seen(sql: Connection, who: Caller, id: UUID) -> dict[str, Any]:
    """The customer, as a member of the caller by the caller's own id; the operator sees all, by the customer's.

    Raises `CustomerNotFound`.
    """
    if who.merchant is None:
        row = await one(
            sql, "select id, id as person, holder, custody, null as reference from exchange.customer where id = %s", id
        )
    else:
        row = await one(
            sql,
            "select b.id, c.id as person, c.holder, c.custody, b.reference"
            " from exchange.member b join exchange.customer c on c.id = b.customer_id"
            " where b.merchant_id = %s and b.id = %s",
            who.merchant.id,
            id,
        )
    if row is None:
        raise CustomerNotFound(f"There is no customer {id}.")
    return row


async def shown(sql: Connection, merchant: Merchant, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The answers of those of these ids that are members, in any order."""
    found = await rows(
        sql,
        "select b.id, b.reference, c.holder, c.custody"
        " from exchange.member b join exchange.customer c on c.id = b.customer_id"
        " where b.merchant_id = %s and b.id = any(%s) order by b.reference",
        merchant.id,
        list(ids),
    )
    return [answer(row, row["reference"]) for row in found]


async def members(
    sql: Connection, merchant: Merchant, *, references: Sequence[str], ids: Sequence[UUID]
) -> dict[str | UUID, Customer]:
    """The merchant's customers by member reference and by the merchant's own id."""
    found: dict[str | UUID, Customer] = {}
    for row in await rows(
        sql,
        "select b.reference, b.id, c.id as person, c.holder, c.custody, c.key"
        " from exchange.member b join exchange.customer c on c.id = b.customer_id"
        " where b.merchant_id = %s and (b.reference = any(%s) or b.id = any(%s))",
        merchant.id,
        list(references),
        list(ids),
    ):
        customer = Customer(row["id"], row["person"], bytes(row["holder"]), row["custody"], row["key"])
        found[row["reference"]] = found[row["id"]] = customer
    return found
