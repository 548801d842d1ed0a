"""What happens to a node and to a key beside what answers say: drawn from a seed, a while apart, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from contracts import signatures
from contracts.errors import ChainError
from contracts.fees import Fees
from contracts.rpc import to_hex, to_quantity
from contracts.transactions import sign_transaction
from tests.faults.world import World

REORGANISED: Final = "blocks reorganised away"
DROPPED: Final = "pool dropped"
OLDER: Final = "node restarted from an older state"
TAKEN: Final = "our key used by somebody else: the next nonce"
REPLACED: Final = "our key used by somebody else: in place of a pending transaction"
AHEAD: Final = "our key used by somebody else: a nonce ahead"
GIVEN_BACK: Final = "our key used by somebody else, and reorganised away"
UNDONE: Final = "an inclusion of ours reorganised away"

NODE_EVENTS: Final = (REORGANISED, DROPPED, OLDER)
NONCE_FAULTS: Final = (DROPPED, TAKEN, REPLACED, AHEAD, GIVEN_BACK, UNDONE)


@dataclass
class Chaos:
    """`depth` is the greatest of reorganisations, well below finality. `keys` are the lanes' own."""

    world: World
    keys: tuple[bytes, ...]
    chance: random.Random
    kinds: tuple[str, ...]
    pause: float  # seconds between two events, on average
    depth: int = 5
    happened: Counter[str] = field(default_factory=Counter)
    used: set[tuple[bytes, int]] = field(default_factory=set)  # address and nonce that somebody else signed with
    events: int = 0

    async def run(self, enough: asyncio.Event) -> None:
        while not enough.is_set() and sum(self.happened.values()) < (self.events or 2**60):
            await asyncio.sleep(self.pause * self.chance.uniform(0.5, 1.5))
            least = min(self.happened[kind] for kind in self.kinds)
            kind = self.chance.choice([kind for kind in self.kinds if self.happened[kind] <= least + 1])
            with contextlib.suppress(ChainError):
                if await self.do(kind):
                    self.happened[kind] += 1

    async def do(self, kind: str) -> bool:
        """Whether there was anything to do it to."""
        node, key = self.world.node, self.chance.choice(self.keys)
        match kind:
            case "pool dropped":
                await node.ask("anvil_dropAllTransactions")
            case "blocks reorganised away" | "an inclusion of ours reorganised away":
                await node.reorganise(self.chance.randint(1, self.depth))
            case "node restarted from an older state":
                await node.kill()
            case "our key used by somebody else: the next nonce":
                return await self._use(key, await self._count(key, "latest"))
            case "our key used by somebody else: in place of a pending transaction":
                first, last = await self._count(key, "latest"), await self._count(key, "pending")
                return first < last and await self._use(key, self.chance.randrange(first, last))
            case "our key used by somebody else: a nonce ahead":
                return await self._use(key, await self._count(key, "pending") + self.chance.randint(0, 2))
            case "our key used by somebody else, and reorganised away":
                if not await self._use(key, await self._count(key, "latest")):
                    return False
                await asyncio.sleep(2 * node.block_seconds)
                await node.reorganise(min(self.depth, 4))
        return True

    async def _count(self, key: bytes, block: str) -> int:
        address = to_hex(signatures.address_of(key))
        return int(await self.world.node.ask("eth_getTransactionCount", address, block), 16)

    async def _use(self, key: bytes, nonce: int) -> bool:
        """Somebody signs with a lane's key, and pays enough to be first. Whether the node took it."""
        raw, hash_ = sign_transaction(
            key=key, chain_id=31337, nonce=nonce, to=b"\x66" * 20, data=self.chance.randbytes(4), gas=40_000,
            fees=Fees(400 * 10**9, 100 * 10**9),
        )  # fmt: skip
        self.used.add((signatures.address_of(key), nonce))
        # Not through the proxy: it is no transaction of ours.
        await self.world.node.ask("eth_sendRawTransaction", to_hex(raw))
        return await self.world.node.ask("eth_getTransactionByHash", to_hex(hash_)) is not None


async def rich(world: World, keys: tuple[bytes, ...]) -> None:
    """So that thieves of gas do not stop anything for want of ether."""
    for key in keys:
        await world.node.ask("anvil_setBalance", to_hex(signatures.address_of(key)), to_quantity(10**24))
