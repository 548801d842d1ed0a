"""A node that has our contracts, without deploying them anew for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from contracts import deploy
from contracts.deployment import Deployment
from tests.conftest import Anvil, free_port
from tests.relayer.network import Network, gateway_of
from tests.relayer.rig import OPERATOR, Rig, dump_state, open_rig


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, Path]:
    folder = tmp_path_factory.mktemp("deployed")
    node = Anvil(free_port())
    node.start()
    try:
        deployment = deploy.deploy(node.url, OPERATOR, path=folder / "deployment.json")
        dump_state(node, folder / "state.json")
    finally:
        node.kill()
    return deployment, folder / "state.json"


@pytest_asyncio.fixture
async def rig(database: str, new_anvil: Callable[..., Anvil], deployed: tuple[Deployment, Path]) -> AsyncIterator[Rig]:
    deployment, state = deployed
    node = new_anvil("--no-mining", "--slots-in-an-epoch", "4", "--load-state", str(state))
    async with open_rig(database, node, deployment) as made:
        yield made


@pytest_asyncio.fixture
async def network(database: str, new_anvil: Callable[..., Anvil], tmp_path: Path) -> AsyncIterator[Network]:
    node = new_anvil("--hardfork", "osaka")
    made = deploy.deploy(node.url, OPERATOR, path=tmp_path / "deployment.json")
    async with open_rig(database, node, made) as rig, gateway_of(rig, tmp_path / "deployment.json") as client:
        programme = await rig.programme()
        await rig.settle()
        client.chain.programme(programme.address)
        yield Network(client, rig, programme)
