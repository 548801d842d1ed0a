"""Accepting intents: checked against the mirror, stored with the call that carries them, all or nothing.

A holder's intents are accepted one after another, under a lock on the holder: what one of them spends, the next one
does not find. Points spent by intents that have not reached the mirror yet count as gone. Wallets sign their own; for
custodial customers the gateway allots the nonce and signs. One path serves both, for one intent or a thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from contracts import signatures
from contracts.bindings import Call
from exchange import intent, markets, vault
from exchange.authority import require_signed
from exchange.database import Connection, one, rows
from exchange.errors import (
    BadSignature,
    DeadlinePassed,
    ExchangeError,
    IntentNotFound,
    NonceOutOfWindow,
    NonceUsed,
    NotEnoughPoints,
    ProgrammeNotFound,
)
from exchange.expiry import life_of
from exchange.gateway import Gateway
from exchange.hexes import checksum, hexed
from exchange.history import as_of
from exchange.intent import Act
from exchange.markets import Markets
from exchange.points import render_points

SLIPPAGE_BPS: Final = 100
"""What a suggested minimum leaves for quotes to move."""


@dataclass(frozen=True, slots=True)
class Signed:
    """By the holder's own key, passkey or contract; verified before anything is stored."""

    act: Act
    nonce: int
    deadline: int
    signature: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Custodial:
    """To be signed with the customer's sealed key. A swap without a minimum gets the suggested one."""

    act: Act
    person: UUID
    key: bytes


Proposal = Signed | Custodial


@dataclass(slots=True)
class Account:
    """One holder in one programme while a request is judged: what is left changes from item to item."""

    known: bool
    spendable: int
    next_nonce: int
    used: set[int] = field(default_factory=set)


_LOCK: Final = """
select pg_advisory_xact_lock(hashtextextended(encode(holder, 'hex'), 0))
from (select unnest(%s::bytea[]) as holder order by 1) as sorted
"""

_ACCOUNTS: Final = f"""
with mine as (
    select i.programme, i.holder, i.nonce, i.amount, i.deadline, i.digest, c.state, c.failure
    from unnest(%(programmes)s::bytea[], %(holders)s::bytea[]) as w (programme, holder)
    join exchange.intent i on i.programme = w.programme and i.holder = w.holder
    join exchange.call c on c.id = i.call_id
), pending as (
    -- Accepted and still able to take effect, but not in the mirror yet.
    select programme, holder, sum(amount) as amount from mine i
    where not (state = 'refused' or (state = 'placed' and failure is not null))
      and deadline >= coalesce((select time from mirror.block order by number desc limit 1), 0)
      and not exists (select 1 from mirror.entry e where e.intent = i.digest)
    group by programme, holder
), held as (
    select h.programme, h.holder, sum(h.amount) as amount
    from unnest(%(programmes)s::bytea[], %(holders)s::bytea[]) as w (programme, holder)
    join exchange.hold h on h.programme = w.programme and h.holder = w.holder
    where h.state = 'open' and h.expires_at > %(now)s
    group by h.programme, h.holder
), nonces as (
    select programme, holder, max(nonce) + 1 as next from mine group by programme, holder
)
select w.programme, w.holder,
       case when expiry.passed then 0 else coalesce(b.amount, 0) end
           - coalesce(p.amount, 0) - coalesce(h.amount, 0) as spendable,
       coalesce(n.next, 0) as next_nonce,
       exists (select 1 from mirror.programme t where t.address = w.programme) as known
from unnest(%(programmes)s::bytea[], %(holders)s::bytea[]) as w (programme, holder)
left join mirror.balance b on b.programme = w.programme and b.holder = w.holder
{life_of("w")}
left join pending p on p.programme = w.programme and p.holder = w.holder
left join held h on h.programme = w.programme and h.holder = w.holder
left join nonces n on n.programme = w.programme and n.holder = w.holder
"""  # noqa: S608 - of constants


async def verified(gateway: Gateway, act: Act, *, nonce: int, deadline: int, signature: bytes) -> Signed:
    """A holder's own intent. Raises `BadSignature`, `NonceOutOfWindow`, and `ChainUnavailable` for a contract's."""
    if nonce >= intent.NONCE_END:
        raise NonceOutOfWindow(f"The nonce {nonce} is beyond what the token can ever accept.")
    digest = intent.digest(act, gateway.domain(act.programme), nonce=nonce, deadline=deadline)
    await require_signed(gateway, token=act.programme, holder=act.holder, digest=digest, signature=signature)
    return Signed(act=act, nonce=nonce, deadline=deadline, signature=signature, digest=digest)


def parsed_signature(raw: bytes) -> bytes:
    """A wallet's `r, s, v` or ours, which begins with the scheme byte 0. Raises `BadSignature`."""
    if len(raw) == 65 and raw[64] in (27, 28):
        try:
            return signatures.from_rsv(raw)
        except ValueError as error:
            raise BadSignature(f"The signature is malformed: {error}.") from error
    return raw


async def accept(
    gateway: Gateway, sql: Connection, proposals: Sequence[Proposal | ExchangeError]
) -> list[dict[str, Any] | ExchangeError]:
    """In the caller's transaction: for each proposal the stored intent or its refusal, in order."""
    acts = [each.act for each in proposals if not isinstance(each, ExchangeError)]
    if not acts:
        return [each for each in proposals if isinstance(each, ExchangeError)]
    accounts = await lock_accounts(sql, {(act.programme, act.holder) for act in acts}, now=gateway.now())
    trades = [act for act in acts if act.kind in ("swap", "give")]
    market = await _markets(gateway, sql, trades) if trades else None
    results: list[dict[str, Any] | ExchangeError] = []
    fresh: list[tuple[dict[str, Any], Call]] = []
    for proposal in proposals:
        try:
            if isinstance(proposal, ExchangeError):
                raise proposal
            if isinstance(proposal, Signed):
                repeated = await one(sql, "select * from exchange.intent where digest = %s", proposal.digest)
                if repeated is not None:
                    results.append(repeated)
                    continue
            made = _judge(gateway, proposal, accounts, market)
            fresh.append(made)
            results.append(made[0])
        except ExchangeError as error:
            results.append(error)
    await _store(sql, fresh)
    if len(fresh) == 1:
        structlog.contextvars.bind_contextvars(intent=str(fresh[0][0]["id"]))
    for row, _ in fresh:
        gateway.metrics.intents.labels(row["kind"]).inc()
    return results


async def lock_accounts(
    sql: Connection, wanted: Collection[tuple[bytes, bytes]], *, now: int
) -> dict[tuple[bytes, bytes], Account]:
    """The accounts (programme, holder) as they are now; until the caller's transaction ends, nobody else spends."""
    pairs = sorted(wanted)
    columns = [programme for programme, _ in pairs], [holder for _, holder in pairs]
    await sql.execute(_LOCK, (list({holder for _, holder in pairs}),))
    wanted_now = {"programmes": columns[0], "holders": columns[1], "now": now}
    accounts = await (await sql.execute(_ACCOUNTS, wanted_now)).fetchall()
    found = {
        (bytes(row["programme"]), bytes(row["holder"])): Account(
            known=row["known"], spendable=int(row["spendable"]), next_nonce=row["next_nonce"]
        )
        for row in accounts
    }
    taken = await rows(
        sql,
        "select i.programme, i.holder, i.nonce from unnest(%s::bytea[], %s::bytea[]) as w (programme, holder)"
        " join exchange.intent i on i.programme = w.programme and i.holder = w.holder"
        " order by i.nonce desc limit 10000",
        *columns,
    )
    for row in taken:
        found[bytes(row["programme"]), bytes(row["holder"])].used.add(row["nonce"])
    return found


async def _markets(gateway: Gateway, sql: Connection, trades: Sequence[Act]) -> Markets:
    swaps = [act.counterparty for act in trades if act.kind == "swap" and act.counterparty is not None]
    return await markets.read(
        sql,
        now=gateway.now(),
        programmes={*(act.programme for act in trades), *swaps},
        charities={act.counterparty for act in trades if act.kind == "give" and act.counterparty is not None},
        campaigns={act.campaign for act in trades if act.campaign},
    )


def _judge(
    gateway: Gateway,
    proposal: Proposal,
    accounts: dict[tuple[bytes, bytes], Account],
    market: Markets | None,
) -> tuple[dict[str, Any], Call]:
    """The rows of one acceptable proposal; raises what is wrong with it, and then has changed nothing."""
    act = proposal.act
    account = accounts[act.programme, act.holder]
    if not account.known:
        raise ProgrammeNotFound(f"The programme {checksum(act.programme)} is not on the chain, or not yet.")
    if act.amount > account.spendable:
        raise NotEnoughPoints(
            f"The holder can spend {render_points(max(0, account.spendable))} points now,"
            f" {render_points(act.amount)} are wanted.",
            spendable=render_points(max(0, account.spendable)),
        )
    act = _priced(act, market)
    if isinstance(proposal, Signed):
        nonce, deadline, signature, digest = proposal.nonce, proposal.deadline, proposal.signature, proposal.digest
        _check_nonce(account, nonce)
        if deadline <= gateway.now():
            raise DeadlinePassed(f"The deadline was {deadline}, it is {gateway.now()} now.")
    else:
        nonce, deadline = account.next_nonce, gateway.now() + gateway.settings.intent_life
        digest = intent.digest(act, gateway.domain(act.programme), nonce=nonce, deadline=deadline)
        key = vault.unseal(gateway.master, proposal.key, purpose=f"customer:{proposal.person}")
        signature = signatures.sign(key, digest)
    account.spendable -= act.amount
    account.next_nonce = max(account.next_nonce, nonce + 1)
    account.used.add(nonce)
    call = intent.call(act, exchange=gateway.deployment.exchange, nonce=nonce, deadline=deadline, signature=signature)
    row = {
        "id": uuid7(),
        "digest": digest,
        "kind": act.kind,
        "programme": act.programme,
        "holder": act.holder,
        "amount": act.amount,
        "counterparty": act.counterparty,
        "minimum": act.minimum,
        "campaign": act.campaign,
        "order": act.order,
        "nonce": nonce,
        "deadline": deadline,
        "signature": signature,
    }
    return row, call


def _priced(act: Act, market: Markets | None) -> Act:
    """Refuses what the exchange would refuse; gives a custodial swap its minimum."""
    if market is None or act.counterparty is None:
        return act
    if act.kind == "swap":
        price = markets.price_swap(market, source=act.programme, into=act.counterparty, amount=act.amount)
        if act.minimum is None:
            return _with_minimum(act, suggested_minimum(price.out))
        markets.meets(price.out, act.minimum)
    elif act.kind == "give":
        markets.price_gift(
            market,
            programme=act.programme,
            amount=act.amount,
            charity=act.counterparty,
            campaign=act.campaign or 0,
        )
    return act


def _with_minimum(act: Act, minimum: int) -> Act:
    return Act(act.kind, act.programme, act.holder, act.amount, act.counterparty, minimum)


def suggested_minimum(out: int) -> int:
    return max(1, out * (10_000 - SLIPPAGE_BPS) // 10_000)


def _check_nonce(account: Account, nonce: int) -> None:
    if nonce in account.used:
        raise NonceUsed(f"The nonce {nonce} belongs to another intent of this holder.")
    newest = account.next_nonce - 1
    if not newest - intent.NONCE_WINDOW < nonce <= newest + intent.NONCE_SLIDE:
        raise NonceOutOfWindow(f"The nonce {nonce} is out of reach: the next one is {account.next_nonce}.")


async def _store(sql: Connection, fresh: Sequence[tuple[dict[str, Any], Call]]) -> None:
    if not fresh:
        return
    ids = await rows(
        sql,
        "select nextval(pg_get_serial_sequence('exchange.call', 'id')) as id from generate_series(1, %s)",
        len(fresh),
    )
    async with sql.cursor() as cursor:
        await cursor.executemany(
            "insert into exchange.call (id, kind, target, data, gas) values (%s, %s, %s, %s, %s)",
            [(n["id"], row["kind"], c.target, c.data, c.gas) for n, (row, c) in zip(ids, fresh, strict=True)],
        )
        await cursor.executemany(
            "insert into exchange.intent (id, digest, kind, programme, holder, amount, counterparty, minimum, campaign,"
            ' "order", nonce, deadline, signature, call_id)'
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(*row.values(), n["id"]) for n, (row, _) in zip(ids, fresh, strict=True)],
        )


# --- answers


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """What an intent is accepted with; a function of its row."""
    counterparty = None if row["counterparty"] is None else checksum(row["counterparty"])
    by_kind: dict[str, dict[str, Any]] = {
        "send": {"to": counterparty},
        "redeem": {"order": None if row["order"] is None else hexed(row["order"])},
        "swap": {"into": counterparty, "minimum": render_points(int(row["minimum"] or 0))},
        "give": {"charity": counterparty, "campaign": row["campaign"]},
    }
    return {
        "id": str(row["id"]),
        "kind": row["kind"],
        "digest": hexed(row["digest"]),
        "programme": checksum(row["programme"]),
        "holder": checksum(row["holder"]),
        "amount": render_points(int(row["amount"])),
        **by_kind[row["kind"]],
        "nonce": row["nonce"],
        "deadline": row["deadline"],
        "status": "accepted",
    }


_STATUS: Final = """
select i.*, c.state as call_state, c.failure, e.block, k.hash as block_hash, t.hash as transaction_hash, s.out,
       u.next_block - 1 as head, u.tip, u.finalized
from exchange.intent i
join exchange.call c on c.id = i.call_id
left join mirror.cursor u on u.id = 1
left join lateral (select block, transaction_index from mirror.entry where intent = i.digest limit 1) e on true
left join mirror.block k on k.number = e.block
left join mirror.transaction t on t.block = e.block and t.index = e.transaction_index
left join mirror.swap s on s.block = e.block and s.intent = i.digest
"""
_OF_ID: Final = f"{_STATUS} where i.id = %s"
_PENDING: Final = f"""
{_STATUS}
where i.holder = %s and e.block is null and i.deadline >= %s
  and not (c.state = 'refused' or (c.state = 'placed' and c.failure is not null))
order by i.id desc limit 100
"""


async def status(sql: Connection, id: UUID) -> dict[str, Any]:
    """The intent with its live status, the reason if it was refused, and where it is on the chain."""
    row = await one(sql, _OF_ID, id)
    if row is None:
        raise IntentNotFound(f"There is no intent {id}.")
    return _shown(row)


async def pending(sql: Connection, holder: bytes, *, now: int) -> list[dict[str, Any]]:
    """Of a holder: what was accepted and can still take effect, newest first, a hundred at most."""
    return [_shown(row) for row in await rows(sql, _PENDING, holder, now)]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    found = answer(row)
    if row["block"] is not None:
        found["status"] = "final" if row["block"] <= row["finalized"] else "confirmed"
    elif row["call_state"] == "refused" or (row["call_state"] == "placed" and row["failure"] is not None):
        found["status"], found["reason"] = "refused", row["failure"]
    elif row["call_state"] == "placed":
        found["status"] = "submitted"
    if row["out"] is not None:
        found["out"] = render_points(int(row["out"]))
    found["chain"] = (
        None
        if row["block"] is None
        else {
            "block": row["block"],
            "block_hash": hexed(row["block_hash"]),
            "transaction": None if row["transaction_hash"] is None else hexed(row["transaction_hash"]),
        }
    )
    found["as_of"] = as_of(row)
    return found


async def next_nonce(sql: Connection, *, programme: bytes, holder: bytes) -> int:
    row = await one(
        sql,
        "select coalesce(max(nonce) + 1, 0) as next from exchange.intent where programme = %s and holder = %s",
        programme,
        holder,
    )
    return 0 if row is None else int(row["next"])
