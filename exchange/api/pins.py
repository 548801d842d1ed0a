"""Card customers' PINs and one-time codes: from how many points on a PIN is asked for, choosing one, unlocking it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from exchange import codes, errors, merchants, pins, points
from exchange.api.access import InGateway, merchant_with, requires
from exchange.api.forms import Form, Pin
from exchange.api.merchants import PinFrom
from exchange.api.problems import documented
from exchange.api.signin import Code
from exchange.auth import Caller
from exchange.merchant import Merchant

router = APIRouter(prefix="/v1/customers/{id}", tags=["PINs"])
rules = APIRouter(prefix="/v1/merchants/{id}", tags=["PINs"])

Unlocking = Annotated[Merchant, merchant_with("customers:unlock")]

WEEK = 168


class PinRule(Form):
    pin_from: PinFrom


class PinIn(Form):
    """`code` is what you gave the customer for this (POST /v1/customers/{id}/codes)."""

    pin: Pin
    code: Code


class CodeIn(Form):
    """`pin`: to choose a PIN at a till. `passkey`: to attach a passkey at home and see one's points."""

    purpose: Literal["pin", "passkey"]
    hours: int = Field(default=24, ge=1, le=WEEK, strict=True, description="How long it is good.")


class CodeOut(BaseModel):
    code: str = Field(
        description="Shown once. Give it to the customer and to nobody else.", examples=["7KQ2-9XTM-04HB"]
    )
    expires_at: str


_CARD = (errors.Unauthenticated, errors.Forbidden, errors.CustomerNotFound, errors.NotCustodial)


@rules.get(
    "/pin-rule",
    response_model=PinRule,
    responses=documented(errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound),
    summary="From how many points on a card's PIN is asked for",
)
async def rule(
    gateway: InGateway,
    who: Annotated[Caller, requires(merchant="programme:read", operator="programme:read")],
    id: UUID,
) -> dict[str, Any]:
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        limit = await pins.limit(sql, merchant)
    return {"pin_from": "never" if limit is None else points.render_points(limit)}


@rules.put(
    "/pin-rule",
    response_model=PinRule,
    responses=documented(
        errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.InvalidAmount, errors.AmountTooLarge,
        errors.InvalidRequest,
    ),
    summary="Say from how many points on a card's PIN is asked for",
)  # fmt: skip
async def put_rule(
    gateway: InGateway,
    who: Annotated[Caller, requires(merchant="programme:write", operator="programme:write")],
    id: UUID,
    body: PinRule,
) -> dict[str, Any]:
    """In force at once, for one spend each: sends, redemptions, swaps, gifts and holds of custodial customers."""
    wanted = None if body.pin_from == "never" else points.points(body.pin_from, name="pin_from", zero=True)
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        await sql.execute("update exchange.merchant set pin_from = %s where id = %s", (wanted, merchant.id))
    return {"pin_from": body.pin_from if wanted is None else points.render_points(wanted)}


@router.post(
    "/codes",
    status_code=201,
    response_model=CodeOut,
    responses=documented(*_CARD, errors.InvalidRequest),
    summary="A one-time code for a card customer",
)
async def make_code(gateway: InGateway, merchant: Unlocking, id: UUID, body: CodeIn) -> dict[str, Any]:
    """Replaces the last one of its kind. Hand it over in a way by which only the customer gets it."""
    async with gateway.database.transaction(merchant.id) as sql:
        code, end = await codes.make(gateway, sql, merchant, id, body.purpose, life=timedelta(hours=body.hours))
    return {"code": code, "expires_at": end.isoformat()}


@router.put(
    "/pin",
    status_code=204,
    responses=documented(*_CARD, errors.CodeRefused, errors.PinTooEasy, errors.InvalidRequest),
    summary="Let a customer choose a PIN",
)
async def choose(
    gateway: InGateway, merchant: Annotated[Merchant, merchant_with("customers:write")], id: UUID, body: PinIn
) -> None:
    """At your till, with the code that the customer got from you. It is for your points only, and unlocks the card."""
    await pins.choose(gateway, merchant, id, pin=body.pin, code=body.code)


@router.delete("/pin/lock", status_code=204, responses=documented(*_CARD), summary="Unlock a card")
async def unlock(gateway: InGateway, merchant: Unlocking, id: UUID) -> None:
    """Five more tries of the PIN, once you know that it is the customer who asks."""
    await pins.unlock(gateway, merchant, id)
