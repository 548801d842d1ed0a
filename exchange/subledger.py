"""A programme's liability as the mirror has it: what the chain did to the programme, day by day, in one pass.

Reads only, in one snapshot, and only what is in blocks up to the one asked for, so that an answer can be had again, and
compared with an auditor's, when the chain has gone on. Days are cut at the first block of each: what a block holds is
found by its number. `exchange/liability.py` makes lines of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from exchange import history, revenue
from exchange.database import Connection, one, rows, snapshot
from exchange.errors import BlockNotReached, SettlementPriceNeeded
from exchange.hexes import checksum
from exchange.liability import DAY, Day, End, Line, Per, Quote, lines, midnight, number, periods
from exchange.merchant import Merchant
from exchange.revenue import Assumed, Own

_CUTS: Final = """
cuts as (
    -- The first block of each day from the deployment's on; of a day that has not come yet, none.
    select array_agg(coalesce(first.number, 9223372036854775807) order by d.day) as firsts
    from generate_series(%(first)s::bigint, %(last)s::bigint) d (day)
    left join lateral (
        select b.number from mirror.block b where b.time >= d.day * 86400 order by b.time, b.number limit 1
    ) first on true
)
"""

# What moved points: batches for what was earned; the entries whose kind changes the supply, by an index of their own.
_MOVED: Final = f"""
with {_CUTS}, moved as (
    select block, 'earned' as what, total as amount from mirror.batch where programme = %(programme)s
    union all
    select block, case when kind <> 'swapped' then kind when delta < 0 then 'swapped_out' else 'swapped_in' end, delta
    from mirror.entry
    where programme = %(programme)s and kind in ('redeemed', 'swapped', 'gave', 'expired', 'clawed_back')
    union all
    select block, case when kind <> 'swap' then kind when side = 0 then 'swaps_paid' else 'swaps_received' end, delta
    from mirror.movement where account = %(programme)s
)
select %(first)s - 1 + width_bucket(m.block, c.firsts) as day, m.what, sum(m.amount) as amount
from moved m, cuts c where m.block <= %(block)s group by 1, 2
"""  # noqa: S608 - of constants

_CLAWED_BACK: Final = f"""
with {_CUTS}
select %(first)s - 1 + width_bucket(k.block, c.firsts) as day,
       %(first)s - 1 + width_bucket(b.block, c.firsts) as issued, sum(k.burned) as amount
from cuts c, mirror.clawback k join mirror.batch b on b.programme = k.programme and b.number = k.batch
where k.programme = %(programme)s and k.block <= %(block)s group by 1, 2
"""  # noqa: S608 - of constants

_QUOTES: Final = """
select b.time as at, q.bid, q.until, q.effective from mirror.quote q join mirror.block b on b.number = q.block
where q.programme = %s and q.block <= %s order by q.block, q.log_index
"""

_LIVES: Final = """
select b.time, l.days from mirror.life l join mirror.block b on b.number = l.block
where l.programme = %s and l.block <= %s order by l.block, l.log_index
"""

# The last block before each moment that is no later than the one asked for, and whether one is known that is.
_ENDS: Final = """
select e.at, b.number, b.hash, coalesce(first.number <= %(block)s, false) as closed
from unnest(%(ends)s::bigint[]) e (at)
left join lateral (
    select b.number from mirror.block b where b.time >= e.at order by b.time, b.number limit 1
) first on true
left join mirror.block b
  on b.number = least(first.number - 1, %(block)s) and b.number >= %(deployed)s
"""

_SALES: Final = """
select accepted_at / 86400 as day,
       coalesce(sum(amount_minor) filter (where points > 0), 0)::bigint as sales,
       coalesce(sum(amount_minor) filter (where points = 0), 0)::bigint as pointless,
       coalesce(sum(points) filter (where kind = 'sale'), 0)::bigint as granted,
       coalesce(sum(points) filter (where kind = 'opening'), 0)::bigint as brought
from exchange.purchase where merchant_id = %s and accepted_at <= %s group by 1
"""

_REFUNDS: Final = """
select floor(extract(epoch from created_at))::bigint / 86400 as day, sum(amount_minor)::bigint as refunds,
       sum(points + cancelled)::bigint as returned, sum(cancelled)::bigint as cancelled
from exchange.refund where merchant_id = %s and created_at <= to_timestamp(%s) group by 1
"""

_NAMES: Final = {
    "gave": "given", "deposit": "deposited", "withdrawal": "withdrawn", "gift": "gifts", "match": "matches",
    "fee": "fees",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chain:
    """What the chain up to block `block` says of a programme."""

    block: int
    hash: bytes
    time: int
    finalized: int
    days: dict[int, Day]
    quotes: list[Quote]
    lives: list[tuple[int, int]]
    ends: dict[int, End]

    @property
    def as_of(self) -> dict[str, Any]:
        return history.as_of({"head": self.block, "tip": self.hash, "finalized": self.finalized}) or {}


async def read(sql: Connection, programme: bytes, ends: Sequence[date], *, block: int | None) -> Chain | None:
    """Up to `block`, else the newest; None while the mirror has no block. Raises `BlockNotReached`."""
    newest = await one(
        sql,
        "select c.first_block, c.finalized, c.next_block - 1 as head, b.number, b.hash, b.time, a.time as began"
        " from mirror.cursor c left join mirror.block b on b.number = coalesce(%s, c.next_block - 1)"
        " left join lateral (select time from mirror.block where number >= c.first_block order by number limit 1) a"
        " on true",
        block,
    )
    if newest is None:
        return None
    if newest["number"] is None or newest["number"] < newest["first_block"]:
        if block is None:
            return None
        raise BlockNotReached(
            f"Block {block} is not among {newest['first_block']} to {newest['head']}, which are known.", field="block"
        )
    wanted = {
        "programme": programme, "block": newest["number"], "deployed": newest["first_block"],
        "first": newest["began"] // DAY, "last": newest["time"] // DAY, "ends": [midnight(day) for day in ends],
    }  # fmt: skip
    moved = await (await sql.execute(_MOVED, wanted)).fetchall()
    clawed_back = await (await sql.execute(_CLAWED_BACK, wanted)).fetchall()
    closing = await (await sql.execute(_ENDS, wanted)).fetchall()
    return Chain(
        block=newest["number"], hash=newest["hash"], time=newest["time"], finalized=newest["finalized"],
        days=_days(moved, clawed_back),
        quotes=[
            Quote(row["at"], int(row["bid"]), row["until"], row["effective"])
            for row in await rows(sql, _QUOTES, programme, newest["number"])
        ],
        lives=[(row["time"], row["days"]) for row in await rows(sql, _LIVES, programme, newest["number"])],
        ends={
            row["at"] // DAY: End(
                row["number"], row["hash"], row["closed"], row["at"] - 1 if row["closed"] else newest["time"]
            )
            for row in closing
        },
    )  # fmt: skip


def _days(moved: Sequence[dict[str, Any]], clawed_back: Sequence[dict[str, Any]]) -> dict[int, Day]:
    sums: dict[int, tuple[dict[str, int], dict[int, int]]] = {}
    for row in moved:
        sums.setdefault(row["day"], ({}, {}))[0][_NAMES.get(row["what"], row["what"])] = int(row["amount"])
    for row in clawed_back:
        sums.setdefault(row["day"], ({}, {}))[1][row["issued"]] = int(row["amount"])
    return {day: Day(*parts) for day, parts in sums.items()}


async def liability(
    sql: Connection, merchant: Merchant, start: date, end: date, per: Per, *, block: int | None
) -> dict[str, Any]:
    """The lines of the periods. In the caller's transaction, which becomes read only. Raises `InvalidPeriod` and
    `BlockNotReached`."""
    wanted = periods(start, end, per)
    await snapshot(sql)
    chain = await read(sql, merchant.programme, [last for _, last in wanted], block=block)
    made: list[Line] = []
    if chain is not None:
        made = lines(wanted, chain.days, ends=chain.ends, quotes=chain.quotes, lives=chain.lives)
    return {
        "programme": checksum(merchant.programme),
        "per": per,
        "lines": made,
        "final": chain is not None and _is_final(chain, number(end)),
        "as_of": None if chain is None else chain.as_of,
    }


async def deferred_revenue(
    sql: Connection, merchant: Merchant, start: date, end: date, per: Per, assumed: Assumed, *, block: int | None
) -> dict[str, Any]:
    """The lines of the periods, as `liability`; up to the block's time of what the merchant sold and refunded, too.
    Raises `SettlementPriceNeeded` besides."""
    wanted = periods(start, end, per)
    await snapshot(sql)
    chain = await read(sql, merchant.programme, [last for _, last in wanted], block=block)
    made: list[Line] = []
    if chain is not None:
        if assumed.settlement_price is None and any("swaps_received" in day.moved for day in chain.days.values()):
            raise SettlementPriceNeeded("Points were swapped in, and settlement tokens were paid for them.")
        until = min(midnight(end) - 1, chain.time)
        own = await _own(sql, merchant, until)
        told = revenue.follow(chain.days, own, chain.lives, assumed, last=until // DAY)
        closed = {day: at.closed for day, at in chain.ends.items()}
        # Years of days take a moment, in which others are served.
        made = await asyncio.to_thread(revenue.lines, wanted, closed, told, own, digits=merchant.minor_digits)
    return {
        "programme": checksum(merchant.programme),
        "currency": merchant.currency,
        "per": per,
        "lines": made,
        "final": chain is not None and _is_final(chain, number(end)),
        "as_of": None if chain is None else chain.as_of,
    }


async def _own(sql: Connection, merchant: Merchant, until: int) -> dict[int, Own]:
    """The merchant's figures up to a second, by day."""
    found: dict[int, dict[str, int]] = {}
    for query in (_SALES, _REFUNDS):
        for row in await rows(sql, query, merchant.id, until):
            day = found.setdefault(row["day"], {})
            day.update({name: value for name, value in row.items() if name != "day"})
    return {day: Own(**sums) for day, sums in found.items()}


def _is_final(chain: Chain, end: int) -> bool:
    """Whether all blocks of the period, and the one after it, can no longer leave the chain."""
    last = chain.ends[end]
    return last.closed and (last.block is None or last.block < chain.finalized)
