"""A person's rights: to have all that is held about them, and to have it erased."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from exchange import erasure, errors, export
from exchange.api.access import InGateway, clear_cookie, requires
from exchange.api.forms import Form
from exchange.api.me import FRESH, Freshly
from exchange.api.problems import documented
from exchange.auth import Caller

router = APIRouter(prefix="/v1/customers/{id}", tags=["personal data"])
own = APIRouter(prefix="/v1/me", tags=["me"])

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
_FRESH = (*FRESH, errors.CustomerNotFound)
_ERASING = (
    errors.InvalidRequest, errors.NotYetFinal, errors.PointsRemain, errors.RequestInFlight, errors.MirrorUnavailable,
)  # fmt: skip
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/export",
    response_class=Response,
    responses={**_ZIP, **documented(*_ACCESS, errors.MirrorUnavailable)},
    summary="All that is held about a customer",
)
async def export_(gateway: InGateway, who: Exporting, id: UUID) -> Response:
    """A zip archive: profile, consents, purchases with signed receipts and Merkle proofs, refunds, holds, intents,
    balances, history and webhook events; `index.json` has the SHA-256 of each file. What you hold; for the operator,
    what every merchant holds. The same data are the same bytes."""
    return _zipped(await export.of_caller(gateway, who, id), id)


@own.post(
    "/export",
    response_class=Response,
    responses={**_ZIP, **documented(*_FRESH, errors.MirrorUnavailable)},
    summary="All that is held about you",
)
async def export_own(gateway: InGateway, session: Freshly, response: Response) -> Response:
    """The archive of POST /v1/customers/{id}/export, of every merchant whose member you are."""
    archive = _zipped(await export.of_person(gateway, session.customer), session.customer)
    for cookie in response.headers.getlist("set-cookie"):  # the session's, if it was replaced
        archive.headers.append("set-cookie", cookie)
    return archive


def _zipped(archive: bytes, id: UUID) -> Response:
    return Response(
        archive,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="customer-{id}.zip"', "Cache-Control": "no-store"},
    )


@router.post(
    "/erasure", response_model=ErasureOut, responses=documented(*_ACCESS, *_ERASING), summary="Erase a customer"
)
async def erase(gateway: InGateway, who: Erasing, id: UUID, body: ErasureIn) -> dict[str, Any]:
    """For ever, and at once once everything of theirs is final: profile, key, references, salts. The customer ceases to
    be your member; the operator erases them at every merchant. Their points and your statements stay what they are:
    addresses and integers. Safe to repeat."""
    if who.merchant is None:
        return await erasure.of_person(gateway, id, forfeit=body.forfeit)
    return await erasure.of_member(gateway, who.merchant, id, forfeit=body.forfeit)


@own.post("/erasure", response_model=ErasureOut, responses=documented(*_FRESH, *_ERASING), summary="Be forgotten")
async def erase_own(gateway: InGateway, session: Freshly, response: Response, body: ErasureIn) -> dict[str, Any]:
    """By every merchant and by us, for ever; you are signed out everywhere. Points stay at your address, for whoever
    has its key."""
    noted = await erasure.of_person(gateway, session.customer, forfeit=body.forfeit)
    clear_cookie(response)
    return noted
