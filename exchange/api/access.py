"""What routes ask for by type: the gateway, the caller behind an API key, the idempotency key, the body as sent."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic_core
from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from exchange import auth, idempotency
from exchange.auth import Caller
from exchange.errors import IdempotencyKeyMissing, InvalidRequest, Unauthenticated
from exchange.gateway import Gateway
from exchange.merchant import Merchant

_bearer = HTTPBearer(
    auto_error=False, scheme_name="API key", description="`pex_…`, of a merchant or the operator, as a Bearer token"
)


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


InGateway = Annotated[Gateway, Depends(_gateway)]


async def _caller(
    gateway: InGateway, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    if credentials is None:
        raise Unauthenticated("The request has no Bearer token.")
    key = credentials.credentials
    if auth.is_first_operator(gateway.settings, key):
        return Caller(role="operator", merchant=None)
    prefix = auth.prefix_of(key)
    async with gateway.database.reading() as sql:
        return await auth.caller(sql, gateway.settings, key, prefix=prefix)


Anyone = Annotated[Caller, Depends(_caller)]
"""A merchant or the operator."""


async def _operator(who: Anyone) -> Caller:
    return auth.operator(who)


async def _merchant(who: Anyone) -> Merchant:
    return auth.merchant(who)


AsOperator = Annotated[Caller, Depends(_operator)]
AsMerchant = Annotated[Merchant, Depends(_merchant)]


async def _needed_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key", description="New for each new request; the same to repeat one.", examples=["7c1e"]
        ),
    ] = None,
) -> str:
    if key is None:
        raise IdempotencyKeyMissing("The request has no header Idempotency-Key.")
    return idempotency.checked(key)


async def _optional_key(
    key: Annotated[str | None, Header(alias="Idempotency-Key", description="To repeat a request safely.")] = None,
) -> str | None:
    return None if key is None else idempotency.checked(key)


NeededKey = Annotated[str, Depends(_needed_key)]
OptionalKey = Annotated[str | None, Depends(_optional_key)]


async def _fingerprint(request: Request) -> bytes:
    """Of the request as it came, whatever it was made into."""
    raw = await request.body()
    try:
        body: Any = pydantic_core.from_json(raw, allow_inf_nan=False) if raw else None
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error
    return idempotency.fingerprint(request.method, request.url.path, body)


Fingerprint = Annotated[bytes, Depends(_fingerprint)]
