"""Refunding purchases, whole or in part, and following what becomes of their points."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from exchange import errors, refunds
from exchange.api.access import Fingerprint, InGateway, NeededKey, merchant_with
from exchange.api.forms import AsOf, Decimal, Form, Reference
from exchange.api.problems import documented
from exchange.merchant import Merchant

router = APIRouter(prefix="/v1/purchases/{id}/refunds", tags=["refunds"])

Refunding = Annotated[Merchant, merchant_with("refunds:write")]

_EXAMPLE: JsonDict = {"reference": "till-7/2026-11-22/0003", "amount": "4.20"}


class RefundIn(Form):
    """Without an amount, all that earlier refunds have left of the purchase."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    reference: Reference
    amount: Decimal | None = None


class Amended(BaseModel):
    """The purchase's receipt with another amount and time, signed by the issuer; holder, `purchase` and `mint_by` stay.
    Of several receipts of one purchase the one with the smallest amount holds."""

    amount: str
    amount_base_units: str
    accepted_at: int
    signature: str


class RefundOut(BaseModel):
    """`points` are taken back. The customer keeps what the rule gives for what is left of the purchase."""

    id: UUID
    reference: str
    purchase: UUID
    amount: str
    currency: str
    points: str
    cancelled: str = Field(description="Of `points`: those that were pending, and will not be minted.")
    restored: str = Field(description="Of `points`: a shortfall that the purchase had offset, and is owed again.")
    receipt: Amended | None = Field(description="What is still promised, if points were cancelled.")
    status: Literal["accepted", "final"]


class RefundStatus(RefundOut):
    """Once it is on the chain: what was `burned`, and the `shortfall` that the customer had spent before."""

    status: Literal["accepted", "submitted", "confirmed", "final", "refused"]  # type: ignore[assignment]
    burned: str | None
    shortfall: str | None
    reason: str | None = Field(description="Why the chain refuses it.")
    block: int | None


class RefundsOut(BaseModel):
    refunds: list[RefundStatus]
    as_of: AsOf | None


@router.post(
    "",
    status_code=201,
    response_model=RefundOut,
    responses=documented(
        errors.IdempotencyKeyMissing, errors.IdempotencyKeyReused, errors.InvalidRequest, errors.Unauthenticated,
        errors.Forbidden, errors.RequestInFlight, errors.PurchaseNotFound, errors.ReferenceConflict,
        errors.InvalidAmount, errors.AmountTooLarge, errors.RefundTooLarge, errors.RefundWindowClosed,
    ),
    summary="Refund a purchase or a part of it",
)  # fmt: skip
async def refund(
    gateway: InGateway, merchant: Refunding, id: UUID, key: NeededKey, fingerprint: Fingerprint, body: RefundIn
) -> dict[str, Any]:
    """The same request, or the same reference with the same facts, has the same answer for ever."""
    wish = refunds.Wish(purchase=id, reference=body.reference, amount=body.amount)
    return await refunds.accept(gateway, merchant, key=key, fingerprint=fingerprint, wish=wish)


@router.get(
    "",
    response_model=RefundsOut,
    responses=documented(errors.PurchaseNotFound, errors.Unauthenticated, errors.Forbidden, errors.MirrorUnavailable),
    summary="A purchase's refunds, and how far each has come",
)
async def progress(
    gateway: InGateway, merchant: Annotated[Merchant, merchant_with("purchases:read")], id: UUID
) -> dict[str, Any]:
    async with gateway.database.transaction(merchant.id) as sql:
        return await refunds.status(merchant, sql, id)
