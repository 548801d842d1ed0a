"""A gateway on a database of its own with nothing behind it, neither chain nor relayer: what accepting alone takes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import psutil
import psycopg

from contracts import deployment
from contracts.deployment import Deployment
from exchange.database import create_schema
from scripts import environment, postgres
from scripts.bench.load import Outcome, Plan, offer
from scripts.bench.network import UNLIMITED, free_port
from scripts.errors import CommandFailed
from scripts.replay.gateway import Gateway

WORKERS: Final = 2
MEMBERS: Final = 2_000
_OPERATOR: Final = "the-operator-of-a-benchmark"
_PARTS: Final = Deployment(
    chain_id=environment.LOCAL_CHAIN_ID,
    first_block=1,
    settlement=bytes([1]) * 20,
    exchange=bytes([2]) * 20,
    factory=bytes([3]) * 20,
    bundle=bytes([4]) * 20,
)


@dataclass(frozen=True, slots=True)
class Service:
    """A server with its workers."""

    port: int
    process: psutil.Process

    @property
    def seconds(self) -> float:
        """Of the processor, used so far."""
        return sum(_seconds(each) for each in (self.process, *self.process.children(recursive=True)))

    @property
    def resident(self) -> float:
        """Megabytes of the workers."""
        return float(sum(each.memory_info().rss for each in self.process.children())) / 1e6


@dataclass(frozen=True, slots=True)
class Counter:
    """`key` is of a merchant with `MEMBERS` members; `bare` is the handler that we are measured against."""

    database_url: str
    gateway: Service
    bare: Service
    postgres: Service
    merchant: UUID
    customer: UUID
    key: str


@dataclass(frozen=True, slots=True)
class Served:
    """What a load got, and what it took: microseconds of the processor for each purchase, by part."""

    outcome: Outcome
    purchases: int
    processor: dict[str, float]

    @property
    def rate(self) -> float:
        """Purchases a second."""
        return self.purchases / self.outcome.seconds


async def serve(counter: Counter, service: Service, plan: Plan) -> Served:
    """Raises `CommandFailed` unless every request was answered with what it asked for."""
    before = {"gateway": service.seconds, "postgres": counter.postgres.seconds}
    outcome = await offer(plan)
    count = plan.requests * plan.size
    used = {"gateway": service.seconds, "postgres": counter.postgres.seconds}
    processor = {part: 1e6 * (used[part] - before[part]) / count for part in used}
    if set(outcome.statuses) != {"whole" if plan.size > 1 else "201"}:
        raise CommandFailed(f"The load was answered {outcome.statuses}.")
    return Served(outcome, count, {**processor, "load": 1e6 * outcome.processor_seconds / count})


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="points-bench-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    return folder


@asynccontextmanager
async def counter() -> AsyncIterator[Counter]:
    """Started from nothing, durable, removed when left."""
    folder = _folder()
    place = environment.installation(folder / "data")
    server = await asyncio.to_thread(postgres.start, place.postgres, place.run)
    try:
        url = server.get_uri()
        await asyncio.to_thread(create_schema, url)
        with psycopg.connect(url) as connection:
            connection.execute("insert into exchange.signer values (%s, 'operator', 'sealed', 0)", (bytes(20),))
        deployment.save(_PARTS, place.deployment)
        settings = {
            **os.environ,
            **UNLIMITED,
            "POINTS_DATABASE_URL": url,
            "POINTS_DEPLOYMENT": str(place.deployment),
            "POINTS_OPERATOR_API_KEY": _OPERATOR,
            "POINTS_WORKERS": str(WORKERS),
        }
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(_service("exchange", settings, folder))
            merchant, key = await _onboard(f"http://127.0.0.1:{gateway.port}")
            with psycopg.connect(url) as connection:
                [[customer]] = connection.execute("select id from exchange.member limit 1").fetchall()
            names = {"BARE_MERCHANT": str(merchant), "BARE_CUSTOMER": str(customer)}
            bare = await stack.enter_async_context(_service("scripts.bench.bare", {**settings, **names}, folder))
            main = psutil.Process(int((place.postgres / "postmaster.pid").read_text().split()[0]))
            yield Counter(url, gateway, bare, Service(0, main), merchant, customer, key)
    finally:
        await asyncio.to_thread(server.cleanup)
        shutil.rmtree(folder)


async def _onboard(url: str) -> tuple[UUID, str]:
    """A merchant with its members; its id and key."""
    async with Gateway(url) as gateway:
        body = {"slug": "bench", "name": "Bench", "symbol": "BENCH", "currency": "USD", "points_per_unit": "1"}
        made = await gateway.post("/v1/merchants", body, key=_OPERATOR, once=None)
        for start in range(0, MEMBERS, 1_000):
            members = [{"member": f"card-{n}", "custodial": True} for n in range(start, start + 1_000)]
            await gateway.post("/v1/customers/bulk", {"customers": members}, key=made["api_key"], once=None)
    return UUID(made["id"]), made["api_key"]


@asynccontextmanager
async def _service(module: str, settings: dict[str, str], folder: Path) -> AsyncIterator[Service]:
    port = free_port()
    output = folder / module
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: ASYNC220, S603
            [sys.executable, "-m", module], env={**settings, "POINTS_PORT": str(port)}, stdout=file, stderr=file
        )
    try:
        while not await _listening(port):
            if process.poll() is not None:
                raise CommandFailed(f"{module} did not start:\n{output.read_text()}")
            await asyncio.sleep(0.1)
        yield Service(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # its parent counts it from now on
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
