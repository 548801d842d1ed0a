"""The replay's tables: what the data, the chain and the mirror say of every programme, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from scripts.replay.witnesses import Witnesses


def show(console: Console, found: list[Witnesses]) -> bool:
    """Prints what was earned and what is outstanding; True when all three agree everywhere."""
    earned = Table(title="Earned by purchases, in points", title_justify="left")
    outstanding = Table(title="Outstanding after swaps, sends, redemptions and gifts", title_justify="left")
    for table, columns in (
        (earned, ("programme", "purchases", "expected", "minted", "mirrored", "equal")),
        (outstanding, ("programme", "expected", "on chain", "mirrored", "equal")),
    ):
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number in (0, len(columns) - 1) else "right", no_wrap=True)
    for each in found:
        earned.add_row(each.name, f"{each.purchases:,}", *map(_points, each.earned), _verdict(each.earned))
        outstanding.add_row(each.name, *map(_points, each.supply), _verdict(each.supply))
    totals = [
        [sum(column) for column in zip(*witnesses, strict=True)]
        for witnesses in ([each.earned for each in found], [each.supply for each in found])
    ]
    for table in (earned, outstanding):
        table.add_section()
    purchases = f"{sum(each.purchases for each in found):,}"
    earned.add_row("all", purchases, *map(_points, totals[0]), _verdict(totals[0]))
    outstanding.add_row("all", *map(_points, totals[1]), _verdict(totals[1]))
    console.print(earned, outstanding)
    return all(each.equal for each in found)


def _verdict(witnesses: Sequence[int]) -> str:
    return "yes" if len(set(witnesses)) == 1 else "[red]NO[/red]"


def _points(amount: int) -> str:
    return f"{amount // 100:,}.{amount % 100:02d}"
