"""Sales as they come over HTTP: `PurchaseIn` is the form, and a faster twin reads what plainly has it.

The twin takes less: whatever is out of the ordinary, well formed or not, is read by `PurchaseIn`, which also has the
words for what is wrong. What both take they read alike, and either way the fingerprint is that of the body as it came.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import pydantic_core
from msgspec import UNSET, UnsetType
from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict

from exchange import purchases_bulk
from exchange.api.forms import Decimal, Form, Reference, Text
from exchange.api.problems import from_validation
from exchange.errors import InvalidRequest
from exchange.purchase import Report

EXAMPLE: JsonDict = {
    "reference": "till-7/2026-11-21/0042",
    "member": "card-900417",
    "amount": "12.34",
    "currency": "USD",
    "store": "Main Street 5",
    "purchased_at": "2026-11-21T17:04:05Z",
}


def _rfc3339(value: object) -> object:
    """Numbers would be read as Unix time."""
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("a time is an RFC 3339 string such as 2026-11-21T17:04:05Z")
    return value


class PurchaseIn(Form):
    """A sale. Exactly one of `customer` (its id) and `member` (your number) says who bought."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    reference: Reference
    customer: UUID | None = None
    member: Reference | None = None
    amount: Decimal
    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")] = Field(examples=["USD"])
    store: Text | None = None
    purchased_at: Annotated[AwareDatetime, BeforeValidator(_rfc3339)]

    @model_validator(mode="after")
    def _one_customer(self) -> PurchaseIn:
        if (self.customer is None) == (self.member is None):
            raise ValueError("exactly one of customer and member is needed")
        return self

    def report(self) -> Report:
        return Report(
            self.reference, self.customer, self.member, self.amount, self.currency, self.store, self.purchased_at
        )


class _Plain(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The twin, for a member's purchase. Encoded, it is the canonical form of what it was read from."""

    amount: str
    currency: str
    member: str
    purchased_at: str
    reference: str
    store: str | UnsetType = UNSET


class _PlainBulk(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    purchases: list[_Plain]


_PLAIN: Final = msgspec.json.Decoder(_Plain)
_PLAIN_BULK: Final = msgspec.json.Decoder(_PlainBulk)
_ITEMS: Final = TypeAdapter(list[PurchaseIn])
_ITEM: Final = TypeAdapter(PurchaseIn)

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LONGEST: Final = 200


def parsed(raw: bytes) -> Any:
    """Any JSON. Raises `InvalidRequest`."""
    try:
        return pydantic_core.from_json(raw, allow_inf_nan=False) if raw else None
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error


def one(raw: bytes) -> tuple[Any, Report]:
    """The body, for its fingerprint, and what it reports. Raises `InvalidRequest`."""
    try:
        plain = _PLAIN.decode(raw)
        return plain, _reports([plain], escaped=_escaped(raw))[0]
    except (msgspec.MsgspecError, ValueError):
        pass
    body = parsed(raw)
    try:
        return body, _ITEM.validate_python(body).report()
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False, include_url=False)) from error


def bulk(raw: bytes) -> tuple[Any, Sequence[purchases_bulk.Item]]:
    """The body, for its fingerprint, and its items. Raises `InvalidRequest` if it is no list of the right length."""
    try:
        plain = _PLAIN_BULK.decode(raw)
        if 1 <= len(plain.purchases) <= purchases_bulk.LARGEST:
            return plain, _reports(plain.purchases, escaped=_escaped(raw))
    except (msgspec.MsgspecError, ValueError):
        pass
    body = parsed(raw)
    items = body.get("purchases") if isinstance(body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= purchases_bulk.LARGEST or len(body) != 1:
        raise InvalidRequest(
            f"The body is an object with one field `purchases`, a list of 1 to {purchases_bulk.LARGEST}."
        )
    return body, _items(items)


def _items(raw: list[Any]) -> list[purchases_bulk.Item]:
    """All at once; only if one of them is malformed one by one, to find out which."""
    try:
        return [item.report() for item in _ITEMS.validate_python(raw)]
    except ValidationError:
        pass
    items: list[purchases_bulk.Item] = []
    for each in raw:
        try:
            items.append(_ITEM.validate_python(each).report())
        except ValidationError as error:
            items.append(from_validation(error.errors(include_input=False, include_url=False)))
    return items


def _escaped(raw: bytes) -> bool:
    """Whether a string of this JSON may hold what cannot be printed: it would be escaped, but for DEL."""
    return b"\\" in raw or b"\x7f" in raw


def _reports(sales: Sequence[_Plain], *, escaped: bool) -> list[Report]:
    """Raises `ValueError` unless every sale is plainly well formed."""
    for currency in {sale.currency for sale in sales}:
        if _CURRENCY.fullmatch(currency) is None:
            raise ValueError("a currency of another form")
    return [_report(sale, escaped=escaped) for sale in sales]


def _report(sale: _Plain, *, escaped: bool) -> Report:
    store = None if sale.store is UNSET else sale.store
    for text in (sale.reference, sale.member, sale.store):
        if text is not UNSET and (not 1 <= len(text) <= _LONGEST or (escaped and not text.isprintable())):
            raise ValueError("an empty, long or unprintable text")
    if len(sale.amount) > 80 or _TIME.fullmatch(sale.purchased_at) is None:
        raise ValueError("a long amount, or a time of another form")
    bought = datetime.fromisoformat(sale.purchased_at)
    return Report(sale.reference, None, sale.member, sale.amount, sale.currency, store, bought)


def described(schema: dict[str, Any], example: JsonDict) -> dict[str, Any]:
    """The request body in the API's description, of a route that reads it itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


ONE: Final = described(PurchaseIn.model_json_schema(), EXAMPLE)
BULK: Final = described(
    {
        "type": "object",
        "required": ["purchases"],
        "additionalProperties": False,
        "properties": {
            "purchases": {
                "type": "array",
                "items": PurchaseIn.model_json_schema(),
                "minItems": 1,
                "maxItems": purchases_bulk.LARGEST,
            }
        },
    },
    {"purchases": [EXAMPLE]},
)
