"""What no client would send is refused with a problem of 4xx, by every route, and the gateway goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.gateway.conftest import Client
from tests.gateway.routes import routes

DEEP = b"[" * 100_000 + b"]" * 100_000
STRINGS = (r"\u0000", r"\ud800", r"\udc00\ud800", r"\u202e", "\u00e9" * 5_000)
BODIES = (
    b"", b"{", b"null", b"[]", b'"text"', b"0", b"1e999", b"NaN", b"-Infinity", b"\xff\xfe", b'{"a":"\xc3\x28"}', DEEP,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"9" * 5_000, b'{"a":1,"a":2}', b'{"":{}}', b"\x00",
)  # fmt: skip
FIELDS = (
    "reference", "member", "customer", "amount", "currency", "store", "purchased_at", "slug", "name", "symbol", "order",
    "kind", "into", "charity", "to", "holder", "programme", "url", "label", "title", "points", "points_per_unit",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _stack_of_a_gateway() -> Iterator[None]:
    """py-evm, which other tests load, lets recursion go 50 times as deep as it may in the process of a gateway."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.asyncio
async def test_no_body_makes_a_route_fail(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    strings = [("{" + ",".join(f'"{field}":"{text}"' for field in FIELDS) + "}").encode() for text in STRINGS]
    numbers = [("{" + ",".join(f'"{field}":{10**40}' for field in FIELDS) + "}").encode()]
    tried = 0
    for route in routes(client.app):
        if route.method in ("GET", "DELETE"):
            continue
        for body in (*BODIES, *strings, *numbers):
            for who in (shop.once(), {**client.operator, "idempotency-key": "k"}):
                headers = {**who, "content-type": "application/json"}
                path = route.url(id=shop.id)
                answer = await client.http.request(route.method, path, content=body, headers=headers)
                assert answer.status_code < 500, (route, body[:60], answer.text)
                if answer.status_code >= 400:
                    assert answer.headers["content-type"] == "application/problem+json", (route, body[:60])
                tried += 1
    assert tried > 500


@pytest.mark.asyncio
async def test_no_address_and_no_header_makes_a_route_fail(client: Client) -> None:
    shop = await client.shop()
    names = (
        "%00",
        "a%00b",
        "%ff",
        "%ed%a0%80",
        "x" * 5_000,
        "..%2f..",
        "%F0%9F%98%80",
        "null",
        str(10**40),
        "-1",
        "1e9",
    )
    for route in routes(client.app):
        for name in names:
            path = route.url(**dict.fromkeys(("id", "prefix", "partner", "holder", "number", "event"), name))
            query = "&".join(
                f"{field}={name}" for field in ("reference", "before", "limit", "start", "end", "format", "amount",
                "days", "after", "from", "into")
            )  # fmt: skip
            body = None if route.method == "GET" else {"allowed": True, "points_per_unit": "1", "amount": "1"}
            for who in (shop.once(), client.operator):
                answer = await client.http.request(route.method, f"{path}?{query}", headers=who, json=body)
                # Nobody mines here: that is what /readyz may say.
                assert answer.status_code < 500 or route.path == "/readyz", (route, name[:20], answer.text)
    long = {**shop.auth, "idempotency-key": "k" * 5_000}
    for headers in (
        long, {**shop.auth, "idempotency-key": "\u00e9"}, {"authorization": "Bearer " + "x" * 5_000},
        {"authorization": "Bearer pex_dev_\u00e9_x_y"}, {"authorization": "Basic a"}, {"authorization": "Bearer"},
    ):  # fmt: skip
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await client.http.post("/v1/purchases", json={}, headers=encoded)
        assert 400 <= answer.status_code < 500, (headers, answer.text)
