"""The whole exchange as real processes on a real chain and a real database, each of which can be killed at any time.

Shops, customers and purchases come over HTTP alone, from a client that repeats what it is not sure of, as a till would.
What it got a 2xx for is what must be minted, once: `tests/faults/oracle.py` asks the chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from contracts import deploy, deployment, signatures
from contracts.deployment import Deployment
from contracts.errors import ChainError
from contracts.rpc import Rpc, to_hex, to_quantity
from exchange.database import create_schema
from scripts import chain
from tests.conftest import Anvil, free_port
from tests.faults.processes import Postgres, Program, Zygote, forking
from tests.faults.proxy import Proxy, between
from tests.gateway.receiver import Receiver, receiving

OPERATOR_API_KEY = "faults-operator-key-0123456789"
MASTER = b"f" * 32
OPERATOR = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
LANES = (
    bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
)
CUSTOMERS = 40
CLIENT_SECONDS = 20.0
PATIENCE = 300.0


class Refused(AssertionError):
    """The gateway refused what it must take, or answered a 5xx that is not "try again"."""


@dataclass(frozen=True, slots=True)
class Sale:
    """A purchase that was answered 2xx: base units, and the receipt's commitment."""

    id: str
    holder: bytes
    points: int
    commitment: bytes


@dataclass
class Shop:
    id: str
    key: str
    programme: bytes
    sales: dict[str, Sale] = field(default_factory=dict)  # by reference
    refunds: dict[str, int] = field(default_factory=dict)  # base units taken back, by reference
    refunded: set[str] = field(default_factory=set)


@dataclass
class Node:
    """anvil with a block every `block_seconds`. A killed one comes back as of its last dump."""

    anvil: Anvil
    state: Path
    block_seconds: float
    ticking: bool = True
    kills: Counter[str] = field(default_factory=Counter)
    down: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def kill(self) -> None:
        async with self.down:
            self.anvil.kill()
            self.kills["at random"] += 1
            await asyncio.to_thread(self.anvil.start, "--load-state", str(self.state))

    async def dump(self) -> None:
        async with self.down, Rpc(self.anvil.url, timeout=60.0) as rpc:
            await chain.dump(rpc, self.state)

    async def ask(self, method: str, *params: object) -> Any:
        async with self.down, Rpc(self.anvil.url, timeout=30.0) as rpc:
            return await rpc.call(method, *params)

    async def mine(self, *, base_fee: int | None = None) -> None:
        if base_fee is not None:
            await self.ask("anvil_setNextBlockBaseFeePerGas", to_quantity(base_fee))
        await self.ask("evm_mine")

    async def reorganise(self, depth: int) -> None:
        """Replaces the last blocks by empty ones: what they held is nowhere."""
        await self.ask("anvil_reorg", depth, [])

    async def tick(self) -> None:
        """anvil's own clock knows whole seconds only."""
        while True:
            await asyncio.sleep(self.block_seconds)
            if self.ticking:
                with contextlib.suppress(ChainError):
                    await self.ask("evm_mine")


@dataclass
class World:
    folder: Path
    postgres: Postgres
    node: Node
    proxy: Proxy
    deployment: Deployment
    programs: dict[str, Program]
    receiver: Receiver
    gateways: tuple[str, ...]
    http: aiohttp.ClientSession
    chance: random.Random
    shops: list[Shop] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)  # how the tries of requests ended
    _numbers: Any = field(default_factory=itertools.count)

    # --- a till

    async def post(self, path: str, body: object, *, key: str, once: str) -> Any:
        """Until it is answered 2xx, at one gateway or another. Raises `Refused` for what no repetition cures."""
        headers = {"authorization": f"Bearer {key}", "idempotency-key": once}
        deadline = time.monotonic() + PATIENCE
        for attempt in itertools.count():
            assert time.monotonic() < deadline, f"{path} was not answered within {PATIENCE} s: {self.answers}"
            self.require_alive()
            try:
                url = self.gateways[(zlib.crc32(once.encode()) + attempt) % len(self.gateways)] + path
                async with self.http.post(url, json=body, headers=headers) as answer:
                    text = await answer.text()
                    self.answers[str(answer.status)] += 1
                    if answer.status < 300:
                        return await answer.json()
                    if answer.status not in (409, 503):
                        raise Refused(f"{path}: {answer.status} {text}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.answers[type(error).__name__] += 1
            await asyncio.sleep(min(0.5, 0.02 * 2**attempt))

    async def get(self, path: str, *, key: str) -> Any:
        for attempt in itertools.count():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                url = self.gateways[attempt % len(self.gateways)] + path
                async with self.http.get(url, headers={"authorization": f"Bearer {key}"}) as answer:
                    if answer.status == 200:
                        return await answer.json()
                    assert answer.status == 503, await answer.text()
            await asyncio.sleep(0.05)

    async def open_shop(self) -> Shop:
        slug = f"shop-{len(self.shops)}"
        body = {
            "slug": slug, "name": slug, "symbol": f"S{len(self.shops)}", "currency": "EUR", "margin": "1000.00",
            "quote": {"bid": "0.0099", "ask": "0.0100"}, "pin_from": "never",
        }  # fmt: skip
        made = await self.post("/v1/merchants", body, key=OPERATOR_API_KEY, once=slug)
        # The key is shown once, and whoever lost the answer to a kill has another one made.
        key = made["api_key"]
        if key is None:
            again = await self.post(f"/v1/merchants/{made['id']}/keys", {}, key=OPERATOR_API_KEY, once=f"{slug}/key")
            key = again["api_key"]
        shop = Shop(made["id"], key, bytes.fromhex(made["programme"][2:]))
        people = [{"member": f"card-{n}", "custodial": True} for n in range(CUSTOMERS)]
        await self.post("/v1/customers/bulk", {"customers": people}, key=shop.key, once="people")
        if not self.shops:  # the first one is told what happens
            hook = {"url": self.receiver.url, "events": ["purchase.final"]}
            await self.post("/v1/webhooks", hook, key=shop.key, once="hook")
        self.shops.append(shop)
        return shop

    def _sale(self, cents: int) -> dict[str, Any]:
        return {
            "reference": f"sale-{next(self._numbers)}", "member": f"card-{self.chance.randrange(CUSTOMERS)}",
            "amount": f"{cents // 100}.{cents % 100:02}", "currency": "EUR", "store": "Main Street 5",
            "purchased_at": "2026-01-02T12:00:00Z",
        }  # fmt: skip

    async def sell(self, shop: Shop) -> Sale:
        wish = self._sale(self.chance.randrange(1, 5_000))
        return self._sold(shop, wish, await self.post("/v1/purchases", wish, key=shop.key, once=wish["reference"]))

    async def sell_many(self, shop: Shop, many: int) -> list[Sale]:
        wishes = [self._sale(self.chance.randrange(1, 5_000)) for _ in range(many)]
        body = {"purchases": wishes}
        answer = await self.post("/v1/purchases/bulk", body, key=shop.key, once=wishes[0]["reference"] + "/bulk")
        assert answer["refused"] == 0, answer
        results = zip(wishes, answer["results"], strict=True)
        return [self._sold(shop, wish, result["purchase"]) for wish, result in results]

    def _sold(self, shop: Shop, wish: dict[str, Any], answer: dict[str, Any]) -> Sale:
        assert answer["points"] == answer["amount"] == wish["amount"]
        assert answer["reference"] == wish["reference"]
        receipt = answer["receipt"]
        sale = Sale(
            answer["id"],
            bytes.fromhex(receipt["holder"][2:]),
            int(receipt["amount_base_units"]),
            bytes.fromhex(receipt["purchase"][2:]),
        )
        shop.sales[wish["reference"]] = sale
        return sale

    async def refund_one(self, shop: Shop) -> None:
        """Half of a sale that is in a batch and was not refunded yet, if the one that is looked at is such a one.

        Of what is in no batch less is minted instead, and no receipt of it is on the chain: other tests do that.
        """
        sale = self.chance.choice(list(shop.sales.values())[-200:])
        cents = sale.points // 2
        status = await self.get(f"/v1/purchases/{sale.id}", key=shop.key)
        if cents and sale.id not in shop.refunded and status["status"] != "accepted":
            shop.refunded.add(sale.id)
            reference = f"refund-{next(self._numbers)}"
            body = {"reference": reference, "amount": f"{cents // 100}.{cents % 100:02}"}
            path = f"/v1/purchases/{sale.id}/refunds"
            answer = await self.post(path, body, key=shop.key, once=reference)
            whole, _, part = answer["points"].partition(".")
            shop.refunds[reference] = int(whole) * 100 + int(part)

    # --- waiting

    async def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Whatever happens to the database meanwhile: its server may be away, and the mirror dropped and built anew."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self.postgres.url, autocommit=True) as connection:
                    return await (await connection.execute(query.encode(), arguments)).fetchall()
            except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    def require_alive(self) -> None:
        """Nothing has ended by itself."""
        for program in self.programs.values():
            assert program.failure is None, program.failure

    async def until(
        self, condition: Callable[[], Awaitable[bool]], *, seconds: float, what: str, pause: float = 0.1
    ) -> None:
        deadline = time.monotonic() + seconds
        while not await condition():
            self.require_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{await self.shown()}")
            await asyncio.sleep(pause)

    async def drained(self) -> bool:
        """Everything accepted is in the mirror, and nothing is under way."""
        [(open_,)] = await self.rows(
            "select (select count(*) from exchange.purchase where batch_number is null and points > 0)"
            " + (select count(*) from exchange.refund where call_id is null and points > 0)"
            " + (select count(*) from exchange.call where state = 'queued')"
            " + (select count(*) from exchange.transaction where state in ('signed', 'sent'))"
            " + (select count(*) from exchange.merchant m cross join generate_series(1, m.next_batch - 1) as n"
            "    where not exists (select from mirror.batch b where b.programme = m.programme and b.number = n))"
        )
        return bool(open_ == 0)

    async def shown(self) -> str:
        """For a person who looks for what went wrong."""
        told = [
            *await self.rows("select encode(address, 'hex'), role, next_nonce, paused from exchange.signer"),
            *await self.rows("select kind, state, tries, failure, count(*) from exchange.call group by 1, 2, 3, 4"),
            *await self.rows("select state, count(*), min(nonce), max(nonce) from exchange.transaction group by 1"),
            *await self.rows("select next_block, finalized from mirror.cursor"),
        ]
        logs = [f"--- {program.name}\n{program.tail(4)}" for program in self.programs.values()]
        return "\n".join([*map(str, told), *logs])

    def kills(self) -> Counter[str]:
        """By process."""
        counts = Counter({name: sum(program.kills.values()) for name, program in self.programs.items()})
        return counts + Counter(postgres=sum(self.postgres.kills.values()), node=sum(self.node.kills.values()))


def deployed(folder: Path) -> tuple[Deployment, Path]:
    """Our contracts on a chain, as a state to start nodes from."""
    node = Anvil(free_port())
    node.start()
    try:
        made = deploy.deploy(node.url, OPERATOR, path=folder / "deployment.json")
        asyncio.run(_dump(node.url, folder / "state.json"))
    finally:
        node.kill()
    return made, folder / "state.json"


def quiet_port() -> int:
    """Below those that the system gives to whoever asks: while its owner is dead, nobody else takes it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


async def _dump(url: str, path: Path) -> None:
    async with Rpc(url) as rpc:
        await chain.dump(rpc, path)


@asynccontextmanager
async def living(
    folder: Path,
    postgres: Postgres,
    contracts: tuple[Deployment, Path],
    *,
    seed: int,
    gateways: int = 1,
    relayers: int = 1,
    indexers: int = 1,
    shops: int = 2,
    block_seconds: float = 0.3,
    slots: int = 8,
    lanes: int = 1,
    dump_seconds: float | None = None,
    history: bool = True,
) -> AsyncIterator[World]:
    """A world with its shops open. A block is final once twice `slots` blocks are above it."""
    made, first = contracts
    state = folder / "state.json"
    state.write_bytes(first.read_bytes())
    deployment.save(made, folder / "deployment.json")
    await asyncio.to_thread(create_schema, postgres.url)
    async with AsyncExitStack() as stack:
        anvil = Anvil(
            quiet_port(),
            ("--no-mining", "--slots-in-an-epoch", str(slots), "--order", "fifo", "--no-request-size-limit"),
            history=history,
        )  # fmt: skip
        stack.callback(anvil.kill)
        await asyncio.to_thread(anvil.start, "--load-state", str(state))
        node = Node(anvil, state, block_seconds)
        _background(stack, node.tick())
        proxy = await stack.enter_async_context(between(anvil.url, seed=seed))
        receiver = await stack.enter_async_context(receiving(Receiver()))
        zygote = await stack.enter_async_context(forking())
        ports = [quiet_port() for _ in range(gateways)]
        variables = {
            "POINTS_DATABASE_URL": postgres.url,
            "POINTS_RPC_URL": proxy.url,
            "POINTS_RPC_TIMEOUT": "1.0",
            "POINTS_DEPLOYMENT": str(folder / "deployment.json"),
            "POINTS_MASTER_KEY": MASTER.hex(),
            "POINTS_PEPPER": "faults",
            "POINTS_OPERATOR_API_KEY": OPERATOR_API_KEY,
            "POINTS_OPERATOR_KEY": to_hex(OPERATOR),
            "POINTS_RELAYER_KEYS": ",".join(to_hex(key) for key in LANES[:lanes]),
            "POINTS_TICK": "0.1",
            "POINTS_LINGER": "0.05",
            "POINTS_POLL": "0.1",
            "POINTS_PATIENCE": "3",
            "POINTS_WEBHOOK_LOOPBACK": "true",
            "POINTS_KEY_RATE": "0",
            "POINTS_ADDRESS_RATE": "0",
            "POINTS_POOL_SIZE": "6",
        }
        programs = _programs(folder, zygote, variables, ports, relayers, indexers)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CLIENT_SECONDS))
        )
        urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
        world = World(
            folder, postgres, node, proxy, made, programs, receiver, urls, http, random.Random(seed),
        )  # fmt: skip
        for program in programs.values():
            await program.start()
            _background(stack, program.keep())
        if dump_seconds is not None:
            _background(stack, _dumping(node, dump_seconds))
        for _ in range(shops):
            await world.open_shop()
        yield world


def _programs(
    folder: Path, zygote: Zygote, variables: dict[str, str], ports: Sequence[int], relayers: int, indexers: int
) -> dict[str, Program]:
    wanted: list[tuple[str, str, tuple[str, ...], dict[str, str]]] = [
        *((f"gateway-{n}", "exchange", (), {"POINTS_PORT": str(port)}) for n, port in enumerate(ports, 1)),
        *((f"relayer-{n}", "exchange.relayer", (), {}) for n in range(1, relayers + 1)),
        # A block of thousands of purchases is megabytes of logs, which pass through the proxy.
        *((f"indexer-{n}", "indexer", ("run",), {"POINTS_RPC_TIMEOUT": "5"}) for n in range(1, indexers + 1)),
        ("notifier", "exchange.webhooks", (), {}),
    ]
    return {
        name: Program(name, module, arguments, {**variables, **more}, folder / f"{name}.log", zygote)
        for name, module, arguments, more in wanted
    }


def _background(stack: AsyncExitStack, work: Any) -> None:
    task = asyncio.ensure_future(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def _dumping(node: Node, seconds: float) -> None:
    """A dump stops the node, the longer the more it holds: it is given most of the time for blocks."""
    took = 0.0
    while True:
        await asyncio.sleep(max(seconds, 4 * took))
        begun = time.monotonic()
        with contextlib.suppress(ChainError, OSError, ValueError):
            await node.dump()
        took = time.monotonic() - begun


def address(key: bytes) -> bytes:
    return signatures.address_of(key)
