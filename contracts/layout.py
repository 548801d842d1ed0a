"""Where a programme's contract keeps what is proved to customers: storage slots, as the compiler laid them out. Pure.

`tests/audit/test_verify.py` holds them to the compiler's own word, and the auditor's copies with them.
"""

from __future__ import annotations

from typing import Final

from eth_hash.backends.pysha3 import keccak256 as keccak

BOUNDS: Final = 1
"""The programme's life, among other things."""

HOLDINGS: Final = 3
"""A mapping from holders to their words."""

BATCHES: Final = 7
"""A mapping from places in the ring to what is kept of a batch."""

RING: Final = 4_096
"""Batches of which something is kept: the last ones."""


def holding(holder: bytes) -> int:
    """The slot of a holder's word."""
    return _mapped(HOLDINGS, holder)


def batch(number: int) -> int:
    """The slot of a batch's commitment, and of every other batch's whose number differs by a multiple of `RING`."""
    return _mapped(BATCHES, (number % RING).to_bytes(32, "big"))


def _mapped(slot: int, key: bytes) -> int:
    return int.from_bytes(keccak(key.rjust(32, b"\0") + slot.to_bytes(32, "big")), "big")
