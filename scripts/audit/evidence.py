"""What the auditor reasons about: blocks with all of their logs, and whoever can show them. Pure data.

A `Block` exists only after its header hashed to what its child, or the one trusted hash, says, and after its receipts
and transactions hashed to what its header says: no log is missing, added, changed or out of order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Log(msgspec.Struct, frozen=True, gc=False):
    """One log. `index` counts within the block."""

    index: int
    address: bytes
    topics: list[bytes]
    data: bytes


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction that succeeded or failed; one that failed has no logs."""

    index: int
    hash: bytes
    logs: list[Log]


class Block(msgspec.Struct, frozen=True, gc=False):
    """A proved block. `time` is Unix seconds. Transactions without logs are there, too, unless nothing of ours logged
    anything in the whole block: then there are none."""

    number: int
    hash: bytes
    parent: bytes
    time: int
    state_root: bytes
    transactions: list[Transaction]


class Node(Protocol):
    """Whoever answers for a chain: one or several nodes over JSON-RPC, or a bundle on disk. Nothing it says is believed
    unproved. Answers are JSON as `eth_*` defines it, undecoded: each is decoded into what it must be."""

    async def ask(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[msgspec.Raw]:
        """The results of the calls, in their order. Raises `contracts.errors.ChainError`, for one as for all."""
