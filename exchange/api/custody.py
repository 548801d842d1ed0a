"""What a merchant does for its custodial customers: send, redeem, swap, give, one at a time or in bulk."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange import custody, errors
from exchange.api.access import Fingerprint, InGateway, NeededKey, OptionalKey, merchant_with
from exchange.api.forms import Address, Decimal, Form, Pin, ProgrammeName, Reference
from exchange.api.intents import TRADE_REFUSALS, IntentOut
from exchange.api.problems import Problem, documented
from exchange.custody import Wish
from exchange.errors import ExchangeError, InvalidRequest
from exchange.gateway import Gateway
from exchange.intent import Kind
from exchange.merchant import Merchant

router = APIRouter(prefix="/v1/customers", tags=["custodial customers"])

Acting = Annotated[Merchant, merchant_with("customers:act")]


class ActIn(Form):
    """With the merchant's own points: a card that two merchants know gives neither a hand in the other's points."""

    amount: Decimal
    pin: Pin | None = None

    def wish(self, kind: Kind, *, customer: UUID | None = None, member: str | None = None) -> Wish:
        fields = {name: value for name, value in self if name not in ("kind", "customer", "member", "pin")}
        return Wish(kind=kind, customer=customer, member=member, pin=self.pin, **fields)


class SendIn(ActIn):
    """To one of: an address, a customer of yours, a member of yours."""

    to: Address | None = None
    to_customer: UUID | None = None
    to_member: Reference | None = None

    @model_validator(mode="after")
    def _one_receiver(self) -> SendIn:
        if sum(each is not None for each in (self.to, self.to_customer, self.to_member)) != 1:
            raise ValueError("exactly one of to, to_customer and to_member is needed")
        return self


class RedeemIn(ActIn):
    """`order` is your reference of what is paid for; the chain sees it hashed with a salt."""

    order: Reference


class SwapIn(ActIn):
    """Without `minimum`, what the quotes give now less one percent."""

    into: ProgrammeName
    minimum: Decimal | None = None


class GiveIn(ActIn):
    charity: ProgrammeName = Field(description="A charity's slug or address.")
    campaign: int | None = Field(default=None, ge=1, lt=2**32)


class BulkActIn(ActIn):
    """One of the four kinds, for one of your members; the fields are those of the kind's own route."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "redeem", "member": "card-900417", "amount": "5.00", "order": "A-17"}]}
    )

    kind: Kind
    customer: UUID | None = None
    member: Reference | None = None
    to: Address | None = None
    to_customer: UUID | None = None
    to_member: Reference | None = None
    order: Reference | None = None
    into: ProgrammeName | None = None
    minimum: Decimal | None = None
    charity: ProgrammeName | None = None
    campaign: int | None = Field(default=None, ge=1, lt=2**32)

    def parsed(self) -> Wish | ExchangeError:
        if (self.customer is None) == (self.member is None):
            return InvalidRequest("Exactly one of customer and member is needed.", field="member")
        return self.wish(self.kind, customer=self.customer, member=self.member)


class BulkActsIn(Form):
    intents: list[BulkActIn] = Field(min_length=1, max_length=custody.LARGEST)


class BulkActItem(BaseModel):
    """Either the intent or the problem."""

    status: Literal["accepted", "refused"]
    intent: IntentOut | None = None
    problem: Problem | None = None


class BulkActsOut(BaseModel):
    """`results` in the order of the request."""

    accepted: int
    refused: int
    results: list[BulkActItem]


_REFUSALS = documented(
    *TRADE_REFUSALS, errors.CustomerNotFound, errors.NotCustodial, errors.Unauthenticated, errors.Forbidden,
    errors.IdempotencyKeyReused, errors.PinNeeded, errors.PinRefused, errors.PinWait, errors.PinLocked,
)  # fmt: skip


async def _accept(
    gateway: Gateway, merchant: Merchant, wish: Wish, key: str | None, fingerprint: bytes
) -> dict[str, Any]:
    [admitted] = await custody.admitted(gateway, merchant, [wish], key=key, fingerprint=fingerprint)
    async with gateway.database.transaction(merchant.id) as sql:
        [result] = await custody.accept_once(gateway, sql, merchant, [admitted], key=key, fingerprint=fingerprint)
        if isinstance(result, ExchangeError):
            raise result  # and roll back, which frees the key
    return custody.answer(gateway, merchant, result, wish)


@router.post(
    "/{id}/send",
    status_code=202,
    response_model=IntentOut,
    response_model_exclude_none=True,
    responses=_REFUSALS,
    summary="Send points",
)
async def send(
    gateway: InGateway, merchant: Acting, key: OptionalKey, fingerprint: Fingerprint, id: UUID, body: SendIn
) -> dict[str, Any]:
    return await _accept(gateway, merchant, body.wish("send", customer=id), key, fingerprint)


@router.post(
    "/{id}/redeem",
    status_code=202,
    response_model=IntentOut,
    response_model_exclude_none=True,
    responses=_REFUSALS,
    summary="Pay with points at the merchant",
)
async def redeem(
    gateway: InGateway, merchant: Acting, key: OptionalKey, fingerprint: Fingerprint, id: UUID, body: RedeemIn
) -> dict[str, Any]:
    return await _accept(gateway, merchant, body.wish("redeem", customer=id), key, fingerprint)


@router.post(
    "/{id}/swap",
    status_code=202,
    response_model=IntentOut,
    response_model_exclude_none=True,
    responses=_REFUSALS,
    summary="Swap points into another programme",
)
async def swap(
    gateway: InGateway, merchant: Acting, key: OptionalKey, fingerprint: Fingerprint, id: UUID, body: SwapIn
) -> dict[str, Any]:
    return await _accept(gateway, merchant, body.wish("swap", customer=id), key, fingerprint)


@router.post(
    "/{id}/give",
    status_code=202,
    response_model=IntentOut,
    response_model_exclude_none=True,
    responses=_REFUSALS,
    summary="Give points to a charity",
)
async def give(
    gateway: InGateway, merchant: Acting, key: OptionalKey, fingerprint: Fingerprint, id: UUID, body: GiveIn
) -> dict[str, Any]:
    return await _accept(gateway, merchant, body.wish("give", customer=id), key, fingerprint)


@router.post(
    "/intents/bulk",
    response_model=BulkActsOut,
    response_model_exclude_none=True,
    responses=documented(
        errors.InvalidRequest, errors.IdempotencyKeyMissing, errors.IdempotencyKeyReused, errors.Unauthenticated,
        errors.Forbidden, errors.MirrorUnavailable,
    ),
    summary="Up to 1,000 acts for your custodial customers",
)  # fmt: skip
async def many(
    gateway: InGateway, merchant: Acting, key: NeededKey, fingerprint: Fingerprint, body: BulkActsIn
) -> dict[str, Any]:
    """Judged in order, each on what the earlier ones leave; one that is refused harms no other. The same key again has
    the first answer, refusals included."""
    wishes = [each.parsed() for each in body.intents]
    admitted = await custody.admitted(gateway, merchant, wishes, key=key, fingerprint=fingerprint)
    async with gateway.database.transaction(merchant.id) as sql:
        results = await custody.accept_once(gateway, sql, merchant, admitted, key=key, fingerprint=fingerprint)
    answers: list[dict[str, Any]] = [
        {"status": "refused", "problem": result.problem()}
        if isinstance(result, ExchangeError)
        else {"status": "accepted", "intent": custody.answer(gateway, merchant, result, wish)}  # type: ignore[arg-type]
        for result, wish in zip(results, wishes, strict=True)
    ]
    refused = sum(each["status"] == "refused" for each in answers)
    return {"accepted": len(answers) - refused, "refused": refused, "results": answers}
