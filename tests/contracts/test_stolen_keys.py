"""What a thief can take with each key, as SECURITY.md says: this much, and nothing of anybody else's."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import bindings, eip712
from contracts.bindings import Limits, Terms
from tests.contracts.world import FOREVER, Person, Programme, Refused, World, person

ANNA, BERT, THIEF = person("Anna"), person("Bert"), person("thief")
PRICE = 10**9
DAY = 86_400


@pytest.fixture
def pair(world: World) -> tuple[Programme, Programme]:
    grocer = world.trading("Grocer", bid=PRICE, ask=PRICE, margin=10_000, cap=3_000)
    florist = world.trading("Florist", bid=PRICE, ask=PRICE, margin=5_000)
    world.partners(grocer, florist)
    for programme in (grocer, florist):
        programme.mint((ANNA, 1_000), (BERT, 1_000))
    return grocer, florist


def test_an_issuers_key_takes_a_days_cap_of_its_own_margin_until_somebody_acts(
    world: World, pair: tuple[Programme, Programme]
) -> None:
    grocer, florist = pair
    grocer.mint((THIEF, 10**9))
    world.chain.do(world.exchange, world.swap_call(grocer, florist, THIEF, 3_000))
    with pytest.raises(Refused, match="CapExceeded"):
        world.chain.do(world.exchange, world.swap_call(grocer, florist, THIEF, 1, nonce=1))
    world.consent(grocer, florist.address, allowed=False)
    world.chain.travel(DAY)
    with pytest.raises(Refused, match="NotPartners"):
        world.chain.do(world.exchange, world.swap_call(grocer, florist, THIEF, 1, nonce=1))
    assert (world.margin(grocer.address), world.margin(florist.address)) == (7_000, 8_000)
    assert (grocer.balance(ANNA), florist.balance(ANNA)) == (1_000, 1_000)


def test_an_empty_bucket_stops_an_issuers_key_at_once(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, _ = pair
    call = bindings.points_limits()
    standing = bindings.points_limits_result(world.chain.ask(grocer.address, call))
    tight = Limits(standing.supply_cap, standing.entry_cap, 0, 0)
    act: dict[str, Any] = {"wanted": tight, "nonce": 0, "deadline": FOREVER}
    signature = grocer.owner.sign(eip712.limits_digest(grocer.separator, **tight._asdict(), nonce=0, deadline=FOREVER))
    world.chain.do(grocer.address, bindings.points_set_limits(**act, signature=signature))
    with pytest.raises(Refused, match=r"BucketExceeded\(available=0, wanted=1\)"):
        grocer.mint((THIEF, 1))


def test_an_owners_key_takes_the_whole_margin_after_a_days_notice_and_nobody_elses(
    world: World, pair: tuple[Programme, Programme]
) -> None:
    grocer, florist = pair
    thiefs = world.trading("Thief's", bid=1, ask=1)
    world.partners(grocer, thiefs)
    grocer.mint((THIEF, 20))  # bought for a few coins at the till
    # A bid above the ask that stands needs a higher ask, which is a worse quote.
    world.chain.do(world.exchange, world.quote_call(grocer, bid=1_000 * PRICE, ask=1_000 * PRICE))
    world.chain.do(world.exchange, world.swap_call(grocer, thiefs, THIEF, 10))
    assert world.margin(grocer.address) == 9_990, "still at the old bid"
    world.chain.travel(DAY)
    world.chain.do(world.exchange, world.swap_call(grocer, thiefs, THIEF, 9, nonce=1))
    with pytest.raises(Refused, match="MarginTooLow"):
        world.chain.do(world.exchange, world.swap_call(grocer, thiefs, THIEF, 1, nonce=2))
    assert (world.margin(grocer.address), world.margin(florist.address), world.held()) == (990, 5_000, 15_000)
    assert (grocer.balance(ANNA), florist.balance(ANNA)) == (1_000, 1_000)


def test_an_owners_key_takes_the_points_of_those_only_who_do_nothing_for_two_weeks(world: World) -> None:
    grocer = world.programme("Grocer", terms=Terms(life=365, verified_above=0))
    grocer.mint((ANNA, 100), (BERT, 100))
    for nonce, victim in enumerate((ANNA, BERT)):
        act: dict[str, Any] = {"holder": victim.address, "to": THIEF.address, "nonce": nonce, "deadline": FOREVER}
        signature = grocer.owner.sign(eip712.recover_digest(grocer.separator, **act))
        world.chain.do(grocer.address, bindings.points_recover(**act, signature=signature))
    world.chain.travel(13 * DAY)
    for victim in (ANNA, BERT):
        with pytest.raises(Refused, match="RecoveryNotDue"):
            world.chain.do(grocer.address, bindings.points_finish_recovery(holder=victim.address))
    world.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 1))
    world.chain.travel(DAY)
    with pytest.raises(Refused, match="NoRecovery"):
        world.chain.do(grocer.address, bindings.points_finish_recovery(holder=ANNA.address))
    world.chain.do(grocer.address, bindings.points_finish_recovery(holder=BERT.address))
    assert [grocer.balance(each) for each in (ANNA, BERT, THIEF)] == [99, 0, 101]


def test_the_networks_owner_takes_a_bounded_fee_of_swaps_whose_minimum_allows_it(
    world: World, pair: tuple[Programme, Programme]
) -> None:
    grocer, florist = pair
    with pytest.raises(Refused, match="FeeTooHigh"):
        world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=501, account=THIEF.address))
    world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=500, account=THIEF.address))
    with pytest.raises(Refused, match=r"BelowMinimum\(out=95, minimum=100\)"):
        world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 100, minimum=100))
    world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 100, minimum=95))
    assert world.margin(THIEF.address) == 5
    before = [world.margin(programme.address) for programme in pair]
    operator = Person(world.chain.tester.backend._key_lookup[world.chain.account(0)].to_bytes())
    for programme in pair:
        with pytest.raises(Refused, match="InvalidSignature"):
            world.chain.do(world.exchange, world.withdraw_call(programme.address, operator, THIEF.address, 1))
        with pytest.raises(Refused, match="InvalidSignature"):
            world.chain.do(world.exchange, world.quote_call(programme, bid=1, ask=1, by=operator))
    assert [world.margin(programme.address) for programme in pair] == before


def test_a_charitys_key_takes_its_margin_only_where_it_was_to_go(
    world: World, pair: tuple[Programme, Programme]
) -> None:
    grocer, _ = pair
    charity = world.charity("Kids")
    world.chain.do(world.exchange, world.give_call(grocer, ANNA, 100, charity.address))
    with pytest.raises(Refused, match="NotPayout"):
        world.chain.do(world.exchange, world.withdraw_call(charity.address, charity, THIEF.address, 100))
    world.chain.do(world.exchange, world.payout_call(charity, THIEF.address))
    world.chain.travel(13 * DAY)
    with pytest.raises(Refused, match="NotPayout"):
        world.chain.do(world.exchange, world.withdraw_call(charity.address, charity, THIEF.address, 100))
    world.chain.do(world.exchange, world.withdraw_call(charity.address, charity, charity.address, 100))
    assert world.margin(charity.address) == 0
