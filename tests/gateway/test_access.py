"""Who may call what: every route says so, and means it; what keys can do, how they end, and how often they may ask."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from exchange.errors import TooManyRequests
from exchange.limits import Buckets, network
from exchange.scopes import SCOPES, Role
from exchange.settings import Settings
from tests.gateway.conftest import Client, Shop, create_tables, sale, serve
from tests.gateway.routes import Route, routes
from tests.gateway.test_refusals import Unchanged, refused


def prefix(headers: dict[str, str]) -> str:
    return headers["authorization"].split("_")[2]


async def call(client: Client, route: Route, headers: dict[str, str] | None) -> httpx2.Response:
    """A request that gets as far as its authority lets it: there is nothing in it."""
    sent = {"idempotency-key": "k", "origin": client.settings.origin, **(headers or {})}
    body: dict[str, Any] = {"json": {}} if route.method in ("POST", "PUT") else {}
    return await client.http.request(route.method, route.url(), headers=sent, **body)


async def holder(client: Client, shop: Shop, role: Role, scopes: set[Any]) -> dict[str, str]:
    if role == "merchant":
        return await client.key(shop, scopes=sorted(scopes))
    return await client.key(role=role, scopes=sorted(scopes))


@pytest.mark.asyncio
async def test_every_route_says_who_may_call_it(client: Client) -> None:
    silent = [str(route) for route in routes(client.app) if len(route.policies) != 1]
    assert silent == []


@pytest.mark.asyncio
async def test_every_route_describes_how_it_refuses_who_may_not_call_it(client: Client) -> None:
    described = (await client.http.get("/openapi.json")).json()["paths"]
    missing = {}
    for route in routes(client.app):
        expected = {"401", "403"} if route.needs else {"401"} if route.customers else set()
        if route.customers and route.method not in ("GET", "HEAD"):
            expected.add("403")  # another site's page
        if left := expected - set(described[route.path][route.method.lower()]["responses"]):
            missing[str(route)] = sorted(left)
    assert missing == {}


@pytest.mark.asyncio
async def test_without_a_living_key_every_route_that_needs_one_is_closed(client: Client) -> None:
    shop = await client.shop()
    revoked, expired = await client.key(shop, preset="all"), await client.key(shop, preset="all")
    path = f"/v1/merchants/{shop.id}/keys/{prefix(revoked)}"
    assert (await client.http.delete(path, headers=client.operator)).status_code == 204
    client.chain.run("update exchange.api_key set expires_at = now() where prefix = %s", prefix(expired))
    # The same prefix and a right checksum, but another secret.
    stranger = await client.key(shop, preset="all")
    client.chain.run("update exchange.api_key set digest = %s where prefix = %s", bytes(32), prefix(stranger))
    closed = [route for route in routes(client.app) if route.needs]
    assert len(closed) > 30
    details = set()
    with Unchanged(client):
        for route, headers in itertools.product(closed, (revoked, expired, stranger)):
            problem = refused(await call(client, route, headers), 401, "unauthenticated")
            details.add(problem["detail"])
        for route in closed:
            refused(await call(client, route, None), 401, "unauthenticated")
            wrong = {"authorization": "Bearer pex_dev_abc_def_000000"}
            details.add(refused(await call(client, route, wrong), 401, "unauthenticated")["detail"])
    assert len(details) == 1, "nobody learns why a key is refused"


@pytest.mark.asyncio
async def test_a_route_takes_the_roles_and_the_scope_that_it_names_and_no_other(client: Client) -> None:
    shop = await client.shop()
    made: dict[tuple[Role, frozenset[Any]], dict[str, str]] = {}

    async def key(role: Role, scopes: frozenset[Any]) -> dict[str, str]:
        if (role, scopes) not in made:
            made[role, scopes] = await holder(client, shop, role, set(scopes))
        return made[role, scopes]

    for route in routes(client.app):
        for role, every in SCOPES.items():
            needed = route.needs.get(role)
            if route.customers:
                refused(await call(client, route, await key(role, every)), 401, "sign-in-needed")
            elif not route.needs:
                answer = await call(client, route, await key(role, every))
                assert answer.status_code not in (401, 403), route
            elif needed is None:
                refused(await call(client, route, await key(role, every)), 403, "forbidden")
            else:
                assert needed in every, f"{route}: no {role} can have {needed}"
                problem = refused(await call(client, route, await key(role, every - {needed})), 403, "forbidden")
                assert needed in problem["detail"]
                answer = await call(client, route, await key(role, frozenset({needed})))
                assert answer.status_code not in (401, 403), (route, role, answer.text)
    used = {scope for route in routes(client.app) for scope in route.needs.values()}
    assert used == frozenset().union(*SCOPES.values()), "every scope is good for something"


@pytest.mark.asyncio
async def test_a_till_sells_and_cannot_touch_what_the_points_are_worth(client: Client) -> None:
    shop = await client.shop()
    till = await client.key(shop, preset="till", label="till 7")
    once = {**till, "idempotency-key": "one"}
    assert (
        await client.http.post("/v1/customers", json={"member": "card-1", "custodial": True}, headers=till)
    ).is_success
    assert (await client.http.post("/v1/purchases", json=sale(), headers=once)).status_code == 201
    quote = {"bid": "0.01", "ask": "0.01"}
    refused(await client.http.put(f"/v1/merchants/{shop.id}/quote", json=quote, headers=till), 403, "forbidden")
    keys = f"/v1/merchants/{shop.id}/keys"
    refused(await client.http.post(keys, json={"preset": "till"}, headers=till), 403, "forbidden")


@pytest.mark.asyncio
async def test_a_key_gives_no_scope_that_it_lacks_and_no_longer_life(client: Client) -> None:
    shop = await client.shop()
    path = f"/v1/merchants/{shop.id}/keys"
    maker = await client.key(shop, scopes=["keys:write", "purchases:read"], expires_in=3_600)
    with Unchanged(client):
        wanted: dict[str, Any]
        for wanted in ({"preset": "all"}, {"scopes": ["purchases:read", "purchases:write"]}, {"preset": "till"}):
            refused(await client.http.post(path, json=wanted, headers=maker), 403, "forbidden")
        longer = {"scopes": ["purchases:read"], "expires_in": 3_700}
        refused(await client.http.post(path, json=longer, headers=maker), 403, "forbidden")
        for wanted in ({"scopes": ["merchants:write"]}, {"scopes": []}, {"scopes": ["purchases:steal"]}, {},
                       {"preset": "all", "scopes": ["keys:read"]}, {"preset": "reader", "expires_in": 0}):  # fmt: skip
            refused(await client.http.post(path, json=wanted, headers=client.operator), 422, "invalid-request")
    made = await client.http.post(path, json={"scopes": ["purchases:read"]}, headers=maker)
    assert made.status_code == 201
    [own] = client.chain.run("select expires_at from exchange.api_key where prefix = %s", prefix(maker))
    assert made.json()["expires_at"] == own["expires_at"].isoformat().replace("+00:00", "Z")
    shorter = {"scopes": ["purchases:read"], "expires_in": 60}
    assert (await client.http.post(path, json=shorter, headers=maker)).json()["expires_at"] < made.json()["expires_at"]
    operator = await client.key(role="operator", scopes=["keys:write", "keys:read"])
    with Unchanged(client):
        for role, scope in (("operator", "merchants:write"), ("auditor", "programme:read")):
            body = {"role": role, "scopes": [scope]}
            refused(await client.http.post("/v1/keys", json=body, headers=operator), 403, "forbidden")
        refused(await client.http.post("/v1/keys", json={"role": "auditor", "scopes": ["purchases:read"]},
                                       headers=client.operator), 422, "invalid-request")  # fmt: skip


@pytest.mark.asyncio
async def test_the_first_key_of_a_merchant_can_do_everything_a_merchant_can(client: Client) -> None:
    shop = await client.shop()
    listed = (await client.http.get(f"/v1/merchants/{shop.id}/keys", headers=shop.auth)).json()["keys"]
    assert [set(key["scopes"]) for key in listed] == [SCOPES["merchant"]]
    assert [key["expires_at"] for key in listed] == [None]


@pytest.mark.asyncio
async def test_keys_are_listed_without_anything_to_use_them_with(client: Client) -> None:
    shop = await client.shop()
    till = await client.key(shop, preset="till", label="till 7", expires_in=600)
    answer = await client.http.get(f"/v1/merchants/{shop.id}/keys", headers=shop.auth)
    first, second = answer.json()["keys"]
    assert (second["label"], second["prefix"]) == ("till 7", prefix(till))
    assert second["expires_at"] is not None
    assert (first["label"], first["revoked_at"]) == (None, None)
    assert "purchases:write" in second["scopes"]
    for row in client.chain.run("select digest from exchange.api_key"):
        assert row["digest"].hex() not in answer.text
    for secret in (shop.key, till["authorization"]):
        assert secret.split("_")[3] not in answer.text
    auditor = await client.key(role="auditor", preset="all")
    assert (await client.http.get(f"/v1/merchants/{shop.id}/keys", headers=auditor)).json() == answer.json()
    own = (await client.http.get("/v1/keys", headers=auditor)).json()["keys"]
    assert [(key["role"], key["prefix"]) for key in own] == [("auditor", prefix(auditor))]
    assert (await client.http.delete(f"/v1/keys/{prefix(auditor)}", headers=client.operator)).status_code == 204
    refused(await client.http.get("/v1/keys", headers=auditor), 401, "unauthenticated")


@pytest.mark.asyncio
async def test_an_auditor_sees_what_a_programme_owes_and_no_customer(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 1_000)
    auditor = await client.key(role="auditor", preset="all")
    shown = (await client.http.get(f"/v1/merchants/{shop.id}", headers=auditor)).json()
    assert shown == (await client.http.get(f"/v1/merchants/{shop.id}", headers=shop.auth)).json()
    assert shown["market"]["supply"] == "10.00"
    for path in ("", "/balances", "/history"):
        refused(await client.http.get(f"/v1/customers/{customer['id']}{path}", headers=auditor), 403, "forbidden")


# --- how often


@pytest.mark.asyncio
async def test_a_key_that_asks_too_often_waits_and_harms_no_other(
    database: str, make_settings: Callable[..., Settings]
) -> None:
    create_tables(database)
    async with serve(make_settings(key_rate=0.1, key_burst=3)) as client:
        shop, other = await client.shop(), await client.shop("other")
        path = f"/v1/merchants/{shop.id}"
        assert [(await client.http.get(path, headers=shop.auth)).status_code for _ in range(3)] == [200] * 3
        answer = await client.http.get(path, headers=shop.auth)
        refused(answer, 429, "too-many-requests")
        assert 8 <= int(answer.headers["retry-after"]) <= 10
        assert (await client.http.get(f"/v1/merchants/{other.id}", headers=other.auth)).status_code == 200
        second = await client.key(shop, preset="all")
        assert (await client.http.get(path, headers=second)).status_code == 200, "a limit is a key's, not a merchant's"
        operator = await client.key(role="operator", preset="all")
        for headers in (client.operator, operator):
            answers = [await client.http.get(path, headers=headers) for _ in range(10)]
            assert {answer.status_code for answer in answers} == {200}, "the operator is not limited"
        assert 'points_refusals_total{type="too-many-requests"} 1.0' in (await client.http.get("/metrics")).text


@pytest.mark.asyncio
async def test_an_address_without_a_key_that_asks_too_often_waits(
    database: str, make_settings: Callable[..., Settings]
) -> None:
    create_tables(database)
    async with serve(make_settings(address_rate=0.1, address_burst=2)) as client:
        shop = await client.shop()
        assert [(await client.http.get("/v1/programmes")).status_code for _ in range(3)] == [200, 200, 429]
        refused(await client.http.get(f"/v1/holders/0x{'ab' * 20}/balances"), 429, "too-many-requests")
        assert (await client.http.get(f"/v1/merchants/{shop.id}", headers=shop.auth)).status_code == 200
        for path in ("/healthz", "/readyz", "/metrics") * 3:
            assert (await client.http.get(path)).status_code != 429, "what watches over us is not limited"


@pytest.mark.asyncio
async def test_who_tries_keys_is_turned_away_before_the_database_is_asked(
    database: str, make_settings: Callable[..., Settings]
) -> None:
    create_tables(database)
    async with serve(make_settings(failure_rate=0.1, failure_burst=2)) as client:
        shop = await client.shop()
        wrong = {"authorization": "Bearer pex_dev_abc_def_000000"}
        for _ in range(2):
            refused(await client.http.get("/v1/keys", headers=wrong), 401, "unauthenticated")
        refused(await client.http.get("/v1/keys", headers=wrong), 429, "too-many-requests")
        refused(await client.http.get(f"/v1/merchants/{shop.id}", headers=shop.auth), 429, "too-many-requests")
        assert (await client.http.get(f"/v1/merchants/{shop.id}", headers=client.operator)).status_code == 200


def test_a_bucket_takes_its_burst_at_once_and_then_its_rate() -> None:
    now = 0.0
    buckets = Buckets(rate=2, burst=3, clock=lambda: now)
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(TooManyRequests) as refusal:
        buckets.take("a")
    assert refusal.value.retry_after == 1
    buckets.take("b")
    taken = 0
    for tick in range(1, 101):  # a request every tenth of a second, for ten seconds
        now = tick / 10
        try:
            buckets.take("a")
            taken += 1
        except TooManyRequests:
            continue
    assert taken == 20
    now = 100.0
    for _ in range(3):
        buckets.require("a")
        buckets.take("a")
    with pytest.raises(TooManyRequests):
        buckets.require("a")


def test_buckets_are_remembered_up_to_a_bound_the_latest_used_longest() -> None:
    buckets = Buckets(rate=1, burst=1, most=2, clock=lambda: 0.0)
    for name in ("a", "b"):
        buckets.take(name)
    with pytest.raises(TooManyRequests):
        buckets.take("a")
    buckets.take("c")  # forgets b
    with pytest.raises(TooManyRequests):
        buckets.take("a")
    buckets.take("b")


def test_a_rate_of_nothing_limits_nothing() -> None:
    buckets = Buckets(rate=0, burst=1, clock=lambda: 0.0)
    for _ in range(1_000):
        buckets.take("a")
        buckets.require("a")


def test_an_ipv6_subscriber_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"
    assert network(None) == ""
