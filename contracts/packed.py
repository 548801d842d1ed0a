"""The short form of bundles and intents: fields one after the other, each at its own width, without padding.

The layouts are those that `IBundle`, `IPoints` and `IExchange` document beside each `executePacked`. What is
signed, and what happens, is the same as by the ABI functions in `bindings`; only calldata, which is what most of a
relayed intent costs, is a third. Pure. A value that does not fit its field raises `OverflowError` or `ValueError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts import bindings
from contracts.bindings import Call

MAX_TARGETS = 256
MAX_GAS = 2**24 - 1
"""Of one call: as much as a whole transaction may have (EIP-7825)."""


def execute(calls: Sequence[Call]) -> bytes:
    """A bundle's calldata. `targets` are listed once, in the order of their first call."""
    places: dict[bytes, int] = {}
    parts: list[bytes] = []
    for target, gas, data in calls:
        place = places.setdefault(target, len(places))
        parts += [place.to_bytes(1), gas.to_bytes(3), len(data).to_bytes(3), data]
    return bindings.bundle_execute_packed(targets=list(places), calls=b"".join(parts))


def send(*, holder: bytes, to: bytes, amount: int, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bindings.points_execute_packed() + _head(0, holder, amount, nonce, deadline) + _sized(to, 20) + signature


def redeem(*, holder: bytes, amount: int, order: bytes, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bindings.points_execute_packed() + _head(1, holder, amount, nonce, deadline) + _sized(order, 32) + signature


def swap(
    *,
    from_: bytes,
    holder: bytes,
    amount: int,
    into: bytes,
    minimum: int,
    nonce: int,
    deadline: int,
    signature: bytes,
) -> bytes:
    intent = _head(2, holder, amount, nonce, deadline) + _sized(into, 20) + minimum.to_bytes(12) + signature
    return bindings.exchange_execute_packed() + _sized(from_, 20) + intent


def give(
    *,
    programme: bytes,
    holder: bytes,
    amount: int,
    charity: bytes,
    campaign: int,
    nonce: int,
    deadline: int,
    signature: bytes,
) -> bytes:
    intent = _head(3, holder, amount, nonce, deadline) + _sized(charity, 20) + campaign.to_bytes(4) + signature
    return bindings.exchange_execute_packed() + _sized(programme, 20) + intent


def _head(kind: int, holder: bytes, amount: int, nonce: int, deadline: int) -> bytes:
    return kind.to_bytes(1) + _sized(holder, 20) + amount.to_bytes(12) + nonce.to_bytes(5) + deadline.to_bytes(5)


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"the field has {size} bytes, not {len(value)}")
    return value
