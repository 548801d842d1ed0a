"""The gateway over HTTP and the relayer on one chain that has passkeys; the mirror is written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from contracts import deployment
from contracts.rpc import to_hex
from exchange.settings import Settings
from tests.gateway.conftest import OPERATOR as OPERATOR_API_KEY
from tests.gateway.conftest import Client, create_mirror, serve
from tests.relayer.rig import MASTER, Programme, Rig

FRIEND = b"\xfe" * 20


@dataclass
class Network:
    """The gateway and the relayer on one chain; the mirror is written by hand."""

    client: Client
    rig: Rig
    programme: Programme

    async def fund(self, holder: bytes, points: int) -> None:
        """Really, by a purchase, and in the mirror."""
        [person] = await self.rig.all("select id, holder from exchange.customer where holder = %s", holder) or [
            await self._person(holder)
        ]
        await self.rig.purchases(self.programme, 1, customers=[(person[0], holder)], points=points)
        await self.rig.batch()
        await self.rig.settle()
        assert await self.rig.balance(self.programme, holder) == points
        self.client.chain.credit(self.programme.address, holder, points)

    async def _person(self, holder: bytes) -> Any:
        [(id, _)] = await self.rig.customers(1)
        await self.rig.sql.execute("update exchange.customer set holder = %s where id = %s", (holder, id))
        return id, holder

    async def wish(self, holder: bytes, amount: str = "3.00") -> dict[str, Any]:
        body = {
            "kind": "send", "programme": to_hex(self.programme.address), "holder": to_hex(holder), "amount": amount,
            "to": to_hex(FRIEND),
        }  # fmt: skip
        drafted = await self.client.http.post("/v1/intents/draft", json=body)
        assert drafted.status_code == 200, drafted.text
        return {**body, **{name: drafted.json()[name] for name in ("nonce", "deadline", "digest")}}

    async def submit(self, wish: dict[str, Any], **signed: Any) -> Any:
        body = {name: value for name, value in wish.items() if name != "digest"}
        return await self.client.http.post("/v1/intents", json={**body, **signed})

    async def friend_has(self) -> int:
        await self.rig.settle()
        return await self.rig.balance(self.programme, FRIEND)


@asynccontextmanager
async def gateway_of(rig: Rig, path: Path) -> AsyncIterator[Client]:
    assert deployment.load(path) == rig.deployment
    create_mirror(rig.database)
    settings = Settings(
        database_url=rig.database,
        deployment=path,
        operator_api_key=SecretStr(OPERATOR_API_KEY),
        rpc_url=rig.rpc.url,
        pool_size=4,
        master_key=SecretStr(MASTER.hex()),
    )
    async with serve(settings) as client:
        yield client
