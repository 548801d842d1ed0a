"""A caller that costs little: requests made beforehand, sent over kept connections, answers counted and not read.

It shares the machine with what it measures, so it is a process of its own (`python -m scripts.bench.load`, a `Plan` as
JSON on standard input, an `Outcome` on standard output) and says what processor time it took itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from dataclasses import dataclass

import msgspec
import uvloop


class Plan(msgspec.Struct, kw_only=True):
    """`requests` requests of `size` purchases each, by members `card-0` and on of one merchant.

    Without a `rate` every connection asks again once it was answered; with one, requests are due at `rate` a second
    whatever the answers do, and a latency counts from when its request was due.
    """

    port: int
    path: str
    key: str
    run: str
    """Makes references and idempotency keys unlike those of other runs."""
    requests: int
    connections: int
    members: int
    size: int = 1
    rate: float | None = None


class Outcome(msgspec.Struct, kw_only=True):
    """`statuses` counts answers: a status, `whole` for a bulk that took every purchase. Latencies are milliseconds."""

    statuses: dict[str, int]
    seconds: float
    processor_seconds: float
    latencies: list[float]


def encoded(plan: Plan) -> list[bytes]:
    """Every request as it goes over the wire."""
    requests = []
    for number in range(plan.requests):
        sales = [_sale(plan, number * plan.size + i) for i in range(plan.size)]
        body = msgspec.json.encode({"purchases": sales} if plan.size > 1 else sales[0])
        head = (
            f"POST {plan.path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {plan.key}\r\n"
            f"content-type: application/json\r\nidempotency-key: {plan.run}-{number}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def _sale(plan: Plan, number: int) -> dict[str, str]:
    return {
        "reference": f"{plan.run}/2026-11-21/{number:07}",
        "member": f"card-{number * 7919 % plan.members}",
        "amount": f"{number % 20_000 // 100 + 1}.{number % 100:02}",
        "currency": "USD",
        "store": f"Main Street {number % 40}",
        "purchased_at": f"2026-01-{number % 28 + 1:02}T12:{number % 60:02}:05Z",
    }


@dataclass(slots=True)
class Caller(asyncio.Protocol):
    """One connection: a request at a time. `load` is told of each answer."""

    load: Load
    due: float = 0.0
    missing: int = 0
    head: bytes = b""
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost(error)

    def send(self, request: bytes, due: float) -> None:
        assert self.transport is not None  # noqa: S101
        self.due, self.head, self.missing = due, b"", 0
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            end = self.head.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            length = self.head.lower().index(b"content-length:") + 15
            whole = end + int(self.head[length : self.head.index(b"\r", length)])
            if len(self.head) < min(whole, end + len(self.load.whole)):
                return
            self.missing = whole - len(self.head)
        if self.missing == 0:
            self.load.answered(self)

    @property
    def status(self) -> str:
        status = self.head[9:12].decode()
        _, _, body = self.head.partition(b"\r\n\r\n")
        return "whole" if status == "200" and body.startswith(self.load.whole) else status


class Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.whole = f'{{"accepted":{plan.size},"refused":0,'.encode()
        self.waiting = deque(encoded(plan))
        self.idle: deque[Caller] = deque()
        self.due: deque[float] = deque()
        self.outcome = Outcome(statuses={}, seconds=0, processor_seconds=0, latencies=[])
        self.done = asyncio.get_running_loop().create_future()

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        for _ in range(self.plan.connections):
            _, caller = await loop.create_connection(lambda: Caller(self), "127.0.0.1", self.plan.port)
            self.idle.append(caller)
        begun, used = time.perf_counter(), time.process_time()
        if self.plan.rate is None:
            self.due.extend([begun] * self.plan.connections)
            self._pass_on()
        else:
            await self._schedule(begun, self.plan.rate)
        await self.done
        self.outcome.seconds = time.perf_counter() - begun
        self.outcome.processor_seconds = time.process_time() - used
        return self.outcome

    async def _schedule(self, begun: float, rate: float) -> None:
        made = 0
        while made < self.plan.requests:
            while made < self.plan.requests and begun + made / rate <= time.perf_counter():
                self.due.append(begun + made / rate)
                made += 1
            self._pass_on()
            await asyncio.sleep(max(0.0, begun + made / rate - time.perf_counter()))

    def answered(self, caller: Caller) -> None:
        now = time.perf_counter()
        self.outcome.latencies.append((now - caller.due) * 1000)
        self.outcome.statuses[caller.status] = self.outcome.statuses.get(caller.status, 0) + 1
        self.idle.append(caller)
        if self.plan.rate is None:
            self.due.append(now)
        if len(self.outcome.latencies) == self.plan.requests:
            self.done.set_result(None)
        self._pass_on()

    def lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the gateway closed a connection"))

    def _pass_on(self) -> None:
        while self.idle and self.due and self.waiting:
            self.idle.popleft().send(self.waiting.popleft(), self.due.popleft())


async def offer(plan: Plan) -> Outcome:
    """Runs the plan in a process of its own. Raises `RuntimeError` with what it said if it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate(msgspec.json.encode(plan))
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}: {errors.decode()[-2000:]}")
    return msgspec.json.decode(output, type=Outcome)


async def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(await Load(plan).run()))


if __name__ == "__main__":
    uvloop.run(main())
