"""What a programme owes in points and what stands behind it: the roll-forward of a liability, for accountants. Pure.

Everything here is derived from events of the chain and from nothing else, so whoever has the chain gets the same lines
(`scripts/audit/liability.py` does, sharing no code with this). What needs the merchant's own figures is in
`exchange/deferral.py`. `docs/ACCOUNTING.md` says the same to an accountant.

Everything is counted by days (UTC, by the blocks' time), and a line is the sum of its days, so lines of adjoining
periods always sum to the line of both. Movements are signed: opening + movements = closing, to the last digit, in
points base units (1 point = 100) and in settlement base units. What is rounded is rounded against the programme, and
named: what is owed at the bid as the exchange pays it (down), the cover (down), the share redeemed (up).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from exchange.errors import InvalidPeriod, PeriodTooLong
from exchange.hexes import hexed
from exchange.points import render, render_points, render_price, render_settlement
from exchange.pricing import value_of

DAY: Final = 86_400
MOST_LINES: Final = 400
"""More than the days of a year, or the months of 33."""
FEWEST_DAYS: Final = 365
"""Of which all points could have expired, before which there is too little history to estimate from: all seasons."""
SHARE: Final = 1_000_000
"""Shares are in millionths."""

POINTS: Final = ("earned", "swapped_in", "redeemed", "swapped_out", "given", "expired", "clawed_back")
"""Movements of what is outstanding; transfers between holders, and recoveries, sum to zero and are none."""
MARGIN: Final = ("deposited", "withdrawn", "swaps_received", "swaps_paid", "gifts", "matches", "fees")
"""Movements of the margin, which is what stands behind the points."""

COLUMNS: Final = (
    *("start", "end", "closed", "block", "block_hash"),
    *("opening", *POINTS, "outstanding"),
    *("opening_margin", *MARGIN, "margin"),
    *("bid", "outstanding_at_bid", "cover"),
    *("matured", "expected_redemption"),
)

Per = Literal["day", "month", "whole"]
Line = dict[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Quote:
    """As posted at Unix second `at` for from `effective` on, void after `until`. `bid` in the contract's unit."""

    at: int
    bid: int
    until: int
    effective: int


@dataclass(frozen=True, slots=True)
class End:
    """Where a period ends on the chain: its last block, none before the deployment. `closed`: a later block is known,
    so nothing can be added to the period. `at`: the Unix second as of which it is valued."""

    block: int | None
    hash: bytes | None
    closed: bool
    at: int


@dataclass(frozen=True, slots=True)
class Day:
    """What the chain did to a programme on one day: signed sums of `POINTS` and `MARGIN`, absent if zero; and
    on which days the points were issued that were clawed back on this one: base units, positive."""

    moved: Mapping[str, int] = field(default_factory=dict)
    clawed_back_of: Mapping[int, int] = field(default_factory=dict)


def periods(start: date, end: date, per: Per) -> list[tuple[date, date]]:
    """From `start` to before `end`, cut at midnights or at the first of each month. Raises `InvalidPeriod` and
    `PeriodTooLong`."""
    if end <= start:
        raise InvalidPeriod(f"The period begins on {start} and would end before {end}.")
    cuts = [start]
    while (after := _after(cuts[-1], per)) is not None and after < end:
        cuts.append(after)
        if len(cuts) > MOST_LINES:
            raise PeriodTooLong(f"{start} to {end} by {per} is more than {MOST_LINES} lines.")
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _after(day: date, per: Per) -> date | None:
    if per == "whole" or day == date.max:
        return None
    if per == "day":
        return day + timedelta(days=1)
    if (day.year, day.month) == (date.max.year, 12):
        return None
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


def in_force(quotes: Sequence[Quote], at: int) -> Quote | None:
    """Of quotes in the chain's order, the one at which the exchange would swap at Unix second `at`.

    A quote that another followed before it came into force never does (`Quotes.setQuote`); one that is void is none.
    """
    found = None
    for place, quote in enumerate(quotes):
        followed = quotes[place + 1].at if place + 1 < len(quotes) else None
        if quote.at <= at and quote.effective <= at and (followed is None or followed >= quote.effective):
            found = quote
    return found if found is not None and at <= found.until else None


@dataclass(slots=True)
class Experience:
    """Which share of its points a programme's holders redeem, by its own history.

    A point that is earned or swapped in keeps its holder's points alive for `life` days, so what has expired was issued
    longer ago (but for points that were sent to somebody inactive: they die with the others). Of the points that were
    issued so long ago that they could all have expired, and were not clawed back, what did not expire counts as
    redeemed, for it was or still can be: the estimate is prudent.
    """

    issued: dict[int, int] = field(default_factory=dict)
    expired: int = 0
    matured: int = 0
    mature: int = 0

    def add(self, day: int, what: Day) -> None:
        self._issue(day, what.moved.get("earned", 0) + what.moved.get("swapped_in", 0))
        for of, amount in what.clawed_back_of.items():
            self._issue(of, -amount)
        self.expired -= what.moved.get("expired", 0)

    def _issue(self, day: int, amount: int) -> None:
        if not amount:
            return
        self.issued[day] = self.issued.get(day, 0) + amount
        if day < self.mature:
            self.matured += amount

    def estimate(self, lives: Sequence[tuple[int, int]], at: int) -> tuple[int, int | None]:
        """At Unix second `at`, not before an earlier one: how many points are mature, and the share of them that is
        redeemed, in millionths, rounded up; None if they are of less than a year."""
        before, self.mature = self.mature, max(self.mature, mature(lives, at))
        if before < self.mature:
            self.matured += sum(amount for day, amount in self.issued.items() if before <= day < self.mature)
        if not self.issued or self.matured <= 0 or self.mature - min(self.issued) < FEWEST_DAYS:
            return self.matured, None
        return self.matured, SHARE - min(self.expired, self.matured) * SHARE // self.matured


def mature(lives: Sequence[tuple[int, int]], at: int) -> int:
    """The day before which points were issued that can all have expired by Unix second `at`. Where a life was extended,
    what was mature stays so."""
    known = [(since, days) for since, days in lives if since <= at]
    ends = [*(since for since, _ in known), at][1:]
    return max((end // DAY - days for (_, days), end in zip(known, ends, strict=True)), default=0)


def lines(
    wanted: Sequence[tuple[date, date]],
    days: Mapping[int, Day],
    *,
    ends: Mapping[int, End],
    quotes: Sequence[Quote],
    lives: Sequence[tuple[int, int]],
) -> list[Line]:
    """The line of each of the adjoining periods. `days` since 1970 are all that ever were, and `ends` are by the
    first day after the period; `lives` are (Unix second, days), in the chain's order."""
    sums = dict.fromkeys((*POINTS, *MARGIN), 0)
    experience, made = Experience(), []
    order = sorted(days)
    place = _through(days, order, 0, number(wanted[0][0]), sums, experience)
    for start, end in wanted:
        before = dict(sums)
        place = _through(days, order, place, number(end), sums, experience)
        moved = {name: sums[name] - before[name] for name in sums}
        made.append(_line(start, end, before, moved, ends[number(end)], experience, quotes, lives))
    return made


def _through(
    days: Mapping[int, Day], order: Sequence[int], place: int, end: int, sums: dict[str, int], experience: Experience
) -> int:
    """Adds the days before `end`; returns the place in `order` after them."""
    while place < len(order) and order[place] < end:
        day = days[order[place]]
        for name, amount in day.moved.items():
            sums[name] += amount
        experience.add(order[place], day)
        place += 1
    return place


def _line(
    start: date,
    end: date,
    before: Mapping[str, int],
    moved: Mapping[str, int],
    at: End,
    experience: Experience,
    quotes: Sequence[Quote],
    lives: Sequence[tuple[int, int]],
) -> Line:
    opening, opening_margin = (sum(before[name] for name in names) for names in (POINTS, MARGIN))
    outstanding = opening + sum(moved[name] for name in POINTS)
    margin = opening_margin + sum(moved[name] for name in MARGIN)
    quote = in_force(quotes, at.at)
    owed = None if quote is None else value_of(amount=outstanding, bid=quote.bid)
    matured, redeemed = experience.estimate(lives, at.at)
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "closed": at.closed,
        "block": at.block,
        "block_hash": None if at.hash is None else hexed(at.hash),
        "opening": render_points(opening),
        **{name: render_points(moved[name]) for name in POINTS},
        "outstanding": render_points(outstanding),
        "opening_margin": render_settlement(opening_margin),
        **{name: render_settlement(moved[name]) for name in MARGIN},
        "margin": render_settlement(margin),
        "bid": None if quote is None else render_price(quote.bid),
        "outstanding_at_bid": None if owed is None else render_settlement(owed),
        "cover": None if not owed else render(margin * 10_000 // owed, digits=4),
        "matured": render_points(matured),
        "expected_redemption": None if redeemed is None else render(redeemed, digits=6),
    }


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
