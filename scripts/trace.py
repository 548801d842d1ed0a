"""`points trace`: the way of one purchase, refund or intent, from the request to the block, from what is stored.

The id is the one that the gateway answered with and that its log line carries. No reference is shown: a merchant may
have made it of a person.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from rich.console import Console

from exchange.points import render_points
from scripts.errors import CommandFailed

_STARTS = """
select 'purchase' as what, p.id, to_timestamp(p.accepted_at) as at, b.call_id, p.batch_number as batch,
       p.batch_index as place, p.points - p.cancelled as points, p.cancelled, p.available_at
from exchange.purchase p
left join exchange.batch b on b.merchant_id = p.merchant_id and b.number = p.batch_number
where p.id = %(id)s
union all
select 'refund', r.id, r.created_at, r.call_id, p.batch_number, p.batch_index, r.points, r.cancelled, 0
from exchange.refund r join exchange.purchase p on p.merchant_id = r.merchant_id and p.id = r.purchase_id
where r.id = %(id)s
union all
select i.kind, i.id, i.created_at, i.call_id, null, null, null, 0, 0
from exchange.intent i where i.id = %(id)s
"""

_CALL = """
select c.id, c.kind, c.state, c.failure, c.tries, c.position, t.nonce, t.state as transaction_state, t.block,
       '0x' || encode(t.block_hash, 'hex') as block_hash, '0x' || encode(t.signer, 'hex') as signer,
       (select array_agg('0x' || encode(a.hash, 'hex') order by a.max_fee) from exchange.attempt a
        where a.transaction_id = t.id) as hashes
from exchange.call c left join exchange.transaction t on t.id = c.transaction_id where c.id = %s
"""


# Of a purchase what it offset, of a refund or its purchase what fell short or is owed again.
_SHORTFALLS = """
select s.kind, to_char(to_timestamp(s.at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS ')
       || round(s.points::numeric / 100, 2) || ' points'
       || coalesce(', block ' || s.block || ' log ' || s.log_index, '') as what
from exchange.shortfall s
where s.purchase_id in (select %(id)s::uuid union all select purchase_id from exchange.refund where id = %(id)s)
order by s.created_at, s.id
"""


class UnknownId(CommandFailed):
    """Raised when nothing has this id."""


async def show(settings: Mapping[str, str], id: UUID, console: Console) -> None:
    """Prints each station with its time. Raises `UnknownId`."""
    async with await psycopg.AsyncConnection.connect(settings["POINTS_DATABASE_URL"], row_factory=dict_row) as sql:
        start = await (await sql.execute(_STARTS, {"id": id})).fetchone()
        if start is None:
            raise UnknownId(f"No purchase, refund or intent has the id {id}.")
        call = None
        if start["call_id"] is not None:
            call = await (await sql.execute(_CALL, (start["call_id"],))).fetchone()
        entries = await (await sql.execute(_SHORTFALLS, {"id": id})).fetchall()
    for name, value in [*stations(start, call), *((row["kind"], row["what"]) for row in entries)]:
        console.print(f"{name:<12} {value}", highlight=False, soft_wrap=True)


def stations(start: Mapping[str, Any], call: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What happened, in order."""
    way = [("accepted", f"{start['at']:%Y-%m-%d %H:%M:%S} {start['what']} {start['id']}")]
    if start["batch"] is not None:
        way.append(("batch", f"{start['batch']}, entry {start['place']}"))
    if start["cancelled"]:
        way.append(("cancelled", f"{render_points(start['cancelled'])} points before they were minted"))
    if call is None and start["points"] == 0:
        return [*way, ("done", "nothing is left to be sent to the chain")]
    if call is None and start["available_at"] > time.time():
        return [*way, ("pending", f"until {datetime.fromtimestamp(start['available_at'], UTC):%Y-%m-%d %H:%M:%S}")]
    if call is None:
        return [*way, ("waiting", "no call carries it yet")]
    tried = f", tried {call['tries']} times before" if call["tries"] else ""
    way.append(("call", f"{call['id']} {call['kind']}, {call['state']}{tried}"))
    if call["failure"] is not None:
        way.append(("failure", call["failure"]))
    if call["hashes"] is not None:
        place = f"call {call['position']} of it" if call["position"] is not None else "alone"
        way.append(("transaction", f"nonce {call['nonce']} of {call['signer']}, {call['transaction_state']}, {place}"))
        way.extend(("attempt", hash_) for hash_ in call["hashes"])
    if call["block"] is not None:
        way.append(("block", f"{call['block']} {call['block_hash']}"))
    return way
