"""What became of a call that failed inside an included transaction. Pure.

A mint is never given up: its purchases are promised. It goes back to the queue, unless the chain says that its number
was minted already, which makes the failure a success. `create` likewise succeeded if the programme exists. An intent
goes back too: it was signed only after a simulation had found it good, so what failed it may pass (another lane's
deposit that a reorganisation put behind it); the next simulation refuses it if not. So does a clawback, whose batch may
come later than it after a reorganisation; one that finds its points taken back already was carried by somebody else.
Everybody else's call stays where it is, with its reason, unless its target did not even exist.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from contracts.bindings import ERRORS, describe_error
from exchange.tables import JUDGED_KINDS


class Fate(Enum):
    DONE = "done"  # what the call was for has happened before
    FAILED = "failed"
    AGAIN = "again"


class Verdict(NamedTuple):
    fate: Fate
    reason: str


HOPELESS = ("IntentExpired", "InvalidSignature")
_SELECTOR = {name: selector for selector, (name, _, _) in ERRORS.items()}


def is_hopeless(reverted: bytes) -> bool:
    """Whether a simulation failed for a reason that nothing on its way can mend."""
    return reverted[:4] in {_SELECTOR[name] for name in HOPELESS}


def verdict(kind: str, reverted: bytes) -> Verdict:
    """The fate of a call of `kind` that reverted with `reverted` (possibly cut after the second word)."""
    reason = describe_error(reverted)
    if reverted[:4] == _SELECTOR["NotAContract"]:
        return Verdict(Fate.AGAIN, reason)  # its target was not there yet, or is gone in a reorganisation
    if kind == "create" and reverted[:4] == _SELECTOR["AlreadyCreated"]:
        return Verdict(Fate.DONE, reason)
    if kind == "clawback" and reverted[:4] == _SELECTOR["RefundOutOfBounds"]:
        return Verdict(Fate.DONE, reason)
    if kind in JUDGED_KINDS:
        return Verdict(Fate.AGAIN, reason)
    if kind != "mint":
        return Verdict(Fate.FAILED, reason)
    if reverted[:4] == _SELECTOR["BatchOutOfOrder"] and len(reverted) >= 68:
        expected, given = int.from_bytes(reverted[4:36], "big"), int.from_bytes(reverted[36:68], "big")
        if expected > given:
            return Verdict(Fate.DONE, reason)
    return Verdict(Fate.AGAIN, reason)
