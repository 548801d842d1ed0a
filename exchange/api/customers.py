"""Enrolling customers, and what a customer or any holder has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange import customers, errors, expiry, feed, history, links, pins, shortfalls
from exchange.api.access import InGateway, merchant_with, public, requires
from exchange.api.forms import Address, AsOf, Form, LinkCode, Pin, Reference, answered
from exchange.api.problems import Problem, documented
from exchange.auth import Caller
from exchange.customers import Enrolment
from exchange.database import snapshot
from exchange.errors import ExchangeError, InvalidRequest
from exchange.gateway import Gateway
from exchange.hexes import address
from exchange.merchant import Merchant

router = APIRouter(prefix="/v1/customers", tags=["customers"])
holders = APIRouter(prefix="/v1/holders", tags=["holders"])

Enrolling = Annotated[Merchant, merchant_with("customers:write")]
Seeing = Annotated[Caller, requires(merchant="customers:read", operator="customers:read")]


class CustomerIn(Form):
    """Exactly one of `wallet` (its own address), `custodial` (we keep a key) and `link` (another's customer, by a
    code that was made for it)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"member": "card-900417", "custodial": True}]})

    member: Reference
    wallet: Address | None = None
    custodial: Literal[True] | None = None
    link: LinkCode | None = None
    pin: Pin | None = Field(default=None, description="For a new custodial customer, who chooses it at the till.")

    @model_validator(mode="after")
    def _one_way(self) -> CustomerIn:
        if sum(each is not None for each in (self.wallet, self.custodial, self.link)) != 1:
            raise ValueError("exactly one of wallet, custodial and link is needed")
        if self.pin is not None and self.custodial is None:
            raise ValueError("a PIN is for a custodial customer")
        return self

    async def enrolment(self, gateway: Gateway, merchant: Merchant) -> Enrolment:
        """Raises `InvalidAddress`, `PinTooEasy`."""
        wallet = None if self.wallet is None else address(self.wallet, name="wallet")
        pin = None if self.pin is None else await pins.hashed(gateway, merchant, self.pin)
        link = None if self.link is None else links.digest(gateway, self.link)
        return Enrolment(self.member, wallet, link, pin)


class CustomersIn(Form):
    customers: list[CustomerIn] = Field(min_length=1, max_length=customers.LARGEST)


class CustomerOut(BaseModel):
    """`id` is your own id of the customer, `customer` everywhere else: no other merchant has it."""

    id: UUID
    member: str | None
    holder: str = Field(description="The address that holds the points.")
    custody: Literal["wallet", "custodial", "passkey"]


class EnrolledItem(BaseModel):
    """Either the customer or the problem."""

    status: Literal["enrolled", "refused"]
    customer: CustomerOut | None = None
    problem: Problem | None = None


class EnrolledOut(BaseModel):
    """`results` in the order of the request."""

    enrolled: int
    refused: int
    results: list[EnrolledItem]


class Balance(BaseModel):
    programme: str
    slug: str | None
    name: str
    symbol: str
    points: str = Field(examples=["1234.56"], description="What has expired is not there any more.")
    expires_at: str | None = Field(description="When they are gone if the holder does nothing before.")


class Balances(BaseModel):
    """Programmes in which the holder has points."""

    holder: str
    balances: list[Balance]
    as_of: AsOf | None


class Unminted(BaseModel):
    """What the customer has with the asking merchant beside a balance."""

    programme: str
    pending: str = Field(description="Points of purchases that may still be returned: they are in no balance yet.")
    available_at: str | None = Field(description="When the first of them will be minted.")
    owed: str = Field(description="Points that a refund could not take back: later purchases earn less.")


class CustomerBalances(Balances):
    unminted: Unminted | None = Field(description="A merchant sees its own programme's, nobody else any.")


class Entry(BaseModel):
    """One change of one balance; `points` is signed."""

    programme: str
    name: str
    symbol: str
    kind: str
    points: str = Field(examples=["-5.00"])
    counterparty: str | None
    intent: str | None
    at: str
    block: int
    transaction: str | None
    status: Literal["confirmed", "final"]


class History(BaseModel):
    """Newest first. `next` goes into `before` for the following page; null at the end."""

    holder: str
    entries: list[Entry]
    next: str | None
    as_of: AsOf | None


_AUTH = (errors.Unauthenticated, errors.Forbidden, errors.InvalidRequest)
_READ = (errors.CustomerNotFound, errors.Unauthenticated, errors.Forbidden, errors.MirrorUnavailable)

Before = Annotated[str | None, Query(description="`next` of the page before.", max_length=40)]
Limit = Annotated[int, Query(ge=1, le=200)]
LastEvent = Annotated[
    str | None, Header(alias="Last-Event-ID", description="Of the last event seen: what followed it comes first.")
]


@router.post(
    "",
    status_code=201,
    response_model=CustomerOut,
    responses=documented(
        *_AUTH, errors.LinkCodeRefused, errors.MemberConflict, errors.InvalidAddress, errors.PinTooEasy
    ),
    summary="Enrol a customer",
)
async def enrol(gateway: InGateway, merchant: Enrolling, body: CustomerIn) -> dict[str, Any]:
    """Idempotent on your member number: enrolling the same member in the same way again gives the same answer, and
    changes no PIN. A wallet that another merchant enrolled before is the same customer, as is one whose link code you
    show; a card customer has otherwise an address of its own in your programme."""
    enrolment = await body.enrolment(gateway, merchant)
    async with gateway.database.transaction(merchant.id) as sql:
        [result] = await customers.enrol(gateway, sql, merchant, [enrolment])
        if isinstance(result, ExchangeError):
            raise result
    return result


@router.post("/bulk", response_model=EnrolledOut, responses=documented(*_AUTH), summary="Enrol up to 1,000 customers")
async def enrol_many(gateway: InGateway, merchant: Enrolling, body: CustomersIn) -> dict[str, Any]:
    """Each is judged alone; one that is refused harms no other. Idempotent like the single form."""
    if sum(each.pin is not None for each in body.customers) > pins.AT_ONCE:
        raise InvalidRequest(f"A request brings at most {pins.AT_ONCE} PINs.", field="customers")
    items: list[Enrolment | ExchangeError] = []
    for each in body.customers:
        try:
            items.append(await each.enrolment(gateway, merchant))
        except ExchangeError as error:
            items.append(error)
    async with gateway.database.transaction(merchant.id) as sql:
        results = await customers.enrol(gateway, sql, merchant, items)
    answers = [
        {"status": "refused", "problem": each.problem()}
        if isinstance(each, ExchangeError)
        else {"status": "enrolled", "customer": each}
        for each in results
    ]
    refused = sum(each["status"] == "refused" for each in answers)
    return {"enrolled": len(answers) - refused, "refused": refused, "results": answers}


@router.get("/{id}", response_model=CustomerOut, responses=documented(*_READ[:3]), summary="A customer")
async def one(gateway: InGateway, who: Seeing, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading(who.tenant) as sql:
        row = await customers.seen(sql, who, id)
    return customers.answer(row, row["reference"])


@router.get(
    "/{id}/balances", response_model=CustomerBalances, responses=documented(*_READ), summary="A customer's points"
)
async def balances(gateway: InGateway, who: Seeing, id: UUID) -> Response:
    async with gateway.database.reading(who.tenant) as sql:
        holder = bytes((await customers.seen(sql, who, id))["holder"])
    async with gateway.database.transaction(who.tenant) as sql:
        await snapshot(sql)
        found = await expiry.balances(sql, holder, now=gateway.now())
        found["unminted"] = None if who.merchant is None else await shortfalls.unminted(sql, who.merchant, holder)
    return answered(found)


@router.get("/{id}/history", response_model=History, responses=documented(*_READ), summary="A customer's history")
async def entries(gateway: InGateway, who: Seeing, id: UUID, before: Before = None, limit: Limit = 50) -> Response:
    async with gateway.database.reading(who.tenant) as sql:
        row = await customers.seen(sql, who, id)
        return answered(await history.history(sql, bytes(row["holder"]), before=before, limit=limit))


_PUBLIC = (errors.InvalidAddress, errors.MirrorUnavailable)


@holders.get(
    "/{holder}/balances",
    dependencies=[public()],
    response_model=Balances,
    responses=documented(*_PUBLIC),
    summary="An address's points",
)
async def holder_balances(gateway: InGateway, holder: str) -> Response:
    """Public chain data: no key is needed."""
    account = address(holder, name="holder")
    async with gateway.database.reading("public") as sql:
        return answered(await expiry.balances(sql, account, now=gateway.now()))


@holders.get(
    "/{holder}/events",
    dependencies=[public()],
    response_class=StreamingResponse,
    responses=documented(*_PUBLIC, errors.InvalidRequest, errors.TooManyStreams),
    summary="An address's history as it happens",
)
async def holder_events(gateway: InGateway, holder: str, last: LastEvent = None) -> StreamingResponse:
    """Server-sent events, public chain data: `ready` with where the stream begins (load the history after it, and
    nothing is missed), then an `entry` for each change of a balance as in the history. `rollback` says that blocks left
    the chain: forget what is above its `after_block`, for what is there instead follows. A comment comes every fifteen
    seconds; a stream ends after an hour, and is resumed with `Last-Event-ID`."""
    return await streamed(gateway, address(holder, name="holder"), last)


async def streamed(gateway: Gateway, holder: bytes, last: str | None) -> StreamingResponse:
    """A holder's events after the event `last`. Whatever refuses, refuses before the answer begins."""
    found = feed.events(gateway, holder, after=None if last is None else feed.position(last))
    first = await anext(found)

    async def stream() -> AsyncIterator[bytes]:
        yield first
        async for event in found:
            yield event

    return StreamingResponse(
        stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@holders.get(
    "/{holder}/history",
    dependencies=[public()],
    response_model=History,
    responses=documented(*_PUBLIC),
    summary="An address's history",
)
async def holder_entries(gateway: InGateway, holder: str, before: Before = None, limit: Limit = 50) -> Response:
    """Public chain data: no key is needed."""
    account = address(holder, name="holder")
    async with gateway.database.reading("public") as sql:
        return answered(await history.history(sql, account, before=before, limit=limit))
