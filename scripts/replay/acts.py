"""What holders do with their points, reproducibly: swaps, sends, redemptions and gifts drawn from a seed.

Pure. A plain ledger follows what every household must hold, in base units, by the published formulas; acts of a week
draw only on what was there when the week's acts began, so their order within the week does not matter.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scripts.partners import CHARITIES, MERCHANTS
from scripts.replay.journey import Purchase

ACTIVE_SHARE = 0.04
"""The share of households with points that do something in a week."""

LEAST = 500
"""Points base units below which nobody bothers: 5 points."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act. `other` is the household sent to, the programme swapped into, or the charity given to."""

    reference: str
    kind: str
    merchant: str
    household: int
    amount: int
    other: str


@dataclass(slots=True)
class Ledger:
    """Expected points. `earned` and `supply` are per programme, `balance` per (household, programme)."""

    bid: dict[str, int]
    ask: dict[str, int]
    balance: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    earned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    supply: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    purchases: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def earn(self, purchases: Iterable[Purchase]) -> None:
        """One point per dollar: a cent is one base unit."""
        for each in purchases:
            self.balance[each.household, each.merchant] += each.amount
            self.earned[each.merchant] += each.amount
            self.supply[each.merchant] += each.amount
            self.purchases[each.merchant] += 1

    def apply(self, acts: Iterable[Act]) -> None:
        for act in acts:
            self.balance[act.household, act.merchant] -= act.amount
            if act.kind == "send":
                self.balance[int(act.other), act.merchant] += act.amount
                continue
            self.supply[act.merchant] -= act.amount
            if act.kind == "swap":
                out = self.swapped(act.merchant, act.other, act.amount)
                self.balance[act.household, act.other] += out
                self.supply[act.other] += out

    def swapped(self, source: str, into: str, amount: int) -> int:
        """The exchange's formula, without a network fee (see `IExchange`)."""
        return amount * self.bid[source] // 10**9 * 10**9 // self.ask[into]


def acts_of_week(ledger: Ledger, *, seed: int, week: int) -> list[Act]:
    """What some households do after week `week`; each household acts at most once a week."""
    chance = random.Random(f"{seed}/{week}")  # noqa: S311  (reproducible, not secret)
    holders = sorted({household for (household, _), amount in ledger.balance.items() if amount >= LEAST})
    acts = []
    for number, household in enumerate(chance.sample(holders, round(len(holders) * ACTIVE_SHARE))):
        held = [each.slug for each in MERCHANTS if ledger.balance[household, each.slug] >= LEAST]
        acts.append(_act(chance, f"cj-{seed}-{week}-{number}", household, held, holders, ledger))
    return acts


def _act(
    chance: random.Random, reference: str, household: int, held: Sequence[str], others: Sequence[int], ledger: Ledger
) -> Act:
    kind = chance.choices(("swap", "redeem", "send", "give"), (40, 30, 20, 10))[0]
    merchant = chance.choice(held)
    amount = max(LEAST // 5, ledger.balance[household, merchant] * chance.randint(10, 50) // 100)
    if kind == "swap":
        other = chance.choice([each.slug for each in MERCHANTS if each.slug != merchant])
    elif kind == "send":
        other = str(chance.choice([each for each in others if each != household] or [household]))
    elif kind == "give":
        other = chance.choice(CHARITIES).slug
    else:
        other = ""
    return Act(reference=reference, kind=kind, merchant=merchant, household=household, amount=amount, other=other)
