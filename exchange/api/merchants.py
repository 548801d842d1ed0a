"""Onboarding and running merchants, and the public list of programmes."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from uuid_utils.compat import uuid7

from contracts.bindings import Limits, Quote
from exchange import errors, history, idempotency, markets, merchants, owner, points
from exchange.api.access import Fingerprint, InGateway, NeededKey, OptionalKey, public, requires
from exchange.api.forms import Address, AsOf, Decimal, Form, Hex, Name, Seconds, Slug
from exchange.api.keys import KeyShown
from exchange.api.problems import documented
from exchange.auth import Caller
from exchange.gateway import Gateway
from exchange.hexes import address
from exchange.intents import parsed_signature
from exchange.merchant import Merchant
from exchange.merchants import Application
from exchange.owner import OwnSignature

router = APIRouter(prefix="/v1/merchants", tags=["merchants"])
programmes = APIRouter(prefix="/v1/programmes", tags=["programmes"])

Pricing = Annotated[Caller, requires(merchant="programme:write", operator="programme:write")]

YEAR = 365 * 86_400
LARGEST_ENTRY = 10**15
"""Base units: what a purchase can store with room to spare."""


PinFrom = Annotated[
    Decimal | Literal["never"],
    Field(description='Points from which a card customer\'s PIN is asked for: "0" is always, or "never".'),
]


class QuoteIn(Form):
    """What the programme pays (`bid`) and charges (`ask`) per point, in settlement tokens."""

    bid: Decimal = Field(examples=["0.0098"])
    ask: Decimal = Field(examples=["0.0100"])
    valid_for: int = Field(default=YEAR, ge=60, le=10 * YEAR, description="Seconds from now.")
    daily_cap: Decimal = Field(default="1000000", description="Settlement tokens that may leave the margin in a day.")

    def quote(self, now: int, until: int | None = None) -> Quote:
        return Quote(
            bid=points.price(self.bid, name="bid"),
            ask=points.price(self.ask, name="ask"),
            until=now + self.valid_for if until is None else until,
            cap=points.settlement(self.daily_cap, name="daily_cap", largest=points.LARGEST_UINT88),
        )


class LimitsIn(Form):
    """Bounds on issuance, in points, for ever: the bucket starts full and refills by the second."""

    supply_cap: Decimal = "1000000000000"
    entry_cap: Decimal = "1000000"
    bucket: Decimal = "1000000000"
    refill_per_second: Decimal = "100000"

    def limits(self) -> Limits:
        return Limits(
            supply_cap=points.points(self.supply_cap, name="limits.supply_cap"),
            entry_cap=points.points(self.entry_cap, name="limits.entry_cap", largest=LARGEST_ENTRY),
            bucket=points.points(self.bucket, name="limits.bucket"),
            refill=points.points(self.refill_per_second, name="limits.refill_per_second"),
        )


ReturnWindow = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=365,
        description="Days from a sale in which it may be returned: its points are minted after them.",
    ),
]
OffsetShortfalls = Annotated[
    bool,
    Field(strict=True, description="Whether points that a refund could not take back lower what is earned later."),
]


class MerchantIn(Form):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "slug": "corner-grocer",
                    "name": "Corner Grocer",
                    "symbol": "GROC",
                    "currency": "USD",
                    "points_per_unit": "1",
                    "quote": {"bid": "0.0098", "ask": "0.0100"},
                    "margin": "250000.00",
                }
            ]
        }
    )

    slug: Slug
    name: Name = Field(description="At most 31 bytes of UTF-8: it is the token's name.")
    symbol: Name
    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
    points_per_unit: Decimal = Field(default="1", description="Points earned per unit of the currency.")
    return_window: ReturnWindow = 0
    offset_shortfalls: OffsetShortfalls = False
    quote: QuoteIn | None = None
    margin: Decimal = "0"
    limits: LimitsIn = LimitsIn()
    owner: Address | None = Field(default=None, description="An address of your own; else a key is kept for you.")
    pin_from: PinFrom = "0"
    partners: list[Slug] = Field(default=[], max_length=100, description="Slugs to open the pair with, both ways.")

    def application(self, now: int) -> Application:
        return Application(
            slug=self.slug,
            name=self.name,
            symbol=self.symbol,
            currency=self.currency,
            rate_millionths=points.earning_rate(self.points_per_unit, digits=points.minor_digits(self.currency)),
            return_window=self.return_window,
            offsets=self.offset_shortfalls,
            quote=None if self.quote is None else self.quote.quote(now),
            margin=points.settlement(self.margin, name="margin", zero=True),
            limits=self.limits.limits(),
            owner=None if self.owner is None else address(self.owner, name="owner"),
            partners=tuple(dict.fromkeys(self.partners)),
            pin_from=None if self.pin_from == "never" else points.points(self.pin_from, name="pin_from", zero=True),
        )


class MerchantOut(BaseModel):
    id: UUID
    slug: str
    name: str
    symbol: str
    currency: str
    programme: str = Field(description="The token's address, known before it is deployed.")
    owner: str
    issuer: str
    status: Literal["pending", "active", "refused"]
    reason: str | None = None


class MerchantCreated(MerchantOut):
    api_key: str | None = Field(description="Shown once; null when the request is repeated.")


class QuoteOut(BaseModel):
    bid: str
    ask: str
    until: int
    daily_cap: str
    valid: bool


class ProgrammeOut(BaseModel):
    programme: str
    slug: str | None
    name: str
    symbol: str
    supply: str
    margin: str
    coverage: str | None = Field(description="Margin over the worth of the whole supply at the bid.")
    quote: QuoteOut | None
    partners: list[str] = Field(description="Programmes with which the pair is open both ways.")


class Terms(BaseModel):
    points_per_unit: str
    return_window: int
    offset_shortfalls: bool


class TermsIn(Form):
    """What is left out stays as it is."""

    points_per_unit: Decimal | None = None
    return_window: ReturnWindow | None = None
    offset_shortfalls: OffsetShortfalls | None = None

    def changes(self, merchant: Merchant) -> dict[str, Any]:
        found: dict[str, Any] = {"return_window": self.return_window, "offsets": self.offset_shortfalls}
        if self.points_per_unit is not None:
            found["rate_millionths"] = points.earning_rate(self.points_per_unit, digits=merchant.minor_digits)
        return {name: value for name, value in found.items() if value is not None}


class MerchantShown(MerchantOut, Terms):
    keys: list[KeyShown]
    market: ProgrammeOut | None
    as_of: AsOf | None


class Programmes(BaseModel):
    programmes: list[ProgrammeOut]
    as_of: AsOf | None


class OwnSigned(Form):
    """For owners that keep their own key: the signature over what the refusal showed, and its nonce."""

    nonce: Annotated[int, Field(strict=True, ge=0, lt=2**64)] | None = None
    signature: Hex | None = None

    def own(self) -> OwnSignature | None:
        if self.signature is None or self.nonce is None:
            return None
        return OwnSignature(self.nonce, parsed_signature(bytes.fromhex(self.signature[2:])))


class QuotePut(QuoteIn, OwnSigned):
    until: Seconds | None = Field(default=None, description="Instead of valid_for.")


class PartnerPut(OwnSigned):
    allowed: bool = Field(strict=True)


class MarginIn(Form):
    amount: Decimal = Field(description="Settlement tokens.", examples=["1000.00"])


class Accepted(BaseModel):
    """It is queued; the programme shows it once it is on the chain."""

    status: Literal["accepted"] = "accepted"


_OPERATOR = (errors.Unauthenticated, errors.Forbidden, errors.InvalidRequest)
_OWN = (*_OPERATOR, errors.MerchantNotFound, errors.OwnerSignatureNeeded, errors.BadSignature, errors.InvalidAmount)


@router.post(
    "",
    status_code=201,
    response_model=MerchantCreated,
    responses=documented(
        *_OPERATOR, errors.MerchantExists, errors.InvalidAmount, errors.AmountTooLarge, errors.IdempotencyKeyReused,
        errors.OperatorNotReady,
    ),
    summary="Onboard a merchant",
)  # fmt: skip
async def onboard(
    gateway: InGateway,
    who: Annotated[Caller, requires(operator="merchants:write")],
    key: OptionalKey,
    fingerprint: Fingerprint,
    body: MerchantIn,
) -> dict[str, Any]:
    """Makes its keys and its first API key, and queues its programme, quote, consents and margin."""
    application = body.application(gateway.now())
    async with gateway.database.transaction(who.tenant) as sql:
        id = uuid7()
        if key is not None:
            claim = await idempotency.claim(sql, scope=who.scope, key=key, fingerprint=fingerprint, subject=id)
            if not claim.first:
                return merchants.created(await merchants.find(sql, claim.subject or ""), None)
        merchant, api_key = await merchants.onboard(gateway, sql, application, id=id)
    return merchants.created(merchant, api_key)


@router.get(
    "/{id}",
    response_model=MerchantShown,
    responses=documented(errors.Unauthenticated, errors.Forbidden, errors.MerchantNotFound, errors.MirrorUnavailable),
    summary="A merchant and its programme",
)
async def one(
    gateway: InGateway,
    who: Annotated[Caller, requires(merchant="programme:read", operator="programme:read", auditor="programme:read")],
    id: UUID,
) -> dict[str, Any]:
    async with gateway.database.reading(who.tenant) as sql:
        return await merchants.show(gateway, sql, await merchants.allowed(sql, who, id))


@router.patch(
    "/{id}/terms",
    response_model=Terms,
    responses=documented(*_OPERATOR, errors.MerchantNotFound, errors.InvalidAmount, errors.AmountTooLarge),
    summary="Change what purchases earn, and when",
)
async def change_terms(gateway: InGateway, who: Pricing, id: UUID, body: TermsIn) -> dict[str, Any]:
    """Of purchases accepted from now on: those accepted before keep the terms that they were made under."""
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        return merchants.terms(merchant, await merchants.change_rule(sql, merchant, body.changes(merchant)))


@router.put("/{id}/quote", status_code=202, responses=documented(*_OWN), summary="Post a quote")
async def put_quote(gateway: InGateway, who: Pricing, id: UUID, body: QuotePut) -> Accepted:
    quote = body.quote(gateway.now(), body.until)
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        await owner.post_quote(gateway, sql, merchant, quote, own=body.own())
    return Accepted()


@router.put(
    "/{id}/partners/{partner}",
    status_code=202,
    responses=documented(*_OWN, errors.ProgrammeNotFound),
    summary="Open or close a pair",
)
async def put_partner(gateway: InGateway, who: Pricing, id: UUID, partner: str, body: PartnerPut) -> Accepted:
    """One direction: the pair trades when both programmes have opened it."""
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        await merchants.consent(gateway, sql, merchant, partner, allowed=body.allowed, own=body.own())
    return Accepted()


@router.post(
    "/{id}/margin",
    status_code=202,
    responses=documented(
        *_OPERATOR,
        errors.MerchantNotFound,
        errors.InvalidAmount,
        errors.OperatorNotReady,
        errors.IdempotencyKeyReused,
        errors.IdempotencyKeyMissing,
    ),
    summary="Deposit margin",
)
async def add_margin(
    gateway: InGateway,
    who: Annotated[Caller, requires(operator="margin:write")],
    key: NeededKey,
    fingerprint: Fingerprint,
    id: UUID,
    body: MarginIn,
) -> Accepted:
    """From the operator's float into the programme's margin."""
    amount = points.settlement(body.amount, name="amount")
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        claim = await idempotency.claim(sql, scope=who.scope, key=key, fingerprint=fingerprint, subject=merchant.id)
        if claim.first:
            await merchants.deposit(gateway, sql, merchant, amount)
    return Accepted()


@programmes.get(
    "",
    dependencies=[public()],
    response_model=Programmes,
    responses=documented(errors.MirrorUnavailable),
    summary="All programmes",
)
async def every(gateway: InGateway) -> dict[str, Any]:
    """Public chain data: no key is needed."""
    return await _programmes(gateway)


async def _programmes(gateway: Gateway) -> dict[str, Any]:
    async with gateway.database.reading("public") as sql:
        snapshot = await markets.read(sql, now=gateway.now(), programmes=None)
        newest = await history.head(sql)
    return {
        "programmes": [merchants.offer(each, snapshot) for each in snapshot.programmes.values()],
        "as_of": history.as_of(newest),
    }
