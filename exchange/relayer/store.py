"""The SQL of the relayer's state machine; each function is one transaction, and the tables' CHECKs have the last word.

    call          queued -> placed | refused;   placed -> queued when a mint or an intent must be tried again
    transaction   signed -> sent -> included -> final;   included -> sent when its block left the chain;
                  signed, sent -> lost when somebody else's final transaction has its nonce

`assign` takes a nonce, stores the signed bytes and places the calls in one commit, before anything is sent: a nonce
never exists without its bytes. Two lanes never place calls at the same time (an advisory lock for as long as the
commit), so that the calls of one sequence keep their order; two relayers with the same key meet at the signer's row.

A call may be in two transactions' history: a mint or an intent that failed goes back to the queue and is placed anew,
while the old transaction may be executed again after a reorganisation. It cannot take effect twice (the token takes
each batch number and each nonce once), and what took effect is read from `mirror`, never from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from psycopg import AsyncConnection

from contracts import crash
from contracts.fees import Fees
from exchange.relayer.sign import Queued, Signed
from exchange.tables import JUDGED_KINDS

_QUEUE_LOCK = 0x706F696E7473  # "points"


class Attempt(NamedTuple):
    hash: bytes
    raw: bytes
    fees: Fees
    sent_block: int | None  # None until its bytes were handed to a node


class Pending(NamedTuple):
    """A transaction that is signed or sent; its attempts have ascending fees."""

    id: int
    nonce: int
    target: bytes
    attempts: list[Attempt]


class Included(NamedTuple):
    id: int
    block: int
    block_hash: bytes


class Lane(NamedTuple):
    """Which calls a signer takes: its own, and those of anybody's authority if it carries `bundles`."""

    signer: bytes
    bundles: bool


class Inclusion(NamedTuple):
    transaction: int
    block: int
    block_hash: bytes
    succeeded: bool


class Failure(NamedTuple):
    call: int
    reason: str


class PlacedCall(NamedTuple):
    id: int
    transaction: int
    position: int
    kind: str


_QUEUED = """
with mine as (
    select id, gas, sequence, kind = 'mint' as mint, kind = 'mint' and tries > 0 as retried,
           coalesce(signer = %(signer)s, %(bundles)s) and coalesce(not_before <= now(), true) as ready
    from exchange.call
    where state = 'queued'
), blocked as (
    -- A call waits for the earlier ones of its sequence: those that are not ready, or not this lane's ...
    select sequence, mint, min(id) as first
    from mine where sequence is not null and (retried or not ready) group by sequence, mint
    union all
    -- ... and those on their way by another signer, whose nonces say nothing about ours. A mint that failed before
    -- is tried by itself: until it succeeds, the later ones of its programme can only fail.
    select c.sequence, c.kind = 'mint', min(c.id)
    from exchange.transaction t join exchange.call c on c.transaction_id = t.id
    where t.state in ('signed', 'sent') and t.state <> 'final' and c.sequence is not null
      and (t.signer <> %(signer)s or c.kind = 'mint' and c.tries > 0)
    group by 1, 2
), counted as (
    select m.id, sum(m.gas) over (order by m.id) - m.gas as before
    from mine m
    where m.ready
      -- Only mints wait for mints: a batch over its issuance limit must not keep back its programme's quotes.
      and not exists (select 1 from blocked b
                      where b.sequence = m.sequence and b.first < m.id and (m.mint or not b.mint))
)
select c.id, c.kind, c.target, c.data, c.gas, c.sequence, c.signer, c.tries
from counted join exchange.call c using (id)
where before < %(budget)s and (%(ids)s::bigint[] is null or id = any(%(ids)s::bigint[]))
order by id
limit %(most)s
"""

CALLS_AT_ONCE = 1000


async def queued(
    connection: AsyncConnection, lane: Lane, *, gas_budget: int, ids: Sequence[int] | None = None
) -> list[Queued]:
    """The calls that this lane may place now, in order, of about `gas_budget` in all."""
    arguments = {
        "signer": lane.signer,
        "bundles": lane.bundles,
        "budget": gas_budget,
        "ids": None if ids is None else list(ids),
        "most": CALLS_AT_ONCE,
    }
    cursor = await connection.execute(_QUEUED, arguments, binary=True)
    return [Queued(*row) for row in await cursor.fetchall()]


async def room(connection: AsyncConnection, signer: bytes, max_in_flight: int) -> int:
    """How many more transactions may be under way; none while the signer is paused."""
    cursor = await connection.execute(
        "select paused, (select count(*) from exchange.transaction"
        " where signer = %(signer)s and state in ('signed', 'sent') and state <> 'final')"
        " from exchange.signer where address = %(signer)s",
        {"signer": signer},
    )
    row = await cursor.fetchone()
    return 0 if row is None or row[0] is not None else max(0, max_in_flight - row[1])


async def assign(
    connection: AsyncConnection,
    lane: Lane,
    *,
    ids: Sequence[int],
    gas_budget: int,
    chain_nonce: int,
    sign: Callable[[int, Sequence[Queued]], list[Signed]],
) -> int:
    """Places the calls `ids` (those that still may be) in transactions made by `sign(next_nonce, calls)`.

    A `chain_nonce` above ours means that the key was used elsewhere while nothing of ours took those nonces: they are
    skipped. Returns how many transactions were signed.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_QUEUE_LOCK,))
        cursor = await connection.execute(
            "select next_nonce from exchange.signer where address = %s and paused is null for update", (lane.signer,)
        )
        row = await cursor.fetchone()
        calls = await queued(connection, lane, gas_budget=gas_budget, ids=ids) if row else []
        if row is None or not calls:
            return 0
        signed = sign(max(row[0], chain_nonce), calls)
        for one in signed:
            await _insert(connection, lane.signer, one)
        await connection.execute(
            "update exchange.signer set next_nonce = %s where address = %s", (signed[-1].nonce + 1, lane.signer)
        )
        crash.point("lane: signed, not committed")
    return len(signed)


async def _insert(connection: AsyncConnection, signer: bytes, signed: Signed) -> None:
    cursor = await connection.execute(
        "insert into exchange.transaction (signer, nonce, state, target, gas)"
        " values (%s, %s, 'signed', %s, %s) returning id",
        (signer, signed.nonce, signed.target, signed.gas),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("the transaction was not stored")
    await add_attempt(connection, row[0], hash_=signed.hash, raw=signed.raw, fees=signed.fees)
    await connection.execute(
        "update exchange.call c set state = 'placed', transaction_id = %s, position = placed.position - 1,"
        " failure = null, not_before = null"
        " from unnest(%s::bigint[]) with ordinality as placed (id, position) where c.id = placed.id",
        (row[0], list(signed.calls)),
    )


async def add_attempt(connection: AsyncConnection, transaction: int, *, hash_: bytes, raw: bytes, fees: Fees) -> None:
    await connection.execute(
        "insert into exchange.attempt (hash, transaction_id, raw, max_fee, tip) values (%s, %s, %s, %s, %s)",
        (hash_, transaction, raw, fees.max_fee, fees.tip),
    )


async def pending(connection: AsyncConnection, signer: bytes) -> list[Pending]:
    """What is signed or sent and not included, in nonce order."""
    cursor = await connection.execute(
        "select t.id, t.nonce, t.target, a.hash, a.raw, a.max_fee::bigint, a.tip::bigint,"
        " case when a.sent_at is not null then coalesce(a.sent_block, 0) end"
        " from exchange.transaction t join exchange.attempt a on a.transaction_id = t.id"
        " where t.signer = %s and t.state in ('signed', 'sent') and t.state <> 'final'"
        " order by t.nonce, a.max_fee, a.tip",
        (signer,),
        binary=True,
    )
    found: list[Pending] = []
    async for id_, nonce, target, hash_, raw, max_fee, tip, sent_block in cursor:
        if not found or found[-1].id != id_:
            found.append(Pending(id_, nonce, target, []))
        found[-1].attempts.append(Attempt(hash_, raw, Fees(max_fee, tip), sent_block))
    return found


async def included(connection: AsyncConnection) -> list[Included]:
    """Of every signer: what one lane refuses may hang on what another lane has lost."""
    cursor = await connection.execute(
        "select id, block, block_hash from exchange.transaction where state = 'included' and state <> 'final'",
        binary=True,
    )
    return [Included(*row) for row in await cursor.fetchall()]


async def placed_calls(connection: AsyncConnection, transactions: Sequence[int]) -> list[PlacedCall]:
    cursor = await connection.execute(
        "select id, transaction_id, position, kind from exchange.call where transaction_id = any(%s) order by id",
        (list(transactions),),
        binary=True,
    )
    return [PlacedCall(*row) for row in await cursor.fetchall()]


async def mark_sent(connection: AsyncConnection, hashes: Sequence[bytes], *, block: int) -> None:
    """Their bytes were handed to a node, whatever it answered: from now on they are perhaps on the chain."""
    async with connection.transaction():
        cursor = await connection.execute(
            "update exchange.attempt set sent_at = now(), sent_block = %s"
            " where hash = any(%s) and sent_at is null returning transaction_id",
            (block, list(hashes)),
        )
        ids = [row[0] for row in await cursor.fetchall()]
        await connection.execute(
            "update exchange.transaction set state = 'sent' where id = any(%s) and state = 'signed'", (ids,)
        )


async def mark_included(
    connection: AsyncConnection,
    inclusions: Sequence[Inclusion],
    *,
    failures: Sequence[Failure],
    requeues: Sequence[Failure],
) -> list[float]:
    """Stores receipts and, in the same commit, what became of the calls that failed in them.

    Returns how many seconds each transaction took from signing to its receipt.
    """
    async with connection.transaction():
        ids, blocks, hashes, successes = ([i[column] for i in inclusions] for column in range(4))
        cursor = await connection.execute(
            "update exchange.transaction t set state = 'included', block = i.block, block_hash = i.hash,"
            " succeeded = i.succeeded"
            " from unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::boolean[]) as i (id, block, hash, succeeded)"
            " where t.id = i.id and t.state in ('signed', 'sent')"
            " returning extract(epoch from now() - t.created_at)::float8",
            (ids, blocks, hashes, successes),
        )
        delays = [float(row[0]) for row in await cursor.fetchall()]
        await connection.execute(
            "update exchange.attempt set sent_at = now(), sent_block = 0"
            " where transaction_id = any(%s) and sent_at is null",
            (ids,),
        )
        await connection.execute(
            "update exchange.call c set failure = f.reason"
            " from unnest(%s::bigint[], %s::text[]) as f (id, reason) where c.id = f.id and c.state = 'placed'",
            ([f.call for f in failures], [f.reason for f in failures]),
        )
        await connection.execute(
            "update exchange.call set state = 'queued', transaction_id = null, position = null, failure = null,"
            " tries = tries + 1, not_before = now() + least(60, power(2, least(tries, 6))) * interval '1 second'"
            " where id = any(%s) and state = 'placed'",
            ([r.call for r in requeues],),
        )
        # The first one got through: those behind it had failed for its sake only.
        await connection.execute(
            "update exchange.call later set tries = 0, not_before = null from exchange.call c"
            " where c.transaction_id = any(%s) and c.kind = 'mint' and c.tries > 0 and c.state = 'placed'"
            " and later.sequence = c.sequence and later.kind = 'mint' and later.state = 'queued'",
            (ids,),
        )
        crash.point("lane: inclusion recorded, not committed")
    return delays


async def mark_left(connection: AsyncConnection, transactions: Sequence[int], *, block: int) -> None:
    """Their blocks left the chain: they are on their way again, and nothing is known to have failed."""
    ids = list(transactions)
    async with connection.transaction():
        await connection.execute(
            "update exchange.transaction set state = 'sent', block = null, block_hash = null, succeeded = null"
            " where id = any(%s) and state = 'included'",
            (ids,),
        )
        await connection.execute(
            "update exchange.attempt set sent_block = %s where transaction_id = any(%s)", (block, ids)
        )
        await connection.execute("update exchange.call set failure = null where transaction_id = any(%s)", (ids,))


async def mark_final(connection: AsyncConnection, transactions: Sequence[int]) -> None:
    await connection.execute(
        "update exchange.transaction set state = 'final' where id = any(%s) and state = 'included'",
        (list(transactions),),
    )


async def mark_lost(connection: AsyncConnection, transactions: Sequence[int]) -> int:
    """Their nonces are somebody else's for ever: their calls wait anew. Returns how many calls."""
    ids = list(transactions)
    async with connection.transaction():
        await connection.execute(
            "update exchange.transaction set state = 'lost' where id = any(%s) and state in ('signed', 'sent')", (ids,)
        )
        # Never to be handed over again, and no longer the one unsent attempt.
        await connection.execute(
            "update exchange.attempt set sent_at = now(), sent_block = 0"
            " where transaction_id = any(%s) and sent_at is null",
            (ids,),
        )
        cursor = await connection.execute(
            "update exchange.call c set state = 'queued', transaction_id = null, position = null, failure = null,"
            " not_before = null from exchange.transaction t"
            " where t.id = c.transaction_id and t.id = any(%s) and t.state = 'lost' and c.state = 'placed'",
            (ids,),
        )
    return cursor.rowcount


async def missing_nonces(connection: AsyncConnection, signer: bytes, *, first: int, most: int) -> list[int]:
    """The nonces of `first` and the `most` from there on that were passed over: signed past, and in no transaction."""
    cursor = await connection.execute(
        "select n from exchange.signer s cross join generate_series(%(first)s::bigint,"
        " least(s.next_nonce, %(first)s + %(most)s) - 1) as n where s.address = %(signer)s"
        " and not exists (select from exchange.transaction t where t.signer = s.address and t.nonce = n) order by n",
        {"signer": signer, "first": first, "most": most},
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def block_below(connection: AsyncConnection, signer: bytes, nonce: int) -> int:
    """The block of the signer's last transaction with a lower nonce; 0 if there is none."""
    cursor = await connection.execute(
        "select coalesce(max(block), 0) from exchange.transaction where signer = %s and nonce < %s", (signer, nonce)
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def fill(connection: AsyncConnection, signer: bytes, signed: Sequence[Signed]) -> None:
    """Stores transactions without calls at nonces that were passed over; what another relayer filled stays."""
    async with connection.transaction():
        await connection.execute("select from exchange.signer where address = %s for update", (signer,))
        for one in signed:
            if one.nonce in await missing_nonces(connection, signer, first=one.nonce, most=1):
                await _insert(connection, signer, one)


async def unsettled(connection: AsyncConnection, head: int) -> tuple[int, set[bytes]]:
    """The first call that may still change what a later one finds: queued, or not on the chain up to block `head`.

    Intents in the queue do not count, or those that wait would wait for each other; nor does a mint that its
    programme's limits keep back, but for the clawbacks of that programme. So the programmes with mints in the queue,
    too.
    """
    cursor = await connection.execute(
        "select coalesce(min(id), 9223372036854775807), (select array_agg(distinct sequence)"
        " from exchange.call where state = 'queued' and kind = 'mint') from ("
        " select min(id) as id from exchange.call where state = 'queued' and tries = 0 and kind <> all(%s)"
        " union all select min(c.id) from exchange.transaction t join exchange.call c on c.transaction_id = t.id"
        " where t.state in ('signed', 'sent') and t.state <> 'final'"
        " union all select min(c.id) from exchange.transaction t join exchange.call c on c.transaction_id = t.id"
        " where t.state = 'included' and t.state <> 'final' and t.block > %s) as open",
        (list(JUDGED_KINDS), head),
        binary=True,
    )
    row = await cursor.fetchone()
    return (0, set()) if row is None else (int(row[0]), set(row[1] or ()))


async def refuse(connection: AsyncConnection, refusals: Sequence[tuple[int, str]]) -> None:
    """Calls that cannot succeed: they never had a nonce."""
    await connection.execute(
        "update exchange.call c set state = 'refused', failure = r.reason"
        " from unnest(%s::bigint[], %s::text[]) as r (id, reason) where c.id = r.id and c.state = 'queued'",
        ([id_ for id_, _ in refusals], [reason for _, reason in refusals]),
    )


async def hold(connection: AsyncConnection, calls: Sequence[int], *, seconds: float) -> None:
    """Calls that cannot be tried yet."""
    await connection.execute(
        "update exchange.call set not_before = now() + %s * interval '1 second'"
        " where id = any(%s) and state = 'queued'",
        (seconds, list(calls)),
    )


async def pause(connection: AsyncConnection, signer: bytes, reason: str) -> bool:
    """Stops signing with this key; what is signed already is still looked after. Whether that is news."""
    cursor = await connection.execute(
        "update exchange.signer set paused = %s where address = %s and paused is distinct from %s",
        (reason, signer, reason),
    )
    return cursor.rowcount == 1


async def resume(connection: AsyncConnection, signer: bytes, *, paused: str) -> None:
    """Signs again if it was paused for this reason (a pattern of `like`), and no other."""
    await connection.execute(
        "update exchange.signer set paused = null where address = %s and paused like %s", (signer, paused)
    )


class Backlog(NamedTuple):
    """What waits. Ages are seconds, 0 if nothing does."""

    calls: int
    oldest_call: float
    oldest_purchase: float


async def backlog(connection: AsyncConnection) -> Backlog:
    cursor = await connection.execute(
        "select count(*), coalesce(extract(epoch from now() - min(created_at)), 0)::float8,"
        " coalesce((select greatest(0, extract(epoch from now()) - min(first.accepted_at)) from exchange.merchant m"
        "           cross join lateral (select greatest(p.accepted_at, p.available_at) as accepted_at"
        "                               from exchange.purchase p where p.merchant_id = m.id"
        "                               and p.batch_number is null and p.points > p.cancelled"
        "                               order by p.available_at, p.id limit 1) first),"
        "          0)::float8"
        " from exchange.call where state = 'queued'"
    )
    row = await cursor.fetchone()
    return Backlog(0, 0.0, 0.0) if row is None else Backlog(*row)


async def paused(connection: AsyncConnection) -> dict[bytes, bool]:
    """Of every signer whether it is."""
    cursor = await connection.execute("select address, paused is not null from exchange.signer", binary=True)
    return {bytes(address): bool(stopped) for address, stopped in await cursor.fetchall()}
