"""Amounts: decimal strings at the edge, integers inside, never a float; and what a purchase earns.

A point has two decimals, so 1 point = 100 base units; a settlement token has six; a currency has its minor digits. A
string with more decimals than its unit is refused, never rounded. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from exchange.errors import AmountTooLarge, InvalidAmount

POINT_DIGITS: Final = 2
SETTLEMENT_DIGITS: Final = 6
PRICE_DIGITS: Final = 13
"""Digits of a price: settlement tokens per point to the contract's unit, 10^6 * 10^9 / 10^2."""
LARGEST_MINOR: Final = 2**53
LARGEST_UINT96: Final = 2**96 - 1
LARGEST_UINT88: Final = 2**88 - 1
LARGEST_UINT64: Final = 2**64 - 1
RATE: Final = 1_000_000

_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,40})(?:\.([0-9]{1,40}))?")

_MINOR_DIGITS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


@dataclass(frozen=True, slots=True)
class EarningRule:
    """`rate_millionths`: points base units per currency minor unit, in millionths. Beside it, the terms: days in which
    a sale may be returned, and whether shortfalls are offset by later earnings."""

    version: int
    rate_millionths: int
    return_window: int = 0
    offsets: bool = False

    def points(self, amount_minor: int) -> int:
        """Base units earned; what is less than one is not."""
        return amount_minor * self.rate_millionths // RATE


def minor_digits(currency: str) -> int:
    """The decimals of an ISO 4217 currency: 2 unless it is one of the few others."""
    return _MINOR_DIGITS.get(currency, 2)


def parse(text: str, *, digits: int, name: str, largest: int, zero: bool = False) -> int:
    """`text` in units of 10^-digits. Raises `InvalidAmount` or `AmountTooLarge`, naming `name`."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount(f"{name} is not a decimal number.", field=name)
    sign, whole, fraction = match.groups(default="")
    if sign:
        raise InvalidAmount(f"{name} is negative.", field=name)
    if len(fraction) > digits:
        raise InvalidAmount(f"{name} has {len(fraction)} decimals; its unit has {digits}.", field=name)
    value: int = int(whole) * 10**digits + int(fraction.ljust(digits, "0") or 0)
    if value == 0 and not zero:
        raise InvalidAmount(f"{name} is zero.", field=name)
    if value > largest:
        raise AmountTooLarge(f"{name} is more than {render(largest, digits=digits)}.", field=name)
    return value


def render(value: int, *, digits: int) -> str:
    """The decimal string of `value` units of 10^-digits, always with `digits` decimals."""
    if digits == 0:
        return str(value)
    sign, text = ("-" if value < 0 else ""), str(abs(value)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def points(text: str, *, name: str = "amount", largest: int = LARGEST_UINT96, zero: bool = False) -> int:
    return parse(text, digits=POINT_DIGITS, name=name, largest=largest, zero=zero)


def render_points(value: int) -> str:
    return render(value, digits=POINT_DIGITS)


def settlement(text: str, *, name: str, largest: int = LARGEST_UINT96, zero: bool = False) -> int:
    return parse(text, digits=SETTLEMENT_DIGITS, name=name, largest=largest, zero=zero)


def render_settlement(value: int) -> str:
    return render(value, digits=SETTLEMENT_DIGITS)


def price(text: str, *, name: str) -> int:
    """Settlement tokens per point, in the contract's unit: settlement base units per points base unit x 1e9."""
    return parse(text, digits=PRICE_DIGITS, name=name, largest=LARGEST_UINT64)


def render_price(value: int) -> str:
    text = render(value, digits=PRICE_DIGITS).rstrip("0")
    return text + "0" if text.endswith(".") else text


def earning_rate(text: str, *, digits: int) -> int:
    """`rate_millionths` of "points per currency unit" for a currency with `digits` decimals."""
    # points/unit * 100 base units * 10^6 / 10^digits: exact for 8 - digits decimals, anything finer is refused.
    scale = POINT_DIGITS + 6 - digits
    return parse(text, digits=scale, name="points_per_unit", largest=10_000 * 10**scale, zero=True)
