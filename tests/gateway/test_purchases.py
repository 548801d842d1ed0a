"""A purchase is accepted once, with a promise that anybody can check, and followed to the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts import eip712, receipts, signatures
from tests.gateway.conftest import Client, Shop, sale

CHAIN = 31337


async def post(client: Client, shop: Shop, body: dict[str, Any], key: str | None = None) -> Any:
    return await client.http.post("/v1/purchases", json=body, headers=shop.once(key))


@pytest.mark.asyncio
async def test_the_receipt_is_the_issuers_signature_over_the_facts(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    answer = await post(client, shop, sale(reference="till/1"))
    assert answer.status_code == 201
    made = answer.json()
    assert (made["points"], made["status"], made["customer"]) == ("12.34", "accepted", customer["id"])
    receipt = made["receipt"]
    purchase = receipts.commitment(
        salt=bytes.fromhex(receipt["salt"][2:]), merchant_reference="till/1", amount_minor=1234, currency="USD",
        purchased_at=1767323045, store="Main Street 5",
    )  # fmt: skip
    assert receipt["purchase"] == "0x" + purchase.hex()
    digest = eip712.receipt_digest(
        eip712.domain_separator(CHAIN, shop.programme),
        holder=bytes.fromhex(customer["holder"][2:]), amount=1234, purchase=purchase,
        accepted_at=receipt["accepted_at"], mint_by=receipt["mint_by"],
    )  # fmt: skip
    [merchant] = client.chain.run("select issuer from exchange.merchant")
    assert signatures.recover(digest, bytes.fromhex(receipt["signature"][2:])) == merchant["issuer"]
    assert receipt["mint_by"] == receipt["accepted_at"] + 86_400


@pytest.mark.asyncio
async def test_the_same_key_and_the_same_reference_have_the_first_answer_byte_for_byte(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    body = sale()
    first = await post(client, shop, body, "key-1")
    again = await post(client, shop, body, "key-1")
    other_key = await post(client, shop, body, "key-2")
    other_key_again = await post(client, shop, body, "key-2")
    assert first.status_code == again.status_code == other_key.status_code == 201
    assert first.content == again.content == other_key.content == other_key_again.content
    assert client.counts()["purchase"] == 1
    assert client.counts()["idempotency"] == 2


@pytest.mark.asyncio
async def test_fifty_parallel_posts_of_one_key_make_one_purchase(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    body = sale()
    answers = await asyncio.gather(*(post(client, shop, body, "one") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (client.counts()["purchase"], client.counts()["idempotency"]) == (1, 1)


@pytest.mark.asyncio
async def test_parallel_posts_of_one_reference_under_many_keys_make_one_purchase(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    body = sale()
    answers = await asyncio.gather(*(post(client, shop, body) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert client.counts()["purchase"] == 1


@pytest.mark.asyncio
async def test_points_are_whole_base_units_rounded_down(client: Client) -> None:
    shop = await client.shop("half", points_per_unit="0.5")
    await client.customer(shop)
    answers = [(await post(client, shop, sale(amount=amount))).json() for amount in ("0.01", "0.03", "9.99")]
    assert [answer["points"] for answer in answers] == ["0.00", "0.01", "4.99"]
    assert answers[0]["status"] == "final"


@pytest.mark.asyncio
async def test_a_currency_without_minor_units_earns_right(client: Client) -> None:
    shop = await client.shop("tokyo", currency="JPY", points_per_unit="0.01")
    await client.customer(shop)
    made = (await post(client, shop, sale(amount="1250", currency="JPY"))).json()
    assert (made["points"], made["amount"]) == ("12.50", "1250")


@pytest.mark.asyncio
async def test_the_status_follows_the_chain_up_to_final(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    made = (await post(client, shop, sale(reference="r"))).json()
    chain = client.chain

    async def status() -> dict[str, Any]:
        answer = await client.http.get("/v1/purchases", params={"reference": "r"}, headers=shop.auth)
        by_id = await client.http.get(f"/v1/purchases/{made['id']}", headers=shop.auth)
        assert answer.json() == by_id.json()
        return dict(by_id.json())

    assert ((await status())["status"], (await status())["chain"]) == ("accepted", None)
    [call] = chain.run(
        "insert into exchange.call (kind, target, data, gas) values ('mint', %s, '', 1) returning id", shop.programme
    )
    chain.run(
        "insert into exchange.batch (merchant_id, number, receipts_root, total, count, call_id)"
        " values (%s, 1, %s, 1234, 1, %s)", shop.id, bytes(32), call["id"],
    )  # fmt: skip
    chain.run("update exchange.purchase set batch_number = 1, batch_index = 0")
    assert (await status())["status"] == "accepted"
    chain.run(
        "insert into exchange.transaction (id, signer, nonce, state, target, gas) values (9, %s, 0, 'sent', %s, 1)",
        bytes([0xAA]) * 20, bytes(20),
    )  # fmt: skip
    chain.run("update exchange.call set state = 'placed', transaction_id = 9, position = 0 where id = %s", call["id"])
    assert (await status())["status"] == "submitted"
    block = chain.mine()
    chain.run(
        "insert into mirror.batch values (%s, 1, %s, 0, 0, %s, %s, 1234, 1)",
        shop.programme,
        block,
        bytes(32),
        bytes(32),
    )
    confirmed = await status()
    assert (confirmed["status"], confirmed["as_of"]["block"]) == ("confirmed", block)
    assert confirmed["chain"]["batch"] == 1
    assert confirmed["chain"]["transaction"] is not None
    chain.mine(finalized=block)
    assert (await status())["status"] == "final"


@pytest.mark.asyncio
async def test_bulk_judges_every_item_alone_and_repeats_its_answer(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    items = [
        sale(reference="a"), sale(reference="b", member="nobody"), sale(reference="c", amount="0"),
        sale(reference="d", amount=5), sale(reference="a"), sale(reference="a", amount="1.00"),
    ]  # fmt: skip
    body = {"purchases": items}
    answer = await client.http.post("/v1/purchases/bulk", json=body, headers=shop.once("bulk"))
    assert answer.status_code == 200, answer.text
    made = answer.json()
    slugs = [(item.get("problem") or {}).get("type", "").rpartition(":")[2] for item in made["results"]]
    assert slugs == ["", "customer-not-found", "invalid-amount", "invalid-request", "", "reference-conflict"]
    assert made["results"][0] == made["results"][4]
    assert (made["accepted"], made["refused"]) == (2, 4)
    assert client.counts()["purchase"] == 1
    await client.customer(shop, "nobody")
    again = await client.http.post("/v1/purchases/bulk", json=body, headers=shop.once("bulk"))
    assert again.content == answer.content
    fresh = await client.http.post("/v1/purchases/bulk", json=body, headers=shop.once("bulk-2"))
    assert (fresh.json()["accepted"], client.counts()["purchase"]) == (3, 2)
    assert fresh.json()["results"][0] == made["results"][0]


@pytest.mark.asyncio
async def test_parallel_bulks_of_the_same_purchases_store_each_once(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    body = {"purchases": [sale(reference=str(i)) for i in range(50)]}
    answers = await asyncio.gather(
        *(client.http.post("/v1/purchases/bulk", json=body, headers=shop.once()) for _ in range(3))
    )
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert client.counts()["purchase"] == 50


@pytest.mark.asyncio
async def test_purchases_are_accepted_without_a_mirror(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    client.chain.run("drop schema mirror cascade")
    assert (await post(client, shop, sale())).status_code == 201
    assert (await client.http.post(
        "/v1/purchases/bulk", json={"purchases": [sale()]}, headers=shop.once()
    )).status_code == 200  # fmt: skip
