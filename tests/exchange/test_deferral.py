"""What points put off of a sale's revenue, and when it is earned: by hand, by the standard's own example, and in any
history."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.deferral import ALL, Day, Deferral, Estimate, Moved, allocate, estimate_of, nearest

DIME = 10_000_000
"""$0.10 a point, in millionths of a cent."""


def follow(
    *years: tuple[Day, int], price: int = DIME, deferral: Deferral | None = None, apart: int = 365
) -> list[Moved]:
    """What each of the days did, that many days apart, each with the share expected from then on."""
    deferral = deferral or Deferral()
    return [
        deferral.go(apart * place, day, price=price, redeemed=redeemed) for place, (day, redeemed) in enumerate(years)
    ]


def test_2000_dollars_with_2000_points_at_ten_cents_of_which_85_percent_will_be_used() -> None:
    """2,000 x 170 / (2,000 + 170) = 156.68 is put off and 1,843.32 earned at once.

    The example is well known with $158 and $1,842, which do not follow from its own ratio: 170 / 2,170 is 7.83 %, and
    158 would be 7.9 %. To their dollar the right ones are 157 and 1,843.
    """
    liability = allocate(2_000_00, points=2_000_00, point_price=DIME, redeemed=850_000)
    assert (liability, 2_000_00 - liability) == (156_68, 1_843_32)
    assert abs(liability - 158_00) < 1_50
    [moved] = follow((Day(sales=2_000_00, granted=2_000_00, issued=2_000_00), 850_000))
    assert (moved.deferred, moved.liability, moved.recognised) == (156_68, 156_68, 0)
    assert (moved.expected, moved.breakage) == (1_700_00, 300_00)


def test_half_of_its_points_used_earn_half_of_what_is_expected_to_be() -> None:
    """1,000 of 1,700: 156.68 x 1,000 / 1,700 = 92.16 (the well-known example takes half of all points, 79)."""
    _, moved = follow((Day(sales=2_000_00, granted=2_000_00, issued=2_000_00), 850_000), (Day(used=1_000_00), 850_000))
    assert (moved.recognised, moved.liability) == (92_16, 64_52)


def test_example_52_of_the_standard_to_the_currency_unit() -> None:
    """IFRS 15 IE267-IE270: CU100,000 and 10,000 points at CU1, 9,500 expected, 4,500 used; then 8,500 of 9,700. The
    standard's figures: 8,676; 4,110 and 4,566; 3,493 and 1,073."""
    first, second = follow(
        (Day(sales=100_000_00, granted=10_000_00, issued=10_000_00, used=4_500_00), 950_000),
        (Day(used=4_000_00), 970_000),
        price=10 * DIME,
    )
    assert (first.deferred, first.recognised, first.liability) == (8_675_80, 4_109_59, 4_566_21)
    assert (second.recognised, second.liability) == (3_492_92, 1_073_29)
    assert second.catch_up == -84_73  # 8,675.80 x (4,500 / 9,700 - 4,500 / 9,500)


def test_the_dollar_example_goes_on_as_example_52_does_for_three_years() -> None:
    """By hand, of the 156.68 of 2,000 points: year 1, 900 used of 1,700 expected (85 %): 156.68 x 900 / 1,700 = 82.95.
    Year 2, 1,500 of now 1,800 (90 %): 130.57, so 47.62, of which 78.34 - 82.95 = -4.61 is the catch-up for the 900.
    Year 3, 1,550 of now 1,600 (80 %): 151.78, so 21.21, of which 146.89 - 130.57 = 16.32 is the catch-up. Then the
    other 450 expire: the rest, 4.90, is earned."""
    bought = Day(sales=2_000_00, granted=2_000_00, issued=2_000_00, used=900_00)
    moved = follow(
        (bought, 850_000), (Day(used=600_00), 900_000), (Day(used=50_00), 800_000), (Day(expired=450_00), 800_000)
    )
    assert [each.recognised for each in moved] == [82_95, 47_62, 21_21, 4_90]
    assert [each.catch_up for each in moved] == [0, -4_61, 16_32, 0]
    assert [each.liability for each in moved] == [73_73, 26_11, 4_90, 0]
    assert [(each.expected, each.breakage) for each in moved] == [
        (800_00, 300_00), (300_00, 200_00), (50_00, 400_00), (0, 0),
    ]  # fmt: skip


def test_a_new_price_of_points_earns_nothing_on_older_ones() -> None:
    """A month's points are a portfolio: what is put off for new points is not spread over those used long ago."""
    deferral = Deferral()
    day = Day(sales=1_000_00, granted=1_000_00, issued=1_000_00)
    deferral.go(0, day, price=DIME, redeemed=ALL)
    used = deferral.go(1, Day(used=1_000_00), price=DIME, redeemed=ALL)
    assert used.liability == 0
    dearer = deferral.go(40, day, price=2 * DIME, redeemed=ALL)
    assert (dearer.deferred, dearer.recognised) == (166_67, 0)  # 1,000 x 200 / 1,200


def test_without_breakage_the_oldest_points_are_used_first() -> None:
    """1,000 x 100 / 1,100 = 90.91, 1,000 x 200 / 1,200 = 166.67; 1,500 used: all of the first, half of the second."""
    deferral = Deferral()
    day = Day(sales=1_000_00, granted=1_000_00, issued=1_000_00)
    for number, price in ((0, DIME), (40, 2 * DIME)):
        deferral.go(number, day, price=price, redeemed=ALL)
    moved = deferral.go(80, Day(used=1_500_00), price=DIME, redeemed=ALL)
    assert (moved.recognised, moved.liability) == (90_91 + 83_34, 83_33)  # half of 166.67: to even


def test_points_are_owed_from_their_promise_on_and_once() -> None:
    """With a return window the sale is a month before the mint; what is cancelled meanwhile is never owed again."""
    deferral = Deferral()
    sold = deferral.go(0, Day(sales=100_00, granted=100_00), price=DIME, redeemed=ALL)
    returned = deferral.go(5, Day(refunds=50_00, returned=50_00, cancelled=50_00), price=DIME, redeemed=ALL)
    minted = deferral.go(30, Day(issued=50_00), price=DIME, redeemed=ALL)
    assert [each.expected for each in (sold, returned, minted)] == [100_00, 50_00, 50_00]
    assert (sold.deferred, returned.reversed, minted.liability) == (9_09, 4_55, 4_54)
    used = deferral.go(31, Day(used=50_00), price=DIME, redeemed=ALL)
    assert (used.recognised, used.liability) == (4_54, 0)


def test_points_that_were_swapped_in_put_off_what_was_paid_for_them() -> None:
    deferral = Deferral(settlement_price=92_500_000)  # 0.925 of the merchant's currency
    moved = deferral.go(0, Day(swapped_in=100_00, received=1_000_000), price=DIME, redeemed=900_000)
    assert (moved.deferred_for_swaps, moved.deferred, moved.liability) == (92, 0, 92)


def test_opening_balances_carry_their_liability_from_the_books_before() -> None:
    deferral = Deferral(brought_forward=500_00)
    assert deferral.go(0, Day(), price=DIME, redeemed=ALL).liability == 0
    assert deferral.go(1, Day(brought=10_000_00), price=DIME, redeemed=ALL).liability == 500_00
    assert deferral.go(2, Day(issued=10_000_00, used=2_500_00), price=DIME, redeemed=ALL).recognised == 125_00


def test_if_nobody_is_expected_to_use_any_points_nothing_is_put_off() -> None:
    [moved] = follow((Day(sales=100_00, granted=100_00, issued=100_00), 0))
    assert (moved.deferred, moved.liability, moved.breakage) == (0, 0, 100_00)


def test_points_that_nobody_owes_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="does not owe"):
        follow((Day(issued=1_00, used=2_00), ALL))


def test_an_estimate_holds_from_its_day_on_and_the_first_before() -> None:
    first, second = Estimate(10, 1), Estimate(20, 2)
    assert [estimate_of([first, second], day) for day in (0, 10, 19, 20, 99)] == [first, first, first, second, second]


# --- in any history


@settings(deadline=None)
@given(st.integers(0, 10**30), st.integers(1, 10**30))
def test_nearest_is_the_nearest_and_halves_go_to_even(numerator: int, denominator: int) -> None:
    found, exact = nearest(numerator, denominator), Fraction(numerator, denominator)
    assert found == round(exact)
    assert abs(found - exact) <= Fraction(1, 2)


@settings(deadline=None)
@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 10**12), st.integers(0, ALL), st.integers(0, ALL))
def test_a_share_of_a_price_is_never_more_than_it_and_grows_with_what_is_expected(
    price: int, points: int, point_price: int, one: int, other: int
) -> None:
    low, high = sorted((one, other))
    parts = [allocate(price, points=points, point_price=point_price, redeemed=share) for share in (low, high)]
    assert 0 <= parts[0] <= parts[1] <= price


amounts = st.integers(0, 10**9)
steps = st.tuples(
    st.integers(0, 50),  # days on
    st.fixed_dictionaries(dict.fromkeys(("sales", "granted", "swapped_in", "received", "brought"), amounts)),
    *(st.integers(0, 1_000),) * 7,  # thousandths of what could at most be
    st.integers(0, ALL),
    st.integers(0, 10**9),
)


@settings(deadline=None)
@given(st.lists(steps, max_size=40), amounts)
def test_in_any_history_nothing_is_lost_the_liability_is_never_negative_and_all_is_earned_in_the_end(
    history: list[tuple[int, dict[str, int], int, int, int, int, int, int, int, int, int]], brought_forward: int
) -> None:
    deferral = Deferral(brought_forward=brought_forward, settlement_price=10**8)
    number, liability, owed, promised, sold = 0, 0, 0, 0, 0
    brought = False
    for on, sums, returned, issued, clawed_back, expired, used, refunds, cancelled, redeemed, price in history:
        number += on
        brought |= sums["brought"] > 0
        promised += sums["granted"] + sums["brought"]
        sold += sums["sales"]
        undone, refunded = promised * cancelled // 1_000, sold * refunds // 1_000
        minted = (promised - undone) * issued // 1_000
        promised, sold = promised - undone - minted, sold - refunded
        owed += minted + sums["swapped_in"]
        burned = []
        for share in (clawed_back, expired, used):
            burned.append(owed * share // 1_000)
            owed -= burned[-1]
        day = Day(
            **sums, refunds=refunded, returned=10**9 * returned // 1_000, cancelled=undone, issued=minted,
            clawed_back=burned[0], expired=burned[1], used=burned[2],
        )  # fmt: skip
        moved = deferral.go(number, day, price=price, redeemed=redeemed)
        liability += moved.brought_forward + moved.deferred + moved.deferred_for_swaps
        liability -= moved.reversed + moved.recognised
        assert moved.liability == liability >= 0
        assert moved.expected + moved.breakage == owed + promised
        assert moved.expected >= 0
        assert moved.breakage >= 0
        if owed + promised == 0:
            assert liability == 0
    end = deferral.go(number + 1, Day(cancelled=promised, used=owed), price=1, redeemed=ALL)
    assert (end.liability, end.expected, end.breakage) == (0, 0, 0)
    assert brought == (deferral.brought_forward == 0) or brought_forward == 0


@settings(deadline=None)
@given(st.lists(st.tuples(amounts, amounts, st.integers(0, 1_000)), min_size=1, max_size=20), st.integers(1, ALL))
def test_one_months_points_earn_what_the_formula_says_however_often_one_looks(
    days: list[tuple[int, int, int]], redeemed: int
) -> None:
    deferral = Deferral()
    allocated = points = used = total = 0
    for place, (sales, granted, share) in enumerate(days):
        part = (points + granted - used) * share // 1_000
        day = Day(sales=sales, granted=granted, issued=granted, used=part)
        total += deferral.go(place, day, price=DIME, redeemed=redeemed).recognised
        allocated += allocate(sales, points=granted, point_price=DIME, redeemed=redeemed)
        points, used = points + granted, used + part
    exact = Fraction(points * redeemed, ALL)
    expected = min(max(round(exact), used), points)
    assert total == (allocated if used >= expected else round(Fraction(allocated * used, expected)))
