"""Where the contracts keep what can be proved of them: storage slots, as the compiler laid them out. Pure.

`tests/contracts/test_layout.py` holds them to the compiler's own word. How words are packed is drawn in `src/types`.
"""

from __future__ import annotations

from typing import Final

from eth_hash.backends.pysha3 import keccak256 as keccak

ISSUANCE, BOUNDS, HOLDINGS, LOOSENED, BATCHES, REFUNDED, RECOVERIES = 0, 1, 3, 5, 7, 8, 9
"""Of a token: its supply, bucket and next batch; its limits, life and pause; holders' words; looser limits to come;
what is kept of batches, of refunds and of recoveries."""

OWNER, GUARDIAN, FEE, MEMBERS, WITHDRAWALS, PAYOUTS, ANNOUNCED, CONSENTS, CAMPAIGNS, CAMPAIGN = range(10)
"""Of the exchange. `FEE` is the account, the fee and the pause; `CAMPAIGNS` their number."""

IS_PROGRAMME: Final = 0
"""Of the factory."""

RING: Final = 4_096
"""Batches of which a token keeps something: the last ones."""


def holding(holder: bytes) -> int:
    """The slot of a holder's word."""
    return at(HOLDINGS, holder)


def batch(number: int) -> int:
    """The slot of a batch's commitment, and of every other batch's whose number differs by a multiple of `RING`."""
    return at(BATCHES, number % RING)


def at(slot: int, key: bytes | int) -> int:
    """Where a mapping at `slot` keeps `key`."""
    word = key.to_bytes(32) if isinstance(key, int) else key.rjust(32, b"\0")
    return int.from_bytes(keccak(word + slot.to_bytes(32)))
