"""A chain made by hand: logs encoded by the events' ABI, in blocks that are linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from eth_abi.abi import encode
from eth_hash.backends.pysha3 import keccak256

from contracts import bindings
from indexer.blocks import Block, Log, Stretch, stretch
from indexer.project import Known
from indexer.store import Deployed

NOBODY = bytes(20)


def address(name: str) -> bytes:
    return keccak256(name.encode())[:20]


def digest(name: str) -> bytes:
    return keccak256(b"digest " + name.encode())


FACTORY, EXCHANGE = address("factory"), address("exchange")
A, B = address("programme A"), address("programme B")
DEPLOYED = Deployed(31337, FACTORY, EXCHANGE, 1)
NOTHING_KNOWN = Known(FACTORY, EXCHANGE)
BOTH = Known(FACTORY, EXCHANGE, frozenset({A, B}), address("fees"))

Emitted = tuple[bytes, list[bytes], bytes]
"""Emitter, topics, data."""


def _word(value: bytes | int) -> bytes:
    return value.to_bytes(32) if isinstance(value, int) else value.rjust(32, b"\0")


def _log(emitter: bytes, topic: bytes, indexed: Sequence[bytes | int], kinds: str = "", *values: object) -> Emitted:
    return emitter, [topic, *map(_word, indexed)], encode(kinds.split(), values)


def created(token: bytes, *, name: bytes = b"Grocery", symbol: bytes = b"GRO") -> Emitted:
    roles = [token, address("owner"), address("issuer")]
    kinds = "bytes32 bytes32 uint256 uint256"
    values = (name.ljust(32, b"\0"), symbol, 730, 2**96 - 1)
    return _log(FACTORY, bindings.PROGRAMME_CREATED_TOPIC, roles, kinds, *values)


def transfer(token: bytes, from_: bytes, to: bytes, amount: int) -> Emitted:
    return _log(token, bindings.TRANSFER_TOPIC, [from_, to], "uint256", amount)


def minted(token: bytes, number: int, entries: Sequence[tuple[bytes, int]]) -> list[Emitted]:
    """A batch: its transfers and its `Minted`."""
    total = sum(amount for _, amount in entries)
    kinds = "bytes32 bytes32 uint256 uint256"
    return [
        *(transfer(token, NOBODY, holder, amount) for holder, amount in entries),
        _log(token, bindings.MINTED_TOPIC, [number], kinds, digest("root"), digest("hash"), total, len(entries)),
    ]


def sent(token: bytes, from_: bytes, to: bytes, amount: int) -> list[Emitted]:
    return [
        transfer(token, from_, to, amount),
        _log(token, bindings.SENT_TOPIC, [digest("send")], ""),
    ]


def redeemed(token: bytes, holder: bytes, amount: int) -> list[Emitted]:
    return [
        transfer(token, holder, NOBODY, amount),
        _log(token, bindings.REDEEMED_TOPIC, [digest("redeem"), holder, digest("order")], "uint256", amount),
    ]


def swapped(
    from_: bytes, into: bytes, holder: bytes, *, amount: int, out: int, value: int, fee: int = 0
) -> list[Emitted]:
    indexed = [digest("swap"), from_, into]
    return [
        transfer(from_, holder, NOBODY, amount),
        transfer(into, NOBODY, holder, out),
        _log(EXCHANGE, bindings.SWAPPED_TOPIC, indexed, "uint256 uint256", value, fee),
    ]


def given(token: bytes, charity: bytes, holder: bytes, *, amount: int, value: int, campaign: int = 0) -> list[Emitted]:
    indexed = [digest("give"), token, charity]
    return [
        transfer(token, holder, NOBODY, amount),
        _log(EXCHANGE, bindings.GIVEN_TOPIC, indexed, "uint256 uint256", campaign, value),
    ]


def matched(sponsor: bytes, charity: bytes, *, value: int, campaign: int = 1) -> Emitted:
    indexed: list[bytes | int] = [digest("give"), campaign, sponsor]
    return _log(EXCHANGE, bindings.MATCHED_TOPIC, indexed, "address uint256", charity, value)


def expired(token: bytes, holder: bytes, amount: int) -> list[Emitted]:
    return [transfer(token, holder, NOBODY, amount), _log(token, bindings.EXPIRED_TOPIC, [holder], "uint256", amount)]


def clawed_back(token: bytes, holder: bytes, *, burned: int, shortfall: int) -> list[Emitted]:
    indexed: list[bytes | int] = [4, holder, digest("purchase")]
    burn = [transfer(token, holder, NOBODY, burned)] if burned else []
    return [*burn, _log(token, bindings.CLAWED_BACK_TOPIC, indexed, "uint256 uint256 uint256", 9, burned, shortfall)]


def recovered(token: bytes, holder: bytes, to: bytes, amount: int) -> list[Emitted]:
    return [
        transfer(token, holder, to, amount),
        _log(token, bindings.RECOVERED_TOPIC, [holder, to], "uint256", amount),
    ]


def life_extended(token: bytes, days: int) -> Emitted:
    return _log(token, bindings.LIFE_EXTENDED_TOPIC, [], "uint256", days)


def deposited(account: bytes, amount: int) -> Emitted:
    return _log(EXCHANGE, bindings.DEPOSITED_TOPIC, [account, address("payer")], "uint256", amount)


def withdrawn(account: bytes, amount: int) -> Emitted:
    return _log(EXCHANGE, bindings.WITHDRAWN_TOPIC, [account, address("payee")], "uint256", amount)


def fee_set(bps: int, account: bytes) -> Emitted:
    return _log(EXCHANGE, bindings.FEE_SET_TOPIC, [account], "uint256", bps)


def quoted(programme: bytes, *, bid: int, ask: int) -> Emitted:
    kinds = "uint256 uint256 uint256 uint256 uint256"
    return _log(EXCHANGE, bindings.QUOTED_TOPIC, [programme], kinds, bid, ask, 2_000_000_000, 10**9, 1_700_000_000)


def partnered(programme: bytes, partner: bytes, allowed: bool) -> Emitted:
    return _log(EXCHANGE, bindings.PARTNER_SET_TOPIC, [programme, partner], "bool", allowed)


def registered(charity: bytes, name: bytes) -> Emitted:
    return _log(EXCHANGE, bindings.CHARITY_REGISTERED_TOPIC, [charity], "bytes32", name)


def opened(number: int, charity: bytes) -> Emitted:
    return _log(EXCHANGE, bindings.CAMPAIGN_OPENED_TOPIC, [number, charity], "uint256 uint256", 10**6, 2_000_000_000)


@dataclass
class Chain:
    """Linked blocks; `fork` goes on from an older one. Blocks of different salts have different hashes."""

    salt: str = ""
    stretches: list[Stretch] = field(default_factory=list)
    genesis: Block = field(default_factory=lambda: Block(0, digest("genesis"), bytes(32), 1_700_000_000))

    @property
    def tip(self) -> Block:
        return self.stretches[-1].last if self.stretches else self.genesis

    def add(self, *transactions: Sequence[Emitted]) -> Stretch:
        """One more block, with these transactions."""
        number = self.tip.number + 1
        name = f"{self.salt} {number} {self.tip.hash.hex()}"
        block = Block(number, digest(name), self.tip.hash, self.genesis.time + number)
        logs: list[Log] = []
        for index, emitted in enumerate(transactions):
            for emitter, topics, data in emitted:
                transaction = digest(f"{name} {index}")
                logs.append(Log(number, block.hash, index, transaction, len(logs), emitter, topics, data))
        self.stretches.append(stretch([block], logs))
        return self.stretches[-1]

    def fork(self, number: int, salt: str) -> Chain:
        """The chain up to block `number`, to go on otherwise."""
        return Chain(salt, [one for one in self.stretches if one.last.number <= number], self.genesis)
