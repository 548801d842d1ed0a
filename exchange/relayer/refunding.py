"""From accepted refunds to signed clawbacks: each proves its receipt among those of the batch that minted it.

A refund waits until its purchase's batch is on the chain. Its call then joins the programme's sequence, behind the
refunds before it: the row of the merchant is locked, so that however many relayers run, the calls keep the refunds'
order.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from contracts import crash, receipts, signatures
from contracts.bindings import points_clawback
from contracts.eip712 import clawback_digest, domain_separator
from exchange import vault
from exchange.calls import GAS
from exchange.relayer.batching import FACTS, Merchant, Purchase, leaf_of, lock

AT_ONCE: Final = 50


class Refund(NamedTuple):
    id: UUID
    taken: int  # base units, in all
    batch: int
    place: int


# A call that somebody else's bundle made needless has no failure either: its batch is minted.
_READY: Final = """
from exchange.refund r
join exchange.purchase p on p.merchant_id = r.merchant_id and p.id = r.purchase_id
join exchange.batch b on b.merchant_id = p.merchant_id and b.number = p.batch_number
join exchange.call c on c.id = b.call_id
join exchange.transaction t on t.id = c.transaction_id
where r.call_id is null and r.points > 0 and c.failure is null and t.state in ('included', 'final') and t.succeeded
"""

_DUE: Final = f"select distinct r.merchant_id {_READY}"

_REFUNDS: Final = f"""
select r.id, r.taken, p.batch_number, p.batch_index {_READY} and r.merchant_id = %s order by r.id limit %s
"""

_BATCH: Final = f"""
select {FACTS} from exchange.purchase p where p.merchant_id = %s and p.batch_number = %s order by p.batch_index
"""  # noqa: S608

_QUEUE: Final = """
with queued as (
    insert into exchange.call (kind, target, data, gas, sequence) values ('clawback', %s, %s, %s, %s) returning id
)
update exchange.refund set call_id = (select id from queued) where merchant_id = %s and id = %s
"""


async def refund_everyone(connection: AsyncConnection, *, master: bytes, chain_id: int) -> int:
    """Queues the clawbacks that are due, one transaction a merchant. Returns how many."""
    cursor = await connection.execute(_DUE, binary=True)
    merchants = [row[0] for row in await cursor.fetchall()]
    return sum([await _refund(connection, each, master=master, chain_id=chain_id) for each in merchants])


async def _refund(connection: AsyncConnection, merchant_id: UUID, *, master: bytes, chain_id: int) -> int:
    async with connection.transaction():
        merchant = await lock(connection, merchant_id)
        if merchant is None:
            return 0
        key = vault.unseal(master, merchant.issuer_key, purpose=f"issuer:{merchant_id}")
        cursor = await connection.execute(_REFUNDS, (merchant_id, AT_ONCE), binary=True)
        refunds = [Refund(*row) for row in await cursor.fetchall()]
        for refund in refunds:
            cursor = await connection.execute(_BATCH, (merchant_id, refund.batch), binary=True)
            minted = [Purchase(*row) for row in await cursor.fetchall()]
            data = clawback(merchant, refund, minted, key=key, chain_id=chain_id)
            await connection.execute(
                _QUEUE, (merchant.programme, data, GAS["clawback"], merchant.programme, merchant_id, refund.id)
            )
        crash.point("refunding: clawbacks stored, not committed")
    crash.point("refunding: clawbacks committed")
    return len(refunds)


def clawback(merchant: Merchant, refund: Refund, minted: list[Purchase], *, key: bytes, chain_id: int) -> bytes:
    """The call, signed by the issuer: `minted` are the purchases of the refund's batch, in its order. Pure."""
    leaves = [leaf_of(merchant.programme, refund.batch, index, each, chain_id) for index, each in enumerate(minted)]
    purchase = minted[refund.place].commitment
    digest = clawback_digest(
        domain_separator(chain_id, merchant.programme),
        batch=refund.batch,
        index=refund.place,
        purchase=purchase,
        taken=refund.taken,
    )
    return points_clawback(
        batch=refund.batch,
        index=refund.place,
        purchase=purchase,
        taken=refund.taken,
        entries=receipts.pack_entries((each.holder, each.points) for each in minted),
        proof=receipts.proof(leaves, refund.place),
        signature=signatures.sign(key, digest),
    )
