"""What an audit is asked to do, and how it says how far it is. Pure data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from contracts.deployment import Deployment


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`block` is the hash that is trusted; None takes the final block that all nodes agree on.

    `database` is the URL of the SQL mirror, `receipts` a folder of merchants' receipts: what is None is not compared.
    `sample` is how many of the words of storage of which there are many (balances, batches) are proved, drawn by
    `seed`; None proves all.
    """

    deployment: Deployment
    block: bytes | None = None
    database: str | None = None
    receipts: Path | None = None
    sample: int | None = None
    seed: int = 0


class Step(msgspec.Struct, frozen=True):
    """How far an audit is: `done` of `total` of what `stage` counts; logs and purchases seen since the beginning."""

    stage: str
    done: int
    total: int
    logs: int = 0
    purchases: int = 0


Progress = Callable[[Step], None]
"""Is told of every step; a step of the same stage replaces the one before."""

Advance = Callable[[int, int], None]
"""Is told how many of how many are done."""
