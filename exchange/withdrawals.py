"""Taking margin out: the owner's announcement, a notice of seven days that everybody sees, and the payment.

The gateway writes down and queues the announcement, signed by the owner; the relayer completes it when the chain's
notice is over (`exchange/relayer/withdrawing.py`), and pays what is announced or what is left of the margin, if that is
less. Of two announcements the later one replaces the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from uuid_utils.compat import uuid7

from contracts import bindings
from exchange import history, idempotency, owner, points
from exchange.database import Connection, one, snapshot
from exchange.errors import NotEnoughMargin, ProgrammeNotFound
from exchange.gateway import Gateway
from exchange.hexes import checksum, hexed
from exchange.merchant import Merchant
from exchange.owner import OwnSignature
from exchange.points import render_settlement

NOTICE: Final = 7 * 86_400

# A programme's margin leaves by completed withdrawals only, one at a time: the next movement out after an announcement,
# and before the following one, is its payment.
_STATUS: Final = """
with made as (
    select w.*, c.state as call_state, c.failure, d.state as completion_state, d.failure as completion_failure,
           case when c.failure is null and t.succeeded then t.block end as announced
    from exchange.withdrawal w
    join exchange.call c on c.id = w.call_id
    left join exchange.transaction t on t.id = c.transaction_id
    left join exchange.call d on d.id = w.completion_id
    where w.merchant_id = %(merchant)s
), ordered as (
    select *, min(announced) over (order by id rows between 1 following and unbounded following) as replaced from made
)
select o.*, k.time + %(notice)s as due, p.block as paid_block, -p.delta as paid
from ordered o
left join mirror.block k on k.number = o.announced
left join lateral (
    select block, delta from mirror.movement
    where account = %(programme)s and kind = 'withdrawal' and block > o.announced
      and (o.replaced is null or block <= o.replaced)
    order by block, log_index limit 1
) p on true
order by o.id desc limit 100
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """Settlement base units."""

    to: bytes
    amount: int
    own: OwnSignature | None


async def announce(
    gateway: Gateway, sql: Connection, merchant: Merchant, *, scope: str, key: str, fingerprint: bytes, wish: Wish
) -> dict[str, Any]:
    """In the caller's transaction. Raises `NotEnoughMargin`, `ProgrammeNotFound`, `OwnerSignatureNeeded`,
    `BadSignature`."""
    id = uuid7()
    claim = await idempotency.claim(sql, scope=scope, key=key, fingerprint=fingerprint, subject=id)
    if not claim.first:
        row = await one(
            sql, "select * from exchange.withdrawal where merchant_id = %s and id = %s", merchant.id, claim.subject
        )
    else:
        left = await _margin(sql, merchant)
        if wish.amount > left:
            raise NotEnoughMargin(
                f"The margin is {render_settlement(left)}, this takes {render_settlement(wish.amount)}."
            )
        call = await owner.announce_withdrawal(gateway, sql, merchant, to=wish.to, amount=wish.amount, own=wish.own)
        row = await one(
            sql,
            "insert into exchange.withdrawal (merchant_id, id, recipient, amount, call_id)"
            " values (%s, %s, %s, %s, %s) returning *",
            merchant.id,
            id,
            wish.to,
            wish.amount,
            call,
        )
    if row is None:
        raise RuntimeError("the withdrawal vanished")
    return {**_answer(row), "status": "accepted"}


async def _margin(sql: Connection, merchant: Merchant) -> int:
    row = await one(
        sql,
        "select coalesce(g.amount, 0) as margin from mirror.programme p"
        " left join mirror.margin g on g.account = p.address where p.address = %s",
        merchant.programme,
    )
    if row is None:
        raise ProgrammeNotFound(f"The programme of {merchant.slug} is not on the chain, or not yet.")
    return int(row["margin"])


async def status(sql: Connection, merchant: Merchant) -> dict[str, Any]:
    """The margin, and how far the latest hundred withdrawals have come, newest first."""
    await snapshot(sql)
    newest = await history.head(sql)
    wanted = {"merchant": merchant.id, "programme": merchant.programme, "notice": NOTICE}
    found = await (await sql.execute(_STATUS, wanted)).fetchall()
    finalized = -1 if newest is None else newest["finalized"]
    return {
        "margin": render_settlement(await _margin(sql, merchant)),
        "withdrawals": [{**_answer(row), **_progress(row, finalized)} for row in found],
        "as_of": history.as_of(newest),
    }


def _progress(row: Mapping[str, Any], finalized: int) -> dict[str, Any]:
    if row["paid_block"] is not None:
        stage = "final" if row["paid_block"] <= finalized else "paid"
    elif row["replaced"] is not None:
        stage = "replaced"
    elif row["announced"] is not None:
        stage = "announced"
    else:
        stage = "refused" if row["failure"] is not None else "accepted"
    return {
        "status": stage,
        "due": row["due"],
        "paid": None if row["paid"] is None else render_settlement(int(row["paid"])),
        "block": row["paid_block"],
        "reason": None if row["paid_block"] is not None else row["failure"] or row["completion_failure"],
    }


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "to": checksum(row["recipient"]),
        "amount": render_settlement(int(row["amount"])),
    }


def instructions(gateway: Gateway, merchant: Merchant, amount: int) -> dict[str, Any]:
    """The two transactions with which anybody tops a margin up from an account of their own. Pure."""
    deployment = gateway.deployment
    approve = bytes.fromhex("095ea7b3") + deployment.exchange.rjust(32, b"\0") + amount.to_bytes(32, "big")
    deposit = bindings.exchange_deposit(account=merchant.programme, amount=amount)
    return {
        "chain_id": deployment.chain_id,
        "settlement_token": checksum(deployment.settlement),
        "amount": points.render_settlement(amount),
        "transactions": [
            {"to": checksum(deployment.settlement), "data": hexed(approve), "does": "approve(exchange, amount)"},
            {"to": checksum(deployment.exchange), "data": hexed(deposit), "does": "deposit(programme, amount)"},
        ],
    }
