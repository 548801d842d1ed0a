"""Intents by passkey and by a wallet's contract, from HTTP to the chain: what the gateway takes, the token takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from eth_abi.abi import encode
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import artifact, signatures
from contracts.rpc import from_hex, to_hex
from tests.contracts.assertions import from_base64url, to_base64url
from tests.gateway.browser import PRESENT, Browser, Passkey
from tests.gateway.test_refusals import refused
from tests.relayer.network import Network

GREEDY = bytes.fromhex("5b614e205a1160005763" + "1626ba7e" + "60e01b60005260206000f3")
"""A contract that says yes to everything once it has less than 20,000 gas left."""


def assertion(passkey: Passkey, digest: str, **changed: Any) -> dict[str, str]:
    """What a page of ours sends of the browser's answer."""
    challenge = {"challenge": to_base64url(bytes.fromhex(digest[2:]))}
    response = passkey.get(challenge, **changed)["response"]
    return {**response, "public_key": to_hex(b"".join(passkey.point))}


@pytest.mark.asyncio
async def test_a_passkeys_intent_is_taken_over_http_and_takes_effect(network: Network) -> None:
    passkey, browser = Passkey(), Browser(network.client)
    assert (await browser.sign_up(passkey)).status_code == 201
    await network.fund(passkey.holder, 1_000)
    wish = await network.wish(passkey.holder)
    answer = await network.submit(wish, passkey=assertion(passkey, wish["digest"], flags=PRESENT))
    assert answer.status_code == 202, answer.text
    assert await network.friend_has() == 300
    # In the token's own form, as a client that packs itself sends it.
    wish = await network.wish(passkey.holder, "2.00")
    other = assertion(passkey, wish["digest"])
    digest = bytes.fromhex(wish["digest"][2:])
    r, s = decode_dss_signature(from_base64url(other["signature"]))
    x, y = passkey.point
    signed = signatures.from_assertion(
        digest=digest, x=x, y=y, r=r, s=s, authenticator_data=from_base64url(other["authenticatorData"]),
        client_data=from_base64url(other["clientDataJSON"]),
    )  # fmt: skip
    answer = await network.submit(wish, signature=to_hex(signed))
    assert answer.status_code == 202, answer.text
    assert await network.friend_has() == 500


@pytest.mark.asyncio
async def test_what_the_token_would_not_take_of_a_passkey_the_gateway_does_not_take(network: Network) -> None:
    passkey, other = Passkey(), Passkey()
    network.client.chain.credit(network.programme.address, passkey.holder, 1_000)
    wish = await network.wish(passkey.holder)
    good = assertion(passkey, wish["digest"])
    for bad in (
        assertion(passkey, wish["digest"], flags=0),
        assertion(passkey, wish["digest"], rp_id="evil.example"),
        assertion(passkey, wish["digest"], kind="webauthn.create"),
        assertion(passkey, wish["digest"], key=other.key),
        assertion(passkey, "0x" + "ab" * 32),
        assertion(other, wish["digest"]),
        {**good, "signature": "AAAA"},
        {**good, "authenticatorData": "AAAA"},
        {**good, "clientDataJSON": good["clientDataJSON"][:-4]},
        {**good, "public_key": "0x" + "00" * 64},
    ):
        refused(await network.submit(wish, passkey=bad), 422, "bad-signature")
    refused(await network.submit({**wish, "amount": "4.00"}, passkey=good), 422, "bad-signature")
    refused(await network.submit(wish, signature="0x01" + "00" * 200), 422, "bad-signature")
    both = {"passkey": good, "signature": "0x00"}
    refused(await network.submit(wish, **both), 422, "invalid-request")
    assert (await network.submit(wish, passkey=good)).status_code == 202


@pytest.mark.asyncio
async def test_a_contracts_intent_is_taken_and_its_call_has_the_gas_that_the_contract_may_use(
    network: Network,
) -> None:
    wallet = b"\x1e" * 20
    await network.rig.rpc.call("anvil_setCode", to_hex(wallet), to_hex(GREEDY))
    await network.fund(wallet, 1_000)
    wish = await network.wish(wallet)
    answer = await network.submit(wish, contract_signature="0x1234")
    assert answer.status_code == 202, answer.text
    assert await network.friend_has() == 300
    status = await network.client.http.get(f"/v1/intents/{answer.json()['id']}")
    assert status.json()["status"] == "submitted", "the mirror is written by hand here"


@pytest.mark.asyncio
async def test_what_a_contract_did_not_sign_is_refused_and_reserves_nothing(network: Network) -> None:
    approved = b"a signature"
    creation = artifact.load("Wallet").bytecode + encode(("bytes32", "uint256"), (keccak(approved), 0)).hex()
    wallet = await _deployed(network, creation)
    network.client.chain.credit(network.programme.address, wallet, 1_000)
    wish = await network.wish(wallet, "10.00")
    refused(await network.submit(wish, contract_signature="0x1234"), 422, "bad-signature")
    for trick in range(1, 6):
        code = artifact.load("Wallet").bytecode + encode(("bytes32", "uint256"), (keccak(approved), trick)).hex()
        hostile = await _deployed(network, code)
        network.client.chain.credit(network.programme.address, hostile, 1_000)
        theirs = await network.wish(hostile)
        refused(await network.submit(theirs, contract_signature=to_hex(approved)), 422, "bad-signature")
    nobody = b"\x1f" * 20
    network.client.chain.credit(network.programme.address, nobody, 1_000)
    refused(await network.submit(await network.wish(nobody), contract_signature="0x"), 422, "bad-signature")
    assert (await network.submit(wish, contract_signature=to_hex(approved))).status_code == 202


@pytest.mark.asyncio
async def test_without_a_node_contracts_wait_and_keys_do_not(network: Network) -> None:
    passkey, wallet = Passkey(), b"\x1e" * 20
    for holder in (passkey.holder, wallet):
        network.client.chain.credit(network.programme.address, holder, 1_000)
    network.rig.anvil.kill()
    answer = await network.submit(await network.wish(wallet), contract_signature="0x")
    refused(answer, 503, "chain-unavailable")
    assert answer.headers["retry-after"] == "5"
    wish = await network.wish(passkey.holder)
    assert (await network.submit(wish, passkey=assertion(passkey, wish["digest"]))).status_code == 202


async def _deployed(network: Network, creation: str) -> bytes:
    rpc = network.rig.rpc
    [sender, *_] = await rpc.call("eth_accounts")
    data = creation if creation.startswith("0x") else "0x" + creation
    sent = await rpc.call("eth_sendTransaction", {"from": sender, "data": data, "gas": "0x200000"})
    async with asyncio.timeout(10):  # a busy node answers before its block is there
        while (receipt := await rpc.call("eth_getTransactionReceipt", sent)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return from_hex(receipt["contractAddress"])
