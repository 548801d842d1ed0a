"""A merchant's profile of its member: who they are, and what they agreed to, sealed value by value.

Each member has a data key, sealed under the master key; each value is sealed under the data key, bound to merchant,
member, field and version, so that no ciphertext opens in another place. Destroying the data key makes all of them
noise, in every copy that has no copy of the key. E-mail and phone can be looked up through a blind index: an HMAC under
a key of the merchant's own, so that equal ones at two merchants have nothing in common. Each merchant is a controller
of its own: its profile is its own, also of a customer that another merchant shares.

Everything here runs as the person that it is about (`Database.transaction(Person(…))`), which is how row-level security
knows whose rows these are; only the look-up is the merchant's.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from exchange import vault
from exchange.database import Connection, one, rows
from exchange.errors import CustomerNotFound, InvalidRequest
from exchange.gateway import Gateway
from exchange.merchant import Merchant
from exchange.times import rfc3339

FIELDS: Final = ("name", "email", "phone", "birthday", "address")
CONSENT: Final = "consent"
Indexed = Literal["email", "phone"]

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")

_INSERT: Final = """
insert into exchange.personal (merchant_id, customer_id, field, version, sealed) values (%s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose profile: `customer` is the merchant's own id of its member."""

    merchant: UUID
    customer: UUID

    def purpose(self, field: str, version: int) -> str:
        """What a sealed value is bound to."""
        return f"personal:{self.merchant}:{self.customer}:{field}:{version}"

    @property
    def key_purpose(self) -> str:
        return f"data:{self.merchant}:{self.customer}"


@dataclass(frozen=True, slots=True)
class Consent:
    """A mark: the customer agreed to the `version` of a text about this purpose, or took that back."""

    purpose: str
    version: str
    granted: bool


async def person_of(sql: Connection, merchant: Merchant, id: UUID) -> UUID:
    """The customer behind the merchant's own id, in the merchant's tenancy. Raises `CustomerNotFound`."""
    query = "select customer_id from exchange.member where merchant_id = %s and id = %s"
    row = await one(sql, query, merchant.id, id)
    if row is None or row["customer_id"] is None:
        raise CustomerNotFound(f"There is no customer {id}.")
    person: UUID = row["customer_id"]
    return person


async def put(gateway: Gateway, sql: Connection, owner: Owner, values: Mapping[str, Any]) -> None:
    """Replaces the profile: `values` by field, JSON each; a field that is not there is deleted. Consents stay.

    Raises `InvalidRequest` for an e-mail or phone that is none, `CustomerNotFound` if the member is gone.
    """
    found = {kind: normal(kind, values[kind]) for kind in ("email", "phone") if values.get(kind) is not None}
    key = await _locked_key(gateway, sql, owner)
    place = (owner.merchant, owner.customer)
    stored = await rows(
        sql,
        "delete from exchange.personal where merchant_id = %s and customer_id = %s and field <> %s"
        " returning field, version",
        *place,
        CONSENT,
    )
    versions = {row["field"]: row["version"] for row in stored}
    for field in FIELDS:
        if values.get(field) is not None:
            version = versions.get(field, 0) + 1
            await sql.execute(_INSERT, (*place, field, version, _seal(key, owner, field, version, values[field])))
    await sql.execute("delete from exchange.blind_index where merchant_id = %s and customer_id = %s", place)
    if found:
        index = await _index_key(gateway, sql, owner.merchant)
        for kind, text in found.items():
            await sql.execute(
                "insert into exchange.blind_index (merchant_id, kind, digest, customer_id) values (%s, %s, %s, %s)",
                (owner.merchant, kind, _blind(index, kind, text), owner.customer),
            )


async def consent(gateway: Gateway, sql: Connection, owner: Owner, mark: Consent) -> None:
    """Adds a mark; the earlier ones stay. Raises `CustomerNotFound`."""
    key = await _locked_key(gateway, sql, owner)
    last = await one(
        sql,
        "select coalesce(max(version), 0) as version from exchange.personal"
        " where merchant_id = %s and customer_id = %s and field = %s",
        owner.merchant,
        owner.customer,
        CONSENT,
    )
    version = 1 if last is None else last["version"] + 1
    at = rfc3339(gateway.now())
    value = {"purpose": mark.purpose, "version": mark.version, "granted": mark.granted, "at": at}
    sealed = _seal(key, owner, CONSENT, version, value)
    await sql.execute(_INSERT, (owner.merchant, owner.customer, CONSENT, version, sealed))


async def read(gateway: Gateway, sql: Connection, owner: Owner) -> dict[str, Any]:
    """The profile's values by field, and `consents`, oldest first."""
    sealed_key = await one(
        sql,
        "select key from exchange.data_key where merchant_id = %s and customer_id = %s",
        owner.merchant,
        owner.customer,
    )
    found: dict[str, Any] = {**dict.fromkeys(FIELDS), "consents": []}
    if sealed_key is None:
        return found
    key = vault.unseal(gateway.master, sealed_key["key"], purpose=owner.key_purpose)
    for row in await rows(
        sql,
        "select field, version, sealed from exchange.personal where merchant_id = %s and customer_id = %s"
        " order by field, version",
        owner.merchant,
        owner.customer,
    ):
        purpose = owner.purpose(row["field"], row["version"])
        value = msgspec.json.decode(vault.unseal(key, row["sealed"], purpose=purpose))
        if row["field"] == CONSENT:
            found["consents"].append(value)
        else:
            found[row["field"]] = value
    return found


async def destroy(sql: Connection, owner: Owner) -> None:
    """The data key, and all that it opened. Nothing to destroy is as good."""
    for table in ("blind_index", "personal", "data_key"):
        await sql.execute(
            f"delete from exchange.{table} where merchant_id = %s and customer_id = %s",  # noqa: S608 - of constants
            (owner.merchant, owner.customer),
        )


async def find(gateway: Gateway, sql: Connection, merchant: Merchant, kind: Indexed, text: str) -> list[UUID]:
    """The merchant's own ids of its members with this e-mail or phone, in the merchant's tenancy.

    Raises `InvalidRequest` if it is none.
    """
    plain = normal(kind, text)
    sealed = await one(sql, "select key from exchange.index_key where merchant_id = %s", merchant.id)
    if sealed is None:
        return []
    key = vault.unseal(gateway.master, sealed["key"], purpose=_index_purpose(merchant.id))
    found = await rows(
        sql,
        "select customer_id from exchange.blind_index where merchant_id = %s and kind = %s and digest = %s"
        " order by customer_id",
        merchant.id,
        kind,
        _blind(key, kind, plain),
    )
    return [row["customer_id"] for row in found]


def normal(kind: Indexed, text: str) -> str:
    """What is compared: an e-mail without regard to case, a phone number's digits. Raises `InvalidRequest`."""
    if kind == "email":
        plain = unicodedata.normalize("NFKC", text).strip().casefold()
        if _EMAIL.fullmatch(plain) is None:
            raise InvalidRequest("email is no e-mail address.", field="email")
        return plain
    plain = re.sub(r"[\s().\-/]", "", text)
    if _PHONE.fullmatch(plain) is None:
        raise InvalidRequest("phone is no number with its country, such as +14155550123.", field="phone")
    return plain


def _blind(key: bytes, kind: str, text: str) -> bytes:
    return hmac.digest(key, f"{kind}:{text}".encode(), "sha256")


def _seal(key: bytes, owner: Owner, field: str, version: int, value: Any) -> bytes:
    return vault.seal(key, msgspec.json.encode(value), purpose=owner.purpose(field, version))


async def _locked_key(gateway: Gateway, sql: Connection, owner: Owner) -> bytes:
    """The member's data key, made if there is none, locked for this transaction: writers follow one another."""
    member = await one(
        sql,
        "select 1 from exchange.member where merchant_id = %s and id = %s and customer_id is not null for update",
        owner.merchant,
        owner.customer,
    )
    if member is None:
        raise CustomerNotFound(f"There is no customer {owner.customer}.")
    sealed = vault.seal(gateway.master, secrets.token_bytes(32), purpose=owner.key_purpose)
    await sql.execute(
        "insert into exchange.data_key (merchant_id, customer_id, key) values (%s, %s, %s) on conflict do nothing",
        (owner.merchant, owner.customer, sealed),
    )
    # Also against a rotation of the master key, which seals this row anew.
    row = await one(
        sql,
        "select key from exchange.data_key where merchant_id = %s and customer_id = %s for update",
        owner.merchant,
        owner.customer,
    )
    if row is None:
        raise RuntimeError("a data key vanished")
    return vault.unseal(gateway.master, row["key"], purpose=owner.key_purpose)


def _index_purpose(merchant: UUID) -> str:
    return f"index:{merchant}"


async def _index_key(gateway: Gateway, sql: Connection, merchant: UUID) -> bytes:
    """The merchant's, made if there is none."""
    sealed = vault.seal(gateway.master, secrets.token_bytes(32), purpose=_index_purpose(merchant))
    await sql.execute(
        "insert into exchange.index_key (merchant_id, key) values (%s, %s) on conflict do nothing", (merchant, sealed)
    )
    row = await one(sql, "select key from exchange.index_key where merchant_id = %s", merchant)
    if row is None:
        raise RuntimeError("an index key vanished")
    return vault.unseal(gateway.master, row["key"], purpose=_index_purpose(merchant))
