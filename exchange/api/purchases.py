"""Reporting purchases and following them. The hot path answers bytes that the use case made, without another model."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from exchange import errors, idempotency, purchases, purchases_bulk, purchases_together
from exchange.api import sales
from exchange.api.access import Direct, InGateway, NeededKey, merchant_with
from exchange.api.forms import AsOf, Placed, Reference, answered
from exchange.api.problems import Problem, documented
from exchange.merchant import Merchant
from exchange.purchases import Reported

router = APIRouter(prefix="/v1/purchases", tags=["purchases"])
reporting = APIRouter(prefix="/v1/purchases", tags=["purchases"], route_class=Direct)

Reporting = Annotated[Merchant, merchant_with("purchases:write")]
Reading = Annotated[Merchant, merchant_with("purchases:read")]


class Domain(BaseModel):
    name: str
    version: str
    chainId: int
    verifyingContract: str


class Receipt(BaseModel):
    """The programme's signed promise (EIP-712 `Receipt`): points that will be minted by `mint_by`.

    `purchase` commits to the facts of the sale with `salt` (`contracts/receipts.py`), which is gone once the customer
    was erased; `signature` is `0x00 ‖ r ‖ vs` or, shared with others of the same moment,
    `0x03 ‖ r ‖ vs ‖ index ‖ siblings` (`contracts/receipt_tree.py`).
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


@reporting.post(
    "",
    status_code=201,
    response_model=PurchaseOut,
    responses=documented(*_REFUSALS, *_ITEM_REFUSALS),
    summary="Report a purchase",
    openapi_extra=sales.ONE,
)
async def report(gateway: InGateway, merchant: Reporting, key: NeededKey, request: Request) -> Response:
    """Answers with a signed receipt once the purchase is safely stored. The same request, or the same reference with
    the same facts, has the same answer for ever, byte for byte, always with status 201."""
    body, sale = sales.one(await request.body())
    fingerprint = idempotency.fingerprint(request.method, request.url.path, body, secret=gateway.pepper)
    answer = await purchases_together.accept(gateway, Reported(merchant, key, fingerprint, sale))
    return Response(answer, status_code=201, media_type="application/json")


@reporting.post(
    "/bulk",
    response_model=BulkOut,
    responses=documented(*_REFUSALS, errors.PurchaseErased),
    summary="Report up to 1,000 purchases",
    openapi_extra=sales.BULK,
)
async def report_many(gateway: InGateway, merchant: Reporting, key: NeededKey, request: Request) -> Response:
    """Every purchase is judged alone: one that is refused, with its own problem, harms no other. What was refused is
    answered the same under the same key; send it under a new key to have it judged again."""
    body, items = sales.bulk(await request.body())
    fingerprint = idempotency.fingerprint(request.method, request.url.path, body, secret=gateway.pepper)
    answer = await purchases_bulk.accept(gateway, merchant, key=key, fingerprint=fingerprint, items=items)
    return Response(answer, media_type="application/json")


@router.get(
    "/{id}",
    response_model=PurchaseStatus,
    responses=documented(errors.PurchaseNotFound, errors.Unauthenticated, errors.Forbidden, errors.MirrorUnavailable),
    summary="How far a purchase has come",
)
async def one(gateway: InGateway, merchant: Reading, id: UUID) -> Response:
    async with gateway.database.reading(merchant.id) as sql:
        return answered(await purchases.status(gateway, merchant, sql, id=id))


@router.get(
    "",
    response_model=PurchaseStatus,
    responses=documented(errors.PurchaseNotFound, errors.Unauthenticated, errors.Forbidden, errors.MirrorUnavailable),
    summary="How far a purchase has come, by your reference",
)
async def by_reference(gateway: InGateway, merchant: Reading, reference: Annotated[Reference, Query()]) -> Response:
    async with gateway.database.reading(merchant.id) as sql:
        return answered(await purchases.status(gateway, merchant, sql, reference=reference))
