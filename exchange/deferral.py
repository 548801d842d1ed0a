"""Revenue that a programme's points put off, by IFRS 15: the arithmetic, on the merchant's own figures. Pure.

Points are a material right (B39-B41): a sale that grants some sells two things, and its price is allocated to goods and
points by their stand-alone selling prices, that of the points by what is likely to be redeemed (B42). What is allocated
to points is a contract liability; it becomes revenue in proportion to the points used of all that are expected to be
used (B46), and when the expectation changes, by a cumulative catch-up (illustrative example 52, IE267-IE270). The
allocation itself does not change afterwards (88).

The points granted in a month are a portfolio (4). Which of them are used nobody can tell, so by convention it is the
oldest that are expected to be, then the oldest at all; what expires is the oldest that nobody was expected to use, then
the oldest at all; what is taken back is the newest. The step is a day, so that any periods sum to the whole. Integers
only. Money is in minor units of the merchant's currency and is rounded to the nearest, halves to even; from then on
nothing is lost: what was deferred is recognised, reversed or still a liability, to the last unit, and all of it is
recognised when no point is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import Final

PRICE_DIGITS: Final = 6
"""Decimals of a minor unit that a point's stand-alone selling price may have."""
SHARE_DIGITS: Final = 6
ALL: Final = 10**SHARE_DIGITS
"""The share of points that are redeemed if all of them are."""
POINT: Final = 100
"""Base units of points in a point."""
SETTLEMENT: Final = 10**6
"""Base units of settlement tokens in one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The merchant's, from day `since` (of 1970) on. `price`: of a point sold alone if it is sure to be redeemed, in
    millionths of a minor unit. `redeemed`: the share of points that ever is, in millionths; None: not given."""

    since: int
    price: int
    redeemed: int | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on a day. Money in minor units, points in base units, all positive.

    The merchant's: `sales` and the points `granted` for them; `refunds` and the points `returned` for them, of which
    `cancelled` were not on the chain yet; `brought` are points of opening balances, promised for no sale here. The
    chain's: `issued` for purchases, and for swaps (`swapped_in`, which brought in `received` settlement base units),
    `used` (redeemed, swapped out, given), `expired`, `clawed_back`.
    """

    sales: int = 0
    granted: int = 0
    brought: int = 0
    refunds: int = 0
    returned: int = 0
    cancelled: int = 0
    issued: int = 0
    swapped_in: int = 0
    received: int = 0
    used: int = 0
    expired: int = 0
    clawed_back: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """What a day did: opening + `brought_forward` + `deferred` + `deferred_for_swaps` - `reversed` - `recognised` =
    `liability`. Of `recognised`, `catch_up` is what a changed estimate makes of what was used before. `expected` points
    are still to be used and `breakage` will not be: together they are what is owed, promised points too."""

    brought_forward: int
    deferred: int
    deferred_for_swaps: int
    reversed: int
    recognised: int
    catch_up: int
    liability: int
    expected: int
    breakage: int


@dataclass(slots=True)
class Portfolio:
    """The points granted in a month: `points` (less what was taken back), `used`, `expired`; `allocated` money."""

    month: int
    points: int = 0
    used: int = 0
    expired: int = 0
    allocated: int = 0

    @property
    def left(self) -> int:
        return self.points - self.used - self.expired

    def expected(self, redeemed: int) -> int:
        """Points that will have been used in the end, if a share `redeemed` of all is: not fewer than were, and not
        more than were or still can be."""
        return min(max(nearest(self.points * redeemed, ALL), self.used), self.points - self.expired)

    def recognised(self, expected: int) -> int:
        """What the used points earned. If none is expected to be used any more, that is everything (B46)."""
        return self.allocated if self.used >= expected else nearest(self.allocated * self.used, expected)


def nearest(numerator: int, denominator: int) -> int:
    """Their quotient to the nearest integer, halves to even. Neither is negative, the denominator is not 0."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


def allocate(price: int, *, points: int, point_price: int, redeemed: int) -> int:
    """Of a transaction price, in minor units, what the points in it cost (IFRS 15.74, B42): the share of their
    stand-alone selling price in that of points and goods, where the goods' is what was paid."""
    alone = points * point_price * redeemed  # in 1 / (100 x 10^12) minor units
    goods = price * POINT * 10**PRICE_DIGITS * ALL
    return nearest(price * alone, goods + alone) if alone else 0


def estimate_of(estimates: Sequence[Estimate], day: int) -> Estimate:
    """The one in force; before the first of them, the first. They are in the order of their days, one at least."""
    return next((each for each in reversed(estimates) if each.since <= day), estimates[0])


@dataclass(slots=True)
class Deferral:
    """A programme's, day by day. `brought_forward` is the liability of the opening balances, in the books before;
    `settlement_price` a settlement token's, in millionths of a minor unit.

    `granted` and `issued`: the points promised by purchases, less what was cancelled, and those of them on the chain.
    `portfolios` are those with points left, and the newest; what was allocated to the others is recognised: `settled`.
    """

    brought_forward: int = 0
    settlement_price: int = 0
    portfolios: list[Portfolio] = field(default_factory=list)
    granted: int = 0
    issued: int = 0
    settled: int = 0
    recognised: int = 0
    redeemed: int | None = None

    def go(self, number: int, day: Day, *, price: int, redeemed: int) -> Moved:
        """On to the end of day `number` (of 1970), after which the share `redeemed` is expected."""
        newest = self._month(number)
        catch_up = 0
        if self.redeemed is not None and redeemed != self.redeemed:
            catch_up = self._recognised(redeemed)[0] - self.recognised
        deferred = allocate(day.sales, points=day.granted, point_price=price, redeemed=redeemed)
        brought = 0
        if day.brought:
            brought, self.brought_forward = self.brought_forward, 0
        for_swaps = nearest(day.received * self.settlement_price, SETTLEMENT * 10**PRICE_DIGITS)
        newest.allocated += brought + deferred + for_swaps
        reversed_ = self._reverse(allocate(day.refunds, points=day.returned, point_price=price, redeemed=redeemed))
        self._points(newest, day)
        self._expire(day.expired, redeemed)
        self._use(day.used, redeemed)
        recognised, expected = self._recognised(redeemed)
        moved = Moved(
            brought, deferred, for_swaps, reversed_, recognised - self.recognised, catch_up,
            liability=self.settled + sum(each.allocated for each in self.portfolios) - recognised,
            expected=expected,
            breakage=sum(each.left for each in self.portfolios) - expected,
        )  # fmt: skip
        self.recognised, self.redeemed = recognised, redeemed
        self._settle()
        return moved

    def _month(self, number: int) -> Portfolio:
        month = (date(1970, 1, 1) + timedelta(days=number)).replace(day=1).toordinal()
        if not self.portfolios or self.portfolios[-1].month != month:
            self.portfolios.append(Portfolio(month))
        return self.portfolios[-1]

    def _recognised(self, redeemed: int) -> tuple[int, int]:
        """All that ever was, and how many points are still expected to be used."""
        recognised, left = self.settled, 0
        for each in self.portfolios:
            expected = each.expected(redeemed)
            recognised += each.recognised(expected)
            left += expected - each.used
        return recognised, left

    def _settle(self) -> None:
        self.settled += sum(each.allocated for each in self.portfolios[:-1] if not each.left)
        self.portfolios[:-1] = [each for each in self.portfolios[:-1] if each.left]

    def _points(self, newest: Portfolio, day: Day) -> None:
        """Points are owed from their promise on: what comes on the chain was promised, or comes from a swap."""
        promised = self._promised
        self.granted += day.granted + day.brought - day.cancelled
        self.issued += day.issued
        more = day.issued + day.swapped_in + self._promised - promised
        newest.points += max(more, 0)
        taken = day.clawed_back + max(-more, 0)
        for portfolio, part in _share(taken, ((each, each.left) for each in reversed(self.portfolios))):
            portfolio.points -= part

    @property
    def _promised(self) -> int:
        """Points of purchases that are not on the chain yet. What was issued otherwise was promised to nobody."""
        return max(0, self.granted - self.issued)

    def _reverse(self, money: int) -> int:
        """What a refund takes from the allocation, which never is more than there is."""
        reversed_ = 0
        allocated = ((each, each.allocated) for each in reversed(self.portfolios))
        for portfolio, part in _share(money, allocated, whole=False):
            portfolio.allocated -= part
            reversed_ += part
        settled = min(money - reversed_, self.settled)
        self.settled -= settled
        return reversed_ + settled

    def _use(self, points: int, redeemed: int) -> None:
        likely = ((each, each.expected(redeemed) - each.used) for each in self.portfolios)
        for portfolio, part in _share(points, chain(likely, self._left())):
            portfolio.used += part

    def _expire(self, points: int, redeemed: int) -> None:
        unlikely = ((each, each.points - each.expired - each.expected(redeemed)) for each in self.portfolios)
        for portfolio, part in _share(points, chain(unlikely, self._left())):
            portfolio.expired += part

    def _left(self) -> Iterator[tuple[Portfolio, int]]:
        return ((each, each.left) for each in self.portfolios)


def _share(
    amount: int, rooms: Iterable[tuple[Portfolio, int]], *, whole: bool = True
) -> Iterator[tuple[Portfolio, int]]:
    """Parts of `amount`, one for each place that has room, which is asked for when its turn comes."""
    for portfolio, room in rooms:
        if not amount:
            return
        part = min(amount, room)
        if part > 0:
            amount -= part
            yield portfolio, part
    if amount and whole:
        raise ValueError(f"{amount} base units leave a programme that does not owe them")
