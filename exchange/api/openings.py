"""Bringing a programme's opening balances along, up to a thousand at once; `points import` sends whole files so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema
from pydantic.config import JsonDict

from exchange import errors, openings
from exchange.api.access import InGateway, merchant_with
from exchange.api.forms import Decimal, Form, Reference, answered
from exchange.api.problems import Problem, documented, from_validation
from exchange.api.purchases import PurchaseOut
from exchange.errors import ExchangeError
from exchange.merchant import Merchant
from exchange.openings import Opening

router = APIRouter(prefix="/v1/opening-balances", tags=["opening balances"])

_EXAMPLE: JsonDict = {"member": "card-900417", "points": "1250.00"}


class OpeningIn(Form):
    """What a member had before. Without a reference, the member's number is the balance's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    member: Reference
    points: Decimal
    reference: Reference | None = None


_ITEM: TypeAdapter[OpeningIn] = TypeAdapter(OpeningIn)


class OpeningsIn(Form):
    model_config = ConfigDict(json_schema_extra={"examples": [{"balances": [_EXAMPLE], "enrol": True}]})

    balances: list[Annotated[Any, WithJsonSchema(OpeningIn.model_json_schema())]] = Field(
        max_length=openings.LARGEST, description="Each is judged alone. None at all asks for `room` only."
    )
    enrol: bool = Field(default=False, strict=True, description="Make custodial customers of unknown members.")
    dry_run: bool = Field(default=False, strict=True, description="Judge, and store nothing.")

    def items(self) -> list[Opening | ExchangeError]:
        return [_opening(each) for each in self.balances]


def _opening(raw: object) -> Opening | ExchangeError:
    try:
        item = _ITEM.validate_python(raw)
    except ValidationError as error:
        return from_validation(error.errors(include_input=False, include_url=False))
    return Opening(item.member, item.points, item.reference)


class OpeningItem(BaseModel):
    """`known` was accepted before. A dry run shows no purchase."""

    status: Literal["accepted", "known", "refused"]
    enrolled: bool = False
    purchase: PurchaseOut | None = None
    problem: Problem | None = None


class OpeningsOut(BaseModel):
    """`results` in the order of the request. `room` is what the programme could issue before it, in points."""

    merchant: str
    accepted: int
    known: int
    refused: int
    room: str
    results: list[OpeningItem]


@router.post(
    "",
    response_model=OpeningsOut,
    responses=documented(
        errors.InvalidRequest, errors.Unauthenticated, errors.Forbidden, errors.RequestInFlight,
        errors.MirrorUnavailable,
    ),
    summary="Bring opening balances along",
)  # fmt: skip
async def bring(
    gateway: InGateway, merchant: Annotated[Merchant, merchant_with("openings:write")], body: OpeningsIn
) -> Response:
    """Each becomes a signed receipt and is minted like a purchase. Safe to repeat without a key: a reference has its
    effect once, for ever."""
    made = await openings.accept(gateway, merchant, items=body.items(), enrol=body.enrol, dry_run=body.dry_run)
    return answered(made)
