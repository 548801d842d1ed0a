"""Swaps: the arithmetic of `IExchange`, exactly; no gain in any sequence; value neither made nor lost."""

from __future__ import annotations

import functools
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import bindings, eip712
from contracts.bindings import Swapped, Transfer
from tests.contracts.world import FOREVER, Person, Programme, Refused, World, make_world, person

ANNA, FEES = person("Anna"), person("fees")
PRICE = 10**9
DAY = 86_400


def formula(amount: int, bid: int, ask: int, fee_bps: int) -> tuple[int, int, int]:
    """Out, value and fee, as `IExchange` defines them."""
    value = amount * bid // 10**9
    fee = -(-value * fee_bps // 10_000)
    return (value - fee) * 10**9 // ask, value, fee


@pytest.fixture
def pair(world: World) -> tuple[Programme, Programme]:
    grocer = world.trading("Grocer", bid=2 * PRICE, ask=3 * PRICE, margin=10_000)
    florist = world.trading("Florist", bid=4 * PRICE, ask=5 * PRICE)
    world.partners(grocer, florist)
    grocer.mint((ANNA, 1_000))
    return grocer, florist


def test_a_swap_burns_pays_and_mints(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair
    events = world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 101, minimum=40), sender=7)
    digest = eip712.swap_digest(
        grocer.separator,
        holder=ANNA.address,
        amount=101,
        into=florist.address,
        minimum=40,
        nonce=0,
        deadline=FOREVER,
    )
    assert events == [
        Transfer(ANNA.address, bytes(20), 101),
        Transfer(bytes(20), ANNA.address, 40),
        Swapped(digest, grocer.address, florist.address, 202, 0),
    ]
    assert (grocer.balance(ANNA), florist.balance(ANNA), grocer.supply(), florist.supply()) == (899, 40, 899, 40)
    assert (world.margin(grocer.address), world.margin(florist.address), world.held()) == (9_798, 202, 10_000)


def test_the_network_fee_is_rounded_up_and_credited_to_its_account(
    world: World, pair: tuple[Programme, Programme]
) -> None:
    grocer, florist = pair
    world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=30, account=FEES.address))
    (_, minted, swapped) = world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 101))
    assert isinstance(swapped, Swapped)
    assert isinstance(minted, Transfer)
    assert (minted.value, swapped.value, swapped.fee) == formula(101, 2 * PRICE, 5 * PRICE, 30) == (40, 202, 1)
    margins = [world.margin(account) for account in (grocer.address, florist.address, FEES.address)]
    assert margins == [9_798, 201, 1]


def test_a_preview_tells_what_the_swap_then_does(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair
    call = bindings.exchange_preview_swap(from_=grocer.address, into=florist.address, amount=333)
    preview = bindings.exchange_preview_swap_result(world.chain.ask(world.exchange, call))
    (_, minted, swapped) = world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 333))
    assert isinstance(swapped, Swapped)
    assert isinstance(minted, Transfer)
    assert preview == (minted.value, swapped.value, swapped.fee)


def test_the_holders_minimum_is_kept(world: World, pair: tuple[Programme, Programme]) -> None:
    with pytest.raises(Refused, match=r"BelowMinimum\(out=40, minimum=41\)"):
        world.chain.do(world.exchange, world.swap_call(*pair, ANNA, 101, minimum=41))


def test_a_swap_has_effect_once_and_not_after_its_deadline(world: World, pair: tuple[Programme, Programme]) -> None:
    call = world.swap_call(*pair, ANNA, 101)
    world.chain.do(world.exchange, call)
    with pytest.raises(Refused, match="InvalidNonce"):
        world.chain.do(world.exchange, call)
    deadline = world.chain.now
    late = world.swap_call(*pair, ANNA, 101, nonce=1, deadline=deadline)
    world.chain.travel(2)
    with pytest.raises(Refused, match="IntentExpired"):
        world.chain.do(world.exchange, late)


def test_a_relayer_can_change_nothing_of_a_swap(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair
    other = world.trading("Fuel", bid=PRICE, ask=PRICE)
    world.partners(grocer, other)
    signed = world.swap_call(grocer, florist, ANNA, 101, minimum=40)
    for changed in (
        signed.replace(florist.address, other.address),
        signed.replace((101).to_bytes(32), (102).to_bytes(32)),
        signed.replace((40).to_bytes(32), (39).to_bytes(32)),
    ):
        assert changed != signed
        with pytest.raises(Refused, match="InvalidSignature"):
            world.chain.do(world.exchange, changed)


@pytest.mark.parametrize("opened", ["neither", "from", "into"])
def test_a_pair_that_one_side_did_not_open_does_not_trade(world: World, opened: str) -> None:
    one, other = world.trading("One", bid=PRICE, ask=PRICE, margin=100), world.trading("Two", bid=PRICE, ask=PRICE)
    one.mint((ANNA, 100))
    if opened == "from":
        world.consent(one, other.address)
    if opened == "into":
        world.consent(other, one.address)
    with pytest.raises(Refused, match="NotPartners"):
        world.chain.do(world.exchange, world.swap_call(one, other, ANNA, 50))
    with pytest.raises(Refused, match="NotPartners"):
        world.chain.do(world.exchange, world.swap_call(one, one, ANNA, 50))


def test_an_expired_or_missing_quote_trades_nothing(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair
    unquoted = world.programme("Fuel")
    world.partners(grocer, unquoted)
    with pytest.raises(Refused, match=rf"QuoteExpired\(programme=0x{unquoted.address.hex()}, until=0\)"):
        world.chain.do(world.exchange, world.swap_call(grocer, unquoted, ANNA, 50))
    stranger = Programme(world.chain, FEES.address, FEES, FEES, bytes(32))
    with pytest.raises(Refused, match="UnknownProgramme"):
        world.chain.do(world.exchange, world.swap_call(grocer, stranger, ANNA, 50))
    until = world.chain.now + 2 * DAY
    world.quote(florist, bid=PRICE, ask=PRICE, until=until)
    world.chain.travel(2 * DAY)
    with pytest.raises(Refused, match=rf"QuoteExpired\(programme=0x{florist.address.hex()}, until={until}\)"):
        world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 50))


def test_a_programme_pays_no_more_than_its_margin(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair
    grocer.mint((ANNA, 10**18))
    reason = rf"MarginTooLow\(account=0x{grocer.address.hex()}, margin=10000, wanted=10002\)"
    with pytest.raises(Refused, match=reason):
        world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 5_001))
    world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 5_000))
    assert (world.margin(grocer.address), world.margin(florist.address)) == (0, 10_000)


def test_the_daily_cap_bounds_what_leaves_in_a_day(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair

    def left() -> int:
        answer = world.chain.ask(world.exchange, bindings.exchange_cap_left(programme=grocer.address))
        return bindings.exchange_cap_left_result(answer)

    world.quote(grocer, bid=2 * PRICE, ask=3 * PRICE, cap=100)
    world.chain.travel(DAY - world.chain.now % DAY)  # the start of a day
    assert left() == 100
    world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 30))
    assert left() == 40
    with pytest.raises(Refused, match=rf"DailyCapExceeded\(account=0x{grocer.address.hex()}, left=40, wanted=42\)"):
        world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 21, nonce=1))
    world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 20, nonce=1))
    assert left() == 0
    world.chain.travel(DAY)
    assert left() == 100
    world.quote(grocer, bid=2 * PRICE, ask=3 * PRICE, cap=200)
    assert left() == 200
    world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 100, nonce=2))
    assert left() == 0


def test_points_that_are_worth_nothing_are_not_swapped(world: World) -> None:
    cheap = world.trading("Cheap", bid=PRICE // 100, ask=PRICE, margin=1_000)
    dear = world.trading("Dear", bid=PRICE, ask=10 * PRICE, margin=1_000)
    world.partners(cheap, dear)
    cheap.mint((ANNA, 10_000))
    for amount in (0, 99, 999):  # no value; no value; a value of 9 that buys nothing
        with pytest.raises(Refused, match="WorthNothing"):
            world.chain.do(world.exchange, world.swap_call(cheap, dear, ANNA, amount))
    world.chain.do(world.exchange, world.swap_call(cheap, dear, ANNA, 1_000))
    assert dear.balance(ANNA) == 1


def test_a_swap_respects_the_other_programmes_supply_cap(world: World) -> None:
    grocer = world.trading("Grocer", bid=PRICE, ask=PRICE, margin=1_000)
    small = world.programme("Small", bindings.Limits(supply_cap=10, entry_cap=1, bucket=0, refill=0))
    world.quote(small, bid=PRICE, ask=PRICE)
    world.partners(grocer, small)
    grocer.mint((ANNA, 100))
    preview = bindings.exchange_preview_swap(from_=grocer.address, into=small.address, amount=11)
    with pytest.raises(Refused, match=r"SupplyCapExceeded\(cap=10, wanted=11\)"):
        world.chain.ask(world.exchange, preview)
    with pytest.raises(Refused, match=r"SupplyCapExceeded\(cap=10, wanted=11\)"):
        world.chain.do(world.exchange, world.swap_call(grocer, small, ANNA, 11))
    world.chain.do(world.exchange, world.swap_call(grocer, small, ANNA, 10))  # more than bucket and entry cap


def test_an_absurd_price_is_refused_and_not_truncated(world: World) -> None:
    dear = world.trading("Dear", bid=2**64 - 1, ask=2**64 - 1, margin=2**95)
    cheap = world.trading("Cheap", bid=1, ask=1)
    world.partners(dear, cheap)
    dear.mint((ANNA, 2**90))
    with pytest.raises(Refused, match="SupplyCapExceeded"):
        world.chain.do(world.exchange, world.swap_call(dear, cheap, ANNA, 2**86))


@functools.cache
def shared_pair() -> tuple[World, Programme, Programme]:
    """Two partners; only their quotes and the fee differ from one example to the next."""
    world = make_world()
    one, other = world.programme("One"), world.programme("Two")
    world.deposit(one.address, 2**96 - 1)
    world.partners(one, other)
    return world, one, other


prices = st.integers(1, 2**64 - 1) | st.integers(1, 10 * PRICE)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(amount=st.integers(1, 2**96 - 1) | st.integers(1, 10_000), bid=prices, ask=prices, fee_bps=st.integers(0, 500))
def test_the_arithmetic_is_the_interfaces(amount: int, bid: int, ask: int, fee_bps: int) -> None:
    world, one, other = shared_pair()
    world.quote(one, bid=bid, ask=2**64 - 1)
    world.quote(other, bid=1, ask=ask)
    world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=fee_bps, account=FEES.address))
    call = bindings.exchange_preview_swap(from_=one.address, into=other.address, amount=amount)
    out, value, fee = formula(amount, bid, ask, fee_bps)
    try:
        answer = bindings.exchange_preview_swap_result(world.chain.ask(world.exchange, call))
    except Refused as refused:
        name = str(refused).split("(")[0]
        expected = "WorthNothing" if out <= 0 else "SupplyCapExceeded" if out >= 2**96 else "DailyCapExceeded"
        assert name == expected
        assert name != "DailyCapExceeded" or value >= 2**88
    else:
        assert answer == (out, value, fee)


@functools.cache
def shared_shops() -> tuple[World, list[Programme]]:
    """Three partners with deep margins; examples differ in quotes, fee and holder."""
    world = make_world()
    shops = [world.programme(f"shop {place}") for place in range(3)]
    for shop in shops:
        world.deposit(shop.address, 10**9)
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        world.partners(shops[one], shops[other])
    return world, shops


quotes = st.tuples(st.integers(1, 100), st.integers(0, 50)).map(lambda q: (q[0] * PRICE // 10, sum(q) * PRICE // 10))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    posted=st.lists(quotes, min_size=3, max_size=3),
    walk=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 2_000)), max_size=12),
    fee_bps=st.sampled_from([0, 25]),
)
def test_no_sequence_of_swaps_gains_and_no_value_is_lost(
    posted: list[tuple[int, int]], walk: list[tuple[int, int, int]], fee_bps: int
) -> None:
    world, shops = shared_shops()
    anna = person(f"Anna {world.nonce(shops[0].address)}")  # a new holder an example
    for shop, (bid, ask) in zip(shops, posted, strict=True):
        world.quote(shop, bid=bid, ask=ask)
        shop.mint((anna, 2_000))
    world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=fee_bps, account=FEES.address))
    others = [shop.supply() - 2_000 for shop in shops]

    def worth() -> Fraction:
        """What all of the holder's points would fetch at the bids, unrounded."""
        return sum(
            (Fraction(shop.balance(anna) * bid) for shop, (bid, _) in zip(shops, posted, strict=True)), Fraction()
        )

    used, before = [0, 0, 0], worth()
    for from_, into, amount in walk:
        call = world.swap_call(shops[from_], shops[into], anna, amount, nonce=used[from_])
        reason = world.chain.refusal(world.exchange, call)
        if reason is not None:
            assert reason.startswith(("NotPartners", "WorthNothing", "ERC20InsufficientBalance"))
            continue
        used[from_] += 1
        after = worth()
        assert after <= before
        before = after
        margins = [world.margin(account) for account in (*(shop.address for shop in shops), FEES.address)]
        assert sum(margins) == world.held() == 3 * 10**9
    for shop, other in zip(shops, others, strict=True):
        assert shop.supply() - other == shop.balance(anna)


def test_an_infinite_mint_takes_out_only_its_own_margin(world: World, pair: tuple[Programme, Programme]) -> None:
    grocer, florist = pair
    world.deposit(florist.address, 5_000)
    thief = Person(bytes(31) + b"\x07")
    grocer.mint((thief, 10**20))
    taken, nonce = 0, 0
    for amount in (4_000, 4_000, 1_000, 1_000):
        reason = world.chain.refusal(world.exchange, world.swap_call(grocer, florist, thief, amount, nonce=nonce))
        assert reason is None or reason.startswith("MarginTooLow")
        if reason is None:
            taken, nonce = taken + 2 * amount, nonce + 1
    assert taken == 10_000
    assert (world.margin(grocer.address), world.margin(florist.address)) == (0, 15_000)
