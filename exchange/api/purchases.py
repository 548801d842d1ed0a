"""Reporting purchases and following them. The hot path answers bytes that the use case made, without another model."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import pydantic_core
from fastapi import APIRouter, Query, Request, Response
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict

from exchange import errors, purchases, purchases_bulk
from exchange.api.access import Fingerprint, InGateway, NeededKey, merchant_with
from exchange.api.forms import AsOf, Decimal, Form, Placed, Reference, Text
from exchange.api.problems import Problem, documented, from_validation
from exchange.merchant import Merchant
from exchange.purchase import Report

router = APIRouter(prefix="/v1/purchases", tags=["purchases"])

Reporting = Annotated[Merchant, merchant_with("purchases:write")]
Reading = Annotated[Merchant, merchant_with("purchases:read")]

_EXAMPLE: JsonDict = {
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

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

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


class Domain(BaseModel):
    name: str
    version: str
    chainId: int
    verifyingContract: str


class Receipt(BaseModel):
    """The programme's signed promise (EIP-712 `Receipt`): points that will be minted by `mint_by`.

    `purchase` commits to the facts of the sale with `salt` (`contracts/receipts.py`), which is gone once the customer
    was erased; `signature` is `0x00 ‖ r ‖ vs`.
    """

    chain_id: int
    programme: str
    holder: str
    amount: str
    amount_base_units: str
    purchase: str
    accepted_at: int
    mint_by: int
    salt: str | None
    signature: str
    domain: Domain


class PurchaseOut(BaseModel):
    """`status` here is that of acceptance; GET shows how far the purchase has come."""

    id: UUID
    kind: Literal["sale", "opening"] = Field(description="An opening balance is of no sale: its amount is zero.")
    reference: str
    customer: UUID
    amount: str
    currency: str
    store: str | None
    purchased_at: str
    earned: str = Field(description="By the rule, for the amount.")
    offset: str = Field(description="Of `earned`: kept back for an earlier refund whose points had been spent.")
    points: str = Field(description="`earned` less `offset`: what the receipt promises.")
    status: Literal["pending", "accepted", "final"]
    available_at: str | None = Field(description="Of pending points: when the return window closes.")
    receipt: Receipt


class OnChain(Placed):
    batch: int
    index: int


class PurchaseStatus(PurchaseOut):
    status: Literal[  # type: ignore[assignment]
        "pending", "cancelled", "accepted", "submitted", "confirmed", "final"
    ]
    cancelled: str = Field(description="Of `points`: what refunds took away before anything was minted.")
    chain: OnChain | None
    as_of: AsOf | None


class BulkItem(BaseModel):
    """Either the purchase or the problem."""

    status: Literal["pending", "accepted", "final", "refused"]
    purchase: PurchaseOut | None = None
    problem: Problem | None = None


class BulkOut(BaseModel):
    """`results` in the order of the request."""

    accepted: int
    refused: int
    results: list[BulkItem]


_REFUSALS = (
    errors.IdempotencyKeyMissing, errors.IdempotencyKeyReused, errors.InvalidRequest, errors.Unauthenticated,
    errors.Forbidden, errors.RequestInFlight,
)  # fmt: skip
_ITEM_REFUSALS = (
    errors.CustomerNotFound, errors.ReferenceConflict, errors.InvalidAmount, errors.AmountTooLarge,
    errors.WrongCurrency, errors.InvalidPurchaseTime,
)  # fmt: skip


@router.post(
    "",
    status_code=201,
    response_model=PurchaseOut,
    responses=documented(*_REFUSALS, *_ITEM_REFUSALS),
    summary="Report a purchase",
)
async def report(
    gateway: InGateway, merchant: Reporting, key: NeededKey, fingerprint: Fingerprint, body: PurchaseIn
) -> Response:
    """Answers with a signed receipt once the purchase is safely stored. The same request, or the same reference with
    the same facts, has the same answer for ever, byte for byte, always with status 201."""
    answer = await purchases.accept(gateway, merchant, key=key, fingerprint=fingerprint, report=body.report())
    return Response(answer, status_code=201, media_type="application/json")


_ITEMS: TypeAdapter[list[PurchaseIn]] = TypeAdapter(list[PurchaseIn])
_ITEM: TypeAdapter[PurchaseIn] = TypeAdapter(PurchaseIn)


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


@router.post(
    "/bulk",
    response_model=BulkOut,
    responses=documented(*_REFUSALS, errors.PurchaseErased),
    summary="Report up to 1,000 purchases",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["purchases"],
                        "additionalProperties": False,
                        "properties": {
                            "purchases": {
                                "type": "array",
                                "items": {"$ref": "#/components/schemas/PurchaseIn"},
                                "minItems": 1,
                                "maxItems": purchases_bulk.LARGEST,
                            }
                        },
                    },
                    "example": {"purchases": [_EXAMPLE]},
                }
            },
        }
    },
)
async def report_many(
    gateway: InGateway, merchant: Reporting, key: NeededKey, fingerprint: Fingerprint, request: Request
) -> Response:
    """Every purchase is judged alone: one that is refused, with its own problem, harms no other. What was refused is
    answered the same under the same key; send it under a new key to have it judged again."""
    sent = await request.body()
    body: Any = pydantic_core.from_json(sent, allow_inf_nan=False) if sent else None
    raw = body.get("purchases") if isinstance(body, dict) else None
    if not isinstance(raw, list) or not 1 <= len(raw) <= purchases_bulk.LARGEST or len(body) != 1:
        raise errors.InvalidRequest(
            f"The body is an object with one field `purchases`, a list of 1 to {purchases_bulk.LARGEST}."
        )
    answer = await purchases_bulk.accept(gateway, merchant, key=key, fingerprint=fingerprint, items=_items(raw))
    return Response(answer, media_type="application/json")


@router.get(
    "/{id}",
    response_model=PurchaseStatus,
    responses=documented(errors.PurchaseNotFound, errors.Unauthenticated, errors.Forbidden, errors.MirrorUnavailable),
    summary="How far a purchase has come",
)
async def one(gateway: InGateway, merchant: Reading, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading(merchant.id) as sql:
        return await purchases.status(gateway, merchant, sql, id=id)


@router.get(
    "",
    response_model=PurchaseStatus,
    responses=documented(errors.PurchaseNotFound, errors.Unauthenticated, errors.Forbidden, errors.MirrorUnavailable),
    summary="How far a purchase has come, by your reference",
)
async def by_reference(
    gateway: InGateway, merchant: Reading, reference: Annotated[Reference, Query()]
) -> dict[str, Any]:
    async with gateway.database.reading(merchant.id) as sql:
        return await purchases.status(gateway, merchant, sql, reference=reference)
