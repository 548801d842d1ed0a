"""The replay's promises: the same data and acts at every run, and a ledger that never owes more than it holds."""

from __future__ import annotations

from scripts.partners import MERCHANTS
from scripts.replay.acts import Act, Ledger, acts_of_week
from scripts.replay.journey import purchases_by_week

QUOTES = {each.slug: 100_000_000_000 for each in MERCHANTS}


def replayed(weeks: int, seed: int) -> tuple[Ledger, list[Act]]:
    ledger, acts = Ledger(QUOTES, QUOTES), []
    for week, purchases in purchases_by_week(weeks):
        ledger.earn(purchases)
        acts += (drawn := acts_of_week(ledger, seed=seed, week=week))
        ledger.apply(drawn)
        assert min(ledger.balance.values()) >= 0
    return ledger, acts


def test_the_same_seed_gives_the_same_acts_and_another_gives_others() -> None:
    assert replayed(3, 1)[1] == replayed(3, 1)[1]
    assert replayed(3, 1)[1] != replayed(3, 2)[1]


def test_the_supply_of_a_programme_is_the_sum_of_its_balances() -> None:
    ledger, acts = replayed(4, 2017)
    assert {act.kind for act in acts} == {"swap", "redeem", "send", "give"}
    for merchant in MERCHANTS:
        held = sum(amount for (_, slug), amount in ledger.balance.items() if slug == merchant.slug)
        assert ledger.supply[merchant.slug] == held


def test_every_purchase_has_its_own_reference_and_at_least_one_cent() -> None:
    purchases = [each for _, week in purchases_by_week(4) for each in week]
    assert len({each.reference for each in purchases}) == len(purchases)
    assert all(each.amount > 0 for each in purchases)


def test_at_least_six_departments_become_partner_merchants() -> None:
    assert len({each.merchant for _, week in purchases_by_week(4) for each in week}) >= 6
