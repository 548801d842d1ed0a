"""From the outbox to the endpoints: signed by Standard Webhooks, tried until they answer 2xx.

A delivery is taken by putting its next try off for a while, in one statement that skips what others hold: two senders
never work on one at the same time, and what a killed one had taken is due again when that while is over. It may then
arrive twice, with the same `webhook-id`; it never fails to be sent. Each endpoint has a few deliveries under way at a
time, and a failing one still fewer, so none keeps the others waiting.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import aiohttp
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from standardwebhooks import Webhook

from contracts import crash
from exchange import vault

TICK: Final = 0.5
TIMEOUT: Final = 10.0
LEASE: Final = 60.0
AT_ONCE: Final = 20  # of one endpoint
AT_ONCE_FAILING: Final = 2
FIRST_WAIT, LONGEST_WAIT = 5.0, 6 * 3_600.0
DISABLED_AFTER_DAYS: Final = 5
KEPT_DAYS: Final = 35
"""More than the days of notice of an expiry, of which nobody should hear twice."""
ENOUGH: Final = 65_536
"""Bytes of an answer, which nobody reads, after which the connection is dropped instead of being kept."""

_TAKE: Final = """
update exchange.webhook_delivery d
set tries = d.tries + 1, next_at = now() + %(lease)s * interval '1 second'
from (
    select t.* from exchange.webhook_endpoint e
    cross join lateral (
        select d.merchant_id, d.endpoint_id, d.event_id from exchange.webhook_delivery d
        where d.merchant_id = e.merchant_id and d.endpoint_id = e.id and d.delivered_at is null and d.next_at <= now()
        order by d.next_at limit case when e.failing_since is null then %(many)s else %(few)s end
        for update skip locked
    ) t
    where e.disabled is null and e.removed_at is null and e.id <> all(%(besides)s)
) due, exchange.webhook_endpoint e, exchange.webhook_event v
where (d.merchant_id, d.endpoint_id, d.event_id) = (due.merchant_id, due.endpoint_id, due.event_id)
  and (e.merchant_id, e.id) = (d.merchant_id, d.endpoint_id) and (v.merchant_id, v.id) = (d.merchant_id, d.event_id)
returning d.merchant_id, d.endpoint_id, d.event_id, d.tries, e.url, e.secret, v.kind, v.data, v.created_at
"""

_DELIVERED: Final = """
with delivered as (
    update exchange.webhook_delivery set delivered_at = now(), status = %(status)s, failure = null
    where merchant_id = %(merchant)s and endpoint_id = %(endpoint)s and event_id = %(event)s
)
update exchange.webhook_endpoint set failing_since = null
where merchant_id = %(merchant)s and id = %(endpoint)s and failing_since is not null
"""

_FAILED: Final = """
with failed as (
    update exchange.webhook_delivery
    set next_at = now() + %(wait)s * interval '1 second', status = %(status)s, failure = %(failure)s
    where merchant_id = %(merchant)s and endpoint_id = %(endpoint)s and event_id = %(event)s and delivered_at is null
)
update exchange.webhook_endpoint
set failing_since = coalesce(failing_since, now()),
    disabled = case when %(gone)s then 'It answered 410 Gone.'
                    when failing_since < now() - %(days)s * interval '1 day'
                    then 'No delivery succeeded for ' || %(days)s || ' days.' end
where merchant_id = %(merchant)s and id = %(endpoint)s and disabled is null
returning disabled
"""

_PRUNE: Final = "delete from exchange.webhook_event where created_at < now() - %s * interval '1 day'"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try. `failure` is None if it was taken."""

    status: int | None
    failure: str | None


def body(kind: str, created_at: datetime, data: Mapping[str, Any]) -> str:
    """The payload, the same for every try."""
    told = {"type": kind, "timestamp": created_at.astimezone(UTC).isoformat(timespec="milliseconds"), "data": data}
    return json.dumps(told, separators=(",", ":"))


def headers(secret: bytes, id: UUID, payload: str, *, now: datetime) -> dict[str, str]:
    """Of one try at `now`, by the Standard Webhooks specification."""
    name = f"msg_{id.hex}"
    return {
        "content-type": "application/json",
        "user-agent": "points-exchange",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, now.astimezone(UTC), payload),
    }


def shown(secret: bytes) -> str:
    """As the merchant is given it, for a verifier of the specification."""
    return "whsec_" + base64.b64encode(secret).decode()


def wait(tries: int, chance: float) -> float:
    """Seconds before the next try, after so many: they triple up to six hours, spread by `chance` (0 to 1). Pure."""
    return min(LONGEST_WAIT, FIRST_WAIT * 3.0 ** min(tries - 1, 20)) * (0.75 + chance / 2)


async def post(session: aiohttp.ClientSession, url: str, payload: str, sent: Mapping[str, str]) -> Answer:
    """One try. Whatever goes wrong with it is its answer."""
    try:
        async with session.post(url, data=payload.encode(), headers=sent, allow_redirects=False) as answer:
            await answer.content.read(ENOUGH)
            if 200 <= answer.status < 300:
                return Answer(answer.status, None)
            redirects = " Redirects are not followed." if 300 <= answer.status < 400 else ""
            return Answer(answer.status, f"It answered {answer.status}.{redirects}")
    except TimeoutError:
        return Answer(None, f"It did not answer within {TIMEOUT:.0f} seconds.")
    except aiohttp.ClientConnectorCertificateError:
        return Answer(None, "Its certificate is not valid.")
    except aiohttp.ClientConnectorDNSError:
        return Answer(None, "Its name does not resolve.")
    except aiohttp.ClientConnectorError:
        return Answer(None, "It could not be connected to, or its address is not public.")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(None, f"The connection failed: {type(error).__name__}.")


@dataclass(frozen=True, slots=True)
class Sender:
    connection: AsyncConnection[Any]
    session: aiohttp.ClientSession
    master: bytes
    clock: Callable[[], float]
    lease: float = LEASE

    async def take(self, *, besides: Collection[UUID] = ()) -> dict[UUID, list[DictRow]]:
        """What is due now, by endpoint, without that of the endpoints `besides`."""
        arguments = {"lease": self.lease, "many": AT_ONCE, "few": AT_ONCE_FAILING, "besides": list(besides)}
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_TAKE, arguments)
            taken: dict[UUID, list[DictRow]] = {}
            async for row in cursor:
                taken.setdefault(row["endpoint_id"], []).append(row)
        return taken

    async def send(self, taken: Sequence[DictRow]) -> None:
        """Sends them, and writes down what came of each."""
        await asyncio.gather(*(self._send(row) for row in taken))

    async def run(self) -> None:
        """Until cancelled. An endpoint is given more once it has answered what it was given before."""
        under_way: dict[UUID, asyncio.Task[None]] = {}
        try:
            while True:
                for endpoint, rows in (await self.take(besides=under_way)).items():
                    under_way[endpoint] = asyncio.create_task(self.send(rows))
                await (asyncio.wait(under_way.values(), timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
                       if under_way else asyncio.sleep(TICK))  # fmt: skip
                for endpoint in [each for each, task in under_way.items() if task.done()]:
                    under_way.pop(endpoint).result()
        finally:
            for task in under_way.values():
                task.cancel()
            await asyncio.gather(*under_way.values(), return_exceptions=True)

    async def _send(self, row: DictRow) -> None:
        secret = vault.unseal(self.master, row["secret"], purpose=f"webhook:{row['endpoint_id']}")
        payload = body(row["kind"], row["created_at"], row["data"])
        now = datetime.fromtimestamp(self.clock(), UTC)
        crash.point("notifier: taken, not sent")
        answer = await post(self.session, row["url"], payload, headers(secret, row["event_id"], payload, now=now))
        crash.point("notifier: sent, not recorded")
        named = {"merchant": row["merchant_id"], "endpoint": row["endpoint_id"], "event": row["event_id"]}
        if answer.failure is None:
            await self.connection.execute(_DELIVERED, {**named, "status": answer.status})
            return
        pause = wait(row["tries"], random.random())  # noqa: S311 - spreads retries, guards nothing
        failed = {"wait": pause, "status": answer.status, "failure": answer.failure, "gone": answer.status == 410}
        await self.connection.execute(_FAILED, {**named, **failed, "days": DISABLED_AFTER_DAYS})


async def prune(connection: AsyncConnection[Any]) -> None:
    """Forgets events that are older than anybody asks for, delivered or not, and endpoints that were removed."""
    await connection.execute(_PRUNE, (KEPT_DAYS,))
    await connection.execute("delete from exchange.webhook_endpoint where removed_at is not null")
