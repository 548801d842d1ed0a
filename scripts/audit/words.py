"""The storage words that the contracts must have if the replayed history is right. Pure.

Where each variable is says `contracts/layout.py`, and `contracts/src/types` how it is packed. Two parts of a holder's
word are not predicted: nonces, which no log says, and a day of last activity that is known within bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import layout
from contracts.bindings import Limits, Quote
from scripts.audit.ledger import Ledger
from scripts.audit.market import Campaign, Market, Member
from scripts.audit.programme import Holding, Programme

WHOLE: Final = 2**256 - 1
BALANCE_AND_FLAG: Final = 2**96 - 1 | 1 << 112


class Word(msgspec.Struct, frozen=True, gc=False):
    """`value` is what `mask` lets of the word at `slot` must be. `days` are the bounds of a holder's last activity.
    `many`: one of so many that a sample may do without it."""

    contract: bytes
    slot: int
    what: str
    value: int
    mask: int = WHOLE
    days: tuple[int, int] | None = None
    many: bool = False

    def contradicts(self, found: int) -> bool:
        if found & self.mask != self.value & self.mask:
            return True
        day = found >> 96 & 0xFFFF
        return self.days is not None and not self.days[0] <= day <= self.days[1]


def expected(ledger: Ledger) -> Iterator[Word]:
    """Every word that the history determines."""
    network = ledger.network
    for address, programme in ledger.programmes.items():
        yield Word(network.factory, layout.at(layout.IS_PROGRAMME, address), f"isProgramme of 0x{address.hex()}", 1)
        yield from _of_token(programme)
    yield from _of_exchange(ledger.market, network.exchange)


def _of_token(programme: Programme) -> Iterator[Word]:
    token, terms, bucket = programme.address, programme.terms, programme.bucket
    low = programme.supply
    if terms.limits is None:
        yield Word(
            token,
            layout.ISSUANCE,
            "supply and next batch",
            low | programme.next_batch << 224,
            2**96 - 1 | 2**32 - 1 << 224,
        )
    else:
        issuance = low | bucket.level << 96 | (bucket.at & 0xFFFFFFFF) << 192 | programme.next_batch << 224
        yield Word(token, layout.ISSUANCE, "supply, bucket and next batch", issuance)
        first, second = _limits(terms.limits)
        yield Word(token, layout.BOUNDS, "limits", first | terms.life << 192 | terms.loosened_at << 208)
        yield Word(token, layout.BOUNDS + 1, "limits and pause", second | terms.paused_until << 192)
    for place, word in enumerate(_limits(terms.loosened)):
        yield Word(token, layout.LOOSENED + place, "looser limits announced", word)
    for holder, holding in programme.holdings.items():
        yield _holding(token, holder, holding, recovering=holder in programme.recovering)
    for holder, (to, due) in programme.recoveries.items():
        what = f"recovery of 0x{holder.hex()}"
        yield Word(token, layout.at(layout.RECOVERIES, holder), what, int.from_bytes(to) | due << 160)
    for number in range(max(1, programme.next_batch - layout.RING), programme.next_batch):
        batch = programme.batches.get(number)
        if batch is not None:
            kept = keccak(number.to_bytes(32) + batch.root + batch.entries_hash)
            slot = layout.batch(number)
            yield Word(token, slot, f"commitment of batch {number}", int.from_bytes(kept), many=True)
    for (number, index), taken in programme.refunded.items():
        slot = layout.at(layout.at(layout.REFUNDED, number), index)
        yield Word(token, slot, f"refunded of entry {index} of batch {number}", taken, many=True)


def _holding(token: bytes, holder: bytes, holding: Holding, *, recovering: bool) -> Word:
    return Word(
        *(token, layout.holding(holder), f"account of 0x{holder.hex()}"),
        value=holding.balance | recovering << 112,
        mask=BALANCE_AND_FLAG,
        days=(holding.earliest, holding.latest),
        many=True,
    )


def _of_exchange(market: Market, exchange: bytes) -> Iterator[Word]:
    def word(slot: int, what: str, value: int) -> Word:
        return Word(exchange, slot, what, value)

    yield word(layout.OWNER, "owner", int.from_bytes(market.owner))
    yield word(layout.GUARDIAN, "guardian", int.from_bytes(market.guardian))
    fee = int.from_bytes(market.fee_account) | market.fee_bps << 160 | market.paused_until << 176
    yield word(layout.FEE, "fee and pause", fee)
    for account, member in market.members.items():
        yield from _member(exchange, account, member)
    for (one, other), consent in market.consents.items():
        for first, second in ((one, other), (other, one)):
            slot = layout.at(layout.at(layout.CONSENTS, first), second)
            yield word(slot, f"consent of 0x{first.hex()} and 0x{second.hex()}", consent)
    yield word(layout.CAMPAIGNS, "number of campaigns", len(market.campaigns))
    for number, campaign in market.campaigns.items():
        for place, value in enumerate(_campaign(campaign)):
            yield word(layout.at(layout.CAMPAIGN, number) + place, f"campaign {number}", value)


def _member(exchange: bytes, account: bytes, member: Member) -> Iterator[Word]:
    name = f"0x{account.hex()}"
    position = member.margin | member.spent << 96 | (member.spent_on & 0xFFFF) << 184 | member.nonce << 200
    position |= member.is_charity << 248 | member.has_announced << 249
    slot = layout.at(layout.MEMBERS, account)
    yield Word(exchange, slot, f"margin and nonce of {name}", position)
    yield Word(exchange, slot + 1, f"quote of {name}", _quote(member.posted))
    announced = layout.at(layout.ANNOUNCED, account)
    yield Word(exchange, announced, f"quote announced of {name}", _quote(member.announced))
    yield Word(exchange, announced + 1, f"when the quote of {name} comes", member.announced_from)
    to, amount, due = member.withdrawal
    withdrawal = layout.at(layout.WITHDRAWALS, account)
    yield Word(exchange, withdrawal, f"withdrawal of {name}", int.from_bytes(to) | amount << 160)
    yield Word(exchange, withdrawal + 1, f"when {name} withdraws", due)
    current, following, since = member.payout
    payout = layout.at(layout.PAYOUTS, account)
    yield Word(exchange, payout, f"payout of {name}", int.from_bytes(current))
    yield Word(exchange, payout + 1, f"next payout of {name}", int.from_bytes(following) | since << 160)


def _campaign(campaign: Campaign) -> tuple[int, int, int]:
    return (
        int.from_bytes(campaign.charity) | campaign.end << 160 | campaign.match_until << 200,
        campaign.goal | campaign.raised << 96 | campaign.ratio << 192,
        int.from_bytes(campaign.sponsor) | campaign.pool << 160,
    )


def _limits(limits: Limits) -> tuple[int, int]:
    return limits.supply_cap | limits.entry_cap << 96, limits.bucket | limits.refill << 96


def _quote(quote: Quote) -> int:
    return quote.cap << 168 | quote.until << 128 | quote.ask << 64 | quote.bid
