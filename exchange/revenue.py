"""A programme's deferred revenue by period, from what the chain did and the merchant's own figures. Pure.

The chain says what was issued, used and lost (`exchange/liability.py`), the purchases say for what money, and the
merchant says what a point is worth and how many will be redeemed. If it does not say how many, the programme's own
history does; if that is too short, all are expected to be: without the experience to say how much breakage there will
be, none is counted upon (IFRS 15.56, B46). `exchange/deferral.py` has the arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

from exchange import deferral
from exchange.deferral import ALL, PRICE_DIGITS, SHARE_DIGITS, Deferral, Estimate, Moved, estimate_of
from exchange.errors import InvalidEstimate
from exchange.liability import DAY, Day, Experience, Line, number
from exchange.points import LARGEST_UINT64, parse, render, render_points

COLUMNS: Final = (
    *("start", "end", "closed", "sales", "refunds", "points_granted", "points_returned"),
    *("opening", "brought_forward", "deferred", "deferred_for_swaps", "reversed", "recognised", "catch_up"),
    *("liability", "revenue", "points_expected", "points_breakage"),
    *("stand_alone_price", "expected_redemption", "expected_by"),
)
PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2},[0-9]{1,12}(\.[0-9]{1,12})?(,[01](\.[0-9]{1,6})?)?$"

_MONEY: Final = ("brought_forward", "deferred", "deferred_for_swaps", "reversed", "recognised", "catch_up")


@dataclass(frozen=True, slots=True)
class Own:
    """A day's sales and refunds: minor units of the merchant's currency, and points in base units. Sales that granted
    no points are `pointless`: nothing of their price is the points'."""

    sales: int = 0
    pointless: int = 0
    granted: int = 0
    brought: int = 0
    refunds: int = 0
    returned: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the merchant says: its estimates in the order of their days, its opening balances' liability in the books
    before (minor units), and a settlement token's price in millionths of a minor unit, if it gives one."""

    estimates: Sequence[Estimate]
    brought_forward: int = 0
    settlement_price: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A day's outcome: the share expected to be redeemed, in millionths, and who says so."""

    moved: Moved
    price: int
    redeemed: int
    by: str


def estimates(texts: Sequence[str], *, digits: int) -> list[Estimate]:
    """Of `DAY,PRICE` or `DAY,PRICE,SHARE` each, the price in a currency with `digits` decimals. Raises
    `InvalidEstimate` and `InvalidAmount`."""
    found: dict[int, Estimate] = {}
    for text in texts:
        if re.fullmatch(PATTERN, text) is None:
            raise InvalidEstimate(f'"{text}" is not a day, a price and perhaps a share, with commas.', field="estimate")
        day, price, *share = text.split(",")
        try:
            since = number(date.fromisoformat(day))
        except ValueError as error:
            raise InvalidEstimate(f"{day} is no day of the calendar.", field="estimate") from error
        if since in found:
            raise InvalidEstimate(f"There are two estimates from {day} on.", field="estimate")
        redeemed = parse(share[0], digits=SHARE_DIGITS, name="estimate", largest=ALL, zero=True) if share else None
        found[since] = Estimate(since, money_price(price, digits=digits, name="estimate"), redeemed)
    return sorted(found.values(), key=lambda each: each.since)


def money_price(text: str, *, digits: int, name: str) -> int:
    """Of a point or a settlement token: millionths of a minor unit."""
    return parse(text, digits=digits + PRICE_DIGITS, name=name, largest=LARGEST_UINT64)


def follow(
    chain: Mapping[int, Day], own: Mapping[int, Own], lives: Sequence[tuple[int, int]], assumed: Assumed, *, last: int
) -> Iterator[tuple[int, Told]]:
    """Each day up to `last` on which anything happened or was estimated otherwise, in their order."""
    days = sorted({*chain, *own})
    if not days:
        return
    experience, state, before = Experience(), Deferral(assumed.brought_forward, assumed.settlement_price or 0), None
    for day in range(days[0], last + 1):
        what, mine = chain.get(day), own.get(day)
        if what is not None:
            experience.add(day, what)
        estimate = estimate_of(assumed.estimates, day)
        redeemed, by = estimate.redeemed, "merchant"
        if redeemed is None:
            _, redeemed = experience.estimate(lives, (day + 1) * DAY - 1)
            by = "history"
        if redeemed is None:
            redeemed, by = ALL, "caution"
        if what is None and mine is None and before == (estimate, redeemed):
            continue
        before = (estimate, redeemed)
        moved = state.go(day, _day(what or Day(), mine or Own()), price=estimate.price, redeemed=redeemed)
        yield day, Told(moved, estimate.price, redeemed, by)


def _day(chain: Day, own: Own) -> deferral.Day:
    moved = chain.moved
    return deferral.Day(
        **{each.name: getattr(own, each.name) for each in fields(own) if each.name != "pointless"},
        issued=moved.get("earned", 0),
        swapped_in=moved.get("swapped_in", 0),
        received=moved.get("swaps_received", 0),
        used=-sum(moved.get(name, 0) for name in ("redeemed", "swapped_out", "given")),
        expired=-moved.get("expired", 0),
        clawed_back=-moved.get("clawed_back", 0),
    )


def lines(
    wanted: Sequence[tuple[date, date]],
    closed: Mapping[int, bool],
    told: Iterator[tuple[int, Told]],
    own: Mapping[int, Own],
    *,
    digits: int,
) -> list[Line]:
    """The line of each of the adjoining periods, in a currency with `digits` decimals."""
    made: list[Line] = []
    days = list(told)
    place, newest = 0, None
    while place < len(days) and days[place][0] < number(wanted[0][0]):
        place, newest = place + 1, days[place][1]
    for start, end in wanted:
        opening = 0 if newest is None else newest.moved.liability
        sums = dict.fromkeys(_MONEY, 0)
        while place < len(days) and days[place][0] < number(end):
            newest = days[place][1]
            for name in _MONEY:
                sums[name] += getattr(newest.moved, name)
            place += 1
        mine = [each for day, each in own.items() if number(start) <= day < number(end)]
        made.append(_line(start, end, closed[number(end)], opening, sums, newest, mine, digits))
    return made


def _line(
    start: date,
    end: date,
    closed: bool,
    opening: int,
    sums: Mapping[str, int],
    newest: Told | None,
    own: Sequence[Own],
    digits: int,
) -> Line:
    sales = sum(each.sales + each.pointless for each in own)
    refunds = sum(each.refunds for each in own)
    revenue = sales - sums["deferred"] - refunds + sums["reversed"] + sums["recognised"]
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "closed": closed,
        "sales": render(sales, digits=digits),
        "refunds": render(refunds, digits=digits),
        "points_granted": render_points(sum(each.granted + each.brought for each in own)),
        "points_returned": render_points(sum(each.returned for each in own)),
        "opening": render(opening, digits=digits),
        **{name: render(sums[name], digits=digits) for name in _MONEY},
        "liability": render(0 if newest is None else newest.moved.liability, digits=digits),
        "revenue": render(revenue, digits=digits),
        "points_expected": render_points(0 if newest is None else newest.moved.expected),
        "points_breakage": render_points(0 if newest is None else newest.moved.breakage),
        "stand_alone_price": None if newest is None else _price(newest.price, digits + PRICE_DIGITS, least=digits),
        "expected_redemption": None if newest is None else render(newest.redeemed, digits=SHARE_DIGITS),
        "expected_by": None if newest is None else newest.by,
    }


def _price(value: int, digits: int, *, least: int) -> str:
    """Without zeros beyond the currency's own decimals."""
    text = render(value, digits=digits)
    cut = text.rstrip("0")
    return (text[: len(text) - digits + least] if len(text) - len(cut) > digits - least else cut).rstrip(".")
