"""Warning merchants of points that will be gone soon: each holder's, once for each day on which they would be.

The event's subject is holder and moment, so looking again, or by two notifiers at once, warns nobody twice; who was
active meanwhile has another moment, and is warned of that one when its time comes.
"""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from exchange import expiry
from exchange.hexes import hexed
from exchange.points import render_points
from exchange.webhooks.kinds import INSERT, KINDS

NOTICE_DAYS: Final = 30

_KIND: Final = next(kind for kind in KINDS if kind.since == "notice")

_SUBSCRIBED: Final = """
select id, programme from exchange.merchant
where id in (select merchant_id from exchange.webhook_endpoint where %s = any(events) and removed_at is null)
order by id
"""


async def warn(connection: AsyncConnection[Any], *, now: int) -> int:
    """Looks at every holder of every programme whose merchant asked for it. Returns how many are about to lose points.

    Each page is a transaction of its own: there may be millions of holders.
    """
    cursor = await connection.execute(_SUBSCRIBED, (_KIND.name,))
    return sum([await _warn(connection, each, programme, now) for each, programme in await cursor.fetchall()])


async def _warn(connection: AsyncConnection[Any], merchant: UUID, programme: bytes, now: int) -> int:
    after, warned = b"", 0
    while True:
        arguments = {"programme": programme, "merchant": merchant, "now": now, "after": after, "limit": expiry.AT_ONCE}
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(expiry.PAGE, arguments)
            page = await cursor.fetchall()
        due = [row for row in page if expiry.expires_within(row, now=now, days=NOTICE_DAYS)]
        if due:
            told = {"subjects": [_subject(row) for row in due], "data": [json.dumps(_data(row)) for row in due]}
            await connection.execute(
                INSERT.format(source=_KIND.source), {"kind": _KIND.name, "merchant": merchant, **told}
            )
        warned += len(due)
        if len(page) < expiry.AT_ONCE:
            return warned
        after = bytes(page[-1]["holder"])


def _subject(row: dict[str, Any]) -> str:
    return f"{row['holder'].hex()}/{row['at']}"


def _data(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "holder": hexed(row["holder"]),
        "customer": None if row["customer"] is None else str(row["customer"]),
        "points": render_points(int(row["amount"])),
        "expires_at": expiry.shown(row["at"]),
    }
