"""Deferred revenue is reckoned from the chain, the purchases and the estimates, and always from the first day on."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from exchange.revenue import COLUMNS
from indexer import store
from tests.gateway.conftest import Client, Shop, sale
from tests.gateway.history import DAY, START, History, created
from tests.indexer import chain as made

pytestmark = pytest.mark.asyncio

FIRST = date(2030, 1, 1)
FEBRUARY, MARCH, APRIL = (START + days * DAY for days in (25, 55, 85))


async def get(client: Client, shop: Shop, to: date, *estimates: str, **more: Any) -> Any:
    return await client.http.get(
        f"/v1/merchants/{shop.id}/liability/deferred-revenue",
        params={"from": FIRST.isoformat(), "to": to.isoformat(), "estimate": list(estimates), **more},
        headers=shop.auth,
    )


async def sold(client: Client, shop: Shop, at: int, amount: str = "2000.00") -> str:
    """A purchase that was accepted then."""
    answer = await client.http.post("/v1/purchases", json=sale(amount=amount), headers=shop.once())
    assert answer.status_code == 201, answer.text
    purchase: str = answer.json()["id"]
    client.chain.run("update exchange.purchase set accepted_at = %s, available_at = %s where id = %s", at, at, purchase)
    return purchase


async def mirrored(client: Client, history: History) -> None:
    connection = await store.connect(client.settings.database_url)
    try:
        await history.mirror(connection)
    finally:
        await connection.close()


async def two_years(client: Client) -> Shop:
    """$2,000 and its 2,000 points in January, 900 used in February and 600 in March."""
    shop = await client.shop(live=False)
    customer = await client.customer(shop)
    holder = bytes.fromhex(customer["holder"][2:])
    await sold(client, shop, START + 10)
    history = History()
    history.add(START, [created(shop.programme)])
    history.add(START + 20, made.minted(shop.programme, 1, [(holder, 2_000_00)]))
    history.add(FEBRUARY, made.redeemed(shop.programme, holder, 900_00))
    history.add(MARCH + DAY, made.redeemed(shop.programme, holder, 600_00))
    history.add(APRIL)
    await mirrored(client, history)
    return shop


async def test_the_dollar_example_over_three_months_with_a_changed_estimate(client: Client) -> None:
    shop = await two_years(client)
    answer = await get(client, shop, date(2030, 4, 1), "2030-01-01,0.10,0.85", "2030-03-01,0.1,0.9")
    assert answer.status_code == 200, answer.text
    january, february, march = answer.json()["lines"]
    assert january == {
        "start": "2030-01-01", "end": "2030-02-01", "closed": True, "sales": "2000.00", "refunds": "0.00",
        "points_granted": "2000.00", "points_returned": "0.00", "opening": "0.00", "brought_forward": "0.00",
        "deferred": "156.68", "deferred_for_swaps": "0.00", "reversed": "0.00", "recognised": "0.00",
        "catch_up": "0.00", "liability": "156.68", "revenue": "1843.32", "points_expected": "1700.00",
        "points_breakage": "300.00", "stand_alone_price": "0.10", "expected_redemption": "0.850000",
        "expected_by": "merchant",
    }  # fmt: skip
    assert (february["opening"], february["recognised"], february["liability"]) == ("156.68", "82.95", "73.73")
    assert (march["recognised"], march["catch_up"], march["liability"]) == ("47.62", "-4.61", "26.11")
    assert (march["revenue"], march["points_expected"]) == ("47.62", "300.00")
    [whole] = (
        await get(client, shop, date(2030, 4, 1), "2030-01-01,0.10,0.85", "2030-03-01,0.1,0.9", per="whole")
    ).json()["lines"]
    for name in ("deferred", "recognised", "catch_up", "revenue"):
        assert Decimal(whole[name]) == sum(Decimal(line[name]) for line in (january, february, march))
    told = await get(client, shop, date(2030, 4, 1), "2030-01-01,0.10,0.85", format="csv")
    assert tuple(next(csv.reader(told.text.splitlines()))) == COLUMNS


async def test_an_auditor_sees_the_merchants_lines_and_the_operator_nobodys_sales(client: Client) -> None:
    shop = await two_years(client)
    asked = {
        "url": f"/v1/merchants/{shop.id}/liability/deferred-revenue",
        "params": {"from": "2030-01-01", "to": "2030-04-01", "estimate": "2030-01-01,0.10,0.85"},
    }
    own = await client.http.get(**asked, headers=shop.auth)  # type: ignore[arg-type]
    auditor = await client.key(role="auditor", preset="all")
    assert (await client.http.get(**asked, headers=auditor)).content == own.content  # type: ignore[arg-type]
    assert (await client.http.get(**asked, headers=client.operator)).status_code == 403  # type: ignore[arg-type]


async def test_without_an_estimate_and_history_every_point_is_expected_to_be_redeemed(client: Client) -> None:
    shop = await two_years(client)
    [line] = (await get(client, shop, date(2030, 2, 1), "2030-01-01,0.125")).json()["lines"]
    assert (line["expected_redemption"], line["expected_by"], line["stand_alone_price"]) == (
        "1.000000",
        "caution",
        "0.125",
    )
    assert (line["deferred"], line["points_breakage"]) == ("222.22", "0.00")  # 2,000 x 250 / 2,250


async def test_what_is_promised_is_owed_and_what_a_refund_takes_back_is_not(client: Client) -> None:
    """$110 with 110 points in January that are not on the chain yet, half of it returned in February."""
    shop = await client.shop(live=False)
    await client.customer(shop)
    purchase = await sold(client, shop, START + 10, "110.00")
    await sold(client, shop, START + 11, "0.01")
    body = {"reference": "refund", "amount": "55.00"}
    answer = await client.http.post(f"/v1/purchases/{purchase}/refunds", json=body, headers=shop.once())
    assert answer.status_code == 201, answer.text
    client.chain.run("update exchange.refund set created_at = to_timestamp(%s)", FEBRUARY)
    history = History()
    history.add(START, [created(shop.programme)])
    history.add(APRIL)
    await mirrored(client, history)
    january, february = (await get(client, shop, date(2030, 3, 1), "2030-01-01,0.10")).json()["lines"]
    assert (january["sales"], january["points_expected"], january["deferred"]) == ("110.01", "110.01", "10.00")
    assert (february["refunds"], february["points_returned"], february["reversed"]) == ("55.00", "55.00", "5.00")
    assert (february["liability"], february["revenue"], february["points_expected"]) == ("5.00", "-50.00", "55.01")


async def test_points_swapped_in_need_the_price_of_a_settlement_token(client: Client) -> None:
    one, two = [await client.shop(slug, live=False) for slug in ("one", "two")]
    history, holder = History(), made.address("holder")
    history.add(START, [created(one.programme), created(two.programme)], [made.fee_set(10, made.address("fees"))])
    history.add(
        START + 1, made.minted(two.programme, 1, [(holder, 100_00)]), [made.deposited(two.programme, 10**9)],
        made.swapped(two.programme, one.programme, holder, amount=100_00, out=90_00, value=1_000_000, fee=1_000),
    )  # fmt: skip
    await mirrored(client, history)
    answer = await get(client, one, date(2030, 2, 1), "2030-01-01,0.10")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "settlement-price-needed")
    [line] = (await get(client, one, date(2030, 2, 1), "2030-01-01,0.10", settlement_price="1.02")).json()["lines"]
    assert (line["deferred_for_swaps"], line["liability"], line["points_expected"]) == ("1.02", "1.02", "90.00")
    assert (await get(client, two, date(2030, 2, 1), "2030-01-01,0.10")).status_code == 200


async def test_estimates_that_say_nothing_are_refused(client: Client) -> None:
    shop = await client.shop(live=False)
    for estimates, problem in (
        (["2030-02-30,0.10"], "invalid-estimate"),
        (["2030-01-01,0.10", "2030-01-01,0.20"], "invalid-estimate"),
        (["2030-01-01,0.10,1.5"], "amount-too-large"),
        (["2030-01-01,0"], "invalid-amount"),
        (["ten cents"], "invalid-request"),
        ([], "invalid-request"),
    ):
        answer = await get(client, shop, date(2030, 2, 1), *estimates)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, problem), estimates
