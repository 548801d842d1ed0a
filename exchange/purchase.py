"""A purchase: what a merchant reports, what makes it acceptable, and the signed promise that it gets back. Pure.

A receipt is the issuer's EIP-712 signature over holder, points, a salted commitment to the facts of the sale, and the
times of acceptance and of the latest minting; receipts that are made together share signatures, and each is proved
alone all the same (`contracts/receipt_tree.py`). The answer to a report is a function of the stored row and of nothing
else, so the same row gives the same bytes for ever; how far the purchase has come is another question
(`exchange/purchases.py`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from contracts import eip712, receipt_tree
from contracts.receipts import commitment
from exchange import points
from exchange.errors import AmountTooLarge, InvalidPurchaseTime, ReferenceConflict, WrongCurrency
from exchange.hexes import checksum, hexed
from exchange.merchant import Merchant
from exchange.times import rfc3339

CLOCK_TOLERANCE: Final = 300
DAY: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Report(msgspec.Struct, frozen=True, gc=False):
    """As the merchant sent it. Exactly one of `customer` (the merchant's own id of it) and `member` is set."""

    reference: str
    customer: UUID | None
    member: str | None
    amount: str
    currency: str
    store: str | None
    purchased_at: datetime

    @property
    def who(self) -> UUID | str:
        """The key under which the customer is looked up."""
        return self.member if self.customer is None else self.customer  # type: ignore[return-value]


class Facts(msgspec.Struct, frozen=True, gc=False):
    """A report that is acceptable, in our units."""

    reference: str
    customer_id: UUID
    holder: bytes
    amount_minor: int
    store: str | None
    purchased_at: datetime  # whole seconds
    points: int
    rule_version: int | None
    kind: Literal["sale", "opening"] = "sale"
    available_at: int = 0  # Unix seconds: when the return window closes
    withheld: int = 0  # base units that it earned beyond `points`, kept back for an older shortfall

    @property
    def fingerprint(self) -> bytes:
        """Equal for equal facts; the rule is not one of them, for it may change between two reports. Of an opening
        balance the points are, and the day of the import is not."""
        facts: tuple[Any, ...]
        if self.kind == "opening":
            facts = (self.kind, self.customer_id, self.points)
        else:
            facts = (self.customer_id, self.amount_minor, self.store, int(self.purchased_at.timestamp()))
        return hashlib.sha256(msgspec.json.encode(facts)).digest()


@dataclass(frozen=True, slots=True)
class Promise:
    """What signing needs beside the facts: computed once a request. `sign` is under the issuer's key."""

    merchant: Merchant
    chain_id: int
    separator: bytes
    sign: Callable[[bytes], bytes]
    now: int
    receipt_life: int


COLUMNS: Final = {
    "merchant_id": "uuid", "kind": "text", "rule_version": "int4", "accepted_at": "int8", "id": "uuid",
    "reference": "text", "fingerprint": "bytea", "customer_id": "uuid", "holder": "bytea", "amount_minor": "int8",
    "store": "text", "purchased_at": "timestamptz", "points": "int8", "salt": "bytea", "mint_by": "int8",
    "signature": "bytea", "withheld": "int8", "available_at": "int8", "commitment": "bytea",
}  # fmt: skip
"""Of a row that is inserted, with their types in PostgreSQL."""

SHARED: Final = ("merchant_id", "kind", "rule_version", "accepted_at")
"""Columns that are the same in all rows of one request."""


def judge(
    report: Report, *, merchant: Merchant, rule: points.EarningRule, customer_id: UUID, holder: bytes, now: int
) -> Facts:
    """The facts of an acceptable report; raises what is wrong with it."""
    if report.currency != merchant.currency:
        raise WrongCurrency(f"The purchase is in {report.currency}, the merchant trades in {merchant.currency}.")
    amount = points.parse(report.amount, digits=merchant.minor_digits, name="amount", largest=points.LARGEST_MINOR)
    bought = report.purchased_at.astimezone(UTC)
    if bought.microsecond:
        bought = bought.replace(microsecond=0)
    if bought < _EPOCH:
        raise InvalidPurchaseTime("The purchase lies before 1970.")
    if bought.timestamp() > now + CLOCK_TOLERANCE:
        raise InvalidPurchaseTime(f"The purchase lies in the future, by more than {CLOCK_TOLERANCE} seconds.")
    earned = rule.points(amount)
    if earned > merchant.entry_cap:
        raise AmountTooLarge(
            f"The purchase would earn {points.render_points(earned)} points,"
            f" one entry may have {points.render_points(merchant.entry_cap)}."
        )
    return Facts(
        reference=report.reference,
        customer_id=customer_id,
        holder=holder,
        amount_minor=amount,
        store=report.store,
        purchased_at=bought,
        points=earned,
        rule_version=rule.version,
        available_at=int(bought.timestamp()) + rule.return_window * DAY if rule.return_window else 0,
    )


def withhold(facts: Facts, owed: int) -> Facts:
    """Less is earned, as long as base units are `owed` of an earlier shortfall."""
    kept = min(facts.points, owed)
    return msgspec.structs.replace(facts, points=facts.points - kept, withheld=kept)


def accept(facts: Facts, promise: Promise) -> dict[str, Any]:
    """The row of a purchase, with its signed receipt."""
    row = draft(facts, promise)
    sign([row], promise)
    return row


def draft(facts: Facts, promise: Promise) -> dict[str, Any]:
    """The row of a purchase, but for the signature."""
    available_at = max(promise.now, facts.available_at)
    row: dict[str, Any] = {
        "merchant_id": promise.merchant.id,
        "id": uuid7(),
        "kind": facts.kind,
        "reference": facts.reference,
        "fingerprint": facts.fingerprint,
        "customer_id": facts.customer_id,
        "holder": facts.holder,
        "amount_minor": facts.amount_minor,
        "store": facts.store,
        "purchased_at": facts.purchased_at,
        "points": facts.points,
        "rule_version": facts.rule_version,
        "salt": os.urandom(16),
        "accepted_at": promise.now,
        "mint_by": available_at + promise.receipt_life,
        "withheld": facts.withheld,
        "available_at": available_at,
    }
    row["commitment"] = _commit(row, promise.merchant)
    return row


def sign(rows: Sequence[dict[str, Any]], promise: Promise) -> None:
    """Gives each of the rows its signature, by as few acts of signing as it takes."""
    receipts = [
        eip712.receipt_hash(
            holder=row["holder"],
            amount=row["points"],
            purchase=row["commitment"],
            accepted_at=row["accepted_at"],
            mint_by=row["mint_by"],
        )
        for row in rows
    ]
    for row, signature in zip(rows, receipt_tree.sign(promise.sign, promise.separator, receipts), strict=True):
        row["signature"] = signature


def values(row: Mapping[str, Any]) -> list[Any]:
    """Of an insert, in the order of `COLUMNS`."""
    return [row[column] for column in COLUMNS]


def _commit(row: Mapping[str, Any], merchant: Merchant) -> bytes:
    """The salted commitment to the facts of the sale, `purchase` in the receipt."""
    return commitment(
        salt=row["salt"],
        merchant_reference=row["reference"],
        amount_minor=row["amount_minor"],
        currency=merchant.currency,
        purchased_at=int(row["purchased_at"].timestamp()),
        store=row["store"] or "",
    )


def answer(row: Mapping[str, Any], merchant: Merchant, chain_id: int) -> dict[str, Any]:
    """What a report is answered with, now and whenever it is repeated: JSON, once it is encoded."""
    programme, earned = checksum(merchant.programme), points.render_points(row["points"])
    return {
        "id": row["id"],
        "kind": row["kind"],
        "reference": row["reference"],
        "customer": row["customer_id"],
        "amount": points.render(row["amount_minor"], digits=merchant.minor_digits),
        "currency": merchant.currency,
        "store": row["store"],
        "purchased_at": row["purchased_at"],
        "earned": points.render_points(row["points"] + row["withheld"]),
        "offset": points.render_points(row["withheld"]),
        "points": earned,
        # Nothing is minted for what earned nothing: it is final as it stands.
        "status": ("pending" if _waits(row) else "accepted") if row["points"] else "final",
        "available_at": rfc3339(row["available_at"]) if _waits(row) else None,
        "receipt": {
            "chain_id": chain_id,
            "programme": programme,
            "holder": checksum(row["holder"]),
            "amount": earned,
            "amount_base_units": str(row["points"]),
            "purchase": hexed(row["commitment"]),
            "accepted_at": row["accepted_at"],
            "mint_by": row["mint_by"],
            "salt": None if row["salt"] is None else hexed(row["salt"]),
            "signature": hexed(row["signature"]),
            "domain": {
                "name": eip712.NAME,
                "version": eip712.VERSION,
                "chainId": chain_id,
                "verifyingContract": programme,
            },
        },
    }


def _waits(row: Mapping[str, Any]) -> bool:
    """Whether its points were to be pending when it was accepted."""
    return bool(row["available_at"] > row["accepted_at"])


def same(stored: Mapping[str, Any], facts: Facts) -> None:
    """Raises `ReferenceConflict` unless the stored purchase has these facts."""
    if stored["fingerprint"] != facts.fingerprint:
        raise ReferenceConflict("The reference belongs to a purchase with other facts.")
