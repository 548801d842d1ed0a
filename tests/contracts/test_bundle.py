"""Bundles: a failing call is reported with its reason and harms no other."""

from __future__ import annotations

import pytest

from contracts import bindings, packed
from contracts.bindings import Call, Failed, Sent, Transfer
from tests.contracts import world as contracts_world
from tests.contracts.world import Programme, Refused, World, person

ANNA, BERT = person("Anna"), person("Bert")


@pytest.fixture
def grocer(world: World) -> Programme:
    made = world.programme("Grocer")
    made.mint((ANNA, 1_000), (BERT, 10))
    return made


def reasons(events: list[bindings.Event]) -> list[str]:
    """Index and reason of each failure."""
    failures = [event for event in events if isinstance(event, Failed)]
    return [f"{one.index} {bindings.describe_error(one.error + one.first + one.second)}" for one in failures]


def test_calls_of_several_contracts_share_a_transaction(world: World, grocer: Programme) -> None:
    florist = world.programme("Florist")
    batch = florist.mint_call(ANNA.address + (5).to_bytes(12), batch=1)
    events = world.bundled(
        (grocer.address, grocer.send_call(ANNA, BERT.address, 1)),
        (florist.address, batch),
        (grocer.address, grocer.redeem_call(ANNA, 2, nonce=1)),
        sender=6,
    )
    assert reasons(events) == []
    assert (grocer.balance(ANNA), grocer.balance(BERT), florist.balance(ANNA)) == (997, 11, 5)


def test_a_failing_call_is_reported_and_the_others_take_effect(world: World, grocer: Programme) -> None:
    good = grocer.send_call(ANNA, BERT.address, 1, nonce=0)
    events = world.bundled(
        (grocer.address, grocer.send_call(BERT, ANNA.address, 11)),
        (grocer.address, good),
        (grocer.address, good),
        (grocer.address, grocer.send_call(ANNA, BERT.address, 1, nonce=1, by=BERT)),
        (grocer.address, grocer.send_call(ANNA, BERT.address, 2, nonce=2)),
    )
    anna, bert = ANNA.address.hex(), BERT.address.hex()
    assert reasons(events) == [
        f"0 ERC20InsufficientBalance(sender=0x{bert}, balance=10)",  # two words, not three
        f"2 InvalidNonce(account=0x{anna}, nonce=0)",
        f"3 InvalidSignature(signer=0x{anna})",
    ]
    assert sum(isinstance(event, Sent) for event in events) == 2
    assert (grocer.balance(ANNA), grocer.balance(BERT)) == (997, 13)


def test_a_swap_that_fails_half_way_leaves_nothing_behind(world: World) -> None:
    price = 10**9
    one, other = world.trading("One", bid=price, ask=price, margin=100), world.trading("Two", bid=price, ask=price)
    world.partners(one, other)
    one.mint((ANNA, 5))
    events = world.bundled((world.exchange, world.swap_call(one, other, ANNA, 6)))
    assert reasons(events) == [f"0 ERC20InsufficientBalance(sender=0x{ANNA.address.hex()}, balance=5)"]
    assert (world.margin(one.address), world.margin(other.address)) == (100, 0)


def test_a_target_without_code_is_a_failed_call(world: World, grocer: Programme) -> None:
    events = world.bundled((BERT.address, b"hello"), (grocer.address, grocer.send_call(ANNA, BERT.address, 1)))
    assert reasons(events) == [f"0 NotAContract(index=0, target=0x{BERT.address.hex()})"]
    assert grocer.balance(BERT) == 11


def test_a_call_that_runs_out_of_gas_fails_without_a_reason(world: World, grocer: Programme) -> None:
    calls = [
        Call(grocer.address, 5_000, grocer.send_call(ANNA, BERT.address, 1)),
        Call(grocer.address, 200_000, grocer.send_call(ANNA, BERT.address, 2, nonce=1)),
    ]
    events = world.chain.do(world.bundle, bindings.bundle_execute(calls=calls))
    assert events[0] == Failed(0, bytes(4), bytes(32), bytes(32))
    assert reasons(events) == ["0 no reason given"]
    assert grocer.balance(BERT) == 12


def test_a_call_gets_the_gas_it_was_promised_or_nothing_happens(
    world: World, grocer: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [
        Call(grocer.address, 200_000, grocer.send_call(ANNA, BERT.address, 1)),
        Call(grocer.address, 2**32 - 1, grocer.send_call(ANNA, BERT.address, 2, nonce=1)),
    ]
    with pytest.raises(Refused, match=r"NotEnoughGas\(index=1\)"):
        world.chain.do(world.bundle, bindings.bundle_execute(calls=calls))
    monkeypatch.setattr(contracts_world, "GAS", packed.MAX_GAS)
    calls[1] = calls[1]._replace(gas=packed.MAX_GAS)
    with pytest.raises(Refused, match=r"NotEnoughGas\(index=1\)"):
        world.chain.do(world.bundle, packed.execute(calls))
    assert grocer.balance(BERT) == 10


def test_the_bundle_has_no_rights(world: World, grocer: Programme) -> None:
    events = world.bundled(
        (grocer.address, bindings.points_credit_against_margin(holder=BERT.address, amount=1)),
        (world.exchange, bindings.exchange_set_fee(fee_bps=1, account=BERT.address)),
        (grocer.address, bindings.points_transfer_from(from_=ANNA.address, to=BERT.address, value=1)),
    )
    bundle = world.bundle.hex()
    assert reasons(events) == [
        f"0 OnlyExchange(caller=0x{bundle})",
        f"1 OnlyOwner(caller=0x{bundle})",
        f"2 ERC20InsufficientAllowance(spender=0x{bundle}, allowance=0)",
    ]


def test_the_bundle_counts_its_failures(world: World, grocer: Programme) -> None:
    calls = [Call(BERT.address, 1, b""), Call(grocer.address, 200_000, b"\1\2\3\4"), Call(grocer.address, 1, b"")]
    answer = world.chain.ask(world.bundle, bindings.bundle_execute(calls=calls))
    assert bindings.bundle_execute_result(answer) == 3
    assert world.chain.do(world.bundle, bindings.bundle_execute(calls=[])) == []


def test_a_hundred_intents_in_one_transaction(world: World, grocer: Programme) -> None:
    people = [person(f"holder {number}") for number in range(50)]
    grocer.mint(*((holder, 100) for holder in people))
    sends = [(grocer.address, grocer.send_call(holder, BERT.address, 1)) for holder in people]
    redemptions = [(grocer.address, grocer.redeem_call(holder, 2, nonce=1)) for holder in people]
    events = world.bundled(*sends, *redemptions)
    assert reasons(events) == []
    assert sum(isinstance(event, Transfer) for event in events) == 100
    assert (grocer.balance(BERT), grocer.supply()) == (60, 1_010 + 50 * 98)


def test_the_packed_form_does_what_the_plain_one_does(world: World, grocer: Programme) -> None:
    calls = [
        Call(grocer.address, 200_000, grocer.send_call(ANNA, BERT.address, 1)),
        Call(BERT.address, 7, b"hello"),
        Call(grocer.address, 200_000, grocer.send_call(ANNA, BERT.address, 1)),
        Call(grocer.address, 200_000, b""),
        Call(grocer.address, 5_000, grocer.send_call(ANNA, BERT.address, 2, nonce=1)),
        Call(grocer.address, 200_000, grocer.send_call(ANNA, BERT.address, 2, nonce=1)),
        Call(world.exchange, 200_000, b""),
    ]
    before = world.chain.tester.take_snapshot()
    plain = world.chain.do(world.bundle, bindings.bundle_execute(calls=calls))
    world.chain.tester.revert_to_snapshot(before)
    assert world.chain.do(world.bundle, packed.execute(calls)) == plain
    answer = world.chain.ask(world.bundle, packed.execute(calls))
    assert bindings.bundle_execute_packed_result(answer) == 7  # the sends are now replays


def test_a_packed_bundle_that_is_cut_short_reverts(world: World, grocer: Programme) -> None:
    good = grocer.send_call(ANNA, BERT.address, 1)
    head = bytes(1) + (200_000).to_bytes(3) + len(good).to_bytes(3)
    for broken in (head + good[:-1], head + good + bytes(3), b"\1" + head[1:] + good):
        call = bindings.bundle_execute_packed(targets=[grocer.address], calls=broken)
        with pytest.raises(Refused):
            world.chain.do(world.bundle, call)
    assert grocer.balance(BERT) == 10
