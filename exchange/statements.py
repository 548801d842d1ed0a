"""Settlement statements: what moved a programme's margin in a period, and with whom.

Everything is derived from the mirror's movements, each of which is one side of a log of the exchange, so a statement
sums to what the chain did, exactly: opening margin, plus what was received, less what was paid, is the closing margin.
A period is of whole days (UTC) by the blocks' time, which grows with their numbers. An answer is one snapshot of the
mirror; it is `final` once no block of its period can leave the chain any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from exchange import history, shortfalls
from exchange.database import Connection, Tenant, one, snapshot
from exchange.errors import InvalidPeriod
from exchange.gateway import Gateway
from exchange.hexes import checksum, hexed
from exchange.merchant import Merchant
from exchange.points import render_points, render_settlement
from exchange.times import rfc3339

PATIENCE: Final = 60
"""Seconds that a stream waits for its reader before it gives its connection up."""

# A moment's first block, for what a block holds is found by its number; beyond the newest one, none.
_FROM: Final = """
coalesce((select b.number from mirror.block b where b.time >= %({at})s order by b.time, b.number limit 1),
         9223372036854775807)
"""
_FIRST: Final = _FROM.format(at="start")
_AFTER: Final = _FROM.format(at="end")

_MARGINS: Final = f"""
select coalesce(sum(delta) filter (where block < {_FIRST}), 0) as opening, coalesce(sum(delta), 0) as closing
from mirror.movement where account = %(account)s and block < {_AFTER}
"""  # noqa: S608 - of constants

# A movement is one side of a swap, a gift or a match, whose row is of the same log.
_MOVED: Final = f"""
select m.block, m.log_index, m.side, m.delta, b.time,
       case when m.kind <> 'swap' then m.kind when m.side = 0 then 'swap.paid' else 'swap.received' end as kind,
       case m.kind when 'swap' then case m.side when 0 then s."into" else s."from" end
                   when 'gift' then case m.side when 0 then g.charity else g.programme end
                   when 'match' then case m.side when 0 then x.charity else x.sponsor end end as partner,
       case m.kind when 'swap' then case m.side when 0 then s.amount else s.out end
                   when 'gift' then g.amount else 0 end as points,
       case when m.kind = 'swap' and m.side = 1 then s.fee else 0 end as fee,
       coalesce(s.intent, g.intent, x.intent) as intent
from mirror.movement m
join mirror.block b on b.number = m.block
left join mirror.swap s on m.kind = 'swap' and s.block = m.block and s.log_index = m.log_index
left join mirror.gift g on m.kind = 'gift' and g.block = m.block and g.log_index = m.log_index
left join mirror.matching x on m.kind = 'match' and x.block = m.block and x.log_index = m.log_index
where m.account = %(account)s and m.block >= {_FIRST} and m.block < {_AFTER}
"""  # noqa: S608 - of constants

_LINES: Final = f"""
select v.kind, v.partner, p.slug, count(*) as count, sum(v.points) as points, sum(v.fee) as fee,
       coalesce(sum(v.delta) filter (where v.delta > 0), 0) as received,
       coalesce(-sum(v.delta) filter (where v.delta < 0), 0) as paid
from ({_MOVED}) v
left join lateral (
    select slug from exchange.programme where programme = v.partner
    union all select slug from exchange.charity where address = v.partner limit 1
) p on true
group by v.kind, v.partner, p.slug order by v.kind, p.slug, v.partner
"""  # noqa: S608 - of constants

_EACH: Final = f"{_MOVED} order by m.block, m.log_index, m.side"

SUMMARY: Final = ("kind", "partner", "slug", "count", "points", "received", "paid", "fee")
EACH: Final = ("at", "block", "kind", "partner", "points", "amount", "fee", "margin", "intent")


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC; `end` is the first day after it."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InvalidPeriod(f"The period begins on {self.start} and would end before {self.end}.")

    @property
    def seconds(self) -> dict[str, int]:
        return {"start": _midnight(self.start), "end": _midnight(self.end)}


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


async def summary(sql: Connection, merchant: Merchant, period: Period) -> dict[str, Any]:
    """One line for each kind of movement and partner. In the caller's transaction, which becomes read only."""
    await snapshot(sql)
    wanted = {"account": merchant.programme, **period.seconds}
    newest = await history.head(sql)
    margins = await (await sql.execute(_MARGINS, wanted)).fetchone()
    found = await (await sql.execute(_LINES, wanted)).fetchall()
    if margins is None:
        raise RuntimeError("an aggregate has a row")
    return {
        "merchant": merchant.slug,
        "programme": checksum(merchant.programme),
        "start": period.start.isoformat(),
        "end": period.end.isoformat(),
        "opening_margin": render_settlement(int(margins["opening"])),
        "received": render_settlement(sum(int(row["received"]) for row in found)),
        "paid": render_settlement(sum(int(row["paid"]) for row in found)),
        "closing_margin": render_settlement(int(margins["closing"])),
        "lines": [_line(row) for row in found],
        "shortfalls": await shortfalls.period(sql, merchant, **period.seconds),
        "final": await _is_final(sql, period),
        "as_of": history.as_of(newest),
    }


async def _is_final(sql: Connection, period: Period) -> bool:
    """Whether a finalized block is beyond the period."""
    row = await one(
        sql,
        "select 1 from mirror.cursor c join mirror.block b on b.number = least(c.finalized, c.next_block - 1)"
        " where b.time >= %s",
        period.seconds["end"],
    )
    return row is not None


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": row["kind"],
        "partner": None if row["partner"] is None else checksum(row["partner"]),
        "slug": row["slug"],
        "count": row["count"],
        "points": render_points(int(row["points"])),
        "received": render_settlement(int(row["received"])),
        "paid": render_settlement(int(row["paid"])),
        "fee": render_settlement(int(row["fee"])),
    }


async def movements(
    gateway: Gateway, tenant: Tenant, merchant: Merchant, period: Period
) -> AsyncIterator[dict[str, Any]]:
    """Every movement in the chain's order, with the margin after it; however many there are, a page at a time.

    Raises `TooManyStreams`. The stream breaks off if nobody reads it for a minute.
    """
    with gateway.streams.statement():
        async with gateway.database.transaction(tenant) as sql:
            await snapshot(sql)
            await sql.execute(f"set local idle_in_transaction_session_timeout = {PATIENCE * 1000}")
            wanted = {"account": merchant.programme, **period.seconds}
            [margins] = await (await sql.execute(_MARGINS, wanted)).fetchall()
            margin = int(margins["opening"])
            async with sql.cursor(name="movements") as cursor:
                cursor.itersize = 1_000
                await cursor.execute(_EACH, wanted)
                async for row in cursor:
                    margin += int(row["delta"])
                    yield _movement(row, margin)


def _movement(row: Mapping[str, Any], margin: int) -> dict[str, Any]:
    return {
        "at": rfc3339(row["time"]),
        "block": row["block"],
        "kind": row["kind"],
        "partner": None if row["partner"] is None else checksum(row["partner"]),
        "points": render_points(int(row["points"])),
        "amount": render_settlement(int(row["delta"])),
        "fee": render_settlement(int(row["fee"])),
        "margin": render_settlement(margin),
        "intent": None if row["intent"] is None else hexed(row["intent"]),
    }
