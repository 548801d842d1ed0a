"""API keys: made, listed, revoked. A merchant's own, and those of operators and auditors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange import auth, errors, merchants
from exchange.api.access import InGateway, requires
from exchange.api.forms import Form, Text
from exchange.api.problems import documented
from exchange.auth import Caller, Grant
from exchange.gateway import Gateway
from exchange.scopes import Preset, Role, Scope, require_held, require_of_role, scopes_of

router = APIRouter(prefix="/v1/merchants/{id}/keys", tags=["keys"])
own = APIRouter(prefix="/v1/keys", tags=["keys"])

LONGEST = 10 * 365 * 86_400


class KeyIn(Form):
    """Exactly one of `scopes` and `preset` says what the key may do."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"preset": "till", "expires_in": 31_536_000}]})

    scopes: list[Scope] | None = Field(default=None, min_length=1, max_length=50)
    preset: Preset | None = Field(
        default=None,
        description="till: report, refund and take points; shop: also act for card customers; reader: change nothing.",
    )
    expires_in: int | None = Field(
        default=None, ge=1, le=LONGEST, strict=True, description="Seconds from now; else as long as the key used here."
    )
    label: Text | None = Field(default=None, description="For people.", examples=["till 7, Main Street"])

    @model_validator(mode="after")
    def _one_way(self) -> KeyIn:
        if (self.scopes is None) == (self.preset is None):
            raise ValueError("exactly one of scopes and preset is needed")
        return self

    def wanted(self, role: Role) -> frozenset[Scope]:
        """Raises `InvalidRequest` for a scope that is not of the role."""
        scopes = frozenset(self.scopes or ()) if self.preset is None else scopes_of(self.preset, role)
        require_of_role(scopes, role)
        return scopes


class OwnKeyIn(KeyIn):
    role: Literal["operator", "auditor"]


class KeyOut(BaseModel):
    api_key: str = Field(description="Shown once.")
    prefix: str = Field(description="Names the key from now on.")
    scopes: list[Scope]
    expires_at: datetime | None


class KeyShown(BaseModel):
    prefix: str
    role: Role
    label: str | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Keys(BaseModel):
    keys: list[KeyShown]


_ACCESS = (errors.Unauthenticated, errors.Forbidden, errors.InvalidRequest)

OfMerchant = Annotated[Caller, requires(merchant="keys:write", operator="merchants:write")]
OfOperator = Annotated[Caller, requires(operator="keys:write")]


async def _make(gateway: Gateway, who: Caller, body: KeyIn, role: Role, merchant_id: UUID | None) -> KeyOut:
    scopes = body.wanted(role)
    if not (who.role == "operator" and role == "merchant"):
        # The operator, who has no purchases or customers, hands out merchants' keys by a scope of its own.
        require_held(scopes, who.scopes)
    until = auth.expiry(who, now=gateway.now(), expires_in=body.expires_in)
    async with gateway.database.transaction(who.tenant) as sql:
        if merchant_id is not None:
            merchant_id = (await merchants.allowed(sql, who, merchant_id)).id
        key = await auth.store_key(sql, gateway.settings, Grant(role, merchant_id, scopes, body.label, until))
    return KeyOut(api_key=key, prefix=auth.prefix_of(key), scopes=sorted(scopes), expires_at=until)


@router.post(
    "",
    status_code=201,
    responses=documented(*_ACCESS, errors.MerchantNotFound),
    summary="Make an API key of a merchant",
)
async def make(gateway: InGateway, who: OfMerchant, id: UUID, body: KeyIn) -> KeyOut:
    """A merchant's key gives at most the scopes and the life that it has itself."""
    return await _make(gateway, who, body, "merchant", id)


@router.get(
    "",
    response_model=Keys,
    responses=documented(*_ACCESS[:2], errors.MerchantNotFound),
    summary="A merchant's API keys, without their secrets",
)
async def every(
    gateway: InGateway,
    who: Annotated[Caller, requires(merchant="keys:read", operator="keys:read", auditor="keys:read")],
    id: UUID,
) -> dict[str, Any]:
    async with gateway.database.reading(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        return {"keys": await auth.keys(sql, merchant.id)}


@router.delete(
    "/{prefix}",
    status_code=204,
    responses=documented(*_ACCESS, errors.MerchantNotFound, errors.ApiKeyNotFound),
    summary="Revoke an API key of a merchant",
)
async def revoke(gateway: InGateway, who: OfMerchant, id: UUID, prefix: str) -> Response:
    """At once: the next request with it is refused. Keys that it made live on; the list shows when each was made."""
    async with gateway.database.transaction(who.tenant) as sql:
        merchant = await merchants.allowed(sql, who, id)
        await auth.revoke_key(sql, merchant_id=merchant.id, prefix=prefix)
    return Response(status_code=204)


@own.post("", status_code=201, responses=documented(*_ACCESS), summary="Make an operator's or an auditor's API key")
async def make_own(gateway: InGateway, who: OfOperator, body: OwnKeyIn) -> KeyOut:
    """An operator's key gives at most the scopes and the life that it has itself. An auditor reads and changes
    nothing, and sees no customers."""
    return await _make(gateway, who, body, body.role, None)


@own.get("", response_model=Keys, responses=documented(*_ACCESS[:2]), summary="Operators' and auditors' API keys")
async def every_own(
    gateway: InGateway, who: Annotated[Caller, requires(operator="keys:read", auditor="keys:read")]
) -> dict[str, Any]:
    """Without their secrets."""
    async with gateway.database.reading(who.tenant) as sql:
        return {"keys": await auth.keys(sql, None)}


@own.delete(
    "/{prefix}",
    status_code=204,
    responses=documented(*_ACCESS, errors.ApiKeyNotFound),
    summary="Revoke an operator's or an auditor's API key",
)
async def revoke_own(gateway: InGateway, who: OfOperator, prefix: str) -> Response:
    """At once. The operator's first key is in the settings, and ends by changing them."""
    async with gateway.database.transaction(who.tenant) as sql:
        await auth.revoke_key(sql, merchant_id=None, prefix=prefix)
    return Response(status_code=204)
