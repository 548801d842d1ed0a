"""Charities and campaigns."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, Field

from exchange import charities, errors, idempotency, points
from exchange.api.access import Fingerprint, InGateway, OptionalKey, public, requires
from exchange.api.forms import Address, AsOf, Decimal, Form, Name, Slug, Text
from exchange.api.problems import documented
from exchange.auth import Caller
from exchange.hexes import address

router = APIRouter(prefix="/v1/charities", tags=["charities"])
campaigns = APIRouter(prefix="/v1/campaigns", tags=["charities"])

Naming = Annotated[Caller, requires(operator="charities:write")]

Stage = Literal["pending", "active", "refused"]


class CharityIn(Form):
    slug: Slug = Field(examples=["food-bank"])
    name: Name = Field(description="At most 31 bytes of UTF-8.", examples=["City Food Bank"])
    address: Address | None = Field(default=None, description="Its own; else a key is kept for it.")


class CharityOut(BaseModel):
    id: UUID
    slug: str
    name: str
    address: str
    status: Stage


class CharityShown(CharityOut):
    raised: str = Field(description="Settlement tokens given so far, with what sponsors added.")
    margin: str = Field(description="Of these, not yet withdrawn.")


class CharityRead(CharityShown):
    as_of: AsOf | None


class Charities(BaseModel):
    charities: list[CharityShown]
    as_of: AsOf | None


class CampaignIn(Form):
    charity: Slug = Field(examples=["food-bank"])
    title: Text = Field(examples=["A warm winter"])
    goal: Decimal = Field(description="Settlement tokens.", examples=["10000.00"])
    ends_at: AwareDatetime = Field(examples=["2027-03-01T00:00:00Z"])


class CampaignOut(BaseModel):
    number: int
    charity: str
    title: str
    goal: str
    ends_at: str
    status: Stage


class CampaignShown(CampaignOut):
    raised: str


class CampaignRead(CampaignShown):
    as_of: AsOf | None


class Campaigns(BaseModel):
    campaigns: list[CampaignShown]
    as_of: AsOf | None


_OPERATOR = (
    errors.Unauthenticated, errors.Forbidden, errors.InvalidRequest, errors.OperatorNotReady,
    errors.IdempotencyKeyReused,
)  # fmt: skip


@router.post(
    "",
    status_code=201,
    response_model=CharityOut,
    responses=documented(*_OPERATOR, errors.CharityExists, errors.InvalidAddress),
    summary="Register a charity",
)
async def register(
    gateway: InGateway, who: Naming, key: OptionalKey, fingerprint: Fingerprint, body: CharityIn
) -> dict[str, Any]:
    account = None if body.address is None else address(body.address, name="address")
    async with gateway.database.transaction(who.tenant) as sql:
        if key is not None:
            claim = await idempotency.find(sql, scope=who.scope, key=key, fingerprint=fingerprint)
            if claim is not None and claim.subject is not None:
                return await charities.stored(sql, claim.subject)
        made = await charities.register(gateway, sql, slug=body.slug, name=body.name, address=account)
        if key is not None:
            await idempotency.claim(sql, scope=who.scope, key=key, fingerprint=fingerprint, subject=UUID(made["id"]))
    return made


@router.get(
    "",
    dependencies=[public()],
    response_model=Charities,
    responses=documented(errors.MirrorUnavailable),
    summary="All charities",
)
async def every(gateway: InGateway) -> dict[str, Any]:
    async with gateway.database.reading("public") as sql:
        return await charities.charities(sql)


@router.get(
    dependencies=[public()],
    path="/{id}",
    response_model=CharityRead,
    responses=documented(errors.CharityNotFound, errors.MirrorUnavailable),
    summary="A charity and what it raised",
)
async def one(gateway: InGateway, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading("public") as sql:
        return await charities.charity(sql, id)


@campaigns.post(
    "",
    status_code=201,
    response_model=CampaignOut,
    responses=documented(*_OPERATOR, errors.CharityNotFound, errors.InvalidAmount),
    summary="Open a campaign",
)
async def open_campaign(
    gateway: InGateway, who: Naming, key: OptionalKey, fingerprint: Fingerprint, body: CampaignIn
) -> dict[str, Any]:
    goal = points.settlement(body.goal, name="goal")
    async with gateway.database.transaction(who.tenant) as sql:
        if key is not None:
            claim = await idempotency.claim(sql, scope=who.scope, key=key, fingerprint=fingerprint, subject=None)
            if not claim.first:
                return await charities.stored_campaign(sql, claim.outcome)
        made = await charities.open_campaign(
            gateway,
            sql,
            charity=body.charity,
            title=body.title,
            goal=goal,
            ends_at=int(body.ends_at.timestamp()),
        )
        if key is not None:
            await idempotency.keep(sql, scope=who.scope, key=key, outcome=made["number"])
    return made


@campaigns.get(
    "",
    dependencies=[public()],
    response_model=Campaigns,
    responses=documented(errors.MirrorUnavailable),
    summary="All campaigns",
)
async def every_campaign(gateway: InGateway) -> dict[str, Any]:
    async with gateway.database.reading("public") as sql:
        return await charities.campaigns(sql)


@campaigns.get(
    dependencies=[public()],
    path="/{number}",
    response_model=CampaignRead,
    responses=documented(errors.CampaignNotFound, errors.MirrorUnavailable),
    summary="A campaign and what it raised",
)
async def one_campaign(gateway: InGateway, number: Annotated[int, Path(ge=0, lt=2**63)]) -> dict[str, Any]:
    async with gateway.database.reading("public") as sql:
        return await charities.campaign(sql, number)
