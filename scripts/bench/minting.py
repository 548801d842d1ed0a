"""A burst of accepted purchases, all at once: how fast it is minted and mirrored, and what it costs.

The purchases are inserted by one statement, so that nothing is measured but what comes after acceptance: batching,
signing, the chain with its blocks of a second, and the mirror. The baselines are another node, alone, which executes
the same signed transactions from the same state, and a bare COPY of as many rows as the mirror got, with the same keys.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from contracts.errors import ChainError
from contracts.rpc import Rpc, from_quantity, to_hex
from scripts import chain
from scripts.bench.bench import Bench
from scripts.bench.figures import Baseline, Figure, Goal
from scripts.bench.network import PARTS, Network, free_port, network
from scripts.errors import CommandFailed
from scripts.replay.witnesses import under_way

BURST: Final = 200_000
CUSTOMERS: Final = 10_000
LOOK: Final = 0.02
"""Seconds between two looks at node and mirror."""

PATIENCE: Final = 300.0

_CUSTOMERS: Final = """
insert into exchange.customer (id, holder, custody)
select gen_random_uuid(), substr(sha256(n::text::bytea), 1, 20), 'wallet' from generate_series(1, %s) n
"""

_MEMBERS: Final = """
insert into exchange.member (merchant_id, reference, id, customer_id)
select m.id, 'bench/' || c.id, c.id, c.id from exchange.merchant m cross join exchange.customer c
"""

# Some customers buy far more often than others: the n-th of ten thousand by the third power of a uniform number.
_PURCHASES: Final = """
with bought as materialized (
    select n, uuidv7() as id, m.id as merchant_id, 1 + floor(%(customers)s * random() ^ 3)::int as customer
    from generate_series(1, %(count)s) n
    join (select id, row_number() over (order by id) - 1 as place, count(*) over () as merchants
          from exchange.merchant) m on n %% m.merchants = m.place
), customers as (
    select id, holder, row_number() over (order by id) as place from exchange.customer
)
insert into exchange.purchase
    (merchant_id, id, reference, fingerprint, customer_id, holder, amount_minor, store, purchased_at, points,
     rule_version, salt, accepted_at, mint_by, signature, commitment)
select b.merchant_id, b.id, 'bench/' || b.n, sha256(b.id::text::bytea), c.id, c.holder, 100 + b.n %% 5000, '12', now(),
       100 + b.n %% 5000, 1, substr(sha256(b.id::text::bytea), 1, 16), extract(epoch from now())::bigint,
       extract(epoch from now())::bigint + 86400, sha256('r') || sha256('s') || '\\x1b01',
       sha256(b.id::text::bytea)
from bought b join customers c on c.place = b.customer
"""

_OLDEST: Final = """
select extract(epoch from now()) - min(first.accepted_at) from exchange.merchant m
cross join lateral (select p.accepted_at from exchange.purchase p
                    where p.merchant_id = m.id and p.batch_number is null and p.points > 0 order by p.id limit 1) first
"""

_BARE: Final = """
create table public.bare (like mirror.entry including defaults);
alter table public.bare add primary key (block, log_index, side);
create index on public.bare (holder, block, log_index, side)
"""


@dataclass(slots=True)
class Watch:
    """What was seen during a burst. Times are of the monotonic clock."""

    begun: float = 0.0
    used: dict[str, float] = field(default_factory=dict)  # processor seconds by part, until it began
    seen: dict[int, float] = field(default_factory=dict)  # block -> when the node had it
    mirrored: dict[int, float] = field(default_factory=dict)  # block -> when the mirror had it
    oldest: float = 0.0
    memory: dict[str, list[float]] = field(default_factory=lambda: {"relayer": [], "indexer": []})


@dataclass(slots=True)
class Round:
    minted: float  # purchases a second, from the burst to its last block
    mirrored: float
    drained: float  # seconds until nothing was under way
    behind: float  # seconds, the worst block's
    oldest: float
    growth: dict[str, float]  # MB above the start, at most
    peak: dict[str, float]
    processor: dict[str, float]  # microseconds a purchase
    alone: float  # purchases a second of a node alone
    bare: float  # rows a second of a bare COPY


async def measure(bench: Bench) -> list[Figure]:
    count = bench.scaled(BURST)
    rounds = []
    for number in range(1, bench.rounds + 1):
        bench.say(f"round {number}: a burst of {count:,} purchases")
        rounds.append(await _round(count))
        bench.say(f"round {number}: drained in {rounds[-1].drained:.1f} s, {rounds[-1].minted:,.0f} purchases/s")

    def column(name: str) -> list[Any]:
        return [getattr(each, name) for each in rounds]

    return [
        Figure(
            *("purchases minted, confirmed", "purchases/s", column("minted")),
            Baseline("a node alone, the same transactions", column("alone")),
            Goal("at least", 8_000),
        ),
        Figure(
            *("purchases mirrored", "purchases/s", column("mirrored")),
            Baseline("bare COPY of as many rows", column("bare")),
        ),
        Figure("mirror behind a block, worst", "s", column("behind"), goal=Goal("at most", 2)),
        Figure(f"queue of {count:,} drained after", "s", column("drained")),
        Figure("oldest purchase in no batch, peak", "s", column("oldest")),
        *(
            figure
            for part in ("relayer", "indexer")
            for figure in (
                Figure(f"{part}, memory, peak", "MB", [each.peak[part] for each in rounds]),
                Figure(f"{part}, memory above its start, peak", "MB", [each.growth[part] for each in rounds]),
            )
        ),
        *(
            Figure(f"{part}, processor time", "us/purchase", [each.processor[part] for each in rounds])
            for part in PARTS
        ),
    ]


async def _round(count: int) -> Round:
    async with network(workers=1) as own, Rpc(own.rpc_url) as rpc:
        await own.partners()
        await _quiet(own)
        state = own.place.data / "before.json"
        await chain.dump(rpc, state)
        async with await psycopg.AsyncConnection.connect(own.database_url, autocommit=True) as sql:
            await sql.execute(_CUSTOMERS, (CUSTOMERS,))
            await sql.execute(_MEMBERS)
            watch = await _burst(own, rpc, sql, count)
            drained = time.monotonic() - watch.begun
            used = own.processor_seconds()
            blocks = await _rows(sql, "select distinct block from mirror.batch order by block")
            raws = await _rows(
                sql,
                "select a.raw from exchange.attempt a join exchange.transaction t"
                " on t.id = a.transaction_id where exists (select 1 from exchange.call c where"
                " c.transaction_id = t.id and c.kind = 'mint') order by t.id",
            )
            bare = await _copy(sql)
        alone = await _alone(state, [row[0] for row in raws], count)
    mine = [row[0] for row in blocks]
    return Round(
        minted=count / (watch.seen[mine[-1]] - watch.begun),
        mirrored=count / (watch.mirrored[mine[-1]] - watch.begun),
        drained=drained,
        behind=max(watch.mirrored[block] - watch.seen[block] for block in mine),
        oldest=watch.oldest,
        peak={part: max(values) for part, values in watch.memory.items()},
        growth={part: max(values) - values[0] for part, values in watch.memory.items()},
        processor={part: (used[part] - watch.used[part]) / count * 1e6 for part in PARTS},
        alone=alone,
        bare=bare,
    )


async def _quiet(own: Network) -> None:
    """Waits until what enrolment brought is on the chain."""
    async with asyncio.timeout(PATIENCE):
        while await under_way(own.database_url):  # noqa: ASYNC110 - other processes tell no event
            await asyncio.sleep(0.2)


async def _burst(own: Network, rpc: Rpc, sql: psycopg.AsyncConnection, count: int) -> Watch:
    """Inserts the purchases and watches until all of them are mirrored and nothing is under way."""
    watch = Watch()
    watching = [
        asyncio.create_task(_watch_node(rpc, watch)),
        asyncio.create_task(_watch_mirror(own.database_url, watch)),
        asyncio.create_task(_watch_queue(own, watch)),
    ]
    try:
        await asyncio.sleep(1)
        await sql.execute(_PURCHASES, {"customers": CUSTOMERS, "count": count})
        watch.begun, watch.used = time.monotonic(), own.processor_seconds()
        while True:
            await asyncio.sleep(0.1)
            for task in watching:
                if task.done():
                    task.result()
            [(mirrored,)] = await _rows(sql, "select coalesce(sum(count), 0)::bigint from mirror.batch")
            if mirrored == count and not await under_way(own.database_url):
                return watch
            if time.monotonic() > watch.begun + PATIENCE:
                raise CommandFailed(f"{mirrored:,} of {count:,} purchases are minted after {PATIENCE:.0f} s.")
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def _watch_node(rpc: Rpc, watch: Watch) -> None:
    known = from_quantity(await rpc.call("eth_blockNumber"))
    while True:
        head = from_quantity(await rpc.call("eth_blockNumber"))
        now = time.monotonic()
        watch.seen |= dict.fromkeys(range(known + 1, head + 1), now)
        known = head
        await asyncio.sleep(LOOK)


async def _watch_mirror(database_url: str, watch: Watch) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as sql:
        known: int | None = None
        while True:
            [(head,)] = await _rows(sql, "select next_block - 1 from mirror.cursor")
            now = time.monotonic()
            watch.mirrored |= dict.fromkeys(range(head if known is None else known + 1, head + 1), now)
            known = head
            await asyncio.sleep(LOOK)


async def _watch_queue(own: Network, watch: Watch) -> None:
    async with await psycopg.AsyncConnection.connect(own.database_url, autocommit=True) as sql:
        while True:
            [(oldest,)] = await _rows(sql, _OLDEST)
            watch.oldest = max(watch.oldest, float(oldest or 0))
            for part, values in watch.memory.items():
                values.append(own.resident(part))
            await asyncio.sleep(0.5)


async def _rows(sql: psycopg.AsyncConnection, query: str) -> list[tuple[Any, ...]]:
    return await (await sql.execute(query.encode(), binary=True)).fetchall()


async def _copy(sql: psycopg.AsyncConnection) -> float:
    """Rows a second of a COPY of the mirror's entries to an empty table with the same keys, as text, from here."""
    await sql.execute(_BARE)
    [(count,)] = await _rows(sql, "select count(*) from mirror.entry")
    async with sql.cursor() as cursor, cursor.copy("copy mirror.entry to stdout") as copy:
        text = b"".join([bytes(chunk) async for chunk in copy])
    begun = time.monotonic()
    async with sql.cursor() as cursor, cursor.copy("copy public.bare from stdin") as copy:
        await copy.write(text)
    return float(count / (time.monotonic() - begun))


async def _alone(state: Path, raws: Sequence[bytes], count: int) -> float:
    """Purchases a second of a node of its own, from `state`, that is handed the transactions as fast as it takes them.

    Its blocks are as long as ours; the clock runs from the first transaction to the block that has the last.
    """
    async with _node(state) as rpc:
        begun = time.monotonic()
        for start in range(0, len(raws), 10):
            await rpc.batch([("eth_sendRawTransaction", (to_hex(raw),)) for raw in raws[start : start + 10]])
        while from_quantity((await rpc.call("txpool_status"))["pending"]):  # noqa: ASYNC110
            await asyncio.sleep(LOOK)
        return count / (time.monotonic() - begun)


@asynccontextmanager
async def _node(state: Path) -> AsyncIterator[Rpc]:
    port = free_port()
    process = subprocess.Popen(chain.command(port=port, state=state, states=0))  # noqa: ASYNC220, S603
    try:
        async with Rpc(f"http://127.0.0.1:{port}", timeout=120) as rpc:
            while True:
                try:
                    await rpc.call("eth_chainId")
                    break
                except ChainError:
                    await asyncio.sleep(0.1)
            yield rpc
    finally:
        process.kill()
        process.wait()
