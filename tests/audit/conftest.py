"""One world for all of these tests, which has lived: they change it in transactions that are rolled back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from contracts import deploy
from contracts.deployment import Deployment
from tests.audit.world import Past, live, open_world
from tests.conftest import Anvil, free_port
from tests.relayer.rig import OPERATOR


@dataclass(frozen=True)
class Lived:
    """What is left of a world: its database, its chain as an auditor sees it, and folders of what its merchants were
    answered: at once, later with the places of their purchases, and as an export with proofs."""

    database: str
    past: Past
    receipts: Path
    places: Path
    exports: Path


@pytest.fixture(scope="session")
def lived(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("audit")
    name = f"audit_{uuid.uuid4().hex[:12]}"
    database = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    node = Anvil(free_port(), ("--no-mining", "--slots-in-an-epoch", "4"))
    node.start()
    try:
        node.kill()
        node.arguments = ("--slots-in-an-epoch", "4")
        node.start()
        made = deploy.deploy(node.url, OPERATOR, path=folder / "deployment.json")
        past = asyncio.run(_live(database, node, made, folder))
    finally:
        node.kill()
    yield Lived(database, past, folder / "receipts", folder / "places", folder / "exports")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


async def _live(database: str, node: Anvil, made: Deployment, folder: Path) -> Past:
    async with open_world(database, node, made, folder) as world:
        await world.rig.rpc.call("evm_setAutomine", False)
        grocer, florist = await live(world)
        for name in ("receipts", "places", "exports"):
            (folder / name).mkdir()
        (folder / "receipts" / "answers.jsonl").write_text("\n".join(world.receipts))
        for shop in (grocer, florist):
            statuses = ",".join(await world.statuses(shop))
            (folder / "places" / f"{shop.slug}.json").write_text(f"[{statuses}]")
        refunds = [answer for answer in world.receipts if '"amended' in answer or '"cancelled"' in answer]
        (folder / "places" / "refunds.jsonl").write_text("\n".join(refunds))
        (folder / "exports" / "ann.zip").write_bytes(await world.export(grocer, "ann"))
        return await world.past()
