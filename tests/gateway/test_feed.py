"""A customer's stream tells every change once it is on the chain, across reconnections and reorganisations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from exchange import feed, streams
from tests.gateway.conftest import Client
from tests.gateway.serving import serving

pytestmark = pytest.mark.asyncio

HOLDER = b"h" * 20


@dataclass
class Event:
    name: str
    id: str
    data: dict[str, Any]


@dataclass
class Stream:
    answer: aiohttp.ClientResponse

    async def next(self, *, seconds: float = 15.0) -> Event:
        """The next event, past comments and other fields."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(seconds):
            async for raw in self.answer.content:
                line = raw.decode().rstrip("\n")
                if not line and "event" in fields:
                    return Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
                name, _, value = line.partition(": ")
                fields[name] = value
        raise AssertionError("the stream ended")


@dataclass
class Viewer:
    url: str
    session: aiohttp.ClientSession

    @asynccontextmanager
    async def stream(self, *, last: str | None = None, holder: bytes = HOLDER) -> AsyncIterator[Stream]:
        headers = {} if last is None else {"last-event-id": last}
        async with self.session.get(f"{self.url}/v1/holders/0x{holder.hex()}/events", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Stream(answer)


@pytest.fixture
def gateway_url(client: Client) -> Iterator[str]:
    with serving(client.settings) as url:
        yield url


@pytest_asyncio.fixture
async def viewer(gateway_url: str) -> AsyncIterator[Viewer]:
    async with aiohttp.ClientSession() as session:
        yield Viewer(gateway_url, session)


async def test_what_happens_is_told_as_the_history_shows_it(client: Client, viewer: Viewer) -> None:
    shop = await client.shop()
    client.chain.credit(shop.programme, HOLDER, 100)
    async with viewer.stream() as stream:
        ready = await stream.next()
        assert (ready.name, bool(ready.id)) == ("ready", True)
        client.chain.credit(shop.programme, b"o" * 20, 300)
        client.chain.credit(shop.programme, HOLDER, 200)
        told = await stream.next()
    newest = (await client.http.get(f"/v1/holders/0x{HOLDER.hex()}/history")).json()["entries"][0]
    assert (told.name, told.data["points"], told.data) == ("entry", "2.00", newest)


async def test_a_stream_is_taken_up_where_it_ended(client: Client, viewer: Viewer) -> None:
    shop = await client.shop()
    client.chain.mine()
    async with viewer.stream() as stream:
        begun = (await stream.next()).id
    for amount in (100, 200, 300):
        client.chain.credit(shop.programme, HOLDER, amount)
    seen, last = [], begun
    for _ in range(3):
        async with viewer.stream(last=last) as stream:
            assert (await stream.next()).name == "ready"
            event = await stream.next()
        seen.append(event.data["points"])
        last = event.id
    assert seen == ["1.00", "2.00", "3.00"]


async def test_many_entries_come_in_order_and_whole(client: Client, viewer: Viewer) -> None:
    shop = await client.shop()
    block = client.chain.mine()
    async with viewer.stream() as stream:
        last = (await stream.next()).id
    block = client.chain.mine()
    client.chain.run(
        "insert into mirror.entry (block, log_index, side, transaction_index, programme, holder, delta, kind)"
        " select %s, n, 1, 0, %s, %s, n, 'earned' from generate_series(1, 1200) n", block, shop.programme, HOLDER,
    )  # fmt: skip
    async with viewer.stream(last=last) as stream:
        await stream.next()
        told = [await stream.next() for _ in range(1200)]
    assert [each.data["points"] for each in told] == [f"{number / 100:.2f}" for number in range(1, 1201)]


async def test_blocks_that_left_the_chain_are_told_and_what_came_instead(client: Client, viewer: Viewer) -> None:
    shop = await client.shop()
    final = client.chain.credit(shop.programme, HOLDER, 100)
    client.chain.mine(finalized=final)
    async with viewer.stream() as stream:
        await stream.next()
        lost = client.chain.credit(shop.programme, HOLDER, 200)
        client.chain.run("update mirror.cursor set finalized = %s", final)
        assert (await stream.next()).data["points"] == "2.00"
        client.chain.run(
            "with gone as (delete from mirror.entry where block = %s),"
            " other as (update mirror.block set hash = %s where number = %s)"
            " update mirror.cursor set tip = %s", lost, b"x" * 32, lost, b"x" * 32,
        )  # fmt: skip
        told = await stream.next()
        assert (told.name, told.data) == ("rollback", {"after_block": final})
        client.chain.credit(shop.programme, HOLDER, 300)
        assert (await stream.next()).data["points"] == "3.00"


async def test_streams_of_one_holder_are_bounded_and_freed(client: Client, viewer: Viewer) -> None:
    client.chain.mine()
    path = f"{viewer.url}/v1/holders/0x{HOLDER.hex()}/events"
    opened = [await viewer.session.get(path) for _ in range(streams.FEEDS_OF_ONE)]
    assert {answer.status for answer in opened} == {200}
    async with viewer.session.get(path) as refused:
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert (await refused.json(content_type=None))["type"].endswith(":too-many-streams")
    async with viewer.stream(holder=b"o" * 20) as other:
        assert (await other.next()).name == "ready"
    opened[0].close()
    async with asyncio.timeout(20):
        while (again := await viewer.session.get(path)).status != 200:
            again.close()
            await asyncio.sleep(0.2)
    for answer in (*opened, again):
        answer.close()


async def test_a_quiet_stream_has_a_heartbeat(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.chain.mine()
    monkeypatch.setattr(feed, "HEARTBEAT", 0.1)
    monkeypatch.setattr(feed, "TICK", 0.05)
    found = feed.events(client.app.state.gateway, HOLDER, after=None)
    assert b"event: ready" in await anext(found)
    assert await anext(found) == b": \n\n"
    await found.aclose()  # type: ignore[attr-defined]
    assert client.app.state.gateway.streams._open == {}


@pytest.mark.parametrize("last", ["nonsense", "1-2-3-0123456789abcdef", "1-99999999999-0-0123456789abcdef", ""])
async def test_a_strange_id_is_refused(client: Client, last: str) -> None:
    path = f"/v1/holders/0x{HOLDER.hex()}/events"
    answer = await client.http.get(path, headers={"last-event-id": last})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "invalid-request")
