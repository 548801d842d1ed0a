"""What a simulated node does wrong, one request at a time: seeded, named, and counted where it happened."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts import bindings
from contracts.errors import Unavailable
from contracts.rpc import to_hex
from tests.indexer.simulated import SimulatedChain, SimulatedLog, View

Call = dict[str, Any]
Draw = random.Random

MINTED = to_hex(bindings.MINTED_TOPIC).encode()
TRANSFER = to_hex(bindings.TRANSFER_TOPIC).encode()


@dataclass(frozen=True, slots=True)
class Faults:
    """Which may happen, and how often to a request."""

    names: tuple[str, ...]
    rate: float


REFUSALS = ("unavailable", "rate limited", "no JSON", "entry missing", "entry refused")
OTHER_VIEWS = ("lagging", "another node in the batch")
STALE = ("stale branch",)
HEADS = ("null block", "finalized unknown", "finalized back", "head back")
LOGS = ("log of another block", "log twice", "log removed", "batch cut short", "block's logs left out", "range refused")

FORKING = (*REFUSALS, *OTHER_VIEWS, *STALE, *HEADS, *LOGS)
"""Everything. A stale branch is a fork that the node believes in."""

HONEST = (*REFUSALS, *OTHER_VIEWS, *HEADS, *LOGS)
"""Everything but forks: whatever happens, the chain has not changed."""


def refuse(name: str) -> bytes | None:
    """What stands in the place of a whole answer. Raises `Unavailable`; None if `name` is no such fault."""
    if name == "unavailable":
        raise Unavailable("simulated: connection refused")
    if name == "rate limited":
        return b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"rate limit exceeded"}}'
    if name == "no JSON":
        return b"<html>502 Bad Gateway</html>"
    return None


def views(name: str, chain: SimulatedChain, draw: Draw, calls: int) -> list[View] | None:
    """A view for each call of the batch; None if `name` is no such fault, or is impossible here."""
    if name == "lagging":
        return [chain.lagging()] * calls
    if name == "stale branch":
        stale = chain.stale()
        return None if stale is None else [stale] * calls
    if name == "another node in the batch" and calls > 1:
        cut = draw.choice((calls - 1, draw.randint(1, calls - 1)))
        nodes = [chain.view, draw.choice((chain.stale() or chain.lagging(), chain.lagging()))]
        draw.shuffle(nodes)
        return [nodes[0]] * cut + [nodes[1]] * (calls - cut)
    return None


def change_block(name: str, call: Call, text: bytes, view: View, draw: Draw) -> bytes | None:
    """Another answer to a call for a block; None if the fault does not touch this one."""
    asked = call["params"][0]
    if name == "null block" and asked not in ("latest", "finalized"):
        return b"null"
    if name == "finalized unknown" and asked == "finalized":
        return b"null"
    if name == "finalized back" and asked == "finalized" and view.final:
        return view.branch[draw.randrange(view.final)].header
    if name == "head back" and asked == "latest" and view.height:
        return view.branch[draw.choice((0, view.height - 1, draw.randrange(view.height)))].header
    return None


def change_logs(name: str, logs: list[SimulatedLog], draw: Draw) -> list[bytes] | None:
    """Other logs than those that there are; None if the fault does not touch these."""
    texts = [log.text for log in logs]
    change = _CHANGES.get(name)
    return change(texts, draw) if change and texts else None


def _of_another_block(texts: list[bytes], draw: Draw) -> list[bytes] | None:
    place = draw.randrange(len(texts))
    start = texts[place].index(b'"blockHash":"0x') + 15
    return [*texts[:place], texts[place][:start] + b"11" * 32 + texts[place][start + 64 :], *texts[place + 1 :]]


def _twice(texts: list[bytes], draw: Draw) -> list[bytes] | None:
    return [*texts, draw.choice(texts)]


def _removed(texts: list[bytes], draw: Draw) -> list[bytes] | None:
    place = draw.randrange(len(texts))
    return [*texts[:place], texts[place][:-1] + b',"removed":true}', *texts[place + 1 :]]


def _cut_short(texts: list[bytes], draw: Draw) -> list[bytes] | None:
    """A batch without one of its transfers, or without its `Minted`."""
    minted = [place for place, text in enumerate(texts) if MINTED in text]
    if not minted:
        return None
    place = draw.choice(minted)
    gone = draw.choice((place, place - 1))
    return [*texts[:gone], *texts[gone + 1 :]]


def _left_out(texts: list[bytes], draw: Draw) -> list[bytes] | None:
    block = _block(draw.choice(texts))
    return [text for text in texts if _block(text) != block]


def _block(text: bytes) -> bytes:
    return text[: text.index(b",")]


_CHANGES: dict[str, Callable[[list[bytes], Draw], list[bytes] | None]] = {
    "log of another block": _of_another_block,
    "log twice": _twice,
    "log removed": _removed,
    "batch cut short": _cut_short,
    "block's logs left out": _left_out,
}
