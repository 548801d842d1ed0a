"""The same requests again and again, in bulk and one by one, through time-outs and kills: nothing new, the same bytes.

The long form is `make replays N=1000000 SECONDS=1200`: it ends when N purchases were replayed and N requests were, or
when the time is over, and says how many of each. The seed is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp
import msgspec
import psutil
import psycopg
import pytest

from exchange.relayer.batching import batch_everyone
from exchange.relayer.run import ROLE
from exchange.settings import Settings
from tests.gateway.conftest import Chain, create_tables, sale
from tests.gateway.serving import Gateways

N = int(os.environ.get("N", 20_000))
SECONDS = float(os.environ.get("SECONDS", 20))
SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
LONG = "N" in os.environ
BULKS, ITEMS, SINGLES = (12, 1_000, 2_000) if LONG else (4, 200, 100)
CONNECTIONS = 12
KILL_EVERY = max(4.0, SECONDS / 15)


@dataclass
class Request:
    path: str
    key: str
    body: bytes
    purchases: int
    answer: bytes = b""


@dataclass
class Tally:
    purchases: int = 0
    requests: int = 0
    new: int = 0
    differing: int = 0
    given_up: int = 0  # by the client, before the answer came
    broken: int = 0  # connections, by a kill
    kills: int = 0


@dataclass
class Replay:
    gateways: Gateways
    http: aiohttp.ClientSession
    auth: dict[str, str]
    chance: random.Random
    deadline: float
    tally: Tally = field(default_factory=Tally)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.deadline or min(self.tally.purchases, self.tally.requests) >= N

    async def send(self, request: Request, *, patience: float | None = None) -> bytes:
        """Until there is an answer, however often: as a till does. Any but 2xx and 503 is a failure."""
        while True:
            headers = {**self.auth, "idempotency-key": request.key, "content-type": "application/json"}
            try:
                async with self.http.post(
                    self.gateways.url + request.path, data=request.body, headers=headers,
                    timeout=aiohttp.ClientTimeout(total=patience or 60),
                ) as answer:  # fmt: skip
                    body = await answer.read()
                    if answer.status in (200, 201):
                        return body
                    assert answer.status == 503, body
            except TimeoutError:
                self.tally.given_up += 1
            except aiohttp.ClientError:
                self.tally.broken += 1
                await asyncio.sleep(0.05)
            patience = None

    async def again(self, known: list[Request], *, patience: float | None = None) -> None:
        request = self.chance.choice(known)
        answer = await self.send(request, patience=patience)
        self.tally.differing += answer != request.answer
        self.tally.requests += 1
        self.tally.purchases += request.purchases


def _bulk(members: int, chance: random.Random) -> Request:
    items = [
        sale(member=f"card-{chance.randrange(members)}", amount=f"{chance.randrange(1, 10_000)}") for _ in range(ITEMS)
    ]
    items[chance.randrange(ITEMS)]["currency"] = "EUR"  # what was refused is answered the same, too
    return Request("/v1/purchases/bulk", uuid4().hex, msgspec.json.encode({"purchases": items}), ITEMS)


def _single(members: int, chance: random.Random) -> Request:
    body = sale(member=f"card-{chance.randrange(members)}", amount=f"{chance.randrange(1, 10_000)}")
    return Request("/v1/purchases", uuid4().hex, msgspec.json.encode(body), 1)


async def _member(replay: Replay, known: dict[str, list[Request]], number: int) -> None:
    """One connection's life: in bulk or one by one, some given up early, and now and then a new one."""
    while not replay.over:
        draw = replay.chance.random()
        if draw < 0.02:
            request = _single(100, replay.chance)
            request.answer = await replay.send(request, patience=replay.chance.uniform(0.001, 0.02))
            replay.tally.new += 1
            known["single"].append(request)
        elif draw < 0.05:
            await replay.again(known["single"], patience=replay.chance.uniform(0.001, 0.02))
        elif number < 2 and replay.tally.purchases < N:
            await replay.again(known["bulk"])
        else:
            await replay.again(known["single"])


async def _killer(replay: Replay) -> None:
    while not replay.over:
        for _ in range(int(KILL_EVERY * replay.chance.uniform(0.5, 1.5) * 10)):
            await asyncio.sleep(0.1)
            if replay.gateways.gone:
                await asyncio.to_thread(replay.gateways.restart)
        if replay.chance.random() < 0.8:
            with contextlib.suppress(psutil.NoSuchProcess):
                workers = psutil.Process(replay.gateways.pid).children()
                replay.chance.choice(workers).kill()  # the others go on, and a new one is started
        else:
            await asyncio.to_thread(replay.gateways.restart)
        replay.tally.kills += 1


async def _relayer(url: str, settings: Settings, replay: Replay) -> None:
    """Batches as it goes, as if every batch were placed at once."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, options=ROLE) as relaying:
        last = False
        while not last:
            last = replay.over
            await relaying.execute("update exchange.call set state = 'refused', failure = '-' where state = 'queued'")
            await batch_everyone(relaying, master=settings.master, chain_id=31337, size=200, now=2**40)
            await asyncio.sleep(0.2)


@pytest.mark.asyncio
async def test_replays_through_kills_and_time_outs_make_nothing_new_and_answer_the_same_bytes(
    database: str, make_settings: Callable[..., Settings]
) -> None:
    print(f"SEED={SEED} N={N} SECONDS={SECONDS}")  # noqa: T201
    create_tables(database)
    settings, chance, chain = make_settings(), random.Random(SEED), Chain(database)
    gateways = Gateways(settings, POINTS_WORKERS="2", POINTS_KEY_RATE="0", POINTS_FAILURE_RATE="0")
    gateways.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as http:
            shop = {"slug": "grocer", "name": "Grocer", "symbol": "G", "currency": "USD"}
            operator = {"authorization": f"Bearer {settings.operator_api_key.get_secret_value()}"}
            async with http.post(f"{gateways.url}/v1/merchants", json=shop, headers=operator) as answer:
                auth = {"authorization": f"Bearer {(await answer.json())['api_key']}"}
            members = {"customers": [{"member": f"card-{n}", "custodial": True} for n in range(100)]}
            async with http.post(f"{gateways.url}/v1/customers/bulk", json=members, headers=auth) as answer:
                assert (await answer.json())["enrolled"] == 100
            replay = Replay(gateways, http, auth, chance, time.monotonic() + SECONDS)
            known = {
                "bulk": [_bulk(100, chance) for _ in range(BULKS)],
                "single": [_single(100, chance) for _ in range(SINGLES)],
            }
            for request in [*known["bulk"], *known["single"]]:
                request.answer = await replay.send(request)
            [before] = chain.run("select count(*) as n, sum(points)::bigint as points from exchange.purchase")
            assert before["n"] == BULKS * (ITEMS - 1) + SINGLES
            await asyncio.gather(
                *(_member(replay, known, number) for number in range(CONNECTIONS)),
                _killer(replay),
                _relayer(database, settings, replay),
            )
        await _relayer(database, settings, replay)  # what was accepted while the others ended
    finally:
        gateways.stop()
    tally = replay.tally
    print(tally)  # noqa: T201
    made = [msgspec.json.decode(request.answer) for request in known["single"]]
    assert len({each["id"] for each in made}) == len(made) == SINGLES + tally.new
    [after] = chain.run(
        "select count(*) as n, sum(points)::bigint as points, count(distinct reference) as sales,"
        " count(*) filter (where batch_number is null and points > 0) as waiting,"
        " (select sum(total)::bigint from exchange.batch) as minted,"
        " (select count(*) from exchange.idempotency) as keys from exchange.purchase"
    )
    promised = sum(_base_units(each["points"]) for each in made[SINGLES:])
    assert after == {
        "n": before["n"] + tally.new, "points": before["points"] + promised, "sales": before["n"] + tally.new,
        "waiting": 0, "minted": before["points"] + promised, "keys": BULKS + SINGLES + tally.new,
    }  # fmt: skip
    assert tally.differing == 0
    assert tally.requests > 100, "too few to mean anything"
    assert tally.kills > 0
    assert tally.given_up > 0


def _base_units(points: str) -> int:
    return int(points.replace(".", ""))
