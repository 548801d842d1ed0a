"""From queued calls to signed transactions. Pure: keys, nonces and fees come as arguments.

Calls of anybody's authority travel together in a `Bundle`; a call that needs its sender travels alone. A call that
failed repeatedly with its whole bundle travels alone too, so that it cannot hold up the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contracts import packed
from contracts.bindings import Call
from contracts.fees import Fees
from contracts.transactions import sign_transaction

BUNDLE_GAS = 14_000_000
"""Promised to the calls of one transaction, two full batches: with overhead and calldata it stays below EIP-7825's
16,777,216."""

BUNDLE_BYTES = 96_000
"""Calldata of one transaction: nodes refuse transactions above 128 KiB."""

ALONE_AFTER = 3


class Queued(NamedTuple):
    id: int
    kind: str
    target: bytes
    data: bytes
    gas: int
    sequence: bytes | None
    signer: bytes | None
    tries: int


class Signed(NamedTuple):
    nonce: int
    target: bytes
    gas: int
    fees: Fees
    raw: bytes
    hash: bytes
    calls: tuple[int, ...]


def group(calls: Sequence[Queued], *, room: int) -> list[list[Queued]]:
    """`calls` in their order, a list a transaction, at most `room` of them; the rest waits."""
    groups: list[list[Queued]] = []
    gas = size = count = 0
    sealed = True  # whether nothing more may join the last group
    for call in calls:
        alone = call.signer is not None or call.tries >= ALONE_AFTER
        full = gas + call.gas > BUNDLE_GAS or size + len(call.data) > BUNDLE_BYTES or count == packed.MAX_TARGETS
        if sealed or alone or full:
            if len(groups) == room:
                break
            groups.append([])
            gas = size = count = 0
        groups[-1].append(call)
        gas, size, count, sealed = gas + call.gas, size + len(call.data), count + 1, alone
    return groups


def gas_limit(gases: Sequence[int], data: bytes) -> int:
    """Enough for each call to get its promised gas (EIP-150 keeps a 64th), and for the calldata (EIP-7623's floor)."""
    zeros = data.count(0)
    ones = len(data) - zeros
    calls = sum(gases) * 64 // 63 + 6_000 * len(gases)
    return 60_000 + max(calls + 16 * ones + 4 * zeros, 40 * ones + 10 * zeros)


def sign_groups(
    groups: Sequence[Sequence[Queued]], *, key: bytes, chain_id: int, bundle: bytes, next_nonce: int, fees: Fees
) -> list[Signed]:
    """One transaction a group, with consecutive nonces from `next_nonce`."""
    signed = []
    for nonce, calls in enumerate(groups, next_nonce):
        if calls[0].signer is not None:
            target, data = calls[0].target, calls[0].data
        else:
            target, data = bundle, packed.execute([Call(c.target, c.gas, c.data) for c in calls])
        gas = gas_limit([c.gas for c in calls], data)
        raw, hash_ = sign_transaction(key=key, chain_id=chain_id, nonce=nonce, to=target, data=data, gas=gas, fees=fees)
        signed.append(Signed(nonce, target, gas, fees, raw, hash_, tuple(c.id for c in calls)))
    return signed
