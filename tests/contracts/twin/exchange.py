"""The twin of `Exchange`: margins, quotes with notice, consent, swaps, charities with campaigns and matches."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.bindings import (
    CampaignOpened,
    CharityRegistered,
    Deposited,
    Event,
    FeeSet,
    Given,
    GuardianSet,
    Matched,
    MatchSet,
    OwnershipTransferred,
    PartnerSet,
    PauseSet,
    PayoutSet,
    Quote,
    Quoted,
    SponsorNamed,
    Swapped,
    Transfer,
    WithdrawalAnnounced,
    Withdrawn,
)
from tests.contracts.twin.journal import DAY, HOUR, NOBODY, Journal, begun_pause, ended_pause, refuse
from tests.contracts.twin.points import Points

SCALE = 10**9
BPS = 10_000
MOST = 2**96 - 1
QUOTE_NOTICE = 24 * HOUR
WITHDRAWAL_NOTICE = 7 * DAY
PAYOUT_NOTICE = 14 * DAY
NO_QUOTE = Quote(0, 0, 0, 0)


def value_of(amount: int, quote: Quote) -> int:
    return amount * quote.bid // SCALE


def fee_of(value: int, fee_bps: int) -> int:
    return -(-value * fee_bps // BPS)


def points_for(value: int, quote: Quote) -> int:
    return value * SCALE // quote.ask


def is_worse(new: Quote, old: Quote) -> bool:
    return new.bid < old.bid or new.ask > old.ask or new.until < old.until or new.cap < old.cap


def match_of(value: int, ratio: int, pool: int, margin: int) -> int:
    return min(value * ratio // BPS, pool, margin)


@dataclass
class Member:
    margin: int = 0
    nonce: int = 0
    spent: dict[int, int] = field(default_factory=dict)
    """What left the margin by swaps and gifts, by day."""
    quote: Quote = NO_QUOTE
    announced: Quote | None = None
    announced_from: int = 0
    withdrawal: tuple[bytes, int, int] | None = None
    is_charity: bool = False
    payout: bytes | None = None
    next_payout: bytes | None = None
    next_payout_from: int = 0


@dataclass
class Campaign:
    charity: bytes
    goal: int
    end: int
    raised: int = 0
    sponsor: bytes = NOBODY
    ratio: int = 0
    pool: int = 0
    match_until: int = 0


@dataclass
class Exchange:
    journal: Journal
    address: bytes
    settlement: bytes
    owner: bytes
    max_fee_bps: int
    wallets: dict[bytes, int]
    """Settlement tokens outside the exchange, all of whose owners let it pull them."""
    guardian: bytes = NOBODY
    fee_bps: int = 0
    fee_account: bytes = NOBODY
    paused_until: int = 0
    tokens: dict[bytes, Points] = field(default_factory=dict)
    members: dict[bytes, Member] = field(default_factory=dict)
    consents: set[tuple[bytes, bytes]] = field(default_factory=set)
    campaigns: dict[int, Campaign] = field(default_factory=dict)

    def emit(self, event: Event) -> None:
        self.journal.emit(self.address, event)

    def member(self, account: bytes) -> Member:
        return self.members.setdefault(account, Member())

    def guardians(self) -> tuple[bytes, bytes]:
        return self.guardian, self.owner

    def programme_owner(self, programme: bytes) -> bytes:
        if programme not in self.tokens:
            refuse("UnknownProgramme", programme=programme)
        return self.tokens[programme].owner

    def account_owner(self, account: bytes) -> bytes:
        return self.tokens[account].owner if account in self.tokens else account

    def authorise(self, account: bytes, owner: bytes, nonce: int) -> None:
        member = self.member(account)
        if nonce != member.nonce:
            refuse("InvalidNonce", account=account, nonce=nonce)
        if (self.journal.caller if self.journal.signer is None else self.journal.signer) != owner:
            refuse("InvalidSignature", signer=owner)
        member.nonce += 1

    def only_owner(self) -> None:
        if self.journal.caller != self.owner:
            refuse("OnlyOwner", caller=self.journal.caller)

    # The network

    def set_fee(self, *, fee_bps: int, account: bytes) -> None:
        self.only_owner()
        if fee_bps > self.max_fee_bps:
            refuse("FeeTooHigh", feeBps=fee_bps, most=self.max_fee_bps)
        if fee_bps and account == NOBODY:
            refuse("ZeroAddress")
        self.fee_bps, self.fee_account = fee_bps, account
        self.emit(FeeSet(fee_bps, account))

    def transfer_ownership(self, *, to: bytes) -> None:
        self.only_owner()
        if to == NOBODY:
            refuse("ZeroAddress")
        self.owner = to
        self.emit(OwnershipTransferred(self.journal.caller, to))

    def set_guardian(self, *, account: bytes) -> None:
        self.only_owner()
        self.guardian = account
        self.emit(GuardianSet(account))

    def pause(self) -> None:
        if self.journal.caller != self.guardian:
            refuse("OnlyGuardian", caller=self.journal.caller)
        self.paused_until = begun_pause(self.paused_until, self.journal.now)
        self.emit(PauseSet(self.paused_until))

    def unpause(self) -> None:
        if self.journal.caller not in self.guardians():
            refuse("OnlyGuardian", caller=self.journal.caller)
        self.paused_until = ended_pause(self.paused_until, self.journal.now)
        self.emit(PauseSet(self.paused_until))

    # Margins

    def deposit(self, *, account: bytes, amount: int) -> None:
        if amount == 0:
            refuse("ZeroAmount")
        if account == NOBODY:
            refuse("ZeroAddress")
        held = self.wallets.get(self.journal.caller, 0)
        if amount > held:
            refuse("ERC20InsufficientBalance", sender=self.journal.caller, balance=held, needed=amount)
        self.wallets[self.journal.caller] = held - amount
        self.journal.emit(self.settlement, Transfer(self.journal.caller, self.address, amount))
        self.credit(account, amount)
        self.emit(Deposited(account, self.journal.caller, amount))

    def credit(self, account: bytes, value: int) -> None:
        member = self.member(account)
        if member.margin + value > MOST:
            refuse("MarginOverflow", margin=member.margin, value=value)
        member.margin += value

    def debit(self, account: bytes, value: int) -> None:
        member = self.member(account)
        if value > member.margin:
            refuse("MarginTooLow", account=account, margin=member.margin, wanted=value)
        member.margin -= value

    def move(self, from_: bytes, to: bytes, value: int, fee: int) -> None:
        if from_ == to:
            refuse("SameAccount", account=from_)
        self.debit(from_, value)
        self.credit(to, value - fee)
        if fee:
            self.credit(self.fee_account, fee)

    def withdraw(self, *, account: bytes, to: bytes, amount: int, nonce: int) -> None:
        if amount == 0:
            refuse("ZeroAmount")
        if to == NOBODY:
            refuse("ZeroAddress")
        self.authorise(account, self.account_owner(account), nonce)
        member = self.member(account)
        if account in self.tokens:
            due = self.journal.now + WITHDRAWAL_NOTICE
            member.withdrawal = (to, amount, due)
            self.emit(WithdrawalAnnounced(account, to, amount, due))
            return
        if member.is_charity and to != self.payout_of(account):
            refuse("NotPayout", charity=account, to=to)
        self.pay_out(account, to, amount)

    def complete_withdrawal(self, *, programme: bytes) -> None:
        member = self.member(programme)
        if member.withdrawal is None:
            refuse("NothingAnnounced", programme=programme)
        to, wanted, due = member.withdrawal
        if self.journal.now < due:
            refuse("NoticeNotOver", programme=programme, due=due)
        member.withdrawal = None
        amount = min(wanted, member.margin)
        if amount == 0:
            refuse("ZeroAmount")
        self.pay_out(programme, to, amount)

    def pay_out(self, account: bytes, to: bytes, amount: int) -> None:
        self.debit(account, amount)
        self.wallets[to] = self.wallets.get(to, 0) + amount
        self.journal.emit(self.settlement, Transfer(self.address, to, amount))
        self.emit(Withdrawn(account, to, amount))

    def set_payout(self, *, charity: bytes, payout: bytes, nonce: int) -> None:
        member = self.member(charity)
        if not member.is_charity:
            refuse("UnknownCharity", charity=charity)
        if payout == NOBODY:
            refuse("ZeroAddress")
        self.authorise(charity, charity, nonce)
        member.payout = self.payout_of(charity)
        member.next_payout, member.next_payout_from = payout, self.journal.now + PAYOUT_NOTICE
        self.emit(PayoutSet(charity, payout, member.next_payout_from))

    def payout_of(self, charity: bytes) -> bytes:
        member = self.member(charity)
        if member.next_payout is not None and self.journal.now >= member.next_payout_from:
            return member.next_payout
        return member.payout or charity

    # Terms

    def quote_of(self, programme: bytes) -> Quote:
        member = self.member(programme)
        if member.announced is not None and self.journal.now >= member.announced_from:
            return member.announced
        return member.quote

    def set_quote(self, *, programme: bytes, quote: Quote, nonce: int) -> None:
        owner = self.programme_owner(programme)
        if not (0 < quote.bid <= quote.ask and quote.until > self.journal.now):
            refuse("InvalidQuote")
        self.authorise(programme, owner, nonce)
        member = self.member(programme)
        standing = self.quote_of(programme)
        effective = self.journal.now
        if self.journal.now <= standing.until and is_worse(quote, standing):
            effective += QUOTE_NOTICE
            member.quote, member.announced, member.announced_from = standing, quote, effective
        else:
            member.quote, member.announced = quote, None
        self.emit(Quoted(programme, *quote, effective))

    def set_partner(self, *, programme: bytes, partner: bytes, allowed: bool, nonce: int) -> None:
        owner = self.programme_owner(programme)
        self.programme_owner(partner)
        if partner == programme:
            refuse("NotPartners", **{"from": programme, "into": partner})
        self.authorise(programme, owner, nonce)
        self.consents.discard((programme, partner))
        if allowed:
            self.consents.add((programme, partner))
        self.emit(PartnerSet(programme, partner, allowed))

    def are_partners(self, one: bytes, other: bytes) -> bool:
        return (one, other) in self.consents and (other, one) in self.consents

    def standing(self, programme: bytes) -> Quote:
        quote = self.quote_of(programme)
        if self.journal.now > quote.until:
            self.programme_owner(programme)
            refuse("QuoteExpired", programme=programme, until=quote.until)
        return quote

    def cap_left(self, programme: bytes) -> int:
        spent = self.member(programme).spent.get(self.journal.today, 0)
        return max(0, self.quote_of(programme).cap - spent)

    def count(self, programme: bytes, value: int) -> None:
        left = self.cap_left(programme)
        if value > left:
            refuse("DailyCapExceeded", account=programme, left=left, wanted=value)
        spent = self.member(programme).spent
        spent[self.journal.today] = spent.get(self.journal.today, 0) + value

    # Swaps and gifts

    def swap(
        self,
        *,
        from_: bytes,
        holder: bytes,
        amount: int,
        into: bytes,
        minimum: int,
        nonce: int,
        deadline: int,
    ) -> None:
        if self.journal.now < self.paused_until:
            refuse("Paused", until=self.paused_until)
        bought, sold = self.standing(from_), self.standing(into)
        if not self.are_partners(from_, into):
            refuse("NotPartners", **{"from": from_, "into": into})
        value = value_of(amount, bought)
        fee = fee_of(value, self.fee_bps)
        out = points_for(value - fee, sold)
        if out == 0:
            refuse("WorthNothing")
        if out > MOST:
            refuse("SupplyCapExceeded", cap=MOST, wanted=out)
        self.count(from_, value)
        if out < minimum:
            refuse("BelowMinimum", out=out, minimum=minimum)
        self.move(from_, into, value, fee)
        self.tokens[from_].spend(holder, amount, nonce, deadline)
        self.tokens[from_].burned(holder, amount)
        self.tokens[into].credit(holder, out)
        self.emit(Swapped(self.journal.intent, from_, into, value, fee))

    def give(
        self,
        *,
        programme: bytes,
        holder: bytes,
        amount: int,
        charity: bytes,
        campaign: int,
        nonce: int,
        deadline: int,
    ) -> None:
        value = value_of(amount, self.standing(programme))
        if value == 0:
            refuse("WorthNothing")
        if not self.member(charity).is_charity:
            refuse("UnknownCharity", charity=charity)
        self.count(programme, value)
        self.move(programme, charity, value, 0)
        self.tokens[programme].spend(holder, amount, nonce, deadline)
        self.tokens[programme].burned(holder, amount)
        self.emit(Given(self.journal.intent, programme, charity, campaign, value))
        if campaign:
            self.raise_(campaign, charity, value)

    def raise_(self, number: int, charity: bytes, value: int) -> None:
        campaign = self.campaigns.get(number)
        if campaign is None or campaign.charity != charity:
            refuse("UnknownCampaign", campaign=number)
        if self.journal.now > campaign.end:
            refuse("CampaignEnded", campaign=number, end=campaign.end)
        matched = 0
        if campaign.ratio and self.journal.now <= campaign.match_until:
            margin = self.member(campaign.sponsor).margin
            matched = match_of(value, campaign.ratio, campaign.pool, margin)
            campaign.pool -= matched
            self.move(campaign.sponsor, charity, matched, 0)
        campaign.raised += value + matched
        if matched:
            self.emit(Matched(self.journal.intent, number, campaign.sponsor, charity, matched))

    # Charities

    def register_charity(self, *, charity: bytes, name: bytes) -> None:
        self.only_owner()
        if charity == NOBODY:
            refuse("ZeroAddress")
        member = self.member(charity)
        if member.is_charity:
            refuse("AlreadyRegistered", charity=charity)
        member.is_charity = True
        self.emit(CharityRegistered(charity, name))

    def open_campaign(self, *, charity: bytes, goal: int, end: int) -> None:
        self.only_owner()
        if not self.member(charity).is_charity:
            refuse("UnknownCharity", charity=charity)
        number = len(self.campaigns) + 1
        if end <= self.journal.now:
            refuse("CampaignEnded", campaign=number, end=end)
        self.campaigns[number] = Campaign(charity, goal, end)
        self.emit(CampaignOpened(number, charity, goal, end))

    def known(self, number: int) -> Campaign:
        if number not in self.campaigns:
            refuse("UnknownCampaign", campaign=number)
        return self.campaigns[number]

    def name_sponsor(self, *, number: int, sponsor: bytes) -> None:
        self.only_owner()
        campaign = self.known(number)
        if sponsor == campaign.charity:
            refuse("InvalidMatch")
        campaign.sponsor = sponsor
        campaign.ratio = campaign.pool = campaign.match_until = 0
        self.emit(SponsorNamed(number, sponsor))

    def set_match(self, *, number: int, ratio: int, pool: int, until: int, nonce: int) -> None:
        campaign = self.known(number)
        sponsor = campaign.sponsor
        if sponsor == NOBODY:
            refuse("InvalidMatch")
        self.authorise(sponsor, self.account_owner(sponsor), nonce)
        campaign.ratio, campaign.pool, campaign.match_until = ratio, pool, until
        self.emit(MatchSet(number, sponsor, ratio, pool, until))
