"""Customers sign up and in: by passkey and by wallet, each challenge once, for this site and this chain only."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from eth_account import Account

from exchange import siwe
from exchange.api.access import COOKIE
from exchange.errors import SignInRefused
from exchange.settings import Settings, UnsafeOrigin, refuse_unsafe_origin
from tests.contracts.assertions import to_base64url
from tests.gateway.browser import PRESENT, Browser, Passkey, personal_sign
from tests.gateway.conftest import Client
from tests.gateway.test_refusals import refused

WALLET = b"\x07" * 32
ADDRESS = Account.from_key(WALLET).address


@pytest.mark.asyncio
async def test_a_passkey_signs_up_and_in_and_is_the_holder_of_the_contracts(client: Client) -> None:
    browser, passkey = Browser(client), Passkey()
    made = await browser.sign_up(passkey)
    assert made.status_code == 201, made.text
    assert bytes.fromhex(made.json()["holder"][2:]) == passkey.holder
    assert made.json()["custody"] == "passkey"
    cookie = made.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "secure", "samesite=strict", "path=/"} <= attributes
    assert not any(part.startswith("domain") for part in attributes)
    assert made.headers["cache-control"] == "no-store"

    again = Browser(client)
    passkey.count += 1
    answer = await again.sign_in(passkey)
    assert answer.status_code == 200, answer.text
    assert answer.json()["customer"] == made.json()["customer"]
    me = (await again.get("/v1/me")).json()
    assert (me["id"], me["custody"], me["fresh"]) == (made.json()["customer"], "passkey", True)
    assert again.cookie is not None
    token = hashlib.sha256(again.cookie.encode()).digest()
    assert len(client.chain.run("select 1 from exchange.session_token where digest = %s", token)) == 1


@pytest.mark.asyncio
async def test_a_passkey_signs_up_once(client: Client) -> None:
    passkey = Passkey()
    assert (await Browser(client).sign_up(passkey)).status_code == 201
    refused(await Browser(client).sign_up(passkey), 409, "credential-exists")
    assert client.counts()["customer"] == 1


@pytest.mark.asyncio
async def test_nobody_signs_up_as_the_holder_of_another_ones_key(client: Client) -> None:
    """Keys of passkeys are public: every assertion on the chain shows its own."""
    victim, thief = Passkey(), Passkey()
    forged = Passkey(key=victim.key, id=thief.id)  # what the thief says of itself, without the victim's signatures
    forged_by_thief = Passkey(key=thief.key, id=forged.id)
    browser = Browser(client)
    proofs: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        thief.get,
        lambda options: {**forged_by_thief.get(options), "id": to_base64url(victim.id)},
        lambda _: victim.get({"challenge": to_base64url(b"c" * 32)}),
        forged.create,
        lambda options: forged.get(options, key=thief.key),
    ]
    for proof in proofs:
        options = await browser.options("/v1/sign-up/passkey")
        body = {"credential": forged.create(options), "proof": proof(options)}
        refused(await browser.post("/v1/sign-up/passkey", body), 403, "sign-in-refused")
    assert client.counts()["customer"] == 0
    options = await browser.options("/v1/sign-up/passkey")
    body = {"credential": forged.create(options), "proof": forged.get(options)}
    assert (await browser.post("/v1/sign-up/passkey", body)).status_code == 201, "it is the signature that counts"


@pytest.mark.asyncio
async def test_an_address_that_a_merchant_enrolled_before_becomes_its_passkeys_customer(client: Client) -> None:
    shop, passkey = await client.shop(), Passkey()
    enrolled = await client.customer(shop, wallet="0x" + passkey.holder.hex())
    browser = Browser(client)
    made = await browser.sign_up(passkey)
    [row] = client.chain.run("select customer_id::text as id from exchange.member where id = %s", enrolled["id"])
    assert (made.status_code, made.json()["customer"]) == (201, row["id"])
    me = (await browser.get("/v1/me")).json()
    assert [each["slug"] for each in me["memberships"]] == ["grocer"]


@pytest.mark.asyncio
async def test_an_answer_to_a_challenge_is_good_once(client: Client) -> None:
    browser, passkey = Browser(client), Passkey()
    await browser.sign_up(passkey)
    options = await browser.options("/v1/sign-in/passkey")
    body = {"credential": passkey.get(options)}
    answers = await asyncio.gather(*(Browser(client).post("/v1/sign-in/passkey", body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + 9 * [403]
    refused(await Browser(client).post("/v1/sign-in/passkey", body), 403, "sign-in-refused")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "http://localhost:9000"},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
        {"kind": "webauthn.create"},
        {"key": ec.derive_private_key(7, ec.SECP256R1())},
    ],
    ids=lambda changed: " ".join(changed),
)
async def test_an_answer_of_another_site_kind_key_or_unverified_user_is_refused(
    client: Client, changed: dict[str, Any]
) -> None:
    browser, passkey = Browser(client), Passkey()
    await browser.sign_up(passkey)
    refused(await Browser(client).sign_in(passkey, **changed), 403, "sign-in-refused")


@pytest.mark.asyncio
async def test_a_challenge_of_our_own_making_or_for_something_else_is_none(client: Client) -> None:
    browser, passkey = Browser(client), Passkey()
    await browser.sign_up(passkey)
    own = {"challenge": to_base64url(b"c" * 32)}
    refused(await browser.post("/v1/sign-in/passkey", {"credential": passkey.get(own)}), 403, "sign-in-refused")
    other = await browser.options("/v1/sign-up/passkey")
    refused(await browser.post("/v1/sign-in/passkey", {"credential": passkey.get(other)}), 403, "sign-in-refused")
    options = await browser.options("/v1/sign-in/passkey")
    client.chain.run("update exchange.challenge set expires_at = now()")
    late = await browser.post("/v1/sign-in/passkey", {"credential": passkey.get(options)})
    refused(late, 403, "sign-in-refused")


@pytest.mark.asyncio
async def test_a_copied_authenticator_is_noticed_by_its_counter(client: Client) -> None:
    browser, passkey = Browser(client), Passkey(count=5)
    assert (await browser.sign_up(passkey)).status_code == 201
    passkey.count += 1
    assert (await browser.sign_in(passkey)).status_code == 200
    refused(await browser.sign_in(passkey), 403, "sign-in-refused")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "credential", [{}, {"id": "x"}, {"id": 1, "rawId": [], "response": None, "type": "public-key"}]
)
async def test_what_is_no_browsers_answer_is_refused(client: Client, credential: dict[str, Any]) -> None:
    for path in ("/v1/sign-in/passkey", "/v1/sign-up/passkey"):
        body = {"credential": credential, **({"proof": credential} if "up" in path else {})}
        refused(await Browser(client).post(path, body), 403, "sign-in-refused")


# --- wallets


@pytest.mark.asyncio
async def test_a_wallet_signs_in_and_its_customer_is_made_once(client: Client) -> None:
    first, second = Browser(client), Browser(client)
    answers = [await browser.sign_in_wallet(WALLET) for browser in (first, second)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json()["customer"] == answers[1].json()["customer"]
    assert (answers[0].json()["holder"], answers[0].json()["custody"]) == (ADDRESS, "wallet")
    assert client.counts()["customer"] == 1


async def message(client: Client) -> str:
    answer = await Browser(client).post("/v1/sign-in/wallet/message", {"address": ADDRESS})
    return str(answer.json()["message"])


CHANGES: dict[str, Callable[[str], str]] = {
    "another domain": lambda text: text.replace("localhost:8000 wants", "evil.example wants"),
    "our host without its port": lambda text: text.replace("localhost:8000 wants", "localhost wants"),
    "another scheme": lambda text: "https://" + text,
    "another URI": lambda text: text.replace("URI: http://localhost:8000", "URI: http://localhost:80001/"),
    "another chain": lambda text: text.replace("Chain ID: 31337", "Chain ID: 1"),
    "another version": lambda text: text.replace("Version: 1", "Version: 2"),
    "a nonce of their own": lambda text: re.sub("Nonce: .*", "Nonce: " + "ab" * 16, text),
    "issued in the future": lambda text: re.sub("Issued At: .*", f"Issued At: {at(600)}", text),
    "issued long ago": lambda text: re.sub("Issued At: .*", f"Issued At: {at(-600)}", text),
    "expired": lambda text: re.sub("Expiration Time: .*", f"Expiration Time: {at(-1)}", text),
    "not in force yet": lambda text: f"{text}\nNot Before: {at(60)}",
    "no time": lambda text: re.sub("Issued At: .*", "Issued At: 2026-13-41T00:00:00Z", text),
    "a small address": lambda text: text.replace(ADDRESS, ADDRESS.lower()),
    "another's address": lambda text: text.replace(ADDRESS, Account.from_key(b"\x08" * 32).address),
    "something behind it": lambda text: f"{text}\nand more",
    "a line more": lambda text: text.replace("\nVersion", "\nHello: x\nVersion"),
    "a second line of the statement": lambda text: text.replace("points. This", "points.\nThis"),
    "letters that look alike": lambda text: text.replace("Sign in to", "Sіgn in to"),
}


def at(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


@pytest.mark.asyncio
@pytest.mark.parametrize("change", CHANGES)
async def test_a_message_that_is_not_for_us_here_and_now_is_refused(client: Client, change: str) -> None:
    changed = CHANGES[change](await message(client))
    refused(await Browser(client).post("/v1/sign-in/wallet", personal_sign(WALLET, changed)), 403, "sign-in-refused")
    assert client.counts()["customer"] == 0


@pytest.mark.asyncio
async def test_a_signed_message_is_good_once_and_for_some_minutes(client: Client) -> None:
    signed = personal_sign(WALLET, await message(client))
    answers = await asyncio.gather(*(Browser(client).post("/v1/sign-in/wallet", signed) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + 9 * [403]
    late = personal_sign(WALLET, await message(client))
    client.chain.run("update exchange.challenge set expires_at = now()")
    refused(await Browser(client).post("/v1/sign-in/wallet", late), 403, "sign-in-refused")


@pytest.mark.asyncio
async def test_a_wrong_signature_uses_the_challenge_up(client: Client) -> None:
    text = await message(client)
    for signature in (personal_sign(b"\x08" * 32, text)["signature"], "0x" + "00" * 65, "0x00"):
        body = {"message": text, "signature": signature}
        refused(await Browser(client).post("/v1/sign-in/wallet", body), 403, "sign-in-refused")
    refused(await Browser(client).post("/v1/sign-in/wallet", personal_sign(WALLET, text)), 403, "sign-in-refused")


@pytest.mark.asyncio
async def test_nobody_signs_in_as_a_card_customer_by_its_address(client: Client) -> None:
    """The key of a custodial holder is the gateway's: a signature by it would be the gateway's own."""
    shop = await client.shop()
    customer = await client.customer(shop)
    client.chain.run(
        "update exchange.customer set holder = %s where id = (select customer_id from exchange.member where id = %s)",
        bytes.fromhex(ADDRESS[2:]),
        customer["id"],
    )
    refused(await Browser(client).sign_in_wallet(WALLET), 403, "sign-in-refused")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://localhost:8000 wants you", True),  # the scheme may be said
        ("localhost:8000 wants you", True),
        ("LOCALHOST:8000 wants you", False),
    ],
)
def test_a_message_of_another_wallets_making_is_read(text: str, read: bool) -> None:
    """Without a statement, with resources and a request's id: all that the standard lets be."""
    now = int(time.time())
    written = (
        f"{text} to sign in with your Ethereum account:\n{ADDRESS}\n\n\nURI: http://localhost:8000/login\nVersion: 1\n"
        f"Chain ID: 31337\nNonce: abcdefgh\nIssued At: {at(0)}\nRequest ID: 7\nResources:\n- https://a.example/b"
    )
    expected = siwe.Expected("http://localhost:8000", 31337, now, 300)
    if read:
        assert siwe.read(written, expected).nonce == "abcdefgh"
    else:
        with pytest.raises(SignInRefused):
            siwe.read(written, expected)


# --- pages


@pytest.mark.asyncio
async def test_sign_ins_come_from_our_own_pages_only(client: Client) -> None:
    paths = ("/v1/sign-in/passkey/options", "/v1/sign-in/wallet/message", "/v1/sign-up/passkey/options")
    for path in paths:
        for origin in ("https://evil.example", "http://localhost", "null"):
            refused(await Browser(client, origin=origin).post(path), 403, "foreign-origin")
        refused(await client.http.post(path, json={}), 403, "foreign-origin")


@pytest.mark.asyncio
async def test_who_tries_to_sign_in_again_and_again_is_slowed_down(
    client: Client,
) -> None:
    client.app.state.gateway.limits.failures._depth = 3.0 * client.app.state.gateway.limits.failures._seconds
    answers = [await Browser(client).post("/v1/sign-in/passkey", {"credential": {}}) for _ in range(10)]
    assert {answer.status_code for answer in answers[:3]} == {403}
    assert answers[-1].status_code == 429


def test_production_signs_in_on_https_pages_only(make_settings: Callable[..., Settings]) -> None:
    own = {"environment": "production", "master_key": "ab" * 32, "pepper": "p", "operator_api_key": "o"}
    with pytest.raises(UnsafeOrigin, match="POINTS_ORIGIN"):
        refuse_unsafe_origin(make_settings(**own))
    refuse_unsafe_origin(make_settings(**own, origin="https://points.example", rp_id="points.example"))
    for origin, rp_id in (("https://points.example", "other.example"), ("https://a.example/", "a.example"), ("x", "x")):
        with pytest.raises(ValueError, match="origin"):
            make_settings(origin=origin, rp_id=rp_id)
