"""A gateway on a real database, with a chain that the tests write into the mirror by hand."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
import pytest_asyncio
import sqlalchemy
from fastapi import FastAPI
from psycopg.rows import dict_row

from contracts import deployment
from contracts.deployment import Deployment
from exchange.app import create_app
from exchange.database import create_schema
from exchange.settings import Settings
from indexer import schema as mirror_schema
from indexer import tables as mirror_tables
from tests.databases import fill

OPERATOR = "test-operator-key-0123456789"
LANE = bytes([0xAA]) * 20
DEPLOYMENT = Deployment(
    chain_id=31337,
    first_block=1,
    settlement=bytes([1]) * 20,
    exchange=bytes([2]) * 20,
    factory=bytes([3]) * 20,
    bundle=bytes([4]) * 20,
)


@dataclass
class Chain:
    """Writes into the mirror what the indexer would. Everything lands in a block of its own, now."""

    url: str
    blocks: Any = field(default_factory=lambda: itertools.count(1))

    def run(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, arguments)
            return cursor.fetchall() if cursor.description else []

    def mine(
        self, *, finalized: int = 0, at: float | None = None, holding: Callable[[int], object] = lambda _number: None
    ) -> int:
        """A block; `holding` writes what is in it, before the cursor tells that it is there."""
        number: int = next(self.blocks)
        tip = number.to_bytes(32, "big")
        self.run(
            "insert into mirror.block (number, hash, parent, time) values (%s, %s, %s, %s)",
            number, tip, (number - 1).to_bytes(32, "big"), int(at or time.time()),
        )  # fmt: skip
        self.run("insert into mirror.transaction (block, index, hash) values (%s, 0, %s)", number, b"t" + tip[1:])
        holding(number)
        self.run(
            "insert into mirror.cursor values (1, 31337, %s, %s, 1, %s, %s, %s) on conflict (id) do update"
            " set next_block = excluded.next_block, tip = excluded.tip, finalized = excluded.finalized",
            DEPLOYMENT.factory, DEPLOYMENT.exchange, number + 1, tip, finalized,
        )  # fmt: skip
        return number

    def programme(self, address: bytes, *, name: str = "Programme", owner: bytes = b"o" * 20) -> None:
        self.run(
            "insert into mirror.programme (block, log_index, address, owner, issuer, name, symbol)"
            " values (%s, 0, %s, %s, %s, %s, 'SYM')",
            self.mine(), address, owner, b"i" * 20, name,
        )  # fmt: skip

    def credit(self, programme: bytes, holder: bytes, amount: int, *, kind: str = "earned") -> int:
        block = self.mine()
        self.run(
            "insert into mirror.entry (block, log_index, side, transaction_index, programme, holder, delta, kind)"
            " values (%s, 0, 0, 0, %s, %s, %s, %s)",
            block, programme, holder, amount, kind,
        )  # fmt: skip
        for table, columns, keys in (
            ("balance", "holder, programme", (holder, programme)),
            ("supply", "programme", (programme,)),
        ):
            marks = ", ".join(["%s"] * len(keys))
            self.run(
                f"insert into mirror.{table} ({columns}, amount) values ({marks}, 0)"  # noqa: S608
                " on conflict do nothing",
                *keys,
            )
            update = f"update mirror.{table} set amount = amount + %s where ({columns}) = ({marks})"  # noqa: S608
            self.run(update, amount, *keys)
        return block

    def quote(
        self, programme: bytes, *, bid: int, ask: int, until: int | None = None, cap: int = 10**15,
        at: float | None = None, notice: int = 0,
    ) -> None:  # fmt: skip
        """Posted `at` (10 seconds ago), in force `notice` seconds later, valid `until` (a day from now)."""
        posted = int(at or time.time() - 10)
        self.run(
            "insert into mirror.quote (block, log_index, programme, bid, ask, until, cap, effective)"
            " values (%s, 0, %s, %s, %s, %s, %s, %s)",
            self.mine(at=posted), programme, bid, ask, until or int(time.time()) + 86_400, cap, posted + notice,
        )  # fmt: skip

    def margin(self, account: bytes, amount: int) -> None:
        self.run(
            "insert into mirror.margin (account, amount) values (%s, %s) on conflict (account)"
            " do update set amount = excluded.amount",
            account, amount,
        )  # fmt: skip

    def open(self, one: bytes, other: bytes, *, allowed: bool = True) -> None:
        for programme, partner in ((one, other), (other, one)):
            self.run(
                "insert into mirror.partner (block, log_index, programme, partner, allowed) values (%s, 0, %s, %s, %s)",
                self.mine(), programme, partner, allowed,
            )  # fmt: skip

    def charity(self, address: bytes) -> None:
        self.run(
            "insert into mirror.charity (block, log_index, address, name) values (%s, 0, %s, 'Charity')",
            self.mine(), address,
        )  # fmt: skip

    def campaign(self, number: int, charity: bytes, end: int) -> None:
        self.run(
            'insert into mirror.campaign (block, log_index, number, charity, goal, "end")'
            " values (%s, 0, %s, %s, 1, %s)",
            self.mine(), number, charity, end,
        )  # fmt: skip


@dataclass
class Shop:
    """A merchant as a client sees it."""

    id: str
    slug: str
    programme: bytes
    key: str
    body: dict[str, Any]

    @property
    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def once(self, key: str | None = None) -> dict[str, str]:
        return {**self.auth, "idempotency-key": key or uuid4().hex}


@dataclass
class Client:
    """The gateway over HTTP, and the database behind it."""

    http: httpx2.AsyncClient
    chain: Chain
    app: FastAPI
    settings: Settings

    @property
    def operator(self) -> dict[str, str]:
        return {"authorization": f"Bearer {OPERATOR}"}

    async def key(self, shop: Shop | None = None, **wanted: Any) -> dict[str, str]:
        """The header of a new key that the operator makes: of a shop, or, with `role`, of an operator or auditor."""
        path = "/v1/keys" if shop is None else f"/v1/merchants/{shop.id}/keys"
        answer = await self.http.post(path, json=wanted, headers=self.operator)
        assert answer.status_code == 201, answer.text
        return {"authorization": f"Bearer {answer.json()['api_key']}"}

    def counts(self) -> dict[str, int]:
        names = ("merchant", "customer", "member", "purchase", "idempotency", "intent", "call", "api_key", "charity",
                 "campaign", "earning_rule", "pin", "access_code", "session", "credential")  # fmt: skip
        query = ", ".join(f"(select count(*) from exchange.{name}) as {name}" for name in names)  # noqa: S608
        return self.chain.run(f"select {query}")[0]

    async def shop(self, slug: str = "grocer", *, live: bool = True, **more: Any) -> Shop:
        body = {
            "slug": slug, "name": slug.capitalize(), "symbol": slug[:5].upper(), "currency": "USD",
            "points_per_unit": "1", "quote": {"bid": "0.0098", "ask": "0.0100"}, "margin": "1000", "pin_from": "never",
            **more,
        }  # fmt: skip
        body = {name: value for name, value in body.items() if value is not None}
        answer = await self.http.post("/v1/merchants", json=body, headers=self.operator)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        shop = Shop(made["id"], slug, bytes.fromhex(made["programme"][2:]), made["api_key"], body)
        if live:
            self.chain.programme(shop.programme, name=slug)
        return shop

    async def customer(self, shop: Shop, member: str = "card-1", **how: Any) -> dict[str, Any]:
        body = {"member": member, **(how or {"custodial": True})}
        answer = await self.http.post("/v1/customers", json=body, headers=shop.auth)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def link(self, shop: Shop, customer: dict[str, Any]) -> str:
        """A code by which another shop enrols this shop's customer."""
        body = {"customers": [customer["id"]]}
        answer = await self.http.post("/v1/customers/link-codes", json=body, headers=shop.auth)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["codes"][0]["code"])


def sale(**more: Any) -> dict[str, Any]:
    body = {
        "reference": uuid4().hex, "member": "card-1", "amount": "12.34", "currency": "USD", "store": "Main Street 5",
        "purchased_at": "2026-01-02T03:04:05Z", **more,
    }  # fmt: skip
    return {name: value for name, value in body.items() if value is not None}


def create_mirror(url: str) -> None:
    """As the indexer does at its first start."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        metadata = mirror_tables.metadata
        connection.execute(sqlalchemy.schema.CreateSchema(str(metadata.schema), if_not_exists=True))
        metadata.create_all(connection)
        for grant in mirror_tables.READABLE:
            connection.execute(sqlalchemy.text(grant))
        connection.execute(sqlalchemy.text(f"comment on schema mirror is '{mirror_schema.DEFINITION}'"))
    engine.dispose()


def create_tables(url: str) -> None:
    """In an empty database."""
    fill(url, "gateway", make_tables)


def make_tables(url: str) -> None:
    create_schema(url)
    create_mirror(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into exchange.signer (address, role, key) values (%s, 'operator', %s)", (LANE, b"sealed")
        )


@pytest.fixture
def make_settings(database: str, tmp_path: Path) -> Callable[..., Settings]:
    def make(**more: Any) -> Settings:
        path = tmp_path / "deployment.json"
        deployment.save(DEPLOYMENT, path)
        defaults = {
            "database_url": database, "deployment": path, "operator_api_key": OPERATOR, "pool_size": 8,
            "failure_burst": 10_000,  # whole matrices of calls without a key come from one address
        }  # fmt: skip
        return Settings(**{**defaults, **more})

    return make


@asynccontextmanager
async def serve(settings: Settings, *, clock: Callable[[], float] = time.time) -> AsyncIterator[Client]:
    """A gateway in this process, on tables that are there."""
    app = create_app(settings, clock=clock)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
            yield Client(http, Chain(settings.database_url), app, settings)


@pytest_asyncio.fixture
async def client(database: str, make_settings: Callable[..., Settings]) -> AsyncIterator[Client]:
    create_tables(database)
    async with serve(make_settings()) as client:
        yield client
