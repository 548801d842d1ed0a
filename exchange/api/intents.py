"""Intents: drafted, accepted with the holder's signature, by key, passkey or contract; and what a swap would give."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from webauthn.helpers import base64url_to_bytes

from contracts import signatures
from exchange import charities, errors, intent, intents, markets, points, swaps
from exchange.api.access import InGateway, public
from exchange.api.forms import Address, AsOf, Decimal, Form, Hex, Nonce, Placed, ProgrammeName, Seconds, Signature
from exchange.api.problems import Problem, documented
from exchange.database import Connection
from exchange.errors import BadSignature, ExchangeError, InvalidRequest
from exchange.hexes import address, word
from exchange.intent import Act

router = APIRouter(prefix="/v1/intents", tags=["intents"], dependencies=[public()])
quotes = APIRouter(prefix="/v1/swaps", tags=["intents"], dependencies=[public()])

Base64Url = Annotated[str, StringConstraints(strict=True, max_length=2_000, pattern=r"^[A-Za-z0-9_-]*$")]

_NEEDS = {"send": ("to",), "redeem": ("order",), "swap": ("into", "minimum"), "give": ("charity",)}
_OWN = {"to", "order", "into", "minimum", "charity", "campaign"}


class DraftIn(Form):
    """What the holder wants. send: `to`; redeem: `order`; swap: `into`, `minimum`; give: `charity`, `campaign`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "swap",
                    "programme": "corner-grocer",
                    "holder": "0xC5CF25B7296CAff543AF16b2Ed7AA85a21F5bc44",
                    "amount": "250.00",
                    "into": "main-street-drugs",
                    "minimum": "240.00",
                }
            ]
        }
    )

    kind: intent.Kind
    programme: ProgrammeName
    holder: Address
    amount: Decimal
    to: Address | None = None
    order: Hex | None = Field(default=None, description="32 bytes, given by the merchant.")
    into: ProgrammeName | None = None
    minimum: Decimal | None = None
    charity: ProgrammeName | None = Field(default=None, description="A charity's slug or address.")
    campaign: int | None = Field(default=None, ge=1, lt=2**32)

    @model_validator(mode="after")
    def _fields_of_the_kind(self) -> DraftIn:
        needed = _NEEDS[self.kind]
        optional = {"campaign"} if self.kind == "give" else set()
        missing = [name for name in needed if getattr(self, name) is None]
        extra = [name for name in sorted(_OWN - set(needed) - optional) if getattr(self, name) is not None]
        if missing or extra:
            raise ValueError(f"{self.kind} needs {', '.join(needed)}; missing: {missing}, not of this kind: {extra}")
        return self

    async def act(self, sql: Connection) -> Act:
        holder = address(self.holder, name="holder")
        amount = points.points(self.amount)
        counterparty = None
        if self.to is not None:
            counterparty = address(self.to, name="to")
        elif self.into is not None:
            counterparty = await markets.resolve(sql, self.into, name="into")
        elif self.charity is not None:
            counterparty = await charities.resolve(sql, self.charity)
        return Act(
            kind=self.kind,
            programme=await markets.resolve(sql, self.programme),
            holder=holder,
            amount=amount,
            counterparty=counterparty,
            minimum=None if self.minimum is None else points.points(self.minimum, name="minimum", zero=True),
            campaign=(self.campaign or 0) if self.kind == "give" else None,
            order=None if self.order is None else word(self.order, name="order"),
        )


class Draft(BaseModel):
    """Sign `typed_data` (EIP-712, `eth_signTypedData_v4`), or `digest` as a passkey's challenge, and send it all to
    POST /v1/intents."""

    nonce: int
    deadline: int
    digest: str
    typed_data: dict[str, Any]


class Assertion(Form):
    """A passkey's answer to the challenge `digest`: three fields of the browser's `response`, and the public key (64
    bytes, x and y; GET /v1/me/credentials tells it)."""

    public_key: Annotated[str, StringConstraints(strict=True, pattern=r"^0x[0-9a-fA-F]{128}$")]
    authenticator_data: Base64Url = Field(alias="authenticatorData")
    client_data: Base64Url = Field(alias="clientDataJSON")
    signature: Base64Url

    def packed(self, digest: bytes) -> bytes:
        """As the token reads it. Raises `BadSignature`."""
        key = bytes.fromhex(self.public_key[2:])
        try:
            r, s = decode_dss_signature(base64url_to_bytes(self.signature))
            return signatures.from_assertion(
                digest=digest,
                x=key[:32],
                y=key[32:],
                r=r,
                s=s,
                authenticator_data=base64url_to_bytes(self.authenticator_data),
                client_data=base64url_to_bytes(self.client_data),
            )
        except (ValueError, OverflowError) as error:
            raise BadSignature(f"The assertion is not one over this intent: {error}.") from error


class IntentIn(DraftIn):
    """Exactly one of three says that the holder signed. `signature`: a wallet's 65 bytes `r ‖ s ‖ v`, or ours, which
    begins with a scheme byte. `passkey`: what the browser answered. `contract_signature`: what the holder's contract
    wants to see (ERC-1271)."""

    nonce: Nonce
    deadline: Seconds
    signature: Signature | None = None
    passkey: Assertion | None = None
    contract_signature: Signature | None = None

    @model_validator(mode="after")
    def _one_scheme(self) -> IntentIn:
        if sum(each is not None for each in (self.signature, self.passkey, self.contract_signature)) != 1:
            raise ValueError("exactly one of signature, passkey and contract_signature is needed")
        return self

    def signed(self, digest: bytes) -> bytes:
        """The signature in the form that the token reads. Raises `BadSignature`."""
        if self.passkey is not None:
            return self.passkey.packed(digest)
        if self.contract_signature is not None:
            return signatures.CONTRACT + bytes.fromhex(self.contract_signature[2:])
        return intents.parsed_signature(bytes.fromhex((self.signature or "0x")[2:]))


class IntentOut(BaseModel):
    """What was accepted. Which of `to`, `order`, `into`, `charity` is set depends on the kind."""

    id: UUID
    kind: intent.Kind
    digest: str = Field(description="EIP-712; the intent's name on the chain.")
    programme: str
    holder: str
    amount: str
    to: str | None = None
    order: str | None = None
    order_salt: str | None = Field(default=None, description="order = keccak256(salt ‖ reference)")
    into: str | None = None
    minimum: str | None = None
    charity: str | None = None
    campaign: int | None = None
    nonce: int
    deadline: int
    status: Literal["accepted", "submitted", "confirmed", "final", "refused"]


class IntentStatus(IntentOut):
    out: str | None = Field(default=None, description="Points that a swap gave.")
    reason: str | None = Field(default=None, description="Why it was refused on the chain.")
    chain: Placed | None = None
    as_of: AsOf | None = None


class SwapQuote(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from")
    into: str
    amount: str
    out: str | None
    value: str | None = Field(description="In settlement tokens.")
    fee: str | None
    suggested_minimum: str | None
    valid_until: int | None
    margin: str = Field(description="Of the programme that is left: it pays.")
    refusal: Problem | None = Field(description="Why the swap would be refused; null if it would not.")
    as_of: AsOf | None


TRADE_REFUSALS = (
    errors.ProgrammeNotFound, errors.CharityNotFound, errors.CampaignNotFound, errors.InvalidAmount,
    errors.AmountTooLarge, errors.InvalidAddress, errors.NotEnoughPoints, errors.QuoteExpired, errors.NotPartners,
    errors.NotEnoughMargin, errors.DailyCapReached, errors.SupplyCapReached, errors.BelowMinimum, errors.WorthNothing,
    errors.CampaignEnded, errors.MirrorUnavailable, errors.InvalidRequest,
)  # fmt: skip


@router.post(
    "/draft",
    response_model=Draft,
    responses=documented(errors.InvalidRequest, errors.InvalidAmount, errors.InvalidAddress, errors.ProgrammeNotFound),
    summary="What a wallet is to sign",
)
async def draft(gateway: InGateway, body: DraftIn) -> dict[str, Any]:
    """Stores nothing. Suggests the next nonce and a deadline."""
    async with gateway.database.reading("public") as sql:
        act = await body.act(sql)
        nonce = await intents.next_nonce(sql, programme=act.programme, holder=act.holder)
    deadline = gateway.now() + gateway.settings.intent_life
    digest = intent.digest(act, gateway.domain(act.programme), nonce=nonce, deadline=deadline)
    document = intent.typed_data(act, chain_id=gateway.deployment.chain_id, nonce=nonce, deadline=deadline)
    return {"nonce": nonce, "deadline": deadline, "digest": "0x" + digest.hex(), "typed_data": document}


@router.post(
    "",
    status_code=202,
    response_model=IntentOut,
    response_model_exclude_none=True,
    responses=documented(
        *TRADE_REFUSALS,
        errors.BadSignature,
        errors.NonceUsed,
        errors.NonceOutOfWindow,
        errors.DeadlinePassed,
        errors.ChainUnavailable,
    ),
    summary="Hand in a signed intent",
)
async def submit(gateway: InGateway, body: IntentIn) -> dict[str, Any]:
    """The signature is all the authority that is needed. The very same intent again has the first answer."""
    async with gateway.database.reading("public") as sql:
        act = await body.act(sql)
    digest = intent.digest(act, gateway.domain(act.programme), nonce=body.nonce, deadline=body.deadline)
    signed = await intents.verified(
        gateway, act, nonce=body.nonce, deadline=body.deadline, signature=body.signed(digest)
    )
    async with gateway.database.transaction("public") as sql:
        [result] = await intents.accept(gateway, sql, [signed])
        if isinstance(result, ExchangeError):
            raise result
    return intents.answer(result)


@router.get(
    "/{id}",
    response_model=IntentStatus,
    response_model_exclude_none=True,
    responses=documented(errors.IntentNotFound, errors.MirrorUnavailable),
    summary="How far an intent has come",
)
async def one(gateway: InGateway, id: UUID) -> dict[str, Any]:
    async with gateway.database.reading("public") as sql:
        return await intents.status(sql, id)


@quotes.get(
    "/quote",
    response_model=SwapQuote,
    responses=documented(
        errors.ProgrammeNotFound, errors.InvalidAmount, errors.InvalidAddress, errors.MirrorUnavailable, InvalidRequest
    ),
    summary="What a swap would give",
)
async def quote(
    gateway: InGateway,
    from_: Annotated[str, Query(alias="from", max_length=64, examples=["corner-grocer"])],
    into: Annotated[str, Query(max_length=64, examples=["main-street-drugs"])],
    amount: Annotated[str, Query(max_length=80, examples=["250.00"])],
) -> dict[str, Any]:
    """At this moment's quotes; `refusal` says why it would not go through."""
    async with gateway.database.reading("public") as sql:
        return await swaps.quote(gateway, sql, source=from_, into=into, amount=amount)
