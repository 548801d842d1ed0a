"""From accepted purchases to signed batches: the purchases of one programme that one call mints.

A batch takes its number from its merchant's row, under that row's lock, in the transaction that stores the batch, its
call and each purchase's place in it: numbers are gapless, and no purchase is in two batches, whatever is killed and
however many relayers run. `for no key update` is the lock that new purchases' foreign keys do not collide with.

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
    currency: str


class Purchase(NamedTuple):
    id: UUID
    reference: str
    holder: bytes
    amount_minor: int
    store: str
    purchased_at: int
    points: int
    salt: bytes


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
    leaves = [leaf_of(merchant.programme, merchant.currency, number, i, p, chain_id) for i, p in enumerate(purchases)]
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


def leaf_of(programme: bytes, currency: str, number: int, index: int, purchase: Purchase, chain_id: int) -> bytes:
    """The receipt's leaf; its `purchase` is the commitment that the receipt was signed over."""
    return receipts.leaf(
        chain_id=chain_id,
        token=programme,
        batch=number,
        index=index,
        holder=purchase.holder,
        amount=purchase.points,
        purchase=commitment_of(purchase, currency),
    )


def commitment_of(purchase: Purchase, currency: str) -> bytes:
    return receipts.commitment(
        salt=purchase.salt,
        merchant_reference=purchase.reference,
        amount_minor=purchase.amount_minor,
        currency=currency,
        purchased_at=purchase.purchased_at,
        store=purchase.store,
    )


async def batch_everyone(connection: AsyncConnection, *, master: bytes, chain_id: int, size: int) -> int:
    """Batches what is due, one transaction a merchant. Returns how many purchases were batched."""
    due = await _due(connection, size)
    return sum([await batch_merchant(connection, m, master=master, chain_id=chain_id, size=size) for m in due])


async def batch_merchant(
    connection: AsyncConnection, merchant_id: UUID, *, master: bytes, chain_id: int, size: int
) -> int:
    async with connection.transaction():
        merchant = await lock(connection, merchant_id)
        if merchant is None:
            return 0
        purchases = await _waiting(connection, merchant_id, size * BATCHES_AT_ONCE)
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
where exists (select 1 from exchange.purchase p where p.merchant_id = m.id and p.batch_number is null and p.points > 0)
  and (not exists (select 1 from exchange.call c
                   where c.state = 'queued' and c.kind = 'mint' and c.sequence = m.programme)
       or exists (select 1 from exchange.purchase p
                  where p.merchant_id = m.id and p.batch_number is null and p.points > 0
                  order by p.id offset %s limit 1))
order by m.id
"""

_LOCK = """
select id, programme, issuer_key, next_batch, currency
from exchange.merchant where id = %s for no key update skip locked
"""

PURCHASES = """
select id, reference, holder, amount_minor, coalesce(store, ''), floor(extract(epoch from purchased_at))::bigint,
       points, salt
from exchange.purchase
"""
"""What a `Purchase` is read by."""

_WAITING = f"""
{PURCHASES}
where merchant_id = %s and batch_number is null and points > 0
order by id limit %s
"""

_INSERT_CALL = """
insert into exchange.call (kind, target, data, gas, sequence) values ('mint', %s, %s, %s, %s) returning id
"""

_INSERT_BATCH = """
insert into exchange.batch (merchant_id, number, receipts_root, total, count, call_id) values (%s, %s, %s, %s, %s, %s)
"""

_PLACE = """
update exchange.purchase p set batch_number = placed.number, batch_index = placed.index
from unnest(%b::uuid[], %b::int8[], %b::int8[]) as placed (id, number, index)
where p.merchant_id = %s and p.id = placed.id
"""


async def _due(connection: AsyncConnection, size: int) -> list[UUID]:
    cursor = await connection.execute(_DUE, (size - 1,), binary=True)
    return [row[0] for row in await cursor.fetchall()]


async def lock(connection: AsyncConnection, merchant_id: UUID) -> Merchant | None:
    """The merchant, for this transaction alone; None if another one works on it."""
    cursor = await connection.execute(_LOCK, (merchant_id,), binary=True)
    row = await cursor.fetchone()
    return None if row is None else Merchant(*row)


async def _waiting(connection: AsyncConnection, merchant_id: UUID, most: int) -> list[Purchase]:
    cursor = await connection.execute(_WAITING, (merchant_id, most), binary=True)
    return [Purchase(*row) for row in await cursor.fetchall()]


async def _store(connection: AsyncConnection, merchant: Merchant, batches: Sequence[Batch]) -> None:
    for batch in batches:
        cursor = await connection.execute(
            _INSERT_CALL, (merchant.programme, batch.data, batch.gas, merchant.programme), binary=True
        )
        call = await cursor.fetchone()
        if call is None:
            raise RuntimeError("the call was not stored")
        counts = (batch.total, len(batch.purchases), call[0])
        await connection.execute(_INSERT_BATCH, (merchant.id, batch.number, batch.receipts_root, *counts))
    placed = [(p.id, b.number, i) for b in batches for i, p in enumerate(b.purchases)]
    ids, numbers, indices = zip(*placed, strict=True)
    await connection.execute(_PLACE, (list(ids), list(numbers), list(indices), merchant.id))
    await connection.execute(
        "update exchange.merchant set next_batch = next_batch + %s where id = %s", (len(batches), merchant.id)
    )
