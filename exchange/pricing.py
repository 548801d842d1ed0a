"""What a swap or a gift comes to: the arithmetic of `IExchange`, digit for digit. Pure.

Rounding is always against the one who asks: value and out are floors, the fee is a ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRICE: Final = 10**9
BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Swap:
    """`out` in base units of the points received, `value` and `fee` in settlement base units."""

    out: int
    value: int
    fee: int


def value_of(*, amount: int, bid: int) -> int:
    """Settlement base units that `amount` base units of points are worth at `bid`."""
    return amount * bid // PRICE


def swap(*, amount: int, bid: int, ask: int, fee_bps: int) -> Swap:
    """`amount` at the bid of the programme left, into the other at its ask."""
    value = value_of(amount=amount, bid=bid)
    fee = -(-value * fee_bps // BASIS_POINTS)
    return Swap(out=(value - fee) * PRICE // ask, value=value, fee=fee)
