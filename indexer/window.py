"""Pure decisions about which blocks to ask for and what a head means. No I/O.

Invariant: nothing here takes a node that lags behind for a chain that changed. Only another hash at a height that we
hold is a reorganisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from indexer.blocks import Block

MOST_BLOCKS = 400
"""Blocks in one request: their headers alone are some 300 kB."""

ENOUGH_LOGS = 10_000
"""A request that brought fewer logs may grow; above twice as many it shrinks. Nodes are fastest at 1,000-20,000."""


class Head(Enum):
    """What the node's newest block means to a mirror that ends at `tip`."""

    SAME = "same"
    BEHIND = "behind"  # lower than our tip, and ours at its height: the node lags, or restarted: wait
    AHEAD = "ahead"  # higher than our tip: fetch
    PARTED = "parted"  # another block at a height that we hold: find the fork


def meaning(head: Block, *, tip: int, held: bytes | None) -> Head:
    """`held` is our hash at the head's height, None where we hold none."""
    if head.number > tip:
        return Head.AHEAD
    if held is None:
        return Head.BEHIND  # below all that we hold: the node has not reached the contracts yet
    if held != head.hash:
        return Head.PARTED
    return Head.SAME if head.number == tip else Head.BEHIND


def fork(held: Mapping[int, bytes], seen: Mapping[int, bytes]) -> int | None:
    """The greatest height at which both chains have the same block; None if there is none among these."""
    return max((number for number, hash_ in held.items() if seen.get(number) == hash_), default=None)


def grown(width: int, *, blocks: int, logs: int) -> int:
    """How many blocks to ask for next, where `width` would be asked for and `blocks` brought `logs`."""
    if logs > 2 * ENOUGH_LOGS:
        return min(width, shrunk(blocks))
    if logs < ENOUGH_LOGS and blocks >= width:
        return min(blocks * 2, MOST_BLOCKS)
    return width


def shrunk(blocks: int) -> int:
    """How many blocks to ask for after a node refused, or took too long for, `blocks`."""
    return max(blocks // 2, 1)


def final(blocks: list[Block], finalized: Block | None) -> Block | None:
    """The greatest block that is final once `blocks` are appended: the node's, or our last where it is beyond that."""
    if finalized is None or finalized.number <= blocks[-1].number:
        return finalized
    return blocks[-1]
