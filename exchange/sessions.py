"""Sessions of customers: begun by a sign-in, carried by a cookie's random token, ended by time, by people or by theft.

Only hashes of tokens are stored. A token is replaced every few minutes: the answer carries a successor, and the first
request with the successor retires what came before. So an answer that gets lost costs nothing, and a stolen token is
worth little: as soon as its owner and the thief go on with different ones, the older one comes again after its time,
which is how theft shows, and the session ends for both. Times are the database's: gateways need not agree on theirs.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from exchange.database import Connection, OfCustomer, one, rows
from exchange.errors import SessionNotFound, SignInNeeded
from exchange.gateway import Gateway

Method = Literal["passkey", "wallet"]
Ended = Literal["signed-out", "signed-in-again", "revoked"]

GRACE: Final = timedelta(seconds=30)
"""For requests that were under way with a token when it was replaced."""
FRESH: Final = timedelta(minutes=5)
"""After a sign-in, in which what is dangerous may be done."""
SEEN: Final = timedelta(seconds=60)
"""How exactly it is written down when a session was last used."""
KEPT: Final = timedelta(days=30)
"""After its end, so that its customer can be told how it ended."""

_REFUSAL: Final = "There is no session, or it has ended."


@dataclass(frozen=True, slots=True)
class Session:
    """A customer that has signed in. `fresh`: only just."""

    id: UUID
    customer: UUID
    holder: bytes
    custody: str
    method: Method
    fresh: bool
    expires_at: datetime

    @property
    def tenant(self) -> OfCustomer:
        """On whose behalf the database is asked."""
        return OfCustomer(self.customer)


_FIND: Final = """
select s.id, s.customer_id, s.method, s.expires_at, c.holder, c.custody,
       s.signed_in_at + %(fresh)s > now() as fresh,
       coalesce(t.replaced_at + %(grace)s < now(), false) as stolen,
       t.used_at is null as unused,
       s.seen_at + %(seen)s < now() as stale,
       t.replaced_at is null and newest.issued_at + %(rotation)s < now() as due
from exchange.session_token t
join exchange.session s on s.id = t.session_id
join exchange.customer c on c.id = s.customer_id
cross join lateral (select max(issued_at) as issued_at from exchange.session_token n where n.session_id = s.id) newest
where t.digest = %(digest)s and s.ended_at is null and s.expires_at > now() and s.seen_at + %(idle)s > now()
"""
_RETIRE: Final = """
with used as (
    update exchange.session_token set used_at = now() where digest = %s and used_at is null
    returning session_id, issued_at
)
update exchange.session_token t set replaced_at = now() from used
where t.session_id = used.session_id and t.issued_at < used.issued_at and t.replaced_at is null
"""
_ISSUE: Final = "insert into exchange.session_token (digest, session_id) values (%s, %s)"
_BEGIN: Final = """
insert into exchange.session (id, customer_id, method, agent, expires_at) values (%s, %s, %s, %s, now() + %s)
returning expires_at
"""
_FORGET: Final = """
delete from exchange.session where id in (
    select id from exchange.session where expires_at < now() - %s limit 10 for update skip locked)
"""
_END: Final = """
update exchange.session set ended_at = now(), ended = %s, agent = null where id = %s and ended_at is null returning 1
"""


async def begin(
    gateway: Gateway, sql: Connection, customer: Mapping[str, Any], *, method: Method, agent: str | None
) -> tuple[Session, str]:
    """In the caller's transaction at the door: a session of the customer (a row), and its token, told only now."""
    id, token = uuid7(), _token()
    await sql.execute(_FORGET, (KEPT,))
    life = timedelta(seconds=gateway.settings.session_life)
    row = await one(sql, _BEGIN, id, customer["id"], method, None if agent is None else agent[:120], life)
    await sql.execute(_ISSUE, (_digest(token), id))
    if row is None:
        raise RuntimeError("an insert returned nothing")
    made = Session(id, customer["id"], bytes(customer["holder"]), customer["custody"], method, True, row["expires_at"])
    return made, token


async def resume(gateway: Gateway, token: str) -> tuple[Session, str | None]:
    """The session that `token` is of, and the token's successor if it is time. Raises `SignInNeeded`, for all reasons
    alike."""
    digest, settings = _digest(token), gateway.settings
    arguments = {
        "digest": digest, "fresh": FRESH, "grace": GRACE, "seen": SEEN,
        "rotation": timedelta(seconds=settings.session_rotation), "idle": timedelta(seconds=settings.session_idle),
    }  # fmt: skip
    async with gateway.database.reading("door") as sql:
        row = await _find(sql, arguments)
    if row is None:
        raise SignInNeeded(_REFUSAL)
    successor = None
    if row["stolen"] or row["unused"] or row["stale"] or row["due"]:
        async with gateway.database.transaction("door") as sql:
            await sql.execute("select 1 from exchange.session where id = %s for update", (row["id"],))
            row = await _find(sql, arguments)  # as it is now that nobody else changes it
            if row is not None and row["stolen"]:
                await sql.execute(_END, ("stolen", row["id"]))
                structlog.get_logger().warning("a replaced session token came again", session=str(row["id"]))
            elif row is not None:
                successor = await _go_on(sql, row, digest)
        if row is None or row["stolen"]:
            raise SignInNeeded(_REFUSAL)
    session = Session(
        row["id"], row["customer_id"], bytes(row["holder"]), row["custody"], row["method"], row["fresh"],
        row["expires_at"],
    )  # fmt: skip
    return session, successor


async def _find(sql: Connection, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    return await (await sql.execute(_FIND, arguments)).fetchone()


async def _go_on(sql: Connection, row: Mapping[str, Any], digest: bytes) -> str | None:
    if row["unused"]:
        await sql.execute(_RETIRE, (digest,))
    await sql.execute("update exchange.session set seen_at = now() where id = %s", (row["id"],))
    if not row["due"]:
        return None
    successor = _token()
    await sql.execute(_ISSUE, (_digest(successor), row["id"]))
    return successor


async def end(sql: Connection, id: UUID, *, how: Ended) -> bool:
    """At once. Whether it was there to be ended: a customer's connection ends its own only."""
    return await one(sql, _END, how, id) is not None


async def revoke(sql: Connection, id: UUID) -> None:
    """Another of the customer's sessions. Raises `SessionNotFound`."""
    if not await end(sql, id, how="revoked"):
        raise SessionNotFound(f"There is no session {id} that could be ended.")


async def end_all(sql: Connection) -> None:
    """Every session of the customer whose connection this is."""
    await sql.execute(
        "update exchange.session set ended_at = now(), ended = 'revoked', agent = null where ended_at is null"
    )


async def listed(gateway: Gateway, sql: Connection) -> list[dict[str, Any]]:
    """The customer's living sessions, and those that ended as stolen ones."""
    found = await rows(
        sql,
        "select id, method, agent, signed_in_at, seen_at, expires_at, ended from exchange.session"
        " where (ended_at is null and expires_at > now() and seen_at + %s > now()) or ended = 'stolen'"
        " order by signed_in_at desc, id limit 200",
        timedelta(seconds=gateway.settings.session_idle),
    )
    return [{**row, "id": str(row["id"]), "status": row["ended"] or "open"} for row in found]


def _token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
