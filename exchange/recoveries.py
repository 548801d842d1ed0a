"""Moving the points of a holder who lost the key: announced by the programme's owner, done two weeks after.

Any act of the holder in between cancels it. What is announced, and when it is due, is the chain's to say: it is asked
through the node, and nothing of it is kept here. The owner's nonces in its own token are counted like those on the
exchange (`exchange/owner.py`): what recoveries that did not fail have used up, under a lock on the merchant's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from contracts import bindings, eip712
from contracts.errors import NodeError, Unavailable
from contracts.rpc import from_hex, to_hex
from exchange import calls, owner
from exchange.database import Connection
from exchange.errors import ChainUnavailable, InvalidRequest, NoRecovery, ProgrammeNotFound
from exchange.gateway import Gateway
from exchange.hexes import checksum
from exchange.merchant import Merchant
from exchange.owner import OwnSignature

NOTICE: Final = 14 * 86_400
"""Seconds, of the contracts."""


@dataclass(frozen=True, slots=True)
class Announced:
    """By the chain. `due` is Unix seconds, 0 if nobody is recovering the holder's points."""

    to: bytes
    due: int


async def announce(
    gateway: Gateway,
    sql: Connection,
    merchant: Merchant,
    *,
    holder: bytes,
    to: bytes,
    deadline: int | None = None,
    own: OwnSignature | None = None,
) -> None:
    """Queues the announcement. Raises `OwnerSignatureNeeded`, `BadSignature`, `InvalidRequest`."""
    if to == holder:
        raise InvalidRequest("The points are there already.", field="to")
    fields: dict[str, Any] = {
        "holder": holder,
        "to": to,
        "nonce": own.nonce if own else await owner.next_nonce(sql, merchant, ("recover",)),
        "deadline": gateway.now() + gateway.settings.intent_life if deadline is None else deadline,
    }
    digest = eip712.recover_digest(gateway.domain(merchant.programme), **fields)
    signature = owner.signed(gateway, merchant, "Recover", fields, digest, own, contract=merchant.programme)
    data = bindings.points_recover(**fields, signature=signature)
    await calls.queue(sql, "recover", target=merchant.programme, data=data, sequence=merchant.programme)


async def finish(gateway: Gateway, sql: Connection, merchant: Merchant, *, holder: bytes, announced: Announced) -> None:
    """Queues the move itself, which anybody may. Raises `NoRecovery` unless it is due."""
    if not announced.due:
        raise NoRecovery(f"Nobody is recovering the points of {checksum(holder)}, or the holder has acted since.")
    if announced.due > gateway.now():
        raise NoRecovery(f"The recovery of the points of {checksum(holder)} is due at {announced.due}.")
    data = bindings.points_finish_recovery(holder=holder)
    await calls.queue(sql, "finish", target=merchant.programme, data=data, sequence=None)


async def announced(gateway: Gateway, merchant: Merchant, holder: bytes) -> Announced:
    """Asks the chain. Raises `ChainUnavailable`, `ProgrammeNotFound`."""
    call = {"to": to_hex(merchant.programme), "data": to_hex(bindings.points_recovery_of(holder=holder))}
    try:
        answer = from_hex(await gateway.rpc.call("eth_call", call, "latest"))
    except (NodeError, Unavailable) as error:
        raise ChainUnavailable("The node could not be asked about the recovery.") from error
    if not answer:
        raise ProgrammeNotFound(f"The programme of {merchant.slug} is not on the chain, or not yet.")
    return Announced(*bindings.points_recovery_of_result(answer))
