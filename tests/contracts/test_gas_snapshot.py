"""What each act costs on a real node is what the snapshot says: a dearer act fails here, before anybody pays for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.gas import ours
from scripts.gas.meter import ARGUMENTS, Meter
from tests.conftest import Anvil

TOLERANCE = 0.003
"""Of each figure. Signatures and addresses have more or fewer zero bytes when an address changes."""


def flat(snapshot: dict[str, dict[str, int]]) -> dict[str, int]:
    return {f"{act}, {holder}": gas for act, figures in snapshot.items() for holder, gas in figures.items()}


def test_every_act_costs_what_the_snapshot_says(new_anvil: Callable[..., Anvil], tmp_path: Path) -> None:
    measured = flat(ours.snapshot(ours.measure(Meter(new_anvil(*ARGUMENTS).url), tmp_path)))
    saved = flat(ours.read_snapshot())
    assert measured.keys() == saved.keys()
    changed = {act: (saved[act], gas) for act, gas in measured.items() if abs(gas / saved[act] - 1) > TOLERANCE}
    assert not changed, f"(snapshot, now), to be argued and then written by `make gas`: {changed}"
