"""A small market on a real node, signed for by those who act: programmes, batches, sends, redemptions, swaps, gifts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from contracts import bindings, deploy
from contracts.rpc import Rpc
from scripts.audit.options import Options
from tests.conftest import Anvil
from tests.indexer.network import FOREVER, OPERATOR_KEY, Network, holder

PEOPLE = tuple(f"customer {number}" for number in range(12))
CHARITY = holder("charity")


@dataclass
class Market:
    """`balances` are in base units, by programme and person."""

    network: Network
    chance: random.Random
    programmes: list[bytes] = field(default_factory=list)
    balances: dict[tuple[bytes, str], int] = field(default_factory=dict)

    async def trade(self, blocks: int) -> None:
        """So many blocks of batches and of whatever their holders may do; some are empty."""
        for _ in range(blocks):
            for _ in range(self.chance.choice((0, 1, 1, 2, 4))):
                await self._act()
            await self.network.mine()

    async def _act(self) -> None:
        token = self.chance.choice(self.programmes)
        name = self.chance.choice(PEOPLE)
        balance = self.balances.get((token, name), 0)
        if balance < 100 or self.chance.random() < 0.3:
            await self._mint(token)
            return
        amount = self.chance.randrange(100, balance + 1)
        match self.chance.choice(("send", "redeem", "swap", "give")):
            case "send":
                other = self.chance.choice(PEOPLE)
                await self.network.pass_on(token, name, holder(other), amount)
                self._change(token, other, amount)
            case "redeem":
                await self.network.redeem(token, name, amount)
            case "swap":
                into = self.chance.choice([each for each in self.programmes if each != token])
                await self.network.swap(token, into, name, amount)
            case "give":
                await self.network.give(token, CHARITY, name, amount, 1)
        self._change(token, name, -amount)

    async def _mint(self, token: bytes) -> None:
        entries = [(self.chance.choice(PEOPLE), self.chance.randrange(1, 10**6)) for _ in range(6)]
        await self.network.mint(token, *[(holder(name), amount) for name, amount in entries])
        for name, amount in entries:
            self._change(token, name, amount)

    def _change(self, token: bytes, name: str, amount: int) -> None:
        self.balances[token, name] = self.balances.get((token, name), 0) + amount

    async def options(self) -> Options:
        """To audit it up to its newest block, which is trusted."""
        _, newest = await self.network.head()
        return Options(deployment=self.network.deployment, block=newest)


@asynccontextmanager
async def opened(node: Anvil, folder: Path, *, seed: str) -> AsyncIterator[Market]:
    """A market of two programmes and a charity. The node must mine by itself until it is open, and does not after."""
    made = await asyncio.to_thread(deploy.deploy, node.url, OPERATOR_KEY, path=folder / "deployment.json")
    async with Rpc(node.url) as rpc:
        await rpc.call("evm_setAutomine", False)
        network = Network(node=node, rpc=rpc, deployment=made)
        market = Market(network, random.Random(seed))
        one, two = market.programmes = [await network.create("grocer"), await network.create("florist")]
        await network.mine()
        await network.open_market(one, two, bid=9 * 10**9, ask=10**10, margin=10**9)
        await network.open_market(two, one, bid=9 * 10**9, ask=10**10, margin=10**9)
        await network.mine()
        for data in (
            bindings.exchange_set_fee(fee_bps=30, account=holder("fees")),
            bindings.exchange_register_charity(charity=CHARITY, name=b"Food".ljust(32, b"\0")),
            bindings.exchange_open_campaign(charity=CHARITY, goal=10**9, end=FOREVER),
        ):
            await network.send(made.exchange, data)
        await network.mine()
        yield market
