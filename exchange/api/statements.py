"""A programme's settlement statements, as JSON or CSV, and every movement behind them as a stream."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from exchange import errors, merchants, statements
from exchange.api.access import InGateway, requires
from exchange.api.forms import AsOf
from exchange.api.problems import documented
from exchange.auth import Caller
from exchange.statements import Period

router = APIRouter(prefix="/v1/merchants/{id}/statement", tags=["statements"])

Seeing = Annotated[Caller, requires(merchant="programme:read", operator="programme:read", auditor="programme:read")]

CSV = "text/csv; charset=utf-8"
LINES = "application/x-ndjson"

Start = Annotated[date, Query(description="First day (UTC).", examples=["2026-11-01"])]
End = Annotated[date, Query(description="First day after the period.", examples=["2026-12-01"])]
Format = Annotated[Literal["json", "csv"], Query()]


class StatementLine(BaseModel):
    """`fee` is what the network kept of swaps into the programme: `received` is without it."""

    kind: Literal["deposit", "withdrawal", "swap.paid", "swap.received", "gift", "match", "fee"]
    partner: str | None = Field(description="The other programme, or the charity.")
    slug: str | None
    count: int
    points: str
    received: str
    paid: str
    fee: str


class Shortfalls(BaseModel):
    """Points that refunds could not take back and that later purchases offset: what of them came in the period,
    was offset, was owed again, and what was outstanding at its end."""

    incurred: str
    offset: str
    restored: str
    outstanding: str


class Statement(BaseModel):
    """`opening_margin` + `received` - `paid` = `closing_margin`, in settlement tokens, to the last digit."""

    merchant: str
    programme: str
    start: date
    end: date
    opening_margin: str
    received: str
    paid: str
    closing_margin: str
    lines: list[StatementLine]
    shortfalls: Shortfalls = Field(description="In points; none unless the programme's terms offset them.")
    final: bool = Field(description="No block of the period can leave the chain any more.")
    as_of: AsOf | None


_ANSWERS = documented(
    errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.InvalidRequest, errors.InvalidPeriod,
    errors.TooManyStreams, errors.MirrorUnavailable,
)  # fmt: skip


@router.get("", response_model=Statement, responses=_ANSWERS, summary="A period's statement, by partner")
async def statement(
    gateway: InGateway, who: Seeing, id: UUID, start: Start, end: End, format: Format = "json"
) -> Response | dict[str, Any]:
    """In CSV the first and last lines are the opening and the closing margin."""
    period = Period(start, end)
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    async with gateway.database.transaction(who.tenant) as sql:
        made = await statements.summary(sql, merchant, period)
    if format == "json":
        return made
    margins = [dict.fromkeys(statements.SUMMARY, "") | {"kind": name, "received": made[f"{name}_margin"]}
               for name in ("opening", "closing")]  # fmt: skip
    lines = [margins[0], *made["lines"], margins[1]]
    return Response(table(statements.SUMMARY, lines, header=True), media_type=CSV)


@router.get(
    "/movements",
    response_class=StreamingResponse,
    responses=_ANSWERS,
    summary="Every movement of the margin in a period",
)
async def movements(
    gateway: InGateway, who: Seeing, id: UUID, start: Start, end: End, format: Format = "json"
) -> StreamingResponse:
    """In the chain's order, each with the margin after it; a line of JSON or of CSV each. The stream is of one moment
    and is given up if it is not read for a minute."""
    period = Period(start, end)
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
    found = statements.movements(gateway, who.tenant, merchant, period)
    first = [row async for row in _first(found)]  # whatever refuses, refuses before the answer begins
    if format == "csv":
        head = table(statements.EACH, first, header=True)
        return StreamingResponse(
            _chunks(head, found, lambda page: table(statements.EACH, page, header=False)), media_type=CSV
        )
    return StreamingResponse(_chunks(_lines(first), found, _lines), media_type=LINES)


async def _first(found: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    async for row in found:
        yield row
        return


async def _chunks(
    head: bytes, found: AsyncIterator[dict[str, Any]], write: Callable[[Sequence[dict[str, Any]]], bytes]
) -> AsyncIterator[bytes]:
    yield head
    page: list[dict[str, Any]] = []
    async for row in found:
        page.append(row)
        if len(page) == 500:
            yield write(page)
            page = []
    yield write(page)


def _lines(page: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in page)


def table(columns: Sequence[str], lines: Iterable[dict[str, Any]], *, header: bool) -> bytes:
    """Our own words, slugs, addresses and amounts: nothing that a spreadsheet would take for a formula."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    if header:
        writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()
