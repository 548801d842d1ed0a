"""Named points at which a process can be told to die, so that what a crash leaves there is tested and not guessed.

A point lies between two effects of which the first may be seen outside, or undone, without the second. Reached by a
process that was told to die there, it is a kill -9: no handler runs, nothing is flushed. Otherwise it costs one
comparison. Development only: the settings of every program refuse `POINTS_CRASH_AT` in production.

It is here, in the lowest layer, for the indexer and the exchange have points alike.
"""

from __future__ import annotations

import os
import signal
from typing import Final, Literal, get_args

Point = Literal[
    "gateway: purchase signed, not stored",
    "gateway: purchase stored, not answered",
    "gateway: transaction not committed",
    "gateway: transaction committed, not answered",
    "batching: batches stored, not committed",
    "batching: batches committed",
    "refunding: clawbacks stored, not committed",
    "refunding: clawbacks committed",
    "withdrawing: due, completion not queued",
    "withdrawing: completion queued",
    "lane: signed, not committed",
    "lane: signed, not sent",
    "lane: sent, not recorded",
    "lane: replacement signed, not stored",
    "lane: replacement stored, not sent",
    "lane: included, not recorded",
    "lane: inclusion recorded, not committed",
    "lane: left the chain, not recorded",
    "lane: final, not recorded",
    "lane: refused, not recorded",
    "lane: lost, not recorded",
    "indexer: fetched, not stored",
    "indexer: stored, not committed",
    "indexer: committed",
    "indexer: rolled back, not committed",
    "indexer: rolled back",
    "indexer: final, not stored",
    "indexer: built, not committed",
    "indexer: switched, not committed",
    "notifier: derived, not committed",
    "notifier: derived",
    "notifier: taken, not sent",
    "notifier: sent, not recorded",
]

POINTS: Final[tuple[Point, ...]] = get_args(Point)

_ARMED: dict[str, int] = {}
"""The point at which this process dies, and how many more times it passes it before."""


class UnknownPoint(ValueError):
    """Raised when `POINTS_CRASH_AT` names no point."""


def parse(at: str) -> tuple[Point, int]:
    """`name`, or `name#3` for the third time that the process gets there. Raises `UnknownPoint`."""
    name, _, count = at.partition("#")
    for known in POINTS:
        if name == known and (not count or count.isdecimal()):
            return known, max(1, int(count or 1))
    raise UnknownPoint(f"there is no crash point {at!r}; the points are: {'; '.join(POINTS)}")


def refuse_in_production(at: str | None, environment: str) -> None:
    """Raises `ValueError`: a process that was told to die has no place there. Raises `UnknownPoint`."""
    if at is not None and environment == "production":
        raise ValueError("production does not crash on purpose: unset POINTS_CRASH_AT")
    if at is not None:
        parse(at)


def arm(at: str | None) -> None:
    """Called by each program's `main` with its setting, once."""
    _ARMED.clear()
    if at is not None:
        name, count = parse(at)
        _ARMED[name] = count


def point(name: Point) -> None:
    """Dies here if this process was told to."""
    if _ARMED and name in _ARMED:
        _ARMED[name] -= 1
        if not _ARMED[name]:
            os.kill(os.getpid(), signal.SIGKILL)
