"""What a customer that has signed in sees and does: its points, its history, its sessions and passkeys."""

from __future__ import annotations

import datetime as dates
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints
from webauthn.helpers import base64url_to_bytes

from exchange import entering, errors, expiry, history, intents, links, profiles, sessions
from exchange.api.access import InGateway, clear_cookie, customer
from exchange.api.customers import Balances, Before, History, LastEvent, Limit, streamed
from exchange.api.forms import Form
from exchange.api.intents import IntentStatus
from exchange.api.problems import documented
from exchange.api.signin import Credential
from exchange.database import Person
from exchange.sessions import Session

router = APIRouter(prefix="/v1/me", tags=["me"])

Mine = Annotated[Session, customer()]
Freshly = Annotated[Session, customer(fresh=True)]

CredentialId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,1364}$")]


class Membership(BaseModel):
    programme: str
    slug: str
    name: str


class Held(BaseModel):
    """Points that a till has set aside."""

    programme: str
    amount: str
    expires_at: int = Field(description="Unix seconds.")


class Me(BaseModel):
    id: UUID
    holder: str = Field(description="The address that holds the points.")
    custody: Literal["wallet", "custodial", "passkey"] = Field(
        description="Who keeps the key: your wallet, your passkey, or the gateway for your card."
    )
    session: UUID
    fresh: bool = Field(description="Whether what is dangerous may be done without signing in again.")
    memberships: list[Membership]
    held: list[Held]


class MyLinkCode(BaseModel):
    """Shown once."""

    code: str = Field(examples=["7KQ2-M4TX-91BC"])
    expires_at: dates.datetime


class MyIntents(BaseModel):
    """Newest first: what is neither on the chain yet nor refused."""

    intents: list[IntentStatus]


class SessionShown(BaseModel):
    """`stolen`: a cookie of it came again after it had been replaced; somebody may have had a copy."""

    id: UUID
    current: bool
    method: Literal["passkey", "wallet"]
    agent: str | None = Field(description="What its browser calls itself.")
    signed_in_at: str
    seen_at: str
    expires_at: str
    status: Literal["open", "stolen"]


class Sessions(BaseModel):
    sessions: list[SessionShown]


class CredentialShown(BaseModel):
    """`x` and `y` are the public key. `holds`: its signature is what spends your points."""

    id: str
    x: str
    y: str
    holds: bool
    created_at: str
    used_at: str | None


class Credentials(BaseModel):
    credentials: list[CredentialShown]


class AttachIn(Form):
    credential: Credential


_IN = (errors.SignInNeeded,)
_WRITE = (errors.SignInNeeded, errors.ForeignOrigin)
FRESH = (*_WRITE, errors.FreshSignInNeeded)


@router.get("", response_model=Me, responses=documented(*_IN), summary="Who you are")
async def me(gateway: InGateway, session: Mine) -> dict[str, Any]:
    async with gateway.database.transaction(session.tenant) as sql:
        return await profiles.shown(sql, session, now=gateway.now())


@router.get(
    "/balances",
    response_model=Balances,
    responses=documented(*_IN, errors.MirrorUnavailable),
    summary="Your points in every programme",
)
async def balances(gateway: InGateway, session: Mine) -> dict[str, Any]:
    async with gateway.database.reading(session.tenant) as sql:
        return await expiry.balances(sql, session.holder, now=gateway.now())


@router.get(
    "/history",
    response_model=History,
    responses=documented(*_IN, errors.InvalidRequest, errors.MirrorUnavailable),
    summary="What became of your points",
)
async def entries(gateway: InGateway, session: Mine, before: Before = None, limit: Limit = 50) -> dict[str, Any]:
    async with gateway.database.reading(session.tenant) as sql:
        return await history.history(sql, session.holder, before=before, limit=limit)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses=documented(*_IN, errors.InvalidRequest, errors.MirrorUnavailable, errors.TooManyStreams),
    summary="Your history as it happens",
)
async def events(gateway: InGateway, session: Mine, last: LastEvent = None) -> StreamingResponse:
    """The stream of GET /v1/holders/{holder}/events for your own holder."""
    return await streamed(gateway, session.holder, last)


@router.get(
    "/intents",
    response_model=MyIntents,
    response_model_exclude_none=True,
    responses=documented(*_IN, errors.MirrorUnavailable),
    summary="What you signed and is under way",
)
async def pending(gateway: InGateway, session: Mine) -> dict[str, Any]:
    async with gateway.database.reading(session.tenant) as sql:
        return {"intents": await intents.pending(sql, session.holder, now=gateway.now())}


@router.post("/link-codes", response_model=MyLinkCode, responses=documented(*FRESH), summary="Become a member")
async def link_code(gateway: InGateway, session: Freshly) -> dict[str, Any]:
    """The merchant to whom you show the code enrols you with it (`link`), within ten minutes and once. Your points of
    its programme are then at the address where your others are, and can be swapped."""
    async with gateway.database.transaction(Person(session.customer)) as sql:
        [made] = await links.make(gateway, sql, [session.customer])
    return {"code": made.code, "expires_at": made.expires_at}


@router.get("/sessions", response_model=Sessions, responses=documented(*_IN), summary="Where you are signed in")
async def listed(gateway: InGateway, session: Mine) -> dict[str, Any]:
    async with gateway.database.reading(session.tenant) as sql:
        found = await sessions.listed(gateway, sql)
    times = ("signed_in_at", "seen_at", "expires_at")
    return {
        "sessions": [
            {**row, **{name: row[name].isoformat() for name in times}, "current": row["id"] == str(session.id)}
            for row in found
        ]
    }


@router.delete("/session", status_code=204, responses=documented(*_WRITE), summary="Sign out")
async def sign_out(gateway: InGateway, response: Response, session: Mine) -> None:
    async with gateway.database.reading(session.tenant) as sql:
        await sessions.end(sql, session.id, how="signed-out")
    clear_cookie(response)


@router.delete("/sessions", status_code=204, responses=documented(*_WRITE), summary="Sign out everywhere")
async def sign_out_everywhere(gateway: InGateway, response: Response, session: Mine) -> None:
    """This session too."""
    async with gateway.database.reading(session.tenant) as sql:
        await sessions.end_all(sql)
    clear_cookie(response)


@router.delete(
    "/sessions/{id}",
    status_code=204,
    responses=documented(*_WRITE, errors.SessionNotFound),
    summary="End another session",
)
async def revoke(gateway: InGateway, session: Mine, id: UUID) -> None:
    async with gateway.database.reading(session.tenant) as sql:
        await sessions.revoke(sql, id)


@router.get("/credentials", response_model=Credentials, responses=documented(*_IN), summary="Your passkeys")
async def credentials(gateway: InGateway, session: Mine) -> dict[str, Any]:
    async with gateway.database.reading(session.tenant) as sql:
        return {"credentials": await profiles.credentials(sql, session)}


@router.post(
    "/credentials/options",
    response_model=dict[str, Any],
    responses=documented(*FRESH),
    summary="What the browser needs to make another passkey",
)
async def attach_options(gateway: InGateway, session: Freshly) -> dict[str, Any]:
    return await entering.attach_options(gateway, session)


@router.post(
    "/credentials",
    status_code=204,
    responses=documented(*FRESH, errors.SignInRefused, errors.CredentialExists, errors.InvalidRequest),
    summary="Attach another passkey",
)
async def attach(gateway: InGateway, session: Freshly, body: AttachIn) -> None:
    """It opens sessions. It spends nothing: your points stay with the key that holds them."""
    await entering.attach(gateway, session, body.credential)


@router.delete(
    "/credentials/{id}",
    status_code=204,
    responses=documented(*FRESH, errors.CredentialNotFound, errors.CredentialExists, errors.InvalidRequest),
    summary="Remove a passkey",
)
async def detach(gateway: InGateway, session: Freshly, id: CredentialId) -> None:
    """It opens no session any more. The points of the passkey that holds them it can spend still: send them away
    first if it was lost."""
    try:
        named = base64url_to_bytes(id)
    except ValueError as error:
        raise errors.CredentialNotFound("The customer has no such passkey.") from error
    await entering.detach(gateway, session, named)
