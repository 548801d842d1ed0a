"""What routes ask for: who may call them, the gateway, the idempotency key, the body as sent.

A route says who may call it in one place, its signature (or `dependencies`, if it is public): `merchant_with`,
`requires`, `public`. There is no default: a route that says nothing fails the tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic_core
from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from exchange import auth, idempotency
from exchange.auth import Caller
from exchange.errors import Forbidden, IdempotencyKeyMissing, InvalidRequest, Unauthenticated
from exchange.gateway import Gateway
from exchange.limits import network
from exchange.merchant import Merchant
from exchange.scopes import Role, Scope

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="`pex_…`, of a merchant, the operator or an auditor, as a Bearer token",
)


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


InGateway = Annotated[Gateway, Depends(_gateway)]


class Policy:
    """Who may call a route: every route has exactly one, and a test looks."""


@dataclass(frozen=True, slots=True)
class Public(Policy):
    """Anybody, without a key. `limited` by address, unless it is what watches over the gateway."""

    limited: bool = True

    async def __call__(self, request: Request, gateway: InGateway) -> None:
        if self.limited:
            gateway.limits.addresses.take(_address(request))


@dataclass(frozen=True, slots=True)
class Requires(Policy):
    """Holders of a key: for each role that may call at all, the scope that its key must have."""

    merchant: Scope | None = None
    operator: Scope | None = None
    auditor: Scope | None = None

    async def __call__(
        self,
        request: Request,
        gateway: InGateway,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        return self.admit(await _caller(request, gateway, credentials))

    def admit(self, who: Caller) -> Caller:
        """Raises `Forbidden`."""
        scopes: dict[Role, Scope | None] = {
            "merchant": self.merchant, "operator": self.operator, "auditor": self.auditor,
        }  # fmt: skip
        needed = scopes[who.role]
        if needed is None:
            allowed = " or ".join(role for role, scope in scopes.items() if scope is not None)
            raise Forbidden(f"This operation is for keys of the role {allowed}; this one is of the role {who.role}.")
        if needed not in who.scopes:
            raise Forbidden(f'This API key has not the scope "{needed}".')
        return who


@dataclass(frozen=True, slots=True)
class RequiresMerchant(Requires):
    """A merchant's key; the route gets the merchant."""

    async def __call__(  # type: ignore[override]
        self,
        request: Request,
        gateway: InGateway,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Merchant:
        who = self.admit(await _caller(request, gateway, credentials))
        if who.merchant is None:
            raise RuntimeError("only merchants are admitted")
        return who.merchant


async def _caller(request: Request, gateway: Gateway, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if credentials is None:
        raise Unauthenticated("The request has no Bearer token.")
    key, address = credentials.credentials, _address(request)
    if (operator := auth.first_operator(gateway.settings, key)) is not None:
        return operator
    gateway.limits.failures.require(address)
    try:
        shown = auth.shown(gateway.settings, key)
        who: Caller = await gateway.keys.ask(shown)
    except Unauthenticated:
        gateway.limits.failures.take(address)
        raise
    if who.role != "operator":
        gateway.limits.keys.take(shown.prefix)
    return who


def _address(request: Request) -> str:
    return network(request.client.host if request.client is not None else None)


def public() -> Any:
    """For a route's `dependencies`: no key is needed."""
    return Depends(Public())


def unlimited() -> Any:
    """The same, for what watches over the gateway."""
    return Depends(Public(limited=False))


def requires(*, merchant: Scope | None = None, operator: Scope | None = None, auditor: Scope | None = None) -> Any:
    """Marks a `Caller` parameter: `who: Annotated[Caller, requires(operator="charities:write")]`."""
    return Depends(Requires(merchant=merchant, operator=operator, auditor=auditor))


def merchant_with(scope: Scope) -> Any:
    """Marks a `Merchant` parameter: `merchant: Annotated[Merchant, merchant_with("refunds:write")]`."""
    return Depends(RequiresMerchant(merchant=scope))


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


class Direct(APIRoute):
    """A route that asks for a merchant, a key and the body as it came, and gets them without FastAPI's solving of
    dependencies, which costs more than accepting a purchase. Its signature is
    `(gateway: InGateway, merchant: Annotated[Merchant, merchant_with(…)], key: NeededKey, request: Request)`.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        [policy] = [each.call for each in self.dependant.dependencies if isinstance(each.call, RequiresMerchant)]

        async def handle(request: Request) -> Response:
            gateway = await _gateway(request)
            merchant = await policy(request, gateway, await _bearer(request))
            key = await _needed_key(request.headers.get("idempotency-key"))
            answer: Response = await self.endpoint(gateway=gateway, merchant=merchant, key=key, request=request)
            return answer

        return handle
