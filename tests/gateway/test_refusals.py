"""Every refusal: a stable type, a sentence, what to do; and nothing was half done."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from eth_account import Account

from exchange.app import create_app
from exchange.settings import Settings
from tests.gateway.conftest import Client, Shop, sale
from tests.gateway.test_intents import CHARITY, FRIEND, HOLDER, draft_and_sign, pair, wish


def refused(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:points-exchange:problem:{slug}"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    for name in ("title", "detail", "action"):
        assert len(problem[name]) > 10, name
    assert problem["detail"].endswith(".")
    assert problem["action"].endswith(".")
    return problem


class Unchanged:
    """Nothing in any table was added or taken away meanwhile."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __enter__(self) -> None:
        self.before = self.client.counts()

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            assert self.client.counts() == self.before


async def report(client: Client, shop: Shop, key: str | None = None, **more: Any) -> httpx2.Response:
    return await client.http.post("/v1/purchases", json=sale(**more), headers=shop.once(key))


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()

BAD_PURCHASES: list[tuple[str, dict[str, Any], int, str]] = [
    ("unknown member", {"member": "nobody"}, 404, "customer-not-found"),
    ("unknown customer", {"member": None, "customer": str(uuid4())}, 404, "customer-not-found"),
    ("negative", {"amount": "-1.00"}, 422, "invalid-amount"),
    ("zero", {"amount": "0.00"}, 422, "invalid-amount"),
    ("over-precise", {"amount": "1.001"}, 422, "invalid-amount"),
    ("no number", {"amount": "1e3"}, 422, "invalid-amount"),
    ("other digits", {"amount": "١٢"}, 422, "invalid-amount"),
    ("empty", {"amount": ""}, 422, "invalid-amount"),
    ("beyond 2^53", {"amount": "90071992547409.93"}, 422, "amount-too-large"),
    ("beyond the entry cap", {"amount": "1000000.01"}, 422, "amount-too-large"),
    ("number instead of string", {"amount": 12.34}, 422, "invalid-request"),
    ("wrong currency", {"currency": "EUR"}, 422, "wrong-currency"),
    ("currency of another form", {"currency": "usd"}, 422, "invalid-request"),
    ("in the future", {"purchased_at": TOMORROW}, 422, "invalid-purchase-time"),
    ("before 1970", {"purchased_at": "1969-12-31T23:59:59Z"}, 422, "invalid-purchase-time"),
    ("no offset", {"purchased_at": "2026-01-01T00:00:00"}, 422, "invalid-request"),
    ("Unix time", {"purchased_at": 1767225600}, 422, "invalid-request"),
    ("no customer", {"member": None}, 422, "invalid-request"),
    ("two customers", {"customer": str(uuid4())}, 422, "invalid-request"),
    ("no reference", {"reference": None}, 422, "invalid-request"),
    ("a zero byte", {"reference": "a\0b"}, 422, "invalid-request"),
    ("unknown field", {"amuont": "1"}, 422, "invalid-request"),
]


@pytest.mark.asyncio
async def test_bad_purchases_are_refused_whole(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    with Unchanged(client):
        for what, more, status, slug in BAD_PURCHASES:
            problem = refused(await report(client, shop, **more), status, slug)
            assert problem, what
        single = {"reference": "ok"}
        items = [sale(**{"reference": str(i), **more}) for i, (_, more, _, _) in enumerate(BAD_PURCHASES)]
    answer = await client.http.post("/v1/purchases/bulk", json={"purchases": items}, headers=shop.once())
    results = answer.json()["results"]
    for (what, _, status, slug), result in zip(BAD_PURCHASES, results, strict=True):
        assert result["problem"]["type"].endswith(f":{slug}"), what
        assert result["problem"]["status"] == status
    assert client.counts()["purchase"] == 0
    assert (await report(client, shop, **single)).status_code == 201


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield b" " * 100_000


@pytest.mark.asyncio
async def test_a_request_that_is_no_json_or_has_no_key_is_refused(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    with Unchanged(client):
        for path in ("/v1/purchases", "/v1/purchases/bulk"):
            refused(await client.http.post(path, content=b"{", headers=shop.once()), 422, "invalid-request")
            refused(await client.http.post(path, json=[], headers=shop.once()), 422, "invalid-request")
            for content in (b"\xff", b'{"reference":"\\ud800"}', b'{"reference":NaN}', b"[" * 500 + b"]" * 500):
                refused(await client.http.post(path, content=content, headers=shop.once()), 422, "invalid-request")
                member = await client.http.post("/v1/customers", content=content, headers=shop.auth)
                refused(member, 422, "invalid-request")
        missing = await client.http.post("/v1/purchases", json=sale(), headers=shop.auth)
        refused(missing, 400, "idempotency-key-missing")
        refused(await report(client, shop, "k" * 256), 422, "invalid-request")
        for large in (b" " * 5_000_000, _chunks()):
            answer = await client.http.post("/v1/purchases", content=large, headers=shop.once())
            refused(answer, 413, "request-too-large")
        many = {"purchases": [sale()] * 1001}
        refused(await client.http.post("/v1/purchases/bulk", json=many, headers=shop.once()), 422, "invalid-request")
    problem = refused(await client.http.post("/v1/purchases", json={}, headers=shop.once()), 422, "invalid-request")
    assert {"amount", "reference", "currency"} <= {field["field"] for field in problem["fields"]}


@pytest.mark.asyncio
async def test_keys_and_roles(client: Client) -> None:
    shop, rival = await client.shop(), await client.shop("rival")
    customer = await client.customer(shop)
    with Unchanged(client):
        wrong = {"authorization": "Bearer pex_dev_abc_def_000000", "idempotency-key": "k"}
        altered = {"authorization": f"Bearer {shop.key[:-1]}{'0' if shop.key[-1] != '0' else '1'}"}
        for headers in ({"idempotency-key": "k"}, wrong, altered, {"authorization": "Bearer"}):
            answer = await client.http.post("/v1/purchases", json=sale(), headers=headers)
            refused(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
        refused(await client.http.post("/v1/merchants", json=shop.body, headers=shop.auth), 403, "forbidden")
        operator = {**client.operator, "idempotency-key": "k"}
        refused(await client.http.post("/v1/purchases", json=sale(), headers=operator), 403, "forbidden")
        # Another merchant's things are as if absent.
        absent = refused(
            await client.http.get(f"/v1/customers/{uuid4()}", headers=rival.auth), 404, "customer-not-found"
        )
        foreign = refused(
            await client.http.get(f"/v1/customers/{customer['id']}", headers=rival.auth), 404, "customer-not-found"
        )
        assert absent["title"] == foreign["title"]
        refused(await client.http.get(f"/v1/merchants/{shop.id}", headers=rival.auth), 404, "merchant-not-found")
        refused(await report(client, rival), 404, "customer-not-found")
        refused(await client.http.get(f"/v1/purchases/{uuid4()}", headers=shop.auth), 404, "purchase-not-found")
        redeem = {"amount": "1.00", "order": "o"}
        path = f"/v1/customers/{customer['id']}/redeem"
        refused(await client.http.post(path, json=redeem, headers=rival.auth), 404, "customer-not-found")
    made = (await report(client, shop)).json()
    refused(await client.http.get(f"/v1/purchases/{made['id']}", headers=rival.auth), 404, "purchase-not-found")


@pytest.mark.asyncio
async def test_a_revoked_key_is_dead_at_once(client: Client) -> None:
    shop = await client.shop()
    path = f"/v1/merchants/{shop.id}/keys"
    asked = {"preset": "all"}
    fresh = (await client.http.post(path, json=asked, headers=client.operator)).json()["api_key"]
    assert (await client.http.get(f"/v1/merchants/{shop.id}", headers={"authorization": f"Bearer {fresh}"})).is_success
    prefix = fresh.split("_")[2]
    assert (await client.http.delete(f"{path}/{prefix}", headers=client.operator)).status_code == 204
    answer = await client.http.get(f"/v1/merchants/{shop.id}", headers={"authorization": f"Bearer {fresh}"})
    refused(answer, 401, "unauthenticated")
    refused(await client.http.delete(f"{path}/nothing", headers=client.operator), 404, "key-not-found")


@pytest.mark.asyncio
async def test_a_key_with_another_body_and_a_reference_with_other_facts(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    await client.customer(shop, "card-2")
    assert (await report(client, shop, "key", reference="r")).status_code == 201
    with Unchanged(client):
        refused(await report(client, shop, "key", reference="r2"), 422, "idempotency-key-reused")
        other_path = await client.http.post(
            "/v1/purchases/bulk", json={"purchases": [sale(reference="r")]}, headers=shop.once("key")
        )
        refused(other_path, 422, "idempotency-key-reused")
        for other in (
            {"amount": "12.35"}, {"member": "card-2"}, {"store": "elsewhere"}, {"purchased_at": "2026-01-02T03:04:06Z"},
        ):  # fmt: skip
            refused(await report(client, shop, reference="r", **other), 409, "reference-conflict")


@pytest.mark.asyncio
async def test_bad_intents_of_wallets(client: Client) -> None:
    one, other = await pair(client)
    stranger = await client.shop("stranger")
    client.chain.credit(one.programme, HOLDER, 10_000)
    charity = "0x" + CHARITY.hex()
    now = int(time.time())

    async def check(body: dict[str, Any], status: int, slug: str) -> None:
        with Unchanged(client):
            refused(await client.http.post("/v1/intents", json=body), status, slug)

    signed = await draft_and_sign(client, wish(one))
    await check({**signed, "amount": "5.01"}, 422, "bad-signature")
    await check({**signed, "signature": "0x" + "00" * 65}, 422, "bad-signature")
    await check({**signed, "signature": "0x" + "ff" * 64 + "1b"}, 422, "bad-signature")
    await check({**signed, "signature": "0x1234"}, 422, "bad-signature")
    await check({**signed, "holder": FRIEND}, 422, "bad-signature")
    await check({**signed, "deadline": signed["deadline"] + 1}, 422, "bad-signature")
    await check(await draft_and_sign(client, wish(one), late=True), 422, "deadline-passed")
    await check({**signed, "to": FRIEND[:-1] + "F"}, 422, "invalid-address")
    await check({**signed, "to": "0x" + "0" * 40}, 422, "invalid-address")
    await check({**signed, "programme": "nowhere"}, 404, "programme-not-found")
    await check({**signed, "into": "florist"}, 422, "invalid-request")
    await check({**signed, "amount": "0"}, 422, "invalid-amount")
    await check(await draft_and_sign(client, wish(one, amount="100.01")), 409, "not-enough-points")
    swap = wish(one, "swap", into="florist", minimum="4.90")
    await check(await draft_and_sign(client, {**swap, "minimum": "4.91"}), 409, "below-minimum")
    await check(await draft_and_sign(client, {**swap, "into": "stranger"}), 409, "quote-expired")
    client.chain.quote(stranger.programme, bid=10**10, ask=10**10)
    await check(await draft_and_sign(client, {**swap, "into": "stranger"}), 409, "not-partners")
    give = wish(one, "give", charity=charity)
    await check(await draft_and_sign(client, {**give, "charity": FRIEND}), 404, "charity-not-found")
    await check(await draft_and_sign(client, {**give, "campaign": 7}), 404, "campaign-not-found")
    client.chain.campaign(8, CHARITY, now - 1)
    await check(await draft_and_sign(client, {**give, "campaign": 8}), 409, "campaign-ended")
    client.chain.quote(other.programme, bid=10**15, ask=10**15)
    await check(await draft_and_sign(client, {**swap, "minimum": "0", "amount": "0.01"}), 409, "worth-nothing")
    client.chain.quote(other.programme, bid=1, ask=1)
    client.chain.quote(one.programme, bid=1, ask=1)
    await check(await draft_and_sign(client, {**give, "amount": "0.01"}), 409, "worth-nothing")
    client.chain.run("update exchange.merchant set supply_cap = 1 where slug = 'florist'")
    await check(await draft_and_sign(client, {**swap, "minimum": "0", "amount": "50"}), 409, "worth-nothing")
    client.chain.quote(one.programme, bid=10**10, ask=10**10)
    client.chain.quote(other.programme, bid=10**10, ask=10**10)
    await check(await draft_and_sign(client, {**swap, "minimum": "0"}), 409, "supply-cap-reached")
    client.chain.margin(one.programme, 1)
    await check(await draft_and_sign(client, swap), 409, "not-enough-margin")
    await check(await draft_and_sign(client, give), 409, "not-enough-margin")
    client.chain.quote(one.programme, bid=10**10, ask=10**10, cap=1)
    await check(await draft_and_sign(client, give), 409, "daily-cap-reached")
    client.chain.quote(one.programme, bid=10**10, ask=10**10, until=now - 1)
    await check(await draft_and_sign(client, give), 409, "quote-expired")
    assert (await client.http.post("/v1/intents", json=signed)).status_code == 202


@pytest.mark.asyncio
async def test_wrong_nonces(client: Client) -> None:
    one, _ = await pair(client)
    client.chain.credit(one.programme, HOLDER, 10_000)

    async def sign(nonce: int, **more: Any) -> dict[str, Any]:
        drafted = (await client.http.post("/v1/intents/draft", json=wish(one, **more))).json()
        document = drafted["typed_data"]
        document["message"]["nonce"] = str(nonce)
        signature = Account.sign_typed_data(b"\x07" * 32, full_message=document).signature.hex().removeprefix("0x")
        return {**wish(one, **more), "nonce": nonce, "deadline": drafted["deadline"], "signature": "0x" + signature}

    first = await sign(500)
    assert (await client.http.post("/v1/intents", json=first)).status_code == 202
    with Unchanged(client):
        again = await sign(500, to="0x" + "ab" * 20)
        refused(await client.http.post("/v1/intents", json=again), 409, "nonce-used")
        for nonce in (404, 500 + 65_537, 2**40 - 128):
            refused(await client.http.post("/v1/intents", json=await sign(nonce)), 422, "nonce-out-of-window")
    assert (await client.http.post("/v1/intents", json=await sign(405))).status_code == 202


@pytest.mark.asyncio
async def test_bad_acts_for_customers(client: Client) -> None:
    one, _ = await pair(client)
    own = await client.customer(one, "wallet", wallet="0x" + HOLDER.hex())
    card = await client.customer(one)
    path = f"/v1/customers/{card['id']}"
    client.chain.credit(one.programme, HOLDER, 10_000)
    with Unchanged(client):
        body = {"amount": "1.00", "order": "o"}
        refused(await client.http.post(f"{path}/redeem", json=body, headers=one.once()), 409, "not-enough-points")
        foreign = {**body, "programme": "florist"}
        refused(await client.http.post(f"{path}/redeem", json=foreign, headers=one.once()), 422, "invalid-request")
        wallet = await client.http.post(f"/v1/customers/{own['id']}/redeem", json=body, headers=one.once())
        refused(wallet, 409, "not-custodial")
        send = {"amount": "1.00", "to_member": "nobody"}
        refused(await client.http.post(f"{path}/send", json=send, headers=one.once()), 404, "customer-not-found")
        give = {"amount": "1.00", "charity": "nowhere"}
        refused(await client.http.post(f"{path}/give", json=give, headers=one.once()), 404, "charity-not-found")
        swap = {"amount": "1.00", "into": "nowhere"}
        refused(await client.http.post(f"{path}/swap", json=swap, headers=one.once()), 404, "programme-not-found")
        refused(await client.http.get(f"/v1/intents/{uuid4()}"), 404, "intent-not-found")


@pytest.mark.asyncio
async def test_bad_merchants_customers_and_charities(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    http, operator = client.http, client.operator
    with Unchanged(client):

        async def merchant(status: int, problem: str, /, **more: Any) -> None:
            body = {**shop.body, "slug": "other", **more}
            refused(await http.post("/v1/merchants", json=body, headers=operator), status, problem)

        await merchant(409, "merchant-exists", slug="grocer")
        await merchant(422, "invalid-request", name="ä" * 16)
        await merchant(422, "invalid-request", quote={"bid": "0.02", "ask": "0.01"})
        await merchant(422, "invalid-amount", points_per_unit="0.000000001")
        await merchant(422, "invalid-amount", quote={"bid": "0.00000000000001", "ask": "1"})
        await merchant(422, "invalid-amount", margin="-1")
        await merchant(422, "invalid-address", owner="0x12")
        await merchant(404, "merchant-not-found", partners=["nowhere"])
        await merchant(422, "invalid-request", limits={"supply_cap": "1", "entry_cap": "2"})

        async def customer(status: int, slug: str, **body: Any) -> None:
            refused(await http.post("/v1/customers", json=body, headers=shop.auth), status, slug)

        await customer(409, "member-conflict", member="card-1", wallet="0x" + "ab" * 20)
        await customer(409, "link-code-refused", member="new", link="0000-0000-0000")
        await customer(422, "invalid-request", member="new", customer=str(uuid4()))
        await customer(422, "invalid-request", member="new")
        await customer(422, "invalid-address", member="new", wallet="0xabc")
        refused(
            await http.post("/v1/campaigns", headers=operator, json={
                "charity": "nowhere", "title": "t", "goal": "1", "ends_at": "2099-01-01T00:00:00Z",
            }), 404, "charity-not-found",
        )  # fmt: skip
        refused(await http.get(f"/v1/charities/{uuid4()}"), 404, "charity-not-found")
        refused(await http.get("/v1/campaigns/9"), 404, "campaign-not-found")
        refused(await http.get("/v1/holders/0x12/balances"), 422, "invalid-address")
        refused(await http.get(f"/v1/holders/{FRIEND}/history?before=x"), 422, "invalid-request")
        refused(await http.get("/nowhere"), 404, "not-found")
        refused(await http.delete("/v1/purchases"), 405, "method-not-allowed")
    client.chain.run("update exchange.signer set role = 'relayer'")
    with Unchanged(client):
        body = {"slug": "c", "name": "C"}
        refused(await http.post("/v1/charities", json=body, headers=operator), 503, "operator-not-ready")


@pytest.mark.asyncio
async def test_without_a_mirror_balances_are_unavailable_and_say_so(client: Client) -> None:
    client.chain.run("drop schema mirror cascade")
    answer = await client.http.get(f"/v1/holders/{FRIEND}/balances")
    refused(answer, 503, "mirror-unavailable")
    assert answer.headers["retry-after"] == "10"


@pytest.mark.asyncio
async def test_without_a_database_everything_is_503_with_retry_after(
    make_settings: Callable[..., Settings], unused_port: int
) -> None:
    settings = make_settings(database_url=f"postgresql://postgres@127.0.0.1:{unused_port}/nothing", pool_timeout=0.5)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway") as http,
    ):
        headers = {"authorization": "Bearer pex_dev_ZZ_YY_" + "0" * 6, "idempotency-key": "k"}
        refused(await http.post("/v1/purchases", json=sale(), headers=headers), 401, "unauthenticated")
        operator = {"authorization": f"Bearer {settings.operator_api_key.get_secret_value()}"}
        answer = await http.get(f"/v1/merchants/{uuid4()}", headers=operator)
        refused(answer, 503, "database-unavailable")
        assert answer.headers["retry-after"] == "2"
        assert (await http.get("/healthz")).status_code == 200
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["accepting"], ready.json()["database"]) == (503, False, "down")
