"""A member's profile and consents, looking members up by e-mail or phone, and link codes."""

from __future__ import annotations

import datetime as dates
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange import customers, errors, links, personal
from exchange.api.access import InGateway, merchant_with
from exchange.api.customers import CustomerOut
from exchange.api.forms import Form, Text
from exchange.api.problems import documented
from exchange.database import Person
from exchange.merchant import Merchant
from exchange.personal import Consent, Owner

router = APIRouter(prefix="/v1/customers", tags=["personal data"])

Knowing = Annotated[Merchant, merchant_with("customers:profile")]
Enrolling = Annotated[Merchant, merchant_with("customers:write")]

Mail = Annotated[Text, Field(examples=["jane@example.com"])]
Phone = Annotated[Text, Field(description="With its country.", examples=["+1 415 555 0123"])]


class ProfileIn(Form):
    """What is left out is deleted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Jane Doe", "email": "jane@example.com", "birthday": "1984-02-29"}]}
    )

    name: Text | None = None
    email: Mail | None = None
    phone: Phone | None = None
    birthday: dates.date | None = None
    address: list[Text] | None = Field(default=None, max_length=8, description="Line by line.")


class ConsentIn(Form):
    """`version` is that of the text which the customer was shown. `granted: false` takes a consent back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"purpose": "newsletter", "version": "2026-01", "granted": True}]}
    )

    purpose: Text
    version: Text
    granted: bool = Field(strict=True)

    def mark(self) -> Consent:
        return Consent(self.purpose, self.version, self.granted)


class ConsentOut(BaseModel):
    purpose: str
    version: str
    granted: bool
    at: str


class ProfileOut(BaseModel):
    """`consents` are all marks, oldest first: the last one of a purpose holds."""

    customer: UUID
    name: str | None
    email: str | None
    phone: str | None
    birthday: dates.date | None
    address: list[str] | None
    consents: list[ConsentOut]


class Search(Form):
    """One of the two. It is a POST so that no address or number stands in a URL."""

    email: Mail | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _one(self) -> Search:
        if (self.email is None) == (self.phone is None):
            raise ValueError("exactly one of email and phone is needed")
        return self


class FoundOut(BaseModel):
    customers: list[CustomerOut]


class LinkCodesIn(Form):
    customers: list[UUID] = Field(min_length=1, max_length=links.LARGEST)


class LinkCodeOut(BaseModel):
    """Shown once. Whoever shows it to another merchant makes the customer a member there."""

    customer: UUID
    code: str = Field(examples=["7KQ2-M4TX-91BC"])
    expires_at: dates.datetime


class LinkCodesOut(BaseModel):
    """In the order of the request."""

    codes: list[LinkCodeOut]


_ACCESS = (errors.Unauthenticated, errors.Forbidden, errors.InvalidRequest)
_ONE = documented(*_ACCESS, errors.CustomerNotFound)


@router.post("/find", response_model=FoundOut, responses=documented(*_ACCESS), summary="Customers by e-mail or phone")
async def find(gateway: InGateway, merchant: Knowing, body: Search) -> dict[str, Any]:
    """Of your own members. Letters' case, blanks and hyphens do not matter."""
    async with gateway.database.transaction(merchant.id) as sql:
        if body.email is not None:
            ids = await personal.find(gateway, sql, merchant, "email", body.email)
        else:
            ids = await personal.find(gateway, sql, merchant, "phone", body.phone or "")
        return {"customers": await customers.shown(sql, merchant, ids)}


@router.post("/link-codes", response_model=LinkCodesOut, responses=_ONE, summary="Codes to share customers by")
async def link_codes(gateway: InGateway, merchant: Enrolling, body: LinkCodesIn) -> dict[str, Any]:
    """With a code another merchant enrols the same customer (`link`), within ten minutes and once. A card customer's
    points are then at one address in both programmes, and can be swapped; the address is public, so who knows both
    merchants' customers can tell that they are one."""
    async with gateway.database.transaction(merchant.id) as sql:
        codes = await links.of_members(gateway, sql, merchant, body.customers)
    pairs = zip(body.customers, codes, strict=True)
    return {"codes": [{"customer": id, "code": each.code, "expires_at": each.expires_at} for id, each in pairs]}


async def _read(gateway: InGateway, merchant: Merchant, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading(merchant.id) as sql:
        person = await personal.person_of(sql, merchant, id)
    async with gateway.database.transaction(Person(person)) as sql:
        return {"customer": id, **await personal.read(gateway, sql, Owner(merchant.id, id))}


@router.get("/{id}/profile", response_model=ProfileOut, responses=_ONE, summary="A customer's profile")
async def read(gateway: InGateway, merchant: Knowing, id: UUID) -> dict[str, Any]:
    return await _read(gateway, merchant, id)


@router.put("/{id}/profile", response_model=ProfileOut, responses=_ONE, summary="Keep a customer's profile")
async def put(gateway: InGateway, merchant: Knowing, id: UUID, body: ProfileIn) -> dict[str, Any]:
    """Encrypted under a key of this customer's; no other merchant sees it."""
    async with gateway.database.reading(merchant.id) as sql:
        person = await personal.person_of(sql, merchant, id)
    async with gateway.database.transaction(Person(person)) as sql:
        owner = Owner(merchant.id, id)
        await personal.put(gateway, sql, owner, body.model_dump(mode="json"))
        return {"customer": id, **await personal.read(gateway, sql, owner)}


@router.delete("/{id}/profile", status_code=204, responses=_ONE, summary="Delete a customer's profile")
async def delete(gateway: InGateway, merchant: Knowing, id: UUID) -> Response:
    """With all consents, and the key that they were encrypted under. The customer stays a member."""
    async with gateway.database.reading(merchant.id) as sql:
        person = await personal.person_of(sql, merchant, id)
    async with gateway.database.transaction(Person(person)) as sql:
        await personal.destroy(sql, Owner(merchant.id, id))
    return Response(status_code=204)


@router.post(
    "/{id}/consents", status_code=201, response_model=ProfileOut, responses=_ONE, summary="Note a customer's consent"
)
async def consent(gateway: InGateway, merchant: Knowing, id: UUID, body: ConsentIn) -> dict[str, Any]:
    """With the time. Earlier marks stay."""
    async with gateway.database.reading(merchant.id) as sql:
        person = await personal.person_of(sql, merchant, id)
    async with gateway.database.transaction(Person(person)) as sql:
        owner = Owner(merchant.id, id)
        await personal.consent(gateway, sql, owner, body.mark())
        return {"customer": id, **await personal.read(gateway, sql, owner)}
