"""A card customer's PIN: what it takes to spend the points of one merchant by a card.

A try is counted, and committed, before the PIN is looked at: however many come at once, at most five are judged until
the right one comes. After the third wrong one there is a wait, after the fourth a longer one, after the fifth the PIN
is locked until the merchant unlocks it. A customer without a PIN is refused, counted and locked just like one with
another PIN, and in the same time: nobody learns which it is. PINs are stored as Argon2id of an HMAC under the pepper,
so the database alone does not tell them. They are a merchant's own: what one merchant does locks nobody elsewhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from uuid import UUID

from exchange import codes, points
from exchange.database import Connection, one, rows
from exchange.errors import (
    ExchangeError,
    InvalidAmount,
    InvalidRequest,
    PinLocked,
    PinNeeded,
    PinRefused,
    PinTooEasy,
    PinWait,
)
from exchange.gateway import Gateway
from exchange.merchant import Merchant

TRIES: Final = 5
"""Wrong ones, after which a PIN is locked."""
AT_ONCE: Final = 20
"""PINs that one bulk request may bring."""

_USUAL: Final = frozenset(
    ("0852", "1004", "1122", "1313", "1379", "2468", "2580", "5683", "1236", "147258", "159753", "789456", "102030")
)
_MULTIPLES: Final = (2, 3, 4, 5, 6)

_TRY: Final = f"""
insert into exchange.pin as p (merchant_id, customer_id, tries) values (%s, %s, 1)
on conflict (merchant_id, customer_id) do update
set tries = p.tries + 1,
    next_at = case p.tries + 1 when 3 then now() + interval '1 minute' when 4 then now() + interval '5 minutes' end
where p.tries < {TRIES} and (p.next_at is null or p.next_at <= now())
returning p.digest
"""  # noqa: S608 - of constants
_SET: Final = """
insert into exchange.pin (merchant_id, customer_id, digest, set_at) values (%s, %s, %s, now())
on conflict (merchant_id, customer_id) do update
set digest = excluded.digest, set_at = excluded.set_at, tries = 0, next_at = null
"""
_RESET: Final = """
update exchange.pin set tries = 0, next_at = null where merchant_id = %s and customer_id = %s and tries > 0
"""


def require_hard(pin: str) -> None:
    """Raises `PinTooEasy` for what everybody tries first: one digit, a run, a short pattern, a year, a well-known one.

    `pin` has 4 to 12 digits.
    """
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    repeats = any(
        len(pin) % size == 0 and pin == pin[:size] * (len(pin) // size) for size in _MULTIPLES if size < len(pin)
    )
    is_year = len(pin) == 4 and pin[:2] in ("19", "20")
    if steps in ({0}, {1}, {9}) or repeats or is_year or pin in _USUAL:
        raise PinTooEasy("This PIN is among the first that somebody else would try.")


@dataclass(frozen=True, slots=True)
class Spend:
    """What somebody wants to do with a card. Exactly one of `customer` and `member` is set."""

    customer: UUID | None
    member: str | None
    amount: str
    pin: str | None


async def hashed(gateway: Gateway, merchant: Merchant, pin: str) -> str:
    """A new PIN, as it is to be stored. Raises `PinTooEasy`."""
    require_hard(pin)
    return await gateway.hashing.hash(_peppered(gateway, merchant, pin))


async def admit(gateway: Gateway, merchant: Merchant, spends: Sequence[Spend]) -> list[ExchangeError | None]:
    """For each spend the refusal, or None if its PIN is right or not asked for. What is wrong with it otherwise is
    somebody else's to say. Counts wrong tries at once, whatever becomes of the request."""
    async with gateway.database.reading(merchant.id) as sql:
        least = await limit(sql, merchant)
    if least is None:
        return [None] * len(spends)
    asked = [spend for spend in spends if _reaches(spend, least)]
    known = await _customers(gateway, merchant, asked)
    pairs = {(known[_name(spend)], spend.pin) for spend in asked if spend.pin is not None and _name(spend) in known}
    if len(pairs) > AT_ONCE:
        raise InvalidRequest(f"A request brings at most {AT_ONCE} PINs; this one brings {len(pairs)}.", field="pin")
    judged = {pair: await _judged(gateway, merchant, *pair) for pair in sorted(pairs)}

    def refusal(spend: Spend) -> ExchangeError | None:
        if not _reaches(spend, least):
            return None
        if spend.pin is None:
            return PinNeeded(f"From {points.render_points(least)} points on, the merchant asks for the card's PIN.")
        return judged[known[_name(spend)], spend.pin] if _name(spend) in known else None

    return [refusal(spend) for spend in spends]


async def require(gateway: Gateway, merchant: Merchant, spend: Spend) -> None:
    """Raises `PinNeeded`, `PinRefused`, `PinWait`, `PinLocked`."""
    [refusal] = await admit(gateway, merchant, [spend])
    if refusal is not None:
        raise refusal


def _name(spend: Spend) -> UUID | str | None:
    return spend.member if spend.customer is None else spend.customer


def _reaches(spend: Spend, limit: int) -> bool:
    try:
        return points.points(spend.amount) >= limit
    except InvalidAmount:
        return False
    except ExchangeError:
        return True


async def limit(sql: Connection, merchant: Merchant) -> int | None:
    """Base units from which the merchant asks for a PIN; None is never."""
    row = await one(sql, "select pin_from from exchange.merchant where id = %s", merchant.id)
    return None if row is None or row["pin_from"] is None else int(row["pin_from"])


async def _customers(gateway: Gateway, merchant: Merchant, spends: Sequence[Spend]) -> dict[UUID | str | None, UUID]:
    """The merchant's card customers among those named, by the merchant's id and by member: their own ids."""
    async with gateway.database.reading(merchant.id) as sql:
        found = await rows(
            sql,
            "select b.reference, b.id, c.id as person"
            " from exchange.member b join exchange.customer c on c.id = b.customer_id"
            " where b.merchant_id = %s and (b.reference = any(%s) or b.id = any(%s)) and c.custody = 'custodial'",
            merchant.id,
            [spend.member for spend in spends if spend.member is not None],
            [spend.customer for spend in spends if spend.customer is not None],
        )
    known: dict[UUID | str | None, UUID] = {}
    for row in found:
        known[row["reference"]] = known[row["id"]] = row["person"]
    return known


async def _judged(gateway: Gateway, merchant: Merchant, person: UUID, pin: str) -> ExchangeError | None:
    async with gateway.database.reading(merchant.id) as sql:
        row = await one(sql, _TRY, merchant.id, person)
        if row is None:
            return await _waiting(sql, merchant, person)
    if not await gateway.hashing.matches(row["digest"], _peppered(gateway, merchant, pin)):
        return PinRefused("The card's PIN is another one.")
    async with gateway.database.reading(merchant.id) as sql:
        await sql.execute(_RESET, (merchant.id, person))
    return None


async def _waiting(sql: Connection, merchant: Merchant, person: UUID) -> ExchangeError:
    row = await one(
        sql,
        "select tries, ceil(extract(epoch from next_at - now()))::int as wait from exchange.pin"
        " where merchant_id = %s and customer_id = %s",
        merchant.id,
        person,
    )
    if row is None or row["tries"] >= TRIES:
        return PinLocked("There were too many wrong tries.")
    return PinWait(row["wait"] or 1)


# --- choosing one


async def choose(gateway: Gateway, merchant: Merchant, customer: UUID, *, pin: str, code: str) -> None:
    """With a one-time code from the merchant; unlocks, too. Raises `CustomerNotFound`, `NotCustodial`, `CodeRefused`,
    `PinTooEasy`."""
    digest = await hashed(gateway, merchant, pin)
    async with gateway.database.transaction(merchant.id) as sql:
        person = await codes.require_card(sql, merchant, customer)
        await codes.use_for_pin(gateway, sql, person, code)
        await sql.execute(_SET, (merchant.id, person, digest))


async def unlock(gateway: Gateway, merchant: Merchant, customer: UUID) -> None:
    """Five more tries. Raises `CustomerNotFound`, `NotCustodial`."""
    async with gateway.database.transaction(merchant.id) as sql:
        person = await codes.require_card(sql, merchant, customer)
        await sql.execute(_RESET, (merchant.id, person))


def _peppered(gateway: Gateway, merchant: Merchant, pin: str) -> bytes:
    return hmac.digest(
        gateway.settings.pepper.get_secret_value().encode(), f"pin:{merchant.id}:{pin}".encode(), "sha256"
    )
