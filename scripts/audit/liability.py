"""A programme's liability, told from proved blocks alone: the lines that the gateway gives its merchant's accountants.

`docs/ACCOUNTING.md` defines every column. Each act is entered on the day (UTC) of its block; a line is the sum of its
days. Integers only; points have two decimals, settlement tokens six, prices thirteen. Pure, but for `proved`, which
asks the nodes. That the contracts keep their rules is for the whole audit to say.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal

import msgspec
from eth_hash.backends.pysha3 import keccak256

from contracts import bindings
from scripts.audit import chain
from scripts.audit.acts import Act, Network, acts
from scripts.audit.evidence import Block, Node
from scripts.audit.options import Options, Progress, Step
from scripts.audit.record import Record
from scripts.errors import CommandFailed

DAY: Final = 86_400
FEWEST_DAYS: Final = 365
POINTS: Final = ("earned", "swapped_in", "redeemed", "swapped_out", "given", "expired", "clawed_back")
MARGIN: Final = ("deposited", "withdrawn", "swaps_received", "swaps_paid", "gifts", "matches", "fees")
EPOCH: Final = date(1970, 1, 1)

Per = Literal["day", "month", "whole"]
Line = dict[str, str | int | bool | None]


class NoSuchProgramme(CommandFailed):
    """When the factory never created it."""


@dataclass(slots=True)
class Books:
    """One programme's, up to the last block that was entered. Days are since 1970."""

    programme: bytes
    days: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    blocks: list[tuple[int, int, bytes]] = field(default_factory=list)  # the last of each day: time, number, hash
    quotes: list[tuple[int, int, int]] = field(default_factory=list)  # in force from, bid, void after
    lives: list[tuple[int, int]] = field(default_factory=list)  # from, days
    fee_account: bytes = b""
    batches: dict[int, int] = field(default_factory=dict)  # the days of their issue
    issued: list[tuple[int, int, int]] = field(default_factory=list)  # on which day, of which day, how many

    def enter(self, block: Block, acts: Iterable[Act]) -> None:
        """A block with its acts, after the one before."""
        if self.blocks and self.blocks[-1][0] // DAY == block.time // DAY:
            self.blocks.pop()
        self.blocks.append((block.time, block.number, block.hash))
        for act in acts:
            self._enter(act)

    def _enter(self, act: Act) -> None:
        today, event = self.days[act.time // DAY], act.event
        ours = act.emitter == self.programme
        match event:
            case bindings.ProgrammeCreated() if event.programme == self.programme:
                self.lives.append((act.time, event.life))
            case bindings.LifeExtended() if ours:
                self.lives.append((act.time, event.life))
            case bindings.Minted() if ours:
                today["earned"] += event.total
                self.batches[event.batch] = act.time // DAY
                self._issue(act.time, act.time // DAY, event.total)
            case bindings.Redeemed() if ours:
                today["redeemed"] -= event.amount
            case bindings.Expired() if ours:
                today["expired"] -= event.amount
            case bindings.ClawedBack() if ours:
                today["clawed_back"] -= event.burned
                self._issue(act.time, self.batches.get(event.batch, act.time // DAY), -event.burned)
            case bindings.Swapped():
                self._swapped(act, event, today)
            case bindings.Given() if event.programme == self.programme:
                today["given"] -= act.moves[0].amount
            case bindings.Quoted() if event.programme == self.programme:
                self.quotes = [quote for quote in self.quotes if quote[0] <= act.time]
                self.quotes.append((event.effective, event.bid, event.until))
            case bindings.FeeSet():
                self.fee_account = event.account
        for account, name, value in _margins(act, self.fee_account):
            if account == self.programme:
                today[name] += value

    def _swapped(self, act: Act, event: bindings.Swapped, today: Counter[str]) -> None:
        burn, mint = act.moves
        if event.from_ == self.programme:
            today["swapped_out"] -= burn.amount
        if event.into == self.programme:
            today["swapped_in"] += mint.amount
            self._issue(act.time, act.time // DAY, mint.amount)

    def _issue(self, time: int, of: int, amount: int) -> None:
        self.issued.append((time // DAY, of, amount))

    def lines(self, start: date, end: date, per: Per) -> list[Line]:
        """Of the adjoining periods from `start` to before `end`."""
        cuts = [start]
        while (after := _after(cuts[-1], per, end)) < end:
            cuts.append(after)
        return [self._line(*period) for period in zip(cuts, [*cuts[1:], end], strict=True)]

    def _line(self, start: date, end: date) -> Line:
        first, last = (start - EPOCH).days, (end - EPOCH).days
        before: Counter[str] = Counter()
        moved: Counter[str] = Counter()
        for day, sums in self.days.items():
            if day < last:
                (before if day < first else moved).update(sums)
        opening, opening_margin = (sum(before[name] for name in names) for names in (POINTS, MARGIN))
        outstanding = opening + sum(moved[name] for name in POINTS)
        margin = opening_margin + sum(moved[name] for name in MARGIN)
        place = bisect_left(self.blocks, (last * DAY,))
        closed = place < len(self.blocks)
        newest = self.blocks[place - 1] if place else None
        at = last * DAY - 1 if closed else self.blocks[-1][0]
        bid = self._bid(at)
        owed = None if bid is None else outstanding * bid // 10**9
        matured, share = self._redemption(at)
        return {
            "start": start.isoformat(),
            "end": end.isoformat(),
            "closed": closed,
            "block": None if newest is None else newest[1],
            "block_hash": None if newest is None else "0x" + newest[2].hex(),
            "opening": _decimal(opening, 2),
            **{name: _decimal(moved[name], 2) for name in POINTS},
            "outstanding": _decimal(outstanding, 2),
            "opening_margin": _decimal(opening_margin, 6),
            **{name: _decimal(moved[name], 6) for name in MARGIN},
            "margin": _decimal(margin, 6),
            "bid": None if bid is None else _price(bid),
            "outstanding_at_bid": None if owed is None else _decimal(owed, 6),
            "cover": _decimal(margin * 10_000 // owed, 4) if owed else None,
            "matured": _decimal(matured, 2),
            "expected_redemption": None if share is None else _decimal(share, 6),
        }

    def _bid(self, at: int) -> int | None:
        standing = [quote for quote in self.quotes if quote[0] <= at]
        return standing[-1][1] if standing and at <= standing[-1][2] else None

    def _redemption(self, at: int) -> tuple[int, int | None]:
        """Points that could all have expired by a second, and which share of them did not, in millionths."""
        today = at // DAY
        mature, standing = 0, 0
        for since, days in self.lives:
            if since <= at:
                mature = max(mature, since // DAY - standing) if standing else 0
                standing = days
        mature = max(mature, today - standing) if standing else 0
        known = [(of, amount) for day, of, amount in self.issued if day <= today]
        matured = sum(amount for of, amount in known if of < mature)
        if matured <= 0 or mature - min(of for of, _ in known) < FEWEST_DAYS:
            return matured, None
        expired = -sum(sums["expired"] for day, sums in self.days.items() if day <= today)
        return matured, 10**6 - min(expired, matured) * 10**6 // matured


async def proved(options: Options, nodes: Sequence[Node], programme: bytes, progress: Progress) -> tuple[Books, Record]:
    """The books up to the trusted block. They are proved only if the record has no finding and no doubt. Raises
    `ChainError`, `NoAnchor`, and `NoSuchProgramme`."""
    deployed, record, books = options.deployment, Record(), Books(programme)
    network = Network(deployed.chain_id, deployed.factory, deployed.exchange, deployed.settlement, deployed.first_block)
    anchor = await chain.anchor(nodes, options.block)
    total = anchor.number - deployed.first_block + 1
    async for block in chain.blocks(
        nodes[0], first=deployed.first_block, anchor=anchor, network=network, record=record
    ):
        books.enter(block, acts(block, network, record))
        progress(Step("blocks", block.number - deployed.first_block + 1, total))
    if record.exit_code == 0 and programme not in network.programmes:
        raise NoSuchProgramme(f"{_checksum(programme)} is no programme of this network, up to block {anchor.number}.")
    return books, record


def _margins(act: Act, fee_account: bytes) -> list[tuple[bytes, str, int]]:
    """What an act moves of whose margin."""
    match event := act.event:
        case bindings.Deposited():
            return [(event.account, "deposited", event.amount)]
        case bindings.Withdrawn():
            return [(event.account, "withdrawn", -event.amount)]
        case bindings.Swapped():
            return [
                (event.from_, "swaps_paid", -event.value),
                (event.into, "swaps_received", event.value - event.fee),
                (fee_account, "fees", event.fee),
            ]
        case bindings.Given():
            return [(event.programme, "gifts", -event.value), (event.charity, "gifts", event.value)]
        case bindings.Matched():
            return [(event.sponsor, "matches", -event.value), (event.charity, "matches", event.value)]
    return []


def as_json(books: Books, per: Per, lines: list[Line]) -> bytes:
    return msgspec.json.encode({"programme": _checksum(books.programme), "per": per, "lines": lines})


def as_csv(lines: list[Line]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(lines[0])
    for line in lines:
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in line.values()])
    return text.getvalue().encode()


def _after(day: date, per: Per, end: date) -> date:
    if per == "whole":
        return end
    return day + timedelta(days=1) if per == "day" else (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _decimal(value: int, digits: int) -> str:
    whole, fraction = divmod(abs(value), 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{fraction:0{digits}}"


def _price(value: int) -> str:
    whole, fraction = _decimal(value, 13).split(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def _checksum(address: bytes) -> str:
    """EIP-55."""
    digits = address.hex()
    nibbles = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if nibble > "7" else digit for digit, nibble in zip(digits, nibbles, strict=False)
    )
