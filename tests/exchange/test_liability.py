"""The roll-forward of a liability, in any history."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import InvalidPeriod, PeriodTooLong
from exchange.liability import (
    DAY,
    MARGIN,
    MOST_LINES,
    POINTS,
    Day,
    End,
    Experience,
    Line,
    Per,
    Quote,
    in_force,
    lines,
    mature,
    midnight,
    number,
    periods,
)

FIRST = date(2030, 1, 1)


def rolled(days: dict[int, Day], start: date, end: date, per: Per, **terms: list[Quote]) -> list[Line]:
    wanted = periods(start, end, per)
    ends = {number(last): End(1, bytes(32), True, midnight(last) - 1) for _, last in wanted}
    return lines(wanted, days, ends=ends, quotes=terms.get("quotes", []), lives=[(0, 730)])


def units(line: Line, name: str) -> Decimal:
    return Decimal(str(line[name]))


histories = st.dictionaries(
    st.integers(number(FIRST) - 40, number(FIRST) + 400),
    st.builds(Day, st.dictionaries(st.sampled_from((*POINTS, *MARGIN)), st.integers(-(10**20), 10**20))),
    max_size=30,
)
dates = st.integers(-60, 420).map(lambda days: FIRST + timedelta(days=days))


@settings(deadline=None)
@given(histories, dates, st.integers(1, 300), st.sampled_from(["day", "month", "whole"]))
def test_opening_and_movements_are_the_closing_and_adjoining_periods_are_the_whole(
    days: dict[int, Day], start: date, length: int, per: Per
) -> None:
    end = start + timedelta(days=length)
    made = rolled(days, start, end, per)
    [whole] = rolled(days, start, end, "whole")
    for opening, names, closing in (("opening", POINTS, "outstanding"), ("opening_margin", MARGIN, "margin")):
        for line in made:
            assert units(line, opening) + sum(units(line, name) for name in names) == units(line, closing)
        for one, two in itertools.pairwise(made):
            assert (one["end"], one[closing]) == (two["start"], two[opening])
        assert (made[0][opening], made[-1][closing]) == (whole[opening], whole[closing])
        for name in names:
            assert sum(units(line, name) for line in made) == units(whole, name)
        ever = sum(day.moved.get(name, 0) for at, day in days.items() for name in names if at < number(end))
        assert units(whole, closing) == Decimal(ever).scaleb(-2 if closing == "outstanding" else -6)


@settings(deadline=None)
@given(dates, st.integers(1, 400), st.sampled_from(["day", "month", "whole"]))
def test_periods_follow_each_other_without_a_gap(start: date, length: int, per: Per) -> None:
    end = start + timedelta(days=length)
    made = periods(start, end, per)
    assert (made[0][0], made[-1][1]) == (start, end)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(made))
    assert all(first < last for first, last in made)
    if per == "month":
        assert all(last.day == 1 for _, last in made[:-1])
        assert all((last - first).days <= 31 for first, last in made)


def test_periods_that_are_empty_or_too_long_are_refused() -> None:
    for per in ("day", "month", "whole"):
        with pytest.raises(InvalidPeriod):
            periods(FIRST, FIRST, per)
    with pytest.raises(PeriodTooLong):
        periods(FIRST, FIRST + timedelta(days=MOST_LINES + 1), "day")
    assert len(periods(FIRST, FIRST + timedelta(days=MOST_LINES), "day")) == MOST_LINES
    assert periods(date.max - timedelta(days=1), date.max, "month") == [(date.max - timedelta(days=1), date.max)]


def test_what_is_owed_is_valued_at_the_bid_of_the_periods_last_second() -> None:
    midnight_ = midnight(date(2030, 2, 1))
    quotes = [
        Quote(0, 10**11, 2**40, 0),
        Quote(midnight_ - 9, 3 * 10**11, 2**40, midnight_ + 86_000),  # announced, and never in force:
        Quote(midnight_ - 8, 2 * 10**11, 2**40, midnight_ - 8),
        Quote(midnight_, 4 * 10**11, 2**40, midnight_),
    ]
    days = {number(FIRST): Day({"earned": 1_050, "deposited": 100_000})}
    [line] = rolled(days, FIRST, date(2030, 2, 1), "month", quotes=quotes)
    assert (line["bid"], line["outstanding_at_bid"], line["cover"]) == ("0.02", "0.210000", "0.4761")
    [line] = rolled(days, FIRST, date(2030, 2, 1), "month", quotes=[Quote(0, 10**11, midnight_ - 2, 0)])
    assert (line["bid"], line["outstanding_at_bid"], line["cover"]) == (None, None, None)


def test_a_quote_that_was_announced_holds_from_its_second_on_unless_another_came_before() -> None:
    first, announced, late = Quote(0, 1, 999, 0), Quote(10, 2, 999, 100), Quote(100, 3, 999, 200)
    assert [in_force([first, announced, late], at) for at in (0, 99, 100, 199, 200, 999, 1_000)] == [
        first, first, announced, announced, late, late, None,
    ]  # fmt: skip
    assert in_force([first, announced, Quote(99, 3, 999, 300)], 250) is first


def test_of_what_could_have_expired_what_did_not_was_redeemed() -> None:
    """By hand: 100 points a day, a life of 30 days; of 40,000 mature ones 30 were clawed back and 1,000 expired:
    1 - 1,000 / 39,970, up."""
    experience, lives = Experience(), [(0, 30)]
    for day in range(500):
        experience.add(day, Day({"earned": 80_00, "swapped_in": 20_00}))
    experience.add(500, Day({"expired": -1_000_00}, {7: 30_00, 450: 50_00}))
    assert experience.estimate(lives, 430 * DAY) == (39_970_00, 974_982)
    assert experience.estimate(lives, 500 * DAY)[0] == 46_920_00, (
        "the 450th day is not mature, so what it lost counts not"
    )
    assert Experience({0: 5_00}).estimate(lives, 394 * DAY) == (5_00, None), "less than a year"
    assert Experience({0: 5_00}).estimate(lives, 395 * DAY) == (5_00, 1_000_000)
    assert Experience().estimate(lives, 999 * DAY) == (0, None)
    late = Experience()
    late.add(0, Day({"deposited": 1}))
    late.add(100, Day({"earned": 5_00}))
    assert late.estimate(lives, 395 * DAY) == (5_00, None), "a year of points, not of margin"


def test_what_was_mature_before_a_life_was_extended_stays_so() -> None:
    lives = [(0, 30), (100 * DAY, 60)]
    assert [mature(lives, day * DAY) for day in (0, 99, 100, 129, 130, 131)] == [-30, 69, 70, 70, 70, 71]
    assert mature([], 5 * DAY) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 10**9), st.integers(0, 1_000)), max_size=60))
def test_the_share_redeemed_is_never_less_than_what_was(history: list[tuple[int, int, int]]) -> None:
    experience, issued, expired = Experience(), 0, 0
    for day, amount, part in sorted(history):
        dead = amount * part // 1_000
        issued, expired = issued + amount, expired + dead
        experience.add(day, Day({"earned": amount, "expired": -dead}))
        experience.estimate([(0, 30)], day * DAY)  # looking before changes nothing
    matured, share = experience.estimate([(0, 30)], 2_000 * DAY)
    assert matured == issued
    if history:
        assert share is not None
        assert issued - expired <= Decimal(share) * issued / 10**6 < issued - expired + Decimal(issued) / 10**6


def test_a_day_is_a_day_in_utc() -> None:
    assert midnight(date(2030, 1, 2)) == number(date(2030, 1, 2)) * DAY
