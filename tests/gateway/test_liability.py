"""A programme's liability is what the chain did, in any period that one can ask for, and what an auditor finds too."""

from __future__ import annotations

import csv
import os
import random
import time
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from exchange.liability import COLUMNS, POINTS
from indexer import store
from scripts.audit.liability import as_csv, as_json
from tests.gateway.conftest import Client, Shop
from tests.gateway.history import CHARITY, DAY, START, History, clawed_back, created, quoted
from tests.indexer import chain as made

pytestmark = pytest.mark.asyncio

FIRST = date(2030, 1, 1)


async def get(client: Client, shop: Shop, start: date, to: date, **more: Any) -> Any:
    return await client.http.get(
        f"/v1/merchants/{shop.id}/liability",
        params={"from": start.isoformat(), "to": to.isoformat(), **more},
        headers=shop.auth,
    )


async def lines(client: Client, shop: Shop, start: date, to: date, **more: Any) -> list[dict[str, Any]]:
    answer = await get(client, shop, start, to, **more)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["lines"])


async def shops_of(client: Client, *slugs: str) -> list[Shop]:
    return [await client.shop(slug, live=False) for slug in slugs]


async def mirrored(client: Client, history: History, **how: Any) -> None:
    connection = await store.connect(client.settings.database_url)
    try:
        await history.mirror(connection, **how)
    finally:
        await connection.close()


async def test_every_kind_of_movement_has_its_column(client: Client) -> None:
    shop, other = await shops_of(client, "one", "two")
    token, holder, to = shop.programme, made.address("holder"), made.address("to")
    history = History()
    march = START + 60 * DAY
    history.add(START, [created(token), created(other.programme)], [made.fee_set(10, made.address("fees"))])
    history.add(START + 1, made.minted(token, 1, [(holder, 100_00), (to, 20_00)]), [made.deposited(token, 9_000_000)])
    history.add(march, [quoted(token, bid=10**11, until=march + 900 * DAY, effective=march)])
    history.add(march + 1, made.minted(token, 2, [(holder, 30_00)]), made.sent(token, holder, to, 1_00))
    history.add(
        march + 2, made.redeemed(token, holder, 50_00), made.expired(token, to, 21_00),
        clawed_back(token, holder, 2, burned=5_00, shortfall=1),
        made.given(token, CHARITY, holder, amount=3_00, value=30_000), [made.matched(token, CHARITY, value=40_000)],
        made.swapped(token, other.programme, holder, amount=7_00, out=6_00, value=70_000, fee=700),
        made.swapped(other.programme, token, holder, amount=2_00, out=1_50, value=20_000, fee=200),
        [made.withdrawn(token, 1_000_000)],
    )  # fmt: skip
    history.add(march + 40 * DAY)
    await mirrored(client, history)
    january, february, month, april = await lines(client, shop, FIRST, date(2030, 5, 1))
    assert (january["opening"], january["earned"], january["outstanding"]) == ("0.00", "120.00", "120.00")
    assert (january["bid"], january["outstanding_at_bid"], january["cover"]) == (None, None, None)
    assert {february[name] for name in POINTS} == {"0.00"}
    assert month == {
        "start": "2030-03-01", "end": "2030-04-01", "closed": True, "block": 5,
        "block_hash": "0x" + history.blocks[4][0].hash.hex(),
        "opening": "120.00", "earned": "30.00", "swapped_in": "1.50", "redeemed": "-50.00", "swapped_out": "-7.00",
        "given": "-3.00", "expired": "-21.00", "clawed_back": "-5.00", "outstanding": "65.50",
        "opening_margin": "9.000000", "deposited": "0.000000", "withdrawn": "-1.000000", "swaps_received": "0.019800",
        "swaps_paid": "-0.070000", "gifts": "-0.030000", "matches": "-0.040000", "fees": "0.000000",
        "margin": "7.879800", "bid": "0.01", "outstanding_at_bid": "0.655000", "cover": "12.0302", "matured": "120.00",
        "expected_redemption": None,
    }  # fmt: skip
    assert (april["closed"], april["block"], april["outstanding"]) == (False, 6, "65.50")
    supply = client.chain.run("select amount from mirror.supply where programme = %s", token)
    assert [row["amount"] for row in supply] == [65_50]


async def test_in_random_histories_the_gateways_lines_are_the_auditors_byte_for_byte(client: Client) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    shops = await shops_of(client, "one", "two", "three")
    history = History()
    history.live(chance, [shop.programme for shop in shops], acts=400, days=700)
    await mirrored(client, history)
    estimated = 0
    for _ in range(8):
        start = FIRST + timedelta(days=chance.randrange(-10, 560))
        for per, most in (("day", 60), ("month", 800), ("whole", 800)):
            to = start + timedelta(days=chance.randrange(1, most))
            block = chance.choice([None, chance.randrange(1, len(history.blocks) + 1)])
            shop = chance.choice(shops)
            books = history.books(shop.programme, block=block)
            audited = books.lines(start, to, per)  # type: ignore[arg-type]
            asked = {"per": per} if block is None else {"per": per, "block": block}
            told = await get(client, shop, start, to, format="csv", **asked)
            assert told.content == as_csv(audited)
            told = await get(client, shop, start, to, **asked)
            assert told.content.startswith(as_json(books, per, audited)[:-1] + b',"final":')  # type: ignore[arg-type]
            assert told.json()["as_of"]["block"] == (block or len(history.blocks))
            estimated += sum(line["expected_redemption"] is not None for line in audited)
    assert estimated > 0
    held = {
        table: {bytes(row["of"]): int(row["amount"]) for row in client.chain.run(query)}
        for table, query in (
            ("supply", "select programme as of, amount from mirror.supply"),
            ("margin", "select account as of, amount from mirror.margin"),
        )
    }
    swapped = 0
    for shop in shops:
        [whole] = await lines(client, shop, FIRST, date(2040, 1, 1), per="whole")
        assert units(whole["outstanding"], 2) == held["supply"].get(shop.programme, 0)
        assert units(whole["margin"], 6) == held["margin"].get(shop.programme, 0)
        swapped += sum(units(whole[name], 6) for name in ("swaps_paid", "swaps_received", "fees"))
    taken = client.chain.run(
        "select coalesce(sum(delta), 0) as fees from mirror.movement where kind = 'fee' and account <> all(%s)",
        [shop.programme for shop in shops],
    )
    assert swapped == -taken[0]["fees"], "what a swap takes from one margin another gets"


def units(text: str, digits: int) -> int:
    return int(Decimal(text) * 10**digits)


async def test_as_of_a_block_a_line_stays_what_it_was(client: Client) -> None:
    [shop] = await shops_of(client, "one")
    history = History()
    token, holder = shop.programme, made.address("holder")
    history.add(START, [created(token)])
    final = history.add(START + DAY, made.minted(token, 1, [(holder, 100_00)]))
    history.add(START + 40 * DAY, made.redeemed(token, holder, 30_00))
    await mirrored(client, history, finalized=final)
    early = (await get(client, shop, FIRST, date(2030, 3, 1), block=2)).json()
    late = (await get(client, shop, FIRST, date(2030, 3, 1))).json()
    assert [line["outstanding"] for line in early["lines"]] == ["100.00", "100.00"]
    assert [line["closed"] for line in early["lines"]] == [False, False]
    assert [line["outstanding"] for line in late["lines"]] == ["100.00", "70.00"]
    assert [line["closed"] for line in late["lines"]] == [True, False]
    assert (early["as_of"]["block"], early["as_of"]["hash"]) == (2, "0x" + final.hash.hex())
    for block in (0, 4):
        answer = await get(client, shop, FIRST, date(2030, 3, 1), block=block)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "block-not-reached")


async def test_lines_are_final_once_the_block_after_them_is(client: Client) -> None:
    [shop] = await shops_of(client, "one")
    history = History()
    history.add(START, [created(shop.programme)])
    history.add(START + 30 * DAY)
    await mirrored(client, history, finalized=history.blocks[0][0])
    asked = (shop, FIRST, date(2030, 2, 1))
    assert (await get(client, *asked)).json()["final"] is False
    client.chain.run("update mirror.cursor set finalized = 2")
    assert (await get(client, *asked)).json()["final"] is True
    assert (await get(client, shop, FIRST, date(2030, 3, 1))).json()["final"] is False


async def test_before_the_first_block_nothing_is_owed_and_without_any_there_is_no_line(client: Client) -> None:
    [shop] = await shops_of(client, "one")
    empty = (await get(client, shop, FIRST, date(2030, 2, 1))).json()
    assert (empty["lines"], empty["as_of"], empty["final"]) == ([], None, False)
    history = History()
    history.add(START, [created(shop.programme)])
    await mirrored(client, history)
    [line] = await lines(client, shop, date(2029, 1, 1), date(2029, 2, 1))
    assert (line["block"], line["outstanding"], line["closed"], line["bid"]) == (None, "0.00", True, None)


async def test_periods_that_cannot_be_answered_and_other_merchants_are_refused(client: Client) -> None:
    one, two = await shops_of(client, "one", "two")
    for to, per, problem in ((FIRST, "month", "invalid-period"), (date(2032, 1, 1), "day", "period-too-long")):
        answer = await get(client, one, FIRST, to, per=per)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, problem)
    answer = await client.http.get(f"/v1/merchants/{two.id}/liability?from=2030-01-01&to=2030-02-01", headers=one.auth)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (404, "merchant-not-found")


async def test_csv_has_the_columns_in_their_order(client: Client) -> None:
    [shop] = await shops_of(client, "one")
    history = History()
    history.add(START, [created(shop.programme)])
    await mirrored(client, history)
    answer = await get(client, shop, FIRST, date(2030, 3, 1), format="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    header, *rest = csv.reader(answer.text.splitlines())
    assert tuple(header) == COLUMNS
    assert [line[:4] for line in rest] == [
        ["2030-01-01", "2030-02-01", "false", "1"], ["2030-02-01", "2030-03-01", "false", "1"],
    ]  # fmt: skip
