"""Margin is taken out with its owner's signature, in the open, and every step is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from eth_account import Account

from contracts import bindings, eip712, signatures
from tests.gateway.conftest import DEPLOYMENT, LANE, Client, Shop

pytestmark = pytest.mark.asyncio

TO = "0x" + "99" * 20


async def withdraw(client: Client, shop: Shop, amount: str = "600", *, key: str | None = None, **more: Any) -> Any:
    body = {"amount": amount, "to": TO, **more}
    return await client.http.post(f"/v1/merchants/{shop.id}/withdrawals", json=body, headers=shop.once(key))


async def shown(client: Client, shop: Shop) -> list[dict[str, Any]]:
    answer = await client.http.get(f"/v1/merchants/{shop.id}/margin", headers=shop.auth)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["withdrawals"])


def included(client: Client, *, at: float | None = None) -> int:
    """The oldest announcement that is queued is in a block."""
    block = client.chain.mine(at=at)
    client.chain.run(
        "with made as (insert into exchange.transaction"
        " (signer, nonce, state, target, gas, block, block_hash, succeeded)"
        " values (%s, %s, 'included', %s, 1, %s, %s, true) returning id)"
        " update exchange.call set state = 'placed', position = 0, transaction_id = (select id from made) where id ="
        " (select min(id) from exchange.call where kind = 'withdraw' and state = 'queued')",
        LANE, block, DEPLOYMENT.bundle, block, block.to_bytes(32, "big"),
    )  # fmt: skip
    return block


def paid(client: Client, shop: Shop, amount: int, *, finalized: int = 0) -> int:
    block = client.chain.mine(finalized=finalized)
    client.chain.run(
        "insert into mirror.movement values (%s, 1, 0, %s, %s, 'withdrawal')", block, shop.programme, -amount
    )
    return block


async def test_a_withdrawal_is_followed_to_its_payment(client: Client) -> None:
    shop = await client.shop()
    client.chain.margin(shop.programme, 1_000_000_000)
    made = await withdraw(client, shop)
    assert (made.status_code, made.json()["status"]) == (202, "accepted")
    [one] = await shown(client, shop)
    assert (one["id"], one["status"], one["due"]) == (made.json()["id"], "accepted", None)
    included(client, at=1_790_000_000)
    [one] = await shown(client, shop)
    assert (one["status"], one["due"]) == ("announced", 1_790_000_000 + 7 * 86_400)
    block = paid(client, shop, 500_000_000)
    [one] = await shown(client, shop)
    assert (one["status"], one["paid"], one["block"]) == ("paid", "500.000000", block)
    client.chain.mine(finalized=block)
    assert (await shown(client, shop))[0]["status"] == "final"


async def test_a_later_announcement_replaces_an_earlier_one_that_is_not_paid(client: Client) -> None:
    shop = await client.shop()
    client.chain.margin(shop.programme, 1_000_000_000)
    for _ in range(3):
        await withdraw(client, shop, "100")
        included(client)
        if len(await shown(client, shop)) == 1:
            paid(client, shop, 100_000_000)
    assert [each["status"] for each in await shown(client, shop)] == ["announced", "replaced", "paid"]


async def test_the_announcement_is_what_the_owner_signs(client: Client) -> None:
    shop = await client.shop()
    client.chain.margin(shop.programme, 10**12)
    await withdraw(client, shop)
    [call] = client.chain.run("select data, sequence from exchange.call where kind = 'withdraw'")
    [merchant] = client.chain.run("select owner from exchange.merchant")
    # Nonce 0 was the quote's: they are one sequence.
    fields: dict[str, Any] = {"account": shop.programme, "to": b"\x99" * 20, "amount": 600_000_000, "nonce": 1}
    signature = bytes(call["data"])[-96:][:65]
    digest = eip712.withdraw_digest(eip712.domain_separator(31337, DEPLOYMENT.exchange), **fields)
    assert signatures.recover(digest, signature) == merchant["owner"]
    assert bytes(call["data"]) == bindings.exchange_withdraw(**fields, signature=signature)
    assert bytes(call["sequence"]) == shop.programme


async def test_an_owner_that_keeps_its_key_signs_what_it_is_shown(client: Client) -> None:
    owner = Account.create()
    shop = await client.shop("own", owner=owner.address, quote=None)
    client.chain.margin(shop.programme, 10**12)
    refused = await withdraw(client, shop)
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "owner-signature-needed")
    document = refused.json()["typed_data"]
    signed = owner.sign_typed_data(full_message=document).signature.hex()
    nonce = int(document["message"]["nonce"])
    made = await withdraw(client, shop, nonce=nonce, signature=f"0x{signed}")
    assert made.status_code == 202, made.text
    other = Account.create().sign_typed_data(full_message=document).signature.hex()
    bad = await withdraw(client, shop, nonce=nonce, signature=f"0x{other}")
    assert bad.json()["type"].rpartition(":")[2] == "bad-signature"


async def test_a_withdrawal_is_repeated_by_its_key(client: Client) -> None:
    shop = await client.shop()
    client.chain.margin(shop.programme, 10**12)
    answers = await asyncio.gather(*(withdraw(client, shop, key="one") for _ in range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len(client.chain.run("select 1 from exchange.call where kind = 'withdraw'")) == 1


async def test_no_more_than_the_margin_and_no_other_merchants(client: Client) -> None:
    shop, other = await client.shop(), await client.shop("other")
    client.chain.margin(shop.programme, 599_999_999)
    answer = await withdraw(client, shop)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "not-enough-margin")
    for method, path in (("GET", "margin"), ("POST", "withdrawals"), ("GET", "margin/deposit?amount=1")):
        theirs = await client.http.request(
            method, f"/v1/merchants/{shop.id}/{path}", headers=other.once(),
            json={"amount": "1", "to": TO} if method == "POST" else None,
        )  # fmt: skip
        assert (theirs.status_code, theirs.json()["type"].rpartition(":")[2]) == (404, "merchant-not-found")
    assert client.chain.run("select 1 from exchange.withdrawal") == []


async def test_topping_up_is_two_transactions_of_anybody(client: Client) -> None:
    shop = await client.shop()
    path = f"/v1/merchants/{shop.id}/margin/deposit?amount=12.5"
    answer = (await client.http.get(path, headers=shop.auth)).json()
    approve, deposit = answer["transactions"]
    assert bytes.fromhex(approve["to"][2:]) == DEPLOYMENT.settlement
    assert approve["data"] == "0x095ea7b3" + DEPLOYMENT.exchange.hex().rjust(64, "0") + f"{12_500_000:064x}"
    assert bytes.fromhex(deposit["to"][2:]) == DEPLOYMENT.exchange
    assert bytes.fromhex(deposit["data"][2:]) == bindings.exchange_deposit(account=shop.programme, amount=12_500_000)
