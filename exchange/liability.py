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

import functools
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
FEWEST_MONTHS: Final = 12
"""Months whose points could all have expired, before which there is too little history to estimate from."""
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
    *("mature_months", "expected_redemption"),
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
    """What the chain did to a programme on one day: signed sums of `POINTS` and `MARGIN`, absent if zero. The other two
    say on which days the points were issued that expired or were clawed back on this one: base units, positive."""

    moved: Mapping[str, int] = field(default_factory=dict)
    expired_of: Mapping[int, int] = field(default_factory=dict)
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
class Months:
    """Which share of its points a programme's holders redeem, by the months of their issue.

    A month is mature once its points could all have died of inactivity: `life` days after its end. Of the points issued
    in mature months and not clawed back, what has not expired counts as redeemed, for it was or still can be. So the
    estimate is prudent: it never says less than what was redeemed. What expires is of a holder's newest points, for
    older ones are spent first.
    """

    issued: dict[int, int] = field(default_factory=dict)
    expired: dict[int, int] = field(default_factory=dict)

    def add(self, day: int, what: Day) -> None:
        issued = what.moved.get("earned", 0) + what.moved.get("swapped_in", 0)
        _add(self.issued, _month(day), issued)
        for of, amount in what.clawed_back_of.items():
            _add(self.issued, _month(of), -amount)
        for of, amount in what.expired_of.items():
            _add(self.expired, _month(of), amount)

    def estimate(self, *, life: int, end: int) -> tuple[int, int | None]:
        """Of the beginning of day `end`: how many mature months there are, and the share redeemed in millionths,
        rounded up; None if the months are too few or nothing was issued in them."""
        mature = [month for month in self.issued if _next(month) + life <= end and self.issued[month] > 0]
        issued = sum(self.issued[month] for month in mature)
        expired = sum(self.expired.get(month, 0) for month in mature)
        if len(mature) < FEWEST_MONTHS:
            return len(mature), None
        return len(mature), SHARE - min(expired, issued) * SHARE // issued


def _add(sums: dict[int, int], key: int, amount: int) -> None:
    if amount:
        sums[key] = sums.get(key, 0) + amount


@functools.lru_cache(maxsize=65_536)
def _month(day: int) -> int:
    """The first day of a day's month."""
    return number((date(1970, 1, 1) + timedelta(days=day)).replace(day=1))


def _next(month: int) -> int:
    return _month(month + 32)


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
    months, made = Months(), []
    order = sorted(days)
    place = _through(days, order, 0, number(wanted[0][0]), sums, months)
    for start, end in wanted:
        before = dict(sums)
        place = _through(days, order, place, number(end), sums, months)
        moved = {name: sums[name] - before[name] for name in sums}
        made.append(_line(start, end, before, moved, ends[number(end)], months, quotes, lives))
    return made


def _through(
    days: Mapping[int, Day], order: Sequence[int], place: int, end: int, sums: dict[str, int], months: Months
) -> int:
    """Adds the days before `end`; returns the place in `order` after them."""
    while place < len(order) and order[place] < end:
        day = days[order[place]]
        for name, amount in day.moved.items():
            sums[name] += amount
        months.add(order[place], day)
        place += 1
    return place


def _line(
    start: date,
    end: date,
    before: Mapping[str, int],
    moved: Mapping[str, int],
    at: End,
    months: Months,
    quotes: Sequence[Quote],
    lives: Sequence[tuple[int, int]],
) -> Line:
    opening, opening_margin = (sum(before[name] for name in names) for names in (POINTS, MARGIN))
    outstanding = opening + sum(moved[name] for name in POINTS)
    margin = opening_margin + sum(moved[name] for name in MARGIN)
    quote = in_force(quotes, at.at)
    owed = None if quote is None else value_of(amount=outstanding, bid=quote.bid)
    mature, redeemed = months.estimate(life=life_at(lives, at.at), end=(at.at + 1) // DAY)
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
        "mature_months": mature,
        "expected_redemption": None if redeemed is None else render(redeemed, digits=6),
    }


def life_at(lives: Sequence[tuple[int, int]], at: int) -> int:
    """Days; of a programme that is not there yet, 0."""
    return next((days for when, days in reversed(lives) if when <= at), 0)


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
