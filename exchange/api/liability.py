"""A programme's liability for its merchant's accountants, as JSON or CSV: what the chain alone says of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from exchange import errors, liability, merchants, subledger
from exchange.api.access import InGateway, requires
from exchange.api.forms import AsOf
from exchange.api.problems import documented
from exchange.api.statements import CSV, Format, table
from exchange.auth import Caller

router = APIRouter(prefix="/v1/merchants/{id}/liability", tags=["liability"])

Seeing = Annotated[Caller, requires(merchant="programme:read", operator="programme:read", auditor="programme:read")]

From = Annotated[date, Query(alias="from", description="First day (UTC).", examples=["2026-01-01"])]
To = Annotated[date, Query(description="First day after the period.", examples=["2027-01-01"])]
Per = Annotated[Literal["day", "month", "whole"], Query(description="One line for each day, month or the whole.")]
Block = Annotated[int | None, Query(ge=0, le=2**62, description="As of this block; of the newest if left out.")]


class LiabilityLine(BaseModel):
    """Signed: `opening` + all movements = `outstanding`, in points, and `opening_margin` + all movements = `margin`, in
    settlement tokens. Lines of adjoining periods sum to the line of both."""

    start: date
    end: date = Field(description="First day after the period.")
    closed: bool = Field(description="A later block is known: no block can be added to the period.")
    block: int | None = Field(description="The period's last block that is known; none before the deployment.")
    block_hash: str | None
    opening: str
    earned: str = Field(description="For purchases and opening balances.")
    swapped_in: str
    redeemed: str
    swapped_out: str
    given: str
    expired: str = Field(description="Burned after they died of inactivity.")
    clawed_back: str = Field(description="Taken back for refunds.")
    outstanding: str
    opening_margin: str
    deposited: str
    withdrawn: str
    swaps_received: str = Field(description="For points that were swapped in, less the network's fee.")
    swaps_paid: str
    gifts: str
    matches: str = Field(description="What the programme as a sponsor added to gifts.")
    fees: str = Field(description="The network's fees, if the programme is the account that gets them.")
    margin: str
    bid: str | None = Field(description="Per point, of the quote in force at the end; null if none was.")
    outstanding_at_bid: str | None = Field(description="Settlement tokens, rounded down.")
    cover: str | None = Field(description="margin / outstanding_at_bid, rounded down.")
    mature_months: int = Field(description="Months of issue whose points could all have expired by the end.")
    expected_redemption: str | None = Field(
        description="Of the points issued in mature months, the share that did not expire, rounded up; null while"
        f" there are fewer than {liability.FEWEST_MONTHS} of them, which is too little history."
    )


class Liability(BaseModel):
    """Derived from events of the chain alone: `points audit liability` makes the same lines, byte for byte."""

    programme: str
    per: Literal["day", "month", "whole"]
    lines: list[LiabilityLine]
    final: bool = Field(description="No block of the periods, nor the one after them, can leave the chain any more.")
    as_of: AsOf | None


_ANSWERS = documented(
    errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.InvalidRequest, errors.InvalidPeriod,
    errors.PeriodTooLong, errors.BlockNotReached, errors.MirrorUnavailable,
)  # fmt: skip


@router.get("", response_model=Liability, responses=_ANSWERS, summary="What is owed in points, and what covers it")
async def of_chain(
    gateway: InGateway,
    who: Seeing,
    id: UUID,
    start: From,
    to: To,
    per: Per = "month",
    block: Block = None,
    format: Format = "json",
) -> Response:
    """At most 400 lines. With the same `block` it is the same answer for ever, but for `final` and `finalized_block`.
    In CSV it is the lines alone."""
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    async with gateway.database.transaction(who.tenant) as sql:
        made = await subledger.liability(sql, merchant, start, to, per, block=block)
    return answer(made, liability.COLUMNS, format)


def answer(made: dict[str, Any], columns: tuple[str, ...], format: str) -> Response:
    if format == "csv":
        lines = [{name: str(value).lower() if isinstance(value, bool) else value for name, value in line.items()}
                 for line in made["lines"]]  # fmt: skip
        return Response(table(columns, lines, header=True), media_type=CSV)
    return Response(msgspec.json.encode(made), media_type="application/json")
