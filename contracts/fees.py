"""What a transaction offers for its gas, and by how much a stuck one is outbid. Pure; all in wei per gas.

Nodes replace a pending transaction only if both of its fees rise by an eighth at least.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fees:
    """`max_fee` covers the base fee and the tip; the tip is never above it."""

    max_fee: int
    tip: int


def quote(base_fee: int, tip: int) -> Fees:
    """Fees for a new transaction: room for the base fee to double (six full blocks in a row)."""
    return Fees(max_fee=2 * base_fee + tip, tip=tip)


def capped(fees: Fees, cap: int) -> Fees:
    return Fees(max_fee=min(fees.max_fee, cap), tip=min(fees.tip, cap))


def bump(old: Fees, quote: Fees, cap: int) -> Fees | None:
    """The fees of a replacement, or None when the smallest rise that nodes accept would pass `cap`."""
    wanted = capped(quote, cap)
    bumped = Fees(max_fee=max(_risen(old.max_fee), wanted.max_fee), tip=max(_risen(old.tip), wanted.tip))
    return bumped if bumped.max_fee <= cap else None


def _risen(fee: int) -> int:
    return fee * 9 // 8 + 1
