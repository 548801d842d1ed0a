"""What happens is told, signed, at least once, whatever receivers do; and never to an address inside."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import psycopg
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from exchange.settings import Settings
from exchange.webhooks import sending
from exchange.webhooks.__main__ import ROLE, session
from exchange.webhooks.deriving import derive
from exchange.webhooks.destination import is_public, may_connect
from exchange.webhooks.kinds import NAMES
from exchange.webhooks.sending import Sender
from tests.conftest import ROOT
from tests.gateway.conftest import Client, Shop, sale
from tests.gateway.receiver import Receiver, receiving
from tests.gateway.serving import environment

ALL = list(NAMES)


@pytest.fixture
def make_settings(make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    """Receivers are on this machine."""
    return lambda **more: make_settings(**{"webhook_loopback": True, **more})


class Desk:
    """A merchant with a receiver, and a notifier that does one thing at a time, each on a connection of its own."""

    def __init__(
        self,
        client: Client,
        deriving: psycopg.AsyncConnection[Any],
        connection: psycopg.AsyncConnection[Any],
        http: aiohttp.ClientSession,
    ) -> None:
        self.client, self.deriving, self.connection = client, deriving, connection
        self.sender = Sender(connection, http, client.settings.master, time.time)

    async def derive(self) -> None:
        while await derive(self.deriving, now=int(time.time())):
            pass

    async def send(self) -> int:
        taken = await self.sender.take()
        await asyncio.gather(*(self.sender.send(rows) for rows in taken.values()))
        return sum(len(rows) for rows in taken.values())

    async def again(self) -> int:
        """Another try of what waits for one."""
        self.client.chain.run("update exchange.webhook_delivery set next_at = now() where delivered_at is null")
        return await self.send()

    async def add(self, shop: Shop, url: str, *events: str) -> dict[str, Any]:
        body = {"url": url, "events": list(events) or ALL}
        answer = await self.client.http.post("/v1/webhooks", json=body, headers=shop.auth)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def get(self, shop: Shop, path: str) -> dict[str, Any]:
        answer = await self.client.http.get(f"/v1/webhooks/{path}", headers=shop.auth)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest_asyncio.fixture
async def desk(client: Client, database: str) -> AsyncIterator[Desk]:
    async with (
        await psycopg.AsyncConnection.connect(database, autocommit=True, options=ROLE) as deriving,
        await psycopg.AsyncConnection.connect(database, autocommit=True, options=ROLE) as sql,
        session(client.settings) as http,
    ):
        yield Desk(client, deriving, sql, http)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as made:
        yield made


async def bought(client: Client, shop: Shop, *, number: int = 1) -> str:
    """A purchase, and its batch in the mirror."""
    answer = await client.http.post("/v1/purchases", json=sale(), headers=shop.once())
    assert answer.status_code == 201, answer.text
    id = str(answer.json()["id"])
    client.chain.run("update exchange.purchase set batch_number = %s, batch_index = 0 where id = %s", number, id)
    minted(client, shop, number)
    return id


def minted(client: Client, shop: Shop, number: int) -> int:
    return client.chain.mine(holding=lambda block: client.chain.run(
        "insert into mirror.batch (programme, number, block, log_index, transaction_index, receipts_root, entries_hash,"
        " total, count) values (%s, %s, %s, 1, 0, '', '', 1234, 1)",
        shop.programme, number, block,
    ))  # fmt: skip


async def ready(desk: Desk, receiver: Receiver, *events: str) -> tuple[Shop, dict[str, Any]]:
    """A shop with a customer and an endpoint; the notifier has begun."""
    shop = await desk.client.shop()
    await desk.client.customer(shop)
    made = await desk.add(shop, receiver.url, *events)
    await desk.derive()
    return shop, made


# --- what is told


@pytest.mark.asyncio
async def test_a_purchase_is_told_when_it_is_minted_and_when_it_is_final(desk: Desk, receiver: Receiver) -> None:
    shop, made = await ready(desk, receiver)
    purchase = await bought(desk.client, shop)
    await desk.derive()
    assert (await desk.send(), await desk.send()) == (1, 0)
    [event] = receiver.events(made["secret"])
    assert (event["type"], event["data"]["purchase"], event["data"]["points"]) == (
        "purchase.confirmed",
        purchase,
        "12.34",
    )
    desk.client.chain.mine(finalized=desk.client.chain.mine())
    await desk.derive()
    await desk.send()
    assert [each["type"] for each in receiver.events(made["secret"])] == ["purchase.confirmed", "purchase.final"]


@pytest.mark.asyncio
async def test_everything_else_that_happens_on_the_chain_is_told_to_whom_it_concerns(
    desk: Desk, receiver: Receiver
) -> None:
    client = desk.client
    shop, made = await ready(desk, receiver)
    other = await client.shop("other")
    theirs = await desk.add(other, receiver.url)
    purchase = await bought(client, shop)
    refund = await client.http.post(f"/v1/purchases/{purchase}/refunds", json={"reference": "r"}, headers=shop.once())
    holder, block = b"h" * 20, client.chain.mine()
    clawback = "insert into mirror.clawback values (%s, 2, %s, 1, 0, %s, '', 1000, 234)"
    client.chain.run(clawback, block, shop.programme, holder)
    client.chain.run(
        "insert into mirror.redemption values (%s, 3, %s, %s, %s, %s, 500)", block, b"1" * 32, shop.programme, holder,
        b"o" * 32,
    )  # fmt: skip
    client.chain.run(
        "insert into mirror.swap values (%s, 4, %s, %s, %s, %s, 700, 690, 6900000, 100)", block, b"2" * 32,
        shop.programme, other.programme, holder,
    )  # fmt: skip
    client.chain.run(
        "insert into mirror.gift values (%s, 5, %s, %s, %s, %s, 0, 300, 2940000)", block, b"3" * 32, shop.programme,
        b"c" * 20, holder,
    )  # fmt: skip
    hold = {"member": "card-1", "amount": "1.00", "order": "o", "seconds": 60}
    client.chain.credit(shop.programme, bytes.fromhex((await client.customer(shop))["holder"][2:]), 100)
    held = (await client.http.post("/v1/holds", json=hold, headers=shop.once())).json()["id"]
    client.chain.run("update exchange.hold set expires_at = expires_at - 61")
    await desk.derive()
    await desk.send()
    told: dict[str, Any] = {}
    for headers, body in receiver.taken:
        event = json.loads(body)
        mine = made if _verifies(made["secret"], headers, body) else theirs
        told[f"{'mine' if mine is made else 'theirs'} {event['type']}"] = event["data"]
    assert set(told) == {
        "mine purchase.confirmed", "mine refund.confirmed", "mine redemption.confirmed", "mine swap.paid",
        "mine gift.confirmed", "mine hold.expired", "theirs swap.received",
    }  # fmt: skip
    refunded = told["mine refund.confirmed"]
    assert (refunded["refund"], refunded["burned"], refunded["shortfall"]) == (refund.json()["id"], "10.00", "2.34")
    assert told["theirs swap.received"]["value"] == "6.900000"
    assert told["mine gift.confirmed"]["value"] == "2.940000"
    assert told["mine hold.expired"]["hold"] == held
    assert b"card-1" not in b"".join(body for _, body in receiver.taken)


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.asyncio
async def test_only_what_is_asked_for_and_only_from_then_on_is_told(desk: Desk, receiver: Receiver) -> None:
    shop = await desk.client.shop()
    await desk.client.customer(shop)
    await bought(desk.client, shop, number=1)
    await desk.derive()
    made = await desk.add(shop, receiver.url, "purchase.final")
    await bought(desk.client, shop, number=2)
    await desk.derive()
    assert await desk.send() == 0
    desk.client.chain.mine(finalized=desk.client.chain.mine())
    await desk.derive()
    await desk.send()
    assert {each["type"] for each in receiver.events(made["secret"])} == {"purchase.final"}


@pytest.mark.asyncio
async def test_what_a_reorganisation_moves_is_told_once_and_what_it_brings_is_told(
    desk: Desk, receiver: Receiver
) -> None:
    client = desk.client
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    first = await bought(client, shop, number=1)
    await desk.derive()
    last = client.chain.run("select next_block - 1 as head from mirror.cursor")[0]["head"]
    # The block leaves; another of the same height has the same batch, and one that is new.
    client.chain.run("delete from mirror.batch where block = %s", last)
    client.chain.run("update mirror.block set hash = %s where number = %s", b"x" * 32, last)
    client.chain.run("update mirror.cursor set tip = %s", b"x" * 32)
    second = await bought(client, shop, number=2)
    client.chain.run("update mirror.batch set block = %s where number = 2", last)
    client.chain.run(
        "insert into mirror.batch values (%s, 1, %s, 9, 0, '', '', 1234, 1)", shop.programme, last + 1
    )  # fmt: skip
    await desk.derive()
    while await desk.send():
        pass
    told = [each["data"]["purchase"] for each in receiver.events(made["secret"])]
    assert sorted(told) == sorted([first, second])


@pytest.mark.asyncio
async def test_two_notifiers_derive_every_event_once(desk: Desk, receiver: Receiver, database: str) -> None:
    shop, _ = await ready(desk, receiver, "purchase.confirmed")
    for number in range(1, 31):
        await bought(desk.client, shop, number=number)

    async def notifier() -> None:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True, options=ROLE) as connection:
            for _ in range(5):
                await derive(connection, now=int(time.time()))

    await asyncio.gather(*(notifier() for _ in range(6)))
    [counted] = desk.client.chain.run(
        "select (select count(*) from exchange.webhook_event) as events,"
        " (select count(*) from exchange.webhook_delivery) as deliveries"
    )
    assert counted == {"events": 30, "deliveries": 30}


# --- how it is delivered


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("behaviour", "status", "said"),
    [("500", 500, "500"), ("404", 404, "404"), ("redirect", 307, "not followed"), ("drop", None, "failed")],
)
async def test_a_receiver_that_fails_is_tried_again_with_the_same_id_until_it_takes_it(
    desk: Desk, receiver: Receiver, behaviour: str, status: int | None, said: str
) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    await bought(desk.client, shop)
    await desk.derive()
    receiver.behaviour = behaviour
    assert (await desk.send(), await desk.send()) == (1, 0), "the next try waits"
    [delivery] = (await desk.get(shop, f"{made['id']}/deliveries"))["deliveries"]
    assert (delivery["status"], delivery["tries"], delivery["delivered_at"]) == (status, 1, None)
    assert said in delivery["failure"]
    assert (await desk.get(shop, made["id"]))["status"] == "failing"
    receiver.behaviour, receiver.taken = "take", []
    await desk.again()
    [delivery] = (await desk.get(shop, f"{made['id']}/deliveries"))["deliveries"]
    assert (delivery["status"], delivery["tries"], delivery["failure"]) == (204, 2, None)
    assert (await desk.get(shop, made["id"]))["status"] == "enabled"
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    assert receiver.elsewhere == 0


@pytest.mark.asyncio
async def test_a_receiver_that_hangs_is_given_up_on_and_keeps_no_other_waiting(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    receiver.behaviour = "hang"
    async with receiving(Receiver()) as quick:
        await desk.add(shop, quick.url, "purchase.confirmed")
        await bought(desk.client, shop)
        await desk.derive()
        desk.sender.session._timeout = aiohttp.ClientTimeout(total=3)
        running = asyncio.create_task(desk.sender.run())
        for number in range(2, 5):
            await bought(desk.client, shop, number=number)
            await desk.derive()
        await _until(lambda: len(quick.taken) == 4, seconds=2.5)
        await _until(lambda: bool(desk.client.chain.run("select 1 from exchange.webhook_delivery where failure > ''")))
        running.cancel()
    [failed, *_] = (await desk.get(shop, f"{made['id']}/deliveries?undelivered=true"))["deliveries"][::-1]
    assert "did not answer" in failed["failure"]


async def _until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_what_a_killed_sender_had_taken_is_sent_by_another(desk: Desk, receiver: Receiver) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    await bought(desk.client, shop)
    await desk.derive()
    killed = Sender(desk.connection, desk.sender.session, desk.client.settings.master, time.time, lease=0.2)
    assert len(await killed.take()) == 1  # and no more is heard of it
    assert await desk.send() == 0, "the other may still be sending it"
    await asyncio.sleep(0.3)
    assert await desk.send() == 1
    assert len(receiver.events(made["secret"])) == 1


@pytest.mark.asyncio
async def test_an_endpoint_that_fails_for_days_is_disabled_until_it_is_enabled_and_then_gets_everything(
    desk: Desk, receiver: Receiver
) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    receiver.behaviour = "503"
    await bought(desk.client, shop, number=1)
    await desk.derive()
    await desk.send()
    desk.client.chain.run("update exchange.webhook_endpoint set failing_since = now() - interval '5 days 1 minute'")
    await desk.again()
    shown = await desk.get(shop, made["id"])
    assert (shown["status"], shown["reason"]) == ("disabled", "No delivery succeeded for 5 days.")
    await bought(desk.client, shop, number=2)
    await desk.derive()
    receiver.behaviour = "take"
    assert await desk.again() == 0
    enabled = await desk.client.http.post(f"/v1/webhooks/{made['id']}/enable", headers=shop.auth)
    assert enabled.json()["status"] == "enabled"
    await desk.send()
    assert len(receiver.events(made["secret"])) == 2


@pytest.mark.asyncio
async def test_an_endpoint_that_says_it_is_gone_is_asked_no_more(desk: Desk, receiver: Receiver) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    receiver.behaviour = "410"
    await bought(desk.client, shop)
    await desk.derive()
    await desk.send()
    assert await desk.again() == 0
    assert (await desk.get(shop, made["id"]))["status"] == "disabled"


@pytest.mark.asyncio
async def test_an_event_is_sent_again_when_the_merchant_asks(desk: Desk, receiver: Receiver) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    await bought(desk.client, shop)
    await desk.derive()
    await desk.send()
    [delivery] = (await desk.get(shop, f"{made['id']}/deliveries"))["deliveries"]
    path = f"/v1/webhooks/{made['id']}/deliveries/{delivery['event']}/redeliver"
    assert (await desk.client.http.post(path, headers=shop.auth)).status_code == 202
    assert await desk.send() == 1
    first, second = receiver.taken
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])


@pytest.mark.asyncio
async def test_deliveries_are_paged_newest_first(desk: Desk, receiver: Receiver) -> None:
    shop, made = await ready(desk, receiver, "purchase.confirmed")
    purchases = [await bought(desk.client, shop, number=number) for number in range(1, 6)]
    await desk.derive()
    seen: list[str] = []
    before = ""
    while True:
        page = await desk.get(shop, f"{made['id']}/deliveries?limit=2{before}")
        seen += [each["data"]["purchase"] for each in page["deliveries"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert sorted(seen) == sorted(purchases)


@pytest.mark.asyncio
async def test_a_merchant_sees_only_its_own_endpoints_and_the_secret_once(desk: Desk, receiver: Receiver) -> None:
    shop, made = await ready(desk, receiver)
    other = await desk.client.shop("other")
    for method, path in (
        ("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("GET", "/deliveries"),
        ("POST", f"/deliveries/{made['id']}/redeliver"),
    ):  # fmt: skip
        answer = await desk.client.http.request(method, f"/v1/webhooks/{made['id']}{path}", headers=other.auth)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (404, "webhook-not-found"), path
    assert (await desk.client.http.get("/v1/webhooks", headers=other.auth)).json() == {"webhooks": []}
    [listed] = (await desk.client.http.get("/v1/webhooks", headers=shop.auth)).json()["webhooks"]
    assert "secret" not in listed
    [row] = desk.client.chain.run("select secret from exchange.webhook_endpoint")
    assert made["secret"].removeprefix("whsec_").encode() not in bytes(row["secret"])
    assert (await desk.client.http.delete(f"/v1/webhooks/{made['id']}", headers=shop.auth)).status_code == 204
    for _ in range(10):
        await desk.add(shop, receiver.url)
    more = await desk.client.http.post("/v1/webhooks", json={"url": receiver.url, "events": ALL}, headers=shop.auth)
    assert (more.status_code, more.json()["type"].rpartition(":")[2]) == (409, "too-many-webhooks")


# --- where it never goes

INTERNAL = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
    "224.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1",
    "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2001:0:7f00::1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INTERNAL)
def test_internal_addresses_are_told_from_public_ones(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    assert not may_connect(address, loopback=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0",
    "[::]", "localhost.",
])  # fmt: skip
@pytest.mark.asyncio
async def test_a_connection_to_this_machine_is_never_opened_however_it_is_written(
    host: str, make_settings: Callable[..., Settings], receiver: Receiver
) -> None:
    async with session(make_settings(webhook_loopback=False)) as http:
        answer = await sending.post(http, f"http://{host}:{receiver.port}/hook", "{}", {})
    assert answer.failure is not None
    assert receiver.seen == []


@pytest.mark.asyncio
async def test_a_name_is_checked_at_the_address_that_is_connected_to(
    make_settings: Callable[..., Settings], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a name was resolved to before, and however many addresses it has."""

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        return [
            {"hostname": host, "host": each, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            for each in ("10.0.0.1", "127.0.0.1")
        ]

    asked: list[str] = []

    def judged(address: str, *, loopback: bool) -> bool:
        asked.append(address)
        return may_connect(address, loopback=loopback)

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    monkeypatch.setattr("exchange.webhooks.destination.may_connect", judged)
    async with session(make_settings(webhook_loopback=False)) as http:
        answer = await sending.post(http, f"http://rebinding.example:{receiver.port}/hook", "{}", {})
    assert "not public" in (answer.failure or "")
    assert (set(asked), receiver.seen) == ({"10.0.0.1", "127.0.0.1"}, [])


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("http://shop.example/hook", None), ("https://shop.example:8443/hook?a=b", None),
        ("ftp://shop.example/", "webhook-url-refused"), ("https://", "webhook-url-refused"),
        ("https://user:word@shop.example/", "webhook-url-refused"), ("https://shop.example/#a", "webhook-url-refused"),
        ("https://shop.example:99999/", "webhook-url-refused"), ("https://sh\u00f6p.example/", "webhook-url-refused"),
        ("https://10.1.2.3/", "webhook-address-refused"), ("https://[fd00::1]/", "webhook-address-refused"),
        ("https://169.254.169.254/latest/meta-data", "webhook-address-refused"),
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_an_endpoints_url_is_judged_at_the_door(client: Client, url: str, slug: str | None) -> None:
    shop = await client.shop()
    answer = await client.http.post("/v1/webhooks", json={"url": url, "events": ALL}, headers=shop.auth)
    if slug is None:
        assert answer.status_code == 201, answer.text
    else:
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, slug)


def test_production_sends_nothing_to_itself_and_takes_https_only() -> None:
    own = {"master_key": "ab" * 32, "pepper": "p", "operator_api_key": "o", "environment": "production"}
    with pytest.raises(ValueError, match="POINTS_WEBHOOK_LOOPBACK"):
        Settings(database_url="u", deployment="d.json", webhook_loopback=True, **own)  # type: ignore[arg-type]


@given(tries=st.integers(1, 200), chance=st.floats(0, 1))
def test_waits_grow_to_six_hours_and_are_spread(tries: int, chance: float) -> None:
    assert 3.75 <= sending.wait(tries, chance) <= 1.25 * 6 * 3600
    assert sending.wait(tries + 1, 0.5) >= sending.wait(tries, 0.5)


# --- the process


@pytest.mark.asyncio
async def test_events_survive_kills_of_two_notifiers_and_of_nobody_else(
    client: Client, receiver: Receiver, make_settings: Callable[..., Settings]
) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    variables = environment(client.settings, POINTS_WEBHOOK_LOOPBACK="true")

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "exchange.webhooks"], env=variables, cwd=ROOT)

    shop = await client.shop()
    await client.customer(shop)
    body = {"url": receiver.url, "events": ["purchase.confirmed"]}
    secret = (await client.http.post("/v1/webhooks", json=body, headers=shop.auth)).json()["secret"]
    running = [start(), start()]
    await _until(lambda: bool(client.chain.run("select 1 from exchange.webhook_cursor")))
    made = []
    try:
        for number in range(1, 61):
            made.append(await bought(client, shop, number=number))
            if number % 12 == 0:
                victim = chance.randrange(2)
                running[victim].send_signal(signal.SIGKILL)
                running[victim].wait()
                running[victim] = start()
            if number == 30:
                receiver.behaviour = "500"
            if number == 40:
                receiver.behaviour = "take"
        client.chain.run("update exchange.webhook_delivery set next_at = now() where delivered_at is null")

        def told() -> bool:
            client.chain.run("update exchange.webhook_delivery set next_at = now() where next_at > now() + '1 second'")
            return {each["data"]["purchase"] for each in receiver.events(secret)} == set(made)

        await _until(told, seconds=60)
    finally:
        for process in running:
            process.terminate()
            assert process.wait(timeout=15) in (0, -signal.SIGTERM)
    count = len(receiver.taken)
    print(f"{len(made)} events, {count} deliveries taken")  # noqa: T201
