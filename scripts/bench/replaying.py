"""Weeks of real purchases, from the first HTTP request to the last act in the mirror, on real parts.

The baseline, on the same server, is a bare durable COPY of the same purchases, a thousand a transaction: nothing that
keeps them can be faster.
"""

from __future__ import annotations

import time
from typing import Final

import psycopg
from rich.console import Console

from scripts.bench.bench import Bench
from scripts.bench.figures import Baseline, Figure
from scripts.bench.network import network
from scripts.errors import CommandFailed
from scripts.replay.drive import replay
from scripts.replay.journey import Purchase, purchases_by_week

WEEKS: Final = 8


async def measure(bench: Bench) -> list[Figure]:
    weeks = bench.scaled(WEEKS)
    purchases = [each for _, week in purchases_by_week(weeks) for each in week]
    bare, whole = [], []
    for number in range(1, bench.rounds + 1):
        bench.say(f"round {number}: {len(purchases):,} purchases of {weeks} weeks")
        async with network(workers=1) as own:
            bare.append(await _copy(own.database_url, purchases))
            tally = await replay(own.settings, own.place, Console(quiet=True), weeks=weeks)
            if not tally.equal:
                raise CommandFailed("The replay did not end with equal columns.")
            whole.append(tally.purchases / tally.seconds)
    return [Figure("purchases, end to end", "purchases/s", whole, Baseline("bare COPY", bare))]


async def _copy(database_url: str, purchases: list[Purchase]) -> float:
    """Purchases per second of a bare COPY, committed durably every thousand."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("create table public.bare (merchant text, reference text unique, amount bigint)")
        await connection.commit()
        begun = time.monotonic()
        for start in range(0, len(purchases), 1_000):
            async with connection.cursor() as cursor, cursor.copy("copy public.bare from stdin") as copy:
                for each in purchases[start : start + 1_000]:
                    await copy.write_row((each.merchant, each.reference, each.amount))
            await connection.commit()
        return len(purchases) / (time.monotonic() - begun)
