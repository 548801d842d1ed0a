"""Random lives of programmes, as the logs that a chain would have emitted: for the mirror, and for the auditor."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from eth_hash.backends.pysha3 import keccak256

from contracts import bindings
from indexer import project, store
from indexer.blocks import Block, Log, stretch
from indexer.project import Known
from scripts.audit import evidence
from scripts.audit.acts import Network, acts
from scripts.audit.liability import Books
from scripts.audit.record import Record
from tests.indexer import chain as made
from tests.indexer.chain import EXCHANGE, FACTORY, Emitted, digest

DAY = 86_400
LIFE = 60
START = int(datetime(2030, 1, 10, 7, tzinfo=UTC).timestamp())
CHARITY = made.address("charity")


def created(token: bytes, life: int = LIFE) -> Emitted:
    roles = [token, made.address("owner"), made.address("issuer")]
    name = b"Grocery".ljust(32, b"\0")
    return made._log(
        FACTORY, bindings.PROGRAMME_CREATED_TOPIC, roles, "bytes32 bytes32 uint256 uint256", name, name, life, 1
    )


def quoted(token: bytes, *, bid: int, until: int, effective: int) -> Emitted:
    kinds = "uint256 uint256 uint256 uint256 uint256"
    return made._log(EXCHANGE, bindings.QUOTED_TOPIC, [token], kinds, bid, bid + 5, until, 10**9, effective)


def clawed_back(token: bytes, holder: bytes, batch: int, *, burned: int, shortfall: int) -> list[Emitted]:
    indexed: list[bytes | int] = [batch, holder, digest("purchase")]
    burn = [made.transfer(token, holder, made.NOBODY, burned)] if burned else []
    return [
        *burn,
        made._log(token, bindings.CLAWED_BACK_TOPIC, indexed, "uint256 uint256 uint256", 0, burned, shortfall),
    ]


@dataclass
class History:
    """Blocks of transactions; a balance is never overdrawn. `held` and `batches` are by programme."""

    blocks: list[tuple[Block, list[Log]]] = field(default_factory=list)
    genesis: Block = field(default_factory=lambda: Block(0, digest("genesis"), bytes(32), START - 1))
    held: dict[bytes, dict[bytes, int]] = field(default_factory=dict)
    batches: dict[bytes, list[tuple[bytes, int]]] = field(default_factory=dict)

    @property
    def tip(self) -> Block:
        return self.blocks[-1][0] if self.blocks else self.genesis

    def add(self, time: int, *transactions: Sequence[Emitted]) -> Block:
        number = self.tip.number + 1
        block = Block(number, keccak256(b"block" + number.to_bytes(8)), self.tip.hash, max(time, self.tip.time + 1))
        logs: list[Log] = []
        for index, emitted in enumerate(transactions):
            transaction = keccak256(block.hash + bytes([index]))
            for emitter, topics, data in emitted:
                logs.append(Log(number, block.hash, index, transaction, len(logs), emitter, topics, data))
        self.blocks.append((block, logs))
        return block

    def act(
        self, chance: random.Random, programmes: Sequence[bytes], holders: Sequence[bytes], at: int
    ) -> list[Emitted]:
        """One transaction of any kind, that these balances allow."""
        token, other = chance.sample(list(programmes), 2)
        held = self.held.setdefault(token, {})
        rich = [holder for holder, amount in held.items() if amount]
        value = chance.choice([1, 7, 10**6, chance.randrange(1, 10**12)])
        kind = chance.choice(
            ["mint"] * 5 + ["send", "transfer", "redeem", "expire", "swap"] * 2
            + ["claw", "recover", "give", "match", "deposit", "withdraw", "quote", "quote", "fee", "life"]
        )  # fmt: skip
        if kind in ("send", "transfer", "redeem", "expire", "recover", "swap", "give") and not rich:
            kind = "mint"
        if kind == "claw" and not self.batches.get(token):
            kind = "mint"
        if kind == "mint":
            entries = [(chance.choice(holders), chance.choice([1, 100, 12_345])) for _ in range(chance.randrange(1, 4))]
            for holder, amount in entries:
                held[holder] = held.get(holder, 0) + amount
            self.batches.setdefault(token, []).append(entries[0])
            return made.minted(token, len(self.batches[token]), entries)
        if kind in ("deposit", "withdraw"):
            return [(made.deposited if kind == "deposit" else made.withdrawn)(token, value)]
        if kind == "quote":
            return [quoted(token, bid=chance.randrange(1, 10**12), until=at + chance.choice([1, DAY, 40 * DAY, 10**9]),
                           effective=at + chance.choice([0, 0, DAY]))]  # fmt: skip
        if kind == "fee":
            return [made.fee_set(10, chance.choice(programmes))]
        if kind == "life":
            return [made.life_extended(token, LIFE + (at - START) // (100 * DAY))]
        if kind == "match":
            return [made.matched(token, CHARITY, value=value)]
        if kind == "claw":
            batch = chance.randrange(len(self.batches[token]))
            holder, granted = self.batches[token][batch]
            burned = min(granted, held.get(holder, 0))
            held[holder] = held.get(holder, 0) - burned
            return clawed_back(token, holder, batch + 1, burned=burned, shortfall=granted - burned)
        holder, to = chance.choice(rich), chance.choice(holders)
        amount = held[holder] if kind in ("expire", "recover") else chance.randrange(1, held[holder] + 1)
        held[holder] -= amount
        if kind in ("send", "transfer", "recover"):
            held[to] = held.get(to, 0) + amount
        if kind == "send":
            return made.sent(token, holder, to, amount)
        if kind == "transfer":
            return [made.transfer(token, holder, to, amount)]
        if kind == "recover":
            return made.recovered(token, holder, to, amount)
        if kind == "redeem":
            return made.redeemed(token, holder, amount)
        if kind == "expire":
            return made.expired(token, holder, amount)
        if kind == "give":
            return made.given(token, CHARITY, holder, amount=amount, value=value)
        into = self.held.setdefault(other, {})
        into[holder] = into.get(holder, 0) + amount // 2 + 1
        return made.swapped(
            token, other, holder, amount=amount, out=amount // 2 + 1, value=value, fee=chance.choice([0, value // 10])
        )

    def live(self, chance: random.Random, programmes: Sequence[bytes], *, acts: int, days: int) -> None:
        """The programmes' creation, and so many acts over so many days."""
        holders = [made.address(f"holder {number}") for number in range(8)]
        self.add(START, [created(token) for token in programmes], [made.fee_set(10, made.address("fees"))])
        self.add(START + 1, [made.deposited(token, 10**16) for token in programmes])
        at = START
        for _ in range(acts):
            at += chance.choice([1, chance.randrange(4 * days * DAY // acts)])
            count = chance.choice([0, 1, 1, 1, 2])
            time = max(at, self.tip.time + 1)
            self.add(time, *(self.act(chance, programmes, holders, time) for _ in range(count)))

    async def mirror(self, connection: store.Connection, *, finalized: Block | None = None) -> None:
        """Writes all of it, as the indexer does."""
        cursor = await store.begin(connection, made.DEPLOYED, self.genesis)
        whole = stretch([block for block, _ in self.blocks], [log for _, logs in self.blocks for log in logs])
        rows, _ = project.project(whole.logs, Known(FACTORY, EXCHANGE))
        await store.append(connection, expected_tip=cursor.tip, blocks=whole.blocks, rows=rows, finalized=finalized)

    def books(self, programme: bytes, *, block: int | None = None) -> Books:
        """The auditor's, up to a block."""
        network = Network(31337, FACTORY, EXCHANGE, b"s" * 20, 1)
        books, record = Books(programme), Record()
        for one, logs in self.blocks:
            if block is None or one.number <= block:
                proved = evidence.Block(one.number, one.hash, one.parent, one.time, bytes(32), _transactions(logs))
                books.enter(proved, acts(proved, network, record))
        assert record.findings == []
        return books


def _transactions(logs: Sequence[Log]) -> list[evidence.Transaction]:
    found: dict[int, evidence.Transaction] = {}
    for log in logs:
        one = found.setdefault(log.transaction_index, evidence.Transaction(log.transaction_index, log.transaction, []))
        one.logs.append(evidence.Log(log.index, log.address, log.topics, log.data))
    return list(found.values())
