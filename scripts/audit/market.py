"""The exchange as its history says it is, and whether its history kept the rules of `IExchange`. Pure.

As in `programme`: every act is judged by the state before it, and after a contradiction the chain's word is taken.
Amounts are base units of points and of the settlement token; prices are settlement base units a base unit of points,
times 1e9.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from contracts import bindings
from contracts.bindings import Quote
from scripts.audit.acts import NOBODY, Act
from scripts.audit.programme import DAY, HOUR, NO_PAUSE, is_pause
from scripts.audit.record import Record

SCALE: Final = 10**9
BPS: Final = 10_000
NOTICE_OF_QUOTE: Final = 24 * HOUR
NOTICE_OF_WITHDRAWAL: Final = 7 * DAY
NOTICE_OF_PAYOUT: Final = 14 * DAY
NO_QUOTE: Final = Quote(0, 0, 0, 0)


@dataclass(slots=True)
class Member:
    """An account: a programme, a charity, or anybody who has or receives settlement tokens."""

    margin: int = 0
    spent: int = 0
    spent_on: int = 0
    nonce: int = 0
    is_charity: bool = False
    posted: Quote = NO_QUOTE
    announced: Quote = NO_QUOTE
    announced_from: int = 0
    has_announced: bool = False
    withdrawal: tuple[bytes, int, int] = (NOBODY, 0, 0)
    payout: tuple[bytes, bytes, int] = (NOBODY, NOBODY, 0)

    def in_force(self, time: int) -> Quote:
        return self.announced if self.has_announced and time >= self.announced_from else self.posted

    def paid_out_to(self, own: bytes, time: int) -> bytes:
        current, following, since = self.payout
        if since and time >= since:
            return following
        return own if current == NOBODY else current


@dataclass(slots=True)
class Campaign:
    charity: bytes
    goal: int
    end: int
    raised: int = 0
    sponsor: bytes = NOBODY
    ratio: int = 0
    pool: int = 0
    match_until: int = 0


@dataclass(slots=True)
class Market:
    """`held` is what the exchange has of the settlement token by that token's transfers; `max_fee_bps` the bound of the
    fee that is in the exchange's code."""

    record: Record
    max_fee_bps: int
    programmes: set[bytes] = field(default_factory=set)
    members: dict[bytes, Member] = field(default_factory=dict)
    consents: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    campaigns: dict[int, Campaign] = field(default_factory=dict)
    owner: bytes = NOBODY
    guardian: bytes = NOBODY
    fee_bps: int = 0
    fee_account: bytes = NOBODY
    paused_until: int = 0
    held: int = 0
    arrived: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    """Settlement tokens that reached the exchange and that no `Deposited` has claimed: transaction, sender, amount."""
    paid: tuple[bytes, bytes, int] = (b"", b"", 0)
    """The last that left it: transaction, receiver, amount."""
    due: bindings.Matched | None = None
    """What must be matched right after the last gift."""

    # --- swaps and gifts ---------------------------------------------------------------------------------------------

    def swapped(self, act: Act, event: bindings.Swapped) -> None:
        burn, mint = act.moves
        time, payer = act.time, self._member(event.from_)
        bought, sold = payer.in_force(time), self._member(event.into).in_force(time)
        held = self._held
        held("swaps", time >= self.paused_until, act, "swaps were paused")
        held("swaps", min(bought.bid, sold.ask) > 0, act, "there was no quote")
        held("swaps", time <= min(bought.until, sold.until), act, "a quote had expired")
        held("swaps", self.consents.get(_pair(event.from_, event.into)) == 3, act, "the pair was not open")
        value = burn.amount * bought.bid // SCALE
        held(
            "swaps",
            event.value == value,
            act,
            f"{burn.amount} at the bid of {bought.bid} is {value}, not {event.value}",
        )
        fee = -(-event.value * self.fee_bps // BPS)
        held("swaps", event.fee == fee, act, f"the fee of {self.fee_bps} basis points is {fee}, not {event.fee}")
        out = (event.value - event.fee) * SCALE // sold.ask if sold.ask else 0
        held("swaps", mint.amount == out, act, f"at the ask of {sold.ask} that buys {out}, not {mint.amount}")
        held("swaps", burn.from_ == mint.to, act, "one holder's points were swapped for another's")
        self._counted(act, "swaps", event.from_, bought.cap, event.value)
        self._pay(act, "swaps", event.from_, event.value)
        self._member(event.into).margin += event.value - event.fee
        if event.fee:
            self._member(self.fee_account).margin += event.fee

    def given(self, act: Act, event: bindings.Given) -> None:
        (burn,) = act.moves
        time, held = act.time, self._held
        quote = self._member(event.programme).in_force(time)
        held("gifts", quote.bid > 0 and time <= quote.until, act, "there was no quote")
        value = burn.amount * quote.bid // SCALE
        held(
            "gifts",
            event.value == value > 0,
            act,
            f"{burn.amount} at the bid of {quote.bid} is {value}, not {event.value}",
        )
        held("gifts", self._member(event.charity).is_charity, act, f"0x{event.charity.hex()} is no charity")
        self._counted(act, "gifts", event.programme, quote.cap, event.value)
        self._pay(act, "gifts", event.programme, event.value)
        self._member(event.charity).margin += event.value
        if event.campaign:
            self._raised(act, event)

    def _raised(self, act: Act, event: bindings.Given) -> None:
        campaign = self.campaigns.get(event.campaign)
        if campaign is None or campaign.charity != event.charity:
            self._held("gifts", False, act, f"campaign {event.campaign} is not this charity's")
            return
        self._held("gifts", act.time <= campaign.end, act, f"campaign {event.campaign} had ended")
        matched = 0
        if campaign.ratio and act.time <= campaign.match_until:
            margin = self._member(campaign.sponsor).margin
            matched = min(event.value * campaign.ratio // BPS, campaign.pool, margin)
        campaign.raised += event.value
        if matched:
            self.due = bindings.Matched(event.intent, event.campaign, campaign.sponsor, event.charity, matched)

    def matched(self, act: Act, event: bindings.Matched) -> None:
        wanted, self.due = self.due, None
        self._held("gifts", event == wanted, act, f"a match that no gift asks for: {event.value}")
        self._pay(act, "gifts", event.sponsor, event.value)
        self._member(event.charity).margin += event.value
        campaign = self.campaigns.get(event.campaign)
        if campaign is not None:
            campaign.pool -= event.value
            campaign.raised += event.value

    def settle(self, act: Act) -> None:
        """Before any other act: nothing stands between a gift and its match."""
        if self.due is not None:
            self.record.found("gifts", f"a gift was not matched with {self.due.value}, before this", **act.place)
            self.due = None

    # --- settlement tokens -------------------------------------------------------------------------------------------

    def settlement(self, act: Act, event: bindings.Transfer, exchange: bytes) -> None:
        """A transfer of the settlement token itself, to or from the exchange."""
        if event.from_ == exchange:
            self.held -= event.value
            self.paid = (act.transaction, event.to, event.value)
        if event.to == exchange:
            self.held += event.value
            self.arrived.append((act.transaction, event.from_, event.value))

    def deposited(self, act: Act, event: bindings.Deposited) -> None:
        arrival = (act.transaction, event.from_, event.amount)
        found = arrival in self.arrived
        if found:
            self.arrived.remove(arrival)
        self._held("margins", found, act, f"{event.amount} were credited, and did not arrive")
        self._member(event.account).margin += event.amount

    def withdrawn(self, act: Act, event: bindings.Withdrawn) -> None:
        account, member = event.account, self._member(event.account)
        paid = self.paid == (act.transaction, event.to, event.amount)
        self._held("margins", paid, act, f"{event.amount} were taken off, and not paid")
        if account in self.programmes:
            to, amount, due = member.withdrawal
            announced = due and act.time >= due and event.to == to and event.amount == min(amount, member.margin)
            self._held("margins", bool(announced), act, "a programme withdrew what it had not announced 7 days before")
            member.withdrawal = (NOBODY, 0, 0)
        else:
            if member.is_charity:
                to = member.paid_out_to(account, act.time)
                self._held("margins", event.to == to, act, f"a charity was paid out elsewhere than to 0x{to.hex()}")
            member.nonce += 1
        self._pay(act, "margins", account, event.amount)

    def withdrawal_announced(self, act: Act, event: bindings.WithdrawalAnnounced) -> None:
        ok = event.account in self.programmes and event.due == act.time + NOTICE_OF_WITHDRAWAL
        self._held("margins", ok, act, "a withdrawal with other than 7 days of notice")
        member = self._member(event.account)
        member.withdrawal = (event.to, event.amount, event.due)
        member.nonce += 1

    def payout_set(self, act: Act, event: bindings.PayoutSet) -> None:
        member = self._member(event.charity)
        ok = member.is_charity and event.effective == act.time + NOTICE_OF_PAYOUT
        self._held("terms", ok, act, "a payout address with other than 14 days of notice")
        member.payout = (member.paid_out_to(event.charity, act.time), event.payout, event.effective)
        member.nonce += 1

    # --- terms -------------------------------------------------------------------------------------------------------

    def quoted(self, act: Act, event: bindings.Quoted) -> None:
        time, member = act.time, self._member(event.programme)
        new, now = Quote(event.bid, event.ask, event.until, event.cap), member.in_force(act.time)
        valid = event.programme in self.programmes and 0 < new.bid <= new.ask and new.until > time
        self._held("terms", valid, act, "a quote needs 0 < bid <= ask and an end in the future")
        worse = new.bid < now.bid or new.ask > now.ask or new.until < now.until or new.cap < now.cap
        waits = time <= now.until and worse
        wanted = time + NOTICE_OF_QUOTE if waits else time
        self._held("terms", event.effective == wanted, act, f"a quote in force at {event.effective} and not {wanted}")
        member.posted = now if waits else new
        if waits:
            member.announced, member.announced_from = new, event.effective
        member.has_announced = waits
        member.nonce += 1

    def partner_set(self, act: Act, event: bindings.PartnerSet) -> None:
        both = {event.programme, event.partner} <= self.programmes and event.programme != event.partner
        self._held("terms", both, act, "partners are two programmes")
        pair, bit = _pair(event.programme, event.partner), 1 if event.programme < event.partner else 2
        before = self.consents.get(pair, 0)
        self.consents[pair] = before | bit if event.allowed else before & ~bit
        self._member(event.programme).nonce += 1

    def charity_registered(self, act: Act, event: bindings.CharityRegistered) -> None:
        member = self._member(event.charity)
        self._held("terms", not member.is_charity, act, "a charity was registered twice")
        member.is_charity = True

    def campaign_opened(self, act: Act, event: bindings.CampaignOpened) -> None:
        ok = event.campaign == len(self.campaigns) + 1 and self._member(event.charity).is_charity
        self._held("terms", ok and event.end > act.time, act, "a campaign out of order, of no charity, or ended")
        self.campaigns[event.campaign] = Campaign(event.charity, event.goal, event.end)

    def sponsor_named(self, act: Act, event: bindings.SponsorNamed) -> None:
        campaign = self.campaigns.get(event.campaign)
        if self._held("terms", campaign is not None, act, "a sponsor of no campaign") and campaign is not None:
            self._held("terms", event.sponsor != campaign.charity, act, "a charity sponsors itself")
            named = replace(campaign, sponsor=event.sponsor, ratio=0, pool=0, match_until=0)
            self.campaigns[event.campaign] = named

    def match_set(self, act: Act, event: bindings.MatchSet) -> None:
        campaign = self.campaigns.get(event.campaign)
        named = campaign is not None and campaign.sponsor == event.sponsor
        if self._held("terms", named, act, "a match by who is not the sponsor") and campaign is not None:
            campaign.ratio, campaign.pool, campaign.match_until = event.ratio, event.pool, event.until
        self._member(event.sponsor).nonce += 1

    def fee_set(self, act: Act, event: bindings.FeeSet) -> None:
        self._held("terms", event.fee_bps <= self.max_fee_bps, act, f"a fee above {self.max_fee_bps} basis points")
        self.fee_bps, self.fee_account = event.fee_bps, event.account

    def pause_set(self, act: Act, event: bindings.PauseSet) -> None:
        self._held("terms", is_pause(self.paused_until, event.until, act.time), act, NO_PAUSE)
        self.paused_until = event.until

    def guardian_set(self, act: Act, event: bindings.GuardianSet) -> None:
        self.guardian = event.guardian
        self._held("terms", self.owner != NOBODY, act, "a guardian without an owner")

    def ownership_transferred(self, act: Act, event: bindings.OwnershipTransferred) -> None:
        ok = event.previous == self.owner and event.current != NOBODY
        self._held("terms", ok, act, "the network passed on by who did not own it")
        self.owner = event.current

    # --- what they have in common ------------------------------------------------------------------------------------

    @property
    def margins(self) -> int:
        return sum(member.margin for member in self.members.values())

    @property
    def unasked(self) -> int:
        """Settlement tokens that were sent to the exchange without a deposit: nobody's."""
        return sum(amount for _, _, amount in self.arrived)

    def _member(self, account: bytes) -> Member:
        member = self.members.get(account)
        if member is None:
            member = self.members[account] = Member()
        return member

    def _counted(self, act: Act, check: str, account: bytes, cap: int, value: int) -> None:
        member, today = self._member(account), act.time // DAY
        spent = value + (member.spent if member.spent_on == today else 0)
        self._held(check, spent <= cap, act, f"{spent} left the margin that day, above the cap of {cap}")
        member.spent, member.spent_on = spent, today

    def _pay(self, act: Act, check: str, account: bytes, value: int) -> None:
        member = self._member(account)
        self._held(check, value <= member.margin, act, f"{value} were paid from a margin of {member.margin}")
        member.margin -= value

    def _held(self, check: str, ok: bool, act: Act, otherwise: str) -> bool:
        if ok:
            self.record.proved(check)
        else:
            self.record.found(check, f"{type(act.event).__name__}: {otherwise}", **act.place)
        return ok


def _pair(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    return (one, other) if one < other else (other, one)
