"""More ways of money on the running network: what is imported is minted, told and streamed, and stands in the books."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx2 as httpx
import pytest

from tests.gateway.receiver import Receiver, receiving
from tests.system.network import POINTS, ROOT, Network
from tests.system.test_network import cast, until

MEMBERS = 400


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    receiver, loop, ready = Receiver(), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with receiving(receiver):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


class Shop:
    def __init__(self, network: Network) -> None:
        self.network = network
        body = {
            "slug": "newcomer", "name": "Newcomer", "symbol": "NEW", "currency": "EUR", "margin": "1000.00",
            "quote": {"bid": "0.0099", "ask": "0.0100"}, "pin_from": "never",
        }  # fmt: skip
        self.operator = network.settings["POINTS_OPERATOR_API_KEY"]
        made = network.post("/v1/merchants", body, key=self.operator, once="newcomer").json()
        self.id, self.key, self.programme = made["id"], made["api_key"], made["programme"]
        until(lambda: self.get("")["status"] == "active")

    def get(self, path: str) -> Any:
        return self.network.get(f"/v1/merchants/{self.id}{path}", key=self.key)

    def post(self, path: str, body: object, once: str = "once") -> Any:
        answer = self.network.post(path, body, key=self.key, once=once)
        assert answer.status_code < 300, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def shop(network: Network) -> Shop:
    return Shop(network)


def told(receiver: Receiver, secret: str, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in receiver.events(secret) if event["type"] == kind]


def test_an_imported_programme_is_minted_told_and_streamed(network: Network, shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "balances.csv"
    file.write_text("member,points\n" + "".join(f"card-{n},{n}.50\n" for n in range(1, MEMBERS + 1)) + "bad,x\n")
    expected = sum(n * 100 + 50 for n in range(1, MEMBERS + 1))
    watched = shop.post("/v1/customers", {"member": f"card-{MEMBERS}", "custodial": True})["holder"]
    entries: list[dict[str, Any]] = []
    streaming = threading.Thread(target=asyncio.run, args=(_watch(network, watched, entries),))
    with listening() as receiver:
        body = {"url": receiver.url, "events": ["purchase.confirmed", "redemption.confirmed"]}
        secret = shop.post("/v1/webhooks", body)["secret"]
        streaming.start()
        command = [*POINTS, "import", "newcomer", str(file), "--enrol", "--data", str(network.data)]
        environment = {**_environment(), "POINTS_MERCHANT_KEY": shop.key}
        first = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert first.returncode == 1, first.stdout + first.stderr
        assert "invalid-amount" in (tmp_path / "balances.csv.errors.csv").read_text()
        network.kill("webhooks")
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120)

        def supply() -> int:
            return int(cast(network, shop.programme, "totalSupply()(uint256)").split()[0])

        until(lambda: supply() == expected)
        until(lambda: len({each["purchase"] for each in told(receiver, secret, "purchase.confirmed")}) == MEMBERS)
        streaming.join(30)
        assert [each["points"] for each in entries] == [f"{MEMBERS}.50"]
        held = network.get(f"/v1/holders/{watched}/balances")["balances"]
        assert [(each["points"], bool(each["expires_at"])) for each in held] == [(f"{MEMBERS}.50", True)]
        hold = shop.post("/v1/holds", {"member": "card-7", "amount": "5.00", "order": "till-1"}, "hold")
        shop.post(f"/v1/holds/{hold['id']}/capture", {})
        until(lambda: len(told(receiver, secret, "redemption.confirmed")) == 1)
    assert all(b"card-" not in body for _, body in receiver.taken)


async def _watch(network: Network, holder: str, entries: list[dict[str, Any]]) -> None:
    """The first entry of a holder's stream."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as session,
        session.get(f"{network.url}/v1/holders/{holder}/events") as answer,
    ):
        name = ""
        async for raw in answer.content:
            field, _, value = raw.decode().strip().partition(": ")
            name = value if field == "event" else name
            if field == "data" and name == "entry":
                entries.append(json.loads(value))
                return


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("POINTS_")}


def test_margin_is_announced_and_stands_in_the_statement(network: Network, shop: Shop) -> None:
    shop.network.post(f"/v1/merchants/{shop.id}/margin", {"amount": "25.5"}, key=shop.operator, once="top-up")
    until(lambda: shop.get("/margin")["margin"] == "1025.500000")
    shop.post(f"/v1/merchants/{shop.id}/withdrawals", {"amount": "500", "to": "0x" + "99" * 20}, "withdraw")
    until(lambda: shop.get("/margin")["withdrawals"][0]["status"] == "announced")
    due = shop.get("/margin")["withdrawals"][0]["due"]
    assert abs(due - time.time() - 7 * 86_400) < 600
    day = datetime.now(UTC).date()
    period = f"start={day - timedelta(days=2)}&end={day + timedelta(days=3)}"
    statement = shop.get(f"/statement?{period}")
    assert (statement["opening_margin"], statement["closing_margin"]) == ("0.000000", "1025.500000")
    assert [(line["kind"], line["count"]) for line in statement["lines"]] == [("deposit", 2)]
    movements = httpx.get(
        f"{network.url}/v1/merchants/{shop.id}/statement/movements?{period}&format=csv",
        headers={"authorization": f"Bearer {shop.key}"},
    )
    assert movements.text.splitlines()[-1].split(",")[7] == "1025.500000"
