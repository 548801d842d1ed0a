"""A programme's liability for its merchant's accountants, as JSON or CSV: what the chain alone says of it, and, apart
from that, the deferred revenue, which takes the merchant's own figures, too."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from exchange import errors, liability, merchants, points, revenue, subledger
from exchange.api.access import InGateway, requires
from exchange.api.forms import AsOf
from exchange.api.problems import documented
from exchange.api.statements import CSV, Format, table
from exchange.auth import Caller

router = APIRouter(prefix="/v1/merchants/{id}/liability", tags=["liability"])

Seeing = Annotated[Caller, requires(merchant="programme:read", operator="programme:read", auditor="programme:read")]

Accounting = Annotated[Caller, requires(merchant="programme:read", auditor="programme:read")]
"""Not the operator, who sees nobody's sales."""

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
    matured: str = Field(
        description="Points issued so long ago that all could have expired, but for those clawed back."
    )
    expected_redemption: str | None = Field(
        description="Of these, the share that did not expire, rounded up; null while they are of less than a year,"
        " which is too little history."
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


class DeferredRevenueLine(BaseModel):
    """In the merchant's currency: `opening` + `brought_forward` + `deferred` + `deferred_for_swaps` - `reversed` -
    `recognised` = `liability`, to the last digit. IFRS 15 B39-B47, illustrative example 52."""

    start: date
    end: date = Field(description="First day after the period.")
    closed: bool
    sales: str = Field(description="By the time of their acceptance.")
    refunds: str
    points_granted: str = Field(description="Promised for sales, and as opening balances.")
    points_returned: str = Field(description="That refunds take back.")
    opening: str
    brought_forward: str
    deferred: str = Field(description="Of `sales`, what is allocated to points by relative stand-alone selling prices.")
    deferred_for_swaps: str = Field(description="What was received for points swapped in.")
    reversed: str = Field(description="Of `refunds`, what had been allocated to points.")
    recognised: str = Field(description="As revenue, as points are used; `catch_up` is part of it.")
    catch_up: str = Field(description="What changed estimates make of points used before.")
    liability: str = Field(description="The contract liability at the end.")
    revenue: str = Field(description="sales - deferred - (refunds - reversed) + recognised.")
    points_expected: str = Field(description="Owed, promised ones too, and expected to be redeemed.")
    points_breakage: str = Field(description="Owed, and expected never to be.")
    stand_alone_price: str | None
    expected_redemption: str | None
    expected_by: Literal["merchant", "history", "caution"] | None = Field(
        description="The merchant's estimate; the programme's own history (`expected_redemption` of its liability); or"
        " caution: with too little history every point is expected to be redeemed."
    )


class DeferredRevenue(BaseModel):
    programme: str
    currency: str
    per: Literal["day", "month", "whole"]
    lines: list[DeferredRevenueLine]
    final: bool
    as_of: AsOf | None


Estimates = Annotated[
    list[Annotated[str, Field(pattern=revenue.PATTERN)]],
    Query(
        alias="estimate",
        min_length=1,
        max_length=100,
        description="Day, price, share: from that day on (the first: from the beginning) what a point that is sure to"
        " be redeemed would cost alone, in the merchant's currency, and the share of points that will be redeemed,"
        " if the merchant has an estimate of its own. Repeat it for every change.",
        examples=[["2026-01-01,0.10,0.85"]],
    ),
]
_DECIMAL: Final = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"
BroughtForward = Annotated[
    str | None, Query(pattern=_DECIMAL, description="Liability of the opening balances in the books before.")
]
SettlementPrice = Annotated[
    str | None, Query(pattern=_DECIMAL, description="Of a settlement token, in the merchant's currency.")
]


@router.get(
    "/deferred-revenue",
    response_model=DeferredRevenue,
    responses=documented(
        errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.InvalidRequest, errors.InvalidPeriod,
        errors.PeriodTooLong, errors.InvalidEstimate, errors.InvalidAmount, errors.AmountTooLarge,
        errors.SettlementPriceNeeded, errors.BlockNotReached, errors.MirrorUnavailable,
    ),
    summary="Revenue that points put off, by IFRS 15",
)  # fmt: skip
async def deferred_revenue(
    gateway: InGateway,
    who: Accounting,
    id: UUID,
    start: From,
    to: To,
    estimate: Estimates,
    per: Per = "month",
    brought_forward: BroughtForward = None,
    settlement_price: SettlementPrice = None,
    block: Block = None,
    format: Format = "json",
) -> Response:
    """From the chain, the merchant's purchases and refunds, and its estimates. Always reckoned from the programme's
    first day, so that periods follow on each other whichever are asked for."""
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    assumed = revenue.Assumed(
        revenue.estimates(estimate, digits=merchant.minor_digits),
        _money(brought_forward, digits=merchant.minor_digits),
        None
        if settlement_price is None
        else revenue.money_price(settlement_price, digits=merchant.minor_digits, name="settlement_price"),
    )
    async with gateway.database.transaction(who.tenant) as sql:
        made = await subledger.deferred_revenue(sql, merchant, start, to, per, assumed, block=block)
    return answer(made, revenue.COLUMNS, format)


def _money(text: str | None, *, digits: int) -> int:
    if text is None:
        return 0
    return points.parse(text, digits=digits, name="brought_forward", largest=points.LARGEST_UINT64, zero=True)


def answer(made: dict[str, Any], columns: tuple[str, ...], format: str) -> Response:
    if format == "csv":
        lines = [{name: str(value).lower() if isinstance(value, bool) else value for name, value in line.items()}
                 for line in made["lines"]]  # fmt: skip
        return Response(table(columns, lines, header=True), media_type=CSV)
    return Response(msgspec.json.encode(made), media_type="application/json")
