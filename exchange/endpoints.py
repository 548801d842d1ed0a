"""Where a merchant wants its events sent: endpoints with a secret each, shown once; their deliveries; sending again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from exchange import vault
from exchange.database import Connection, one, rows
from exchange.errors import TooManyWebhooks, WebhookNotFound
from exchange.gateway import Gateway
from exchange.merchant import Merchant
from exchange.webhooks import destination
from exchange.webhooks.sending import shown

MOST: Final = 10
"""Endpoints of a merchant."""

_SHOWN: Final = "id, url, events, failing_since, disabled, created_at"
"""Not the secret, which this role cannot read."""

_LIST: Final = f"""
select {_SHOWN} from exchange.webhook_endpoint where merchant_id = %s and removed_at is null order by id
"""  # noqa: S608 - of constants

_INSERT: Final = f"""
insert into exchange.webhook_endpoint (merchant_id, id, url, events, secret)
values (%s, %s, %s, %s, %s) returning {_SHOWN}
"""  # noqa: S608 - of constants

_FIND: Final = f"""
select {_SHOWN} from exchange.webhook_endpoint where merchant_id = %s and id = %s and removed_at is null
"""  # noqa: S608 - of constants

_REMOVE: Final = """
update exchange.webhook_endpoint set removed_at = now()
where merchant_id = %s and id = %s and removed_at is null returning id
"""

_ENABLE: Final = f"""
update exchange.webhook_endpoint set disabled = null, failing_since = null
where merchant_id = %s and id = %s and removed_at is null returning {_SHOWN}
"""  # noqa: S608 - of constants

# The newest first; an event's own id is as good a cursor as any, for its time is looked up.
_DELIVERIES: Final = """
select v.id, v.kind, v.data, v.created_at, d.delivered_at, d.next_at, d.tries, d.status, d.failure
from exchange.webhook_delivery d
join exchange.webhook_event v on v.merchant_id = d.merchant_id and v.id = d.event_id
where d.merchant_id = %(merchant)s and d.endpoint_id = %(endpoint)s
  and (%(before)s::uuid is null
       or (v.created_at, v.id) < (select created_at, id from exchange.webhook_event
                                  where merchant_id = %(merchant)s and id = %(before)s::uuid))
  and (not %(open)s or d.delivered_at is null)
order by v.created_at desc, v.id desc limit %(limit)s
"""


async def add(gateway: Gateway, merchant: Merchant, *, url: str, events: Sequence[str]) -> dict[str, Any]:
    """Raises `WebhookUrlRefused`, `WebhookAddressRefused`, `TooManyWebhooks`."""
    settings = gateway.settings
    destination.checked(url, development=settings.environment == "development", loopback=settings.webhook_loopback)
    id, secret = uuid7(), secrets.token_bytes(32)
    sealed = vault.seal(gateway.master, secret, purpose=f"webhook:{id}")
    async with gateway.database.transaction(merchant.id) as sql:
        await sql.execute("select pg_advisory_xact_lock(hashtextextended(%s, 3))", (str(merchant.id),))
        if len(await rows(sql, _LIST, merchant.id)) >= MOST:
            raise TooManyWebhooks(f"The merchant has {MOST} endpoints.")
        row = await one(
            sql,
            _INSERT,
            merchant.id,
            id,
            url,
            sorted(set(events)),
            sealed,
        )
    if row is None:
        raise RuntimeError("an insert returned nothing")
    return {**_answer(row), "secret": shown(secret)}


async def every(sql: Connection, merchant: Merchant) -> list[dict[str, Any]]:
    return [_answer(row) for row in await rows(sql, _LIST, merchant.id)]


async def find(sql: Connection, merchant: Merchant, id: UUID) -> dict[str, Any]:
    """Raises `WebhookNotFound`."""
    return _answer(_found(await one(sql, _FIND, merchant.id, id), id))


async def remove(sql: Connection, merchant: Merchant, id: UUID) -> None:
    """Nothing is sent to it any more. Raises `WebhookNotFound`."""
    _found(await one(sql, _REMOVE, merchant.id, id), id)


async def enable(sql: Connection, merchant: Merchant, id: UUID) -> dict[str, Any]:
    """What waited for it goes out now. Raises `WebhookNotFound`."""
    row = _found(await one(sql, _ENABLE, merchant.id, id), id)
    await sql.execute(
        "update exchange.webhook_delivery set next_at = now(), tries = 0"
        " where merchant_id = %s and endpoint_id = %s and delivered_at is null",
        (merchant.id, id),
    )
    return _answer(row)


async def deliveries(
    sql: Connection, merchant: Merchant, id: UUID, *, before: UUID | None, undelivered: bool, limit: int
) -> dict[str, Any]:
    """Newest first; `next` is the cursor of the following page. Raises `WebhookNotFound`."""
    await find(sql, merchant, id)
    wanted = {"merchant": merchant.id, "endpoint": id, "before": before, "open": undelivered, "limit": limit + 1}
    cursor = await sql.execute(_DELIVERIES, wanted)
    found = await cursor.fetchall()
    page = found[:limit]
    return {
        "deliveries": [_delivery(row) for row in page],
        "next": str(page[-1]["id"]) if len(found) > limit else None,
    }


async def redeliver(sql: Connection, merchant: Merchant, id: UUID, event: UUID) -> None:
    """Sends one event again, at once, whether it was delivered or not. Raises `WebhookNotFound`."""
    await find(sql, merchant, id)
    row = await one(
        sql,
        "update exchange.webhook_delivery set delivered_at = null, next_at = now(), tries = 0"
        " where merchant_id = %s and endpoint_id = %s and event_id = %s returning 1",
        merchant.id,
        id,
        event,
    )
    if row is None:
        raise WebhookNotFound(f"The merchant has no event {event} for an endpoint {id}.")


def _found(row: Mapping[str, Any] | None, id: UUID) -> Mapping[str, Any]:
    if row is None:
        raise WebhookNotFound(f"The merchant has no endpoint {id}.")
    return row


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    status = "disabled" if row["disabled"] else "failing" if row["failing_since"] else "enabled"
    return {
        "id": str(row["id"]),
        "url": row["url"],
        "events": row["events"],
        "status": status,
        "reason": row["disabled"],
        "failing_since": row["failing_since"],
        "created_at": row["created_at"],
    }


def _delivery(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event": str(row["id"]),
        "webhook_id": f"msg_{row['id'].hex}",
        "type": row["kind"],
        "data": row["data"],
        "created_at": row["created_at"],
        "delivered_at": row["delivered_at"],
        "next_at": None if row["delivered_at"] else row["next_at"],
        "tries": row["tries"],
        "status": row["status"],
        "failure": row["failure"],
    }
