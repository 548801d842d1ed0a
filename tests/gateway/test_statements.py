"""A statement is what moved the margin, to the last digit, in every period that one can ask for."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.conftest import Client, Shop

pytestmark = pytest.mark.asyncio

DAY = 86_400
FIRST = date(2036, 3, 1)
CHARITY = b"c" * 20


class Margins:
    """Writes movements as the projection does, and keeps books of its own."""

    def __init__(self, client: Client, shops: list[Shop], fee_account: bytes) -> None:
        self.client, self.shops, self.fee_account = client, shops, fee_account
        self.books: list[tuple[int, bytes, int]] = []  # time, account, delta
        self.log = 0

    def moved(self, block: int, at: int, kind: str, *deltas: tuple[int, bytes, int]) -> None:
        for side, account, delta in deltas:
            if delta:
                self.client.chain.run(
                    "insert into mirror.movement values (%s, %s, %s, %s, %s, %s)", block, self.log, side, account,
                    delta, kind,
                )  # fmt: skip
                self.books.append((at, account, delta))

    def act(self, kind: str, at: int, one: Shop, other: Shop, value: int, fee: int = 0) -> None:
        block = self.client.chain.mine(at=at)
        self.log += 1
        run, intent = self.client.chain.run, os.urandom(32)
        if kind == "deposit":
            self.moved(block, at, kind, (1, one.programme, value))
        elif kind == "withdrawal":
            self.moved(block, at, kind, (0, one.programme, -value))
        elif kind == "gift":
            run(
                "insert into mirror.gift values (%s, %s, %s, %s, %s, %s, 0, %s, %s)", block, self.log, intent,
                one.programme, CHARITY, b"h" * 20, value // 9_800, value,
            )  # fmt: skip
            self.moved(block, at, kind, (0, one.programme, -value), (1, CHARITY, value))
        else:
            run(
                "insert into mirror.swap values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", block, self.log, intent,
                one.programme, other.programme, b"h" * 20, value // 9_800, value // 10_000, value, fee,
            )  # fmt: skip
            self.moved(block, at, "swap", (0, one.programme, -value), (1, other.programme, value - fee))
            self.moved(block, at, "fee", (2, self.fee_account, fee))


async def get(client: Client, shop: Shop, path: str = "", *, start: date, end: date, format: str = "json") -> Any:
    return await client.http.get(
        f"/v1/merchants/{shop.id}/statement{path}",
        params={"start": start.isoformat(), "end": end.isoformat(), "format": format},
        headers=shop.auth,
    )


def units(text: str) -> int:
    return int(Decimal(text) * 10**6)


async def test_statements_of_random_histories_sum_to_the_margins_exactly(client: Client) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    shops = [await client.shop(slug) for slug in ("one", "two", "three")]
    margins = Margins(client, shops, shops[2].programme)  # a programme that gets the network's fees, too
    at = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp())
    for _ in range(120):
        at += chance.choice([0, 1, DAY // 7, DAY // 3])
        one, other = chance.sample(shops, 2)
        kind = chance.choice(["deposit", "withdrawal", "gift", "swap", "swap", "swap"])
        value = chance.choice([1, 7, 999_999, 10**6, chance.randrange(1, 10**12), 10**20])
        margins.act(kind, at, one, other, value, fee=chance.choice([0, 0, value // 1000]))
    for _ in range(12):
        start = FIRST + timedelta(days=chance.randrange(-1, 30))
        end = start + timedelta(days=chance.randrange(1, 20))
        low, high = (datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp() for d in (start, end))
        for shop in shops:
            made = (await get(client, shop, start=start, end=end)).json()
            mine = [(when, delta) for when, account, delta in margins.books if account == shop.programme]
            opening = sum(delta for when, delta in mine if when < low)
            inside = [delta for when, delta in mine if low <= when < high]
            assert units(made["opening_margin"]) == opening
            assert units(made["received"]) == sum(delta for delta in inside if delta > 0)
            assert units(made["paid"]) == -sum(delta for delta in inside if delta < 0)
            assert units(made["closing_margin"]) == opening + sum(inside)
            assert sum(units(line["received"]) - units(line["paid"]) for line in made["lines"]) == sum(inside)
            assert sum(line["count"] for line in made["lines"]) == len(inside)
            each = [
                json.loads(line) for line in (await get(client, shop, "/movements", start=start, end=end)).text.split()
            ]
            assert [units(row["amount"]) for row in each] == inside
            assert units(each[-1]["margin"] if each else made["closing_margin"]) == opening + sum(inside)


async def test_what_was_swapped_is_told_by_partner_with_points_and_fees(client: Client) -> None:
    one, two = await client.shop("one"), await client.shop("two")
    margins = Margins(client, [one, two], b"f" * 20)
    at = int(datetime(2036, 3, 5, 12, tzinfo=UTC).timestamp())
    margins.act("deposit", at, one, two, 10_000_000)
    margins.act("swap", at, one, two, 980_000, fee=980)
    margins.act("swap", at, one, two, 98_000, fee=98)
    margins.act("swap", at, two, one, 490_000)
    margins.act("gift", at, one, two, 9_800)
    made = (await get(client, one, start=FIRST, end=date(2036, 4, 1))).json()
    lines = {line["kind"]: line for line in made["lines"]}
    paid, got = lines["swap.paid"], lines["swap.received"]
    assert (paid["slug"], paid["count"], paid["points"], paid["paid"], paid["fee"]) == (
        "two", 2, "1.10", "1.078000", "0.000000",
    )  # fmt: skip
    assert (got["slug"], got["received"], got["points"]) == ("two", "0.490000", "0.49")
    assert (lines["gift"]["paid"], lines["deposit"]["received"]) == ("0.009800", "10.000000")
    theirs = (await get(client, two, start=FIRST, end=date(2036, 4, 1))).json()
    [received] = [line for line in theirs["lines"] if line["kind"] == "swap.received"]
    assert (received["received"], received["fee"], received["slug"]) == ("1.076922", "0.001078", "one")


async def test_csv_has_the_margins_around_the_lines(client: Client) -> None:
    one, two = await client.shop("one"), await client.shop("two")
    margins = Margins(client, [one, two], b"f" * 20)
    at = int(datetime(2036, 3, 5, tzinfo=UTC).timestamp())
    margins.act("deposit", at - 40 * DAY, one, two, 5_000_000)
    margins.act("swap", at, one, two, 1_000_000)
    answer = await get(client, one, start=FIRST, end=date(2036, 4, 1), format="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    found = list(csv.DictReader(answer.text.splitlines()))
    assert [(row["kind"], row["received"], row["paid"]) for row in found] == [
        ("opening", "5.000000", ""), ("swap.paid", "0.000000", "1.000000"), ("closing", "4.000000", ""),
    ]  # fmt: skip
    each = await get(client, one, "/movements", start=FIRST, end=date(2036, 4, 1), format="csv")
    [row] = csv.DictReader(each.text.splitlines())
    assert (row["at"], row["amount"], row["margin"]) == ("2036-03-05T00:00:00Z", "-1.000000", "4.000000")


async def test_a_statement_says_when_it_can_no_longer_change(client: Client) -> None:
    shop = await client.shop()
    block = client.chain.mine(at=datetime(2036, 4, 2, tzinfo=UTC).timestamp())
    assert (await get(client, shop, start=FIRST, end=date(2036, 4, 1))).json()["final"] is False
    client.chain.mine(at=datetime(2036, 4, 3, tzinfo=UTC).timestamp(), finalized=block)
    assert (await get(client, shop, start=FIRST, end=date(2036, 4, 1))).json()["final"] is True
    assert (await get(client, shop, start=FIRST, end=date(2036, 4, 3))).json()["final"] is False


async def test_periods_and_other_merchants_statements_are_refused(client: Client) -> None:
    shop, other = await client.shop("one"), await client.shop("two")
    for path in ("", "/movements"):
        empty = await get(client, shop, path, start=FIRST, end=FIRST)
        assert (empty.status_code, empty.json()["type"].rpartition(":")[2]) == (422, "invalid-period")
        theirs = await client.http.get(
            f"/v1/merchants/{other.id}/statement{path}?start=2036-01-01&end=2036-02-01", headers=shop.auth
        )
        assert (theirs.status_code, theirs.json()["type"].rpartition(":")[2]) == (404, "merchant-not-found")


async def test_a_long_history_is_streamed_and_frees_its_place_when_nobody_reads(client: Client) -> None:
    shop = await client.shop()
    block = client.chain.mine(at=datetime(2036, 3, 5, tzinfo=UTC).timestamp())
    client.chain.run(
        "insert into mirror.movement select %s, n, 1, %s, n, 'deposit' from generate_series(1, 20000) n", block,
        shop.programme,
    )  # fmt: skip
    answers = await asyncio.gather(
        *(get(client, shop, "/movements", start=FIRST, end=date(2036, 4, 1)) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} <= {200, 429}
    whole = next(answer for answer in answers if answer.status_code == 200)
    assert len(whole.text.splitlines()) == 20_000
    assert units(json.loads(whole.text.splitlines()[-1])["margin"]) == 20_000 * 20_001 // 2
    assert client.app.state.gateway.streams._open == {}
