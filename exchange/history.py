"""What the chain says of a holder, read from the mirror: how the balances came to be, and as of which block.

What is still alive of them is another question (`exchange/expiry.py`). Reads only. Everything here is public chain
data; each answer says as of which block, and how far is final. Pages are by keyset: the cursor names the last entry
seen (block, log index, side), so a page costs the same however far back it lies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from exchange.database import Connection, one, rows
from exchange.errors import InvalidRequest
from exchange.hexes import checksum, hexed
from exchange.points import render_points
from exchange.times import rfc3339

_CURSOR: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,9})-([01])")


ENTRIES: Final = """
select e.block, e.log_index, e.side, e.programme, e.delta, e.kind, e.counterparty, e.intent,
       p.name, p.symbol, k.time, k.hash as block_hash, t.hash as transaction_hash
from mirror.entry e
join mirror.programme p on p.address = e.programme
join mirror.block k on k.number = e.block
left join mirror.transaction t on t.block = e.block and t.index = e.transaction_index
"""

WITH_HEAD: Final = """
select h.*, found.* from (values (1)) as asked
left join (select next_block - 1 as head, tip, finalized from mirror.cursor where id = 1) h on true
left join lateral ({query}) found on true
"""
"""Both of one moment, for a statement sees one snapshot: a row at least, whose columns of `query` may all be null."""

_PAGE: Final = f"""
{ENTRIES}
where e.holder = %b and (e.block, e.log_index, e.side) < (%b::bigint, %b::integer, %b::smallint)
order by e.block desc, e.log_index desc, e.side desc limit %b
"""
_HISTORY: Final = WITH_HEAD.format(query=_PAGE) + "order by found.block desc, found.log_index desc, found.side desc"


def as_of(cursor: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The block that an answer is true for, from a row with `head`, `tip` and `finalized`; None before the first."""
    if cursor is None or cursor["head"] is None:
        return None
    return {"block": cursor["head"], "hash": hexed(cursor["tip"]), "finalized_block": cursor["finalized"]}


async def head(sql: Connection) -> dict[str, Any] | None:
    """`head`, `tip`, `finalized` and `time` of the mirror's newest block, or None while it is empty."""
    return await one(
        sql,
        "select c.next_block - 1 as head, c.tip, c.finalized, b.time from mirror.cursor c"
        " left join mirror.block b on b.number = c.next_block - 1 where c.id = 1",
    )


async def history(sql: Connection, holder: bytes, *, before: str | None, limit: int) -> dict[str, Any]:
    """The newest entries before the cursor `before`; `next` is the cursor of the following page."""
    newest, *_ = answer = await rows(sql, _HISTORY, holder, *_position(before), limit + 1)
    found = [row for row in answer if row["block"] is not None]
    page, finalized = found[:limit], newest["finalized"]
    last = page[-1] if len(found) > limit else None
    return {
        "holder": checksum(holder),
        "entries": [entry(row, finalized) for row in page],
        "next": None if last is None else f"{last['block']}-{last['log_index']}-{last['side']}",
        "as_of": as_of(newest),
    }


def _position(before: str | None) -> tuple[int, int, int]:
    if before is None:
        return 2**62, 0, 0
    match = _CURSOR.fullmatch(before)
    if match is None:
        raise InvalidRequest("before is not a cursor that `next` of an earlier page gave.", field="before")
    block, log_index, side = match.groups()
    return int(block), int(log_index), int(side)


def entry(row: Mapping[str, Any], finalized: int) -> dict[str, Any]:
    """As it is shown, of a row with the columns that `ENTRIES` selects."""
    return {
        "programme": checksum(row["programme"]),
        "name": row["name"],
        "symbol": row["symbol"],
        "kind": row["kind"],
        "points": render_points(int(row["delta"])),
        "counterparty": None if row["counterparty"] is None else checksum(row["counterparty"]),
        "intent": None if row["intent"] is None else hexed(row["intent"]),
        "at": rfc3339(row["time"]),
        "block": row["block"],
        "transaction": None if row["transaction_hash"] is None else hexed(row["transaction_hash"]),
        "status": "final" if row["block"] <= finalized else "confirmed",
    }
