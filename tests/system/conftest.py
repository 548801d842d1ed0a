"""One network for all of these tests: starting it is most of their time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.network import Network


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    folder = Path(tempfile.mkdtemp(prefix="points-up-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    running = Network(folder / "data")
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        assert running.stop() == 0, running.output.read_text()
    shutil.rmtree(folder, ignore_errors=True)
