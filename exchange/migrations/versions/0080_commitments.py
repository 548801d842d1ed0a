"""Every purchase keeps its commitment: what its receipt says can be checked without anything that tells of a person.

It was derived from salt and facts until they were erased. An auditor sees neither, and checks receipts, roots and
refunds against the chain all the same (`scripts/audit/promises.py`). Erasing destroys the salt and changes nothing else
of it; the batcher has less to read and to hash.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy
from alembic import op
from eth_hash.backends.pysha3 import keccak256 as keccak

revision = "0080"
down_revision = "0060"
branch_labels = None
depends_on = None

AT_ONCE: Final = 5_000
_FACTS: Final = """
select p.merchant_id, p.id, p.salt, p.reference, p.amount_minor, m.currency, coalesce(p.store, '') as store,
       floor(extract(epoch from p.purchased_at))::bigint as bought
from exchange.purchase p join exchange.merchant m on m.id = p.merchant_id
where p.commitment is null and (p.merchant_id, p.id) > (:merchant, :id) order by p.merchant_id, p.id limit :most
"""
_KEEP: Final = """
update exchange.purchase p set commitment = f.commitment
from (select unnest(cast(:merchants as uuid[])), unnest(cast(:ids as uuid[])), unnest(cast(:made as bytea[])))
     as f (merchant_id, id, commitment)
where (p.merchant_id, p.id) = (f.merchant_id, f.id)
"""


def _commitment(row: Any) -> bytes:
    """As `contracts/receipts.py` made it when this revision was written."""
    facts = keccak(
        keccak(row.reference.encode())
        + row.amount_minor.to_bytes(32, "big")
        + keccak(row.currency.encode())
        + row.bought.to_bytes(32, "big")
        + keccak(row.store.encode())
    )
    return bytes(keccak(b"\x02" + row.salt + facts))


def _keep_all() -> None:
    connection, nil = op.get_bind(), "00000000-0000-0000-0000-000000000000"
    last: dict[str, Any] = {"merchant": nil, "id": nil}
    while found := connection.execute(sqlalchemy.text(_FACTS), {**last, "most": AT_ONCE}).all():
        made = {
            "merchants": [row.merchant_id for row in found],
            "ids": [row.id for row in found],
            "made": [_commitment(row) for row in found],
        }
        connection.execute(sqlalchemy.text(_KEEP), made)
        last = {"merchant": found[-1].merchant_id, "id": found[-1].id}


def upgrade() -> None:
    op.execute("alter table exchange.purchase drop constraint purchase_salt")
    _keep_all()
    op.execute(
        "alter table exchange.purchase alter column commitment set not null,"
        " add constraint purchase_commitment check (octet_length(commitment) = 32)"
    )
    op.execute("revoke update (commitment) on exchange.purchase from points_person")
    op.execute("grant select (commitment) on exchange.purchase to points_auditor")


def downgrade() -> None:
    op.execute("revoke select (commitment) on exchange.purchase from points_auditor")
    op.execute("grant update (commitment) on exchange.purchase to points_person")
    op.execute(
        "alter table exchange.purchase drop constraint purchase_commitment, alter column commitment drop not null"
    )
    op.execute("update exchange.purchase set commitment = null where salt is not null")
    op.execute(
        "alter table exchange.purchase add constraint purchase_salt check ((salt is null and"
        " octet_length(commitment) = 32 and commitment is not null) or (salt is not null and commitment is null))"
    )
