"""Three witnesses for every programme: what the data says, what the chain says, what the mirror says.

What merchants sold beside the replay counts as expected, by its promise. The chain is asked directly, over JSON-RPC,
past gateway and indexer: the sum of `Minted` events and `totalSupply()`. A witness that is down is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import psycopg

from contracts import bindings
from contracts.errors import Unavailable
from contracts.rpc import Rpc
from scripts.replay.acts import Ledger
from scripts.replay.journey import REFERENCE

PATIENCE_SECONDS = 120.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Witnesses:
    """One programme's points in base units, `(data, chain, mirror)` each."""

    name: str
    purchases: int
    earned: tuple[int, int, int]
    supply: tuple[int, int, int]

    @property
    def equal(self) -> bool:
        return len(set(self.earned)) == 1 and len(set(self.supply)) == 1


async def ask_all(
    ledger: Ledger, programmes: Mapping[str, bytes], *, rpc_url: str, database_url: str, first_block: int
) -> list[Witnesses]:
    """Asks all three about each of `programmes` (slug -> token address)."""
    async with Rpc(rpc_url, timeout=60.0) as rpc:
        found = []
        for slug, address in programmes.items():
            minted = await _patiently(partial(_minted, rpc, address, first_block))
            supply = await _patiently(partial(_supply, rpc, address))
            [(in_batches, in_supply)] = await _rows(database_url, _MIRRORED, programme=address)
            [(count, points)] = await _rows(database_url, _OTHERS, programme=address, prefix=REFERENCE)
            found.append(
                Witnesses(
                    name=slug,
                    purchases=ledger.purchases[slug] + count,
                    earned=(ledger.earned[slug] + points, minted, in_batches),
                    supply=(ledger.supply[slug] + points, supply, in_supply),
                )
            )
    return found


_MIRRORED = """
select coalesce((select sum(total) from mirror.batch where programme = %(programme)s), 0)::bigint,
       coalesce((select amount from mirror.supply where programme = %(programme)s), 0)::bigint
"""

_OTHERS = """
select count(*), coalesce(sum(p.points - p.cancelled), 0)::bigint
from exchange.purchase p join exchange.merchant m on m.id = p.merchant_id
where m.programme = %(programme)s and p.points > 0 and not starts_with(p.reference, %(prefix)s)
"""

_UNDER_WAY = """
select (select count(*) from exchange.purchase where batch_number is null and points > cancelled
          and available_at <= extract(epoch from now()))
     + (select count(*) from exchange.call where state = 'queued')
     + (select count(*) from exchange.transaction where state in ('signed', 'sent'))
"""


async def mirrored_supply(database_url: str) -> dict[bytes, int]:
    rows = await _rows(database_url, "select programme, amount::bigint from mirror.supply")
    return {bytes(programme): amount for programme, amount in rows}


async def mirrored_entries(database_url: str) -> int:
    """How many purchases the mirror has seen minted."""
    [(count,)] = await _rows(database_url, "select coalesce(sum(count), 0)::bigint from mirror.batch")
    return int(count)


async def under_way(database_url: str) -> int:
    """Purchases, calls and transactions that the chain has not taken yet."""
    [(count,)] = await _rows(database_url, _UNDER_WAY)
    return int(count)


async def _supply(rpc: Rpc, address: bytes) -> int:
    call = {"to": f"0x{address.hex()}", "data": f"0x{bindings.points_total_supply().hex()}"}
    return int(await rpc.call("eth_call", call, "latest"), 16)


async def _minted(rpc: Rpc, address: bytes, first_block: int) -> int:
    """The sum of all `Minted` totals. One log a batch, so a year's worth is a small answer; still asked in ranges."""
    head = int(await rpc.call("eth_blockNumber"), 16)
    total = 0
    for start in range(first_block, head + 1, 10_000):
        logs = await rpc.call(
            "eth_getLogs",
            {
                "address": f"0x{address.hex()}",
                "topics": [f"0x{bindings.MINTED_TOPIC.hex()}"],
                "fromBlock": hex(start),
                "toBlock": hex(min(start + 9_999, head)),
            },
        )
        for log in logs:
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            total += bindings.Minted.from_log(topics, bytes.fromhex(log["data"][2:])).total
    return total


async def _rows(database_url: str, query: str, **arguments: object) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            return await (await connection.execute(query, arguments)).fetchall()

    return await _patiently(ask)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks again, for up to `PATIENCE_SECONDS`, while the node or the database is down."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await ask()
        except (psycopg.OperationalError, Unavailable):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
