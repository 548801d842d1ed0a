"""Holders' signed intents, and plain ERC-20: no balance falls without its holder's word."""

from __future__ import annotations

import json

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, eip712, packed, signatures
from contracts.bindings import Approval, NonceCancelled, Redeemed, Sent, Transfer
from tests.contracts.world import CHAIN_ID, FOREVER, Person, Programme, Refused, World, person

ANNA, BERT = person("Anna"), person("Bert")
ORDER = keccak(b"order 17")
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
CURVE_ORDER = 2 * HALF_ORDER + 1


@pytest.fixture
def grocer(world: World) -> Programme:
    made = world.programme("Grocer")
    made.mint((ANNA, 1_000))
    return made


def day_of(programme: Programme, holder: Person) -> int:
    return programme.word(holder) >> 96 & 0xFFFF


def test_a_send_moves_points_and_names_its_intent(grocer: Programme) -> None:
    events = grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 300), sender=3)
    digest = eip712.send_digest(
        grocer.separator, holder=ANNA.address, to=BERT.address, amount=300, nonce=0, deadline=FOREVER
    )
    assert events == [Transfer(ANNA.address, BERT.address, 300), Sent(digest)]
    assert (grocer.balance(ANNA), grocer.balance(BERT), grocer.supply()) == (700, 300, 1_000)


def test_a_redemption_burns_points_under_the_merchants_order(grocer: Programme) -> None:
    events = grocer.chain.do(grocer.address, grocer.redeem_call(ANNA, 250, order=ORDER))
    digest = eip712.redeem_digest(
        grocer.separator, holder=ANNA.address, amount=250, order=ORDER, nonce=0, deadline=FOREVER
    )
    assert events == [Transfer(ANNA.address, bytes(20), 250), Redeemed(digest, ANNA.address, ORDER, 250)]
    assert (grocer.balance(ANNA), grocer.supply()) == (750, 750)


def test_what_a_wallet_signs_is_what_the_token_checks(grocer: Programme) -> None:
    message = {"holder": ANNA.address, "to": BERT.address, "amount": 5, "nonce": 9, "deadline": FOREVER}
    document = eip712.typed_data("Send", chain_id=CHAIN_ID, contract=grocer.address, message=message)
    signable = encode_typed_data(full_message=json.loads(json.dumps(document)))
    signature = signatures.from_rsv(bytes(Account.sign_message(signable, ANNA.key).signature))
    grocer.chain.do(grocer.address, bindings.points_send(**message, signature=signature))  # type: ignore[arg-type]
    assert grocer.balance(BERT) == 5


def test_a_send_to_oneself_changes_no_balance(grocer: Programme) -> None:
    grocer.chain.do(grocer.address, grocer.send_call(ANNA, ANNA.address, 1_000))
    assert (grocer.balance(ANNA), grocer.supply()) == (1_000, 1_000)


def test_an_intent_takes_effect_at_most_once(grocer: Programme) -> None:
    call = grocer.send_call(ANNA, BERT.address, 300, nonce=4)
    grocer.chain.do(grocer.address, call)
    with pytest.raises(Refused, match=rf"InvalidNonce\(account=0x{ANNA.address.hex()}, nonce=4\)"):
        grocer.chain.do(grocer.address, call)


def test_replay_is_impossible_even_after_everything_was_spent(grocer: Programme) -> None:
    call = grocer.send_call(ANNA, BERT.address, 1_000)
    grocer.chain.do(grocer.address, call)
    assert grocer.word(ANNA) != 0
    grocer.chain.do(grocer.address, grocer.send_call(BERT, ANNA.address, 1_000))
    with pytest.raises(Refused, match="InvalidNonce"):
        grocer.chain.do(grocer.address, call)


def test_an_intent_of_another_kind_cannot_reuse_a_nonce(grocer: Programme) -> None:
    grocer.chain.do(grocer.address, grocer.redeem_call(ANNA, 1, nonce=8))
    with pytest.raises(Refused, match="InvalidNonce"):
        grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 1, nonce=8))


def test_a_deadline_is_the_last_second(grocer: Programme) -> None:
    deadline = grocer.chain.now + 10
    call = grocer.send_call(ANNA, BERT.address, 1, deadline=deadline)
    grocer.chain.travel(11)
    with pytest.raises(Refused, match=rf"IntentExpired\(deadline={deadline}\)"):
        grocer.chain.do(grocer.address, call)
    last = grocer.chain.now
    grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 1, deadline=last))


def test_nothing_more_than_the_balance_can_leave(grocer: Programme) -> None:
    reason = rf"ERC20InsufficientBalance\(sender=0x{ANNA.address.hex()}, balance=1000, needed=1001\)"
    for call in (grocer.send_call(ANNA, BERT.address, 1_001), grocer.redeem_call(ANNA, 1_001)):
        with pytest.raises(Refused, match=reason):
            grocer.chain.do(grocer.address, call)


def test_a_refused_intent_leaves_its_nonce_usable(grocer: Programme) -> None:
    call = grocer.send_call(ANNA, BERT.address, 1_500)
    with pytest.raises(Refused, match="ERC20InsufficientBalance"):
        grocer.chain.do(grocer.address, call)
    grocer.mint((ANNA, 500))
    grocer.chain.do(grocer.address, call)
    assert grocer.balance(BERT) == 1_500


def test_amounts_are_positive_and_receivers_somebody(grocer: Programme) -> None:
    with pytest.raises(Refused, match="ZeroAmount"):
        grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 0))
    with pytest.raises(Refused, match="ZeroAmount"):
        grocer.chain.do(grocer.address, grocer.redeem_call(ANNA, 0))
    with pytest.raises(Refused, match="ERC20InvalidReceiver"):
        grocer.chain.do(grocer.address, grocer.send_call(ANNA, bytes(20), 1))


def send_signed(grocer: Programme, signature: bytes) -> None:
    call = bindings.points_send(
        holder=ANNA.address, to=BERT.address, amount=1, nonce=0, deadline=FOREVER, signature=signature
    )
    grocer.chain.do(grocer.address, call)


def good_signature(grocer: Programme) -> bytes:
    digest = eip712.send_digest(
        grocer.separator, holder=ANNA.address, to=BERT.address, amount=1, nonce=0, deadline=FOREVER
    )
    return ANNA.sign(digest)


def high_s(signature: bytes) -> bytes:
    """The same signature's other form, with `s` in the upper half of the order."""
    vs = int.from_bytes(signature[33:])
    parity, s = vs >> 255, vs & (2**255 - 1)
    return signature[:33] + (((1 - parity) << 255) | ((CURVE_ORDER - s) & (2**255 - 1))).to_bytes(32)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda good: good[:-1],
        lambda good: good + b"\0",
        lambda good: good[1:],
        lambda good: b"\x01" + good[1:],
        lambda good: b"\x03" + good[1:],
        lambda good: b"\xff" + good[1:],
        lambda good: good[:1] + bytes(64),
        lambda good: good[:40] + bytes((good[40] ^ 1,)) + good[41:],
        high_s,
    ],
)
def test_a_signature_is_exactly_the_holders(grocer: Programme, spoil: object) -> None:
    good = good_signature(grocer)
    with pytest.raises(Refused, match=rf"InvalidSignature\(signer=0x{ANNA.address.hex()}\)"):
        send_signed(grocer, spoil(good))  # type: ignore[operator]
    send_signed(grocer, good)


def test_no_signature_speaks_for_nobody(grocer: Programme) -> None:
    call = bindings.points_send(
        holder=bytes(20), to=BERT.address, amount=1, nonce=0, deadline=FOREVER, signature=bytes(65)
    )
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, call)


def test_another_persons_signature_is_refused(grocer: Programme) -> None:
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 1, by=BERT))


def test_an_intent_does_not_work_in_another_programme(world: World, grocer: Programme) -> None:
    other = world.programme("Florist")
    other.mint((ANNA, 1_000))
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(other.address, grocer.send_call(ANNA, BERT.address, 1))


def test_only_the_exchange_calls_its_legs(grocer: Programme) -> None:
    head = {"holder": ANNA.address, "amount": 1, "nonce": 0, "deadline": FOREVER, "signature": bytes(65)}
    swap = packed.swap(from_=grocer.address, into=BERT.address, minimum=0, **head)  # type: ignore[arg-type]
    gift = packed.give(programme=grocer.address, charity=BERT.address, campaign=0, **head)  # type: ignore[arg-type]
    legs = [bindings.points_execute_packed() + leg[24:] for leg in (swap, gift)]
    for call in (*legs, bindings.points_credit_against_margin(holder=ANNA.address, amount=1)):
        with pytest.raises(Refused, match="OnlyExchange"):
            grocer.chain.do(grocer.address, call)


def test_a_packed_intent_is_the_same_intent(grocer: Programme) -> None:
    long = grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 300))
    short = grocer.chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 300, nonce=1, short=True))
    assert (short[0], type(short[1])) == (long[0], type(long[1]))
    call = grocer.redeem_call(ANNA, 5, order=ORDER, nonce=2, short=True)
    digest = eip712.redeem_digest(
        grocer.separator, holder=ANNA.address, amount=5, order=ORDER, nonce=2, deadline=FOREVER
    )
    assert grocer.chain.do(grocer.address, call)[1] == Redeemed(digest, ANNA.address, ORDER, 5)
    with pytest.raises(Refused, match="InvalidNonce"):
        grocer.chain.do(grocer.address, grocer.redeem_call(ANNA, 5, order=ORDER, nonce=2))


def test_a_packed_intent_is_whole_and_of_a_known_kind(grocer: Programme) -> None:
    call = grocer.send_call(ANNA, BERT.address, 300, short=True)
    for cut in (call[:4], call[:50], call[:66]):
        with pytest.raises(Refused):
            grocer.chain.do(grocer.address, cut)
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, call[:-1])
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, call + b"\0")
    with pytest.raises(Refused, match="OnlyExchange"):
        grocer.chain.do(grocer.address, call[:4] + b"\7" + call[5:])


def test_signing_is_activity_and_receiving_is_not(grocer: Programme) -> None:
    chain = grocer.chain
    grocer.mint((BERT, 10))
    first = day_of(grocer, BERT)
    chain.travel(5 * 86_400)
    chain.do(grocer.address, grocer.send_call(ANNA, BERT.address, 1))
    assert (day_of(grocer, ANNA), day_of(grocer, BERT)) == (first + 5, first)
    carl = person("Carl")
    chain.do(grocer.address, grocer.send_call(ANNA, carl.address, 1, nonce=1))
    assert day_of(grocer, carl) == first + 5  # an account's life begins with its first points


def test_a_cancelled_nonce_is_void(grocer: Programme) -> None:
    chain = grocer.chain
    me = Person(bytes(31) + b"\x01")  # eth-tester's first account
    assert me.address == chain.account(0)
    grocer.mint((me, 10))
    assert chain.do(grocer.address, bindings.points_cancel_nonce(nonce=5)) == [NonceCancelled(me.address, 5)]
    with pytest.raises(Refused, match="InvalidNonce"):
        chain.do(grocer.address, grocer.send_call(me, BERT.address, 1, nonce=5))
    with pytest.raises(Refused, match="InvalidNonce"):
        chain.do(grocer.address, bindings.points_cancel_nonce(nonce=5))
    chain.do(grocer.address, grocer.send_call(me, BERT.address, 1, nonce=4))


def test_holders_who_pay_their_gas_use_plain_erc20(grocer: Programme) -> None:
    chain, at = grocer.chain, grocer.address
    me, spender = chain.account(0), chain.account(1)
    grocer.mint((Person(bytes(31) + b"\x01"), 100))
    assert chain.do(at, bindings.points_transfer(to=BERT.address, value=30)) == [Transfer(me, BERT.address, 30)]
    assert chain.do(at, bindings.points_approve(spender=spender, value=50)) == [Approval(me, spender, 50)]
    chain.do(at, bindings.points_transfer_from(from_=me, to=BERT.address, value=20), sender=1)
    left = bindings.points_allowance_result(chain.ask(at, bindings.points_allowance(holder=me, spender=spender)))
    assert (left, grocer.balance(BERT)) == (30, 50)
    with pytest.raises(Refused, match=r"ERC20InsufficientAllowance\(spender=0x\w+, allowance=30, needed=31\)"):
        chain.do(at, bindings.points_transfer_from(from_=me, to=BERT.address, value=31), sender=1)
    with pytest.raises(Refused, match=r"ERC20InsufficientBalance\(sender=0x\w+, balance=50, needed=51\)"):
        chain.do(at, bindings.points_transfer(to=BERT.address, value=51))
    with pytest.raises(Refused, match="ERC20InvalidReceiver"):
        chain.do(at, bindings.points_transfer(to=bytes(20), value=1))
    with pytest.raises(Refused, match="ERC20InvalidSender"):
        chain.do(at, bindings.points_transfer_from(from_=bytes(20), to=BERT.address, value=0), sender=1)
    with pytest.raises(Refused, match="ERC20InvalidSpender"):
        chain.do(at, bindings.points_approve(spender=bytes(20), value=1))
    chain.do(at, bindings.points_approve(spender=spender, value=2**256 - 1))
    chain.do(at, bindings.points_transfer_from(from_=me, to=BERT.address, value=20), sender=1)
    left = bindings.points_allowance_result(chain.ask(at, bindings.points_allowance(holder=me, spender=spender)))
    assert left == 2**256 - 1


def test_a_token_tells_wallets_what_it_is(grocer: Programme) -> None:
    ask, at = grocer.chain.ask, grocer.address
    assert bindings.points_name_result(ask(at, bindings.points_name())) == "Grocer"
    assert bindings.points_symbol_result(ask(at, bindings.points_symbol())) == "Grocer"
    assert bindings.points_decimals_result(ask(at, bindings.points_decimals())) == 2
