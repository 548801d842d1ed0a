"""What a refund could not take back is offset by later earnings, if the merchant's terms say so: once."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.points import EarningRule
from exchange.refunds import shared, taken_back
from exchange.relayer.offsetting import enter_shortfalls
from exchange.relayer.run import ROLE
from exchange.webhooks.kinds import INSERT, KINDS
from scripts import trace
from tests.gateway.conftest import Client, Shop, sale
from tests.gateway.test_return_windows import buy, refund, signer_of

OWED = "select coalesce(sum(owed), 0)::int as owed from exchange.debt"
LEDGER = """
select coalesce(sum(case kind when 'offset' then -points else points end), 0)::int as owed from exchange.shortfall
"""


async def enter(client: Client, *, times: int = 1) -> None:
    """As so many relayers do at once."""

    async def one() -> None:
        async with await psycopg.AsyncConnection.connect(client.chain.url, autocommit=True, options=ROLE) as relaying:
            await enter_shortfalls(relaying)

    await asyncio.gather(*(one() for _ in range(times)))


def clawed_back(client: Client, shop: Shop, purchase: str, *, batch: int, shortfall: int) -> int:
    """What the chain says once the purchase was minted in a batch of its own, and refunded after it was spent."""
    client.chain.run("update exchange.purchase set batch_number = %s, batch_index = 0 where id = %s", batch, purchase)
    [row] = client.chain.run("select holder from exchange.purchase where id = %s", purchase)
    insert = (
        "insert into mirror.clawback (block, log_index, programme, batch, index, holder, purchase, burned, shortfall)"
        " values (%s, 0, %s, %s, 0, %s, %s, 0, %s)"
    )
    values = (shop.programme, batch, row["holder"], bytes(32), shortfall)
    return client.chain.mine(holding=lambda block: client.chain.run(insert, block, *values))


async def owing(client: Client, amount: str = "10.00", **terms: Any) -> Shop:
    """A shop whose customer owes it the points of a purchase of this amount, finally."""
    shop = await client.shop(**{"offset_shortfalls": True, **terms})
    await client.customer(shop)
    spent = await buy(client, shop, amount=amount)
    block = clawed_back(client, shop, spent["id"], batch=1, shortfall=int(amount.replace(".", "")))
    client.chain.mine(finalized=block)
    await enter(client)
    return shop


def owed(client: Client) -> int:
    [debt], [ledger] = client.chain.run(OWED), client.chain.run(LEDGER)
    assert debt == ledger, "a debt is the fold of its ledger"
    return int(debt["owed"])


@pytest.mark.asyncio
async def test_later_purchases_earn_less_until_the_shortfall_is_offset(client: Client) -> None:
    shop = await owing(client, "10.00")
    [issuer] = client.chain.run("select issuer from exchange.merchant")
    seen = []
    for amount in ("4.00", "7.50", "1.00"):
        made = await buy(client, shop, amount=amount)
        assert made["receipt"]["amount"] == made["points"]
        assert signer_of(shop, made["receipt"]) == issuer["issuer"], "the receipt is of what will be minted"
        seen.append((made["earned"], made["offset"], made["points"], made["status"]))
    assert seen == [
        ("4.00", "4.00", "0.00", "final"), ("7.50", "6.00", "1.50", "accepted"), ("1.00", "0.00", "1.00", "accepted"),
    ]  # fmt: skip
    assert owed(client) == 0


@pytest.mark.asyncio
async def test_terms_that_do_not_say_so_offset_nothing(client: Client) -> None:
    shop = await owing(client, offset_shortfalls=False)
    assert owed(client) == 0
    # Nor does a purchase that was made before they said so.
    assert (
        await client.http.patch(f"/v1/merchants/{shop.id}/terms", json={"offset_shortfalls": True}, headers=shop.auth)
    ).status_code == 200
    assert (await buy(client, shop))["offset"] == "0.00"


@pytest.mark.asyncio
async def test_a_shortfall_counts_once_it_is_final_however_many_relayers_look(client: Client) -> None:
    shop = await client.shop(offset_shortfalls=True)
    await client.customer(shop)
    spent = await buy(client, shop, amount="10.00")
    block = clawed_back(client, shop, spent["id"], batch=1, shortfall=1000)
    await enter(client)
    assert owed(client) == 0, "it may still leave the chain"
    assert (await buy(client, shop, amount="1.00"))["offset"] == "0.00"
    client.chain.mine(finalized=block - 1)
    await enter(client)
    assert owed(client) == 0
    client.chain.mine(finalized=block)
    await enter(client, times=8)
    await enter(client, times=8)
    assert owed(client) == 1000
    client.chain.run("delete from mirror.cursor")  # the mirror is being rebuilt
    await enter(client)
    client.chain.mine(finalized=block)
    await enter(client)
    assert owed(client) == 1000


@pytest.mark.asyncio
async def test_sixty_four_purchases_at_once_offset_a_shortfall_once(client: Client) -> None:
    shop = await owing(client, "10.00")
    made = await asyncio.gather(*(buy(client, shop, amount="0.37") for _ in range(64)))
    assert sum(int(each["offset"].replace(".", "")) for each in made) == 1000
    assert sum(int(each["points"].replace(".", "")) for each in made) == 64 * 37 - 1000
    assert owed(client) == 0


@pytest.mark.asyncio
async def test_bulks_and_single_purchases_at_once_offset_a_shortfall_once(client: Client) -> None:
    shop = await owing(client, "100.00")

    async def bulk() -> list[dict[str, Any]]:
        items = [sale(amount="0.37") for _ in range(20)]
        answer = await client.http.post("/v1/purchases/bulk", json={"purchases": items}, headers=shop.once())
        assert answer.json()["accepted"] == 20, answer.text
        return [each["purchase"] for each in answer.json()["results"]]

    many = await asyncio.gather(
        *(bulk() for _ in range(16)), *(asyncio.wait_for(_alone(client, shop), 30) for _ in range(32))
    )
    made = [each for some in many for each in some]
    assert len(made) == 352
    assert sum(int(each["offset"].replace(".", "")) for each in made) == 10_000
    assert owed(client) == 0
    assert client.chain.run("select count(*) as n from exchange.purchase where withheld > 0 and points > 0") == [
        {"n": 1}
    ]


async def _alone(client: Client, shop: Shop) -> list[dict[str, Any]]:
    return [await buy(client, shop, amount="0.37")]


@pytest.mark.asyncio
async def test_the_same_request_offsets_once(client: Client) -> None:
    shop = await owing(client, "10.00")
    sold = sale(amount="4.00")
    answers = await asyncio.gather(
        *(client.http.post("/v1/purchases", json=sold, headers=shop.once("one")) for _ in range(32))
    )
    assert len({answer.content for answer in answers}) == 1
    assert owed(client) == 600
    body = {"purchases": [sold, sale(amount="1.00")]}
    bulks = await asyncio.gather(
        *(client.http.post("/v1/purchases/bulk", json=body, headers=shop.once("many")) for _ in range(16))
    )
    assert len({answer.content for answer in bulks}) == 1
    assert owed(client) == 500


@given(
    rate=st.integers(1, 3_000_000), amount=st.integers(1, 10**6), debt=st.integers(0, 10**6),
    parts=st.lists(st.integers(1, 10**6), max_size=6), batched_after=st.integers(0, 6),
)  # fmt: skip
def test_refunds_of_an_offset_purchase_leave_what_the_rest_alone_would_have(
    rate: int, amount: int, debt: int, parts: list[int], batched_after: int
) -> None:
    rule = EarningRule(1, rate)
    earned = rule.points(amount)
    withheld = min(earned, debt)
    promised = earned - withheld
    refunded = cancelled = taken = restored = 0
    for turn, part in enumerate([*parts, amount]):
        refunded += min(part, amount - refunded)
        back = taken_back(rule=rule, amount_minor=amount, earned=earned, refunded_minor=refunded)
        shares = shared(
            points=promised, batched=turn >= batched_after, cancelled=cancelled, taken=taken, owed=back,
            before=cancelled + taken + restored,
        )  # fmt: skip
        assert min(shares) >= 0
        cancelled, taken, restored = cancelled + shares[0], taken + shares[1], restored + shares[2]
        kept = rule.points(amount - refunded)
        assert withheld - restored == min(kept, debt), "offset as if only the rest had been bought"
        assert promised - cancelled - taken == kept - min(kept, debt)
    assert (promised, withheld) == (cancelled + taken, restored)


@pytest.mark.asyncio
async def test_a_refund_of_an_offset_purchase_is_owed_again_and_offset_again(client: Client) -> None:
    shop = await owing(client, "10.00")
    made = await buy(client, shop, amount="15.00")
    assert (made["offset"], made["points"]) == ("10.00", "5.00")
    part = (await refund(client, shop, made["id"], amount="7.00")).json()
    assert (part["points"], part["cancelled"], part["restored"]) == ("7.00", "5.00", "2.00")
    assert owed(client) == 200
    rest = (await refund(client, shop, made["id"])).json()
    assert (rest["points"], rest["cancelled"], rest["restored"]) == ("8.00", "0.00", "8.00")
    assert owed(client) == 1000
    assert (await buy(client, shop, amount="12.00"))["offset"] == "10.00"


@pytest.mark.asyncio
async def test_a_shortfall_is_seen_by_the_merchant_in_its_books_and_in_a_trace(client: Client) -> None:
    shop = await owing(client, "10.00")
    made = await buy(client, shop, amount="4.00")
    await refund(client, shop, made["id"], amount="1.00")
    shown = await client.http.get(f"/v1/customers/{made['customer']}/balances", headers=shop.auth)
    assert shown.json()["unminted"]["owed"] == "7.00"
    today = datetime.now(UTC).date()
    period = {"start": str(today - timedelta(days=1)), "end": str(today + timedelta(days=2))}
    for who in (shop.auth, client.operator, await client.key(role="auditor", preset="all")):
        statement = await client.http.get(f"/v1/merchants/{shop.id}/statement", params=period, headers=who)
        assert statement.json()["shortfalls"] == {
            "incurred": "10.00", "offset": "4.00", "restored": "1.00", "outstanding": "7.00",
        }, statement.text  # fmt: skip
    before = {"start": str(today - timedelta(days=9)), "end": str(today - timedelta(days=8))}
    statement = await client.http.get(f"/v1/merchants/{shop.id}/statement", params=before, headers=shop.auth)
    assert set(statement.json()["shortfalls"].values()) == {"0.00"}
    with psycopg.connect(client.chain.url) as connection:
        entries = connection.execute(trace._SHORTFALLS.encode(), {"id": made["id"]}).fetchall()
    assert [kind for kind, _ in entries] == ["offset", "restored"]
    assert [what.split()[2] for _, what in entries] == ["4.00", "1.00"]


@pytest.mark.asyncio
async def test_a_shortfall_is_told_by_webhook_once_it_is_entered(client: Client) -> None:
    shop = await owing(client, "10.00")
    hook = {"url": "https://shop.example/hook", "events": ["shortfall.incurred"]}
    assert (await client.http.post("/v1/webhooks", json=hook, headers=shop.auth)).status_code == 201
    [kind] = [kind for kind in KINDS if kind.name == "shortfall.incurred"]
    with psycopg.connect(client.chain.url, autocommit=True, options="-c role=points_notifier") as notifier:
        for _ in range(2):
            arguments = {"kind": kind.name, "low": int(time.time()) - 60, "high": int(time.time()) + 60}
            notifier.execute(INSERT.format(source=kind.source).encode(), arguments)
    [event] = client.chain.run("select data from exchange.webhook_event")
    assert event["data"]["points"] == "10.00"
    assert set(event["data"]) == {"purchase", "customer", "points", "block"}


@pytest.mark.asyncio
async def test_another_customers_shortfall_and_another_merchants_are_nobodys_else(client: Client) -> None:
    shop = await owing(client, "10.00")
    other = await client.shop("other", offset_shortfalls=True)
    code = await client.link(shop, await client.customer(shop))
    await client.customer(shop, "card-2")
    await client.customer(other, "card-1", link=code)
    assert (await buy(client, shop, member="card-2"))["offset"] == "0.00"
    assert (await buy(client, other, member="card-1"))["offset"] == "0.00"
    assert (await buy(client, shop, reference=uuid4().hex))["offset"] == "10.00"
