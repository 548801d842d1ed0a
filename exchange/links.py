"""Link codes: how a customer of one merchant becomes a customer of another as the same person.

A code is asked for where the customer is a member, or by the customer itself, and shown to the other merchant, who
enrols with it. It has 60 random bits, lasts ten minutes, serves one merchant, and is stored as an HMAC. The other
merchant learns the holder's address, which both share from then on and which is public on the chain, and nothing of
who made the code; neither learns the other's id of the customer.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from exchange.database import Connection, rows
from exchange.errors import CustomerNotFound
from exchange.gateway import Gateway
from exchange.merchant import Merchant

SECONDS: Final = 600
LARGEST: Final = 1_000

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 12

_INSERT: Final = """
insert into exchange.link_code (digest, merchant_id, customer_id, expires_at)
select digest, %s, customer_id, now() + %s * interval '1 second'
from unnest(%s::bytea[], %s::uuid[]) as wanted (digest, customer_id)
"""


@dataclass(frozen=True, slots=True)
class LinkCode:
    code: str
    expires_at: datetime


def digest(gateway: Gateway, code: str) -> bytes:
    """What is stored of a code; however it was typed: letters in either case, with or without hyphens."""
    plain = code.upper().replace("-", "").replace("O", "0").replace("I", "1").replace("L", "1")
    return hmac.digest(gateway.pepper, b"link:" + plain.encode(), "sha256")


async def make(
    gateway: Gateway, sql: Connection, people: Sequence[UUID], *, merchant: Merchant | None = None
) -> list[LinkCode]:
    """A code for each customer (`people` are their own ids), in the caller's transaction: the merchant's, or a
    customer's own."""
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in people]
    digests = [digest(gateway, code) for code in codes]
    maker = None if merchant is None else merchant.id
    await sql.execute(_INSERT, (maker, SECONDS, digests, list(people)))
    [now] = await rows(sql, "select now() + %s * interval '1 second' as until", SECONDS)
    return [LinkCode("-".join((code[:4], code[4:8], code[8:])), now["until"]) for code in codes]


async def of_members(gateway: Gateway, sql: Connection, merchant: Merchant, ids: Sequence[UUID]) -> list[LinkCode]:
    """For members of the merchant by its own ids, in order. Raises `CustomerNotFound` if one of them is none."""
    query = "select id, customer_id from exchange.member where merchant_id = %s and id = any(%s)"
    known = {row["id"]: row["customer_id"] for row in await rows(sql, query, merchant.id, list(ids))}
    for id in ids:
        if known.get(id) is None:
            raise CustomerNotFound(f"There is no customer {id}.")
    return await make(gateway, sql, [known[id] for id in ids], merchant=merchant)
