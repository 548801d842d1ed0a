"""What every part of the twin shares: what time it is, what has happened, and how something is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from contracts.bindings import Event

NOBODY = bytes(20)
DAY = 86_400
HOUR = 3_600


class Refused(Exception):
    """The act has no effect; the text is the reason, as `bindings.describe_error` spells the contract's."""


def refuse(error: str, /, **arguments: int | bytes) -> NoReturn:
    raise Refused(shown(error, arguments))


def shown(name: str, arguments: Mapping[str, object]) -> str:
    """An error, event or act, as a person reads it."""
    return f"{name}({', '.join(f'{field}={_shown(value)}' for field, value in arguments.items())})"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


@dataclass
class Journal:
    """One act: who calls, at which Unix second, and who signed it.

    `signer` is None for an empty signature, and nobody's address for one that is good for nothing. `intent` is what was
    signed. `events` are the act's, each with the contract that emitted it.
    """

    now: int
    caller: bytes = NOBODY
    signer: bytes | None = None
    intent: bytes = b""
    events: list[tuple[bytes, Event]] = field(default_factory=list)

    @property
    def today(self) -> int:
        return self.now // DAY

    def emit(self, contract: bytes, event: Event) -> None:
        self.events.append((contract, event))


PAUSE = 72 * HOUR
REST = 72 * HOUR


def begun_pause(last: int, now: int) -> int:
    """The end of a pause that begins now, after one that ended at `last` (0: never)."""
    if last and now < last + REST:
        refuse("PausedTooRecently", until=last + REST)
    return now + PAUSE


def ended_pause(until: int, now: int) -> int:
    return min(now, until)
