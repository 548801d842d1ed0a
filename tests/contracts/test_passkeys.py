"""Holders with passkeys, on a node that has the precompile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contracts import bindings, eip712, signatures
from contracts.bindings import Sent, Terms
from tests.contracts.authenticator import BACKED_UP, PRESENT, VERIFIED, Passkey
from tests.contracts.node import world_with_passkeys
from tests.contracts.world import FOREVER, RP_ID_HASH, Programme, Refused, World, make_world, person

BERT = person("Bert")
LIMIT = 1_000
ANNA = Passkey(7)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with world_with_passkeys() as made:
        yield made


@pytest.fixture
def grocer(world: World) -> Programme:
    made = world.programme("Grocer", terms=Terms(life=1_000, verified_above=LIMIT))
    entries = ANNA.address + (10_000).to_bytes(12)
    world.chain.do(made.address, made.mint_call(entries, batch=1))
    return made


def send(grocer: Programme, amount: int = 5, nonce: int = 0, **changed: Any) -> list[bindings.Event]:
    act: dict[str, Any] = {"holder": ANNA.address, "to": BERT.address, "amount": amount, "nonce": nonce}
    act["deadline"] = FOREVER
    signature = ANNA.sign(eip712.send_digest(grocer.separator, **act), **changed)
    return grocer.chain.do(grocer.address, bindings.points_send(**act, signature=signature))


def test_a_passkey_sends_points(grocer: Programme) -> None:
    assert isinstance(send(grocer)[-1], Sent)
    assert grocer.balance(BERT) == 5
    with pytest.raises(Refused, match="InvalidNonce"):
        send(grocer)


@pytest.mark.parametrize("high", [False, True])
def test_both_forms_of_s_are_accepted(grocer: Programme, high: bool) -> None:
    send(grocer, high=high)


@pytest.mark.parametrize(
    "extra",
    [
        {"other_keys_can_be_added_here": "do not compare clientDataJSON against a template. See https://goo.gl/yabPex"},
        {"crossOrigin": True, "topOrigin": "https://example.org"},
        {"origin": "android:apk-key-hash:abc"},
    ],
)
def test_browsers_may_add_what_they_like_behind_the_challenge(grocer: Programme, extra: dict[str, Any]) -> None:
    send(grocer, extra=extra)


def test_large_spends_need_verification(grocer: Programme) -> None:
    send(grocer, LIMIT)
    with pytest.raises(Refused, match="InvalidSignature"):
        send(grocer, LIMIT + 1, nonce=1)
    send(grocer, LIMIT + 1, nonce=1, flags=PRESENT | VERIFIED | BACKED_UP)


@pytest.mark.parametrize("changed", [{"flags": VERIFIED}, {"flags": 0}, {"rp_id_hash": bytes(32)}])
def test_somebody_is_present_at_our_own_site(grocer: Programme, changed: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="InvalidSignature"):
        send(grocer, **changed)


def test_an_assertion_is_for_one_act_of_one_holder(grocer: Programme) -> None:
    act: dict[str, Any] = {"holder": ANNA.address, "to": BERT.address, "amount": 5, "nonce": 0, "deadline": FOREVER}
    good = ANNA.sign(eip712.send_digest(grocer.separator, **act))
    other = Passkey(8)
    forged = other.sign(eip712.send_digest(grocer.separator, **act))
    for signature in (
        forged,
        forged[:65] + good[65:129] + forged[129:],  # another's signature under the holder's key
        good[:-1],
        good[:100],
        good[:1],
        good[:1] + good[33:65] + good[1:33] + good[65:],
        good[:129] + bytes((PRESENT | VERIFIED,)) + good[130:],
    ):
        with pytest.raises(Refused, match="InvalidSignature"):
            grocer.chain.do(grocer.address, bindings.points_send(**act, signature=signature))
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, bindings.points_send(**(act | {"amount": 6}), signature=good))
    grocer.chain.do(grocer.address, bindings.points_send(**act, signature=good))


def test_only_an_assertion_is_an_assertion() -> None:
    digest = bytes(range(32))
    for changed in ({"kind": "webauthn.create"}, {"challenge": bytes(32)}):
        with pytest.raises(ValueError, match="assertion"):
            ANNA.sign(digest, **changed)
    assertion = ANNA.assertion(digest)
    assertion["authenticator_data"] += b"\xa0"
    with pytest.raises(ValueError, match="37 bytes"):
        signatures.from_assertion(digest=digest, **assertion)


def test_a_registration_is_no_assertion_on_the_chain(grocer: Programme) -> None:
    """The type is rebuilt, so client data of another type have another hash."""
    act: dict[str, Any] = {"holder": ANNA.address, "to": BERT.address, "amount": 5, "nonce": 0, "deadline": FOREVER}
    digest = eip712.send_digest(grocer.separator, **act)
    made = ANNA.assertion(digest, kind="webauthn.create")
    start = made["client_data"].index(b',"origin"')
    key = made["r"].to_bytes(32) + made["s"].to_bytes(32) + ANNA.x + ANNA.y
    signature = signatures.PASSKEY + key + made["authenticator_data"][32:] + made["client_data"][start:]
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, bindings.points_send(**act, signature=signature))


def test_an_owner_with_a_passkey_must_be_verified(world: World) -> None:
    made = world.programme("Florist")
    world.deposit(ANNA.address, 10)

    def withdraw(**changed: Any) -> None:
        act: dict[str, Any] = {"account": ANNA.address, "to": BERT.address, "amount": 10}
        act["nonce"] = world.nonce(ANNA.address)
        signature = ANNA.sign(eip712.withdraw_digest(world.separator, **act), **changed)
        world.chain.do(world.exchange, bindings.exchange_withdraw(**act, signature=signature))

    with pytest.raises(Refused, match="InvalidSignature"):
        withdraw()
    withdraw(flags=PRESENT | VERIFIED)
    for contract, call, result in (
        (made.address, bindings.points_has_passkeys(), bindings.points_has_passkeys_result),
        (world.exchange, bindings.exchange_has_passkeys(), bindings.exchange_has_passkeys_result),
    ):
        assert result(world.chain.ask(contract, call))
    assert bindings.points_rp_id_hash_result(world.chain.ask(made.address, bindings.points_rp_id_hash())) == RP_ID_HASH


def test_without_the_precompile_no_passkey_is_accepted() -> None:
    world = make_world()  # the in-process chain is older than it
    grocer = world.programme("Grocer")
    world.chain.do(grocer.address, grocer.mint_call(ANNA.address + (100).to_bytes(12), batch=1))
    assert not bindings.points_has_passkeys_result(world.chain.ask(grocer.address, bindings.points_has_passkeys()))
    with pytest.raises(Refused, match="InvalidSignature"):
        send(grocer)
