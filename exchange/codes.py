"""One-time codes that a merchant hands to a card customer: to choose a PIN at a till, or to attach a passkey at home.

A code has 60 random bits, is told once, works once and for some hours, and is stored as an HMAC under the pepper. A new
one replaces the last of its kind.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from exchange.database import Connection, one
from exchange.errors import CodeRefused, CustomerNotFound, NotCustodial
from exchange.gateway import Gateway
from exchange.merchant import Merchant

Purpose = Literal["pin", "passkey"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing to be mistaken for another

_MAKE: Final = """
insert into exchange.access_code (merchant_id, customer_id, purpose, digest, expires_at)
values (%s, %s, %s, %s, now() + %s)
on conflict (merchant_id, customer_id, purpose) do update
set digest = excluded.digest, expires_at = excluded.expires_at, used_at = null returning expires_at
"""
_USE: Final = """
update exchange.access_code set used_at = now()
where digest = %s and purpose = %s and used_at is null and expires_at > now() returning customer_id
"""


async def make(
    gateway: Gateway, sql: Connection, merchant: Merchant, customer: UUID, purpose: Purpose, *, life: timedelta
) -> tuple[str, datetime]:
    """The code and its end. Raises `CustomerNotFound`, `NotCustodial`."""
    person = await require_card(sql, merchant, customer)
    text = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    row = await one(sql, _MAKE, merchant.id, person, purpose, _digest(gateway, purpose, text), life)
    if row is None:
        raise RuntimeError("an upsert returned nothing")
    return "-".join((text[:4], text[4:8], text[8:])), row["expires_at"]


async def require_card(sql: Connection, merchant: Merchant, customer: UUID) -> UUID:
    """The card customer's own id, by the merchant's. Raises `CustomerNotFound`, `NotCustodial`."""
    row = await one(
        sql,
        "select c.id, c.custody from exchange.member b join exchange.customer c on c.id = b.customer_id"
        " where b.merchant_id = %s and b.id = %s",
        merchant.id,
        customer,
    )
    if row is None:
        raise CustomerNotFound(f"There is no customer {customer}.")
    if row["custody"] != "custodial":
        raise NotCustodial(f"The customer {customer} keeps its own key.")
    person: UUID = row["id"]
    return person


async def use_for_pin(gateway: Gateway, sql: Connection, person: UUID, code: str) -> None:
    """In the merchant's transaction that sets the PIN. Raises `CodeRefused`."""
    row = await one(sql, _USE, _digest(gateway, "pin", code), "pin")
    if row is None or row["customer_id"] != person:
        raise CodeRefused("There is no such code, or it was used, or it is too old.")


async def use_for_passkey(gateway: Gateway, sql: Connection, code: str) -> UUID:
    """At the door: whose code it is. Raises `CodeRefused`."""
    row = await one(sql, _USE, _digest(gateway, "passkey", code), "passkey")
    if row is None:
        raise CodeRefused("There is no such code, or it was used, or it is too old.")
    return UUID(str(row["customer_id"]))


def _digest(gateway: Gateway, purpose: Purpose, text: str) -> bytes:
    """Of the code as people write it: small letters, O for 0, with or without hyphens."""
    plain = text.upper().replace("-", "").replace(" ", "").translate(str.maketrans("OIL", "011"))
    return hmac.digest(gateway.settings.pepper.get_secret_value().encode(), f"{purpose}:{plain}".encode(), "sha256")
