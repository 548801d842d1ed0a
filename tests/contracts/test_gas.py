"""What each act costs in a full batch, bounded: the transaction's gas divided by its acts. `pytest -s` shows it."""

from __future__ import annotations

import sys

import pytest
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts.bindings import Failed
from tests.contracts.world import Programme, World, person

PRICE = 10**9
HOLDERS = [person(f"holder {number}") for number in range(200)]
ACTING = HOLDERS[:50]


@pytest.fixture
def shops(world: World) -> tuple[Programme, Programme]:
    grocer = world.trading("Grocer", bid=PRICE, ask=PRICE, margin=10**12)
    florist = world.trading("Florist", bid=PRICE, ask=PRICE, margin=10**12)
    world.partners(grocer, florist)
    return grocer, florist


def within(world: World, what: str, acts: int, most: int) -> None:
    each = world.chain.gas_used / acts
    sys.stdout.write(f"{what:<24}{each:>12,.0f}\n")
    assert each <= most


def bundled(world: World, *calls: tuple[bytes, bytes]) -> None:
    assert not [event for event in world.bundled(*calls) if isinstance(event, Failed)]


def test_acts_stay_within_their_gas(world: World, shops: tuple[Programme, Programme]) -> None:
    grocer, florist = shops
    charity = world.charity("Kids")
    grocer.mint(*((holder, 10_000) for holder in HOLDERS))
    within(world, "mint, new holder", 200, 24_900)
    grocer.mint(*((holder, 10_000) for holder in HOLDERS))
    within(world, "mint, known holder", 200, 7_700)
    bundled(world, *((grocer.address, grocer.send_call(one, HOLDERS[-1].address, 5)) for one in ACTING))
    pairs = zip(ACTING, HOLDERS[50:100], strict=True)
    bundled(world, *((grocer.address, grocer.send_call(one, other.address, 5, nonce=1)) for one, other in pairs))
    within(world, "send, known receiver", 50, 25_500)
    bundled(world, *((grocer.address, grocer.redeem_call(one, 5, nonce=2, order=keccak(one.key))) for one in ACTING))
    within(world, "redeem", 50, 21_000)
    bundled(world, *((world.exchange, world.swap_call(grocer, florist, one, 100, nonce=3)) for one in ACTING))
    within(world, "swap, new holder", 50, 53_000)
    bundled(world, *((world.exchange, world.swap_call(grocer, florist, one, 100, nonce=4)) for one in ACTING))
    within(world, "swap, known holder", 50, 36_000)
    bundled(world, *((world.exchange, world.give_call(grocer, one, 100, charity.address, nonce=5)) for one in ACTING))
    within(world, "give", 50, 26_000)
