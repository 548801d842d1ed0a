"""One programme as its history says it is, and whether its history kept the rules of `IPoints`. Pure.

Every act is judged by the state before it, as the contract judges it, with the arithmetic written anew from the
documentation in `contracts/src/interfaces`. Acts must come in the chain's order. After a contradiction the chain's word
is taken and the audit goes on, so that one fault is one finding.

What logs do not say is known within bounds only: whether a plain transfer was the holder's own (which is activity) or
an approved spender's (which is not). So the day of a holder's last activity is an interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings
from contracts.bindings import Limits
from contracts.layout import RING
from scripts.audit.acts import Act, Moved
from scripts.audit.record import Record

DAY: Final = 86_400
HOUR: Final = 3_600
LOOSENING: Final = 48 * HOUR
RECOVERY: Final = 14 * DAY
PAUSE: Final = 72 * HOUR
NO_LIMITS: Final = Limits(0, 0, 0, 0)


class Holding:
    """One holder's points in base units, and between which UTC days the last activity was."""

    __slots__ = ("balance", "earliest", "latest")

    def __init__(self) -> None:
        self.balance = self.earliest = self.latest = 0

    def active(self, today: int) -> None:
        self.earliest = self.latest = today


@dataclass(frozen=True, slots=True)
class Batch:
    """As it was minted: `entries` packs 20 bytes of holder and 12 of amount each."""

    root: bytes
    entries_hash: bytes
    entries: bytes
    block: int
    time: int

    @property
    def size(self) -> int:
        return len(self.entries) // 32

    @property
    def total(self) -> int:
        return sum(self.amount(index) for index in range(self.size))

    def amount(self, index: int) -> int:
        return int.from_bytes(self.entries[32 * index + 20 : 32 * index + 32])

    def holder(self, index: int) -> bytes:
        return self.entries[32 * index : 32 * index + 20]


@dataclass(slots=True)
class Bucket:
    """What may still be issued: `level` base units at Unix second `at`, refilled up to the limits' bucket."""

    level: int
    at: int

    def available(self, limits: Limits, time: int) -> int:
        return min(self.level + limits.refill * (time - self.at), limits.bucket)


@dataclass(slots=True)
class Terms:
    """What bounds issuance. `limits` are None if the ones at creation could not be shown."""

    limits: Limits | None
    life: int
    loosened: Limits = NO_LIMITS
    loosened_at: int = 0
    paused_until: int = 0


@dataclass(slots=True)
class Programme:
    address: bytes
    created: bindings.ProgrammeCreated
    record: Record
    terms: Terms
    bucket: Bucket
    supply: int = 0
    next_batch: int = 1
    holdings: dict[bytes, Holding] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    refunded: dict[tuple[int, int], int] = field(default_factory=dict)
    """Base units taken back of the entry at a place, whether or not its holder still had them."""
    recoveries: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    """Where each holder's points were last said to go, and from when; also those that are over."""
    recovering: set[bytes] = field(default_factory=set)

    @classmethod
    def begun(cls, act: Act, created: bindings.ProgrammeCreated, limits: Limits | None, record: Record) -> Programme:
        level = limits.bucket if limits else 0
        return cls(created.programme, created, record, Terms(limits, created.life), Bucket(level, act.time))

    @property
    def limits(self) -> Limits | None:
        return self.terms.limits

    # --- acts --------------------------------------------------------------------------------------------------------

    def minted(self, act: Act, event: bindings.Minted) -> None:
        record, moves = self.record, act.moves
        ok = self._held("batches", event.batch == self.next_batch, act, "its number is not the next")
        amounts = [move.amount for move in moves]
        total = sum(amounts)
        packed = b"".join([move.to + (move.amount & (2**96 - 1)).to_bytes(12) for move in moves])
        ok &= self._held(
            "batches", keccak(packed) == event.entries_hash, act, "its transfers do not hash to its entries"
        )
        ok &= self._held("batches", total == event.total, act, f"its transfers sum to {total}, it says {event.total}")
        self._issued(act, total, min(amounts), max(amounts))
        today = act.time // DAY
        holdings, oldest = self.holdings, today - self.terms.life
        for move in moves:
            holding = holdings.get(move.to)
            if holding is None:
                holding = holdings[move.to] = Holding()
            elif holding.balance and holding.latest < oldest:
                self._held("refunds", False, act, f"0x{move.to.hex()} earned on top of points that had expired")
            holding.balance += move.amount
            holding.earliest = holding.latest = today
        self.supply += total
        self.next_batch = event.batch + 1
        self.batches[event.batch] = Batch(event.receipts_root, event.entries_hash, packed, act.block, act.time)
        if ok:
            record.proved("supply", len(moves))

    def _issued(self, act: Act, total: int, least: int, most: int) -> None:
        """Draws a batch's total from the bucket, under the limits in force."""
        self._loosen(act.time)
        limits, time = self.limits, act.time
        self._held("issuance", time >= self.terms.paused_until, act, "minting was paused")
        if limits is None:
            self.record.skipped("issuance", 1)
            return
        available = self.bucket.available(limits, time)
        self._held("issuance", total <= available, act, f"{total} issued, and the bucket held {available}")
        self._held("issuance", least >= 1 and most <= limits.entry_cap, act, f"entries of {least} to {most}")
        cap = limits.supply_cap
        self._held("issuance", self.supply + total <= cap, act, f"supply passed its cap of {cap}")
        self.bucket = Bucket(max(available - total, 0), time)

    def credited(self, act: Act, move: Moved) -> None:
        """The mint of a swap, which the margin was paid for: within the supply cap, not the bucket."""
        terms = self.terms
        if terms.limits is not None:
            loose = terms.loosened_at and act.time >= terms.loosened_at
            cap = terms.loosened.supply_cap if loose else terms.limits.supply_cap
            self._held("issuance", self.supply + move.amount <= cap, act, f"supply passed its cap of {cap}")
        holding = self._living(act, move.to)
        holding.balance += move.amount
        holding.active(act.time // DAY)
        self.supply += move.amount
        self.record.proved("supply")

    def burned(self, act: Act, move: Moved, *, acted: bool) -> None:
        """Points that leave their holder for ever; `acted` if by the holder's own signature."""
        self._debited(act, move)
        if acted:
            self._acts(act, move.from_)
        self.supply -= move.amount

    def moved(self, act: Act, move: Moved, *, acted: bool) -> None:
        """Points that one holder has sent another: by signature (`acted`), or by somebody's transaction."""
        self._debited(act, move)
        if acted:
            self._acts(act, move.from_)
        else:
            holding = self.holdings.setdefault(move.from_, Holding())
            holding.latest = act.time // DAY
        self._received(act, move)

    def expired(self, act: Act, event: bindings.Expired) -> None:
        holding, today = self.holdings.setdefault(event.holder, Holding()), act.time // DAY
        dead = holding.earliest + self.terms.life < today
        self._held("refunds", dead, act, f"points of 0x{event.holder.hex()} were burned as expired, and were alive")
        whole = event.amount == holding.balance
        self._held(
            "refunds", whole, act, f"{event.amount} expired of 0x{event.holder.hex()}, who had {holding.balance}"
        )
        # It did expire, so what would have kept it alive has not happened.
        holding.latest = max(holding.earliest, min(holding.latest, today - self.terms.life - 1))
        self._take(act, act.moves[0])
        self.supply -= event.amount

    def clawed_back(self, act: Act, event: bindings.ClawedBack) -> None:
        key = (event.batch, event.index)
        batch = self.batches.get(event.batch)
        place = f"entry {event.index} of batch {event.batch}"
        wanted, before = event.burned + event.shortfall, self.refunded.get(key, 0)
        if batch is None or event.index >= batch.size:
            self._held("refunds", False, act, f"a refund of {place}, which does not exist")
        else:
            holder, granted = batch.holder(event.index), batch.amount(event.index)
            self._held("refunds", self.next_batch - event.batch <= RING, act, f"{place} is too old for a refund")
            self._held("refunds", holder == event.holder, act, f"{place} was minted to 0x{holder.hex()}")
            within = wanted > 0 and before + wanted <= granted
            self._held("refunds", within, act, f"{before + wanted} taken back of {place}, which granted {granted}")
        had = self._living(act, event.holder).balance
        self._held(
            "refunds", event.burned == min(wanted, had), act, f"{event.burned} taken of {had}, {wanted} were due"
        )
        self.refunded[key] = before + wanted
        if act.moves:
            self.burned(act, act.moves[0], acted=False)

    def recovery_started(self, act: Act, event: bindings.RecoveryStarted) -> None:
        due = act.time + RECOVERY
        self._held("refunds", event.due == due, act, f"a recovery is due at {event.due} and not at {due}")
        self.recoveries[event.holder] = (event.to, event.due)
        self.recovering.add(event.holder)
        self._owner_may_have_acted(act)

    def recovery_cancelled(self, act: Act, event: bindings.RecoveryCancelled) -> None:
        self._held("refunds", event.holder in self.recovering, act, "a recovery was cancelled that nobody began")
        self.recovering.discard(event.holder)

    def recovered(self, act: Act, event: bindings.Recovered) -> None:
        to, due = self.recoveries.get(event.holder, (b"", 0))
        begun = event.holder in self.recovering and event.to == to
        self._held("refunds", begun and act.time >= due, act, f"0x{event.holder.hex()} was recovered before it was due")
        had = self._living(act, event.holder).balance
        self._held("refunds", event.amount == had, act, f"{event.amount} recovered of {had}")
        self.recovering.discard(event.holder)
        self._take(act, act.moves[0])
        self._received(act, act.moves[0])

    def limits_set(self, act: Act, event: bindings.LimitsSet) -> None:
        self._loosen(act.time)
        new = Limits(event.supply_cap, event.entry_cap, event.bucket, event.refill)
        now, terms = self.limits, self.terms
        if event.effective == act.time:
            tighter = now is None or all(one <= other for one, other in zip(new, now, strict=True))
            self._held("terms", tighter, act, "limits were loosened at once")
            if now is not None:
                self.bucket = Bucket(self.bucket.available(now, act.time), act.time)
                terms.limits = new
            terms.loosened_at = 0
        else:
            self._held(
                "terms", event.effective == act.time + LOOSENING, act, "looser limits without 48 hours of notice"
            )
            terms.loosened, terms.loosened_at = new, event.effective
        self._owner_may_have_acted(act)

    def life_extended(self, act: Act, event: bindings.LifeExtended) -> None:
        self._held("terms", event.life > self.terms.life, act, f"a life of {self.terms.life} days became {event.life}")
        self.terms.life = event.life
        self._owner_may_have_acted(act)

    def pause_set(self, act: Act, event: bindings.PauseSet) -> None:
        self._held("terms", is_pause(self.terms.paused_until, event.until, act.time), act, NO_PAUSE)
        self.terms.paused_until = event.until

    def acted(self, act: Act, holder: bytes) -> None:
        """By signature or transaction, without moving points."""
        self._living(act, holder)
        self._acts(act, holder)

    # --- what they have in common ------------------------------------------------------------------------------------

    def _acts(self, act: Act, holder: bytes) -> None:
        kept = holder not in self.recovering
        self._held("refunds", kept, act, f"0x{holder.hex()} acted, and its recovery was not cancelled")
        self.holdings.setdefault(holder, Holding()).active(act.time // DAY)

    def _owner_may_have_acted(self, act: Act) -> None:
        """The owner's terms are signed with a nonce of its own account here, which is activity, or sent by itself."""
        self.holdings.setdefault(self.created.owner, Holding()).latest = act.time // DAY

    def _living(self, act: Act, holder: bytes) -> Holding:
        """The holding, of which everything that expired must have been burned before it is touched."""
        holding = self.holdings.get(holder)
        if holding is None:
            holding = self.holdings[holder] = Holding()
        elif holding.balance and holding.latest + self.terms.life < act.time // DAY:
            self._held("refunds", False, act, f"points of 0x{holder.hex()} that had expired were used")
        return holding

    def _debited(self, act: Act, move: Moved) -> None:
        self._living(act, move.from_)
        self._take(act, move)
        self.record.proved("supply")

    def _take(self, act: Act, move: Moved) -> None:
        holding = self.holdings[move.from_]
        had = holding.balance
        if move.amount > had:
            self._held("supply", False, act, f"{move.amount} left 0x{move.from_.hex()}, who had {had}")
        holding.balance = had - move.amount

    def _received(self, act: Act, move: Moved) -> None:
        holding = self._living(act, move.to)
        if holding.balance == 0:
            holding.active(act.time // DAY)
        holding.balance += move.amount

    def _loosen(self, time: int) -> None:
        """Brings announced limits into force when their time has come, as minting and setting limits do."""
        terms = self.terms
        if terms.loosened_at and time >= terms.loosened_at:
            if terms.limits is not None:
                self.bucket = Bucket(self.bucket.available(terms.limits, time), time)
                terms.limits = terms.loosened
            terms.loosened_at = 0

    def _held(self, check: str, ok: bool, act: Act, otherwise: str) -> bool:
        if ok:
            self.record.proved(check)
        else:
            self.record.found(check, f"{_name(act)} of 0x{self.address.hex()}: {otherwise}", **act.place)
        return ok


NO_PAUSE: Final = "a pause of other than 72 hours, or before 72 hours of rest"


def is_pause(last: int, until: int, time: int) -> bool:
    """Whether a pause until `last` may become one until `until` now: begun for 72 hours after as many of rest, or
    ended."""
    begun = until == time + PAUSE and (last == 0 or time >= last + PAUSE)
    return begun or until == min(time, last)


def _name(act: Act) -> str:
    return type(act.event).__name__ if act.event is not None else "a transfer"
