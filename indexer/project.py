"""Logs to rows: what the contracts said, as the ledger's entries, movements of margin and everything else shown.

Pure, and the only file that knows what an event means. Invariants: every change of a balance becomes exactly one
entry per side, with the kind that the semantic event of the same transaction claims for it (`Minted`, `Sent`,
`Redeemed`, `Swapped`, `Given`, `Expired`, `ClawedBack`, `Recovered`, each of which follows its transfers); a transfer
between holders that nothing claims was made by its holder's own transaction; an unclaimed mint or burn, an unknown
event or a contradiction raises `Unprojectable`, for a guess would be a false ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from contracts import bindings
from contracts.abi import UndecodableLog
from indexer.blocks import Log
from indexer.errors import Unprojectable

NOBODY = bytes(20)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier logs told: whose logs are ours, and where the network fee goes."""

    factory: bytes
    exchange: bytes
    programmes: frozenset[bytes] = frozenset()
    fee_account: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """New rows by table of `indexer.tables`, each a tuple in the order of the table's columns."""

    transaction: list[Row] = field(default_factory=list)
    programme: list[Row] = field(default_factory=list)
    batch: list[Row] = field(default_factory=list)
    entry: list[Row] = field(default_factory=list)
    redemption: list[Row] = field(default_factory=list)
    clawback: list[Row] = field(default_factory=list)
    life: list[Row] = field(default_factory=list)
    swap: list[Row] = field(default_factory=list)
    gift: list[Row] = field(default_factory=list)
    matching: list[Row] = field(default_factory=list)
    quote: list[Row] = field(default_factory=list)
    partner: list[Row] = field(default_factory=list)
    fee: list[Row] = field(default_factory=list)
    charity: list[Row] = field(default_factory=list)
    campaign: list[Row] = field(default_factory=list)
    movement: list[Row] = field(default_factory=list)


Moved = tuple[int, bytes, bytes, int]
"""A transfer that nothing has claimed yet: log index, from, to, amount."""


@dataclass(slots=True)
class _Work:
    """One transaction in the making. `unclaimed` holds each token's transfers in the chain's order."""

    block: int
    transaction_index: int
    known: Known
    rows: Rows
    unclaimed: dict[bytes, list[Moved]]


def project(logs: Sequence[Log], known: Known) -> tuple[Rows, Known]:
    """The rows of `logs`, which are whole transactions in the chain's order, and what is known after them."""
    rows = Rows()
    for (block, transaction_index), group in groupby(logs, key=attrgetter("block", "transaction_index")):
        work = _Work(block, transaction_index, known, rows, {})
        transaction = b""
        for log in group:
            transaction = log.transaction
            _apply(work, log)
        rows.transaction.append((block, transaction_index, transaction))
        for token, moves in work.unclaimed.items():
            _transferred(work, token, moves)
        known = work.known
    return rows, known


def _apply(work: _Work, log: Log) -> None:
    topic = log.topics[0] if log.topics else b""
    emitter = _emitter(work.known, log.address)
    try:
        if topic == bindings.TRANSFER_TOPIC and emitter == "token":  # nearly every log is one
            moved = bindings.Transfer.from_log(log.topics, log.data)
            work.unclaimed.setdefault(log.address, []).append((log.index, moved.from_, moved.to, moved.value))
            return
        kind = bindings.EVENTS.get(topic)
        rule = _RULES.get((emitter, kind)) if kind is not None else None
        if kind is None or rule is None:
            raise Unprojectable(f"{_place(work, log)}: the {emitter} emitted an unknown event, topic {topic.hex()}")
        rule(work, log, kind.from_log(log.topics, log.data))
    except UndecodableLog as error:
        raise Unprojectable(f"{_place(work, log)}: undecodable {error}") from error


def _emitter(known: Known, address: bytes) -> str:
    if address in known.programmes:
        return "token"
    if address == known.exchange:
        return "exchange"
    if address == known.factory:
        return "factory"
    raise Unprojectable(f"a log of 0x{address.hex()}, which is none of our contracts")


def _place(work: _Work, log: Log) -> str:
    return f"block {work.block}, transaction 0x{log.transaction.hex()}, log {log.index} of 0x{log.address.hex()}"


# --- tokens: claims on transfers -------------------------------------------------------------------------------------


def _claim(work: _Work, log: Log, token: bytes, *, from_: bytes, to: bytes, amount: int) -> int:
    """Takes the last unclaimed transfer of `token`, which must be this one. Returns its log index."""
    moves = work.unclaimed.get(token)
    if not moves or moves[-1][1:] != (from_, to, amount):
        raise Unprojectable(
            f"{_place(work, log)}: no transfer of {amount} from 0x{from_.hex()} to 0x{to.hex()} stands before it"
        )
    return moves.pop()[0]


def _last(work: _Work, log: Log, token: bytes, what: str) -> Moved:
    """The last unclaimed transfer of `token`, for an event that leaves it to the transfer to say who and how many."""
    moves = work.unclaimed.get(token)
    fits = moves and {
        "send": NOBODY not in moves[-1][1:3],
        "burn": moves[-1][2] == NOBODY,
        "mint": moves[-1][1] == NOBODY,
    }
    if not moves or not fits or not fits[what]:
        raise Unprojectable(f"{_place(work, log)}: no {what} of 0x{token.hex()} stands before it")
    return moves.pop()


def _entry(
    work: _Work,
    log_index: int,
    side: int,
    token: bytes,
    holder: bytes,
    delta: int,
    kind: str,
    counterparty: bytes | None = None,
    intent: bytes | None = None,
) -> None:
    work.rows.entry.append(
        (work.block, log_index, side, work.transaction_index, token, holder, delta, kind, counterparty, intent)
    )


def _minted(work: _Work, log: Log, event: bindings.Minted) -> None:
    moves = work.unclaimed.get(log.address, [])
    start = len(moves) - event.count
    mints = moves[max(start, 0) :]
    if start < 0 or any(move[1] != NOBODY for move in mints) or sum(move[3] for move in mints) != event.total:
        raise Unprojectable(
            f"{_place(work, log)}: batch {event.batch} says {event.count} entries of {event.total} in all, "
            f"its transfers are {len(mints)} of {sum(move[3] for move in mints)}"
        )
    del moves[start:]
    block, index, token = work.block, work.transaction_index, log.address
    work.rows.entry.extend(
        [(block, log_index, 1, index, token, to, amount, "earned", None, None) for log_index, _, to, amount in mints]
    )
    work.rows.batch.append(
        (
            *(token, event.batch, block, log.index, index),
            *(event.receipts_root, event.entries_hash, event.total, event.count),
        )
    )


def _sent(work: _Work, log: Log, event: bindings.Sent) -> None:
    index, holder, to, amount = _last(work, log, log.address, "send")
    _entry(work, index, 0, log.address, holder, -amount, "sent", to, event.intent)
    _entry(work, index, 1, log.address, to, amount, "received", holder, event.intent)


def _redeemed(work: _Work, log: Log, event: bindings.Redeemed) -> None:
    index = _claim(work, log, log.address, from_=event.holder, to=NOBODY, amount=event.amount)
    _entry(work, index, 0, log.address, event.holder, -event.amount, "redeemed", None, event.intent)
    work.rows.redemption.append(
        (work.block, log.index, event.intent, log.address, event.holder, event.order, event.amount)
    )


def _expired(work: _Work, log: Log, event: bindings.Expired) -> None:
    index = _claim(work, log, log.address, from_=event.holder, to=NOBODY, amount=event.amount)
    _entry(work, index, 0, log.address, event.holder, -event.amount, "expired")


def _clawed_back(work: _Work, log: Log, event: bindings.ClawedBack) -> None:
    if event.burned:
        index = _claim(work, log, log.address, from_=event.holder, to=NOBODY, amount=event.burned)
        _entry(work, index, 0, log.address, event.holder, -event.burned, "clawed_back")
    receipt = (log.address, event.batch, event.index, event.holder, event.purchase)
    work.rows.clawback.append((work.block, log.index, *receipt, event.burned, event.shortfall))


def _recovered(work: _Work, log: Log, event: bindings.Recovered) -> None:
    index = _claim(work, log, log.address, from_=event.holder, to=event.to, amount=event.amount)
    if event.amount:
        _entry(work, index, 0, log.address, event.holder, -event.amount, "recovered", event.to)
        _entry(work, index, 1, log.address, event.to, event.amount, "recovered", event.holder)


def _life_extended(work: _Work, log: Log, event: bindings.LifeExtended) -> None:
    work.rows.life.append((work.block, log.index, log.address, event.life))


def _transferred(work: _Work, token: bytes, moves: list[Moved]) -> None:
    """What nothing claimed: transfers that holders made themselves. One of zero changes nothing and is no entry."""
    for index, from_, to, amount in moves:
        if NOBODY in (from_, to):
            raise Unprojectable(
                f"block {work.block}, log {index} of 0x{token.hex()}: {amount} points appear or vanish for no reason"
            )
        if amount:
            _entry(work, index, 0, token, from_, -amount, "transferred", to)
            _entry(work, index, 1, token, to, amount, "transferred", from_)


# --- the exchange: margin, swaps, gifts ------------------------------------------------------------------------------


def _move(work: _Work, log: Log, kind: str, *deltas: tuple[int, bytes, int]) -> None:
    """Movements of margin by one log: (side, account, delta) each; those of zero are none."""
    work.rows.movement.extend([(work.block, log.index, *delta, kind) for delta in deltas if delta[2]])


def _deposited(work: _Work, log: Log, event: bindings.Deposited) -> None:
    _move(work, log, "deposit", (1, event.account, event.amount))


def _withdrawn(work: _Work, log: Log, event: bindings.Withdrawn) -> None:
    _move(work, log, "withdrawal", (0, event.account, -event.amount))


def _swapped(work: _Work, log: Log, event: bindings.Swapped) -> None:
    mint, _, to, out = _last(work, log, event.into, "mint")
    burn, holder, _, amount = _last(work, log, event.from_, "burn")
    if holder != to:
        raise Unprojectable(f"{_place(work, log)}: 0x{holder.hex()} swapped, and 0x{to.hex()} got the points")
    _entry(work, burn, 0, event.from_, holder, -amount, "swapped", event.into, event.intent)
    _entry(work, mint, 1, event.into, holder, out, "swapped", event.from_, event.intent)
    _move(work, log, "swap", (0, event.from_, -event.value), (1, event.into, event.value - event.fee))
    if event.fee:
        if work.known.fee_account is None:
            raise Unprojectable(f"{_place(work, log)}: a fee of {event.fee}, and no account that receives fees")
        _move(work, log, "fee", (2, work.known.fee_account, event.fee))
    work.rows.swap.append(
        (
            *(work.block, log.index, event.intent, event.from_, event.into, holder),
            *(amount, out, event.value, event.fee),
        )
    )


def _given(work: _Work, log: Log, event: bindings.Given) -> None:
    burn, holder, _, amount = _last(work, log, event.programme, "burn")
    _entry(work, burn, 0, event.programme, holder, -amount, "gave", event.charity, event.intent)
    _move(work, log, "gift", (0, event.programme, -event.value), (1, event.charity, event.value))
    work.rows.gift.append(
        (
            *(work.block, log.index, event.intent, event.programme, event.charity, holder),
            *(event.campaign, amount, event.value),
        )
    )


def _matched(work: _Work, log: Log, event: bindings.Matched) -> None:
    _move(work, log, "match", (0, event.sponsor, -event.value), (1, event.charity, event.value))
    terms = (event.intent, event.campaign, event.sponsor, event.charity, event.value)
    work.rows.matching.append((work.block, log.index, *terms))


# --- who exists and on what terms ------------------------------------------------------------------------------------


def _created(work: _Work, log: Log, event: bindings.ProgrammeCreated) -> None:
    work.known = replace(work.known, programmes=work.known.programmes | {event.programme})
    names = (_text(event.name), _text(event.symbol))
    work.rows.programme.append((work.block, log.index, event.programme, event.owner, event.issuer, *names))
    work.rows.life.append((work.block, log.index, event.programme, event.life))


def _quoted(work: _Work, log: Log, event: bindings.Quoted) -> None:
    terms = (event.bid, event.ask, event.until, event.cap, event.effective)
    work.rows.quote.append((work.block, log.index, event.programme, *terms))


def _partnered(work: _Work, log: Log, event: bindings.PartnerSet) -> None:
    work.rows.partner.append((work.block, log.index, event.programme, event.partner, event.allowed))


def _fee_set(work: _Work, log: Log, event: bindings.FeeSet) -> None:
    work.known = replace(work.known, fee_account=event.account)
    work.rows.fee.append((work.block, log.index, event.fee_bps, event.account))


def _registered(work: _Work, log: Log, event: bindings.CharityRegistered) -> None:
    work.rows.charity.append((work.block, log.index, event.charity, _text(event.name)))


def _opened(work: _Work, log: Log, event: bindings.CampaignOpened) -> None:
    work.rows.campaign.append((work.block, log.index, event.campaign, event.charity, event.goal, event.end))


def _ignored(_work: _Work, _log: Log, _event: object) -> None:
    """An event that the mirror has no row for."""


def _text(word: bytes) -> str:
    """A left-aligned string. Anyone may create a programme, so what is no UTF-8 is shown, not trusted."""
    return word.rstrip(b"\0").decode(errors="replace").replace("\0", "\ufffd")


_RULES: dict[tuple[str, type[bindings.Event]], Callable[[_Work, Log, Any], None]] = {
    ("token", bindings.Minted): _minted,
    ("token", bindings.Sent): _sent,
    ("token", bindings.Redeemed): _redeemed,
    ("token", bindings.Expired): _expired,
    ("token", bindings.ClawedBack): _clawed_back,
    ("token", bindings.Recovered): _recovered,
    ("token", bindings.LifeExtended): _life_extended,
    ("token", bindings.Approval): _ignored,
    ("token", bindings.NonceCancelled): _ignored,
    ("token", bindings.LimitsSet): _ignored,
    ("token", bindings.PauseSet): _ignored,
    ("token", bindings.RecoveryStarted): _ignored,
    ("token", bindings.RecoveryCancelled): _ignored,
    ("token", bindings.EIP712DomainChanged): _ignored,
    ("exchange", bindings.Swapped): _swapped,
    ("exchange", bindings.Given): _given,
    ("exchange", bindings.Matched): _matched,
    ("exchange", bindings.Deposited): _deposited,
    ("exchange", bindings.Withdrawn): _withdrawn,
    ("exchange", bindings.Quoted): _quoted,
    ("exchange", bindings.PartnerSet): _partnered,
    ("exchange", bindings.FeeSet): _fee_set,
    ("exchange", bindings.CharityRegistered): _registered,
    ("exchange", bindings.CampaignOpened): _opened,
    ("exchange", bindings.OwnershipTransferred): _ignored,
    ("exchange", bindings.GuardianSet): _ignored,
    ("exchange", bindings.PauseSet): _ignored,
    ("exchange", bindings.WithdrawalAnnounced): _ignored,
    ("exchange", bindings.PayoutSet): _ignored,
    ("exchange", bindings.SponsorNamed): _ignored,
    ("exchange", bindings.MatchSet): _ignored,
    ("exchange", bindings.EIP712DomainChanged): _ignored,
    ("factory", bindings.ProgrammeCreated): _created,
}
