"""Points of a sale that may still be returned are promised at once, minted later, and gone without a trace if it is."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from contracts import eip712, signatures
from exchange.relayer.batching import _DUE, _PLACE, batch_everyone
from exchange.relayer.run import ROLE
from exchange.relayer.store import backlog
from exchange.settings import Settings
from exchange.webhooks.kinds import INSERT, KINDS
from tests.gateway.conftest import Client, Shop, create_tables, sale, serve
from tests.gateway.test_tenancy import acting

pytestmark = pytest.mark.asyncio

DAY = 86_400


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(float(int(time.time())))


@pytest_asyncio.fixture
async def client(database: str, make_settings: Callable[..., Settings], clock: Clock) -> AsyncIterator[Client]:
    create_tables(database)
    async with serve(make_settings(), clock=clock) as client:
        yield client


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def buy(client: Client, shop: Shop, *, key: str | None = None, **more: Any) -> Any:
    answer = await client.http.post("/v1/purchases", json=sale(**more), headers=shop.once(key))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def status(client: Client, shop: Shop, purchase: str) -> Any:
    return (await client.http.get(f"/v1/purchases/{purchase}", headers=shop.auth)).json()


async def refund(client: Client, shop: Shop, purchase: str, **body: Any) -> Any:
    path = f"/v1/purchases/{purchase}/refunds"
    return await client.http.post(path, json={"reference": uuid4().hex, **body}, headers=shop.once())


async def batch(client: Client, now: float) -> int:
    """As the relayer does."""
    async with await psycopg.AsyncConnection.connect(client.chain.url, autocommit=True, options=ROLE) as relaying:
        return await batch_everyone(relaying, master=client.settings.master, chain_id=31337, size=200, now=int(now))


def signer_of(shop: Shop, receipt: dict[str, Any], amended: dict[str, Any] | None = None) -> bytes | None:
    signed = receipt | (amended or {})
    digest = eip712.receipt_digest(
        eip712.domain_separator(31337, shop.programme),
        holder=bytes.fromhex(receipt["holder"][2:]),
        amount=int(signed["amount_base_units"]),
        purchase=bytes.fromhex(receipt["purchase"][2:]),
        accepted_at=signed["accepted_at"],
        mint_by=receipt["mint_by"],
    )
    return signatures.recover(digest, bytes.fromhex(signed["signature"][2:]))


async def test_points_are_promised_at_once_and_pending_until_the_window_closes(client: Client, clock: Clock) -> None:
    shop = await client.shop(return_window=14)
    customer = await client.customer(shop)
    made = await buy(client, shop, key="k", reference="r", amount="10.00", purchased_at=day(clock.now - DAY))
    opens = clock.now + 13 * DAY
    assert (made["status"], made["points"], made["available_at"]) == ("pending", "10.00", day(opens))
    assert made["receipt"]["mint_by"] == opens + client.settings.receipt_life
    [issuer] = client.chain.run("select issuer from exchange.merchant")
    assert signer_of(shop, made["receipt"]) == issuer["issuer"]
    assert (await status(client, shop, made["id"]))["status"] == "pending"
    path = f"/v1/customers/{customer['id']}/balances"
    shown = (await client.http.get(path, headers=shop.auth)).json()
    assert shown["balances"] == []
    assert (shown["unminted"]["pending"], shown["unminted"]["available_at"]) == ("10.00", day(opens))
    [person] = client.chain.run("select customer_id as id from exchange.member")
    seen = await client.http.get(f"/v1/customers/{person['id']}/balances", headers=client.operator)
    assert seen.json()["unminted"] is None
    assert await batch(client, opens - 1) == 0
    async with await psycopg.AsyncConnection.connect(client.chain.url, options=ROLE) as relaying:
        assert (await backlog(relaying)).oldest_purchase == 0, "nobody is late"
    clock.now = opens
    assert (await status(client, shop, made["id"]))["status"] == "accepted"
    again = await buy(client, shop, key="k", reference="r", amount="10.00", purchased_at=day(opens - 14 * DAY))
    assert again == made, "the same answer for ever"
    assert await batch(client, opens) == 1
    shown = (await client.http.get(path, headers=shop.auth)).json()
    assert (shown["unminted"]["pending"], shown["unminted"]["available_at"]) == ("0.00", None)


async def test_what_is_reported_after_its_window_is_minted_at_once(client: Client, clock: Clock) -> None:
    shop = await client.shop(return_window=14)
    await client.customer(shop)
    made = await buy(client, shop, purchased_at=day(clock.now - 15 * DAY))
    assert (made["status"], made["available_at"]) == ("accepted", None)
    assert made["receipt"]["mint_by"] == clock.now + client.settings.receipt_life
    assert await batch(client, clock.now) == 1


async def test_a_refund_within_the_window_lowers_what_is_minted_and_signs_what_is_left(
    client: Client, clock: Clock
) -> None:
    shop = await client.shop(return_window=14)
    await client.customer(shop)
    sold = sale(amount="10.00", purchased_at=day(clock.now))
    first = await client.http.post("/v1/purchases", json=sold, headers=shop.once("k"))
    made = first.json()
    part = (await refund(client, shop, made["id"], amount="4.00")).json()
    assert (part["points"], part["cancelled"], part["status"]) == ("4.00", "4.00", "final")
    assert part["receipt"]["amount"] == "6.00"
    [issuer] = client.chain.run("select issuer from exchange.merchant")
    assert signer_of(shop, made["receipt"], part["receipt"]) == issuer["issuer"]
    shown = await status(client, shop, made["id"])
    assert (shown["status"], shown["points"], shown["cancelled"]) == ("pending", "10.00", "4.00")
    again = await client.http.post("/v1/purchases", json=sold, headers=shop.once("k"))
    assert again.content == first.content, "what was promised then is answered for ever"
    assert await batch(client, clock.now + 14 * DAY) == 1
    assert client.chain.run("select total::int from exchange.batch") == [{"total": 600}]
    rest = (await refund(client, shop, made["id"])).json()
    assert (rest["points"], rest["cancelled"], rest["receipt"], rest["status"]) == ("6.00", "0.00", None, "accepted")
    assert client.chain.run("select points, taken from exchange.refund order by id") == [
        {"points": 0, "taken": 0}, {"points": 600, "taken": 600},
    ]  # fmt: skip


async def test_a_purchase_that_is_returned_whole_is_cancelled_and_never_minted(client: Client, clock: Clock) -> None:
    shop = await client.shop(return_window=14)
    await client.customer(shop)
    made = await buy(client, shop, amount="10.00", purchased_at=day(clock.now))
    gone = (await refund(client, shop, made["id"])).json()
    assert (gone["cancelled"], gone["receipt"]["amount"]) == ("10.00", "0.00")
    assert (await status(client, shop, made["id"]))["status"] == "cancelled"
    assert await batch(client, clock.now + 99 * DAY) == 0
    shown = (await client.http.get(f"/v1/purchases/{made['id']}/refunds", headers=shop.auth)).json()["refunds"]
    assert [(each["status"], each["cancelled"], each["burned"]) for each in shown] == [("final", "10.00", None)]


async def test_terms_change_for_what_is_accepted_from_then_on(client: Client, clock: Clock) -> None:
    shop = await client.shop()
    await client.customer(shop)
    before = await buy(client, shop, reference="before", purchased_at=day(clock.now))
    path = f"/v1/merchants/{shop.id}/terms"
    changed = await client.http.patch(path, json={"return_window": 3}, headers=shop.auth)
    assert changed.json() == {"points_per_unit": "1.000000", "return_window": 3, "offset_shortfalls": False}
    await asyncio.gather(
        *(client.http.patch(path, json={"points_per_unit": str(n)}, headers=shop.auth) for n in range(2, 10))
    )
    after = await buy(client, shop, reference="after", amount="1.00", purchased_at=day(clock.now))
    assert (before["status"], after["status"]) == ("accepted", "pending")
    [newest] = client.chain.run("select max(version) as v, count(*) as n from exchange.earning_rule")
    assert newest == {"v": 10, "n": 10}
    shown = (await client.http.get(f"/v1/merchants/{shop.id}", headers=shop.auth)).json()
    assert shown["return_window"] == 3
    assert float(after["earned"]) == float(shown["points_per_unit"])
    refused = await client.http.patch(path, json={"return_window": 366}, headers=shop.auth)
    assert refused.status_code == 422


async def test_the_database_lets_a_merchant_cancel_what_is_not_batched_and_nothing_else(
    client: Client, clock: Clock
) -> None:
    shop = await client.shop(return_window=14)
    await client.customer(shop)
    await buy(client, shop, amount="10.00", purchased_at=day(clock.now))
    with acting(client.chain.url, "points_merchant", shop.id) as merchant:
        with pytest.raises(psycopg.errors.CheckViolation):
            merchant.execute("update exchange.purchase set cancelled = points + 1")
        for column in ("points", "available_at", "reference", "batch_number"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                merchant.execute(f"update exchange.purchase set {column} = {column}".encode())  # noqa: S608
        await batch(client, clock.now + 99 * DAY)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            merchant.execute("update exchange.purchase set cancelled = 1")


async def test_refunds_against_batching_mint_what_they_left_and_no_more(client: Client, clock: Clock) -> None:
    """Each purchase's last word: what is in its batch, less what is to be clawed back, is what was not refunded."""
    shop, chance = await client.shop(), random.Random(7)
    await client.customer(shop)
    bought = [(await buy(client, shop, amount="10.00"))["id"] for _ in range(60)]
    client.chain.run("update exchange.purchase set available_at = accepted_at + (random() * 30)::int")
    stop, begun = asyncio.Event(), time.monotonic()

    async def relay() -> None:
        while not stop.is_set():
            client.chain.run("update exchange.call set state = 'refused', failure = 'gone' where state = 'queued'")
            await batch(client, clock.now + 60 * (time.monotonic() - begun))  # every window is over in half a second
            await asyncio.sleep(chance.uniform(0, 0.02))

    async def give_back(purchase: str) -> None:
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0, 0.4))
            assert (await refund(client, shop, purchase, amount="2.00")).status_code == 201

    batchers = [asyncio.create_task(relay()) for _ in range(2)]
    await asyncio.gather(*(give_back(each) for each in bought))
    stop.set()
    await asyncio.gather(*batchers)
    client.chain.run("update exchange.call set state = 'refused', failure = 'gone' where state = 'queued'")
    await batch(client, clock.now + 60)
    found = client.chain.run(
        "select p.id, p.points - p.cancelled as minted, (p.batch_number is null) as waits, sum(r.cancelled)::int as"
        " cancelled, max(r.taken)::int as taken, p.cancelled as total from exchange.purchase p"
        " join exchange.refund r on r.purchase_id = p.id group by p.merchant_id, p.id"
    )
    assert len(found) == 60
    assert {row["minted"] - row["taken"] for row in found} == {400}
    assert all(row["cancelled"] == row["total"] and not row["waits"] for row in found)
    [sums] = client.chain.run(
        "select (select sum(total)::int from exchange.batch) as batched,"
        " (select sum(points - cancelled)::int from exchange.purchase) as minted"
    )
    assert sums["batched"] == sums["minted"]
    [seen] = client.chain.run("select max(cancelled) as before, max(points) as after from exchange.refund")
    assert seen == {"before": 200, "after": 200}, "refunds came before and after their batch"


async def refunded_while_placed(client: Client, clock: Clock, *, cancelled: int) -> int:
    """Batches three purchases of 1,000 while a refund of the second has its row. How many were batched."""
    shop = await client.shop()
    await client.customer(shop)
    for _ in range(3):
        await buy(client, shop, amount="10.00")
    async with await psycopg.AsyncConnection.connect(client.chain.url) as refunding:
        await refunding.execute(
            "update exchange.purchase set cancelled = %s"
            " where id = (select id from exchange.purchase order by id offset 1 limit 1)",
            (cancelled,),
        )
        batching = asyncio.create_task(batch(client, clock.now))
        while not client.chain.run("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):
            assert not batching.done(), "it waits for the refund"
            await asyncio.sleep(0.01)
    return await batching


async def test_a_refund_while_its_purchase_is_being_placed_undoes_the_batch(client: Client, clock: Clock) -> None:
    assert await refunded_while_placed(client, clock, cancelled=300) == 0
    assert client.chain.run("select 1 from exchange.call where kind = 'mint'") == []
    assert await batch(client, clock.now) == 3
    assert client.chain.run("select number, total::int from exchange.batch") == [{"number": 1, "total": 2700}]


async def test_a_refund_of_all_while_its_purchase_is_being_placed_leaves_no_gap(client: Client, clock: Clock) -> None:
    assert await refunded_while_placed(client, clock, cancelled=1000) == 0
    assert await batch(client, clock.now) == 2
    assert client.chain.run("select number, total::int from exchange.batch") == [{"number": 1, "total": 2000}]
    assert client.chain.run("select batch_index from exchange.purchase where batch_index is not null order by 1") == [
        {"batch_index": 0}, {"batch_index": 1},
    ]  # fmt: skip


async def test_pending_points_cost_the_batcher_nothing(client: Client, clock: Clock) -> None:
    """A hundred thousand purchases wait for their windows, ten are due: the index leads to the ten."""
    shop = await client.shop()
    await client.customer(shop)
    await buy(client, shop)
    columns = (
        "merchant_id, reference, fingerprint, customer_id, holder, amount_minor, purchased_at, points, rule_version,"
        " salt, accepted_at, mint_by, signature, commitment"
    )
    client.chain.run(
        f"insert into exchange.purchase (id, {columns}, available_at)"  # noqa: S608
        f" select gen_random_uuid(), {columns.replace('reference', 'reference || n')},"
        " accepted_at + case when n > 9 then 86400 else 0 end from exchange.purchase, generate_series(1, 100000) n"
    )
    with psycopg.connect(client.chain.url, autocommit=True) as connection:
        for statistics in ("", "analyze exchange.purchase"):
            connection.execute(statistics.encode())
            explain = "explain (analyze, format text) "
            for query, arguments in (
                (_PLACE, {"merchant": UUID(shop.id), "first": 1, "size": 200, "most": 200, "now": int(clock.now)}),
                (_DUE, {"now": int(clock.now), "others": 199}),
            ):
                with connection.transaction(force_rollback=True):  # placing is undone
                    found = connection.execute((explain + query).encode(), arguments).fetchall()
                plan = "\n".join(str(row[0]) for row in found)
                touched = [
                    float(rows) for rows in re.findall(r"(?:using|on) purchase_queue .* rows=([\d.]+) loops", plan)
                ]
                assert touched, plan
                assert max(touched) <= 10, plan
                assert "Seq Scan on purchase" not in plan, plan


async def test_a_cancellation_is_told_by_webhook_without_a_word_of_a_person(client: Client, clock: Clock) -> None:
    shop = await client.shop(return_window=14)
    await client.customer(shop)
    hook = {"url": "https://shop.example/hook", "events": ["refund.cancelled"]}
    assert (await client.http.post("/v1/webhooks", json=hook, headers=shop.auth)).status_code == 201
    made = await buy(client, shop, amount="10.00", purchased_at=day(clock.now))
    gone = (await refund(client, shop, made["id"], amount="4.00")).json()
    [kind] = [kind for kind in KINDS if kind.name == "refund.cancelled"]
    with psycopg.connect(client.chain.url, autocommit=True, options="-c role=points_notifier") as notifier:
        arguments = {"kind": kind.name, "low": int(time.time()) - 60, "high": int(time.time()) + 60}
        notifier.execute(INSERT.format(source=kind.source).encode(), arguments)
    [event] = client.chain.run("select data from exchange.webhook_event")
    assert event["data"] == {
        "refund": gone["id"], "purchase": made["id"], "customer": made["customer"], "cancelled": "4.00", "left": "6.00",
    }  # fmt: skip
