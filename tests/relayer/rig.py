"""The relayer on real parts: a node with our contracts, a database with our tables, and rows as a gateway writes them.

`Rig.step` runs one step of one lane, so that a test decides what happens between two steps.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import structlog
from prometheus_client import CollectorRegistry
from psycopg import AsyncConnection

from contracts import bindings, eip712, signatures
from contracts.bindings import Limits, Roles, Terms
from contracts.deployment import Deployment
from contracts.rpc import Rpc, from_hex, to_hex
from exchange import vault
from exchange.database import create_schema
from exchange.relayer.batching import batch_everyone
from exchange.relayer.lane import Chain, Context, Memory, step
from exchange.relayer.metrics import make_metrics
from exchange.relayer.run import ROLE, Relayer
from exchange.relayer.signers import Signer, ensure_signers, signers
from tests.conftest import Anvil
from tests.databases import fill

MASTER = b"m" * 32
OPERATOR = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
RELAYER = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
SECOND = bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")
LIMITS = Limits(supply_cap=10**14, entry_cap=10**10, bucket=10**13, refill=10**9)


@dataclass(frozen=True, slots=True)
class Programme:
    merchant: uuid.UUID
    address: bytes
    issuer: bytes
    owner: bytes


@dataclass
class Rig:
    database: str
    anvil: Anvil
    deployment: Deployment
    rpc: Rpc
    sql: AsyncConnection  # the owner's, for what a gateway writes and a test looks at
    relaying: AsyncConnection  # in the relayer's own role
    lanes: tuple[bytes, ...] = (RELAYER,)
    memories: dict[bytes, Memory] = field(default_factory=dict)
    max_in_flight: int = 16
    patience: int = 3
    fee_cap: int = 10**12

    @property
    def chain(self) -> Chain:
        return Chain(31337, self.deployment.bundle, self.fee_cap, self.max_in_flight, self.patience)

    async def start(self) -> None:
        await ensure_signers(self.relaying, self.rpc, master=MASTER, operator=OPERATOR, relayers=self.lanes)

    async def signers(self) -> list[Signer]:
        return await signers(self.relaying, master=MASTER)

    async def step(self, *, rpc: Rpc | None = None, only: bytes | None = None) -> None:
        """One step of every lane."""
        for signer in await self.signers():
            if only is None or signer.key == only:
                await step(await self.context(signer, rpc=rpc))

    async def context(self, signer: Signer, *, rpc: Rpc | None = None) -> Context:
        return Context(
            connection=self.relaying,
            rpc=rpc or self.rpc,
            chain=self.chain,
            signer=signer,
            bundles=signer.role == "relayer",
            metrics=make_metrics(CollectorRegistry()),
            log=structlog.get_logger(),
            memory=self.memories.setdefault(signer.address, Memory()),
        )

    def forget(self) -> None:
        """What a kill leaves of a relayer: nothing but its rows."""
        self.memories.clear()

    def relayer(self) -> Relayer:
        return Relayer(
            database_url=self.database,
            rpc=self.rpc,
            chain=self.chain,
            exchange=self.deployment.exchange,
            master=MASTER,
            operator_key=OPERATOR,
            relayer_keys=self.lanes,
            metrics=make_metrics(CollectorRegistry()),
            log=structlog.get_logger(),
            tick=0.05,
            linger=0.05,
        )

    async def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            await self.rpc.call("evm_mine")

    async def settle(self, rounds: int = 3) -> None:
        """Steps and blocks in turn, until everything queued had its chance."""
        for _ in range(rounds):
            await self.hurry()
            await self.step()
            await self.mine()
        await self.step()

    async def hurry(self) -> None:
        """Nobody waits: what was put off may be tried now."""
        await self.sql.execute("update exchange.call set not_before = null")

    async def batch(self, size: int = 200, *, now: int = 2**40) -> int:
        """At a time when every return window has closed, unless said."""
        return await batch_everyone(self.relaying, master=MASTER, chain_id=31337, size=size, now=now)

    async def all(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return await (await self.sql.execute(query, arguments)).fetchall()

    async def one(self, query: str, *arguments: Any) -> Any:
        return (await self.all(query, *arguments))[0][0]

    async def view(self, target: bytes, data: bytes) -> bytes:
        return from_hex(await self.rpc.call("eth_call", {"to": to_hex(target), "data": to_hex(data)}, "latest"))

    async def supply(self, programme: Programme) -> int:
        """Base units; nothing while the programme is not created."""
        answer = await self.view(programme.address, bindings.points_total_supply())
        return bindings.points_total_supply_result(answer) if answer else 0

    async def balance(self, programme: Programme, holder: bytes) -> int:
        answer = await self.view(programme.address, bytes.fromhex("70a08231") + bytes(12) + holder)
        return int.from_bytes(answer, "big")

    async def next_batch(self, programme: Programme) -> int:
        return bindings.points_next_batch_result(await self.view(programme.address, bindings.points_next_batch()))

    async def queue(
        self,
        kind: str,
        target: bytes,
        data: bytes,
        *,
        gas: int = 300_000,
        sequence: bytes | None = None,
        signer: bytes | None = None,
    ) -> int:
        number = await self.one(
            "insert into exchange.call (kind, target, data, gas, sequence, signer)"
            " values (%s, %s, %s, %s, %s, %s) returning id",
            kind, target, data, gas, sequence, signer,
        )  # fmt: skip
        return int(number)

    async def programme(self, *, limits: Limits = LIMITS, slug: str = "acme") -> Programme:
        """A merchant and the queued call that creates its programme."""
        owner, issuer, salt = signatures.new_key(), signatures.new_key(), uuid.uuid4().bytes * 2
        fields = {
            "name": b"Acme Points".ljust(32, b"\0"),
            "symbol": b"ACME".ljust(32, b"\0"),
            "roles": Roles(signatures.address_of(owner), signatures.address_of(issuer)),
            "limits": limits,
            "terms": Terms(life=730, verified_above=2**96 - 1),
            "salt": salt,
        }
        answer = await self.view(self.deployment.factory, bindings.factory_address_of(**fields))  # type: ignore[arg-type]
        made = Programme(uuid.uuid4(), bindings.factory_address_of_result(answer), issuer, owner)
        sealed = vault.seal(MASTER, issuer, purpose=f"issuer:{made.merchant}")
        await self.sql.execute(
            "insert into exchange.merchant"
            " (id, slug, name, symbol, currency, minor_digits, programme, owner, issuer, issuer_key)"
            " values (%s, %s, %s, 'ACME', 'USD', 2, %s, %s, %s, %s)",
            (made.merchant, slug, slug, made.address, fields["roles"].owner, fields["roles"].issuer, sealed),  # type: ignore[attr-defined]
        )
        await self.sql.execute(
            "insert into exchange.earning_rule (merchant_id, version, rate_millionths) values (%s, 1, 1000000)",
            (made.merchant,),
        )
        data = bindings.factory_create(**fields)  # type: ignore[arg-type]
        await self.queue("create", self.deployment.factory, data, gas=5_000_000, sequence=made.address)
        return made

    async def customers(self, many: int) -> list[tuple[uuid.UUID, bytes]]:
        made = [(uuid.uuid4(), uuid.uuid4().bytes + b"cust") for _ in range(many)]
        async with self.sql.cursor() as cursor:
            await cursor.executemany(
                "insert into exchange.customer (id, holder, custody) values (%s, %s, 'wallet')", made
            )
        return made

    async def purchases(
        self, programme: Programme, many: int, *, customers: list[tuple[uuid.UUID, bytes]], points: int = 5
    ) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        async with self.sql.transaction(), self.sql.cursor() as cursor:
            await cursor.executemany(
                "insert into exchange.member (merchant_id, reference, id, customer_id) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                [(programme.merchant, str(customer), customer, customer) for customer, _ in set(customers)],
            )
            copy = (
                "copy exchange.purchase (merchant_id, id, reference, fingerprint, customer_id, holder, amount_minor,"
                " store, purchased_at, points, rule_version, salt, accepted_at, mint_by, signature, commitment)"
                " from stdin"
            )
            async with cursor.copy(copy) as rows:
                for i in range(many):
                    customer, holder = customers[i % len(customers)]
                    reference = uuid.uuid4().hex
                    await rows.write_row((
                        programme.merchant, uuid.uuid4(), reference, b"f", customer, holder, points or 1, "12", now,
                        points, 1, b"s" * 16, int(now.timestamp()), int(now.timestamp()) + 86_400, b"",
                        uuid.uuid4().bytes * 2,
                    ))  # fmt: skip

    async def send_intent(
        self,
        programme: Programme,
        key: bytes,
        *,
        amount: int,
        nonce: int,
        to: bytes = b"\x77" * 20,
        deadline: int = 2**40 - 1,
    ) -> int:
        """Queues a holder's signed `send`."""
        fields = {
            "holder": signatures.address_of(key),
            "to": to,
            "amount": amount,
            "nonce": nonce,
            "deadline": deadline,
        }
        digest = eip712.send_digest(eip712.domain_separator(31337, programme.address), **fields)  # type: ignore[arg-type]
        data = bindings.points_send(**fields, signature=signatures.sign(key, digest))  # type: ignore[arg-type]
        return await self.queue("send", programme.address, data, gas=150_000)

    async def restart(self, state: Path) -> None:
        """Kills the node and starts it from an older state."""
        self.anvil.kill()
        kept = self.anvil.arguments[: self.anvil.arguments.index("--load-state")]
        self.anvil.arguments = (*kept, "--load-state", str(state))
        await asyncio.to_thread(self.anvil.start)

    async def dump(self, path: Path) -> None:
        """The node's state, as it is to start from later."""
        await asyncio.to_thread(dump_state, self.anvil, path)


def dump_state(anvil: Anvil, path: Path) -> None:
    import gzip
    import json
    import urllib.request

    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "anvil_dumpState", "params": [True]}).encode()
    request = urllib.request.Request(anvil.url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        path.write_bytes(gzip.decompress(bytes.fromhex(json.load(answer)["result"][2:])))


@asynccontextmanager
async def open_rig(database: str, anvil: Anvil, deployment: Deployment, **options: Any) -> AsyncIterator[Rig]:
    await asyncio.to_thread(fill, database, "relayer", create_schema)
    connection = await psycopg.AsyncConnection.connect(database, autocommit=True)
    relaying = await psycopg.AsyncConnection.connect(database, autocommit=True, options=ROLE)
    async with Rpc(anvil.url) as rpc, connection, relaying:
        rig = Rig(database, anvil, deployment, rpc, connection, relaying, **options)
        await rig.start()
        yield rig
