"""What happens to points without their holder's word, and who may change the terms: expiry, limits, lost keys."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, eip712
from contracts.bindings import (
    Expired,
    LifeExtended,
    Limits,
    LimitsSet,
    NonceCancelled,
    Recovered,
    RecoveryCancelled,
    RecoveryStarted,
    Roles,
    Sent,
    Terms,
    Transfer,
)
from tests.contracts.world import FOREVER, LASTING, WIDE, Person, Programme, Refused, World, person

ANNA, BERT, CARL = person("Anna"), person("Bert"), person("Carl")
ME = Person(bytes(31) + b"\x01")  # eth-tester's first account
NOBODY = bytes(20)
DAY = 86_400


@pytest.fixture
def grocer(world: World) -> Programme:
    """Points that live for ten days."""
    made = world.programme("Grocer", terms=Terms(life=10, verified_above=2**96 - 1))
    world.chain.travel(DAY - world.chain.now % DAY)  # so that days are days
    made.mint((ANNA, 1_000))
    return made


def sweep(programme: Programme, *holders: Person) -> list[bindings.Event]:
    call = bindings.points_sweep(holders=[holder.address for holder in holders])
    return programme.chain.do(programme.address, call)


# --- expiry ----------------------------------------------------------------------------------------------------------


def test_points_live_through_the_last_day_and_not_longer(grocer: Programme) -> None:
    grocer.chain.travel(10 * DAY)
    assert grocer.balance(ANNA) == 1_000
    grocer.chain.travel(DAY)
    assert (grocer.balance(ANNA), grocer.supply()) == (0, 1_000)


def test_dead_points_are_burned_by_a_sweep_once(grocer: Programme) -> None:
    grocer.mint((BERT, 5))
    assert sweep(grocer, ANNA) == []
    grocer.chain.travel(11 * DAY)
    grocer.mint((BERT, 5))
    assert sweep(grocer, CARL, ANNA, BERT, ANNA) == [
        Transfer(ANNA.address, NOBODY, 1_000),
        Expired(ANNA.address, 1_000),
    ]
    assert (grocer.balance(ANNA), grocer.balance(BERT), grocer.supply()) == (0, 5, 5)


def test_earning_burns_what_has_expired_and_no_more(grocer: Programme) -> None:
    grocer.chain.travel(11 * DAY)
    events = grocer.mint((BERT, 7), (ANNA, 30), (ANNA, 4))
    assert events[:-1] == [
        Transfer(NOBODY, BERT.address, 7),
        Transfer(ANNA.address, NOBODY, 1_000),
        Expired(ANNA.address, 1_000),
        Transfer(NOBODY, ANNA.address, 30),
        Transfer(NOBODY, ANNA.address, 4),
    ]
    assert (grocer.balance(ANNA), grocer.supply()) == (34, 41)


def test_receiving_burns_what_has_expired_and_begins_a_new_life(grocer: Programme) -> None:
    grocer.chain.travel(6 * DAY)
    grocer.mint((BERT, 100))
    grocer.chain.travel(5 * DAY)
    events = grocer.chain.do(grocer.address, grocer.send_call(BERT, ANNA.address, 40))
    assert events[:3] == [
        Transfer(ANNA.address, NOBODY, 1_000),
        Expired(ANNA.address, 1_000),
        Transfer(BERT.address, ANNA.address, 40),
    ]
    grocer.chain.travel(10 * DAY)
    assert (grocer.balance(ANNA), grocer.balance(BERT), grocer.supply()) == (40, 60, 100)


def test_receiving_does_not_keep_points_alive_and_signing_does(grocer: Programme) -> None:
    grocer.mint((BERT, 100))
    grocer.chain.travel(9 * DAY)
    grocer.chain.do(grocer.address, grocer.send_call(BERT, ANNA.address, 1))
    grocer.chain.travel(2 * DAY)
    assert (grocer.balance(ANNA), grocer.balance(BERT)) == (0, 99)


def test_dead_points_cannot_be_spent(grocer: Programme) -> None:
    grocer.chain.travel(11 * DAY)
    reason = rf"ERC20InsufficientBalance\(sender=0x{ANNA.address.hex()}, balance=0, needed=1\)"
    for call in (grocer.send_call(ANNA, BERT.address, 1), grocer.redeem_call(ANNA, 1)):
        with pytest.raises(Refused, match=reason):
            grocer.chain.do(grocer.address, call)


def test_a_nonce_that_was_used_stays_used_after_expiry(grocer: Programme) -> None:
    call = grocer.send_call(ANNA, BERT.address, 1)
    grocer.chain.do(grocer.address, call)
    grocer.chain.travel(11 * DAY)
    sweep(grocer, ANNA)
    grocer.mint((ANNA, 10))
    with pytest.raises(Refused, match="InvalidNonce"):
        grocer.chain.do(grocer.address, call)


def test_an_allowance_outlives_what_expired_and_covers_what_comes(grocer: Programme) -> None:
    chain, spender = grocer.chain, grocer.chain.account(5)
    grocer.mint((ME, 100))
    chain.do(grocer.address, bindings.points_approve(spender=spender, value=70))
    chain.travel(11 * DAY)
    take = bindings.points_transfer_from(from_=ME.address, to=BERT.address, value=30)
    with pytest.raises(Refused, match=r"ERC20InsufficientBalance\(sender=\w+, balance=0, needed=30\)"):
        chain.do(grocer.address, take, sender=5)
    grocer.mint((ME, 50))
    chain.do(grocer.address, take, sender=5)
    allowed = bindings.points_allowance(holder=ME.address, spender=spender)
    assert bindings.points_allowance_result(chain.ask(grocer.address, allowed)) == 40
    assert (grocer.balance(ME), grocer.balance(BERT)) == (20, 30)


def test_a_spenders_transfer_is_no_activity_of_the_holder(grocer: Programme) -> None:
    chain = grocer.chain
    grocer.mint((ME, 100))
    chain.do(grocer.address, bindings.points_approve(spender=chain.account(5), value=70))
    chain.travel(9 * DAY)
    chain.do(grocer.address, bindings.points_transfer_from(from_=ME.address, to=BERT.address, value=30), sender=5)
    chain.travel(2 * DAY)
    assert (grocer.balance(ME), grocer.balance(BERT)) == (0, 30)


def test_ones_own_transactions_are_activity(grocer: Programme) -> None:
    chain = grocer.chain
    grocer.mint((ME, 100))
    for call in (
        bindings.points_approve(spender=chain.account(5), value=1),
        bindings.points_transfer(to=BERT.address, value=1),
        bindings.points_cancel_nonce(nonce=3),
    ):
        chain.travel(9 * DAY)
        chain.do(grocer.address, call)
    assert grocer.balance(ME) == 99


def test_an_old_account_that_acts_by_itself_is_emptied_first(grocer: Programme) -> None:
    grocer.mint((ME, 100))
    grocer.chain.travel(11 * DAY)
    events = grocer.chain.do(grocer.address, bindings.points_approve(spender=BERT.address, value=1))
    assert events[:2] == [Transfer(ME.address, NOBODY, 100), Expired(ME.address, 100)]
    assert grocer.supply() == 1_000


def test_life_grows_and_never_shrinks(world: World, grocer: Programme) -> None:
    def extend(life: int, nonce: int, by: Person | None = None) -> list[bindings.Event]:
        act: dict[str, Any] = {"life": life, "nonce": nonce, "deadline": FOREVER}
        signature = (by or grocer.owner).sign(eip712.life_digest(grocer.separator, **act))
        call = bindings.points_extend_life(wanted=life, nonce=nonce, deadline=FOREVER, signature=signature)
        return grocer.chain.do(grocer.address, call)

    grocer.chain.travel(11 * DAY)
    assert grocer.balance(ANNA) == 0
    assert extend(20, 0) == [LifeExtended(20)]
    assert grocer.balance(ANNA) == 1_000  # not burned yet, so alive again
    grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 1))
    grocer.chain.travel(20 * DAY)
    assert grocer.balance(ANNA) == 999
    assert sweep(grocer, ANNA) == []
    for life in (20, 19):
        with pytest.raises(Refused, match=rf"InvalidLife\(current=20, wanted={life}\)"):
            extend(life, 1)
    with pytest.raises(Refused, match="InvalidNonce"):
        extend(30, 0)
    with pytest.raises(Refused, match="InvalidSignature"):
        extend(30, 1, by=grocer.issuer)
    with pytest.raises(Refused):
        world.programme("Mayfly", terms=Terms(life=0, verified_above=0))


# --- limits ----------------------------------------------------------------------------------------------------------


def set_limits(programme: Programme, limits: Limits, nonce: int) -> list[bindings.Event]:
    act: dict[str, Any] = {**limits._asdict(), "nonce": nonce, "deadline": FOREVER}
    signature = programme.owner.sign(eip712.limits_digest(programme.separator, **act))
    call = bindings.points_set_limits(wanted=limits, nonce=nonce, deadline=FOREVER, signature=signature)
    return programme.chain.do(programme.address, call)


def limits_of(programme: Programme) -> Limits:
    return bindings.points_limits_result(programme.chain.ask(programme.address, bindings.points_limits()))


def available(programme: Programme) -> int:
    answer = programme.chain.ask(programme.address, bindings.points_bucket_available())
    return bindings.points_bucket_available_result(answer)


def test_tighter_limits_hold_at_once_and_looser_ones_in_two_days(world: World) -> None:
    grocer = world.programme("Grocer", Limits(1_000, 100, 200, 0))
    wanted = Limits(supply_cap=900, entry_cap=150, bucket=100, refill=1)
    events = set_limits(grocer, wanted, 0)
    now = world.chain.now - 1
    assert events == [LimitsSet(900, 100, 100, 0, now), LimitsSet(*wanted, now + 2 * DAY)]
    assert (limits_of(grocer), available(grocer)) == (Limits(900, 100, 100, 0), 100)
    pending = world.chain.ask(grocer.address, bindings.points_pending_limits())
    assert bindings.points_pending_limits_result(pending) == (*wanted, now + 2 * DAY)
    with pytest.raises(Refused, match="EntryOutOfBounds"):
        grocer.chain.do(grocer.address, grocer.mint_call(ANNA.address + (101).to_bytes(12), batch=1))
    grocer.mint((ANNA, 90))
    grocer.batches = iter(range(2, 9))
    world.chain.travel(2 * DAY)
    assert limits_of(grocer) == wanted
    pending = world.chain.ask(grocer.address, bindings.points_pending_limits())
    assert bindings.points_pending_limits_result(pending) == (0,) * 5
    with pytest.raises(Refused, match=r"BucketExceeded\(available=10, wanted=11\)"):
        grocer.chain.do(grocer.address, grocer.mint_call(ANNA.address + (11).to_bytes(12), batch=2))
    grocer.mint((ANNA, 10))  # brings them into force: the bucket fills from now on
    world.chain.travel(50)
    assert 48 <= available(grocer) <= 52


def test_new_limits_replace_those_that_were_waiting(world: World) -> None:
    grocer = world.programme("Grocer", Limits(1_000, 100, 200, 0))
    set_limits(grocer, Limits(5_000, 100, 200, 0), 0)
    assert set_limits(grocer, Limits(800, 100, 200, 0), 1)[-1] == LimitsSet(800, 100, 200, 0, world.chain.now - 1)
    world.chain.travel(3 * DAY)
    assert limits_of(grocer) == Limits(800, 100, 200, 0)
    with pytest.raises(Refused, match="InvalidNonce"):
        set_limits(grocer, WIDE, 1)


def test_a_swap_obeys_the_supply_cap_of_the_hour(world: World) -> None:
    price = 10**9
    one, other = world.trading("One", bid=price, ask=price, margin=1_000), world.programme("Two", Limits(10, 1, 0, 0))
    world.quote(other, bid=price, ask=price)
    world.partners(one, other)
    one.mint((ANNA, 100))
    set_limits(other, Limits(20, 1, 0, 0), 0)
    with pytest.raises(Refused, match=r"SupplyCapExceeded\(cap=10, wanted=11\)"):
        world.chain.do(world.exchange, world.swap_call(one, other, ANNA, 11))
    world.chain.travel(2 * DAY)
    world.chain.do(world.exchange, world.swap_call(one, other, ANNA, 20))
    with pytest.raises(Refused, match=r"SupplyCapExceeded\(cap=20, wanted=21\)"):
        world.chain.do(world.exchange, world.swap_call(one, other, ANNA, 1, nonce=1))


def test_a_bucket_fills_at_the_rate_that_was_in_force(world: World) -> None:
    grocer = world.programme("Grocer", Limits(10**6, 10**6, 1_000, 10))
    grocer.mint((ANNA, 1_000))
    world.chain.travel(20)
    before = available(grocer)
    set_limits(grocer, Limits(10**6, 10**6, 1_000, 0), 0)
    assert before >= 190
    assert before <= available(grocer) <= before + 20
    world.chain.travel(1_000)
    assert available(grocer) <= before + 20


def test_the_owner_acts_by_its_own_transaction_too(world: World) -> None:
    chain = world.chain
    title = b"Own".ljust(32, b"\0")
    call = bindings.factory_create(
        name=title, symbol=title, roles=Roles(chain.account(2), chain.account(3)), limits=WIDE, terms=LASTING,
        salt=bytes(32),
    )  # fmt: skip
    (created,) = chain.do(world.factory, call)
    assert isinstance(created, bindings.ProgrammeCreated)
    extend = bindings.points_extend_life(wanted=2_000, nonce=0, deadline=0, signature=b"")
    with pytest.raises(Refused, match=rf"InvalidSignature\(signer=0x{chain.account(2).hex()}\)"):
        chain.do(created.programme, extend, sender=3)
    assert chain.do(created.programme, extend, sender=2) == [LifeExtended(2_000)]
    life = chain.ask(created.programme, bindings.points_life())
    assert bindings.points_life_result(life) == 2_000


# --- lost keys -------------------------------------------------------------------------------------------------------


def recover(programme: Programme, holder: Person, to: bytes, nonce: int, by: Person | None = None) -> list[Any]:
    act: dict[str, Any] = {"holder": holder.address, "to": to, "nonce": nonce, "deadline": FOREVER}
    signature = (by or programme.owner).sign(eip712.recover_digest(programme.separator, **act))
    return programme.chain.do(programme.address, bindings.points_recover(**act, signature=signature))


def finish(programme: Programme, holder: Person) -> list[Any]:
    return programme.chain.do(programme.address, bindings.points_finish_recovery(holder=holder.address))


@pytest.fixture
def lasting(world: World) -> Programme:
    made = world.programme("Lasting")
    made.mint((ANNA, 1_000), (ME, 50))
    return made


def test_a_lost_holders_points_move_fourteen_days_later(lasting: Programme) -> None:
    chain = lasting.chain
    due = chain.now + 14 * DAY
    assert recover(lasting, ANNA, BERT.address, 0) == [RecoveryStarted(ANNA.address, BERT.address, due)]
    asked = chain.ask(lasting.address, bindings.points_recovery_of(holder=ANNA.address))
    assert bindings.points_recovery_of_result(asked) == (BERT.address, due)
    with pytest.raises(Refused, match=rf"RecoveryNotDue\(holder=\w+, due={due}\)"):
        finish(lasting, ANNA)
    lasting.mint((ANNA, 5))  # earning is not the holder's word
    chain.travel(14 * DAY)
    assert finish(lasting, ANNA) == [
        Transfer(ANNA.address, BERT.address, 1_005),
        Recovered(ANNA.address, BERT.address, 1_005),
    ]
    assert (lasting.balance(ANNA), lasting.balance(BERT), lasting.supply()) == (0, 1_005, 1_055)
    with pytest.raises(Refused, match="NoRecovery"):
        finish(lasting, ANNA)


def test_any_signed_act_of_the_holder_keeps_its_points(lasting: Programme) -> None:
    chain = lasting.chain
    recover(lasting, ANNA, BERT.address, 0)
    events = chain.do(lasting.address, lasting.send_call(ANNA, CARL.address, 1))
    assert [type(event) for event in events] == [RecoveryCancelled, Transfer, Sent]
    chain.travel(14 * DAY)
    with pytest.raises(Refused, match="NoRecovery"):
        finish(lasting, ANNA)
    asked = chain.ask(lasting.address, bindings.points_recovery_of(holder=ANNA.address))
    assert bindings.points_recovery_of_result(asked) == (NOBODY, 0)
    with pytest.raises(Refused, match="InvalidNonce"):
        recover(lasting, ANNA, BERT.address, 0)  # the owner's signature serves once


@pytest.mark.parametrize("act", ["approve", "transfer", "cancel"])
def test_any_transaction_of_the_holder_keeps_its_points(lasting: Programme, act: str) -> None:
    recover(lasting, ME, BERT.address, 0)
    call = {
        "approve": bindings.points_approve(spender=BERT.address, value=0),
        "transfer": bindings.points_transfer(to=BERT.address, value=0),
        "cancel": bindings.points_cancel_nonce(nonce=9),
    }[act]
    assert RecoveryCancelled(ME.address) in lasting.chain.do(lasting.address, call)
    lasting.chain.travel(14 * DAY)
    with pytest.raises(Refused, match="NoRecovery"):
        finish(lasting, ME)


def test_a_recovery_started_anew_waits_anew(lasting: Programme) -> None:
    recover(lasting, ANNA, BERT.address, 0)
    lasting.chain.travel(13 * DAY)
    recover(lasting, ANNA, CARL.address, 1)
    lasting.chain.travel(2 * DAY)
    with pytest.raises(Refused, match="RecoveryNotDue"):
        finish(lasting, ANNA)
    lasting.chain.travel(12 * DAY)
    finish(lasting, ANNA)
    assert lasting.balance(CARL) == 1_000


def test_only_the_owner_recovers_and_only_to_somebody_else(lasting: Programme) -> None:
    for by in (lasting.issuer, ANNA, BERT):
        with pytest.raises(Refused, match="InvalidSignature"):
            recover(lasting, ANNA, BERT.address, 0, by=by)
    for to in (NOBODY, ANNA.address):
        with pytest.raises(Refused, match="ERC20InvalidReceiver"):
            recover(lasting, ANNA, to, 0)


# --- signed cancellation ---------------------------------------------------------------------------------------------


def test_a_holder_cancels_a_nonce_by_signature(lasting: Programme) -> None:
    call = lasting.send_call(ANNA, BERT.address, 1, nonce=7)
    act: dict[str, Any] = {"holder": ANNA.address, "nonce": 7, "deadline": FOREVER}
    forged = bindings.points_cancel(**act, signature=BERT.sign(eip712.cancel_digest(lasting.separator, **act)))
    with pytest.raises(Refused, match="InvalidSignature"):
        lasting.chain.do(lasting.address, forged)
    signed = bindings.points_cancel(**act, signature=ANNA.sign(eip712.cancel_digest(lasting.separator, **act)))
    assert lasting.chain.do(lasting.address, signed, sender=4) == [NonceCancelled(ANNA.address, 7)]
    for late in (call, signed):
        with pytest.raises(Refused, match="InvalidNonce"):
            lasting.chain.do(lasting.address, late)


# --- contracts as holders --------------------------------------------------------------------------------------------


def wallet_send(world: World, programme: Programme, trick: int, word: bytes) -> str | None:
    wallet = world.chain.deploy("Wallet", ("bytes32", "uint256"), (keccak(b"open sesame"), trick))
    entries = wallet + (100).to_bytes(12)
    world.chain.do(programme.address, programme.mint_call(entries, batch=next(programme.batches)))
    call = bindings.points_send(
        holder=wallet, to=BERT.address, amount=9, nonce=0, deadline=FOREVER, signature=b"\x02" + word
    )
    return world.chain.refusal(programme.address, call)


def test_a_contract_spends_by_what_it_says(world: World, lasting: Programme) -> None:
    assert wallet_send(world, lasting, 0, b"open sesame") is None
    assert lasting.balance(BERT) == 9
    assert str(wallet_send(world, lasting, 0, b"open barley")).startswith("InvalidSignature")


@pytest.mark.parametrize("trick", range(1, 6))
def test_a_hostile_contract_only_fails_itself(world: World, lasting: Programme, trick: int) -> None:
    assert str(wallet_send(world, lasting, trick, b"open sesame")).startswith("InvalidSignature")
    assert world.chain.gas_used < 400_000


def test_an_account_without_code_is_no_contract(lasting: Programme) -> None:
    call = bindings.points_send(
        holder=ANNA.address, to=BERT.address, amount=9, nonce=0, deadline=FOREVER, signature=b"\x02"
    )
    with pytest.raises(Refused, match="InvalidSignature"):
        lasting.chain.do(lasting.address, call)
