"""A merchant moves the points of a customer who lost the key to another address, two weeks after saying so."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from exchange import errors, idempotency, merchants, recoveries
from exchange.api.access import Fingerprint, InGateway, NeededKey, requires
from exchange.api.forms import Address, Seconds
from exchange.api.merchants import OwnSigned
from exchange.api.problems import documented
from exchange.auth import Caller
from exchange.hexes import address, checksum

router = APIRouter(prefix="/v1/merchants/{id}/recoveries", tags=["recoveries"])

Recovering = Annotated[Caller, requires(merchant="points:recover")]


class RecoveryIn(OwnSigned):
    """An owner that keeps its key signs what the refusal shows and sends `nonce`, `deadline` and `signature`."""

    holder: Address = Field(description="Who lost the key.")
    to: Address = Field(description="Whom the points will belong to: the customer's new address.")
    deadline: Seconds | None = None

    @model_validator(mode="after")
    def _all_that_was_signed(self) -> RecoveryIn:
        given = [each is not None for each in (self.nonce, self.deadline, self.signature)]
        if any(given) and not all(given):
            raise ValueError("nonce, deadline and signature come together")
        if self.nonce is not None and self.nonce >= 2**40:
            raise ValueError("the nonce is beyond what a token takes")
        return self


class RecoveryAccepted(BaseModel):
    status: Literal["accepted"] = "accepted"


class RecoveryShown(BaseModel):
    """`none`: never announced, finished, or cancelled by an act of the holder."""

    holder: str
    to: str | None
    due: int | None = Field(description="Unix seconds.")
    status: Literal["none", "announced", "due"]


_ACCESS = (errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.InvalidAddress)


@router.post(
    "",
    status_code=202,
    responses=documented(
        *_ACCESS, errors.IdempotencyKeyMissing, errors.IdempotencyKeyReused, errors.InvalidRequest,
        errors.OwnerSignatureNeeded, errors.BadSignature,
    ),
    summary="Announce that a lost holder's points will move",
)  # fmt: skip
async def announce(
    gateway: InGateway, who: Recovering, key: NeededKey, fingerprint: Fingerprint, id: UUID, body: RecoveryIn
) -> RecoveryAccepted:
    """Fourteen days from when it is on the chain. Any act of the holder in between cancels it, so a thief of your key
    gains nothing from a holder who is there."""
    holder, to = address(body.holder, name="holder"), address(body.to, name="to")
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        claim = await idempotency.claim(sql, scope=who.scope, key=key, fingerprint=fingerprint, subject=merchant.id)
        if claim.first:
            await recoveries.announce(
                gateway, sql, merchant, holder=holder, to=to, deadline=body.deadline, own=body.own()
            )
    return RecoveryAccepted()


@router.get(
    "/{holder}",
    response_model=RecoveryShown,
    responses=documented(*_ACCESS, errors.ProgrammeNotFound, errors.ChainUnavailable),
    summary="How far a recovery has come",
)
async def shown(
    gateway: InGateway, who: Annotated[Caller, requires(merchant="programme:read")], id: UUID, holder: str
) -> dict[str, Any]:
    """As the chain says now."""
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    lost = address(holder, name="holder")
    found = await recoveries.announced(gateway, merchant, lost)
    if not found.due:
        return {"holder": checksum(lost), "to": None, "due": None, "status": "none"}
    status = "due" if found.due <= gateway.now() else "announced"
    return {"holder": checksum(lost), "to": checksum(found.to), "due": found.due, "status": status}


@router.post(
    "/{holder}/finish",
    status_code=202,
    responses=documented(*_ACCESS, errors.NoRecovery, errors.ProgrammeNotFound, errors.ChainUnavailable),
    summary="Move the points whose recovery is due",
)
async def finish(gateway: InGateway, who: Recovering, id: UUID, holder: str) -> RecoveryAccepted:
    """Safe to repeat: the chain does it once."""
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    lost = address(holder, name="holder")
    found = await recoveries.announced(gateway, merchant, lost)
    async with gateway.database.transaction(who.tenant) as sql:
        await recoveries.finish(gateway, sql, merchant, holder=lost, announced=found)
    return RecoveryAccepted()
