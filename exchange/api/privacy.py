"""A person's rights: to have all that is held about them, and to have it erased."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from exchange import erasure, errors, export
from exchange.api.access import InGateway, requires
from exchange.api.forms import Form
from exchange.api.problems import documented
from exchange.auth import Caller

router = APIRouter(prefix="/v1/customers/{id}", tags=["personal data"])

Exporting = Annotated[Caller, requires(merchant="customers:profile", operator="customers:erase")]
Erasing = Annotated[Caller, requires(merchant="customers:erase", operator="customers:erase")]


class ErasureIn(Form):
    """`forfeit`: a card customer's points are given up with the key that could spend them, for ever."""

    forfeit: bool = Field(default=False, strict=True)


class ErasureOut(BaseModel):
    """`purchases` keep amount, points and commitment, and nothing that tells whose they were."""

    customer: UUID
    purchases: int
    forfeited: bool
    erased_at: str


_ACCESS = (errors.Unauthenticated, errors.Forbidden, errors.CustomerNotFound)


@router.post(
    "/export",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(*_ACCESS, errors.MirrorUnavailable),
    },
    summary="All that is held about a customer",
)
async def export_(gateway: InGateway, who: Exporting, id: UUID) -> Response:
    """A zip archive: profile, consents, purchases with signed receipts and Merkle proofs, refunds, holds, intents,
    balances, history and webhook events; `index.json` has the SHA-256 of each file. What you hold; for the operator,
    what every merchant holds. The same data are the same bytes."""
    archive = await export.of_caller(gateway, who, id)
    return Response(
        archive,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="customer-{id}.zip"', "Cache-Control": "no-store"},
    )


@router.post(
    "/erasure",
    response_model=ErasureOut,
    responses=documented(
        *_ACCESS, errors.InvalidRequest, errors.NotYetFinal, errors.PointsRemain, errors.RequestInFlight,
        errors.MirrorUnavailable,
    ),
    summary="Erase a customer",
)  # fmt: skip
async def erase(gateway: InGateway, who: Erasing, id: UUID, body: ErasureIn) -> dict[str, Any]:
    """For ever, and at once once everything of theirs is final: profile, key, references, salts. The customer ceases to
    be your member; the operator erases them at every merchant. Their points and your statements stay what they are:
    addresses and integers. Safe to repeat."""
    if who.merchant is None:
        return await erasure.of_person(gateway, id, forfeit=body.forfeit)
    return await erasure.of_member(gateway, who.merchant, id, forfeit=body.forfeit)
