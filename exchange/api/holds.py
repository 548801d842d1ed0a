"""Points set aside at the till: authorise, then capture or release."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from exchange import errors, holds
from exchange.api.access import Fingerprint, InGateway, NeededKey, merchant_with
from exchange.api.forms import Decimal, Form, Pin, Reference
from exchange.api.intents import TRADE_REFUSALS
from exchange.api.problems import documented
from exchange.merchant import Merchant

router = APIRouter(prefix="/v1/holds", tags=["holds"])

Till = Annotated[Merchant, merchant_with("holds:write")]

_EXAMPLE: JsonDict = {"member": "card-900417", "amount": "5.00", "order": "till-7/0042"}


class HoldIn(Form):
    """Exactly one of `customer` and `member` says whose points; `order` is your reference of what is paid for."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    customer: UUID | None = None
    member: Reference | None = None
    amount: Decimal
    order: Reference
    pin: Pin | None = None
    seconds: int = Field(default=holds.SECONDS, ge=1, le=holds.LONGEST, description="How long the hold lasts.")

    @model_validator(mode="after")
    def _one_customer(self) -> HoldIn:
        if (self.customer is None) == (self.member is None):
            raise ValueError("exactly one of customer and member is needed")
        return self


class CaptureIn(Form):
    """Without an amount, all of the hold."""

    amount: Decimal | None = None


class HoldOut(BaseModel):
    """`intent` is the redemption that captured the hold: GET /v1/intents/{id} follows it."""

    id: UUID
    customer: UUID
    amount: str
    order: str
    expires_at: int = Field(description="Unix seconds.")
    status: Literal["open", "captured", "released", "expired"]
    intent: UUID | None


_ACCESS = (errors.Unauthenticated, errors.Forbidden)


@router.post(
    "",
    status_code=201,
    response_model=HoldOut,
    responses=documented(
        *_ACCESS, errors.IdempotencyKeyMissing, errors.IdempotencyKeyReused, errors.InvalidRequest,
        errors.CustomerNotFound, errors.NotCustodial, errors.NotEnoughPoints, errors.InvalidAmount,
        errors.AmountTooLarge, errors.MirrorUnavailable, errors.PinNeeded, errors.PinRefused, errors.PinWait,
        errors.PinLocked,
    ),
    summary="Set points aside",
)  # fmt: skip
async def authorise(
    gateway: InGateway, merchant: Till, key: NeededKey, fingerprint: Fingerprint, body: HoldIn
) -> dict[str, Any]:
    """Nobody else can spend them until they are captured or released, or the hold expires."""
    request = holds.Request(body.customer, body.member, body.amount, body.order, body.seconds, body.pin)
    return await holds.authorise(gateway, merchant, key=key, fingerprint=fingerprint, request=request)


@router.post(
    "/{id}/capture",
    status_code=202,
    response_model=HoldOut,
    responses=documented(
        *TRADE_REFUSALS, *_ACCESS, errors.HoldNotFound, errors.HoldClosed, errors.HoldExceeded, errors.NotCustodial
    ),
    summary="Pay with the held points, or some of them",
)
async def capture(gateway: InGateway, merchant: Till, id: UUID, body: CaptureIn) -> dict[str, Any]:
    """The redemption is accepted at once and settles on the chain after. Safe to repeat."""
    return await holds.capture(gateway, merchant, id, amount=body.amount)


@router.post(
    "/{id}/release",
    response_model=HoldOut,
    responses=documented(*_ACCESS, errors.HoldNotFound, errors.HoldClosed),
    summary="Give the held points back",
)
async def release(gateway: InGateway, merchant: Till, id: UUID) -> dict[str, Any]:
    """Safe to repeat."""
    return await holds.release(gateway, merchant, id)


@router.get("/{id}", response_model=HoldOut, responses=documented(*_ACCESS, errors.HoldNotFound), summary="A hold")
async def one(
    gateway: InGateway, merchant: Annotated[Merchant, merchant_with("purchases:read")], id: UUID
) -> dict[str, Any]:
    async with gateway.database.reading(merchant.id) as sql:
        return await holds.status(gateway, merchant, sql, id)
