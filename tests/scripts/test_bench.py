"""The benchmarks run, against the gateway and the tables as they are today. What they measure here means nothing."""

from __future__ import annotations

import pytest
from rich.console import Console

from scripts.bench import indexing, reads
from scripts.bench.bench import Bench
from scripts.bench.sections import ELSEWHERE, SECTIONS, Section


@pytest.mark.asyncio
@pytest.mark.parametrize("section", SECTIONS[:-1], ids=lambda section: section.name)
async def test_every_section_measures_something(section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(reads, "SECONDS", 1.0)
    monkeypatch.setattr(indexing, "installed", lambda: False)  # Ponder is large, and slow to start
    figures = await section.measure(Bench(Console(quiet=True), rounds=1, scale=0.005))
    assert figures
    assert all(value >= 0 for figure in figures for value in figure.values)
    assert figures[0].median > 0
