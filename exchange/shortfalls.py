"""Shortfalls: points that a refund should have taken back and could not, for the customer had spent them.

If a merchant's terms say so, they are offset by what the same customer earns there later. A shortfall is the chain's
word: it counts once its clawback is final (`exchange/relayer/offsetting.py`), for what is final cannot be undone, and
only if the refunded purchase was made under terms that offset. `shortfall` is append-only and `debt` its fold, always
changed in one transaction, under the lock on the debt's row: however many purchases come at once, together they offset
what is owed and no more. A debt's row is the last that anybody locks, and several are locked in the order of their
holders, so nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from exchange.database import Connection, rows
from exchange.hexes import checksum
from exchange.merchant import Merchant
from exchange.points import render_points
from exchange.times import rfc3339

_OFFSET: Final = """
with made as (
    select * from unnest(%b::uuid[], %b::uuid[], %b::bytea[], %b::int8[], %b::int8[])
    as t (merchant_id, purchase_id, holder, points, at)
), entered as (
    insert into exchange.shortfall (merchant_id, id, holder, kind, points, purchase_id, at)
    select merchant_id, gen_random_uuid(), holder, 'offset', points, purchase_id, at from made
)
update exchange.debt d set owed = d.owed - m.points
from (select merchant_id, holder, sum(points)::int8 as points from made group by 1, 2) m
where d.merchant_id = m.merchant_id and d.holder = m.holder
"""

_RESTORE: Final = """
with entered as (
    insert into exchange.shortfall (merchant_id, id, holder, kind, points, purchase_id, at)
    values (%(merchant)s, gen_random_uuid(), %(holder)s, 'restored', %(points)s, %(purchase)s, %(at)s)
)
update exchange.debt set owed = owed + %(points)s where merchant_id = %(merchant)s and holder = %(holder)s returning 1
"""

_PERIOD: Final = """
select coalesce(sum(points) filter (where kind = 'incurred' and at >= %(start)s), 0)::int8 as incurred,
       coalesce(sum(points) filter (where kind = 'offset' and at >= %(start)s), 0)::int8 as offset,
       coalesce(sum(points) filter (where kind = 'restored' and at >= %(start)s), 0)::int8 as restored,
       coalesce(sum(case kind when 'offset' then -points else points end), 0)::int8 as outstanding
from exchange.shortfall where merchant_id = %(merchant)s and at < %(end)s
"""


async def owed(sql: Connection, merchant: Merchant, holders: Collection[bytes]) -> dict[bytes, int]:
    """Base units that are to be offset, of those holders who owe any, at this moment."""
    return _by_holder(
        await rows(
            sql,
            "select holder, owed from exchange.debt where merchant_id = %s and holder = any(%s) and owed > 0",
            merchant.id,
            list(holders),
        )
    )


async def lock(sql: Connection, merchant: Merchant, holders: Collection[bytes]) -> dict[bytes, int]:
    """The same, of all of them that ever owed anything, and nobody else's until the caller's transaction ends."""
    return _by_holder(
        await rows(
            sql,
            "select holder, owed from exchange.debt where merchant_id = %s and holder = any(%s)"
            " order by holder for update",
            merchant.id,
            list(holders),
        )
    )


def _by_holder(found: Sequence[Mapping[str, Any]]) -> dict[bytes, int]:
    return {bytes(row["holder"]): row["owed"] for row in found}


async def offset(sql: Connection, purchases: Sequence[Mapping[str, Any]]) -> None:
    """Enters what stored purchases had withheld, under the caller's `lock`."""
    made = [
        (row["merchant_id"], row["id"], row["holder"], row["withheld"], row["accepted_at"])
        for row in purchases
        if row["withheld"]
    ]
    if made:
        await sql.execute(_OFFSET, [list(column) for column in zip(*made, strict=True)])


async def restore(sql: Connection, merchant: Merchant, *, holder: bytes, purchase: UUID, points: int, at: int) -> None:
    """A refunded purchase had offset so much: it is owed again."""
    entry = {"merchant": merchant.id, "holder": holder, "purchase": purchase, "points": points, "at": at}
    cursor = await sql.execute(_RESTORE, entry)
    if await cursor.fetchone() is None:
        raise RuntimeError("a purchase that offset a debt has one")


async def period(sql: Connection, merchant: Merchant, *, start: int, end: int) -> dict[str, str]:
    """Of a merchant's statement: by the time of the clawback's block, the purchase and the refund."""
    cursor = await sql.execute(_PERIOD, {"merchant": merchant.id, "start": start, "end": end})
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an aggregate has a row")
    return {name: render_points(value) for name, value in row.items()}


_UNMINTED: Final = """
select coalesce(sum(points - cancelled), 0)::int8 as pending,
       min(available_at) filter (where points > cancelled) as available_at,
       coalesce((select owed from exchange.debt where merchant_id = %(merchant)s and holder = %(holder)s), 0) as owed
from exchange.purchase
where merchant_id = %(merchant)s and holder = %(holder)s and batch_number is null and available_at > accepted_at
"""


async def unminted(sql: Connection, merchant: Merchant, holder: bytes) -> dict[str, Any]:
    """What a customer has with a merchant beside a balance: `pending` points, from when on they are minted, and what
    later earnings will be offset by."""
    cursor = await sql.execute(_UNMINTED, {"merchant": merchant.id, "holder": holder})
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an aggregate has a row")
    return {
        "programme": checksum(merchant.programme),
        "pending": render_points(row["pending"]),
        "available_at": None if row["available_at"] is None else rfc3339(row["available_at"]),
        "owed": render_points(row["owed"]),
    }
