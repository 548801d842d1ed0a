"""What `docs/GUARANTEES.md` says is held to by tests that exist."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def test_every_guarantee_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "docs" / "GUARANTEES.md").read_text().splitlines() if line.startswith("| ")][1:]
    written = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert len(rows) > 10
    assert all(named), "a promise without a test"
    assert {name for row in named for name in row} <= written
