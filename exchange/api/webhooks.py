"""A merchant's endpoints for webhooks, and what was delivered to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from exchange import endpoints, errors
from exchange.api.access import InGateway, merchant_with
from exchange.api.forms import Form
from exchange.api.problems import documented
from exchange.merchant import Merchant
from exchange.webhooks.kinds import KINDS, NAMES

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

Reading = Annotated[Merchant, merchant_with("webhooks:read")]
Writing = Annotated[Merchant, merchant_with("webhooks:write")]

EventName = Annotated[Literal[NAMES], Field(examples=["purchase.final"])]  # type: ignore[valid-type]


class WebhookIn(Form):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://shop.example/points", "events": ["purchase.final"]}]}
    )

    url: str = Field(strict=True, max_length=2_000, description="https, of a public address.")
    events: list[EventName] = Field(
        min_length=1, description=" ".join(f"`{kind.name}`: {kind.meaning}" for kind in KINDS)
    )


class WebhookOut(BaseModel):
    """`failing`: the last delivery failed and is tried again. `disabled`: nothing is sent, `reason` says why."""

    id: UUID
    url: str
    events: list[str]
    status: Literal["enabled", "failing", "disabled"]
    reason: str | None
    failing_since: datetime | None
    created_at: datetime


class WebhookMade(WebhookOut):
    secret: str = Field(description="Shown once: the key of the signatures, as Standard Webhooks writes it.")


class WebhooksOut(BaseModel):
    webhooks: list[WebhookOut]


class Delivery(BaseModel):
    """`next_at` is when it is sent next; null once it is delivered. `data` is what the payload says."""

    event: UUID
    webhook_id: str
    type: str
    data: dict[str, Any]
    created_at: datetime
    delivered_at: datetime | None
    next_at: datetime | None
    tries: int
    status: int | None = Field(description="The endpoint's last answer.")
    failure: str | None


class Deliveries(BaseModel):
    deliveries: list[Delivery]
    next: UUID | None


_ACCESS = (errors.Unauthenticated, errors.Forbidden)
_ONE = documented(*_ACCESS, errors.WebhookNotFound)


@router.post(
    "",
    status_code=201,
    response_model=WebhookMade,
    responses=documented(
        *_ACCESS,
        errors.InvalidRequest,
        errors.WebhookUrlRefused,
        errors.WebhookAddressRefused,
        errors.TooManyWebhooks,
    ),
    summary="Add an endpoint",
)
async def add(gateway: InGateway, merchant: Writing, body: WebhookIn) -> dict[str, Any]:
    """It is told what happens from now on, at least once, with `webhook-id`, `webhook-timestamp` and
    `webhook-signature` (HMAC-SHA256, standardwebhooks.com). Answer 2xx within ten seconds; anything else, a redirect
    among it, is tried again for days. Payloads name ids and amounts, nobody's data."""
    return await endpoints.add(gateway, merchant, url=body.url, events=body.events)


@router.get("", response_model=WebhooksOut, responses=documented(*_ACCESS), summary="All endpoints")
async def every(gateway: InGateway, merchant: Reading) -> dict[str, Any]:
    async with gateway.database.reading(merchant.id) as sql:
        return {"webhooks": await endpoints.every(sql, merchant)}


@router.get("/{id}", response_model=WebhookOut, responses=_ONE, summary="An endpoint")
async def one(gateway: InGateway, merchant: Reading, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading(merchant.id) as sql:
        return await endpoints.find(sql, merchant, id)


@router.delete("/{id}", status_code=204, responses=_ONE, summary="Remove an endpoint")
async def remove(gateway: InGateway, merchant: Writing, id: UUID) -> Response:
    async with gateway.database.transaction(merchant.id) as sql:
        await endpoints.remove(sql, merchant, id)
    return Response(status_code=204)


@router.post("/{id}/enable", response_model=WebhookOut, responses=_ONE, summary="Enable an endpoint again")
async def enable(gateway: InGateway, merchant: Writing, id: UUID) -> dict[str, Any]:
    """What waited for it is sent now. Events are kept for thirty-five days."""
    async with gateway.database.transaction(merchant.id) as sql:
        return await endpoints.enable(sql, merchant, id)


@router.get("/{id}/deliveries", response_model=Deliveries, responses=_ONE, summary="What was sent to an endpoint")
async def deliveries(
    gateway: InGateway,
    merchant: Reading,
    id: UUID,
    before: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    undelivered: Annotated[bool, Query(description="Only what is still to be delivered.")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Newest first."""
    async with gateway.database.reading(merchant.id) as sql:
        return await endpoints.deliveries(sql, merchant, id, before=before, undelivered=undelivered, limit=limit)


@router.post(
    "/{id}/deliveries/{event}/redeliver", status_code=202, responses=_ONE, summary="Send an event to an endpoint again"
)
async def redeliver(gateway: InGateway, merchant: Writing, id: UUID, event: UUID) -> Response:
    """With the same `webhook-id`."""
    async with gateway.database.transaction(merchant.id) as sql:
        await endpoints.redeliver(sql, merchant, id, event)
    return Response(status_code=202)
