"""Points are gone on the day on which the token says so, and their holders' merchants hear of it before."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from exchange.webhooks.__main__ import ROLE
from exchange.webhooks.warning import warn
from tests.gateway.conftest import Client, Shop

pytestmark = pytest.mark.asyncio

DAY = 86_400
NOW = int(time.time())
KINDS = ("earned", "received", "received", "swapped", "transferred", "sent", "redeemed", "clawed_back")


def live(client: Client, shop: Shop, days: int) -> None:
    client.chain.run(
        "insert into mirror.life (block, log_index, programme, days) values (%s, 7, %s, %s)", client.chain.mine(),
        shop.programme, days,
    )  # fmt: skip


def moved(
    client: Client, shop: Shop, holder: bytes, delta: int, kind: str, *, ago: int, side: int | None = None
) -> None:
    """An entry some days ago; the balance is its fold."""
    block = client.chain.mine(at=NOW - ago * DAY)
    client.chain.run(
        "insert into mirror.entry (block, log_index, side, transaction_index, programme, holder, delta, kind)"
        " values (%s, 0, %s, 0, %s, %s, %s, %s)",
        block, (1 if delta > 0 else 0) if side is None else side, shop.programme, holder, delta, kind,
    )  # fmt: skip
    client.chain.run("insert into mirror.balance values (%s, %s, 0) on conflict do nothing", holder, shop.programme)
    change = "update mirror.balance set amount = amount + %s where (holder, programme) = (%s, %s)"
    client.chain.run(change, delta, holder, shop.programme)


async def balances(client: Client, holder: bytes) -> list[dict[str, Any]]:
    answer = await client.http.get(f"/v1/holders/0x{holder.hex()}/balances")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["balances"])


async def expiring(client: Client, shop: Shop, **asked: Any) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/merchants/{shop.id}/expiring", params=asked, headers=shop.auth)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def midnight(days_from_now: int) -> str:
    at = (NOW // DAY + days_from_now) * DAY
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_points_are_shown_to_their_last_day_and_not_a_day_longer(client: Client) -> None:
    shop = await client.shop()
    live(client, shop, 30)
    alive, dead = b"a" * 20, b"d" * 20
    moved(client, shop, alive, 500, "earned", ago=30)
    moved(client, shop, dead, 500, "earned", ago=31)
    [balance] = await balances(client, alive)
    assert (balance["points"], balance["expires_at"]) == ("5.00", midnight(1))
    assert await balances(client, dead) == []


async def test_what_has_expired_cannot_be_promised_again(client: Client) -> None:
    shop = await client.shop()
    live(client, shop, 30)
    customer = await client.customer(shop)
    moved(client, shop, bytes.fromhex(customer["holder"][2:]), 500, "earned", ago=31)
    path = f"/v1/customers/{customer['id']}/redeem"
    answer = await client.http.post(path, json={"amount": "1.00", "order": "o"}, headers=shop.once())
    assert (answer.status_code, answer.json()["spendable"]) == (409, "0.00")


async def test_a_longer_life_brings_back_what_nobody_has_touched(client: Client) -> None:
    shop = await client.shop()
    live(client, shop, 30)
    moved(client, shop, b"a" * 20, 500, "earned", ago=100)
    assert await balances(client, b"a" * 20) == []
    live(client, shop, 100)
    assert [each["points"] for each in await balances(client, b"a" * 20)] == ["5.00"]


@dataclass
class Account:
    """`contracts/src/Ledger.sol`, of one holder: the plain twin."""

    balance: int = 0
    day: int = 0

    def receive(self, day: int, amount: int) -> None:
        if self.balance == 0:
            self.day = day
        self.balance += amount

    def act(self, day: int, delta: int) -> None:
        self.day, self.balance = day, self.balance + delta


async def test_random_histories_expire_as_the_token_would_have_it(client: Client) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    shop = await client.shop()
    live(client, shop, 40)
    today, seen = NOW // DAY, set()
    for number in range(25):
        holder, account, ago = (number + 1).to_bytes(20, "big"), Account(), 200
        for _ in range(chance.randrange(1, 8)):
            ago -= chance.choice([0, 1, 10, 39, 40, 41, 80])
            if ago < 0:
                break
            day, amount = today - ago, chance.randrange(1, 500)
            if account.balance and account.day + 40 < day:  # the token sweeps whatever it touches
                moved(client, shop, holder, -account.balance, "expired", ago=ago)
                account.balance = 0
            kind = chance.choice(
                ["earned", "received", "received", "swapped", "transferred", "sent", "redeemed", "clawed_back"]
            )
            if kind in ("earned", "swapped"):
                moved(client, shop, holder, amount, kind, ago=ago)
                account.act(day, amount)
            elif kind in ("received", "transferred"):
                moved(client, shop, holder, amount, kind, ago=ago)
                account.receive(day, amount)
            elif account.balance:
                amount = chance.choice([account.balance, min(amount, account.balance)])
                moved(client, shop, holder, -amount, kind, ago=ago)
                if kind == "clawed_back":
                    account.balance -= amount
                else:
                    account.act(day, -amount)
        shown = await balances(client, holder)
        living = account.balance if account.day + 40 >= today else 0
        assert [each["points"] for each in shown] == ([f"{living / 100:.2f}"] if living else []), (holder, account)
        if living:
            assert shown[0]["expires_at"] == midnight(account.day + 41 - today)
        seen.add((bool(account.balance), bool(living)))
    assert len(seen) >= 2


async def test_a_merchant_is_told_who_loses_points_soon(client: Client) -> None:
    shop, other = await client.shop(), await client.shop("other")
    live(client, shop, 90)
    customer = await client.customer(shop)
    member = bytes.fromhex(customer["holder"][2:])
    for holder, ago in ((member, 65), (b"s" * 20, 85), (b"l" * 20, 10), (b"x" * 20, 91)):
        moved(client, shop, holder, 700, "earned", ago=ago)
    found = (await expiring(client, shop))["holders"]
    assert {(each["customer"], each["expires_at"], each["points"]) for each in found} == {
        (customer["id"], midnight(26), "7.00"), (None, midnight(6), "7.00"),
    }  # fmt: skip
    assert len((await expiring(client, shop, days=7))["holders"]) == 1
    assert (await expiring(client, other))["holders"] == []
    theirs = await client.http.get(f"/v1/merchants/{shop.id}/expiring", headers=other.auth)
    assert theirs.status_code == 404


async def test_holders_are_looked_at_in_pages(client: Client) -> None:
    shop = await client.shop()
    live(client, shop, 30)
    block = client.chain.mine(at=NOW - 20 * DAY)
    client.chain.run(
        "insert into mirror.entry (block, log_index, side, transaction_index, programme, holder, delta, kind)"
        " select %s, n, 1, 0, %s, decode(lpad(to_hex(n), 40, '0'), 'hex'), 5, 'earned' from generate_series(1, 2300) n",
        block, shop.programme,
    )  # fmt: skip
    client.chain.run("insert into mirror.balance select holder, programme, delta from mirror.entry")
    seen: list[str] = []
    page: dict[str, Any] = {"next": None}
    for pages in range(1, 5):  # noqa: B007
        page = await expiring(client, shop, **({"after": page["next"]} if page["next"] else {}))
        seen += [each["holder"] for each in page["holders"]]
        if page["next"] is None:
            break
    assert (pages, len(seen), len(set(seen))) == (3, 2300, 2300)


async def test_a_warning_is_an_event_once_for_each_day_that_points_would_be_gone(client: Client, database: str) -> None:
    shop = await client.shop()
    live(client, shop, 90)
    body = {"url": "https://shop.example/", "events": ["points.expiring"]}
    assert (await client.http.post("/v1/webhooks", json=body, headers=shop.auth)).status_code == 201
    moved(client, shop, b"a" * 20, 700, "earned", ago=65)
    moved(client, shop, b"b" * 20, 700, "earned", ago=1)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True, options=ROLE) as sql:
        assert [await warn(sql, now=NOW) for _ in range(2)] == [1, 1]
        [event] = client.chain.run("select data from exchange.webhook_event")
        assert (event["data"]["points"], event["data"]["expires_at"]) == ("7.00", midnight(26))
        moved(client, shop, b"a" * 20, -100, "redeemed", ago=0)
        assert await warn(sql, now=NOW) == 0
        await warn(sql, now=NOW + 70 * DAY)
        [count] = client.chain.run("select count(*) as n from exchange.webhook_event")
        assert count["n"] == 3
