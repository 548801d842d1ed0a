"""`make gas`: our acts and the peers' on one chain, in one table; our figures become the snapshot that a test holds.

With `--ours` nothing but the snapshot: no peer needs to be installed or compiled.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contracts.compile import CompilationError
from scripts.gas import ours, peers
from scripts.gas.meter import Figure, MeasurementFailed, Meter, fresh_node

WIDTH = 110


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.gas", description=__doc__)
    parser.add_argument("--ours", action="store_true", help="measure our acts only, and write the snapshot")
    options = parser.parse_args(arguments)
    console = Console()
    console.width = max(console.width, WIDTH)  # a pipe is taken for 80 columns
    try:
        code = {} if options.ours else peers.compile_peers()
        with fresh_node() as url, tempfile.TemporaryDirectory() as folder:
            meter = Meter(url)
            own = ours.measure(meter, Path(folder))
            others = [] if options.ours else peers.measure(meter, code)
    except (MeasurementFailed, CompilationError) as problem:
        console.print(str(problem), style="red", markup=False)
        return 2
    console.print(table(own, others))
    ours.write_snapshot(own)
    return 0


def table(own: Sequence[Figure], others: Sequence[Figure]) -> Table:
    """Every act's rows together, ours first; `x` is how often our first figure goes into another."""
    shown = Table(title="Gas for one act: its transaction's, divided by the acts in it (Osaka)", title_justify="left")
    shown.add_column("act", no_wrap=True)
    for name in ("acts", "existing holder", "x", "new holder", "x"):
        shown.add_column(name, justify="right", no_wrap=True)
    for act in dict.fromkeys(one.act for one in own):
        (first, *more) = [one for one in own if one.act == act]
        if more or any(one.act == act for one in others):
            shown.add_section()
        shown.add_row(f"points-exchange, {first.who}", *_cells(first, None), style="bold")
        for one in more:
            shown.add_row(f"points-exchange, {one.who}", *_cells(one, first))
        for one in others:
            if one.act == act:
                shown.add_row(one.who, *_cells(one, first))
    return shown


def _cells(one: Figure, first: Figure | None) -> tuple[str, str, str, str, str]:
    existing, new = (None, None) if first is None else (first.existing, first.new)
    return (
        str(one.batch),
        f"{one.existing:,}",
        _ratio(one.existing, existing),
        "" if one.new is None else f"{one.new:,}",
        _ratio(one.new, new),
    )


def _ratio(gas: int | None, of: int | None) -> str:
    return "" if gas is None or of is None else f"{gas / of:.2f}"


if __name__ == "__main__":
    sys.exit(main())
