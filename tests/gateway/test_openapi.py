"""Schemathesis reads our own description of the API, calls every operation in it with good and bad input, and finds no
answer of 5xx, none of a status or form that is not described, and nothing that opens without its key.

What it calls is what the running gateway describes, so a route that is added is called too: with what its description
gives as examples and at the bounds of every field. Each role calls a part of the paths, which the seed chooses. The
long form, `make schema`, calls them all, and adds random input and chains of calls that hand on what earlier ones made.
The seed is printed; `SEED` repeats one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exchange.api.access import COOKIE
from tests.gateway.conftest import Client, sale
from tests.gateway.serving import serving
from tests.gateway.test_sessions import signed_in

SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
SECONDS = os.environ.get("SECONDS", "")
"""Of the long form, for each role."""
PART = 1 if SECONDS else 10
"""A tenth of the paths for each role in the short form."""
PHASES = "examples,coverage,fuzzing,stateful" if SECONDS else "examples,coverage"

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth",
)  # fmt: skip

STREAMS = "/events$"
"""Do not end: `test_feed` reads them."""


async def callers(client: Client) -> dict[str, dict[str, str]]:
    """The headers of each role, and of nobody. The merchant has a programme on the chain and a customer with points."""
    shop, other = await client.shop("corner-grocer"), await client.shop("other")
    client.chain.open(shop.programme, other.programme)
    for programme in (shop.programme, other.programme):
        client.chain.quote(programme, bid=98_000, ask=100_000)
        client.chain.margin(programme, 10**12)
    customer = await client.customer(shop, "card-900417")
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 10**9)
    await client.http.post("/v1/charities", json={"slug": "food-bank", "name": "Food"}, headers=client.operator)
    for _ in range(3):
        sold = await client.http.post("/v1/purchases", json=sale(member="card-900417"), headers=shop.once())
        assert sold.status_code == 201
    auditor = await client.key(role="auditor", preset="all")
    browser = await signed_in(client)
    return {
        "merchant": shop.auth,
        "operator": client.operator,
        "auditor": auditor,
        "customer": {"Cookie": f"{COOKIE}={browser.cookie}", "Origin": client.settings.origin},
        "nobody": {},
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("role", ["merchant", "operator", "auditor", "customer", "nobody"])
async def test_whatever_is_sent_to_the_described_api_is_answered_as_described(
    client: Client, role: str, tmp_path: Path
) -> None:
    headers = (await callers(client))[role]
    limits = {f"POINTS_{name}_RATE": "0" for name in ("KEY", "ADDRESS", "FAILURE")}
    limits["POINTS_MAX_HEAD_AGE"] = "86400"  # nobody mines meanwhile
    described = (await client.http.get("/openapi.json")).json()
    paths = {path: methods for path, methods in described["paths"].items() if not re.search(STREAMS, path)}
    chosen = random.Random(f"{SEED} {role}").sample(sorted(paths), len(paths) // PART)
    described["paths"] = {path: paths[path] for path in chosen}
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    operations = sum(len(paths[path]) for path in chosen)
    with serving(client.settings, **limits) as url:
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", str(tmp_path / "openapi.json"), "--url", url,
            "--checks", ",".join(CHECKS), "--seed", str(SEED), "--phases", PHASES,
            *(("--max-time", SECONDS) if SECONDS else ()),
            "--continue-on-failure", "--no-color", "--request-timeout", "30", "--generation-database", "none",
            *(part for name, value in headers.items() for part in ("--header", f"{name.title()}: {value}")),
        ]  # fmt: skip
        ran = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False
        )
    print(f"SEED={SEED} role={role}", ran.stdout[-20_000:], ran.stderr[-5_000:])  # noqa: T201
    assert ran.returncode == 0
    assert int(re.findall(r"Tested: (\d+)", ran.stdout)[0]) == operations > 60 / PART, "all that was chosen"
    cases = re.findall(r"(\d+) generated, (\d+) passed", ran.stdout)[0]
    assert int(cases[0]) >= int(cases[1]) > 500 / PART
