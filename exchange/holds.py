"""Holds: a till sets a card customer's points aside, and captures or releases them within minutes.

An authorised hold is a promise to the till: nobody else can spend these points, so the capture cannot fail for want of
them. Capturing makes an ordinary redemption of it, which settles on the chain after. Whoever authorises or spends holds
the lock on the holder, so a balance is never promised twice; a hold whose time has run out counts for nothing, without
anybody having to close it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from exchange import custody, idempotency, pins, points
from exchange.custody import Wish
from exchange.customers import members
from exchange.database import Connection, one
from exchange.errors import (
    CustomerNotFound,
    ExchangeError,
    HoldClosed,
    HoldExceeded,
    HoldNotFound,
    NotCustodial,
    NotEnoughPoints,
)
from exchange.gateway import Gateway
from exchange.intents import lock_accounts
from exchange.merchant import Merchant

SECONDS: Final = 900
"""How long a hold lasts unless the till says otherwise."""
LONGEST: Final = 7 * 86_400

_INSERT: Final = """
insert into exchange.hold (merchant_id, id, customer_id, programme, holder, amount, "order", expires_at)
values (%s, %s, %s, %s, %s, %s, %s, %s) returning *
"""


@dataclass(frozen=True, slots=True)
class Request:
    """As the till sent it. Exactly one of `customer` and `member` is set."""

    customer: UUID | None
    member: str | None
    amount: str
    order: str
    seconds: int
    pin: str | None = None


async def authorise(
    gateway: Gateway, merchant: Merchant, *, key: str, fingerprint: bytes, request: Request
) -> dict[str, Any]:
    """Sets the points aside. Raises `CustomerNotFound`, `NotCustodial`, `NotEnoughPoints`, `InvalidAmount`, and what a
    PIN is refused with: whoever authorised may capture without asking for it again."""
    amount = points.points(request.amount)
    async with gateway.database.reading(merchant.id) as sql:
        seen = await idempotency.find(sql, scope=str(merchant.id), key=key, fingerprint=fingerprint)
    if seen is None:
        spend = pins.Spend(request.customer, request.member, request.amount, request.pin)
        await pins.require(gateway, merchant, spend)
    async with gateway.database.transaction(merchant.id) as sql:
        id = uuid7()
        claim = await idempotency.claim(sql, scope=str(merchant.id), key=key, fingerprint=fingerprint, subject=id)
        if not claim.first:
            return _answer(await _find(sql, merchant, claim.subject), gateway.now())
        named = request.customer or request.member
        found = await members(
            sql,
            merchant,
            references=[] if request.member is None else [request.member],
            ids=[] if request.customer is None else [request.customer],
        )
        customer = found.get(named)  # type: ignore[arg-type]
        if customer is None:
            raise CustomerNotFound("The merchant has no such customer.")
        if customer.key is None:
            raise NotCustodial(f"The customer {customer.id} keeps its own key and signs a redemption itself.")
        account = (merchant.programme, customer.holder)
        spendable = max(0, (await lock_accounts(sql, [account], now=gateway.now()))[account].spendable)
        if amount > spendable:
            raise NotEnoughPoints(
                f"The holder can spend {points.render_points(spendable)} points now,"
                f" {points.render_points(amount)} are wanted.",
                spendable=points.render_points(spendable),
            )
        until = gateway.now() + request.seconds
        row = await one(
            sql,
            _INSERT,
            merchant.id,
            id,
            customer.id,
            merchant.programme,
            customer.holder,
            amount,
            request.order,
            until,
        )
    if row is None:
        raise RuntimeError("an insert returned nothing")
    return _answer(row, gateway.now())


async def capture(gateway: Gateway, merchant: Merchant, id: UUID, *, amount: str | None) -> dict[str, Any]:
    """Redeems the held points, or fewer; the rest is free again. A capture that is repeated answers the same.

    Raises `HoldNotFound`, `HoldClosed`, `HoldExceeded`, and what a redemption can raise.
    """
    async with gateway.database.transaction(merchant.id) as sql:
        row = await _find(sql, merchant, id, lock=True)
        wanted = int(row["amount"]) if amount is None else points.points(amount)
        if row["state"] == "captured":
            if amount is not None and await _captured(sql, row) != wanted:
                raise HoldClosed(f"The hold {id} was captured for another amount.")
            return _answer(row, gateway.now())
        _require_open(row, gateway.now())
        if wanted > row["amount"]:
            raise HoldExceeded(f"The hold {id} is of {points.render_points(int(row['amount']))} points.")
        # Out of the way of its own redemption; the transaction is the hold's until the end.
        await sql.execute("update exchange.hold set state = 'released' where id = %s", (id,))
        wish = Wish("redeem", row["customer_id"], None, points.render_points(wanted), order=row["order"])
        [intent] = await custody.accept(gateway, sql, merchant, [wish])
        if isinstance(intent, ExchangeError):
            raise intent
        captured = await one(
            sql,
            "update exchange.hold set state = 'captured', intent_id = %s where id = %s returning *",
            intent["id"],
            id,
        )
    if captured is None:
        raise RuntimeError(f"the hold {id} vanished")
    return _answer(captured, gateway.now())


async def release(gateway: Gateway, merchant: Merchant, id: UUID) -> dict[str, Any]:
    """Gives the points back to their holder. Raises `HoldNotFound`, `HoldClosed`."""
    async with gateway.database.transaction(merchant.id) as sql:
        row = await _find(sql, merchant, id, lock=True)
        if row["state"] == "captured":
            raise HoldClosed(f"The hold {id} was captured.")
        await sql.execute("update exchange.hold set state = 'released' where id = %s", (id,))
    return _answer({**row, "state": "released"}, gateway.now())


async def status(gateway: Gateway, merchant: Merchant, sql: Connection, id: UUID) -> dict[str, Any]:
    return _answer(await _find(sql, merchant, id), gateway.now())


async def _find(sql: Connection, merchant: Merchant, id: UUID | None, *, lock: bool = False) -> dict[str, Any]:
    query = "select * from exchange.hold where merchant_id = %s and id = %s"
    row = await one(sql, query + (" for update" if lock else ""), merchant.id, id)
    if row is None:
        raise HoldNotFound(f"The merchant has no hold {id}.")
    return row


async def _captured(sql: Connection, row: Mapping[str, Any]) -> int:
    intent = await one(sql, "select amount from exchange.intent where id = %s", row["intent_id"])
    if intent is None:
        raise RuntimeError(f"the intent of hold {row['id']} vanished")
    return int(intent["amount"])


def _require_open(row: Mapping[str, Any], now: int) -> None:
    stage = _stage(row, now)
    if stage != "open":
        raise HoldClosed(f"The hold {row['id']} is {stage}.")


def _stage(row: Mapping[str, Any], now: int) -> str:
    expired = row["state"] == "open" and row["expires_at"] <= now
    return "expired" if expired else str(row["state"])


def _answer(row: Mapping[str, Any], now: int) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "customer": str(row["customer_id"]),
        "amount": points.render_points(int(row["amount"])),
        "order": row["order"],
        "expires_at": row["expires_at"],
        "status": _stage(row, now),
        "intent": None if row["intent_id"] is None else str(row["intent_id"]),
    }
