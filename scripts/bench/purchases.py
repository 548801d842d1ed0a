"""Accepting purchases, durably: one by one and in bulk, each beside the barest thing that stores as much.

Rounds alternate: the bare handler, ours, ours at half of its rate with requests that come when they are due, and so on.
Two workers each, on the cores that PostgreSQL and the load use too.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import uuid4

import psycopg

from scripts.bench.bench import Bench
from scripts.bench.counter import MEMBERS, Counter, Served, counter, serve
from scripts.bench.figures import Baseline, Figure, Goal, percentile
from scripts.bench.load import Plan

ONE_BY_ONE: Final = 20_000
BULK: Final = 200_000
SIZE: Final = 1_000
CONNECTIONS: Final = 64
BULK_CONNECTIONS: Final = 8
"""Enough that each worker gets some: they accept from one socket, as chance has it."""

_RUNS = itertools.count(1)

_BARE: Final = """
create table public.bare (
    merchant_id uuid, id uuid, reference text, fingerprint bytea, customer_id uuid, holder bytea, amount bigint,
    store text, points bigint, salt bytea, signature bytea, primary key (merchant_id, id)
)
"""


async def one_by_one(bench: Bench) -> list[Figure]:
    count = bench.scaled(ONE_BY_ONE)
    bare: list[Served] = []
    ours: list[Served] = []
    half: list[Served] = []
    memory: list[float] = []
    async with counter() as at:
        await serve(at, at.gateway, _plan(at, requests=max(1, count // 4)))  # statements are planned, pools are full
        await serve(at, at.bare, _plan(at, requests=max(1, count // 4), bare=True))
        memory.append(at.gateway.resident)
        for number in range(1, bench.rounds + 1):
            bare.append(await serve(at, at.bare, _plan(at, requests=count, bare=True)))
            ours.append(await serve(at, at.gateway, _plan(at, requests=count)))
            half.append(await serve(at, at.gateway, _plan(at, requests=count // 2, rate=ours[-1].rate / 2)))
            memory.append(at.gateway.resident)
            bench.say(f"round {number}: {ours[-1].rate:,.0f} purchases/s, bare {bare[-1].rate:,.0f}")
    against = "a bare handler, the same two rows"
    return [
        Figure(
            *("purchases accepted, one by one", "purchases/s", [each.rate for each in ours]),
            Baseline(against, [each.rate for each in bare]),
            Goal("at least", 1.5, times_baseline=True),
        ),
        Figure("answered at half that load, p50", "ms", _latency(half, 50)),
        Figure("answered at half that load, p99", "ms", _latency(half, 99), goal=Goal("at most", 50)),
        *_processor(ours, Baseline(against, [sum(each.processor.values()) for each in bare])),
        _growth(memory),
    ]


async def bulk(bench: Bench) -> list[Figure]:
    count = bench.scaled(BULK) // SIZE or 1
    bare: list[float] = []
    ours: list[Served] = []
    memory: list[float] = []
    async with counter() as at:
        await serve(at, at.gateway, _plan(at, requests=max(1, count // 4), size=SIZE))
        memory.append(at.gateway.resident)
        with psycopg.connect(at.database_url) as connection:
            connection.execute(_BARE)
        for number in range(1, bench.rounds + 1):
            bare.append(_copy(at, count))
            ours.append(await serve(at, at.gateway, _plan(at, requests=count, size=SIZE)))
            memory.append(at.gateway.resident)
            bench.say(f"round {number}: {ours[-1].rate:,.0f} purchases/s, bare {bare[-1]:,.0f}")
    return [
        Figure(
            *("purchases accepted, 1,000 a request", "purchases/s", [each.rate for each in ours]),
            Baseline("bare COPY, 1,000 a commit", bare),
            Goal("at least", 20_000),
        ),
        *_processor(ours),
        _growth(memory),
    ]


def _plan(at: Counter, *, requests: int, size: int = 1, rate: float | None = None, bare: bool = False) -> Plan:
    ours = "/v1/purchases" if size == 1 else "/v1/purchases/bulk"
    return Plan(
        port=at.bare.port if bare else at.gateway.port,
        path="/purchases" if bare else ours,
        key=at.key,
        run=f"run-{next(_RUNS)}",
        requests=requests,
        connections=CONNECTIONS if size == 1 else BULK_CONNECTIONS,
        members=MEMBERS,
        size=size,
        rate=rate,
    )


def _latency(served: Sequence[Served], percent: float) -> list[float]:
    return [percentile(each.outcome.latencies, percent) for each in served]


def _processor(served: Sequence[Served], baseline: Baseline | None = None) -> list[Figure]:
    """What the load on the machine cannot change much: whose processor time a purchase takes."""
    values: Callable[[str], list[float]] = lambda part: [each.processor[part] for each in served]  # noqa: E731
    whole = [sum(each.processor.values()) for each in served]
    return [
        Figure("processor for each, in all", "µs", whole, baseline),
        *(Figure(f"  of it {part}", "µs", values(part)) for part in ("gateway", "postgres", "load")),
    ]


def _growth(memory: Sequence[float]) -> Figure:
    return Figure("memory of the workers, last round less first", "MB", [memory[-1] - memory[0]])


def _copy(at: Counter, requests: int) -> float:
    """Rows a second of a bare COPY."""
    rows: list[list[tuple[Any, ...]]] = [
        [
            (
                at.merchant, uuid4(), f"till/{request}/{i:07}", os.urandom(32), at.customer, bytes(20), 1234,
                "Main Street", 1234, bytes(16), bytes(65),
            )
            for i in range(SIZE)
        ]
        for request in range(requests)
    ]  # fmt: skip
    with psycopg.connect(at.database_url) as connection:
        begun = time.perf_counter()
        for each in rows:
            with connection.cursor() as cursor, cursor.copy("copy public.bare from stdin (format binary)") as copy:
                copy.set_types(
                    ["uuid", "uuid", "text", "bytea", "uuid", "bytea", "int8", "text", "int8", "bytea", "bytea"]
                )
                for row in each:
                    copy.write_row(row)
            connection.commit()
        return requests * SIZE / (time.perf_counter() - begun)
