"""Charities and campaigns: registered by the operator, credited by gifts and what sponsors add to them.

What was raised is read from the mirror. A charity without an address of its own gets a custodial key, sealed. Campaign
numbers are the chain's, which counts them from 1 in the order of the operator's calls: they are allotted here in that
order, under a lock.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from uuid_utils.compat import uuid7

from contracts import bindings, signatures
from exchange import calls, history, vault
from exchange.database import Connection, one, rows
from exchange.errors import CampaignNotFound, CharityExists, CharityNotFound, InvalidRequest
from exchange.gateway import Gateway
from exchange.hexes import address as parse_address
from exchange.hexes import checksum, is_address
from exchange.points import render_settlement
from exchange.programme import short_string
from exchange.times import rfc3339

CAMPAIGN_LEAD: Final = 3_600
"""Seconds that a campaign must run at least, so that it cannot end before it is on the chain."""

_LOCK: Final = 0x63616D706169676E

_CHARITIES: Final = """
select c.id, c.slug, c.name, c.address, k.failure, m.address is not null as registered,
       coalesce((select sum(g.value) from mirror.gift g where g.charity = c.address), 0)
       + coalesce((select sum(a.value) from mirror.matching a where a.charity = c.address), 0) as raised,
       coalesce(b.amount, 0) as margin
from exchange.charity c
join exchange.call k on k.id = c.call_id
left join mirror.charity m on m.address = c.address
left join mirror.margin b on b.account = c.address
where %s::uuid is null or c.id = %s
order by c.name, c.id
"""

_CAMPAIGNS: Final = """
select p.number, p.title, p.goal, p.ends_at, c.slug, c.id as charity_id, c.address, k.failure,
       m.number is not null as opened,
       coalesce((select sum(g.value) from mirror.gift g
                 where g.charity = c.address and g.campaign = p.number), 0)
       + coalesce((select sum(a.value) from mirror.matching a
                   where a.charity = c.address and a.campaign = p.number), 0) as raised
from exchange.campaign p
join exchange.charity c on c.id = p.charity_id
join exchange.call k on k.id = p.call_id
left join mirror.campaign m on m.number = p.number and m.charity = c.address
where %s::bigint is null or p.number = %s
order by p.number
"""


async def register(gateway: Gateway, sql: Connection, *, slug: str, name: str, address: bytes | None) -> dict[str, Any]:
    """Raises `CharityExists`, `OperatorNotReady`."""
    id = uuid7()
    key = None if address is not None else signatures.new_key()
    account = signatures.address_of(key) if key is not None else address
    if account is None:
        raise RuntimeError("a charity has an address")
    lane = await calls.operator_address(sql)
    data = bindings.exchange_register_charity(charity=account, name=short_string(name, name="name"))
    call = await calls.queue(sql, "charity", target=gateway.deployment.exchange, data=data, sequence=lane, signer=lane)
    sealed = None if key is None else vault.seal(gateway.master, key, purpose=f"charity:{id}")
    try:
        await sql.execute(
            "insert into exchange.charity (id, slug, name, address, key, call_id) values (%s, %s, %s, %s, %s, %s)",
            (id, slug, name, account, sealed, call),
        )
    except psycopg.errors.UniqueViolation as error:
        raise CharityExists(f'There is a charity "{slug}", or one with this address.') from error
    return registered(id, slug, name, account)


def registered(id: UUID, slug: str, name: str, account: bytes) -> dict[str, Any]:
    return {"id": str(id), "slug": slug, "name": name, "address": checksum(account), "status": "pending"}


async def stored(sql: Connection, id: UUID) -> dict[str, Any]:
    """The answer that `register` gave."""
    row = await one(sql, "select id, slug, name, address from exchange.charity where id = %s", id)
    if row is None:
        raise CharityNotFound(f"There is no charity {id}.")
    return registered(row["id"], row["slug"], row["name"], row["address"])


async def open_campaign(
    gateway: Gateway, sql: Connection, *, charity: str, title: str, goal: int, ends_at: int
) -> dict[str, Any]:
    """Raises `CharityNotFound`, `OperatorNotReady`."""
    if ends_at < gateway.now() + CAMPAIGN_LEAD:
        raise InvalidRequest("A campaign ends an hour from now at the earliest.", field="ends_at")
    row = await one(sql, "select id, address, slug from exchange.charity where slug = %s", charity)
    if row is None:
        raise CharityNotFound(f'There is no charity "{charity}".')
    lane = await calls.operator_address(sql)
    await sql.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    newest = await one(sql, "select coalesce(max(number), 0) as number from exchange.campaign")
    number = 1 if newest is None else newest["number"] + 1
    data = bindings.exchange_open_campaign(charity=row["address"], goal=goal, end=ends_at)
    call = await calls.queue(sql, "campaign", target=gateway.deployment.exchange, data=data, sequence=lane, signer=lane)
    await sql.execute(
        "insert into exchange.campaign (number, charity_id, title, goal, ends_at, call_id)"
        " values (%s, %s, %s, %s, %s, %s)",
        (number, row["id"], title, goal, ends_at, call),
    )
    return {
        "number": number,
        "charity": row["slug"],
        "title": title,
        "goal": render_settlement(goal),
        "ends_at": rfc3339(ends_at),
        "status": "pending",
    }


async def stored_campaign(sql: Connection, number: int) -> dict[str, Any]:
    """The answer that `open_campaign` gave."""
    row = await one(
        sql,
        "select p.*, c.slug from exchange.campaign p join exchange.charity c on c.id = p.charity_id where number = %s",
        number,
    )
    if row is None:
        raise CampaignNotFound(f"There is no campaign {number}.")
    return {
        "number": row["number"],
        "charity": row["slug"],
        "title": row["title"],
        "goal": render_settlement(int(row["goal"])),
        "ends_at": rfc3339(row["ends_at"]),
        "status": "pending",
    }


async def resolve(sql: Connection, text: str) -> bytes:
    """The address of a charity given by slug or address."""
    if is_address(text):
        return parse_address(text, name="charity")
    row = await one(sql, "select address from exchange.charity where slug = %s", text)
    if row is None:
        raise CharityNotFound(f'There is no charity "{text}".')
    return bytes(row["address"])


async def charities(sql: Connection, id: UUID | None = None) -> dict[str, Any]:
    found = await rows(sql, _CHARITIES, id, id)
    return {"charities": [_charity(row) for row in found], "as_of": history.as_of(await history.head(sql))}


async def charity(sql: Connection, id: UUID) -> dict[str, Any]:
    found = await charities(sql, id)
    if not found["charities"]:
        raise CharityNotFound(f"There is no charity {id}.")
    return {**found["charities"][0], "as_of": found["as_of"]}


async def campaigns(sql: Connection, number: int | None = None) -> dict[str, Any]:
    found = await rows(sql, _CAMPAIGNS, number, number)
    return {"campaigns": [_campaign(row) for row in found], "as_of": history.as_of(await history.head(sql))}


async def campaign(sql: Connection, number: int) -> dict[str, Any]:
    found = await campaigns(sql, number)
    if not found["campaigns"]:
        raise CampaignNotFound(f"There is no campaign {number}.")
    return {**found["campaigns"][0], "as_of": found["as_of"]}


def _charity(row: DictRow) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "slug": row["slug"],
        "name": row["name"],
        "address": checksum(row["address"]),
        "status": _stage(row["registered"], row["failure"]),
        "raised": render_settlement(int(row["raised"])),
        "margin": render_settlement(int(row["margin"])),
    }


def _campaign(row: DictRow) -> dict[str, Any]:
    return {
        "number": row["number"],
        "charity": row["slug"],
        "title": row["title"],
        "goal": render_settlement(int(row["goal"])),
        "raised": render_settlement(int(row["raised"])),
        "ends_at": rfc3339(row["ends_at"]),
        "status": _stage(row["opened"], row["failure"]),
    }


def _stage(there: bool, failure: str | None) -> str:
    return "active" if there else "pending" if failure is None else "refused"
