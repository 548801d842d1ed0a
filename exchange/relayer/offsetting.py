"""From final clawbacks that fell short to debts that later earnings offset.

Only what is final is entered, for it is never undone, so nothing here needs to be. The cursor's row is locked
meanwhile: however many relayers run, each final block is looked at once, and what is entered and how far we are commit
together. A mirror that is being rebuilt is behind the cursor, and nothing is done until it is there again.
"""

from __future__ import annotations

from typing import Final

from psycopg import AsyncConnection

TICK: Final = 1.0

_BLOCKS: Final = """
select w.final, least(c.finalized, c.next_block - 1)
from exchange.shortfall_cursor w cross join mirror.cursor c where w.id = 1 and c.id = 1 for update of w
"""

_INCUR: Final = """
with incurred as (
    insert into exchange.shortfall (merchant_id, id, holder, kind, points, purchase_id, block, log_index, at)
    select m.id, gen_random_uuid(), x.holder, 'incurred', x.shortfall::int8, p.id, x.block, x.log_index, k.time
    from mirror.clawback x
    join mirror.block k on k.number = x.block
    join exchange.merchant m on m.programme = x.programme
    join exchange.purchase p on p.merchant_id = m.id and p.batch_number = x.batch and p.batch_index = x.index
    join exchange.earning_rule r on r.merchant_id = p.merchant_id and r.version = p.rule_version
    where x.block > %(low)s and x.block <= %(high)s and x.shortfall > 0 and r.offsets
    returning merchant_id, holder, points
)
insert into exchange.debt as d (merchant_id, holder, owed)
select merchant_id, holder, sum(points)::int8 from incurred group by 1, 2 order by 1, 2
on conflict (merchant_id, holder) do update set owed = d.owed + excluded.owed
"""


async def enter_shortfalls(connection: AsyncConnection) -> None:
    """Enters those of the blocks that became final since the last time."""
    async with connection.transaction():
        cursor = await connection.execute(_BLOCKS)
        row = await cursor.fetchone()
        if row is None or row[0] >= row[1]:
            return
        low, high = row
        await connection.execute(_INCUR, {"low": low, "high": high})
        await connection.execute("update exchange.shortfall_cursor set final = %s where id = 1", (high,))
