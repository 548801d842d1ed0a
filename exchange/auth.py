"""API keys: who calls, what for, and until when.

A key is `pex_<env>_<prefix>_<secret>_<checksum>`. The prefix finds it and may be shown; the checksum turns away a
mistyped key without a query; the secret has 250 random bits, so its digest at rest is one HMAC-SHA-256 under the
pepper. Keys are read from the database at every request: one that was revoked or has expired is dead at once. The
operator's first key comes from the settings. A key is shown once, when it is made, and never logged.

A key never grants more than it has: neither a scope that it lacks, nor a life longer than its own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import DictRow

from exchange.database import Connection, Database, Tenant, one, rows
from exchange.errors import ApiKeyNotFound, Forbidden, Unauthenticated
from exchange.merchant import Merchant
from exchange.scopes import SCOPES, Role, Scope
from exchange.settings import Settings

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"


_REFUSAL = "The API key is unknown, malformed, revoked or expired."


@dataclass(frozen=True, slots=True)
class Caller:
    """`merchant` is set exactly for the role merchant. `prefix` names the key; the operator's first has none."""

    role: Role
    merchant: Merchant | None
    scopes: frozenset[Scope]
    prefix: str | None
    expires_at: datetime | None

    @property
    def tenant(self) -> Tenant:
        """On whose behalf the database is asked."""
        if self.merchant is not None:
            return self.merchant.id
        return "operator" if self.role == "operator" else "auditor"

    @property
    def scope(self) -> str:
        """Of its idempotency keys."""
        return "operator" if self.merchant is None else str(self.merchant.id)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new key is for. `expires_at` None: it never expires."""

    role: Role
    merchant_id: UUID | None
    scopes: frozenset[Scope]
    label: str | None = None
    expires_at: datetime | None = None


def everything(role: Role, merchant_id: UUID | None = None) -> Grant:
    """Every scope of the role, for ever."""
    return Grant(role, merchant_id, SCOPES[role])


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:6]


def _digest(settings: Settings, key: str) -> bytes:
    return hmac.digest(settings.pepper.get_secret_value().encode(), key.encode(), "sha256")


def new_key(settings: Settings) -> str:
    """A fresh key; only its digest is to be stored."""
    environment = "live" if settings.environment == "production" else "dev"
    prefix, secret = ("".join(secrets.choice(_ALPHABET) for _ in range(length)) for length in (10, 44))
    body = f"pex_{environment}_{prefix}_{secret}"
    return f"{body}_{_checksum(body)}"


def prefix_of(key: str) -> str:
    """The public part. Raises `Unauthenticated` if `key` is no key at all, which needs no look-up."""
    body, _, checksum = key.rpartition("_")
    parts = body.split("_")
    if len(parts) != 4 or parts[0] != "pex" or not hmac.compare_digest(checksum.encode(), _checksum(body).encode()):
        raise Unauthenticated(_REFUSAL)
    return parts[2]


def expiry(who: Caller, *, now: int, expires_in: int | None) -> datetime | None:
    """When a key that `who` makes ends, asked for in seconds from now; as it does itself if nothing is asked for.

    Raises `Forbidden` beyond its own life.
    """
    if expires_in is None:
        return who.expires_at
    wanted = datetime.fromtimestamp(now, UTC) + timedelta(seconds=expires_in)
    if who.expires_at is not None and wanted > who.expires_at:
        raise Forbidden(f"This API key ends at {who.expires_at.isoformat()}, so it cannot make one that lives longer.")
    return wanted


async def store_key(sql: Connection, settings: Settings, grant: Grant) -> str:
    """Makes and stores a key; answers the key itself, for the only time."""
    key = new_key(settings)
    await sql.execute(
        "insert into exchange.api_key (prefix, digest, role, merchant_id, scopes, label, expires_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (
            prefix_of(key), _digest(settings, key), grant.role, grant.merchant_id, sorted(grant.scopes), grant.label,
            grant.expires_at,
        ),
    )  # fmt: skip
    return key


async def keys(sql: Connection, merchant_id: UUID | None) -> list[dict[str, Any]]:
    """What may be shown of a merchant's keys, or, without one, of operators' and auditors'."""
    return await rows(
        sql,
        "select prefix, role, label, scopes, created_at, expires_at, revoked_at from exchange.api_key"
        " where merchant_id is not distinct from %s order by created_at, prefix",
        merchant_id,
    )


async def revoke_key(sql: Connection, *, merchant_id: UUID | None, prefix: str) -> None:
    """At once. Without a merchant, an operator's or auditor's key. Raises `ApiKeyNotFound`."""
    revoked = await one(
        sql,
        "update exchange.api_key set revoked_at = coalesce(revoked_at, now())"
        " where prefix = %s and merchant_id is not distinct from %s returning 1",
        prefix,
        merchant_id,
    )
    if revoked is None:
        whose = "The merchant has" if merchant_id is not None else "The operator has"
        raise ApiKeyNotFound(f'{whose} no API key with the prefix "{prefix}".')


def first_operator(settings: Settings, key: str) -> Caller | None:
    """The operator, if `key` is the one from the settings."""
    if not hmac.compare_digest(key.encode(), settings.operator_api_key.get_secret_value().encode()):
        return None
    return Caller(role="operator", merchant=None, scopes=SCOPES["operator"], prefix=None, expires_at=None)


_HOLDERS = """
select k.n, a.* from unnest(%b::text[], %b::bytea[]) with ordinality as k (prefix, digest, n)
cross join lateral exchange.authenticate(k.prefix, k.digest) a
"""


class Shown(NamedTuple):
    """A key as it was shown: what finds it, and what it must have at rest."""

    prefix: str
    digest: bytes


def shown(settings: Settings, key: str) -> Shown:
    """Raises `Unauthenticated` if `key` is no key at all, which needs no look-up."""
    return Shown(prefix_of(key), _digest(settings, key))


async def callers(database: Database, keys: Sequence[Shown]) -> list[Caller | Exception]:
    """Who holds each of these keys, or `Unauthenticated`, with one and the same detail for every reason."""
    different = list(dict.fromkeys(keys))
    async with database.reading("public") as sql:
        found = await rows(sql, _HOLDERS, [key.prefix for key in different], [key.digest for key in different])
    holders = {different[row["n"] - 1]: _caller(different[row["n"] - 1].prefix, row) for row in found}
    return [holders.get(key) or Unauthenticated(_REFUSAL) for key in keys]


def _caller(prefix: str, row: DictRow) -> Caller:
    return Caller(
        role=row["role"],
        merchant=Merchant.of(row) if row["role"] == "merchant" else None,
        scopes=frozenset(row["scopes"]),
        prefix=prefix,
        expires_at=row["expires_at"],
    )
