"""Random lives of a network on a real node, as the contracts' twin draws them, in the auditor's own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from contracts import bindings
from contracts.bindings import Limits
from scripts.audit import code
from scripts.audit.acts import Network, acts
from scripts.audit.evidence import Block, Log, Transaction
from scripts.audit.ledger import Ledger
from scripts.audit.record import Record
from tests.contracts.node import NodeChain, world_with_passkeys
from tests.contracts.test_twin import Arena
from tests.contracts.twin.chain import Contracts
from tests.contracts.twin.opening import EVERYBODY, created, opening
from tests.contracts.twin.steps import Steps
from tests.contracts.world import MAX_FEE_BPS, World


@dataclass
class Life:
    """What happened in a network, block by block, and with which limits its programmes began."""

    network: Network
    blocks: list[Block]
    limits: dict[bytes, Limits]

    def judged(self, blocks: list[Block] | None = None) -> Ledger:
        """A ledger that has judged these blocks, or others in their place."""
        known = self.network
        network = Network(known.chain_id, known.factory, known.exchange, known.settlement, known.first_block)
        ledger = Ledger.begun(network, Record(), max_fee_bps=MAX_FEE_BPS)
        ledger.limits = self.limits
        for block in self.blocks if blocks is None else blocks:
            ledger.apply(acts(block, network, ledger.record))
        ledger.close()
        return ledger


@dataclass
class Lives:
    world: World
    arena: Arena

    @property
    def chain(self) -> NodeChain:
        assert isinstance(self.world.chain, NodeChain)
        return self.world.chain

    @classmethod
    @contextmanager
    def on_a_node(cls) -> Iterator[Lives]:
        with world_with_passkeys() as world:
            assert isinstance(world.chain, NodeChain)
            start = created(world)
            with Contracts.at(world.chain.url) as contracts:
                contracts.remember([*(one.address for one in EVERYBODY), *start.tokens])
                arena = Arena(contracts, start, world.chain.id)
                for act in opening(start):
                    arena.both(start, act)
                contracts.remember([])
                yield cls(world, arena)

    def live(self, seed: str, steps: int) -> Life:
        """Another life of so many steps, from the same beginning. It stays on the node until the next."""
        twin = self.arena.begin()
        drawn = Steps(twin, seed)
        for _ in range(steps):
            self.arena.both(twin, drawn.next())
        world = self.world
        network = Network(self.chain.id, world.factory, world.exchange, world.settlement, 0)
        blocks = list(self.blocks())
        return Life(network, blocks, dict(self._limits(blocks, network)))

    def _limits(self, blocks: list[Block], network: Network) -> Iterator[tuple[bytes, Limits]]:
        for block in blocks:
            for act in acts(block, network, Record()):
                if isinstance(act.event, bindings.ProgrammeCreated):
                    transaction = self.chain.web3.eth.get_transaction(act.transaction)  # type: ignore[arg-type]
                    made = code.limits_at_creation(network, act.event.programme, bytes(transaction["input"]))
                    assert made is not None
                    yield act.event.programme, made

    def blocks(self) -> Iterator[Block]:
        """All blocks with logs, as the node tells them: nothing is proved here."""
        web3 = self.chain.web3
        found: dict[int, dict[tuple[int, bytes], list[Log]]] = {}
        for log in web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"}):
            place = (log["transactionIndex"], bytes(log["transactionHash"]))
            topics = [bytes(topic) for topic in log["topics"]]
            address = bytes.fromhex(log["address"][2:])
            those = found.setdefault(log["blockNumber"], {}).setdefault(place, [])
            those.append(Log(log["logIndex"], address, topics, bytes(log["data"])))
        for number, transactions in sorted(found.items()):
            time = web3.eth.get_block(number)["timestamp"]
            told = [Transaction(index, hash_, logs) for (index, hash_), logs in sorted(transactions.items())]
            yield Block(number, b"", b"", time, b"", told)
