"""Whose points a merchant should warn of: those that will be gone soon."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from exchange import errors, expiry, merchants
from exchange.api.access import InGateway, requires
from exchange.api.forms import AsOf
from exchange.api.problems import documented
from exchange.auth import Caller

router = APIRouter(prefix="/v1/merchants/{id}/expiring", tags=["expiry"])


class Expiring(BaseModel):
    """`customer` is set if the holder is a member of yours."""

    holder: str
    customer: UUID | None
    points: str
    expires_at: str = Field(description="The first moment at which they are gone.")


class ExpiringOut(BaseModel):
    """Ask again with `after` while there is a `next`. A page may be empty: it is of a thousand holders looked at."""

    holders: list[Expiring]
    next: str | None
    as_of: AsOf | None


@router.get(
    "",
    response_model=ExpiringOut,
    responses=documented(
        errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.InvalidRequest, errors.InvalidAddress,
        errors.MirrorUnavailable,
    ),
    summary="Holders whose points expire soon",
)  # fmt: skip
async def expiring(
    gateway: InGateway,
    who: Annotated[Caller, requires(merchant="customers:read")],
    id: UUID,
    days: Annotated[int, Query(ge=1, le=3_650)] = 30,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> dict[str, Any]:
    """By the chain's rule as far as the mirror can tell: an `approve`, which moves no points, prolongs a life unseen,
    and a `transferFrom` by somebody else looks like an act of the holder. Custodial customers do neither."""
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    async with gateway.database.transaction(who.tenant) as sql:
        return await expiry.expiring(sql, merchant, now=gateway.now(), days=days, after=after)
