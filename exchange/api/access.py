"""What routes ask for: who may call them, the gateway, the idempotency key, the body as sent.

A route says who may call it in one place, its signature (or `dependencies`, if it is public): `merchant_with`,
`requires`, `customer`, `public`. There is no default: a route that says nothing fails the tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic_core
from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from exchange import auth, idempotency, sessions
from exchange.auth import Caller
from exchange.errors import (
    CodeRefused,
    Forbidden,
    ForeignOrigin,
    FreshSignInNeeded,
    IdempotencyKeyMissing,
    InvalidRequest,
    SignInNeeded,
    SignInRefused,
    Unauthenticated,
)
from exchange.gateway import Gateway
from exchange.limits import network
from exchange.merchant import Merchant
from exchange.scopes import Role, Scope
from exchange.sessions import Session

COOKIE = "__Host-points"
"""Browsers take a cookie of such a name only from https (or this machine), for one host and all of its paths."""

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="`pex_…`, of a merchant, the operator or an auditor, as a Bearer token",
)
_cookie = APIKeyCookie(
    name=COOKIE, auto_error=False, scheme_name="session", description="Of a customer, set by a sign-in."
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
class OurPages(Public):
    """Anybody, on a page of ours: where a customer signs in. Wrong tries have a rate of their own by address."""

    async def __call__(self, request: Request, gateway: InGateway) -> AsyncIterator[None]:  # type: ignore[override]
        address = _address(request)
        gateway.limits.addresses.take(address)
        gateway.limits.failures.require(address)
        _require_own_origin(request, gateway)
        try:
            yield
        except (SignInRefused, CodeRefused):
            gateway.limits.failures.take(address)
            raise


@dataclass(frozen=True, slots=True)
class SignedIn(Policy):
    """A customer with a session, seen in its cookie; `fresh`: that signed in only just. The route gets the session.

    Other sites cannot use the cookie: it is sent by our own pages only (SameSite=Strict), and what changes something
    must also say that it comes from one (Origin).
    """

    fresh: bool = False

    async def __call__(
        self,
        request: Request,
        response: Response,
        gateway: InGateway,
        token: Annotated[str | None, Depends(_cookie)],
    ) -> Session:
        address = _address(request)
        gateway.limits.addresses.take(address)
        if token is None:
            raise SignInNeeded("The request has no session.")
        gateway.limits.failures.require(address)
        try:
            session, successor = await sessions.resume(gateway, token)
        except SignInNeeded:
            gateway.limits.failures.take(address)
            raise
        if request.method not in ("GET", "HEAD"):
            _require_own_origin(request, gateway)
        response.headers["Cache-Control"] = "no-store"
        if successor is not None:
            set_cookie(response, successor, session, gateway)
        if self.fresh and not session.fresh:
            raise FreshSignInNeeded("The sign-in of this session is too long ago for this.")
        return session


def set_cookie(response: Response, token: str, session: Session, gateway: Gateway) -> None:
    """For as long as the session can last."""
    seconds = max(0, int(session.expires_at.timestamp() - gateway.clock()))
    response.set_cookie(COOKIE, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")
    response.headers["Cache-Control"] = "no-store"


def clear_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def _require_own_origin(request: Request, gateway: Gateway) -> None:
    if request.headers.get("origin") != gateway.settings.origin:
        raise ForeignOrigin(f"The header Origin is not {gateway.settings.origin}.")


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


def on_our_pages() -> Any:
    """For a route's `dependencies`: no key and no session is needed, but a page of ours."""
    return Depends(OurPages())


def customer(*, fresh: bool = False) -> Any:
    """Marks a `Session` parameter: `session: Annotated[Session, customer()]`."""
    return Depends(SignedIn(fresh=fresh))


def requires(*, merchant: Scope | None = None, operator: Scope | None = None, auditor: Scope | None = None) -> Any:
    """Marks a `Caller` parameter: `who: Annotated[Caller, requires(operator="charities:write")]`."""
    return Depends(Requires(merchant=merchant, operator=operator, auditor=auditor))


def merchant_with(scope: Scope) -> Any:
    """Marks a `Merchant` parameter: `merchant: Annotated[Merchant, merchant_with("refunds:write")]`."""
    return Depends(RequiresMerchant(merchant=scope))


async def _needed_key(
    gateway: InGateway,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key", description="New for each new request; the same to repeat one.", examples=["7c1e"]
        ),
    ] = None,
) -> str:
    if key is None:
        raise IdempotencyKeyMissing("The request has no header Idempotency-Key.")
    return idempotency.checked(key, secret=gateway.pepper)


async def _optional_key(
    gateway: InGateway,
    key: Annotated[str | None, Header(alias="Idempotency-Key", description="To repeat a request safely.")] = None,
) -> str | None:
    return None if key is None else idempotency.checked(key, secret=gateway.pepper)


NeededKey = Annotated[str, Depends(_needed_key)]
OptionalKey = Annotated[str | None, Depends(_optional_key)]


def _without_pins(body: Any) -> Any:
    """A digest of a body that differs from another by four digits only would tell them."""
    if isinstance(body, dict):
        return {name: _without_pins(value) for name, value in body.items() if name != "pin"}
    return [_without_pins(each) for each in body] if isinstance(body, list) else body


async def _fingerprint(request: Request, gateway: InGateway) -> bytes:
    """Of the request as it came, whatever it was made into, but for PINs."""
    raw = await request.body()
    try:
        body: Any = pydantic_core.from_json(raw, allow_inf_nan=False) if raw else None
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error
    return idempotency.fingerprint(request.method, request.url.path, _without_pins(body), secret=gateway.pepper)


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
            key = await _needed_key(gateway, request.headers.get("idempotency-key"))
            answer: Response = await self.endpoint(gateway=gateway, merchant=merchant, key=key, request=request)
            return answer

        return handle
