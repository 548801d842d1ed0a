"""From accepted purchases to signed batches: the purchases of one programme that one call mints.

A batch takes its number from its merchant's row, under that row's lock, in the transaction that stores the batch, its
call and each purchase's place in it: numbers are gapless, and no purchase is in two batches, whatever is killed and
however many relayers run. `for no key update` is the lock that new purchases' foreign keys do not collide with.

A purchase waits until its return window has closed, and what refunds took away before is not minted. A refund locks
the purchase alone, and placing waits for it: if one of them changed meanwhile, nothing is placed until the next round.

A batch leaves when it is full, or when its merchant has none waiting to be placed: while the chain is slow or down,
purchases gather in full batches instead of many small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from eth_hash.backends.pysha3 import keccak256 as keccak
from psycopg import AsyncConnection

from contracts import crash, receipts, signatures
from contracts.bindings import points_mint
from contracts.eip712 import domain_separator, mint_digest
from exchange import vault

BATCHES_AT_ONCE = 10
"""Batches of one merchant in one transaction: enough to spare round trips, few enough to commit within a tick."""

BASE_GAS = 60_000
ENTRY_GAS = 30_000  # a holder's first points of a programme cost 24,600


class Merchant(NamedTuple):
    id: UUID
    programme: bytes
    issuer_key: bytes  # sealed
    next_batch: int


class Purchase(NamedTuple):
    holder: bytes
    points: int  # base units that are minted
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    number: int
    receipts_root: bytes
    total: int
    purchases: Sequence[Purchase]
    data: bytes
    gas: int


def make_batch(*, merchant: Merchant, number: int, purchases: Sequence[Purchase], key: bytes, chain_id: int) -> Batch:
    """The batch `number` of these purchases, signed by the programme's issuer. Pure."""
    leaves = [leaf_of(merchant.programme, number, i, p, chain_id) for i, p in enumerate(purchases)]
    entries = receipts.pack_entries((p.holder, p.points) for p in purchases)
    root = receipts.root(leaves)
    digest = mint_digest(
        domain_separator(chain_id, merchant.programme), batch=number, receipts_root=root, entries_hash=keccak(entries)
    )
    signature = signatures.sign(key, digest)
    return Batch(
        number=number,
        receipts_root=root,
        total=sum(p.points for p in purchases),
        purchases=purchases,
        data=points_mint(batch=number, receipts_root=root, entries=entries, signature=signature),
        gas=BASE_GAS + ENTRY_GAS * len(purchases),
    )


def leaf_of(programme: bytes, number: int, index: int, purchase: Purchase, chain_id: int) -> bytes:
    """The receipt's leaf; its `purchase` is the commitment that the receipt was signed over."""
    return receipts.leaf(
        chain_id=chain_id,
        token=programme,
        batch=number,
        index=index,
        holder=purchase.holder,
        amount=purchase.points,
        purchase=purchase.commitment,
    )


class _Refunded(Exception):
    """When a purchase was refunded while it was being placed, and leaves a gap."""


async def batch_everyone(connection: AsyncConnection, *, master: bytes, chain_id: int, size: int, now: int) -> int:
    """Batches what is due, one transaction a merchant. Returns how many purchases were batched."""
    due = await _due(connection, size, now)
    return sum([await batch_merchant(connection, m, master=master, chain_id=chain_id, size=size, now=now) for m in due])


async def batch_merchant(
    connection: AsyncConnection, merchant_id: UUID, *, master: bytes, chain_id: int, size: int, now: int
) -> int:
    try:
        return await _batch(connection, merchant_id, master=master, chain_id=chain_id, size=size, now=now)
    except _Refunded:
        return 0


async def _batch(
    connection: AsyncConnection, merchant_id: UUID, *, master: bytes, chain_id: int, size: int, now: int
) -> int:
    async with connection.transaction():
        merchant = await lock(connection, merchant_id)
        if merchant is None:
            return 0
        purchases = await _place(connection, merchant, size, now)
        if not purchases:
            return 0
        key = vault.unseal(master, merchant.issuer_key, purpose=f"issuer:{merchant_id}")
        batches = [
            make_batch(
                merchant=merchant,
                number=merchant.next_batch + i,
                purchases=purchases[start : start + size],
                key=key,
                chain_id=chain_id,
            )
            for i, start in enumerate(range(0, len(purchases), size))
        ]
        await _store(connection, merchant, batches)
        crash.point("batching: batches stored, not committed")
    crash.point("batching: batches committed")
    return len(purchases)


_DUE = """
select m.id
from exchange.merchant m
where exists (select 1 from exchange.purchase p
              where p.merchant_id = m.id and p.batch_number is null and p.points > p.cancelled
                and p.available_at <= %(now)s)
  and (not exists (select 1 from exchange.call c
                   where c.state = 'queued' and c.kind = 'mint' and c.sequence = m.programme)
       or exists (select 1 from exchange.purchase p
                  where p.merchant_id = m.id and p.batch_number is null and p.points > p.cancelled
                    and p.available_at <= %(now)s
                  order by p.available_at, p.id offset %(others)s limit 1))
order by m.id
"""

_LOCK = """
select id, programme, issuer_key, next_batch from exchange.merchant where id = %s for no key update skip locked
"""

FACTS = "p.holder, p.points - p.cancelled, p.commitment"
"""What a `Purchase` is read by."""

# By its place in the table, for without statistics a planner would as soon look for each id among all of the merchant's
# purchases. A row that a refund has just changed is at another place: it is missing, and `_place` sees the gap.
_PLACE = f"""
with waiting as (
    select ctid, row_number() over (order by available_at, id) - 1 as place
    from exchange.purchase
    where merchant_id = %(merchant)s and batch_number is null and points > cancelled and available_at <= %(now)s
    order by available_at, id limit %(most)s
)
update exchange.purchase p set batch_number = %(first)s + place / %(size)s, batch_index = place %% %(size)s
from waiting where p.ctid = waiting.ctid
returning p.batch_number, p.batch_index, {FACTS}
"""  # noqa: S608

# Identities are given in the order of the batches, which is that in which the calls must take effect.
_STORE = """
with calls as (
    insert into exchange.call (kind, target, data, gas, sequence)
    select 'mint', %(programme)s, data, gas, %(programme)s
    from unnest(%(data)s::bytea[], %(gas)s::int8[]) with ordinality as made (data, gas, place) order by place
    returning id
), placed as (
    select id, row_number() over (order by id) as place from calls
)
insert into exchange.batch (merchant_id, number, receipts_root, total, count, call_id)
select %(merchant)s, %(first)s + place - 1, root, total, count, placed.id
from unnest(%(roots)s::bytea[], %(totals)s::int8[], %(counts)s::int8[]) with ordinality
    as made (root, total, count, place)
join placed using (place)
"""


async def _due(connection: AsyncConnection, size: int, now: int) -> list[UUID]:
    cursor = await connection.execute(_DUE, {"others": size - 1, "now": now}, binary=True)
    return [row[0] for row in await cursor.fetchall()]


async def lock(connection: AsyncConnection, merchant_id: UUID) -> Merchant | None:
    """The merchant, for this transaction alone; None if another one works on it."""
    cursor = await connection.execute(_LOCK, (merchant_id,), binary=True)
    row = await cursor.fetchone()
    return None if row is None else Merchant(*row)


async def _place(connection: AsyncConnection, merchant: Merchant, size: int, now: int) -> list[Purchase]:
    """Gives the purchases that are due their places, from the merchant's next batch on; in the order of these."""
    values = {
        "merchant": merchant.id,
        "first": merchant.next_batch,
        "size": size,
        "most": size * BATCHES_AT_ONCE,
        "now": now,
    }
    cursor = await connection.execute(_PLACE, values, binary=True)
    placed = sorted(await cursor.fetchall())
    if placed and placed[-1][:2] != (merchant.next_batch + (len(placed) - 1) // size, (len(placed) - 1) % size):
        raise _Refunded
    return [Purchase(*row[2:]) for row in placed]


async def _store(connection: AsyncConnection, merchant: Merchant, batches: Sequence[Batch]) -> None:
    await connection.execute(
        _STORE,
        {
            "merchant": merchant.id,
            "programme": merchant.programme,
            "first": batches[0].number,
            "data": [each.data for each in batches],
            "gas": [each.gas for each in batches],
            "roots": [each.receipts_root for each in batches],
            "totals": [each.total for each in batches],
            "counts": [len(each.purchases) for each in batches],
        },
    )
    await connection.execute(
        "update exchange.merchant set next_batch = next_batch + %s where id = %s", (len(batches), merchant.id)
    )
