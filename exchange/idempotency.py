"""Idempotency keys: the same key with the same request has its effect once, and the same answer for ever.

A key is claimed by an insert in the transaction of the work itself, so it exists exactly if the work does. The answer
is not stored but made again from what the request created (`subject`); of bulk requests the items that were refused are
kept (`outcome`), for they created nothing. A request that was refused as a whole leaves its key free.

A merchant may make its keys of anything, so neither a key nor what came with it is stored, only HMACs under the pepper.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from exchange.database import Connection, one
from exchange.errors import IdempotencyKeyReused, InvalidRequest

_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Claim:
    """`first` if the work is still to be done; else `subject` and `outcome` are what it left."""

    first: bool
    subject: UUID | None
    outcome: Any


def checked(key: str, *, secret: bytes) -> str:
    """The name under which the key is stored. Raises `InvalidRequest`."""
    if _KEY.fullmatch(key) is None:
        raise InvalidRequest("The header Idempotency-Key is not 1 to 255 printable ASCII characters.")
    return hmac.digest(secret, b"idempotency:" + key.encode(), "sha256").hex()


def fingerprint(method: str, path: str, body: Any, *, secret: bytes) -> bytes:
    """HMAC-SHA-256 of method, path and canonical body (JSON with sorted keys)."""
    return hmac.digest(secret, f"{method} {path}\n".encode() + msgspec.json.encode(body, order="sorted"), "sha256")


async def claim(
    sql: Connection, *, scope: str, key: str, fingerprint: bytes, subject: UUID | None, outcome: Any = None
) -> Claim:
    """Claims `key` in the caller's transaction. Waits for a twin in flight. Raises `IdempotencyKeyReused`."""
    won = await one(
        sql,
        "insert into exchange.idempotency (scope, key, fingerprint, subject, outcome) values (%s, %s, %s, %s, %s)"
        " on conflict do nothing returning 1",
        scope,
        key,
        fingerprint,
        subject,
        None if outcome is None else Json(outcome),
    )
    if won is not None:
        return Claim(first=True, subject=subject, outcome=outcome)
    found = await find(sql, scope=scope, key=key, fingerprint=fingerprint)
    if found is None:  # keys are never deleted
        raise RuntimeError("an idempotency key vanished")
    return found


async def find(sql: Connection, *, scope: str, key: str, fingerprint: bytes) -> Claim | None:
    row = await one(
        sql, "select fingerprint, subject, outcome from exchange.idempotency where scope = %s and key = %s", scope, key
    )
    if row is None:
        return None
    if row["fingerprint"] != fingerprint:
        raise reused()
    return Claim(first=False, subject=row["subject"], outcome=row["outcome"])


async def keep(sql: Connection, *, scope: str, key: str, outcome: Any) -> None:
    """Keeps what cannot be made again of a bulk request's answer."""
    await sql.execute(
        "update exchange.idempotency set outcome = %s where scope = %s and key = %s", (Json(outcome), scope, key)
    )


def reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused("The key came first with another method, address or body.")
