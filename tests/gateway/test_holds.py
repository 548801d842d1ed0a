"""Points set aside at the till are the till's until it says otherwise, and never anybody else's meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.gateway.conftest import Client, Shop


async def rich(client: Client, amount: int = 1_000) -> tuple[Shop, dict[str, Any]]:
    """A shop, and a card customer of it with `amount` base units."""
    shop = await client.shop()
    customer = await client.customer(shop)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), amount)
    return shop, customer


async def hold(client: Client, shop: Shop, amount: str = "4.00", *, key: str | None = None, **more: Any) -> Any:
    body = {"member": "card-1", "amount": amount, "order": "till-1/7", **more}
    return await client.http.post("/v1/holds", json=body, headers=shop.once(key))


async def act(client: Client, shop: Shop, id: str, what: str, **body: Any) -> Any:
    json = body if what == "capture" else None
    return await client.http.post(f"/v1/holds/{id}/{what}", json=json, headers=shop.auth)


async def redeem(client: Client, shop: Shop, customer: dict[str, Any], amount: str) -> Any:
    path = f"/v1/customers/{customer['id']}/redeem"
    return await client.http.post(path, json={"amount": amount, "order": uuid4().hex}, headers=shop.once())


def slug(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.mark.asyncio
async def test_what_is_held_cannot_be_spent_or_held_again(client: Client) -> None:
    shop, customer = await rich(client)
    made = await hold(client, shop, "7.00")
    assert (made.status_code, made.json()["status"]) == (201, "open")
    for answer in (await redeem(client, shop, customer, "3.01"), await hold(client, shop, "3.01")):
        assert (answer.status_code, slug(answer), answer.json()["spendable"]) == (409, "not-enough-points", "3.00")
    assert (await redeem(client, shop, customer, "3.00")).status_code == 202


@pytest.mark.asyncio
async def test_a_capture_is_a_redemption_and_frees_the_rest(client: Client) -> None:
    shop, customer = await rich(client)
    id = (await hold(client, shop, "7.00")).json()["id"]
    captured = await act(client, shop, id, "capture", amount="5.00")
    assert (captured.status_code, captured.json()["status"]) == (202, "captured")
    intent = (await client.http.get(f"/v1/intents/{captured.json()['intent']}")).json()
    assert (intent["kind"], intent["amount"], intent["holder"]) == ("redeem", "5.00", customer["holder"])
    again = await act(client, shop, id, "capture", amount="5.00")
    assert (again.json(), client.counts()["intent"]) == (captured.json(), 1)
    other = await act(client, shop, id, "capture", amount="6.00")
    assert (other.status_code, slug(other)) == (409, "hold-closed")
    assert slug(await act(client, shop, id, "release")) == "hold-closed"
    assert (await redeem(client, shop, customer, "5.00")).status_code == 202


@pytest.mark.asyncio
async def test_a_capture_is_at_most_the_hold(client: Client) -> None:
    shop, _ = await rich(client)
    id = (await hold(client, shop, "4.00")).json()["id"]
    more = await act(client, shop, id, "capture", amount="4.01")
    assert (more.status_code, slug(more), client.counts()["intent"]) == (409, "hold-exceeded", 0)
    assert (await act(client, shop, id, "capture")).json()["status"] == "captured"


@pytest.mark.asyncio
async def test_a_released_hold_is_nobodys(client: Client) -> None:
    shop, customer = await rich(client)
    id = (await hold(client, shop, "10.00")).json()["id"]
    for _ in range(2):
        assert (await act(client, shop, id, "release")).json()["status"] == "released"
    assert slug(await act(client, shop, id, "capture")) == "hold-closed"
    assert (await redeem(client, shop, customer, "10.00")).status_code == 202


@pytest.mark.asyncio
async def test_a_hold_expires_by_itself(client: Client) -> None:
    shop, customer = await rich(client)
    id = (await hold(client, shop, "10.00", seconds=60)).json()["id"]
    client.chain.run("update exchange.hold set expires_at = expires_at - 61")
    assert (await client.http.get(f"/v1/holds/{id}", headers=shop.auth)).json()["status"] == "expired"
    assert slug(await act(client, shop, id, "capture")) == "hold-closed"
    assert (await redeem(client, shop, customer, "10.00")).status_code == 202


@pytest.mark.asyncio
async def test_an_authorisation_is_repeated_by_its_key(client: Client) -> None:
    shop, _ = await rich(client)
    answers = await asyncio.gather(*(hold(client, shop, key="one") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert client.chain.run("select count(*) as n from exchange.hold") == [{"n": 1}]


@pytest.mark.asyncio
async def test_of_sixty_four_holds_captures_and_redemptions_at_once_no_point_is_spent_twice(client: Client) -> None:
    shop, customer = await rich(client)
    first = (await hold(client, shop, "4.00")).json()["id"]
    answers = await asyncio.gather(*(
        each for _ in range(16) for each in (
            act(client, shop, first, "capture"), hold(client, shop, "2.00"), redeem(client, shop, customer, "1.00"),
            act(client, shop, first, "release"),
        )
    ))  # fmt: skip
    assert {answer.status_code for answer in answers} <= {200, 201, 202, 409}
    [spent] = client.chain.run(
        "select coalesce((select sum(amount) from exchange.intent), 0)"
        " + coalesce((select sum(amount) from exchange.hold where state = 'open'), 0) as points"
    )
    assert 900 <= int(spent["points"]) <= 1_000


@pytest.mark.asyncio
async def test_holds_are_for_card_customers_of_the_merchant_itself(client: Client) -> None:
    shop, _ = await rich(client)
    await client.customer(shop, "phone-1", wallet="0x" + "fe" * 20)
    other = await client.shop("other")
    id = (await hold(client, shop)).json()["id"]
    assert slug(await hold(client, shop, member="phone-1")) == "not-custodial"
    assert slug(await hold(client, shop, member="nobody")) == "customer-not-found"
    missing = str(uuid4())
    for theirs in (id, missing):
        for answer in (
            await act(client, other, theirs, "capture"),
            await act(client, other, theirs, "release"),
            await client.http.get(f"/v1/holds/{theirs}", headers=other.auth),
        ):
            assert (answer.status_code, slug(answer)) == (404, "hold-not-found")
            assert answer.json()["detail"] == f"The merchant has no hold {theirs}."
