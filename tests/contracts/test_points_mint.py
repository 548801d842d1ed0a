"""Issuing: only what the issuer signed, in order, at most once, within the limits."""

from __future__ import annotations

import pytest
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings
from contracts.bindings import Limits, Minted, Transfer
from tests.contracts.world import NOW, ROOT, Programme, Refused, World, person

ANNA, BERT = person("Anna"), person("Bert")


def packed(*entries: tuple[bytes, int]) -> bytes:
    return b"".join(holder + amount.to_bytes(12) for holder, amount in entries)


@pytest.fixture
def grocer(world: World) -> Programme:
    return world.programme("Grocer", Limits(supply_cap=10_000, entry_cap=1_000, bucket=1_500, refill=10))


def test_a_batch_mints_each_entry_in_order_and_reports_the_sum(grocer: Programme) -> None:
    events = grocer.mint((ANNA, 100), (BERT, 20), (ANNA, 3))
    entries = packed((ANNA.address, 100), (BERT.address, 20), (ANNA.address, 3))
    assert events == [
        Transfer(bytes(20), ANNA.address, 100),
        Transfer(bytes(20), BERT.address, 20),
        Transfer(bytes(20), ANNA.address, 3),
        Minted(1, ROOT, keccak(entries), 123, 3),
    ]
    assert (grocer.balance(ANNA), grocer.balance(BERT), grocer.supply()) == (103, 20, 123)


def test_whoever_relays_a_batch_gets_the_same_effect(grocer: Programme) -> None:
    call = grocer.mint_call(packed((ANNA.address, 7)), batch=1)
    grocer.chain.do(grocer.address, call, sender=5)
    assert grocer.balance(ANNA) == 7


def test_a_batch_takes_effect_once_however_often_it_is_sent(grocer: Programme) -> None:
    call = grocer.mint_call(packed((ANNA.address, 7)), batch=1)
    grocer.chain.do(grocer.address, call)
    for _ in range(2):
        with pytest.raises(Refused, match=r"BatchOutOfOrder\(expected=2, given=1\)"):
            grocer.chain.do(grocer.address, call)
    assert grocer.balance(ANNA) == 7


@pytest.mark.parametrize("batch", [0, 2, 2**32 - 1])
def test_a_batch_out_of_order_waits(grocer: Programme, batch: int) -> None:
    with pytest.raises(Refused, match=rf"BatchOutOfOrder\(expected=1, given={batch}\)"):
        grocer.chain.do(grocer.address, grocer.mint_call(packed((ANNA.address, 7)), batch=batch))


def test_only_the_issuer_signs_batches(grocer: Programme) -> None:
    entries = packed((ANNA.address, 7))
    for other in (grocer.owner, ANNA):
        with pytest.raises(Refused, match=rf"InvalidSignature\(signer=0x{grocer.issuer.address.hex()}\)"):
            grocer.chain.do(grocer.address, grocer.mint_call(entries, batch=1, signer=other))


def test_a_signed_batch_cannot_be_changed_or_taken_to_another_programme(world: World, grocer: Programme) -> None:
    signed = grocer.mint_call(packed((ANNA.address, 7)), batch=1)
    changed = signed.replace(packed((ANNA.address, 7)), packed((BERT.address, 7)))
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, changed)
    twin = world.programme("Grocer", Limits(10_000, 1_000, 1_500, 10))  # same owner and issuer
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(twin.address, signed)


@pytest.mark.parametrize("entries", [b"", bytes(31), bytes(33), ANNA.address])
def test_entries_are_whole_words(grocer: Programme, entries: bytes) -> None:
    with pytest.raises(Refused, match=rf"MalformedEntries\(length={len(entries)}\)"):
        grocer.chain.do(grocer.address, grocer.mint_call(entries, batch=1))


@pytest.mark.parametrize("amount", [0, 1_001, 2**96 - 1])
def test_an_entry_is_positive_and_within_its_cap(grocer: Programme, amount: int) -> None:
    entries = packed((ANNA.address, 1_000), (BERT.address, amount))
    with pytest.raises(Refused, match=rf"EntryOutOfBounds\(index=1, amount={amount}\)"):
        grocer.chain.do(grocer.address, grocer.mint_call(entries, batch=1))
    assert grocer.supply() == 0


def test_nobody_is_no_holder(grocer: Programme) -> None:
    with pytest.raises(Refused, match="ERC20InvalidReceiver"):
        grocer.chain.do(grocer.address, grocer.mint_call(packed((bytes(20), 5)), batch=1))


def test_the_bucket_bounds_bursts_and_refills_by_the_second(grocer: Programme) -> None:
    chain = grocer.chain
    with pytest.raises(Refused, match=r"BucketExceeded\(available=1500, wanted=1501\)"):
        grocer.mint((ANNA, 1_000), (BERT, 501))
    chain.do(grocer.address, grocer.mint_call(packed((ANNA.address, 1_000), (BERT.address, 500)), batch=1))
    drained = chain.tester.get_block_by_number("latest")["timestamp"]
    chain.travel(20)
    waited = chain.tester.get_block_by_number("latest")["timestamp"] - drained
    assert waited >= 19
    answer = chain.ask(grocer.address, bindings.points_bucket_available())
    assert bindings.points_bucket_available_result(answer) == 10 * waited
    chain.travel(10_000)
    answer = chain.ask(grocer.address, bindings.points_bucket_available())
    assert bindings.points_bucket_available_result(answer) == 1_500


def test_supply_never_passes_its_cap(world: World) -> None:
    florist = world.programme("Florist", Limits(supply_cap=100, entry_cap=2**96 - 1, bucket=2**96 - 1, refill=0))
    florist.mint((ANNA, 60))
    with pytest.raises(Refused, match=r"SupplyCapExceeded\(cap=100, wanted=101\)"):
        florist.mint((ANNA, 41))
    assert (florist.supply(), florist.balance(ANNA)) == (60, 60)


def test_entries_that_would_overflow_a_balance_together_leave_nothing_behind(world: World) -> None:
    florist = world.programme("Florist")
    florist.mint((ANNA, 2**95))
    before = florist.word(ANNA)
    with pytest.raises(Refused, match="BucketExceeded"):
        florist.mint((ANNA, 2**96 - 1), (ANNA, 2**96 - 1), (ANNA, 2**96 - 1))
    assert florist.word(ANNA) == before


def test_earning_marks_the_day(grocer: Programme) -> None:
    grocer.mint((ANNA, 1))
    assert grocer.word(ANNA) >> 96 & 0xFFFF == NOW // 86_400
    grocer.chain.travel(3 * 86_400)
    grocer.mint((ANNA, 1))
    assert grocer.word(ANNA) >> 96 & 0xFFFF == grocer.chain.now // 86_400


def test_the_limits_and_roles_can_be_read(grocer: Programme) -> None:
    ask, at = grocer.chain.ask, grocer.address
    assert bindings.points_limits_result(ask(at, bindings.points_limits())) == Limits(10_000, 1_000, 1_500, 10)
    assert bindings.points_owner_result(ask(at, bindings.points_owner())) == grocer.owner.address
    assert bindings.points_issuer_result(ask(at, bindings.points_issuer())) == grocer.issuer.address
    assert bindings.points_next_batch_result(ask(at, bindings.points_next_batch())) == 1
