"""What a merchant asks on behalf of its custodial customers, made into proposals that the gateway signs.

Names (members, programme and charity slugs) are looked up for a whole request at once. A merchant acts only for its own
members, only for those whose key is here, and only with its own points. Whatever is wrong with one wish is that
wish's refusal.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eth_hash.backends.pysha3 import keccak256 as keccak

from exchange import idempotency, intents, pins, points
from exchange.customers import Customer, members
from exchange.database import Connection, rows
from exchange.errors import (
    CharityNotFound,
    CustomerNotFound,
    ExchangeError,
    InvalidRequest,
    NotCustodial,
    ProgrammeNotFound,
)
from exchange.gateway import Gateway
from exchange.hexes import address, hexed, is_address
from exchange.intent import Act, Kind
from exchange.intents import Custodial
from exchange.merchant import Merchant

LARGEST = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """As the merchant sent it; which fields are set depends on the kind."""

    kind: Kind
    customer: UUID | None
    member: str | None
    amount: str
    pin: str | None = None
    to: str | None = None
    to_customer: UUID | None = None
    to_member: str | None = None
    order: str | None = None
    into: str | None = None
    minimum: str | None = None
    charity: str | None = None
    campaign: int | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of one request stand for."""

    customers: dict[str | UUID, Customer]
    programmes: dict[str, bytes]
    charities: dict[str, bytes]


async def admitted(
    gateway: Gateway,
    merchant: Merchant,
    wishes: Sequence[Wish | ExchangeError],
    *,
    key: str | None,
    fingerprint: bytes,
) -> list[Wish | ExchangeError]:
    """The wishes, those without the right PIN as their refusals. A key that was used asks for no PIN again: its answer
    is the first one. Before the caller's transaction, for tries count even if it fails."""
    if key is not None:
        async with gateway.database.reading(merchant.id) as sql:
            if await idempotency.find(sql, scope=str(merchant.id), key=key, fingerprint=fingerprint) is not None:
                return list(wishes)
    wanted = [each for each in wishes if isinstance(each, Wish)]
    spends = [pins.Spend(each.customer, each.member, each.amount, each.pin) for each in wanted]
    refusals = iter(await pins.admit(gateway, merchant, spends))
    return [(next(refusals) or each) if isinstance(each, Wish) else each for each in wishes]


async def accept(
    gateway: Gateway, sql: Connection, merchant: Merchant, wishes: Sequence[Wish | ExchangeError]
) -> list[dict[str, Any] | ExchangeError]:
    """In the caller's transaction: for each wish the accepted intent's row, or its refusal."""
    names = await _names(sql, merchant, [wish for wish in wishes if isinstance(wish, Wish)])
    proposals: list[Custodial | ExchangeError] = []
    for wish in wishes:
        try:
            if isinstance(wish, ExchangeError):
                raise wish
            proposals.append(_proposal(gateway, merchant, wish, names))
        except ExchangeError as error:
            proposals.append(error)
    return await intents.accept(gateway, sql, proposals)


async def accept_once(
    gateway: Gateway,
    sql: Connection,
    merchant: Merchant,
    wishes: Sequence[Wish | ExchangeError],
    *,
    key: str | None,
    fingerprint: bytes,
) -> list[dict[str, Any] | ExchangeError]:
    """`accept`, but the same key again answers with what it did the first time; refusals are kept with it."""
    if key is None:
        return await accept(gateway, sql, merchant, wishes)
    scope = str(merchant.id)
    claim = await idempotency.claim(sql, scope=scope, key=key, fingerprint=fingerprint, subject=None)
    if claim.first:
        results = await accept(gateway, sql, merchant, wishes)
        kept = [each.problem() if isinstance(each, ExchangeError) else str(each["id"]) for each in results]
        await idempotency.keep(sql, scope=scope, key=key, outcome=kept)
        return results
    ids = [UUID(each) for each in claim.outcome if isinstance(each, str)]
    stored = {str(row["id"]): row for row in await rows(sql, "select * from exchange.intent where id = any(%s)", ids)}
    return [stored[each] if isinstance(each, str) else Kept(each) for each in claim.outcome]


class Kept(ExchangeError):
    """When an item was refused at the first time that its key was used: the refusal as it was then."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self._problem = problem

    def problem(self) -> dict[str, Any]:
        return self._problem


async def _names(sql: Connection, merchant: Merchant, wishes: Sequence[Wish]) -> Names:
    references = {name for wish in wishes for name in (wish.member, wish.to_member) if name is not None}
    ids = {id for wish in wishes for id in (wish.customer, wish.to_customer) if id is not None}
    slugs = {wish.into for wish in wishes if wish.into is not None}
    charities = {wish.charity for wish in wishes if wish.charity is not None}
    programmes = await rows(sql, "select slug, programme from exchange.programme where slug = any(%s)", list(slugs))
    given = await rows(sql, "select slug, address from exchange.charity where slug = any(%s)", list(charities))
    return Names(
        customers=await members(sql, merchant, references=list(references), ids=list(ids)),
        programmes={row["slug"]: bytes(row["programme"]) for row in programmes},
        charities={row["slug"]: bytes(row["address"]) for row in given},
    )


def _proposal(gateway: Gateway, merchant: Merchant, wish: Wish, names: Names) -> Custodial:
    customer = _customer(names, wish.customer, wish.member)
    if customer.key is None:
        raise NotCustodial(f"The customer {customer.id} keeps its own key.")
    act = Act(
        kind=wish.kind,
        programme=merchant.programme,
        holder=customer.holder,
        amount=points.points(wish.amount),
        counterparty=_counterparty(wish, names),
        minimum=None if wish.minimum is None else points.points(wish.minimum, name="minimum", zero=True),
        campaign=(wish.campaign or 0) if wish.kind == "give" else None,
        order=order_of(gateway, merchant, wish.order)[0] if wish.kind == "redeem" else None,
    )
    return Custodial(act=act, person=customer.person, key=customer.key)


def _customer(names: Names, id: UUID | None, member: str | None) -> Customer:
    found = names.customers.get(member if id is None else id)  # type: ignore[arg-type]
    if found is None:
        raise CustomerNotFound(
            "The merchant has no member of this number." if id is None else f"There is no customer {id}."
        )
    return found


def _programme(names: Names, text: str) -> bytes:
    if is_address(text):
        return address(text, name="programme")
    if text not in names.programmes:
        raise ProgrammeNotFound(f'There is no programme "{text}".')
    return names.programmes[text]


def _counterparty(wish: Wish, names: Names) -> bytes | None:
    if wish.kind == "send":
        if wish.to is not None:
            return address(wish.to, name="to")
        if wish.to_customer is None and wish.to_member is None:
            raise InvalidRequest("One of to, to_customer and to_member says whom to send to.", field="to")
        return _customer(names, wish.to_customer, wish.to_member).holder
    if wish.kind == "swap":
        if wish.into is None:
            raise InvalidRequest("into says which programme to swap into.", field="into")
        return _programme(names, wish.into)
    if wish.kind == "give":
        if wish.charity is None:
            raise InvalidRequest("charity says whom to give to.", field="charity")
        if is_address(wish.charity):
            return address(wish.charity, name="charity")
        if wish.charity not in names.charities:
            raise CharityNotFound(f'There is no charity "{wish.charity}".')
        return names.charities[wish.charity]
    return None


def order_of(gateway: Gateway, merchant: Merchant, reference: str | None) -> tuple[bytes, bytes]:
    """The order that a redemption names on chain, and its salt: keccak(salt ‖ reference), so that the chain shows no
    order numbers. The salt is made from the reference under the pepper: the same reference is the same order."""
    if reference is None:
        raise InvalidRequest("order is the merchant's reference of what the points pay for.", field="order")
    salt = hmac.digest(gateway.pepper, f"order:{merchant.id}:{reference}".encode(), "sha256")[:16]
    return bytes(keccak(salt + reference.encode())), salt


def answer(gateway: Gateway, merchant: Merchant, row: dict[str, Any], wish: Wish) -> dict[str, Any]:
    """An accepted wish; a redemption with the salt that proves which order it paid for."""
    made = intents.answer(row)
    if wish.kind == "redeem":
        made["order_salt"] = hexed(order_of(gateway, merchant, wish.order)[1])
    return made
