"""Putting calls into the relayer's queue, in the transaction of whatever makes them necessary.

Calls of one `sequence` take effect in order. `signer` is set only where the contract asks who calls: the operator's own
acts. A call is data that anybody may send; its authority is the signature inside.
"""

from __future__ import annotations

from typing import Final, Literal

from exchange.database import Connection, one
from exchange.errors import OperatorNotReady

Kind = Literal[
    "clawback",
    "send",
    "redeem",
    "swap",
    "give",
    "create",
    "quote",
    "partner",
    "withdraw",
    "complete",
    "recover",
    "finish",
    "deposit",
    "charity",
    "campaign",
]

GAS: Final[dict[Kind, int]] = {
    "clawback": 300_000,
    "send": 150_000,
    "redeem": 150_000,
    "swap": 400_000,
    "give": 300_000,
    "create": 5_500_000,
    "quote": 200_000,
    "partner": 150_000,
    "withdraw": 200_000,
    "complete": 200_000,
    "recover": 150_000,
    "finish": 200_000,
    "deposit": 200_000,
    "charity": 150_000,
    "campaign": 200_000,
}
"""What a call of each kind is promised inside a bundle: above the most that it can need."""

GAS_OF_CONTRACTS: Final = 280_000
"""More, if a contract is asked for the signature: it may use 250,000, of which each call on the way keeps a 64th."""


async def queue(
    sql: Connection, kind: Kind, *, target: bytes, data: bytes, sequence: bytes | None, signer: bytes | None = None
) -> int:
    """The call's id."""
    row = await one(
        sql,
        "insert into exchange.call (kind, target, data, gas, sequence, signer) values (%s, %s, %s, %s, %s, %s)"
        " returning id",
        kind,
        target,
        data,
        GAS[kind],
        sequence,
        signer,
    )
    if row is None:
        raise RuntimeError("an insert returned nothing")
    return int(row["id"])


async def operator_address(sql: Connection) -> bytes:
    """The lane of the operator's own acts. Raises `OperatorNotReady`."""
    row = await one(sql, "select address from exchange.signer where role = 'operator' order by address limit 1")
    if row is None:
        raise OperatorNotReady("No signer with the role operator is registered.")
    return bytes(row["address"])
