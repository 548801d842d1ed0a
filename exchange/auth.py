"""API keys: who calls, and what for.

A key is `pex_<env>_<prefix>_<secret>_<checksum>`. The prefix finds it and may be shown; the checksum turns away a
mistyped key without a query; the secret has 250 random bits, so its digest at rest is one HMAC-SHA-256 under the
pepper. Keys are read from the database at every request: a revoked key is dead at once. The operator's first key
comes from the settings. A key is shown once, when it is made, and never logged.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from exchange.database import Connection, one
from exchange.errors import ApiKeyNotFound, Forbidden, Unauthenticated
from exchange.merchant import COLUMNS, Merchant
from exchange.settings import Settings

Role = Literal["operator", "merchant"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"


_REFUSAL = "The API key is unknown, malformed or revoked."


@dataclass(frozen=True, slots=True)
class Caller:
    """`merchant` is set exactly for the role merchant."""

    role: Role
    merchant: Merchant | None

    @property
    def scope(self) -> str:
        """Of its idempotency keys."""
        return "operator" if self.merchant is None else str(self.merchant.id)


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


async def store_key(sql: Connection, settings: Settings, *, role: Role, merchant_id: UUID | None) -> str:
    """Makes and stores a key; answers the key itself, for the only time."""
    key = new_key(settings)
    await sql.execute(
        "insert into exchange.api_key (prefix, digest, role, merchant_id) values (%s, %s, %s, %s)",
        (prefix_of(key), _digest(settings, key), role, merchant_id),
    )
    return key


async def revoke_key(sql: Connection, *, merchant_id: UUID, prefix: str) -> None:
    revoked = await one(
        sql,
        "update exchange.api_key set revoked_at = coalesce(revoked_at, now()) where prefix = %s and merchant_id = %s"
        " returning 1",
        prefix,
        merchant_id,
    )
    if revoked is None:
        raise ApiKeyNotFound(f'The merchant has no API key with the prefix "{prefix}".')


def is_first_operator(settings: Settings, key: str) -> bool:
    return hmac.compare_digest(key.encode(), settings.operator_api_key.get_secret_value().encode())


async def caller(sql: Connection, settings: Settings, key: str, *, prefix: str) -> Caller:
    """Who holds `key`. Raises `Unauthenticated`, with one and the same detail for every reason."""
    row = await one(
        sql,
        f"select k.role, k.digest, {COLUMNS} from exchange.api_key k"  # noqa: S608
        " left join exchange.merchant m on m.id = k.merchant_id where k.prefix = %s and k.revoked_at is null",
        prefix,
    )
    if row is None or not hmac.compare_digest(row["digest"], _digest(settings, key)):
        raise Unauthenticated(_REFUSAL)
    role: Role = row["role"]
    return Caller(role=role, merchant=Merchant.of(row) if role == "merchant" else None)


def operator(who: Caller) -> Caller:
    if who.role != "operator":
        raise Forbidden("This operation is the operator's.")
    return who


def merchant(who: Caller) -> Merchant:
    if who.merchant is None:
        raise Forbidden("This operation is a merchant's; the operator has no customers or purchases of its own.")
    return who.merchant
