"""A real browser with a virtual authenticator, on a page of ours. It reaches nothing but this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from scripts.browser import BrowserMissing
from tests.browser.authenticator import Authenticator, Site
from tests.contracts.node import world_with_passkeys
from tests.contracts.world import World


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        with Site.open(tmp_path_factory.mktemp("browser")) as opened:
            yield opened
    except BrowserMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture
def anna(site: Site) -> Iterator[Authenticator]:
    """Anna's device, on our page, without any passkey yet."""
    with site.device("localhost") as device:
        yield device


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with world_with_passkeys() as made:
        yield made
