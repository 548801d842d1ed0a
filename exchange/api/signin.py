"""Where customers sign up and in: by passkey or wallet. The answer sets the session's cookie."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Cookie, Header, Response
from pydantic import BaseModel, Field, StringConstraints

from exchange import entering, errors
from exchange.api.access import COOKIE, InGateway, on_our_pages, set_cookie
from exchange.api.forms import Address, Form, Hex, Text
from exchange.api.problems import documented
from exchange.gateway import Gateway
from exchange.hexes import address, checksum
from exchange.sessions import Session

router = APIRouter(prefix="/v1/sign-in", tags=["sign-in"], dependencies=[on_our_pages()])
ups = APIRouter(prefix="/v1/sign-up", tags=["sign-in"], dependencies=[on_our_pages()])

Agent = Annotated[str | None, Header(alias="User-Agent", include_in_schema=False)]
Token = Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)]

Credential = Annotated[
    dict[str, Any], Field(description="What the browser answered, as `PublicKeyCredential.toJSON()` gives it.")
]
Code = Annotated[str, StringConstraints(strict=True, max_length=40), Field(description="Once only, from the merchant.")]


class SignUpOptionsIn(Form):
    name: Text = Field(default="Points", description="What your device calls the passkey; it is not stored here.")


class SignUpIn(Form):
    """`credential` is the answer of `navigator.credentials.create`. `proof` is that of `navigator.credentials.get` by
    the new passkey, with the same challenge: it shows that the key is there. With a `code`, the passkey is for the card
    that the code was given for; else for a new customer."""

    credential: Credential
    proof: Credential
    code: Code | None = None


class PasskeyIn(Form):
    credential: Credential


class WalletIn(Form):
    address: Address


class WalletMessage(BaseModel):
    """To be signed as it is (`personal_sign`, EIP-191)."""

    message: str
    nonce: str
    expires_at: int = Field(description="Unix seconds.")


class SignedMessageIn(Form):
    message: Annotated[str, StringConstraints(strict=True, max_length=2_000)]
    signature: Hex


class SignedInOut(BaseModel):
    """Who has signed in; the session is in the cookie."""

    customer: UUID
    holder: str
    custody: Literal["wallet", "custodial", "passkey"]
    session: UUID
    expires_at: str


_REFUSALS = (errors.ForeignOrigin, errors.SignInRefused, errors.InvalidRequest)


def _answer(gateway: Gateway, response: Response, session: Session, token: str) -> dict[str, Any]:
    set_cookie(response, token, session, gateway)
    return {
        "customer": session.customer,
        "holder": checksum(session.holder),
        "custody": session.custody,
        "session": session.id,
        "expires_at": session.expires_at.isoformat(),
    }


@ups.post(
    "/passkey/options",
    response_model=dict[str, Any],
    responses=documented(errors.ForeignOrigin, errors.InvalidRequest),
    summary="What the browser needs to make a passkey",
)
async def sign_up_options(gateway: InGateway, body: SignUpOptionsIn) -> dict[str, Any]:
    """For `navigator.credentials.create`, by `PublicKeyCredential.parseCreationOptionsFromJSON`."""
    return await entering.sign_up_options(gateway, name=body.name)


@ups.post(
    "/passkey",
    status_code=201,
    response_model=SignedInOut,
    responses=documented(*_REFUSALS, errors.CodeRefused, errors.CredentialExists),
    summary="Sign up with a passkey",
)
async def sign_up(
    gateway: InGateway, response: Response, body: SignUpIn, agent: Agent = None, cookie: Token = None
) -> dict[str, Any]:
    """The holder is an address that is made of the passkey's public key: only the passkey can spend its points."""
    session, token = await entering.sign_up(
        gateway, body.credential, body.proof, code=body.code, agent=agent, cookie=cookie
    )
    return _answer(gateway, response, session, token)


@router.post(
    "/passkey/options",
    response_model=dict[str, Any],
    responses=documented(errors.ForeignOrigin),
    summary="What the browser needs to ask a passkey",
)
async def sign_in_options(gateway: InGateway) -> dict[str, Any]:
    """For `navigator.credentials.get`, by `PublicKeyCredential.parseRequestOptionsFromJSON`."""
    return await entering.sign_in_options(gateway)


@router.post("/passkey", response_model=SignedInOut, responses=documented(*_REFUSALS), summary="Sign in with a passkey")
async def sign_in(
    gateway: InGateway, response: Response, body: PasskeyIn, agent: Agent = None, cookie: Token = None
) -> dict[str, Any]:
    session, token = await entering.sign_in(gateway, body.credential, agent=agent, cookie=cookie)
    return _answer(gateway, response, session, token)


@router.post(
    "/wallet/message",
    response_model=WalletMessage,
    responses=documented(errors.ForeignOrigin, errors.InvalidAddress, errors.InvalidRequest),
    summary="What a wallet is to sign",
)
async def wallet_message(gateway: InGateway, body: WalletIn) -> dict[str, Any]:
    """Sign-In with Ethereum (EIP-4361). A message of your own with this nonce is as good, if it is for this site and
    this chain."""
    return await entering.wallet_message(gateway, address(body.address, name="address"))


@router.post("/wallet", response_model=SignedInOut, responses=documented(*_REFUSALS), summary="Sign in with a wallet")
async def sign_in_wallet(
    gateway: InGateway, response: Response, body: SignedMessageIn, agent: Agent = None, cookie: Token = None
) -> dict[str, Any]:
    """The wallet's customer is made at its first sign-in."""
    signature = bytes.fromhex(body.signature[2:])
    session, token = await entering.sign_in_wallet(gateway, body.message, signature, agent=agent, cookie=cookie)
    return _answer(gateway, response, session, token)
