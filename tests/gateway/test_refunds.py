"""A refund takes back the points of what is refunded, never more than the purchase, and says what came of it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.points import EarningRule
from exchange.refunds import taken_back
from tests.gateway.conftest import Client, Shop, sale


async def bought(client: Client, shop: Shop, amount: str = "10.00") -> str:
    await client.customer(shop)
    answer = await client.http.post("/v1/purchases", json=sale(amount=amount), headers=shop.once())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def refund(client: Client, shop: Shop, purchase: str, *, key: str | None = None, **body: Any) -> Any:
    body = {"reference": uuid4().hex, **body}
    return await client.http.post(f"/v1/purchases/{purchase}/refunds", json=body, headers=shop.once(key))


def slug(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


@given(
    rate=st.integers(0, 10_000_000),
    amount=st.integers(1, 10**9),
    parts=st.lists(st.integers(1, 10**9), max_size=6),
)
def test_refunds_take_back_all_that_was_earned_and_never_more(rate: int, amount: int, parts: list[int]) -> None:
    rule = EarningRule(1, rate)
    earned, refunded, before = rule.points(amount), 0, 0
    for part in [*parts, amount]:
        refunded += min(part, amount - refunded)
        taken = taken_back(rule=rule, amount_minor=amount, earned=earned, refunded_minor=refunded)
        assert before <= taken <= earned
        assert earned - taken == rule.points(amount - refunded), "as if only the rest had been bought"
        before = taken
    assert before == earned


@pytest.mark.asyncio
async def test_a_part_is_refunded_and_then_the_rest(client: Client) -> None:
    shop = await client.shop()
    purchase = await bought(client, shop)
    first = (await refund(client, shop, purchase, amount="2.50")).json()
    assert (first["amount"], first["points"], first["status"]) == ("2.50", "2.50", "final")
    rest = (await refund(client, shop, purchase)).json()
    assert (rest["amount"], rest["points"]) == ("7.50", "7.50")
    nothing = await refund(client, shop, purchase)
    assert (nothing.status_code, slug(nothing)) == (409, "refund-exceeds-purchase")
    shown = (await client.http.get(f"/v1/purchases/{purchase}/refunds", headers=shop.auth)).json()
    assert [each["id"] for each in shown["refunds"]] == [first["id"], rest["id"]]
    assert {each["status"] for each in shown["refunds"]} == {"final"}


@pytest.mark.asyncio
async def test_a_refund_is_repeated_by_its_key_and_by_its_reference(client: Client) -> None:
    shop = await client.shop()
    purchase = await bought(client, shop)
    first = await refund(client, shop, purchase, key="k", reference="r", amount="1.00")
    again = await refund(client, shop, purchase, key="k", reference="r", amount="1.00")
    other = await refund(client, shop, purchase, key="k2", reference="r", amount="1.00")
    assert first.content == again.content == other.content
    conflict = await refund(client, shop, purchase, reference="r", amount="1.01")
    assert (conflict.status_code, slug(conflict)) == (409, "reference-conflict")
    assert client.chain.run("select count(*) as n from exchange.refund") == [{"n": 1}]


@pytest.mark.asyncio
async def test_sixty_four_refunds_at_once_never_exceed_the_purchase(client: Client) -> None:
    shop = await client.shop()
    purchase = await bought(client, shop)
    answers = await asyncio.gather(*(refund(client, shop, purchase, amount="0.30") for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [201] * 33 + [409] * 31
    [row] = client.chain.run("select sum(amount_minor)::int as paid, sum(cancelled)::int as taken from exchange.refund")
    assert row == {"paid": 990, "taken": 990}
    assert client.chain.run("select points, cancelled from exchange.purchase") == [{"points": 1000, "cancelled": 990}]


@pytest.mark.asyncio
async def test_sixty_four_refunds_at_once_of_a_minted_purchase_never_claw_back_more(client: Client) -> None:
    shop = await client.shop()
    purchase = await bought(client, shop)
    client.chain.run("update exchange.purchase set batch_number = 1, batch_index = 0")
    answers = await asyncio.gather(*(refund(client, shop, purchase, amount="0.30") for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [201] * 33 + [409] * 31
    [row] = client.chain.run("select sum(amount_minor)::int as paid, max(taken) as taken from exchange.refund")
    assert row == {"paid": 990, "taken": 990}


@pytest.mark.asyncio
async def test_another_merchants_purchase_and_a_missing_one_answer_alike(client: Client) -> None:
    shop, other = await client.shop(), await client.shop("other")
    purchase = await bought(client, shop)
    for theirs in (purchase, str(uuid4())):
        for answer in (
            await refund(client, other, theirs),
            await client.http.get(f"/v1/purchases/{theirs}/refunds", headers=other.auth),
        ):
            assert (answer.status_code, slug(answer)) == (404, "purchase-not-found")
            assert answer.json()["detail"] == f'The merchant has no purchase "{theirs}".'


@pytest.mark.asyncio
async def test_a_purchase_that_the_programme_has_forgotten_keeps_its_points(client: Client) -> None:
    shop = await client.shop()
    purchase = await bought(client, shop)
    client.chain.run("update exchange.purchase set batch_number = 1, batch_index = 0")
    client.chain.run("update exchange.merchant set next_batch = 4098")
    closed = await refund(client, shop, purchase)
    assert (closed.status_code, slug(closed)) == (409, "refund-window-closed")
    client.chain.run("update exchange.merchant set next_batch = 4097")
    assert (await refund(client, shop, purchase)).status_code == 201


@pytest.mark.asyncio
async def test_what_became_of_each_refund_is_read_from_the_chain(client: Client) -> None:
    shop = await client.shop()
    purchase = await bought(client, shop)
    client.chain.run("update exchange.purchase set batch_number = 3, batch_index = 5")
    made = [(await refund(client, shop, purchase, amount=amount)).json()["id"] for amount in ("1.00", "2.00")]
    client.chain.run(
        "insert into mirror.clawback (block, log_index, programme, batch, index, holder, purchase, burned, shortfall)"
        " values (%s, 0, %s, 3, 5, %s, %s, 60, 40)",
        client.chain.mine(), shop.programme, b"h" * 20, bytes(32),
    )  # fmt: skip
    shown = (await client.http.get(f"/v1/purchases/{purchase}/refunds", headers=shop.auth)).json()["refunds"]
    assert [each["id"] for each in shown] == made
    assert [(each["status"], each["burned"], each["shortfall"]) for each in shown] == [
        ("confirmed", "0.60", "0.40"), ("accepted", None, None),
    ]  # fmt: skip
