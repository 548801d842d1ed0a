"""Lines of deferred revenue, in any history and any periods."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.deferral import Estimate
from exchange.errors import InvalidEstimate
from exchange.liability import Day, Line, Per, number, periods
from exchange.revenue import Assumed, Own, estimates, follow, lines

FIRST = date(2030, 1, 1)
BEGAN = number(FIRST)
ESTIMATES = [Estimate(BEGAN, 10_000_000), Estimate(BEGAN + 90, 12_000_000, 900_000)]


def told(chain: dict[int, Day], own: dict[int, Own], start: date, end: date, per: Per) -> list[Line]:
    wanted = periods(start, end, per)
    days = follow(chain, own, [(0, 30)], Assumed(ESTIMATES, 5_000, 10**8), last=number(end) - 1)
    return lines(wanted, {number(last): True for _, last in wanted}, days, own, digits=2)


def lives(steps: list[tuple[int, int, int, int, int]]) -> tuple[dict[int, Day], dict[int, Own]]:
    """Sales a day, some points of which are used and some die."""
    chain, own, day, owed = {}, {}, BEGAN, 0
    for on, sales, granted, used, expired in steps:
        day += on
        owed += granted
        spent = owed * used // 1_000
        dead = (owed - spent) * expired // 1_000
        owed -= spent + dead
        own[day] = Own(sales=sales, granted=granted, refunds=sales // 7, returned=granted // 9, pointless=3)
        moved = {"earned": granted, "redeemed": -(spent // 2), "given": -(spent - spent // 2), "expired": -dead}
        chain[day] = Day(moved)
    return chain, own


histories = st.lists(
    st.tuples(st.integers(1, 40), *(st.integers(0, 10**7),) * 2, *(st.integers(0, 1_000),) * 2), max_size=25
).map(lives)


@settings(deadline=None)
@given(histories, st.integers(-40, 300), st.integers(1, 300), st.sampled_from(["day", "month", "whole"]))
def test_lines_follow_on_each_other_and_sum_to_the_whole(
    history: tuple[dict[int, Day], dict[int, Own]], begin: int, length: int, per: Per
) -> None:
    start = FIRST + timedelta(days=begin)
    end = start + timedelta(days=length)
    made = told(*history, start, end, per)
    [whole] = told(*history, start, end, "whole")

    def money(line: Line, name: str) -> Decimal:
        return Decimal(str(line[name]))

    for line in made:
        gained = sum(money(line, name) for name in ("opening", "brought_forward", "deferred", "deferred_for_swaps"))
        assert gained - money(line, "reversed") - money(line, "recognised") == money(line, "liability") >= 0
    for one, two in itertools.pairwise(made):
        assert one["liability"] == two["opening"]
    assert (made[0]["opening"], made[-1]["liability"]) == (whole["opening"], whole["liability"])
    for name in ("sales", "refunds", "deferred", "reversed", "recognised", "catch_up", "revenue", "points_granted"):
        assert sum(money(line, name) for line in made) == money(whole, name)
    for name in ("points_expected", "points_breakage", "expected_redemption", "expected_by", "stand_alone_price"):
        assert made[-1][name] == whole[name]


@settings(deadline=None)
@given(histories)
def test_whatever_happened_all_that_was_sold_is_revenue_once_no_point_is_left(
    history: tuple[dict[int, Day], dict[int, Own]],
) -> None:
    chain, own = history
    last = max(chain, default=BEGAN)
    left = sum(sum(day.moved.values()) for day in chain.values())
    chain[last + 1] = Day({"redeemed": -left})
    [whole] = told(chain, own, FIRST, FIRST + timedelta(days=last + 2 - BEGAN), "whole")
    assert whole["liability"] == "0.00"
    sold = sum(day.sales + day.pointless - day.refunds for day in own.values())
    assert Decimal(str(whole["revenue"])) == Decimal(sold).scaleb(-2)


def test_an_estimate_is_a_day_a_price_and_perhaps_a_share() -> None:
    assert estimates(["2030-02-01,0.125", "2030-01-01,1,0.85"], digits=2) == [
        Estimate(BEGAN, 100_000_000, 850_000), Estimate(BEGAN + 31, 12_500_000),
    ]  # fmt: skip
    assert estimates(["2030-01-01,15,1"], digits=0) == [Estimate(BEGAN, 15_000_000, 1_000_000)]
    for text in ("2030-13-01,1", "2030-01-01", "2030-01-01,-1", "2030-01-01,1,0.85,2"):
        with pytest.raises(InvalidEstimate):
            estimates([text], digits=2)
