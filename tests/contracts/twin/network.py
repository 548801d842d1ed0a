"""The whole twin: one exchange and its tokens. An act has its whole effect or none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts import bindings
from contracts.bindings import Event
from tests.contracts.twin.exchange import Exchange
from tests.contracts.twin.journal import Journal, Refused
from tests.contracts.twin.points import Points

View = tuple[str, bytes, bytes, tuple[int, ...]]
"""What is looked at, the contract, the question, and the words of the answer."""


@dataclass
class Network:
    journal: Journal
    exchange: Exchange

    @property
    def tokens(self) -> dict[bytes, Points]:
        return self.exchange.tokens

    def perform(
        self,
        contract: bytes,
        name: str,
        arguments: dict[str, Any],
        *,
        now: int,
        caller: bytes,
        signer: bytes | None,
        intent: bytes,
    ) -> list[tuple[bytes, Event]]:
        """The act's events. `Refused` leaves everything as it was."""
        before = copy.deepcopy(self.__dict__)
        self.journal.now, self.journal.caller = now, caller
        self.journal.signer, self.journal.intent = signer, intent
        self.journal.events.clear()
        place = self.exchange if contract == self.exchange.address else self.tokens[contract]
        try:
            getattr(place, name)(**arguments)
        except Refused:
            self.__dict__.update(before)
            raise
        return list(self.journal.events)

    def views(self) -> Iterator[View]:
        """All that can be asked about the state, with the answers."""
        exchange = self.exchange
        for token in self.tokens.values():
            yield from _views_of_token(token)
            yield from _views_of_programme(exchange, token.address)
        address, settlement = exchange.address, exchange.settlement
        for account, member in exchange.members.items():
            name = account.hex()
            yield f"margin {name}", address, bindings.exchange_margin_of(account=account), (member.margin,)
            yield f"nonce {name}", address, bindings.exchange_nonce_of(account=account), (member.nonce,)
            payout = int.from_bytes(exchange.payout_of(account))
            yield f"payout {name}", address, bindings.exchange_payout_of(charity=account), (payout,)
        for wallet, held in exchange.wallets.items():
            yield f"wallet {wallet.hex()}", settlement, bindings.settlement_balance_of(account=wallet), (held,)
        margins = sum(member.margin for member in exchange.members.values())
        yield "held", settlement, bindings.settlement_balance_of(account=address), (margins,)
        yield "paused", address, bindings.exchange_paused_until(), (exchange.paused_until,)
        for number, campaign in exchange.campaigns.items():
            charity, sponsor = int.from_bytes(campaign.charity), int.from_bytes(campaign.sponsor)
            what = (charity, campaign.goal, campaign.end, campaign.raised)
            yield f"campaign {number}", address, bindings.exchange_campaign_of(number=number), what
            terms = (sponsor, campaign.ratio, campaign.pool, campaign.match_until)
            yield f"match {number}", address, bindings.exchange_match_of(number=number), terms


def _views_of_token(token: Points) -> Iterator[View]:
    at, name = token.address, token.address.hex()
    yield f"supply {name}", at, bindings.points_total_supply(), (token.supply,)
    yield f"next batch {name}", at, bindings.points_next_batch(), (token.next_batch,)
    yield f"bucket {name}", at, bindings.points_bucket_available(), (token.available(),)
    yield f"limits {name}", at, bindings.points_limits(), tuple(token.limits_in_force())
    yield f"pending limits {name}", at, bindings.points_pending_limits(), token.pending_limits()
    yield f"paused {name}", at, bindings.points_paused_until(), (token.paused_until,)
    yield f"life {name}", at, bindings.points_life(), (token.life,)
    for holder, account in list(token.accounts.items()):
        who = f"{holder.hex()} in {name}"
        yield f"account {who}", at, bindings.points_account_of(holder=holder), (account.word,)
        yield f"balance {who}", at, bindings.points_balance_of(account=holder), (token.balance_of(holder),)
        to, due = token.recovery_of(holder)
        yield f"recovery {who}", at, bindings.points_recovery_of(holder=holder), (int.from_bytes(to), due)
    for (batch, index), taken in token.taken.items():
        question = bindings.points_refunded(batch=batch, index=index)
        yield f"refunded {batch}/{index} of {name}", at, question, (taken,)
    for (holder, spender), allowed in token.allowances.items():
        question = bindings.points_allowance(holder=holder, spender=spender)
        yield f"allowance {holder.hex()} {spender.hex()} in {name}", at, question, (allowed,)


def _views_of_programme(exchange: Exchange, programme: bytes) -> Iterator[View]:
    at, name = exchange.address, programme.hex()
    member = exchange.member(programme)
    now = exchange.journal.now
    yield f"quote {name}", at, bindings.exchange_quote_of(programme=programme), tuple(exchange.quote_of(programme))
    yield f"cap left {name}", at, bindings.exchange_cap_left(programme=programme), (exchange.cap_left(programme),)
    waits = member.announced is not None and now < member.announced_from
    announced = (*member.announced, member.announced_from) if member.announced and waits else (0, 0, 0, 0, 0)
    yield f"announced quote {name}", at, bindings.exchange_announced_quote(programme=programme), announced
    to, amount, due = member.withdrawal or (b"", 0, 0)
    withdrawal = (int.from_bytes(to), amount, due)
    yield f"withdrawal {name}", at, bindings.exchange_announced_withdrawal(programme=programme), withdrawal
    for other in exchange.tokens:
        if other != programme:
            question = bindings.exchange_partners(from_=programme, into=other)
            yield f"partners {name} {other.hex()}", at, question, (int(exchange.are_partners(programme, other)),)
