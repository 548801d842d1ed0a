"""From what happened to events in the outbox, in one transaction with how far we have looked.

The cursor is locked meanwhile, so however many notifiers run, none overtakes another, and what is committed is
events and cursor together: nothing is lost and nothing is derived twice. Confirmed events are read up to the mirror's
head; if the block that we looked at last has left the chain, we look again from the last final one, and what was told
before is not told again. Final events are read up to the finalized block, which never goes back.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from psycopg import AsyncConnection

from contracts import crash
from exchange.webhooks.kinds import INSERT, KINDS, Since

BLOCKS_AT_ONCE: Final = 500
OVERLAP: Final = 600
"""Seconds of the clock that are looked at again, for what was committed late."""

# Whoever runs first begins at the present: nobody asked to be told before.
_BEGIN: Final = """
insert into exchange.webhook_cursor (id, confirmed, confirmed_hash, final, clock)
select 1, next_block - 1, tip, least(finalized, next_block - 1), %s from mirror.cursor where id = 1
on conflict do nothing
"""

_CURSOR: Final = """
select w.confirmed, w.final, w.clock, c.next_block - 1, c.finalized,
       exists (select 1 from mirror.block b where b.number = w.confirmed and b.hash = w.confirmed_hash)
from exchange.webhook_cursor w cross join mirror.cursor c where w.id = 1 and c.id = 1
"""

_ADVANCE: Final = """
update exchange.webhook_cursor w
set confirmed = b.number, confirmed_hash = b.hash, final = %(final)s, clock = %(clock)s
from mirror.block b where w.id = 1 and b.number = %(confirmed)s
"""


class _Cursor(NamedTuple):
    confirmed: int
    final: int
    clock: int
    head: int
    finalized: int
    stands: bool  # whether the block that we looked at last is still on the chain


async def derive(connection: AsyncConnection, *, now: int) -> bool:
    """Puts what is new into the outbox. Returns whether there is more to look at."""
    async with connection.transaction():
        # The mirror must not move between the queries. The snapshot is taken after the lock, which needs none.
        await connection.execute("set transaction isolation level repeatable read")
        await connection.execute("lock table exchange.webhook_cursor in share row exclusive mode")
        await connection.execute(_BEGIN, (now,))
        cursor = await connection.execute(_CURSOR)
        row = await cursor.fetchone()
        if row is None:
            return False  # the mirror is empty
        at = _Cursor(*row)
        if at.head < at.final:
            return False  # the mirror is being rebuilt
        ranges, advanced = _ranges(at, now)
        for kind in KINDS:
            low, high = ranges.get(kind.since, (0, 0))
            if low < high:
                await connection.execute(
                    INSERT.format(source=kind.source), {"kind": kind.name, "low": low, "high": high}
                )
        moved = {"confirmed": advanced.confirmed, "final": advanced.final, "clock": now}
        await connection.execute(_ADVANCE, moved)
        crash.point("notifier: derived, not committed")
    crash.point("notifier: derived")
    return advanced.confirmed < at.head or advanced.final < min(at.finalized, at.head)


def _ranges(at: _Cursor, now: int) -> tuple[dict[Since, tuple[int, int]], _Cursor]:
    """What to look at for each reason, exclusive and inclusive, and where that leads. Pure."""
    confirmed = at.confirmed if at.stands else at.final
    head = min(at.head, confirmed + BLOCKS_AT_ONCE)
    final = min(at.finalized, at.head, at.final + BLOCKS_AT_ONCE)
    ranges: dict[Since, tuple[int, int]] = {
        "confirmed": (confirmed, head),
        "final": (at.final, final),
        "clock": (at.clock - OVERLAP, now),
    }
    return ranges, at._replace(confirmed=head, final=max(final, at.final))
