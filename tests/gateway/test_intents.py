"""Holders' intents: checked, signed by whoever has the key, stored with their call, spent once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from eth_account import Account

from contracts import eip712, packed, signatures
from tests.gateway.conftest import DEPLOYMENT, Client, Shop

WALLET = Account.from_key(b"\x07" * 32)
HOLDER = bytes.fromhex(WALLET.address[2:])
FRIEND = "0x" + "fe" * 20
CHARITY = b"c" * 20
BID, ASK = 98 * 10**9, 100 * 10**9  # 0.0098 and 0.0100 settlement tokens a point


async def pair(client: Client) -> tuple[Shop, Shop]:
    """Two programmes that trade with each other."""
    one, other = await client.shop("grocer"), await client.shop("florist")
    for shop in (one, other):
        client.chain.quote(shop.programme, bid=BID, ask=ASK)
        client.chain.margin(shop.programme, 10**9)
    client.chain.open(one.programme, other.programme)
    client.chain.charity(CHARITY)
    return one, other


async def draft_and_sign(client: Client, body: dict[str, Any], *, late: bool = False) -> dict[str, Any]:
    """What a wallet does with a draft; `late` signs a deadline in the past."""
    answer = await client.http.post("/v1/intents/draft", json=body)
    assert answer.status_code == 200, answer.text
    drafted = answer.json()
    if late:
        drafted["deadline"] = int(time.time()) - 1
        drafted["typed_data"]["message"]["deadline"] = str(drafted["deadline"])
    signed = Account.sign_typed_data(WALLET.key, full_message=drafted["typed_data"])
    assert late or "0x" + signed.message_hash.hex().removeprefix("0x") == drafted["digest"]
    return {
        **body, "nonce": drafted["nonce"], "deadline": drafted["deadline"],
        "signature": "0x" + signed.signature.hex().removeprefix("0x"),
    }  # fmt: skip


def wish(shop: Shop, kind: str = "send", amount: str = "5.00", **more: Any) -> dict[str, Any]:
    fields = more or {"to": FRIEND}
    return {"kind": kind, "programme": shop.slug, "holder": WALLET.address, "amount": amount, **fields}


@pytest.mark.asyncio
async def test_a_wallet_signs_every_kind_as_drafted(client: Client) -> None:
    one, _ = await pair(client)
    client.chain.credit(one.programme, HOLDER, 10_000)
    wishes = [
        wish(one), wish(one, "redeem", order="0x" + "ab" * 32), wish(one, "swap", into="florist", minimum="4.80"),
        wish(one, "give", charity="0x" + CHARITY.hex()),
    ]  # fmt: skip
    for body in wishes:
        answer = await client.http.post("/v1/intents", json=await draft_and_sign(client, body))
        assert answer.status_code == 202, answer.text
        made = answer.json()
        assert (made["status"], made["kind"], made["amount"]) == ("accepted", body["kind"], "5.00")
        status = (await client.http.get(f"/v1/intents/{made['id']}")).json()
        assert status["status"] == "accepted"
    calls = client.chain.run(
        "select c.*, i.kind as intent, i.nonce"
        " from exchange.call c join exchange.intent i on i.call_id = c.id order by c.id"
    )
    assert [call["intent"] for call in calls] == ["send", "redeem", "swap", "give"]
    assert [call["nonce"] for call in calls] == [0, 1, 2, 3]
    assert [call["target"] for call in calls] == [
        one.programme,
        one.programme,
        DEPLOYMENT.exchange,
        DEPLOYMENT.exchange,
    ]


@pytest.mark.asyncio
async def test_the_call_carries_the_signed_fields(client: Client) -> None:
    one, _ = await pair(client)
    client.chain.credit(one.programme, HOLDER, 10_000)
    body = await draft_and_sign(client, wish(one))
    await client.http.post("/v1/intents", json=body)
    [call] = client.chain.run("select c.* from exchange.call c where kind = 'send'")
    signature = signatures.from_rsv(bytes.fromhex(body["signature"][2:]))
    assert call["data"] == packed.send(
        holder=HOLDER, to=bytes.fromhex(FRIEND[2:]), amount=500, nonce=0, deadline=body["deadline"], signature=signature
    )


@pytest.mark.asyncio
async def test_the_same_intent_again_has_the_first_answer(client: Client) -> None:
    one, _ = await pair(client)
    client.chain.credit(one.programme, HOLDER, 500)
    body = await draft_and_sign(client, wish(one))
    answers = await asyncio.gather(*(client.http.post("/v1/intents", json=body) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert client.counts()["intent"] == 1


@pytest.mark.asyncio
async def test_of_twenty_parallel_spends_of_one_balance_one_succeeds(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 1_000)
    path = f"/v1/customers/{customer['id']}/redeem"
    answers = await asyncio.gather(
        *(
            client.http.post(
                path,
                json={"amount": "10.00", "order": f"o-{i}"},
                headers=shop.once(),
            )
            for i in range(20)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19
    assert {answer.json()["type"].rpartition(":")[2] for answer in answers if answer.status_code == 409} == {
        "not-enough-points"
    }
    assert client.counts()["intent"] == 1


@pytest.mark.asyncio
async def test_what_a_pending_intent_spends_is_gone_until_it_fails(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 1_000)
    path = f"/v1/customers/{customer['id']}/redeem"
    body = {"amount": "10.00", "order": "one"}
    assert (await client.http.post(path, json=body, headers=shop.auth)).status_code == 202
    assert (await client.http.post(path, json=body, headers=shop.auth)).status_code == 409
    client.chain.run("update exchange.call set state = 'refused', failure = 'InvalidNonce()' where kind = 'redeem'")
    assert (await client.http.post(path, json=body, headers=shop.auth)).status_code == 202


@pytest.mark.asyncio
async def test_what_the_mirror_has_taken_is_not_counted_twice(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    holder = bytes.fromhex(customer["holder"][2:])
    client.chain.credit(shop.programme, holder, 1_000)
    path = f"/v1/customers/{customer['id']}/redeem"
    made = (await client.http.post(path, json={"amount": "6.00", "order": "1"}, headers=shop.auth)).json()
    block = client.chain.credit(shop.programme, holder, -600, kind="redeemed")
    client.chain.run("update mirror.entry set intent = %s where block = %s", bytes.fromhex(made["digest"][2:]), block)
    answer = await client.http.post(path, json={"amount": "4.00", "order": "2"}, headers=shop.auth)
    assert answer.status_code == 202
    assert (await client.http.get(f"/v1/intents/{made['id']}")).json()["status"] == "confirmed"
    client.chain.mine(finalized=block)
    status = (await client.http.get(f"/v1/intents/{made['id']}")).json()
    assert (status["status"], status["chain"]["block"]) == ("final", block)


@pytest.mark.asyncio
async def test_a_custodial_customer_acts_through_its_merchant(client: Client) -> None:
    one, _ = await pair(client)
    customer = await client.customer(one)
    friend = await client.customer(one, "card-2")
    holder = bytes.fromhex(customer["holder"][2:])
    client.chain.credit(one.programme, holder, 10_000)
    for kind, body in {
        "send": {"amount": "1.00", "to_member": "card-2"},
        "redeem": {"amount": "1.00", "order": "A-17"},
        "swap": {"amount": "1.00", "into": "florist"},
        "give": {"amount": "1.00", "charity": "0x" + CHARITY.hex()},
    }.items():
        answer = await client.http.post(
            f"/v1/customers/{customer['id']}/{kind}", json=body, headers=one.once("k" + kind)
        )
        assert answer.status_code == 202, answer.text
        again = await client.http.post(
            f"/v1/customers/{customer['id']}/{kind}", json=body, headers=one.once("k" + kind)
        )
        assert again.content == answer.content
    rows = client.chain.run("select * from exchange.intent order by nonce")
    assert [(row["kind"], row["nonce"]) for row in rows] == [("send", 0), ("redeem", 1), ("swap", 2), ("give", 3)]
    assert rows[0]["counterparty"] == bytes.fromhex(friend["holder"][2:])
    assert rows[2]["minimum"] == 97  # floor(100 * 0.98) = 98, less one percent
    digest = eip712.swap_digest(
        eip712.domain_separator(DEPLOYMENT.chain_id, one.programme),
        holder=holder, amount=100, into=rows[2]["counterparty"], minimum=97, nonce=2, deadline=rows[2]["deadline"],
    )  # fmt: skip
    assert (digest, signatures.recover(digest, rows[2]["signature"])) == (rows[2]["digest"], holder)


@pytest.mark.asyncio
async def test_bulk_acts_are_judged_in_order_and_repeat_their_answer(client: Client) -> None:
    one, _ = await pair(client)
    customer = await client.customer(one)
    client.chain.credit(one.programme, bytes.fromhex(customer["holder"][2:]), 1_000)
    act = {"kind": "redeem", "member": "card-1", "amount": "6.00", "order": "1"}
    body = {"intents": [
        act, act, {**act, "member": "nobody"}, {**act, "amount": "4.00"},
        {"kind": "swap", "member": "card-1", "amount": "1"},
    ]}  # fmt: skip
    answer = await client.http.post("/v1/customers/intents/bulk", json=body, headers=one.once("b"))
    assert answer.status_code == 200, answer.text
    slugs = [item.get("problem", {}).get("type", "").rpartition(":")[2] for item in answer.json()["results"]]
    assert slugs == ["", "not-enough-points", "customer-not-found", "", "invalid-request"]
    again = await client.http.post("/v1/customers/intents/bulk", json=body, headers=one.once("b"))
    assert again.json() == answer.json()
    assert client.counts()["intent"] == 2


@pytest.mark.asyncio
async def test_a_refused_call_says_why(client: Client) -> None:
    one, _ = await pair(client)
    client.chain.credit(one.programme, HOLDER, 500)
    made = (await client.http.post("/v1/intents", json=await draft_and_sign(client, wish(one)))).json()
    client.chain.run("update exchange.call set state = 'refused', failure = 'InvalidNonce(…)' where kind = 'send'")
    status = (await client.http.get(f"/v1/intents/{made['id']}")).json()
    assert (status["status"], status["reason"]) == ("refused", "InvalidNonce(…)")


@pytest.mark.asyncio
async def test_the_swap_quote_is_the_exchanges_arithmetic_with_its_refusals(client: Client) -> None:
    one, other = await pair(client)
    client.chain.run("insert into mirror.fee values (1, 9, 30, %s)", bytes(20))
    parameters = {"from": "grocer", "into": "0x" + other.programme.hex(), "amount": "250.01"}
    quote = (await client.http.get("/v1/swaps/quote", params=parameters)).json()
    value = 25_001 * BID // 10**9
    fee = -(-value * 30 // 10_000)
    out = (value - fee) * 10**9 // ASK
    assert quote["refusal"] is None
    assert (quote["value"], quote["fee"]) == (f"{value / 10**6:.6f}", f"{fee / 10**6:.6f}")
    assert quote["out"] == f"{out // 100}.{out % 100:02d}"
    assert quote["as_of"]["block"] > 0
    client.chain.margin(one.programme, 1)
    quote = (await client.http.get("/v1/swaps/quote", params=parameters)).json()
    assert quote["refusal"]["type"].endswith("not-enough-margin")
    client.chain.quote(one.programme, bid=BID, ask=ASK, until=int(time.time()) - 5)
    quote = (await client.http.get("/v1/swaps/quote", params=parameters)).json()
    assert quote["refusal"]["type"].endswith("quote-expired")


@pytest.mark.asyncio
async def test_what_left_the_margin_today_counts_against_the_cap(client: Client) -> None:
    one, other = await pair(client)
    value = 500 * BID // 10**9
    client.chain.quote(one.programme, bid=BID, ask=ASK, cap=2 * value - 1)
    block = client.chain.mine()
    client.chain.run(
        'insert into mirror.swap (block, log_index, intent, "from", "into", holder, amount, out, value, fee)'
        " values (%s, 0, %s, %s, %s, %s, 500, 490, %s, 0)",
        block, bytes(32), one.programme, other.programme, HOLDER, value,
    )  # fmt: skip
    parameters = {"from": "grocer", "into": "florist", "amount": "5.00"}
    quote = (await client.http.get("/v1/swaps/quote", params=parameters)).json()
    assert quote["refusal"]["type"].endswith("daily-cap-reached")
