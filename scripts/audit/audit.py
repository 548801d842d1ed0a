"""An audit from its beginning to its end, and on from there: what is asked of the nodes, and in which order.

The history is replayed from the deployment to the trusted block while it is proved; every stretch of it is compared
with SQL as it goes by. Then the state of that block is proved to be what the history says, and accepted purchases are
looked up in it. The same audit can be advanced to a later block.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec
import psycopg
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings
from contracts.errors import ChainError
from contracts.rpc import from_hex, to_hex, to_quantity
from scripts.audit import acts, chain, code, mirror, purchases, state, verify
from scripts.audit.acts import Act, Network
from scripts.audit.chain import Anchor
from scripts.audit.code import Immutables, OtherCode
from scripts.audit.evidence import Node
from scripts.audit.ledger import Ledger
from scripts.audit.market import BPS
from scripts.audit.options import Options, Progress, Step
from scripts.audit.promises import Kept
from scripts.audit.record import Record

CLOSE: Final = 2
"""Blocks: an audit that took longer than the chain took for these goes on to the newest final block, because nodes that
keep little history prove the state of recent blocks only."""

STALE: Final = 3_600
"""Seconds. Ethereum's final blocks are some 15 minutes old."""


class Audit:
    """One network, replayed up to block `next - 1`, whose hash is `tip`."""

    def __init__(
        self,
        options: Options,
        nodes: Sequence[Node],
        progress: Progress,
        clock: Callable[[], float] = time.time,
    ) -> None:
        deployed = options.deployment
        self.options = options
        self.nodes = nodes
        self.progress = progress
        self.clock = clock
        self.record = Record()
        self.network = Network(
            deployed.chain_id, deployed.factory, deployed.exchange, deployed.settlement, deployed.first_block
        )
        self.mirror = mirror.Mirror(self.network, self.record)
        self.mirrored = False
        self.next = deployed.first_block - 1  # the mirror begins with it, and nothing of ours is in it
        self.tip: bytes | None = None
        self.ledger: Ledger | None = None
        self.kept: Kept | None = None
        self.shared: Immutables | None = None
        self.logs = self.purchases = 0
        named = msgspec.structs.asdict(deployed)
        self.record.inputs["chain_id"] = deployed.chain_id
        self.record.inputs["deployment"] = {
            name: to_hex(value) if isinstance(value, bytes) else value for name, value in named.items()
        }

    @property
    def node(self) -> Node:
        return self.nodes[0]

    async def advance(self) -> Anchor:
        """Audits up to the trusted block. Raises `NoAnchor` and `ChainError` when there is none to begin with."""
        anchor = await chain.anchor(self.nodes, self.options.block)
        if anchor.number < self.options.deployment.first_block:
            raise chain.NoAnchor(
                f"Block {anchor.number} is older than the network, which begins with block"
                f" {self.options.deployment.first_block}: wait until more is final, or name a later one with --block."
            )
        if self.ledger is None:
            self.shared = await self._exchange(anchor)
            self.ledger = Ledger.begun(
                self.network, self.record, max_fee_bps=self.shared.max_fee_bps if self.shared else BPS
            )
        while True:
            async with self._database() as database:
                whole = await self._replay(self.ledger, anchor)
                newest = anchor if self.options.block else await chain.anchor(self.nodes, None)
                if not whole or newest.number - anchor.number <= CLOSE:
                    await self._conclude(self.ledger, anchor, database, whole=whole)
                    return anchor
            anchor = newest

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[mirror.Connection | None]:
        """One moment of the database, to which the mirror is held from here on."""
        if self.options.database is None:
            yield None
            return
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(mirror.snapshot(self.options.database))
                self.mirrored = await self.mirror.begin(connection)
            except psycopg.OperationalError as error:
                self.mirrored = False
                self.record.doubted("mirror", f"the database cannot be read: {error}".strip())
                yield None
                return
            yield connection

    async def _conclude(
        self, ledger: Ledger, anchor: Anchor, database: mirror.Connection | None, *, whole: bool
    ) -> None:
        """What is judged at the end: the state first, which nodes that prune have for a short time only."""
        self.record.inputs["anchor"] = {"number": anchor.number, "hash": to_hex(anchor.hash), "time": anchor.time}
        if not whole:
            return
        if self.options.block is None:
            self._fresh(anchor)
        ledger.close()
        await self._state(ledger, anchor)
        if database is not None and self.mirrored:
            await self.mirror.end(tolerated=CLOSE)
        folder = self.options.receipts
        if self.kept is None:  # and for all rounds of a watch: what was proved of signatures is remembered
            self.kept = Kept(self.network.chain_id, ledger.programmes)
        waiting = await purchases.check(self.kept, self.record, time=anchor.time, connection=database, folder=folder)
        self.record.inputs["open_promises"] = waiting

    def _fresh(self, anchor: Anchor) -> None:
        """A chain that stands still, or a node that is far behind, tells the truth of long ago."""
        if anchor.time + STALE < self.clock():
            message = f"the newest final block, {anchor.number}, is more than {STALE // 60} minutes old"
            self.record.doubted("freshness", message, block=anchor.number)
        else:
            self.record.proved("freshness")

    async def _exchange(self, anchor: Anchor) -> Immutables | None:
        """The exchange's code, which says what its constructor was given; its proved hash is compared, too."""
        address = to_hex(self.network.exchange)
        try:
            [raw] = await self.node.ask([("eth_getCode", [address, to_quantity(anchor.number)])])
            found = from_hex(msgspec.json.decode(raw, type=str))
            shared = code.immutables(found, self.network)
            proved, _ = await state.State(self.node, anchor).read(self.network.exchange, [])
        except (OtherCode, verify.Invalid) as error:
            self.record.found("code", str(error), contract=address)
            return None
        except (ChainError, msgspec.DecodeError) as error:
            self.record.doubted("code", f"the node does not prove the exchange's code: {error}", contract=address)
            return None
        if proved != keccak(found):
            self.record.found("code", "the exchange's code is not the one that the state commits to", contract=address)
            return None
        self.record.proved("code")
        return shared

    async def _replay(self, ledger: Ledger, anchor: Anchor) -> bool:
        """Whether the history up to `anchor` is proved and was judged."""
        blocks = chain.blocks(
            self.node, first=self.next, anchor=anchor, network=self.network, record=self.record, parent=self.tip
        )
        async for block in blocks:
            found = acts.acts(block, self.network, self.record)
            for act in found:
                if isinstance(act.event, bindings.ProgrammeCreated):
                    await self._limits(ledger, act, act.event)
            ledger.apply(found)
            if self.mirrored:
                await self.mirror.add(block, found)
            self.next, self.tip = block.number + 1, block.hash
            self._count(found)
            self.progress(self._step("blocks", block.number - self.network.first_block + 2, anchor))
        return self.tip == anchor.hash

    async def _limits(self, ledger: Ledger, act: Act, created: bindings.ProgrammeCreated) -> None:
        """What the transaction that created the programme gave it, if its address commits to that."""
        try:
            [raw] = await self.node.ask([("eth_getTransactionByHash", [to_hex(act.transaction)])])
            calldata = from_hex(msgspec.json.decode(raw, type=_Transaction).input)
        except (ChainError, msgspec.DecodeError):
            return  # the ledger says what it cannot judge without them
        limits = code.limits_at_creation(self.network, created.programme, calldata)
        if limits is not None:
            ledger.limits[created.programme] = limits

    async def _state(self, ledger: Ledger, anchor: Anchor) -> None:
        codes = await state.check(
            state.State(self.node, anchor),
            ledger,
            self.shared,
            sample=self.options.sample,
            seed=self.options.seed,
            advance=lambda done, total: self.progress(Step("storage", done, total, self.logs, self.purchases)),
        )
        self.record.inputs["codes"] = {**codes}

    def _count(self, found: Sequence[Act]) -> None:
        for act in found:
            self.logs += len(act.moves) + (act.event is not None)
            if isinstance(act.event, bindings.Minted):
                self.purchases += act.event.count

    def _step(self, stage: str, done: int, anchor: Anchor) -> Step:
        return Step(stage, done, anchor.number - self.network.first_block + 2, self.logs, self.purchases)


class _Transaction(msgspec.Struct):
    input: str
