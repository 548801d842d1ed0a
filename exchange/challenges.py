"""What somebody who signs in must sign: random, good for one try and for some minutes, known here by its hash only.

In the database, for the gateway that poses a challenge and the one that takes the answer may be two. Taking one deletes
it, in a transaction of its own, before the answer is looked at: a wrong answer uses it up as well.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from exchange.database import one
from exchange.errors import SignInRefused
from exchange.gateway import Gateway

LIFE: Final = 300
"""Seconds."""

Purpose = Literal["sign-in", "sign-up", "wallet", "attach"]

_POSE: Final = """
with gone as (
    delete from exchange.challenge where digest in (
        select digest from exchange.challenge where expires_at < now() limit 10 for update skip locked)
)
insert into exchange.challenge (digest, purpose, customer_id, expires_at) values (%s, %s, %s, now() + %s)
"""
_TAKE: Final = """
delete from exchange.challenge where digest = %s and purpose = %s and customer_id is not distinct from %s
returning expires_at > now() as stands
"""


async def pose(gateway: Gateway, purpose: Purpose, challenge: bytes, *, customer: UUID | None = None) -> None:
    """`challenge` can be answered from now on."""
    async with gateway.database.reading("door") as sql:
        await sql.execute(_POSE, (_digest(challenge), purpose, customer, timedelta(seconds=LIFE)))


async def take(gateway: Gateway, purpose: Purpose, challenge: bytes, *, customer: UUID | None = None) -> None:
    """Uses it up. Raises `SignInRefused` unless it was posed for this, is in force and was never answered."""
    async with gateway.database.reading("door") as sql:
        row = await one(sql, _TAKE, _digest(challenge), purpose, customer)
    if row is None or not row["stands"]:
        raise SignInRefused("The challenge is unknown, was answered before, or is too old: ask for a new one.")


def _digest(challenge: bytes) -> bytes:
    return hashlib.sha256(challenge).digest()
