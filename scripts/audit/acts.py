"""From logs to acts: each event of our contracts with the transfers that it explains. Pure.

The contracts emit an event right after the transfers that it is the reason of. So each event takes the last transfers
of its token that no other has taken, and they must be of its kind; between its mint's transfers a batch may have burned
what had expired, which `Expired` has taken before. What remains in the end was moved by a holder's own ERC-20 call. A
mint or a burn that no event explains, and an event without its transfers, contradict the contracts' code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from contracts import bindings
from contracts.abi import UndecodableLog
from scripts.audit.evidence import Block, Log, Transaction
from scripts.audit.record import Record

NOBODY: Final = bytes(20)


class Moved(msgspec.Struct, frozen=True, gc=False):
    """One transfer of points, in base units; `from_` or `to` is `NOBODY` in a mint or a burn."""

    log: int
    token: bytes
    from_: bytes
    to: bytes
    amount: int

    @property
    def is_mint(self) -> bool:
        return self.from_ == NOBODY

    @property
    def is_burn(self) -> bool:
        return self.to == NOBODY


class Act(msgspec.Struct, frozen=True, gc=False):
    """One event with the transfers that it explains, in the chain's order: the mints of a batch, the burn and the mint
    of a swap, one or none of anything else. Without an event it is one transfer by a holder's own transaction.

    `log` counts within the block. A transfer of settlement tokens to or from the exchange is an act of their token,
    with the event `Transfer`.
    """

    block: int
    time: int
    transaction_index: int
    transaction: bytes
    log: int
    emitter: bytes
    event: bindings.Event | None
    moves: tuple[Moved, ...] = ()

    @property
    def place(self) -> dict[str, int | str]:
        """For findings."""
        return {"block": self.block, "transaction": f"0x{self.transaction.hex()}", "log": self.log}


@dataclass(slots=True)
class Network:
    """Whose logs are looked at. `programmes` grows as they are created."""

    chain_id: int
    factory: bytes
    exchange: bytes
    settlement: bytes
    first_block: int
    programmes: set[bytes] = field(default_factory=set)

    @property
    def addresses(self) -> set[bytes]:
        return {self.factory, self.exchange, self.settlement, *self.programmes}


def acts(block: Block, network: Network, record: Record) -> list[Act]:
    """All acts of a block, in the order of their logs. What contradicts the contracts goes to `record`."""
    found: list[Act] = []
    for transaction in block.transactions:
        if transaction.logs:
            found += _Pairing(block, transaction, network, record).acts()
    return found


class Unexplained(Exception):
    """An event without the transfers that it must follow."""


class _Pairing:
    """One transaction. `open` holds each token's transfers that nothing has explained yet."""

    def __init__(self, block: Block, transaction: Transaction, network: Network, record: Record) -> None:
        self.block = block
        self.transaction = transaction
        self.network = network
        self.record = record
        self.open: dict[bytes, list[Moved]] = {}
        self.done: list[Act] = []

    def acts(self) -> list[Act]:
        programmes, exchange = self.network.programmes, self.network.exchange
        for log in self.transaction.logs:
            address, topics = log.address, log.topics
            if address in programmes:
                if len(topics) == 3 and topics[0] == bindings.TRANSFER_TOPIC and len(log.data) == 32:
                    self.open.setdefault(address, []).append(
                        Moved(log.index, address, topics[1][12:], topics[2][12:], int.from_bytes(log.data))
                    )
                else:
                    self._event(log, _OF_TOKEN)
            elif address == exchange:
                self._event(log, _OF_EXCHANGE)
            elif address == self.network.factory:
                self._event(log, _OF_FACTORY)
            elif address == self.network.settlement:
                self._settlement(log)
        for moves in self.open.values():
            for move in moves:
                self._unexplained(move)
        self.done.sort(key=lambda act: act.log)
        return self.done

    def _event(self, log: Log, kinds: Mapping[type[bindings.Event], Claim]) -> None:
        kind = bindings.EVENTS.get(log.topics[0]) if log.topics else None
        claim = kinds.get(kind) if kind is not None else None
        if kind is None or claim is None:
            self._contradicted(log, "emitted an event that its code cannot emit")
            return
        try:
            event = kind.from_log(log.topics, log.data)
            moves = claim(self, log.address, event)
        except UndecodableLog as error:
            self._contradicted(log, f"undecodable {error}")
            return
        except Unexplained as error:
            self._contradicted(log, f"{kind.__name__} without {error} before it")
            return
        if isinstance(event, bindings.ProgrammeCreated):
            self.network.programmes.add(event.programme)
        self._act(log.index, log.address, event, moves)

    def _settlement(self, log: Log) -> None:
        """Settlement tokens that reach or leave the exchange. The token is somebody else's, and may say more."""
        if len(log.topics) == 3 and log.topics[0] == bindings.TRANSFER_TOPIC and len(log.data) == 32:
            moved = bindings.Transfer.from_log(log.topics, log.data)
            if self.network.exchange in (moved.from_, moved.to):
                self._act(log.index, log.address, moved, ())

    def _unexplained(self, move: Moved) -> None:
        if NOBODY in (move.from_, move.to):
            what = "appear" if move.is_mint else "vanish"
            self.record.found(
                "history",
                f"{move.amount} base units of 0x{move.token.hex()} {what} and no event says why",
                **self._place(move.log),
            )
        self._act(move.log, move.token, None, (move,))

    def _act(self, log: int, emitter: bytes, event: bindings.Event | None, moves: tuple[Moved, ...]) -> None:
        block, transaction = self.block, self.transaction
        self.done.append(Act(block.number, block.time, transaction.index, transaction.hash, log, emitter, event, moves))

    def _contradicted(self, log: Log, what: str) -> None:
        self.record.found("history", f"0x{log.address.hex()}: {what}", **self._place(log.index))

    def _place(self, log: int) -> dict[str, int | str]:
        return {"block": self.block.number, "transaction": f"0x{self.transaction.hash.hex()}", "log": log}

    # --- what each kind of event explains -----------------------------------------------------------------------------

    def nothing(self, _token: bytes, _event: bindings.Event) -> tuple[Moved, ...]:
        return ()

    def _last(self, token: bytes, what: str, fits: Callable[[Moved], bool]) -> Moved:
        moves = self.open.get(token)
        if not moves or not fits(moves[-1]):
            raise Unexplained(f"{what} of 0x{token.hex()}")
        return moves.pop()

    def _burn(self, token: bytes, holder: bytes | None, amount: int | None) -> Moved:
        return self._last(
            token,
            f"the burn of {'some' if amount is None else amount}",
            lambda move: (
                move.is_burn and holder in (None, move.from_) and amount in (None, move.amount) and not move.is_mint
            ),
        )

    def minted(self, token: bytes, event: bindings.Minted) -> tuple[Moved, ...]:
        moves = self.open.get(token, [])
        start = len(moves) - event.count
        batch = tuple(moves[max(start, 0) :])
        if start < 0 or event.count == 0 or not all(move.is_mint for move in batch):
            raise Unexplained(f"its {event.count} mints of 0x{token.hex()}")
        del moves[start:]
        return batch

    def sent(self, token: bytes, _event: bindings.Sent) -> tuple[Moved, ...]:
        return (self._last(token, "a transfer between holders", lambda move: NOBODY not in (move.from_, move.to)),)

    def redeemed(self, token: bytes, event: bindings.Redeemed) -> tuple[Moved, ...]:
        return (self._burn(token, event.holder, event.amount),)

    def expired(self, token: bytes, event: bindings.Expired) -> tuple[Moved, ...]:
        return (self._burn(token, event.holder, event.amount),)

    def clawed_back(self, token: bytes, event: bindings.ClawedBack) -> tuple[Moved, ...]:
        return (self._burn(token, event.holder, event.burned),) if event.burned else ()

    def recovered(self, token: bytes, event: bindings.Recovered) -> tuple[Moved, ...]:
        wanted = (event.holder, event.to, event.amount)
        fits = "the move of what is recovered"
        return (self._last(token, fits, lambda move: (move.from_, move.to, move.amount) == wanted),)

    def swapped(self, _exchange: bytes, event: bindings.Swapped) -> tuple[Moved, ...]:
        mint = self._last(event.into, "a mint", lambda move: move.is_mint and not move.is_burn)
        return (self._burn(event.from_, mint.to, None), mint)

    def given(self, _exchange: bytes, event: bindings.Given) -> tuple[Moved, ...]:
        return (self._burn(event.programme, None, None),)


Claim = Callable[[_Pairing, bytes, "bindings.Event"], tuple[Moved, ...]]

_OF_TOKEN: Final[dict[type[bindings.Event], Claim]] = {
    bindings.Minted: _Pairing.minted,  # type: ignore[dict-item]
    bindings.Sent: _Pairing.sent,  # type: ignore[dict-item]
    bindings.Redeemed: _Pairing.redeemed,  # type: ignore[dict-item]
    bindings.Expired: _Pairing.expired,  # type: ignore[dict-item]
    bindings.ClawedBack: _Pairing.clawed_back,  # type: ignore[dict-item]
    bindings.Recovered: _Pairing.recovered,  # type: ignore[dict-item]
    **dict.fromkeys(
        (
            *(bindings.Approval, bindings.NonceCancelled, bindings.LimitsSet, bindings.LifeExtended),
            *(bindings.PauseSet, bindings.RecoveryStarted, bindings.RecoveryCancelled),
        ),
        _Pairing.nothing,
    ),
}

_OF_EXCHANGE: Final[dict[type[bindings.Event], Claim]] = {
    bindings.Swapped: _Pairing.swapped,  # type: ignore[dict-item]
    bindings.Given: _Pairing.given,  # type: ignore[dict-item]
    **dict.fromkeys(
        (
            *(bindings.Matched, bindings.Quoted, bindings.PartnerSet, bindings.Deposited, bindings.Withdrawn),
            *(bindings.WithdrawalAnnounced, bindings.PayoutSet, bindings.SponsorNamed, bindings.MatchSet),
            *(bindings.GuardianSet, bindings.PauseSet, bindings.CharityRegistered, bindings.CampaignOpened),
            *(bindings.FeeSet, bindings.OwnershipTransferred),
        ),
        _Pairing.nothing,
    ),
}

_OF_FACTORY: Final[dict[type[bindings.Event], Claim]] = {bindings.ProgrammeCreated: _Pairing.nothing}
