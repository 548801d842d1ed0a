"""What others do to a key's nonces, and how its lane goes on by itself.

A nonce of ours that somebody else's transaction used up: no more is signed with the key meanwhile, for it may be stolen
and what comes after may hang on what is missing. A reorganisation can still give the nonce back, so nothing is signed
twice for the same calls. Once the block of that transaction is final and the node shows it, our bytes can never be
executed: they are lost, and their calls go back to the queue.

A nonce that no transaction of ours has though later ones have theirs: a node told us too high a number, or somebody
else's transaction left the chain after we had stepped over its nonce. Everything behind it waits for ever. It is filled
by a transaction that does nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from contracts import crash, fees
from contracts.transactions import sign_transaction
from exchange.relayer import node, store
from exchange.relayer.node import Head
from exchange.relayer.sign import Signed
from exchange.relayer.store import Pending

if TYPE_CHECKING:
    from exchange.relayer.lane import Context

STRANGE_AFTER: Final = 5
"""Heads without a receipt, though the nonce is used."""

GAP_AFTER: Final = 3
"""Heads at which the node waits for a nonce that we skipped: a node that lags says so once or twice."""

GAPS_AT_ONCE: Final = 64
BLOCKS_AT_ONCE: Final = 32

_TRANSFER_GAS: Final = 21_000
_FOREIGN: Final = "nonce {} was used by a transaction that is not ours"


async def watch(context: Context, head: Head, mined: Sequence[Pending], found: Collection[int]) -> None:
    """`mined` are pending transactions whose nonces the chain has passed, `found` the ids of those with a receipt."""
    missing = [p for p in mined if p.id not in found]
    before = context.memory.strange
    strange = context.memory.strange = {p.id: before.get(p.id, 0) + 1 for p in missing}
    for each in missing:
        if strange[each.id] == STRANGE_AFTER:
            reason = _FOREIGN.format(each.nonce)
            await store.pause(context.connection, context.signer.address, reason)
            context.log.error("paused", reason=reason)
    lost = [p for p in missing if strange[p.id] >= STRANGE_AFTER and await _is_lost(context, head, p)]
    if lost:
        crash.point("lane: lost, not recorded")
        calls = await store.mark_lost(context.connection, [p.id for p in lost])
        context.log.error("lost to somebody else's use of the key", nonces=[p.nonce for p in lost], calls_queued=calls)
        for each in lost:
            del strange[each.id]
    if len(lost) == len(missing):
        await store.resume(context.connection, context.signer.address, paused=_FOREIGN.format("%"))


async def _is_lost(context: Context, head: Head, pending: Pending) -> bool:
    """Whether a final block holds another transaction with this nonce. Where no finality is known, a person looks.

    It cannot be in an earlier block than what has the nonces before; and what was searched and final stays as it is.
    """
    searched = context.memory.searched
    if pending.id not in searched:
        searched[pending.id] = await store.block_below(context.connection, context.signer.address, pending.nonce)
    first = searched[pending.id]
    last = min(head.finalized, first + BLOCKS_AT_ONCE - 1)
    if last < first:
        return False
    used = await node.used_by(context.rpc, context.signer.address, nonce=pending.nonce, first=first, last=last)
    if used is None:
        searched[pending.id] = last + 1
    return used is not None and used not in {a.hash for a in pending.attempts}


async def fill_gaps(context: Context, head: Head) -> None:
    """Signs a transaction that does nothing for each nonce that the chain waits for and nothing of ours has."""
    missing = await store.missing_nonces(
        context.connection, context.signer.address, first=head.nonce, most=GAPS_AT_ONCE
    )
    seen = context.memory.gaps
    context.memory.gaps = {nonce: seen.get(nonce, 0) + 1 for nonce in missing}
    due = [nonce for nonce, heads in context.memory.gaps.items() if heads >= GAP_AFTER]
    if not due:
        return
    context.log.warning("nonces were skipped; filling them", nonces=due)
    await store.fill(context.connection, context.signer.address, [_nothing(context, head, nonce) for nonce in due])


def _nothing(context: Context, head: Head, nonce: int) -> Signed:
    address, offer = context.signer.address, fees.capped(head.fees, context.chain.fee_cap)
    raw, hash_ = sign_transaction(
        key=context.signer.key,
        chain_id=context.chain.chain_id,
        nonce=nonce,
        to=address,
        data=b"",
        gas=_TRANSFER_GAS,
        fees=offer,
    )
    return Signed(nonce, address, _TRANSFER_GAS, offer, raw, hash_, ())
