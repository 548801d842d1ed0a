"""A chain in memory, with reorganisations and finality, and what a node that sees some of it answers.

Blocks are small and their JSON is made once, so that a node's answer is a join of bytes. Everything is drawn from one
seeded generator. A `View` is what one node holds: a branch, down to one of its heights, and what is final on it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from eth_hash.backends.pysha3 import keccak256

from contracts.rpc import to_hex, to_quantity
from indexer import project
from indexer.blocks import Log
from indexer.project import Known, Rows
from tests.indexer.chain import DEPLOYED, NOTHING_KNOWN
from tests.indexer.ledger import ACTS, OPENING, Act, Ledger

GENESIS = keccak256(b"genesis of the simulated chain")
BLOOM_BITS = 2048


class SimulatedLog(NamedTuple):
    address: str
    text: bytes  # as JSON


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedBlock:
    """One block, with the ledger, and what the projection knows and made of it, at its end."""

    number: int
    hash: bytes
    header: bytes  # as JSON
    logs: list[SimulatedLog]
    ledger: Ledger
    known: Known
    rows: Rows
    mirrored: tuple[int, bytes, bytes, int]  # its row of `mirror.block`


@dataclass(frozen=True, slots=True)
class View:
    """`branch[height]` is the newest block; `final` is a height, None where the node knows of no finality."""

    branch: list[SimulatedBlock]
    height: int
    final: int | None

    def block(self, name: str) -> SimulatedBlock | None:
        if name == "latest":
            return self.branch[self.height]
        if name == "finalized":
            return None if self.final is None else self.branch[min(self.final, self.height)]
        number = int(name, 16)
        return self.branch[number] if number <= self.height else None

    def logs(self, wanted: dict[str, Any]) -> list[SimulatedLog]:
        """As a node that lags does it: of blocks that it has not, there are no logs."""
        addresses = set(wanted["address"])
        if "blockHash" in wanted:
            blocks = [block for block in self.branch[: self.height + 1] if to_hex(block.hash) == wanted["blockHash"]]
            if not blocks:
                raise LookupError("unknown block")
        else:
            last = min(int(wanted["toBlock"], 16), self.height)
            blocks = self.branch[int(wanted["fromBlock"], 16) : last + 1]
        return [log for block in blocks for log in block.logs if log.address in addresses]


@dataclass(slots=True)
class SimulatedChain:
    """`branch` is the canonical chain, by height. No reorganisation goes below `final`."""

    random: random.Random
    branch: list[SimulatedBlock] = field(default_factory=list)
    final: int = 0
    old: list[View] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        header = _header(0, GENESIS, bytes(32), 0, [])
        self.branch.append(
            SimulatedBlock(0, GENESIS, header, [], Ledger(), NOTHING_KNOWN, Rows(), (0, GENESIS, bytes(32), 0))
        )
        self.grow()

    @property
    def tip(self) -> int:
        return len(self.branch) - 1

    @property
    def view(self) -> View:
        return View(self.branch, self.tip, self.final)

    def grow(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.branch.append(self._next(self.branch[-1]))

    def reorganise(self, fork: int, blocks: int) -> int:
        """Leaves everything above block `fork` and goes on with others. Returns how many blocks left the chain."""
        if fork < self.final:
            raise ValueError(f"block {fork} is below finality")
        depth = self.tip - fork
        self.old = [*self.old[-3:], self.view]
        self.branch = self.branch[: fork + 1]
        self.grow(blocks)
        return depth

    def finalise(self, height: int) -> None:
        self.final = max(self.final, height)

    def stale(self) -> View | None:
        """What a node sees that has not noticed a reorganisation, on a branch that does not contradict finality."""
        open_ = [view for view in self.old if view.branch[self.final : self.final + 1] == [self.branch[self.final]]]
        return self.random.choice(open_) if open_ else None

    def lagging(self, least: int = 1) -> View:
        """A node behind, by a few blocks or by many, on the canonical chain."""
        behind = least if self.random.random() < 0.6 else self.random.randint(least, max(least, self.tip))
        height = max(self.tip - behind, 0)
        return View(self.branch, height, min(self.final, height))

    def _next(self, parent: SimulatedBlock) -> SimulatedBlock:
        number, ledger = parent.number + 1, parent.ledger.copy()
        self.made += 1
        name = keccak256(b"%d %b" % (self.made, parent.hash))
        transactions = [OPENING] if number == 1 else [made for act in self._acts() if (made := ledger.do(act))]
        if number == 1:
            ledger = Ledger.opened()
        logs: list[Log] = []
        for index, emitted in enumerate(transactions):
            transaction = keccak256(b"%d in %b" % (index, name))
            logs += [
                Log(number, name, index, transaction, len(logs) + place, *one) for place, one in enumerate(emitted)
            ]
        rows, known = project.project(logs, parent.known)
        header = _header(number, name, parent.hash, number, logs)
        texts = [SimulatedLog(to_hex(log.address), _log(log)) for log in logs]
        return SimulatedBlock(number, name, header, texts, ledger, known, rows, (number, name, parent.hash, number))

    def _acts(self) -> list[Act]:
        """None in a third of the blocks; programmes, charities and campaigns are rarer than what is done with them."""
        draw = self.random
        found: list[Act] = []
        for _ in range(draw.choice((0, 0, 1, 1, 2, 4))):
            kind = draw.choice(ACTS)
            if kind in ("create", "register", "open") and draw.random() < 0.7:
                kind = "mint"
            found.append((kind, draw.randrange(4), draw.randrange(4), draw.randint(1, 60)))
        return found


def _header(number: int, hash_: bytes, parent: bytes, time: int, logs: list[Log]) -> bytes:
    return msgspec.json.encode(
        {
            "number": to_quantity(number),
            "hash": to_hex(hash_),
            "parentHash": to_hex(parent),
            "timestamp": to_quantity(time),
            "logsBloom": to_hex(_bloom(logs)),
        }
    )


def _bloom(logs: list[Log]) -> bytes:
    """Three bits for each address and topic (Yellow Paper, 4.4.1)."""
    bits = 0
    for item in {item for log in logs for item in (log.address, *log.topics)}:
        hashed = keccak256(item)
        for place in (0, 2, 4):
            bits |= 1 << (int.from_bytes(hashed[place : place + 2]) % BLOOM_BITS)
    return bits.to_bytes(BLOOM_BITS // 8)


def _log(log: Log) -> bytes:
    return msgspec.json.encode(
        {
            "blockNumber": to_quantity(log.block),
            "blockHash": to_hex(log.block_hash),
            "transactionIndex": to_quantity(log.transaction_index),
            "transactionHash": to_hex(log.transaction),
            "logIndex": to_quantity(log.index),
            "address": to_hex(log.address),
            "topics": [to_hex(topic) for topic in log.topics],
            "data": to_hex(log.data),
        }
    )


CHAIN_ID = to_quantity(DEPLOYED.chain_id)
