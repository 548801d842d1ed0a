"""A node with our contracts on it, deployed once a session and loaded from its state by each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from contracts import deploy
from contracts.deployment import Deployment
from contracts.rpc import Rpc
from tests.conftest import Anvil, free_port
from tests.indexer.network import OPERATOR_KEY, Network, dump


@pytest.fixture(scope="session")
def contracts_deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, Path]:
    """Where the contracts are, and the state of a node that has them."""
    folder = tmp_path_factory.mktemp("network")
    node = Anvil(free_port())
    node.start()
    try:
        deployment = deploy.deploy(node.url, OPERATOR_KEY, path=folder / "deployment.json")
        dump(node.url, folder / "state.json")
    finally:
        node.kill()
    return deployment, folder / "state.json"


@pytest_asyncio.fixture
async def network(
    contracts_deployed: tuple[Deployment, Path], new_anvil: Callable[..., Anvil]
) -> AsyncIterator[Network]:
    """A node that mines only when told to."""
    deployment, state = contracts_deployed
    node = new_anvil("--no-mining", history=True)
    node.kill()
    node.start("--load-state", str(state))
    async with Rpc(node.url) as rpc:
        yield Network(node=node, rpc=rpc, deployment=deployment)
