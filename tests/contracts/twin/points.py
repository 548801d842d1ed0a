"""The twin of `Points`: accounts, expiry, nonces, minting within limits, refunds, intents, recovery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from contracts.bindings import (
    Approval,
    ClawedBack,
    Event,
    Expired,
    LifeExtended,
    Limits,
    LimitsSet,
    Minted,
    NonceCancelled,
    PauseSet,
    Recovered,
    RecoveryCancelled,
    RecoveryStarted,
    Redeemed,
    Sent,
    Transfer,
)
from tests.contracts.twin.journal import DAY, HOUR, NOBODY, Journal, begun_pause, ended_pause, refuse

WINDOW = 96
MAX_SLIDE = 65_536
NONCE_END = 2**40 - 128
REFUND_WINDOW = 4_096
LOOSENING = 48 * HOUR
RECOVERY_NOTICE = 14 * DAY
UNLIMITED = 2**256 - 1


@dataclass
class Account:
    balance: int = 0
    day: int = 0
    recovering: bool = False
    base: int = 0
    """All nonces below it are void."""
    used: set[int] = field(default_factory=set)
    """Those from `base` on that were used."""

    def use(self, nonce: int) -> bool:
        """Whether `nonce` could still be used; it now is."""
        if nonce < self.base or nonce in self.used:
            return False
        if nonce >= self.base + WINDOW:
            base = nonce - (WINDOW - 1)
            if base - self.base > MAX_SLIDE or nonce >= NONCE_END:
                return False
            self.base = base
            self.used = {one for one in self.used if one >= base}
        self.used.add(nonce)
        return True

    @property
    def word(self) -> int:
        window = sum(1 << (nonce - self.base) for nonce in self.used)
        return self.balance | self.day << 96 | self.recovering << 112 | self.base << 120 | window << 160


@dataclass
class Points:
    journal: Journal
    address: bytes
    owner: bytes
    issuer: bytes
    life: int
    limits: Limits
    guardians: Callable[[], tuple[bytes, bytes]]
    """The exchange's guardian and owner: the first may pause, both may end a pause."""
    level: int
    """What the bucket held at the second `at`; at first it is full."""
    at: int
    supply: int = 0
    next_batch: int = 1
    paused_until: int = 0
    loosened: Limits | None = None
    loosened_at: int = 0
    accounts: dict[bytes, Account] = field(default_factory=dict)
    allowances: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    receipts: dict[tuple[int, int], tuple[bytes, int, bytes]] = field(default_factory=dict)
    """Holder, amount and purchase by batch and index."""
    taken: dict[tuple[int, int], int] = field(default_factory=dict)
    recoveries: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)

    def emit(self, event: Event) -> None:
        self.journal.emit(self.address, event)

    def account(self, holder: bytes) -> Account:
        return self.accounts.setdefault(holder, Account())

    # Balances

    def has_expired(self, account: Account) -> bool:
        return account.balance > 0 and account.day + self.life < self.journal.today

    def bury(self, holder: bytes) -> None:
        """Burns what has expired."""
        account = self.account(holder)
        if self.has_expired(account):
            dead, account.balance = account.balance, 0
            self.burned(holder, dead)
            self.emit(Expired(holder, dead))

    def burned(self, holder: bytes, amount: int) -> None:
        self.supply -= amount
        self.emit(Transfer(holder, NOBODY, amount))

    def take(self, holder: bytes, amount: int) -> None:
        self.bury(holder)
        account = self.account(holder)
        if amount > account.balance:
            refuse("ERC20InsufficientBalance", sender=holder, balance=account.balance, needed=amount)
        account.balance -= amount

    def put(self, holder: bytes, amount: int) -> None:
        self.bury(holder)
        account = self.account(holder)
        if account.balance == 0:
            account.day = self.journal.today
        account.balance += amount

    def earn(self, holder: bytes, amount: int) -> None:
        self.bury(holder)
        account = self.account(holder)
        account.day = self.journal.today
        account.balance += amount
        self.emit(Transfer(NOBODY, holder, amount))

    def act(self, holder: bytes) -> None:
        """The holder itself does something: the account lives on and nobody recovers it."""
        account = self.account(holder)
        if account.recovering:
            account.recovering = False
            self.emit(RecoveryCancelled(holder))
        account.day = self.journal.today

    def balance_of(self, holder: bytes) -> int:
        account = self.account(holder)
        return 0 if self.has_expired(account) else account.balance

    def sweep(self, *, holders: Sequence[bytes]) -> None:
        for holder in holders:
            self.bury(holder)

    # ERC-20

    def transfer(self, *, to: bytes, value: int) -> None:
        self.take(self.journal.caller, value)
        self.act(self.journal.caller)
        self.moved(self.journal.caller, to, value)

    def transfer_from(self, *, from_: bytes, to: bytes, value: int) -> None:
        if from_ == NOBODY:
            refuse("ERC20InvalidSender", sender=from_)
        allowed = self.allowances.get((from_, self.journal.caller), 0)
        if allowed != UNLIMITED:
            if value > allowed:
                refuse("ERC20InsufficientAllowance", spender=self.journal.caller, allowance=allowed, needed=value)
            self.allowances[from_, self.journal.caller] = allowed - value
        self.take(from_, value)
        self.moved(from_, to, value)

    def approve(self, *, spender: bytes, value: int) -> None:
        if spender == NOBODY:
            refuse("ERC20InvalidSpender", spender=spender)
        self.bury(self.journal.caller)
        self.act(self.journal.caller)
        self.allowances[self.journal.caller, spender] = value
        self.emit(Approval(self.journal.caller, spender, value))

    def moved(self, from_: bytes, to: bytes, amount: int) -> None:
        if to == NOBODY:
            refuse("ERC20InvalidReceiver", receiver=to)
        self.put(to, amount)
        self.emit(Transfer(from_, to, amount))

    # Issuance

    def available(self) -> int:
        """What the bucket holds now."""
        return min(self.limits.bucket, self.level + self.limits.refill * (self.journal.now - self.at))

    def settle(self) -> None:
        self.level, self.at = self.available(), self.journal.now

    def bring_limits_into_force(self) -> None:
        if self.loosened is not None and self.journal.now >= self.loosened_at:
            self.settle()
            self.limits, self.loosened = self.loosened, None

    def mint(
        self,
        *,
        batch: int,
        receipts_root: bytes,
        entries: Sequence[tuple[bytes, int]],
        entries_hash: bytes,
        purchases: Sequence[bytes],
    ) -> None:
        """`purchases` are the receipts' that the root commits to, one an entry."""
        self.bring_limits_into_force()
        if self.journal.now < self.paused_until:
            refuse("Paused", until=self.paused_until)
        if batch != self.next_batch:
            refuse("BatchOutOfOrder", expected=self.next_batch, given=batch)
        if not entries:
            refuse("MalformedEntries", length=0)
        if self.journal.signer != self.issuer:
            refuse("InvalidSignature", signer=self.issuer)
        for index, (holder, amount) in enumerate(entries):
            if not 0 < amount <= self.limits.entry_cap:
                refuse("EntryOutOfBounds", index=index, amount=amount)
            if holder == NOBODY:
                refuse("ERC20InvalidReceiver", receiver=holder)
            self.earn(holder, amount)
            self.receipts[batch, index] = (holder, amount, purchases[index])
        total = sum(amount for _, amount in entries)
        available = self.available()
        if total > available:
            refuse("BucketExceeded", available=available, wanted=total)
        if self.supply + total > self.limits.supply_cap:
            refuse("SupplyCapExceeded", cap=self.limits.supply_cap, wanted=self.supply + total)
        self.supply += total
        self.level, self.at = available - total, self.journal.now
        self.next_batch += 1
        self.emit(Minted(batch, receipts_root, entries_hash, total, len(entries)))

    def credit(self, holder: bytes, amount: int) -> None:
        """The last leg of a swap."""
        self.bury(holder)
        cap = self.limits_in_force().supply_cap
        if self.supply + amount > cap:
            refuse("SupplyCapExceeded", cap=cap, wanted=self.supply + amount)
        self.earn(holder, amount)
        self.supply += amount

    def pause(self) -> None:
        guardian, _ = self.guardians()
        if self.journal.caller != guardian:
            refuse("OnlyGuardian", caller=self.journal.caller)
        self.paused_until = begun_pause(self.paused_until, self.journal.now)
        self.emit(PauseSet(self.paused_until))

    def unpause(self) -> None:
        if self.journal.caller not in self.guardians():
            refuse("OnlyGuardian", caller=self.journal.caller)
        self.paused_until = ended_pause(self.paused_until, self.journal.now)
        self.emit(PauseSet(self.paused_until))

    def clawback(self, *, batch: int, index: int, purchase: bytes, taken: int, proves: bool) -> None:
        """`proves`: whether the entries are the batch's, and the proof that of this place in its tree."""
        if self.journal.signer is None and self.journal.caller not in (self.owner, self.issuer):
            refuse("InvalidSignature", signer=self.owner)
        if self.journal.signer is not None and self.journal.signer not in (self.owner, self.issuer):
            refuse("InvalidSignature", signer=self.issuer)
        is_kept = self.next_batch - batch <= REFUND_WINDOW
        holder, amount, granted_for = self.receipts.get((batch, index), (NOBODY, 0, b""))
        if not (proves and is_kept and purchase == granted_for):
            refuse("UnknownReceipt", batch=batch, index=index)
        before = self.taken.get((batch, index), 0)
        if not before < taken <= amount:
            refuse("RefundOutOfBounds", before=before, granted=amount, taken=taken)
        self.taken[batch, index] = taken
        self.bury(holder)
        account = self.account(holder)
        burned = min(taken - before, account.balance)
        account.balance -= burned
        if burned:
            self.burned(holder, burned)
        self.emit(ClawedBack(batch, holder, purchase, index, burned, taken - before - burned))

    # The owner's terms

    def authorise_owner(self, nonce: int, deadline: int) -> None:
        if self.journal.signer is None:
            if self.journal.caller != self.owner:
                refuse("InvalidSignature", signer=self.owner)
            return
        self.authorise(self.owner, nonce, deadline)
        self.bury(self.owner)
        self.act(self.owner)

    def authorise(self, holder: bytes, nonce: int, deadline: int) -> None:
        if self.journal.now > deadline:
            refuse("IntentExpired", deadline=deadline)
        if not self.account(holder).use(nonce):
            refuse("InvalidNonce", account=holder, nonce=nonce)
        if self.journal.signer != holder:
            refuse("InvalidSignature", signer=holder)

    def set_limits(self, *, wanted: Limits, nonce: int, deadline: int) -> None:
        self.authorise_owner(nonce, deadline)
        self.bring_limits_into_force()
        self.settle()
        self.limits = Limits(*map(min, self.limits, wanted))
        self.loosened = None
        self.emit(LimitsSet(*self.limits, self.journal.now))
        if self.limits != wanted:
            self.loosened, self.loosened_at = wanted, self.journal.now + LOOSENING
            self.emit(LimitsSet(*wanted, self.loosened_at))

    def extend_life(self, *, wanted: int, nonce: int, deadline: int) -> None:
        self.authorise_owner(nonce, deadline)
        if wanted <= self.life:
            refuse("InvalidLife", current=self.life, wanted=wanted)
        self.life = wanted
        self.emit(LifeExtended(wanted))

    # Intents

    def spend(self, holder: bytes, amount: int, nonce: int, deadline: int) -> None:
        if amount == 0:
            refuse("ZeroAmount")
        self.authorise(holder, nonce, deadline)
        self.take(holder, amount)
        self.act(holder)

    def send(
        self,
        *,
        holder: bytes,
        to: bytes,
        amount: int,
        nonce: int,
        deadline: int,
    ) -> None:
        if to == NOBODY:
            refuse("ERC20InvalidReceiver", receiver=to)
        self.spend(holder, amount, nonce, deadline)
        self.moved(holder, to, amount)
        self.emit(Sent(self.journal.intent))

    def redeem(
        self,
        *,
        holder: bytes,
        amount: int,
        order: bytes,
        nonce: int,
        deadline: int,
    ) -> None:
        self.spend(holder, amount, nonce, deadline)
        self.burned(holder, amount)
        self.emit(Redeemed(self.journal.intent, holder, order, amount))

    def cancel(self, *, holder: bytes, nonce: int, deadline: int) -> None:
        self.authorise(holder, nonce, deadline)
        self.bury(holder)
        self.act(holder)
        self.emit(NonceCancelled(holder, nonce))

    def cancel_nonce(self, *, nonce: int) -> None:
        if not self.account(self.journal.caller).use(nonce):
            refuse("InvalidNonce", account=self.journal.caller, nonce=nonce)
        self.bury(self.journal.caller)
        self.act(self.journal.caller)
        self.emit(NonceCancelled(self.journal.caller, nonce))

    # Lost keys

    def recover(self, *, holder: bytes, to: bytes, nonce: int, deadline: int) -> None:
        if to in (NOBODY, holder):
            refuse("ERC20InvalidReceiver", receiver=to)
        self.authorise_owner(nonce, deadline)
        self.account(holder).recovering = True
        due = self.journal.now + RECOVERY_NOTICE
        self.recoveries[holder] = (to, due)
        self.emit(RecoveryStarted(holder, to, due))

    def finish_recovery(self, *, holder: bytes) -> None:
        account = self.account(holder)
        if not account.recovering:
            refuse("NoRecovery", holder=holder)
        to, due = self.recoveries[holder]
        if self.journal.now < due:
            refuse("RecoveryNotDue", holder=holder, due=due)
        self.bury(holder)
        account.recovering = False
        amount, account.balance = account.balance, 0
        self.moved(holder, to, amount)
        self.emit(Recovered(holder, to, amount))

    # Views

    def limits_in_force(self) -> Limits:
        if self.loosened is not None and self.journal.now >= self.loosened_at:
            return self.loosened
        return self.limits

    def pending_limits(self) -> tuple[int, ...]:
        if self.loosened is None or self.journal.now >= self.loosened_at:
            return (0, 0, 0, 0, 0)
        return (*self.loosened, self.loosened_at)

    def recovery_of(self, holder: bytes) -> tuple[bytes, int]:
        return self.recoveries[holder] if self.account(holder).recovering else (NOBODY, 0)
