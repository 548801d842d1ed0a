"""What an audit has established so far: for each check what was proved, what contradicts it, what could not be checked.

Nothing that was not counted as proved is proved. A finding names the place: block, transaction, log, slot, receipt, or
the row and the column of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

CHECKS: Final[Mapping[str, str]] = {
    "code": "the code of every contract is what this build makes of the sources",
    "history": "every block, transaction and log since the deployment hashes to the trusted block, in order",
    "supply": "minted - burned = supply = the sum of the balances, for every programme",
    "state": "storage says what the history says: supplies, balances, margins, quotes and limits, by proof",
    "batches": "batches are in order, and their roots and hashes those of their receipts and entries",
    "issuance": "no batch passed the bucket, the caps or a pause",
    "swaps": "every swap was at the quotes in force, rounded against who swapped, between partners, within the caps",
    "margins": "margins sum to the settlement tokens held; who withdrew might",
    "gifts": "what was given, at the bid in force, and what sponsors added is what charities were credited",
    "refunds": "refunds were of receipts and within them, redemptions and gifts once, expiry and recovery due",
    "terms": "roles, limits, lives, quotes, fees and pauses changed only as their rules allow",
    "mirror": "the SQL mirror is equal to the chain, cell by cell",
    "promises": "every purchase accepted was minted as its receipt promised, and in time",
    "freshness": "the mirror and the nodes are not behind",
}
"""Ids and what each check establishes, in the order of the report."""


Fact = int | str | None | list["Fact"] | dict[str, "Fact"]
"""What a report can hold: JSON without floats."""


class Finding(msgspec.Struct, frozen=True):
    """`proof` is what contradicts what, in words; `place` says where to look."""

    check: str
    message: str
    place: dict[str, int | str]


class Tally(msgspec.Struct):
    """Of one check: facts proved, and facts that a sample left out."""

    proved: int = 0
    skipped: int = 0


class Record:
    """Grows during an audit. `findings` are contradictions, `doubts` what could not be verified."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {check: Tally() for check in CHECKS}
        self.findings: list[Finding] = []
        self.doubts: list[Finding] = []
        self.inputs: dict[str, Fact] = {}
        """What the audit was about, for its report: chain, deployment, anchor, code hashes, sample; how many promises
        were open: accepted, not minted, and not due."""

    def proved(self, check: str, count: int = 1) -> None:
        self.tallies[check].proved += count

    def skipped(self, check: str, count: int) -> None:
        self.tallies[check].skipped += count

    def found(self, check: str, message: str, **place: int | str) -> None:
        """A contradiction."""
        self.findings.append(Finding(check, message, place))

    def doubted(self, check: str, message: str, **place: int | str) -> None:
        """Something that could not be verified, and is therefore not said to be right."""
        self.doubts.append(Finding(check, message, place))

    @property
    def exit_code(self) -> int:
        """0 all proved, 1 a contradiction, 2 something could not be verified."""
        return 1 if self.findings else 2 if self.doubts else 0
