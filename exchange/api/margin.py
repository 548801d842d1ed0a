"""A programme's margin: how to top it up, and taking it out."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from exchange import errors, merchants, points, withdrawals
from exchange.api.access import Fingerprint, InGateway, NeededKey, requires
from exchange.api.forms import Address, AsOf, Decimal
from exchange.api.merchants import OwnSigned
from exchange.api.problems import documented
from exchange.auth import Caller
from exchange.hexes import address
from exchange.withdrawals import Wish

router = APIRouter(prefix="/v1/merchants/{id}", tags=["margin"])

Seeing = Annotated[Caller, requires(merchant="programme:read", operator="programme:read")]


class WithdrawalIn(OwnSigned):
    """An owner that keeps its key signs what the refusal shows and sends `nonce` and `signature`."""

    amount: Decimal = Field(description="Settlement tokens.", examples=["1000.00"])
    to: Address


class WithdrawalOut(BaseModel):
    id: UUID
    to: str
    amount: str
    status: Literal["accepted"]


class WithdrawalStatus(WithdrawalOut):
    """`announced` on the chain, `paid` after `due` by itself; `replaced` by a later announcement."""

    status: Literal["accepted", "announced", "paid", "final", "replaced", "refused"]  # type: ignore[assignment]
    due: int | None = Field(description="Unix seconds: when the notice is over.")
    paid: str | None = Field(description="The amount, or the margin that was left if that was less.")
    block: int | None
    reason: str | None


class Margin(BaseModel):
    margin: str
    withdrawals: list[WithdrawalStatus]
    as_of: AsOf | None


class Step(BaseModel):
    to: str
    data: str
    does: str


class Instructions(BaseModel):
    chain_id: int
    settlement_token: str
    amount: str
    transactions: list[Step]


_ACCESS = (errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound)


@router.get(
    "/margin",
    response_model=Margin,
    responses=documented(*_ACCESS, errors.ProgrammeNotFound, errors.MirrorUnavailable),
    summary="The margin, and what is being taken out of it",
)
async def margin(gateway: InGateway, who: Seeing, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    async with gateway.database.transaction(who.tenant) as sql:
        return await withdrawals.status(sql, merchant)


@router.get(
    "/margin/deposit",
    response_model=Instructions,
    responses=documented(*_ACCESS, errors.InvalidRequest, errors.InvalidAmount, errors.AmountTooLarge),
    summary="How to top the margin up from an account of your own",
)
async def instructions(
    gateway: InGateway, who: Seeing, id: UUID, amount: Annotated[str, Query(max_length=80, examples=["1000.00"])]
) -> dict[str, Any]:
    """Two transactions, to be sent in this order by whoever holds the settlement tokens."""
    wanted = points.settlement(amount, name="amount")
    async with gateway.database.reading(who.tenant) as sql:
        return withdrawals.instructions(gateway, await merchants.allowed(sql, who, id), wanted)


@router.post(
    "/withdrawals",
    status_code=202,
    response_model=WithdrawalOut,
    responses=documented(
        *_ACCESS, errors.IdempotencyKeyMissing, errors.IdempotencyKeyReused, errors.InvalidRequest,
        errors.InvalidAmount, errors.AmountTooLarge, errors.InvalidAddress, errors.NotEnoughMargin,
        errors.ProgrammeNotFound, errors.OwnerSignatureNeeded, errors.BadSignature, errors.MirrorUnavailable,
    ),
    summary="Announce a withdrawal of margin",
)  # fmt: skip
async def withdraw(
    gateway: InGateway,
    who: Annotated[Caller, requires(merchant="margin:withdraw")],
    key: NeededKey,
    fingerprint: Fingerprint,
    id: UUID,
    body: WithdrawalIn,
) -> dict[str, Any]:
    """It is paid by itself once the notice of seven days is over. A later announcement replaces it."""
    wish = Wish(address(body.to, name="to"), points.settlement(body.amount, name="amount"), body.own())
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        return await withdrawals.announce(
            gateway, sql, merchant, scope=who.scope, key=key, fingerprint=fingerprint, wish=wish
        )
