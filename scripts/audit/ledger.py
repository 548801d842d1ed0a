"""The whole network replayed: which rule judges which act, and what must hold once all are judged. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts import bindings
from contracts.bindings import Limits
from scripts.audit.acts import Act, Network
from scripts.audit.market import Market
from scripts.audit.programme import Programme
from scripts.audit.record import Record


@dataclass(slots=True)
class Ledger:
    """`limits` are those at creation, by programme: no event says them. They must be known before the programme's first
    act."""

    network: Network
    record: Record
    market: Market
    programmes: dict[bytes, Programme] = field(default_factory=dict)
    limits: dict[bytes, Limits] = field(default_factory=dict)
    intents: set[bytes] = field(default_factory=set)

    @classmethod
    def begun(cls, network: Network, record: Record, *, max_fee_bps: int) -> Ledger:
        return cls(network, record, Market(record, max_fee_bps))

    def apply(self, acts: Iterable[Act]) -> None:
        """Judges acts, which follow those that were judged before."""
        for act in acts:
            if not isinstance(act.event, bindings.Matched):
                self.market.settle(act)
            if act.emitter == self.network.exchange:
                self._of_exchange(act)
            elif act.emitter == self.network.factory:
                self._created(act)
            elif act.emitter == self.network.settlement:
                if isinstance(act.event, bindings.Transfer):
                    self.market.settlement(act, act.event, self.network.exchange)
            else:
                self._of_token(act, self.programmes[act.emitter])

    def close(self) -> None:
        """What must hold at the end of any block."""
        for programme in self.programmes.values():
            total = sum(holding.balance for holding in programme.holdings.values())
            if total == programme.supply and programme.supply >= 0:
                self.record.proved("supply")
            else:
                self.record.found(
                    "supply",
                    f"balances sum to {total}, and minted - burned is {programme.supply}",
                    programme=f"0x{programme.address.hex()}",
                )
        market = self.market
        if market.margins + market.unasked == market.held:
            self.record.proved("margins")
        else:
            self.record.found("margins", f"margins sum to {market.margins}, and the exchange holds {market.held}")

    def _created(self, act: Act) -> None:
        event = act.event
        if not isinstance(event, bindings.ProgrammeCreated):
            return
        if event.programme in self.programmes:
            self.record.found("terms", f"0x{event.programme.hex()} was created twice", **act.place)
            return
        limits = self.limits.get(event.programme)
        if limits is None:
            self.record.doubted(
                "issuance",
                "the limits of this programme's creation are not in the calldata of its transaction: its issuance "
                "cannot be judged",
                programme=f"0x{event.programme.hex()}",
                **act.place,
            )
        self.programmes[event.programme] = Programme.begun(act, event, limits, self.record)
        self.market.programmes.add(event.programme)
        self.record.proved("terms")

    def _of_token(self, act: Act, programme: Programme) -> None:
        match act.event:
            case None:
                [move] = act.moves
                if move.is_mint or move.is_burn:
                    return  # a contradiction, recorded when it was found; the sum of the balances will show it too
                programme.moved(act, move, acted=False)
            case bindings.Minted() as event:
                programme.minted(act, event)
            case bindings.Sent() as event:
                self._once(act, event.intent, "supply")
                programme.moved(act, act.moves[0], acted=True)
            case bindings.Redeemed() as event:
                self._once(act, event.intent, "refunds")
                programme.burned(act, act.moves[0], acted=True)
            case bindings.Expired() as event:
                programme.expired(act, event)
            case bindings.ClawedBack() as event:
                programme.clawed_back(act, event)
            case bindings.RecoveryStarted() as event:
                programme.recovery_started(act, event)
            case bindings.RecoveryCancelled() as event:
                programme.recovery_cancelled(act, event)
            case bindings.Recovered() as event:
                programme.recovered(act, event)
            case bindings.LimitsSet() as event:
                programme.limits_set(act, event)
            case bindings.LifeExtended() as event:
                programme.life_extended(act, event)
            case bindings.PauseSet() as event:
                programme.pause_set(act, event)
            case bindings.NonceCancelled() as event:
                programme.acted(act, event.holder)
            case bindings.Approval() as event:
                programme.acted(act, event.owner)

    def _of_exchange(self, act: Act) -> None:
        market, event = self.market, act.event
        match event:
            case bindings.Swapped():
                self._once(act, event.intent, "swaps")
                self.programmes[event.from_].burned(act, act.moves[0], acted=True)
                self.programmes[event.into].credited(act, act.moves[1])
                market.swapped(act, event)
            case bindings.Given():
                self._once(act, event.intent, "gifts")
                self.programmes[event.programme].burned(act, act.moves[0], acted=True)
                market.given(act, event)
            case bindings.Matched():
                market.matched(act, event)
            case bindings.Deposited():
                market.deposited(act, event)
            case bindings.Withdrawn():
                market.withdrawn(act, event)
            case bindings.WithdrawalAnnounced():
                market.withdrawal_announced(act, event)
            case bindings.PayoutSet():
                market.payout_set(act, event)
            case bindings.Quoted():
                market.quoted(act, event)
            case bindings.PartnerSet():
                market.partner_set(act, event)
            case bindings.CharityRegistered():
                market.charity_registered(act, event)
            case bindings.CampaignOpened():
                market.campaign_opened(act, event)
            case bindings.SponsorNamed():
                market.sponsor_named(act, event)
            case bindings.MatchSet():
                market.match_set(act, event)
            case bindings.FeeSet():
                market.fee_set(act, event)
            case bindings.PauseSet():
                market.pause_set(act, event)
            case bindings.GuardianSet():
                market.guardian_set(act, event)
            case bindings.OwnershipTransferred():
                market.ownership_transferred(act, event)

    def _once(self, act: Act, intent: bytes, check: str) -> None:
        if intent in self.intents:
            self.record.found(check, f"intent 0x{intent.hex()} took effect a second time", **act.place)
        self.intents.add(intent)
