"""Three witnesses for every programme: what the data says, what the chain says, what the mirror says.

What merchants sold beside the replay counts as expected, by its promise. The chain is asked directly, over JSON-RPC,
past gateway and indexer: the sum of `Minted` events and `totalSupply()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import psycopg
from rich.console import Console
from rich.table import Table

from contracts import bindings
from contracts.rpc import Rpc
from scripts.replay.acts import Ledger
from scripts.replay.journey import REFERENCE


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


async def witnesses(
    ledger: Ledger, programmes: dict[str, bytes], *, rpc_url: str, database_url: str, first_block: int
) -> list[Witnesses]:
    """Asks all three about each of `programmes` (slug -> token address)."""
    async with Rpc(rpc_url, timeout=60.0) as rpc, await psycopg.AsyncConnection.connect(database_url) as connection:
        found = []
        for slug, address in programmes.items():
            minted = await _minted(rpc, address, first_block)
            supply = await rpc.call(
                "eth_call", {"to": f"0x{address.hex()}", "data": f"0x{bindings.points_total_supply().hex()}"}, "latest"
            )
            mirrored = await connection.execute(
                "select coalesce((select sum(total) from mirror.batch where programme = %(programme)s), 0)::bigint,"
                " coalesce((select amount from mirror.supply where programme = %(programme)s), 0)::bigint",
                {"programme": address},
            )
            in_batches, in_supply = (await mirrored.fetchone()) or (0, 0)
            count, points = await _others(connection, address)
            found.append(
                Witnesses(
                    name=slug,
                    purchases=ledger.purchases[slug] + count,
                    earned=(ledger.earned[slug] + points, minted, in_batches),
                    supply=(ledger.supply[slug] + points, int(supply, 16), in_supply),
                )
            )
    return found


async def _others(connection: psycopg.AsyncConnection, programme: bytes) -> tuple[int, int]:
    """How many purchases beside the replay's the programme promised points for, and how many points."""
    found = await connection.execute(
        "select count(*), coalesce(sum(p.points), 0)::bigint from exchange.purchase p"
        " join exchange.merchant m on m.id = p.merchant_id"
        " where m.programme = %s and p.points > 0 and not starts_with(p.reference, %s)",
        (programme, REFERENCE),
    )
    return (await found.fetchone()) or (0, 0)


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


def show(console: Console, found: list[Witnesses]) -> bool:
    """Prints what was earned and what is outstanding; True when all three agree everywhere."""
    earned = Table(title="Earned by purchases, in points", title_justify="left")
    outstanding = Table(title="Outstanding after swaps, sends, redemptions and gifts", title_justify="left")
    for table, columns in (
        (earned, ("programme", "purchases", "expected", "minted", "mirrored", "equal")),
        (outstanding, ("programme", "expected", "on chain", "mirrored", "equal")),
    ):
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number in (0, len(columns) - 1) else "right", no_wrap=True)
    for each in found:
        earned.add_row(each.name, f"{each.purchases:,}", *map(_points, each.earned), _verdict(each.earned))
        outstanding.add_row(each.name, *map(_points, each.supply), _verdict(each.supply))
    totals = [
        [sum(column) for column in zip(*witnesses, strict=True)]
        for witnesses in ([each.earned for each in found], [each.supply for each in found])
    ]
    for table in (earned, outstanding):
        table.add_section()
    purchases = f"{sum(each.purchases for each in found):,}"
    earned.add_row("all", purchases, *map(_points, totals[0]), _verdict(totals[0]))
    outstanding.add_row("all", *map(_points, totals[1]), _verdict(totals[1]))
    console.print(earned, outstanding)
    return all(each.equal for each in found)


def _verdict(witnesses: Sequence[int]) -> str:
    return "yes" if len(set(witnesses)) == 1 else "[red]NO[/red]"


def _points(amount: int) -> str:
    return f"{amount // 100:,}.{amount % 100:02d}"


def price(dollars: str) -> int:
    """Settlement per point as a decimal string -> settlement base units per points base unit, x 1e9, exactly."""
    scaled = Decimal(dollars) * 10**6 * 10**9 / 100
    if scaled != int(scaled):
        raise ValueError(f"{dollars} is finer than a quote can be")
    return int(scaled)


async def mirrored_supply(database_url: str) -> dict[bytes, int]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute("select programme, amount::bigint from mirror.supply")
        return {bytes(programme): amount async for programme, amount in found}


async def under_way(database_url: str) -> int:
    """Purchases, calls and transactions that the chain has not taken yet."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute(
            "select (select count(*) from exchange.purchase where batch_number is null and points > 0)"
            " + (select count(*) from exchange.call where state = 'queued')"
            " + (select count(*) from exchange.transaction where state in ('signed', 'sent'))"
        )
        row = await found.fetchone()
        return 0 if row is None else int(row[0])


async def mirrored_entries(database_url: str) -> int:
    """How many purchases the mirror has seen minted."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute("select coalesce(sum(count), 0)::bigint from mirror.batch")
        row = await found.fetchone()
        return 0 if row is None else int(row[0])
