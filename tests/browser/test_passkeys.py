"""Passkeys that a real browser makes and asks sign for points, on a chain that checks them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from contracts import packed
from contracts.bindings import Call, Redeemed, Sent, Terms
from tests.browser.authenticator import Authenticator, Passkey, Refusal, Site
from tests.contracts.assertions import VERIFIED_ABOVE, call, digest_of, from_base64url, mint, signature
from tests.contracts.world import FOREVER, RP_ID_HASH, Programme, Refused, World, person

BERT = person("Bert")
ROUNDS, TIMES = 20, 20
"""Chromium lengthens one in five client data: that all of 400 are alike happens once in 10^38 times."""


@pytest.fixture
def grocer(world: World) -> Programme:
    return world.programme("Grocer", terms=Terms(life=1_000, verified_above=VERIFIED_ABOVE))


def send(passkey: Passkey, amount: int = 5, nonce: int = 0) -> dict[str, Any]:
    return {"holder": passkey.key.holder, "to": BERT.address, "amount": amount, "nonce": nonce, "deadline": FOREVER}


def signed(
    device: Authenticator, grocer: Programme, passkey: Passkey, kind: str, act: dict[str, Any], **asked: Any
) -> bytes:
    """The call of the token that the browser's answer makes of the act."""
    digest = digest_of(grocer, kind, act)
    (answer,) = device.sign(passkey, [digest], **asked)
    return call(kind, act, signature(digest, passkey.key, answer))


def test_a_passkey_made_in_a_browser_sends_and_redeems(anna: Authenticator, grocer: Programme) -> None:
    passkey = anna.create("anna")
    holder = passkey.key.holder
    mint(grocer, holder, 1_000)
    assert (grocer.balance_of(holder), grocer.supply()) == (1_000, 1_000)

    events = grocer.chain.do(grocer.address, signed(anna, grocer, passkey, "Send", send(passkey, 300)))
    assert isinstance(events[-1], Sent)
    assert (grocer.balance_of(holder), grocer.balance(BERT), grocer.supply()) == (700, 300, 1_000)

    act = {"holder": holder, "amount": 200, "order": hashlib.sha256(b"order").digest(), "nonce": 1, "deadline": FOREVER}
    events = grocer.chain.do(grocer.address, signed(anna, grocer, passkey, "Redeem", act))
    assert isinstance(events[-1], Redeemed)
    assert (grocer.balance_of(holder), grocer.balance(BERT), grocer.supply()) == (500, 300, 800)


def test_all_client_data_of_chromium_are_accepted_the_lengthened_too(
    anna: Authenticator, world: World, grocer: Programme
) -> None:
    passkey = anna.create("anna")
    mint(grocer, passkey.key.holder, ROUNDS * TIMES)
    lengthened = plain = 0
    for start in range(0, ROUNDS * TIMES, TIMES):
        acts = [send(passkey, 1, nonce) for nonce in range(start, start + TIMES)]
        digests = [digest_of(grocer, "Send", act) for act in acts]
        answers = anna.sign(passkey, digests)
        calls = [
            Call(grocer.address, 250_000, call("Send", act, signature(digest, passkey.key, answer)))
            for act, digest, answer in zip(acts, digests, answers, strict=True)
        ]
        events = world.chain.do(world.bundle, packed.execute(calls))
        assert sum(isinstance(event, Sent) for event in events) == TIMES
        extra = sum(b"other_keys_can_be_added_here" in from_base64url(one["clientDataJSON"]) for one in answers)
        lengthened, plain = lengthened + extra, plain + TIMES - extra
        if lengthened and plain:
            break
    print(f"of {lengthened + plain} assertions {lengthened} had the additional member")  # noqa: T201
    assert lengthened
    assert plain
    assert grocer.balance(BERT) == lengthened + plain


def test_large_spends_need_the_user_verified(anna: Authenticator, grocer: Programme) -> None:
    passkey = anna.create("anna")
    mint(grocer, passkey.key.holder, 10_000)
    grocer.chain.do(grocer.address, signed(anna, grocer, passkey, "Send", send(passkey, VERIFIED_ABOVE)))
    act = send(passkey, VERIFIED_ABOVE + 1, 1)
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, signed(anna, grocer, passkey, "Send", act))
    grocer.chain.do(grocer.address, signed(anna, grocer, passkey, "Send", act, verified=True))
    assert grocer.balance(BERT) == 2 * VERIFIED_ABOVE + 1


def test_a_device_that_does_not_know_its_user_signs_nothing_large(anna: Authenticator, grocer: Programme) -> None:
    passkey = anna.create("anna")
    anna.driver.set_user_verified(False)
    with pytest.raises(Refusal, match="NotAllowedError"):
        signed(anna, grocer, passkey, "Send", send(passkey), verified=True)


def test_a_passkey_of_another_site_is_nobody_here(site: Site, grocer: Programme) -> None:
    with site.device("shop.localhost") as device:
        passkey = device.create("anna")
        mint(grocer, passkey.key.holder, 10)
        act = send(passkey)
        digest = digest_of(grocer, "Send", act)
        (answer,) = device.sign(passkey, [digest], verified=True)
    authenticator_data = from_base64url(answer["authenticatorData"])
    assert authenticator_data[:32] == hashlib.sha256(b"shop.localhost").digest() != RP_ID_HASH
    key = load_der_public_key(from_base64url(passkey.public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    message = authenticator_data + hashlib.sha256(from_base64url(answer["clientDataJSON"])).digest()
    key.verify(from_base64url(answer["signature"]), message, ec.ECDSA(hashes.SHA256()))  # a good one, there
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, call("Send", act, signature(digest, passkey.key, answer)))


def test_no_site_may_ask_for_our_passkeys(site: Site, anna: Authenticator, grocer: Programme) -> None:
    """What the contracts leave to browsers, and so do not check: the origin."""
    passkey = anna.create("anna")
    anna.driver.get(f"http://shop.localhost:{site.port}/")
    cases: tuple[tuple[dict[str, str], str], ...] = (({}, "NotAllowedError"), ({"site": "localhost"}, "SecurityError"))
    for asked, reason in cases:
        with pytest.raises(Refusal, match=reason):
            signed(anna, grocer, passkey, "Send", send(passkey), **asked)


def test_an_assertion_is_good_for_one_act_once_and_as_it_is(anna: Authenticator, grocer: Programme) -> None:
    passkey, other = anna.create("anna"), anna.create("bert")
    mint(grocer, passkey.key.holder, 10)
    act = send(passkey)
    digest = digest_of(grocer, "Send", act)
    (answer,) = anna.sign(passkey, [digest])
    (others,) = anna.sign(other, [digest])
    good = signature(digest, passkey.key, answer)
    for changed, forged in (
        (act, good.replace(b"http://localhost", b"http://localhosT")),
        (act, good[:-1] + b" }"),
        (act, good[:129] + bytes((good[129] | 0x04,)) + good[130:]),  # as if the user had been verified
        (act, good[:130] + (int.from_bytes(good[130:134]) + 1).to_bytes(4) + good[134:]),  # the device's counter
        (act, signature(digest, other.key, others)),
        (act, signature(digest, passkey.key, others)),
        (act | {"amount": 6}, good),
        (act | {"to": person("Carl").address}, good),
    ):
        assert (changed, forged) != (act, good)
        with pytest.raises(Refused, match="InvalidSignature"):
            grocer.chain.do(grocer.address, call("Send", changed, forged))
    grocer.chain.do(grocer.address, call("Send", act, good))
    with pytest.raises(Refused, match="InvalidNonce"):
        grocer.chain.do(grocer.address, call("Send", act, good))
    assert (grocer.balance_of(passkey.key.holder), grocer.balance(BERT)) == (5, 5)
