"""What the indexer takes from a chain: blocks, the logs of our contracts, and a stretch of both. Pure data.

Invariant of a `Stretch`: its blocks are consecutive and each names its predecessor's hash; every log is of one of these
blocks, by number and hash; logs are in the chain's order. `stretch` makes one or raises.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import attrgetter

import msgspec

from indexer.errors import Inconsistent


class Block(msgspec.Struct, frozen=True, gc=False):
    """One header. `time` is Unix seconds."""

    number: int
    hash: bytes
    parent: bytes
    time: int


class Log(msgspec.Struct, frozen=True, gc=False):
    """One log, in raw bytes."""

    block: int
    block_hash: bytes
    transaction_index: int
    transaction: bytes
    index: int
    address: bytes
    topics: list[bytes]
    data: bytes


class Stretch(msgspec.Struct, frozen=True):
    """Consecutive blocks and all logs of our contracts in them."""

    blocks: list[Block]
    logs: list[Log]

    @property
    def first(self) -> Block:
        return self.blocks[0]

    @property
    def last(self) -> Block:
        return self.blocks[-1]


def stretch(blocks: list[Block], logs: Sequence[Log]) -> Stretch:
    """Checks that `blocks` are linked and that `logs` belong to them. Raises `Inconsistent`."""
    require_linked(blocks)
    hashes = {block.number: block.hash for block in blocks}
    for log in logs:
        if hashes.get(log.block) != log.block_hash:
            raise Inconsistent(f"log {log.index} of block {log.block} is of another block than its header")
    ordered = sorted(logs, key=attrgetter("block", "index"))
    for one, two in itertools.pairwise(ordered):
        if one.block == two.block and (one.index == two.index or one.transaction_index > two.transaction_index):
            raise Inconsistent(f"logs {one.index} and {two.index} of block {one.block} are out of order")
    return Stretch(blocks, ordered)


def require_linked(blocks: Sequence[Block]) -> None:
    """Raises `Inconsistent` unless each block is the parent of the next."""
    if not blocks:
        raise Inconsistent("no blocks")
    for one, two in itertools.pairwise(blocks):
        if two.number != one.number + 1 or two.parent != one.hash:
            raise Inconsistent(f"blocks {one.number} and {two.number} are not linked")
