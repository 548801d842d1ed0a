"""One lane: the steps by which one signer carries calls to the chain. `step` may be killed anywhere and run again.

Each step asks for the head. A new head is confirmed: receipts of what is under way, blocks that left the chain,
finality. Then the lowest stuck transaction is outbid, queued calls are placed and signed, and what is not on the chain
is handed to the node in nonce order: at once if it never was, and every second block again, always the same bytes,
because a time-out, a dropped pool and a node that restarted from an older state all look alike from here.

What a lane remembers (`Memory`) only spares work; everything that matters is in its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from psycopg import AsyncConnection
from structlog.typing import FilteringBoundLogger

from contracts import crash, fees
from contracts.bindings import FAILED_TOPIC, Failed, describe_error
from contracts.errors import AlreadyKnown, ChainError, InsufficientFunds, NonceTooLow, Reverted, Unavailable
from contracts.rpc import Rpc, from_hex, from_quantity
from contracts.transactions import outbid
from exchange.relayer import node, nonces, store
from exchange.relayer.metrics import Metrics
from exchange.relayer.node import Head, Receipt
from exchange.relayer.outcome import Fate, is_hopeless, verdict
from exchange.relayer.sign import BUNDLE_GAS, Queued, Signed, group, sign_groups
from exchange.relayer.signers import Signer
from exchange.relayer.store import Failure, Inclusion, Pending, PlacedCall
from exchange.tables import JUDGED_KINDS

RESEND_AFTER = 2  # blocks
NO_FUNDS = "insufficient funds for gas"


@dataclass(frozen=True, slots=True)
class Chain:
    """What a lane must know of its chain, and how it is to behave there."""

    chain_id: int
    bundle: bytes
    fee_cap: int
    max_in_flight: int
    patience: int


@dataclass(slots=True)
class Memory:
    head: bytes = b""
    sent: dict[bytes, int] = field(default_factory=dict)  # attempt -> block when last handed over
    code: set[bytes] = field(default_factory=set)  # targets known to be contracts
    strange: dict[int, int] = field(default_factory=dict)  # transaction -> heads without a receipt
    searched: dict[int, int] = field(default_factory=dict)  # strange transaction -> first final block not searched
    gaps: dict[int, int] = field(default_factory=dict)  # nonce that nothing has -> heads that wait for it


@dataclass(frozen=True, slots=True)
class Context:
    connection: AsyncConnection
    rpc: Rpc
    chain: Chain
    signer: Signer
    bundles: bool
    metrics: Metrics
    log: FilteringBoundLogger
    memory: Memory

    @property
    def lane(self) -> store.Lane:
        return store.Lane(self.signer.address, self.bundles)


async def step(context: Context) -> None:
    head = await node.read_head(context.rpc, context.signer.address)
    fresh = head.hash != context.memory.head
    context.metrics.funds.labels(context.signer.address.hex()).set(head.funds / 10**18)
    if fresh:
        await confirm(context, head)
        await nonces.fill_gaps(context, head)
        await outbid_lowest(context, head)
    placed = await assign(context, head)
    if fresh or placed:
        await send(context, head)
    context.memory.head = head.hash  # last: a step that failed is done again


async def confirm(context: Context, head: Head) -> None:
    """Stores what the chain says now about everything that is not final."""
    await _check_included(context, head)
    pending = await store.pending(context.connection, context.signer.address)
    mined = [p for p in pending if p.nonce < head.nonce]
    receipts = await node.read_receipts(context.rpc, [a.hash for p in mined for a in p.attempts]) if mined else {}
    found = [(p, receipts[a.hash]) for p in mined for a in p.attempts if a.hash in receipts]
    if found:
        await _store_receipts(context, found)
    context.metrics.in_flight.labels(context.signer.address.hex()).set(len(pending) - len(found))
    await nonces.watch(context, head, mined, {p.id for p, _ in found})


async def _check_included(context: Context, head: Head) -> None:
    included = await store.included(context.connection)
    if not included:
        return
    hashes = await node.read_hashes(context.rpc, sorted({i.block for i in included}))
    left = [i.id for i in included if hashes[i.block] != i.block_hash]
    if left:
        context.log.warning("blocks left the chain", transactions=len(left), head=head.number)
        crash.point("lane: left the chain, not recorded")
        await store.mark_left(context.connection, left, block=head.number)
        context.memory.sent.clear()
        context.memory.code.clear()
    final = [i.id for i in included if i.block <= head.finalized and hashes[i.block] == i.block_hash]
    if final:
        crash.point("lane: final, not recorded")
        await store.mark_final(context.connection, final)


async def _store_receipts(context: Context, found: Sequence[tuple[Pending, Receipt]]) -> None:
    inclusions = [
        Inclusion(p.id, from_quantity(r.block_number), from_hex(r.block_hash), r.status == "0x1") for p, r in found
    ]
    calls = await store.placed_calls(context.connection, [p.id for p, _ in found])
    placed = {(call.transaction, call.position): call for call in calls}
    failures: list[Failure] = []
    requeues: list[Failure] = []
    for pending, receipt in found:
        mine = [call for call in calls if call.transaction == pending.id]
        for call, reverted in await _failed(context, pending, receipt, mine, placed):
            whole = pending.target == context.chain.bundle and receipt.status != "0x1"
            fate, reason = (Fate.AGAIN, "the bundle reverted") if whole else verdict(call.kind, reverted)
            if fate is not Fate.DONE:
                (requeues if fate is Fate.AGAIN else failures).append(Failure(call.id, reason))
            context.log.warning("call failed", call=call.id, kind=call.kind, fate=fate.value, reason=reason)
            context.metrics.failures.labels(fate.value, reason.partition("(")[0]).inc()
    if failures or requeues:
        context.memory.code.clear()  # a target may have vanished
    crash.point("lane: included, not recorded")
    delays = await store.mark_included(context.connection, inclusions, failures=failures, requeues=requeues)
    for delay in delays:
        context.metrics.inclusion.observe(delay)
    context.metrics.included.labels(context.signer.address.hex()).inc(len(delays))


async def _failed(
    context: Context,
    pending: Pending,
    receipt: Receipt,
    mine: Sequence[PlacedCall],
    placed: dict[tuple[int, int], PlacedCall],
) -> list[tuple[PlacedCall, bytes]]:
    """The calls of one transaction that failed, with the reasons' bytes."""
    if receipt.status == "0x1":
        logs = [
            Failed.from_log([from_hex(t) for t in log.topics], from_hex(log.data))
            for log in receipt.logs
            if from_hex(log.address) == context.chain.bundle and from_hex(log.topics[0]) == FAILED_TOPIC
        ]
        # A call that went back to the queue in another life of this transaction is not in `placed` any more.
        named = [(placed.get((pending.id, log.index)), log.error + log.first + log.second) for log in logs]
        return [(call, reverted) for call, reverted in named if call is not None]
    if pending.target == context.chain.bundle:
        return [(call, b"") for call in mine]
    reason = await node.revert_reason(
        context.rpc,
        sender=context.signer.address,
        raw=pending.attempts[-1].raw,
        block=from_quantity(receipt.block_number),
    )
    return [(call, reason) for call in mine]


async def outbid_lowest(context: Context, head: Head) -> None:
    """Only the lowest nonce can be stuck by its price; the replacement is stored here and sent by `send`."""
    pending = await store.pending(context.connection, context.signer.address)
    lowest = next((p for p in pending if p.nonce == head.nonce), None)
    if lowest is None:
        return
    newest = lowest.attempts[-1]
    if newest.sent_block is None or newest.sent_block + context.chain.patience > head.number:
        return
    offer = fees.bump(newest.fees, head.fees, context.chain.fee_cap)
    if offer is None:
        context.log.warning("stuck at the fee cap", nonce=lowest.nonce, max_fee=newest.fees.max_fee)
        return
    raw, hash_ = outbid(newest.raw, key=context.signer.key, fees=offer)
    crash.point("lane: replacement signed, not stored")
    await store.add_attempt(context.connection, lowest.id, hash_=hash_, raw=raw, fees=offer)
    crash.point("lane: replacement stored, not sent")
    context.log.info("outbid", nonce=lowest.nonce, max_fee=offer.max_fee)


async def assign(context: Context, head: Head) -> int:
    """Places queued calls in signed transactions, as far as there is room. Returns how many were signed."""
    connection, lane = context.connection, context.lane
    room = await store.room(connection, lane.signer, context.chain.max_in_flight)
    budget = room * BUNDLE_GAS
    calls = await store.queued(connection, lane, gas_budget=budget) if room else []
    ready = await _ready(context, head, calls) if calls else []
    if not ready:
        return 0
    sign = partial(_sign, context, head, room)
    signed = await store.assign(
        connection, lane, ids=[c.id for c in ready], gas_budget=budget, chain_nonce=head.nonce, sign=sign
    )
    context.log.info("signed", transactions=signed, calls=len(ready))
    return signed


def _sign(context: Context, head: Head, room: int, next_nonce: int, calls: Sequence[Queued]) -> list[Signed]:
    return sign_groups(
        group(calls, room=room),
        key=context.signer.key,
        chain_id=context.chain.chain_id,
        bundle=context.chain.bundle,
        next_nonce=next_nonce,
        fees=fees.capped(head.fees, context.chain.fee_cap),
    )


async def _ready(context: Context, head: Head, calls: Sequence[Queued]) -> list[Queued]:
    """The calls that may be placed: their targets exist, and intents would take effect now.

    An intent that would revert is refused and never gets a nonce, but only once nothing that came before it is on its
    way, or nothing could mend it: until then it is held. A held call holds the later ones of its sequence. What is on
    its way is read before the simulation, and the simulation counts only if the node had the head that we went by: else
    what we know to be on the chain may be missing there.
    """
    held = await _without_code(context, calls)
    intents = [c for c in calls if c.kind in JUDGED_KINDS and c.id not in held]
    settled, minting = await store.unsettled(context.connection, head.number) if intents else (0, set())
    outcomes, there = (
        await node.simulate(context.rpc, intents, sender=context.chain.bundle, head=head) if intents else ([], False)
    )
    refusals: dict[int, str] = {}
    for call, error in zip(intents, outcomes, strict=True):
        final = there and call.id < settled and not (call.kind == "clawback" and call.sequence in minting)
        if isinstance(error, Reverted) and (final or is_hopeless(error.data)):
            refusals[call.id] = describe_error(error.data) if error.data else error.message
            context.metrics.failures.labels("refused", refusals[call.id].partition("(")[0]).inc()
        elif error is not None:
            held.add(call.id)
    if refusals:
        crash.point("lane: refused, not recorded")
        await store.refuse(context.connection, list(refusals.items()))
        context.log.info("refused", calls=refusals)
    if held:
        await store.hold(context.connection, sorted(held), seconds=1)
    return runnable(calls, held=held, refused=set(refusals))


def runnable(calls: Sequence[Queued], *, held: set[int], refused: set[int]) -> list[Queued]:
    """`calls` without those held or refused, and without what waits for a held one of its sequence. Pure.

    Only mints wait for mints, as in the store's queue.
    """
    stopped: set[bytes] = set()
    stopped_mints: set[bytes] = set()
    ready = []
    for call in calls:
        sequence, mint = call.sequence, call.kind == "mint"
        if sequence is not None and call.id in held:
            (stopped_mints if mint else stopped).add(sequence)
        waits = sequence in stopped or (mint and sequence in stopped_mints)
        if call.id not in held and call.id not in refused and not waits:
            ready.append(call)
    return ready


async def _without_code(context: Context, calls: Sequence[Queued]) -> set[int]:
    """Calls to addresses without code: to a programme that is still being created, for one. They wait."""
    unknown = {c.target for c in calls} - context.memory.code
    missing = await node.without_code(context.rpc, unknown) if unknown else set()
    context.memory.code |= unknown - missing
    return {c.id for c in calls if c.target in missing}


async def send(context: Context, head: Head) -> None:
    """Hands over, in nonce order, what never was and what has not been for two blocks."""
    memory, signer = context.memory, context.signer.address
    pending = await store.pending(context.connection, signer)
    due = [p.attempts[-1] for p in pending if p.nonce >= head.nonce and _is_due(p, head, memory)]
    if any(a.sent_block is None for a in due):
        crash.point("lane: signed, not sent")
    outcomes = await node.broadcast(context.rpc, [a.raw for a in due])
    memory.sent = {a.hash: memory.sent[a.hash] for p in pending for a in p.attempts if a.hash in memory.sent}
    memory.sent |= {a.hash: head.number for a, o in zip(due, outcomes, strict=True) if not isinstance(o, Unavailable)}
    unsent = [a.hash for a in due if a.sent_block is None]
    if unsent:
        crash.point("lane: sent, not recorded")
        await store.mark_sent(context.connection, unsent, block=head.number)
    await _heed(context, outcomes)


def _is_due(pending: Pending, head: Head, memory: Memory) -> bool:
    newest = pending.attempts[-1]
    last = memory.sent.get(newest.hash)
    return newest.sent_block is None or last is None or not last <= head.number < last + RESEND_AFTER


async def _heed(context: Context, outcomes: Sequence[ChainError | None]) -> None:
    """Lack of funds stops new signatures until it is cured; every other answer is left to the next heads."""
    signer = context.signer.address
    refused = [o for o in outcomes if o is not None and not isinstance(o, AlreadyKnown | NonceTooLow)]
    if any(isinstance(o, InsufficientFunds) for o in refused):
        if await store.pause(context.connection, signer, NO_FUNDS):
            context.log.error("paused", reason=NO_FUNDS)
    elif not any(isinstance(o, Unavailable) for o in refused):
        await store.resume(context.connection, signer, paused=NO_FUNDS)
    for text in sorted({f"{type(o).__name__}: {o}" for o in refused}):
        context.log.warning("not taken by the node; sent again later", error=text)
