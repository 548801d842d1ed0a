"""The gateway says what it offers and whether it can serve, and outlives its database and its own process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import structlog
from eth_account import Account
from structlog.testing import capture_logs

from exchange.errors import ExchangeError
from exchange.settings import Settings
from tests.gateway.conftest import OPERATOR, Client, create_tables, sale


@pytest.mark.asyncio
async def test_readiness_follows_the_mirror_and_purchases_do_not(client: Client) -> None:
    async def ready() -> tuple[int, dict[str, Any]]:
        answer = await client.http.get("/readyz")
        return answer.status_code, answer.json()

    status, body = await ready()
    assert (status, body["ready"], body["accepting"], body["mirror"]) == (503, False, True, "empty")
    client.chain.mine(at=time.time() - 1_000)
    status, body = await ready()
    assert (status, body["accepting"], body["mirror"]) == (503, True, "stale")
    client.chain.mine()
    status, body = await ready()
    assert (status, body["ready"], body["mirror"], body["as_of"]["block"]) == (200, True, "fresh", 2)
    client.chain.run("drop schema mirror cascade")
    assert (await ready())[1]["mirror"] == "empty"


@pytest.mark.asyncio
async def test_metrics_count_requests_by_route_and_refusals_by_type(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    await client.http.post("/v1/purchases", json=sale(), headers=shop.once())
    await client.http.post("/v1/purchases", json=sale(member="nobody"), headers=shop.once())
    await client.http.get("/v1/customers/00000000-0000-0000-0000-000000000000", headers=shop.auth)
    text = (await client.http.get("/metrics")).text
    assert 'points_http_requests_total{method="POST",route="/v1/purchases",status="201"} 1.0' in text
    assert 'route="/v1/customers/{id}",status="404"} 1.0' in text
    assert "points_purchases_accepted_total 1.0" in text
    assert 'points_refusals_total{type="customer-not-found"} 2.0' in text


@pytest.mark.asyncio
async def test_a_request_is_logged_by_its_id_and_what_it_made_and_nothing_of_a_person(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    secret = sale(reference="secret-reference", store="secret-store")
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        made = await client.http.post("/v1/purchases", json=secret, headers={**shop.once(), "x-request-id": "till-7"})
        own = await client.http.post("/v1/purchases", json=sale(member="secret-member"), headers=shop.once())
        odd = {**shop.once(), "x-request-id": "spaces and more"}
        await client.http.get("/v1/purchases?reference=secret-unknown", headers=odd)
        await client.http.get("/v1/programmes")
    accepted, refused, missing = lines
    assert made.headers["x-request-id"] == accepted["request"] == "till-7"
    assert (accepted["purchase"], accepted["route"], accepted["status"]) == (made.json()["id"], "/v1/purchases", 201)
    assert own.headers["x-request-id"] == refused["request"] != "till-7"
    assert (refused["problem"], missing["problem"]) == ("customer-not-found", "purchase-not-found")
    assert missing["request"] != "spaces and more"
    assert "secret" not in str(lines)


@pytest.mark.asyncio
async def test_the_description_has_an_example_of_every_problem_that_exists(client: Client) -> None:
    document = (await client.http.get("/openapi.json")).json()
    text = str(document)
    for kind in ExchangeError.__subclasses__():
        undocumented = {"not-found", "method-not-allowed", "request-too-large"}
        if kind.slug not in undocumented and kind.__module__ == "exchange.errors":
            assert f"urn:points-exchange:problem:{kind.slug}'" in text, kind.slug
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), (method, path)
            if path.startswith("/v1"):
                assert "application/problem+json" in operation["responses"]["503"]["content"], (method, path)
    references = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert references <= set(document["components"]["schemas"])


def test_every_refusal_has_its_own_stable_slug() -> None:
    kinds = [kind for kind in ExchangeError.__subclasses__() if kind.__module__ == "exchange.errors"]
    slugs = [kind.slug for kind in kinds]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)


@pytest.mark.asyncio
async def test_programmes_show_quote_supply_margin_and_coverage(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    client.chain.quote(one.programme, bid=98 * 10**9, ask=10**11)
    client.chain.margin(one.programme, 49_000_000)
    client.chain.credit(one.programme, b"h" * 20, 1_000_000)
    client.chain.open(one.programme, other.programme)
    answer = (await client.http.get("/v1/programmes")).json()
    shown = {each["slug"]: each for each in answer["programmes"]}
    assert shown["one"]["supply"] == "10000.00"
    assert (shown["one"]["margin"], shown["one"]["coverage"]) == ("49.000000", "0.5000")
    assert (shown["one"]["quote"]["bid"], shown["one"]["quote"]["ask"]) == ("0.0098", "0.01")
    assert [partner.lower() for partner in shown["one"]["partners"]] == ["0x" + other.programme.hex()]
    assert shown["other"]["quote"] is None
    merchant = (await client.http.get(f"/v1/merchants/{one.id}", headers=one.auth)).json()
    assert (merchant["status"], merchant["market"]) == ("active", shown["one"])
    assert merchant["points_per_unit"] == "1.000000"


@pytest.mark.asyncio
async def test_a_worse_quote_that_was_followed_before_it_came_into_force_is_never_shown(client: Client) -> None:
    shop, day, now = await client.shop(), 86_400, time.time()

    async def bid() -> str:
        [shown] = (await client.http.get("/v1/programmes")).json()["programmes"]
        return str(shown["quote"]["bid"])

    client.chain.quote(shop.programme, bid=9 * 10**9, ask=10**11, at=now - 4 * day)
    client.chain.quote(shop.programme, bid=5 * 10**9, ask=10**11, at=now - 3 * day, notice=day)
    assert await bid() == "0.0005", "its notice is over"
    client.chain.quote(shop.programme, bid=7 * 10**9, ask=10**11, at=now - 3 * day + 60)
    assert await bid() == "0.0007", "a better one took its place meanwhile"
    client.chain.quote(shop.programme, bid=4 * 10**9, ask=10**11, at=now - 2 * day, notice=day)
    client.chain.quote(shop.programme, bid=3 * 10**9, ask=10**11, at=now - 60, notice=day)
    assert await bid() == "0.0004", "what was in force stays so until the notice of the next is over"


@pytest.mark.asyncio
async def test_onboarding_repeats_its_answer_without_the_key(client: Client) -> None:
    body = {"slug": "a", "name": "A", "symbol": "A", "currency": "USD"}
    headers = {**client.operator, "idempotency-key": "k"}
    answers = await asyncio.gather(*(client.http.post("/v1/merchants", json=body, headers=headers) for _ in range(5)))
    made = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {201}
    assert len({each["id"] for each in made}) == 1
    assert len([each for each in made if each["api_key"]]) == 1
    assert (client.counts()["merchant"], client.counts()["api_key"], client.counts()["call"]) == (1, 1, 1)


@pytest.mark.asyncio
async def test_an_owner_that_keeps_its_key_signs_what_it_is_shown(client: Client) -> None:
    owner = Account.from_key(b"\x09" * 32)
    shop = await client.shop("own", owner=owner.address, quote=None)
    path, body = f"/v1/merchants/{shop.id}/quote", {"bid": "0.01", "ask": "0.02", "until": int(time.time()) + 9_999}
    answer = await client.http.put(path, json=body, headers=shop.auth)
    problem = answer.json()
    assert (answer.status_code, problem["type"].rpartition(":")[2]) == (409, "owner-signature-needed")
    signed = Account.sign_typed_data(owner.key, full_message=problem["typed_data"])
    body |= {"nonce": 0, "signature": "0x" + signed.signature.hex().removeprefix("0x")}
    wrong = await client.http.put(path, json={**body, "ask": "0.03"}, headers=shop.auth)
    assert wrong.json()["type"].endswith("bad-signature")
    assert (await client.http.put(path, json=body, headers=shop.auth)).status_code == 202
    assert [call["kind"] for call in client.chain.run("select kind from exchange.call order by id")] == [
        "create", "deposit", "quote",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_failed_act_of_the_owner_leaves_no_gap_in_its_nonces(client: Client) -> None:
    shop = await client.shop()
    path = f"/v1/merchants/{shop.id}/quote"

    async def nonce_after_posting() -> int:
        assert (await client.http.put(path, json={"bid": "1", "ask": "1"}, headers=shop.auth)).status_code == 202
        newest = client.chain.run("select data from exchange.call where kind = 'quote' order by id desc limit 1")
        return int.from_bytes(bytes(newest[0]["data"])[4 + 5 * 32 : 4 + 6 * 32])

    assert await nonce_after_posting() == 1
    client.chain.run(
        "update exchange.call set state = 'refused', failure = 'InvalidQuote()'"
        " where id = (select max(id) from exchange.call where kind = 'quote')"
    )
    assert await nonce_after_posting() == 1
    assert await nonce_after_posting() == 2


@pytest.mark.asyncio
async def test_campaigns_and_charities_show_what_they_raised(client: Client) -> None:
    made = (await client.http.post("/v1/charities", json={"slug": "f", "name": "F"}, headers=client.operator)).json()
    account = bytes.fromhex(made["address"][2:])
    body = {"charity": "f", "title": "T", "goal": "5", "ends_at": "2099-01-01T00:00:00Z"}
    headers = {**client.operator, "idempotency-key": "c"}
    answers = [(await client.http.post("/v1/campaigns", json=body, headers=headers)).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["number"] == 1
    client.chain.charity(account)
    client.chain.campaign(1, account, 4_070_908_800)
    for campaign, value in ((1, 3_000_000), (0, 500_000)):
        client.chain.run(
            "insert into mirror.gift values (%s, 0, %s, %s, %s, %s, %s, 100, %s)",
            client.chain.mine(), bytes(32), b"p" * 20, account, b"h" * 20, campaign, value,
        )  # fmt: skip
    client.chain.run(
        "insert into mirror.matching values (%s, 0, %s, 1, %s, %s, 1500000)",
        client.chain.mine(), bytes(32), b"s" * 20, account,
    )  # fmt: skip
    shown = (await client.http.get(f"/v1/charities/{made['id']}")).json()
    assert (shown["status"], shown["raised"]) == ("active", "5.000000")
    campaign_ = (await client.http.get("/v1/campaigns/1")).json()
    assert (campaign_["status"], campaign_["raised"], campaign_["goal"]) == ("active", "4.500000", "5.000000")


@pytest.mark.asyncio
async def test_after_the_database_cut_every_connection_the_gateway_goes_on(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    with psycopg.connect(client.chain.url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like 'points%' and datname = current_database()"
        )
    body, headers = sale(), shop.once()
    for _ in range(20):
        answer = await client.http.post("/v1/purchases", json=body, headers=headers)
        if answer.status_code == 201:
            break
        assert answer.json()["type"].endswith("database-unavailable")
        await asyncio.sleep(0.1)
    assert answer.status_code == 201
    assert client.counts()["purchase"] == 1


@pytest.mark.asyncio
async def test_a_2xx_survives_a_kill_of_the_process(
    database: str, make_settings: Callable[..., Settings], unused_port: int, tmp_path: Path
) -> None:
    create_tables(database)
    settings = make_settings()
    environment = {
        **os.environ,
        "POINTS_DATABASE_URL": database,
        "POINTS_DEPLOYMENT": str(settings.deployment),
        "POINTS_OPERATOR_API_KEY": OPERATOR,
        "POINTS_PORT": str(unused_port),
    }

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", "exchange"], env=environment, cwd=Path.cwd())
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", unused_port)) == 0:
                    return process
            time.sleep(0.1)
        raise AssertionError("the gateway did not start")

    url = f"http://127.0.0.1:{unused_port}"
    process = start()
    try:
        async with httpx2.AsyncClient(base_url=url) as http:
            merchant = {"slug": "a", "name": "A", "symbol": "A", "currency": "USD"}
            answer = await http.post("/v1/merchants", json=merchant, headers={"authorization": f"Bearer {OPERATOR}"})
            headers = {"authorization": f"Bearer {answer.json()['api_key']}", "idempotency-key": "k"}
            await http.post("/v1/customers", json={"member": "card-1", "custodial": True}, headers=headers)
            body = sale()
            first = await http.post("/v1/purchases", json=body, headers=headers)
        assert first.status_code == 201
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start()
        async with httpx2.AsyncClient(base_url=url) as http:
            again = await http.post("/v1/purchases", json=body, headers=headers)
        assert again.content == first.content
        process.terminate()
        assert process.wait(timeout=15) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
