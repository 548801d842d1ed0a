"""What each act costs in a full batch, bounded: the transaction's gas divided by its acts. `pytest -s` shows it.

Of the first 4,096 batches each takes a new slot for its receipts' root, later ones an old one: a mint is shown and
bounded as in the long run.
"""

from __future__ import annotations

import sys

import pytest
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts.bindings import Failed
from tests.contracts.world import NOW, Programme, World, person

PRICE = 10**9
AMOUNT = 1_234
NEXT_YEAR = NOW + 365 * 86_400
HOLDERS = [person(f"holder {number}") for number in range(200)]
ACTING, IDLE = HOLDERS[:100], HOLDERS[100:]
STRANGERS = [person(f"stranger {number}") for number in range(100)]


@pytest.fixture
def shops(world: World) -> tuple[Programme, Programme]:
    grocer = world.trading("Grocer", bid=PRICE, ask=PRICE, margin=10**12)
    florist = world.trading("Florist", bid=PRICE, ask=PRICE, margin=10**12)
    world.partners(grocer, florist)
    return grocer, florist


NEW_ROOT = 22_100 - 5_000


def within(world: World, what: str, acts: int, most: int, *, less: int = 0) -> None:
    each = (world.chain.gas_used - less) / acts
    sys.stdout.write(f"{what:<24}{each:>12,.0f}{most:>12,}\n")
    assert each <= most


def bundled(world: World, *calls: tuple[bytes, bytes]) -> None:
    assert not [event for event in world.bundled(*calls) if isinstance(event, Failed)]


def test_acts_stay_within_their_gas(world: World, shops: tuple[Programme, Programme]) -> None:
    grocer, florist = shops
    token, exchange, charity = grocer.address, world.exchange, world.charity("Kids").address
    grocer.mint(*((holder, 10_000) for holder in HOLDERS))
    within(world, "mint, new holder", 200, 24_900, less=NEW_ROOT)
    grocer.mint(*((holder, 10_000) for holder in HOLDERS))
    within(world, "mint, known holder", 200, 7_700, less=NEW_ROOT)

    def send(one: int, to: bytes, nonce: int) -> tuple[bytes, bytes]:
        return token, grocer.send_call(ACTING[one], to, AMOUNT, nonce=nonce, deadline=NEXT_YEAR, short=True)

    bundled(world, *(send(place, STRANGERS[place].address, 0) for place in range(100)))
    within(world, "send, new holder", 100, 38_000)
    bundled(world, *(send(place, IDLE[place].address, 1) for place in range(100)))
    within(world, "send, known holder", 100, 21_000)
    bundled(
        world,
        *(
            (token, grocer.redeem_call(one, AMOUNT, nonce=2, deadline=NEXT_YEAR, order=keccak(one.key), short=True))
            for one in ACTING
        ),
    )
    within(world, "redeem", 100, 17_500)
    for nonce, (what, most) in enumerate([("swap, new holder", 46_000), ("swap, known holder", 29_000)], 3):
        swaps = (
            world.swap_call(grocer, florist, one, AMOUNT, minimum=1_200, nonce=nonce, deadline=NEXT_YEAR, short=True)
            for one in ACTING
        )
        bundled(world, *((exchange, swap) for swap in swaps))
        within(world, what, 100, most)
    gifts = (world.give_call(grocer, one, AMOUNT, charity, nonce=5, deadline=NEXT_YEAR, short=True) for one in ACTING)
    bundled(world, *((exchange, gift) for gift in gifts))
    within(world, "give", 100, 20_000)
