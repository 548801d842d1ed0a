"""Sixty-four callers at once, each on a connection of its own, over HTTP to more than one gateway process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import psutil
import psycopg
import pytest
import pytest_asyncio

from exchange.relayer.batching import batch_everyone
from exchange.relayer.run import ROLE
from tests.gateway.conftest import Client, Shop
from tests.gateway.serving import Gateways
from tests.gateway.test_refunds import bought
from tests.gateway.test_shortfalls import owed, owing

pytestmark = pytest.mark.asyncio

CALLERS = 64


@dataclass
class Answer:
    status: int
    body: dict[str, Any]


@dataclass
class Crowd:
    """Each caller has an open connection; all of them together have some to every worker."""

    url: str
    callers: list[aiohttp.ClientSession]
    auth: dict[str, str]

    async def post(self, caller: int, path: str, body: object = None) -> Answer:
        headers = {**self.auth, "idempotency-key": uuid4().hex}
        async with self.callers[caller % CALLERS].post(self.url + path, json=body, headers=headers) as answer:
            return Answer(answer.status, await answer.json(content_type=None))


@asynccontextmanager
async def crowd(client: Client, shop: Shop, *, workers: int = 2) -> AsyncIterator[Crowd]:
    gateways = Gateways(client.settings, POINTS_WORKERS=str(workers), POINTS_KEY_RATE="0")
    gateways.start()
    try:
        async with AsyncExitStack() as stack:
            for _ in range(100):
                many = AsyncExitStack()
                callers = [
                    await many.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)))
                    for _ in range(CALLERS)
                ]
                await asyncio.gather(*(_hello(each, gateways.url) for each in callers))
                if _connections(gateways) >= workers:
                    stack.push_async_exit(many.pop_all())
                    break
                await many.aclose()  # one worker was not up yet
                await asyncio.sleep(0.2)
            else:
                raise AssertionError("one worker takes all connections")
            yield Crowd(gateways.url, callers, shop.auth)
    finally:
        gateways.stop()


async def _hello(caller: aiohttp.ClientSession, url: str) -> None:
    async with caller.get(f"{url}/healthz") as answer:
        assert answer.status == 200


def _connections(gateways: Gateways) -> int:
    """How many processes of the gateway have callers."""
    found = 0
    for worker in psutil.Process(gateways.pid).children(recursive=True):
        open_ = [each for each in worker.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
        found += any(each.laddr.port == gateways.port for each in open_)
    return found


@pytest_asyncio.fixture
async def shop(client: Client) -> Shop:
    return await client.shop()


async def test_refunds_by_many_processes_never_exceed_the_purchase(client: Client, shop: Shop) -> None:
    pending = await bought(client, shop)
    minted = await bought(client, shop)
    client.chain.run("update exchange.purchase set batch_number = 1, batch_index = 0 where id = %s", minted)
    async with crowd(client, shop) as callers:
        for purchase in (pending, minted):
            path = f"/v1/purchases/{purchase}/refunds"
            answers = await asyncio.gather(
                *(callers.post(n, path, {"reference": uuid4().hex, "amount": "0.30"}) for n in range(CALLERS))
            )
            assert sorted(answer.status for answer in answers) == [201] * 33 + [409] * 31
    sums = client.chain.run(
        "select p.cancelled, (select sum(amount_minor)::int from exchange.refund where purchase_id = p.id) as paid,"
        " (select max(taken)::int from exchange.refund where purchase_id = p.id) as taken"
        " from exchange.purchase p order by p.id"
    )
    assert sums == [{"cancelled": 990, "paid": 990, "taken": 0}, {"cancelled": 0, "paid": 990, "taken": 990}]


async def test_refunds_against_batching_by_many_processes_mint_what_they_left(client: Client, shop: Shop) -> None:
    purchases = [await bought(client, shop) for _ in range(CALLERS)]
    client.chain.run("update exchange.purchase set available_at = accepted_at + (random() * 30)::int")
    chance, begun, done = random.Random(5), time.monotonic(), asyncio.Event()

    async def relay() -> None:
        async with await psycopg.AsyncConnection.connect(client.chain.url, autocommit=True, options=ROLE) as relaying:
            last = False
            while not last:
                last = done.is_set()
                now = 2**40 if last else int(time.time() + 15 * (time.monotonic() - begun))
                await relaying.execute("update exchange.call set state = 'refused', failure = '-' where kind = 'mint'")
                await batch_everyone(relaying, master=client.settings.master, chain_id=31337, size=200, now=now)
                await asyncio.sleep(chance.uniform(0, 0.02))

    async with crowd(client, shop) as callers:
        begun = time.monotonic()

        async def give_back(n: int) -> None:
            for _ in range(4):
                await asyncio.sleep(chance.uniform(0, 0.6))
                body = {"reference": uuid4().hex, "amount": "2.00"}
                assert (await callers.post(n, f"/v1/purchases/{purchases[n]}/refunds", body)).status == 201

        batchers = [asyncio.create_task(relay()) for _ in range(2)]
        await asyncio.gather(*(give_back(n) for n in range(CALLERS)))
        done.set()
        await asyncio.gather(*batchers)
    found = client.chain.run(
        "select p.points - p.cancelled - (select max(taken) from exchange.refund where purchase_id = p.id) as left,"
        " p.points > p.cancelled and p.batch_number is null as waits from exchange.purchase p"
    )
    assert found == [{"left": 200, "waits": False}] * CALLERS
    [sums] = client.chain.run(
        "select (select sum(total) from exchange.batch) = (select sum(points - cancelled) from exchange.purchase)"
        " as same"
    )
    assert sums["same"]


async def test_holds_and_redemptions_by_many_processes_never_spend_a_point_twice(client: Client, shop: Shop) -> None:
    customer = await client.customer(shop)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 1_000)
    async with crowd(client, shop) as callers:
        hold = {"member": "card-1", "amount": "0.70", "order": "o"}
        redeem = f"/v1/customers/{customer['id']}/redeem"
        answers = await asyncio.gather(*(
            callers.post(n, "/v1/holds", hold) if n % 2 else callers.post(n, redeem, {"amount": "0.70", "order": "o"})
            for n in range(CALLERS)
        ))  # fmt: skip
        accepted = [answer for answer in answers if answer.status in (201, 202)]
        assert len(accepted) == 14, "as many as there are points for"
        assert {answer.status for answer in answers} <= {201, 202, 409}
        held = [answer.body["id"] for answer in answers if answer.status == 201]
        captured = await asyncio.gather(*(callers.post(n, f"/v1/holds/{id}/capture", {}) for n, id in enumerate(held)))
        assert {answer.status for answer in captured} <= {202}, "a hold is a promise"
    [spent] = client.chain.run("select coalesce(sum(amount), 0)::int as points from exchange.intent")
    assert spent == {"points": 980}


async def test_a_capture_a_release_and_the_end_at_the_same_second_have_one_outcome(client: Client, shop: Shop) -> None:
    customer = await client.customer(shop)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 1_600)
    chance = random.Random(3)
    async with crowd(client, shop) as callers:
        wanted = {"member": "card-1", "amount": "1.00", "order": "o", "seconds": 3}
        made = [await callers.post(n, "/v1/holds", wanted) for n in range(16)]
        assert {answer.status for answer in made} == {201}
        ends = max(answer.body["expires_at"] for answer in made)

        async def at_the_end(n: int) -> tuple[int, str, Answer]:
            what, which = ("capture", "release")[n % 2], made[(n // 2) % 16]
            await asyncio.sleep(max(0, which.body["expires_at"] - time.time() + chance.uniform(-0.15, 0.1)))
            return (n // 2) % 16, what, await callers.post(n, f"/v1/holds/{which.body['id']}/{what}", {})

        answers = await asyncio.gather(*(at_the_end(n) for n in range(CALLERS)))
        await asyncio.sleep(max(0, ends + 1 - time.time()))
        for place, hold in enumerate(made):
            end = (await client.http.get(f"/v1/holds/{hold.body['id']}", headers=shop.auth)).json()
            told = {(what, answer.status) for number, what, answer in answers if number == place}
            assert (end["status"] == "captured") == (("capture", 202) in told), told
            assert not {("capture", 202), ("release", 200)} <= told, "captured and given back"
            assert end["status"] in ("captured", "released", "expired")
    rows = client.chain.run(
        "select count(*) filter (where state = 'captured')::int as captured,"
        " (select count(*)::int from exchange.intent) as intents from exchange.hold"
    )
    assert rows[0]["captured"] == rows[0]["intents"]


async def test_purchases_by_many_processes_offset_a_shortfall_once(client: Client) -> None:
    shop = await owing(client, "10.00")
    async with crowd(client, shop) as callers:
        sold = {"member": "card-1", "amount": "0.37", "currency": "USD", "purchased_at": "2026-01-02T03:04:05Z"}
        made = await asyncio.gather(
            *(callers.post(n, "/v1/purchases", {**sold, "reference": uuid4().hex}) for n in range(CALLERS))
        )
    assert {answer.status for answer in made} == {201}
    assert sum(int(answer.body["offset"].replace(".", "")) for answer in made) == 1000
    assert owed(client) == 0
