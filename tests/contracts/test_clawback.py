"""The merchant takes back what a refunded receipt granted: proved, once, and no more."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, eip712, receipts
from contracts.bindings import ClawedBack, Expired, Terms, Transfer
from tests.conftest import Anvil
from tests.contracts.node import NodeChain
from tests.contracts.world import Person, Programme, Refused, World, make_world, person

ANNA, BERT = person("Anna"), person("Bert")
NOBODY = bytes(20)
DAY = 86_400


@dataclass
class Batch:
    """A minted batch with its receipts."""

    programme: Programme
    number: int
    grants: list[tuple[Person, int]]
    forged: list[bytes] | None = None

    @property
    def leaves(self) -> list[bytes]:
        return self.forged or [self.leaf(index) for index in range(len(self.grants))]

    @property
    def entries(self) -> bytes:
        return receipts.pack_entries((holder.address, amount) for holder, amount in self.grants)

    def purchase(self, index: int) -> bytes:
        return keccak(b"purchase %d" % index)

    def leaf(self, index: int, *, amount: int | None = None, purchase: bytes | None = None) -> bytes:
        holder, granted = self.grants[index]
        return receipts.leaf(
            chain_id=self.programme.chain.id,
            token=self.programme.address,
            batch=self.number,
            index=index,
            holder=holder.address,
            amount=granted if amount is None else amount,
            purchase=purchase or self.purchase(index),
        )

    def mint(self) -> Batch:
        act: dict[str, Any] = {"batch": self.number, "receipts_root": receipts.root(self.leaves)}
        digest = eip712.mint_digest(self.programme.separator, **act, entries_hash=keccak(self.entries))
        signature = self.programme.issuer.sign(digest)
        self.programme.chain.do(
            self.programme.address, bindings.points_mint(**act, entries=self.entries, signature=signature)
        )
        return self

    def call(self, place: int, taken: int, *, by: Person | None = None, **changed: Any) -> bytes:
        """Takes back of the receipt at `place`; what is `changed` is signed too, unless it is the signature."""
        act: dict[str, Any] = {"batch": self.number, "index": place, "purchase": self.purchase(place), "taken": taken}
        act |= {name: value for name, value in changed.items() if name in act}
        facts = {"entries": self.entries, "proof": receipts.proof(self.leaves, place)}
        signature = (by or self.programme.issuer).sign(eip712.clawback_digest(self.programme.separator, **act))
        return bindings.points_clawback(**(act | facts | {"signature": signature} | changed))

    def refunded(self, index: int) -> int:
        call = bindings.points_refunded(batch=self.number, index=index)
        return bindings.points_refunded_result(self.programme.chain.ask(self.programme.address, call))


@pytest.fixture
def batch(world: World) -> Batch:
    grants = [(ANNA, 100), (BERT, 50), (ANNA, 30), (BERT, 7), (ANNA, 1)]
    return Batch(world.programme("Grocer"), 1, grants).mint()


def do(batch: Batch, call: bytes) -> list[bindings.Event]:
    return batch.programme.chain.do(batch.programme.address, call)


def test_a_refunded_receipts_points_are_burned(batch: Batch) -> None:
    assert do(batch, batch.call(2, 30)) == [
        Transfer(ANNA.address, NOBODY, 30),
        ClawedBack(1, ANNA.address, batch.purchase(2), 2, 30, 0),
    ]
    grocer = batch.programme
    assert (grocer.balance(ANNA), grocer.supply(), batch.refunded(2), batch.refunded(0)) == (101, 158, 30, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 33])
def test_every_receipt_of_a_batch_of_any_size_is_proved(world: World, count: int) -> None:
    made = Batch(world.programme("Grocer"), 1, [(ANNA, 10 + index) for index in range(count)]).mint()
    for index in {0, count // 2, count - 1}:
        do(made, made.call(index, 10))
        assert made.refunded(index) == 10


def test_partial_refunds_add_up_to_the_grant_and_no_more(batch: Batch) -> None:
    first = batch.call(0, 40)
    do(batch, first)
    for taken in (40, 39, 0):
        with pytest.raises(Refused, match=rf"RefundOutOfBounds\(before=40, granted=100, taken={taken}\)"):
            do(batch, batch.call(0, taken))
    assert do(batch, batch.call(0, 100))[0] == Transfer(ANNA.address, NOBODY, 60)
    for call in (first, batch.call(0, 100), batch.call(0, 101)):
        with pytest.raises(Refused, match="RefundOutOfBounds"):
            do(batch, call)
    assert batch.programme.balance(ANNA) == 31


def test_what_the_holder_has_no_longer_is_the_merchants_loss(batch: Batch) -> None:
    grocer = batch.programme
    do(batch, grocer.redeem_call(ANNA, 100))
    assert do(batch, batch.call(0, 50))[-1] == ClawedBack(1, ANNA.address, batch.purchase(0), 0, 31, 19)
    assert do(batch, batch.call(0, 60)) == [ClawedBack(1, ANNA.address, batch.purchase(0), 0, 0, 10)]
    grocer.batches = itertools.count(2)
    grocer.mint((ANNA, 500))
    with pytest.raises(Refused, match="RefundOutOfBounds"):
        do(batch, batch.call(0, 60))  # the loss cannot be made good later
    assert grocer.balance(ANNA) == 500


def test_a_swapped_purchase_can_still_be_refunded_at_the_merchants_loss(world: World, batch: Batch) -> None:
    price, grocer = 10**9, batch.programme
    world.quote(grocer, bid=price, ask=price)
    world.deposit(grocer.address, 1_000)
    florist = world.trading("Florist", bid=price, ask=price)
    world.partners(grocer, florist)
    world.chain.do(world.exchange, world.swap_call(grocer, florist, ANNA, 120))
    assert do(batch, batch.call(0, 100))[-1] == ClawedBack(1, ANNA.address, batch.purchase(0), 0, 11, 89)
    assert florist.balance(ANNA) == 120


def test_expired_points_are_burned_as_expired(world: World) -> None:
    made = Batch(world.programme("Grocer", terms=Terms(life=3, verified_above=0)), 1, [(ANNA, 100), (BERT, 1)]).mint()
    world.chain.travel(5 * DAY)
    assert do(made, made.call(0, 60)) == [
        Transfer(ANNA.address, NOBODY, 100),
        Expired(ANNA.address, 100),
        ClawedBack(1, ANNA.address, made.purchase(0), 0, 0, 60),
    ]


def test_nothing_but_the_receipt_is_proved(batch: Batch) -> None:
    good = receipts.proof(batch.leaves, 0)
    wrong: list[dict[str, Any]] = [
        {"batch": 2},
        {"index": 1},
        {"index": 5},
        {"entries": b""},
        {"entries": batch.entries[:-32]},
        {"entries": batch.entries + bytes(32)},
        {"entries": batch.entries.replace(ANNA.address, BERT.address)},
        {"entries": (101).to_bytes(12).join([batch.entries[:20], batch.entries[32:]])},
        {"purchase": batch.purchase(1)},
        {"proof": good[:-1]},
        {"proof": [*good, bytes(32)]},
        {"proof": good[1:]},
        {"proof": good[::-1]},
        {"proof": []},
    ]
    for changed in wrong:
        with pytest.raises(Refused, match="UnknownReceipt"):
            do(batch, batch.call(0, 5, **changed))


def test_an_inner_node_is_no_receipt(batch: Batch) -> None:
    """A proof that is one shorter would have to start from an inner node: its length is not the batch's."""
    level = receipts._levels(batch.leaves)[1]
    assert not any(node in batch.leaves for node in level)
    depth = receipts.depth(len(batch.grants))
    assert depth == 3
    assert [len(receipts.proof(batch.leaves, index)) for index in range(5)] == [depth] * 5


def test_a_receipt_that_promises_more_than_was_minted_takes_back_nothing(world: World) -> None:
    """Whoever has the issuer's key signs any root, but what a batch minted is on the chain."""
    made = Batch(world.programme("Grocer"), 1, [(ANNA, 100), (BERT, 50)])
    made.forged = [made.leaf(0, amount=1_000), made.leaf(1)]
    made.mint()
    made.programme.batches = itertools.count(2)
    made.programme.mint((ANNA, 900))
    for taken in (1, 100, 1_000):
        with pytest.raises(Refused, match="UnknownReceipt"):
            do(made, made.call(0, taken))
    assert made.programme.balance(ANNA) == 1_000


def test_an_entry_is_taken_back_once_under_whatever_purchases_it_is_promised(world: World) -> None:
    made = Batch(world.programme("Grocer"), 1, [(ANNA, 100), (BERT, 50)])
    made.forged = [made.leaf(0), made.leaf(0, purchase=keccak(b"again"))]
    made.mint()
    made.programme.batches = itertools.count(2)
    made.programme.mint((ANNA, 900))
    do(made, made.call(0, 100))
    with pytest.raises(Refused, match=r"RefundOutOfBounds\(before=100, granted=100, taken=100\)"):
        do(made, made.call(0, 100, purchase=keccak(b"again"), proof=receipts.proof(made.leaves, 1)))
    assert made.programme.balance(ANNA) == 900


def test_only_the_merchant_takes_back(world: World, batch: Batch) -> None:
    do(batch, batch.call(0, 1, by=batch.programme.owner))
    for by in (ANNA, BERT, person("Florist issuer")):
        with pytest.raises(Refused, match="InvalidSignature"):
            do(batch, batch.call(0, 2, by=by))
    with pytest.raises(Refused, match="InvalidSignature"):
        do(batch, batch.call(0, 2, signature=b""))
    signed = batch.call(0, 2)
    forged = signed.replace((2).to_bytes(32), (3).to_bytes(32))
    with pytest.raises(Refused):
        do(batch, forged)


def test_a_receipt_of_another_programme_is_none_here(world: World, batch: Batch) -> None:
    twin = world.programme("Grocer")
    other = Batch(twin, 1, batch.grants).mint()
    with pytest.raises(Refused, match="UnknownReceipt"):
        do(other, other.call(0, 5, proof=receipts.proof(batch.leaves, 0)))


def test_the_refund_window_is_a_ring(new_anvil: Callable[[], Anvil]) -> None:
    """Batch 4,097 takes the place of batch 1, which is then out of the window; batch 2 is not."""
    chain = NodeChain.at(new_anvil().url)
    grocer = make_world(chain=chain).programme("Grocer")
    first = Batch(grocer, 1, [(ANNA, 100)]).mint()
    second = Batch(grocer, 2, [(ANNA, 100)]).mint()
    issuance = chain.storage(grocer.address, 0)
    assert issuance >> 224 == 3
    chain.store(grocer.address, 0, issuance % (1 << 224) | 4_097 << 224)
    last = Batch(grocer, 4_097, [(ANNA, 100)]).mint()
    with pytest.raises(Refused, match=r"UnknownReceipt\(batch=1, index=0\)"):
        do(first, first.call(0, 5))
    for batch in (second, last):
        do(batch, batch.call(0, 5))
        assert batch.refunded(0) == 5
