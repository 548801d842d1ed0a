"""Completing announced withdrawals of margin once their notice is over: anybody may, and so the relayer does by itself.

What is announced, and since when, is read from the chain and not from our rows: a withdrawal may have been replaced by
another one, or completed by somebody else. The row is locked while its completion is queued, so however many relayers
run, one is.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from contracts import bindings, crash
from contracts.errors import Malformed
from contracts.rpc import Rpc, from_hex, from_quantity, to_hex
from exchange.calls import GAS

TICK: Final = 5.0
"""Seconds between two looks: a notice of a week is not timed to the second."""

# On the chain as far as we know, and not being completed already. A completion that was refused, for want of any margin
# or because the announcement had changed, is tried again after a while.
_OPEN: Final = """
select w.merchant_id, w.id, m.programme, w.recipient, w.amount::text, w.gone_block
from exchange.withdrawal w
join exchange.merchant m on m.id = w.merchant_id
join exchange.call c on c.id = w.call_id
join exchange.transaction t on t.id = c.transaction_id
left join exchange.call d on d.id = w.completion_id
where not w.closed and c.failure is null and t.state in ('included', 'final') and t.succeeded
  and (d.id is null or (d.state = 'refused' and d.created_at < now() - interval '1 hour')
       or exists (select 1 from exchange.transaction x where x.id = d.transaction_id and x.state = 'final'))
order by w.merchant_id, w.id
"""

_COMPLETE: Final = """
with locked as (
    select merchant_id, id from exchange.withdrawal
    where merchant_id = %s and id = %s and not closed
      and (completion_id is null
           or exists (select 1 from exchange.call where id = completion_id and state = 'refused'))
    for update skip locked
), queued as (
    insert into exchange.call (kind, target, data, gas)
    select 'complete', %s, %s, %s from locked returning id
)
update exchange.withdrawal w set completion_id = queued.id from locked, queued
where w.merchant_id = locked.merchant_id and w.id = locked.id
"""

_GONE: Final = """
update exchange.withdrawal set gone_block = %s, closed = %s where merchant_id = %s and id = %s
"""


class Announced(NamedTuple):
    """By the chain; `due` is 0 if there is nothing."""

    to: bytes
    amount: int
    due: int


async def complete_everyone(connection: AsyncConnection, rpc: Rpc, *, exchange: bytes) -> int:
    """Queues the completions that are due by the chain's own time. Returns how many."""
    cursor = await connection.execute(_OPEN, binary=True)
    found = await cursor.fetchall()
    return sum([await _complete(connection, rpc, exchange, *row) for row in found])


async def _complete(
    connection: AsyncConnection,
    rpc: Rpc,
    exchange: bytes,
    merchant: UUID,
    id: UUID,
    programme: bytes,
    recipient: bytes,
    amount: str,
    gone_block: int | None,
) -> int:
    announced = await _announced(rpc, exchange, programme)
    there = announced[:2] == (recipient, int(amount))
    if not there or gone_block is not None:
        since = None if there else gone_block if gone_block is not None else await _number(rpc, "latest")
        # What is still missing when the block is final does not come back.
        closed = since is not None and await _number(rpc, "finalized") >= since
        await connection.execute(_GONE, (since, closed, merchant, id))
    if not there:
        return 0
    if await _header(rpc, "latest", "timestamp") < announced.due:
        return 0
    data = bindings.exchange_complete_withdrawal(programme=programme)
    crash.point("withdrawing: due, completion not queued")
    cursor = await connection.execute(_COMPLETE, (merchant, id, exchange, data, GAS["complete"]))
    crash.point("withdrawing: completion queued")
    return cursor.rowcount


async def _announced(rpc: Rpc, exchange: bytes, programme: bytes) -> Announced:
    call: dict[str, Any] = {
        "to": to_hex(exchange),
        "data": to_hex(bindings.exchange_announced_withdrawal(programme=programme)),
    }
    answer = from_hex(await rpc.call("eth_call", call, "latest"))
    if len(answer) != 96:  # a node that has not heard of the contract yet
        raise Malformed(f"an announcement has 96 bytes, not {len(answer)}")
    return Announced(*bindings.exchange_announced_withdrawal_result(answer))


async def _number(rpc: Rpc, tag: str) -> int:
    """Of the newest block, or of the newest final one. A pruned node has it when it has no state of it any more."""
    return await _header(rpc, tag, "number")


async def _header(rpc: Rpc, tag: str, field: str) -> int:
    block = await rpc.call("eth_getBlockByNumber", tag, False)
    if not isinstance(block, dict):
        raise Malformed(f"the node has no {tag} block")
    return from_quantity(block.get(field, ""))
