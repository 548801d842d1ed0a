"""Balances and histories through the gateway, over HTTP, with ten million entries in the mirror.

The entries are made in SQL, as a chain would have brought them: half a million holders, some of whom have far more than
others, over half a year. Requests come at random moments, `LOAD` a second, whether or not the ones before are answered;
whose account is asked for follows the same skew. The baseline, at the same load, is a look-up of one row by its primary
key on the same server. First nothing was ever analysed, then everything is: no plan may hang on it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import psycopg

from scripts.bench.bench import Bench
from scripts.bench.figures import Baseline, Figure, Goal, percentile
from scripts.bench.network import Network, network
from scripts.errors import CommandFailed
from scripts.partners import MERCHANTS

ENTRIES: Final = 10_000_000
HOLDERS: Final = 500_000
LOAD: Final = 100
"""Requests a second; every other one asks for a history."""

SECONDS: Final = 10.0
PAGE: Final = 50
FIRST: Final = 1_000_000
"""The first block: so far above the chain's own that the indexer takes the chain for a node that is behind."""

_HOLDER: Final = "substr(sha256(({})::text::bytea), 1, 20)"

# One transaction under the lock by which the indexer makes its tables, or it would make the index at once. Whoever
# tells of events begins at the present: it has been told of these.
_SEED: Final = f"""
select pg_advisory_xact_lock(hashtext('mirror schema'));
alter table mirror.entry drop constraint entry_pkey;
drop index mirror.entry_feed, mirror.entry_account;
alter table mirror.entry set (autovacuum_enabled = false);
alter table mirror.balance set (autovacuum_enabled = false);
insert into mirror.block (number, hash, parent, time)
select {FIRST} + n, sha256(n::text::bytea), sha256((n - 1)::text::bytea),
       extract(epoch from now())::bigint - 180 * 86400 + n * 15552000::bigint / ({{entries}} / 4000 + 1)
from generate_series(0, {{entries}} / 4000) n;
update mirror.cursor set (next_block, tip) = (select number + 1, hash from mirror.block order by number desc limit 1);
insert into mirror.transaction (block, index, hash)
select {FIRST} + n / 20, n % 20, sha256(('t' || n)::bytea) from generate_series(0, {{entries}} / 200) n;
insert into mirror.entry
    (block, log_index, side, transaction_index, programme, holder, delta, kind, counterparty)
select {FIRST} + n / 4000, n % 4000, 1, n / 200 % 20, p.programmes[1 + (h + floor(8 * random() ^ 3)::int) % 8],
       {_HOLDER.format("h")}, 100 + n % 1000,
       case when n % 20 = 0 then 'received' else 'earned' end, case when n % 20 = 0 then {_HOLDER.format("h + 1")} end
from (select n, floor({{holders}} * random() ^ 2)::int as h from generate_series(0, {{entries}} - 1) n) as bought,
     (select array_agg(address order by address) as programmes from mirror.programme) p;
alter table mirror.entry add primary key (block, log_index, side);
create index entry_feed on mirror.entry (holder, block, log_index, side);
create index entry_account on mirror.entry (holder, programme, block, log_index, side);
insert into mirror.balance (holder, programme, amount)
select holder, programme, sum(delta) from mirror.entry group by holder, programme;
delete from exchange.webhook_cursor
"""  # noqa: S608 - of constants

_SCANS: Final = """
select sum(seq_scan)::int from pg_stat_user_tables where schemaname = 'mirror' and relname in ('entry', 'balance')
"""


@dataclass(frozen=True, slots=True)
class Account:
    holder: bytes
    programme: bytes
    block: int
    log_index: int
    side: int


Ask = Callable[[Account], Awaitable[None]]


async def measure(bench: Bench) -> list[Figure]:
    entries, holders = bench.scaled(ENTRIES), bench.scaled(HOLDERS)
    figures: list[Figure] = []
    async with network(workers=2) as own:
        await own.partners()
        await _programmes(own)
        bench.say(f"making {entries:,} entries of {holders:,} holders")
        async with await psycopg.AsyncConnection.connect(own.database_url, autocommit=True) as sql:
            await _seed(sql, entries, holders)
            accounts = await _accounts(sql, entries)
            for state in ("never analysed", "analysed"):
                if state == "analysed":
                    await sql.execute("analyze mirror.entry, mirror.balance, mirror.block, mirror.transaction")
                bench.say(f"reading, {state}")
                figures += await _state(bench, own, sql, accounts, state)
    return figures


async def _state(
    bench: Bench, own: Network, sql: psycopg.AsyncConnection, accounts: list[Account], state: str
) -> list[Figure]:
    rounds: list[dict[str, list[float]]] = []
    used: dict[str, list[float]] = {"gateway": [], "postgres": []}
    failed = 0
    scans = await _scans(sql)
    async with (
        aiohttp.ClientSession(own.url) as session,
        await psycopg.AsyncConnection.connect(own.database_url, autocommit=True, prepare_threshold=0) as kept,
    ):

        def get(path: str) -> Ask:
            async def ask(account: Account) -> None:
                nonlocal failed
                async with session.get(f"/v1/holders/0x{account.holder.hex()}/{path}") as answer:
                    content = await answer.text()
                    failed += answer.status != 200 or account.holder.hex() not in content.lower()

            return ask

        gateway = (get("balances"), get(f"history?limit={PAGE}"))
        bare = (_look_up(kept, _BALANCE), _look_up(kept, _ENTRY))
        for _ in range(bench.rounds):
            await _load(gateway, accounts, seconds=1)  # connections are made, statements prepared
            before = own.processor_seconds()
            found = await _load(gateway, accounts, seconds=SECONDS)
            after = own.processor_seconds()
            count = sum(len(each) for each in found)
            for part in used:
                used[part].append((after[part] - before[part]) / count * 1e6)
            beside = await _load(bare, accounts, seconds=SECONDS / 2)
            rounds.append({"balances": found[0], "history": found[1], "balance": beside[0], "entry": beside[1]})
    scanned = await _scans(sql) - scans

    def p99(name: str) -> list[float]:
        return [percentile(each[name], 99) for each in rounds]

    return [
        Figure(
            *(f"balances, p99, {state}", "ms", p99("balances")),
            Baseline("a row by its primary key", p99("balance")),
            Goal("at most", 10),
        ),
        Figure(
            *(f"history of {PAGE}, p99, {state}", "ms", p99("history")),
            Baseline("a row by its primary key", p99("entry")),
            Goal("at most", 10),
        ),
        Figure(f"reads of whole tables, {state}", "scans", [scanned], goal=Goal("at most", 0)),
        *(Figure(f"{part}, processor time, {state}", "us/request", values) for part, values in used.items()),
        Figure(f"requests that failed, {state}", "requests", [failed], goal=Goal("at most", 0)),
    ]


async def _load(asks: tuple[Ask, ...], accounts: list[Account], *, seconds: float) -> list[list[float]]:
    """Of each of `asks`, in turns, at `LOAD` a second in all: how many milliseconds every answer took."""
    chance = random.Random(17)  # noqa: S311 - not for secrets
    taken: list[list[float]] = [[] for _ in asks]

    async def one(number: int, account: Account) -> None:
        begun = time.perf_counter()
        await asks[number](account)
        taken[number].append((time.perf_counter() - begun) * 1e3)

    async with asyncio.TaskGroup() as group:
        begun, due, count = time.perf_counter(), 0.0, 0
        while due < seconds:
            await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
            group.create_task(one(count % len(asks), accounts[chance.randrange(len(accounts))]))
            due, count = due + chance.expovariate(LOAD), count + 1
    return taken


_BALANCE: Final = "select amount from mirror.balance where holder = %(holder)s and programme = %(programme)s"
_ENTRY: Final = """
select * from mirror.entry where block = %(block)s and log_index = %(log_index)s and side = %(side)s
"""


def _look_up(kept: psycopg.AsyncConnection, query: str) -> Ask:
    """One row, over a connection that is kept; requests that come at once wait for each other, in the driver."""

    async def ask(account: Account) -> None:
        values = {name: getattr(account, name) for name in Account.__slots__}
        if await (await kept.execute(query.encode(), values, binary=True)).fetchone() is None:
            raise CommandFailed("a row that was there is gone")

    return ask


async def _seed(sql: psycopg.AsyncConnection, entries: int, holders: int) -> None:
    async with sql.transaction():
        for statement in _SEED.format(entries=entries, holders=holders).split(";"):
            await sql.execute(statement.encode())
    await sql.execute("checkpoint")


async def _accounts(sql: psycopg.AsyncConnection, entries: int, many: int = 2_000) -> list[Account]:
    """Whose accounts are asked for: the holders of random entries, so that who has more is asked for more often."""
    chance = random.Random(7)  # noqa: S311 - not for secrets
    places = [divmod(chance.randrange(entries), 4_000) for _ in range(many)]
    cursor = await sql.execute(
        "select holder, programme, block, log_index, side"
        " from unnest(%b::int8[], %b::int4[]) as place (block, log_index) join mirror.entry using (block, log_index)",
        ([FIRST + block for block, _ in places], [index for _, index in places]),
        binary=True,
    )
    return [Account(*row) for row in await cursor.fetchall()]


async def _programmes(own: Network) -> None:
    """Waits until the mirror has all eight."""
    async with await psycopg.AsyncConnection.connect(own.database_url, autocommit=True) as sql:
        while await _number(sql, "select count(*) from mirror.programme") < len(MERCHANTS):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def _scans(sql: psycopg.AsyncConnection) -> int:
    await asyncio.sleep(1.5)  # backends tell their statistics once a second
    return await _number(sql, _SCANS)


async def _number(sql: psycopg.AsyncConnection, query: str) -> int:
    row: Any = await (await sql.execute(query.encode())).fetchone()
    return int(row[0])
