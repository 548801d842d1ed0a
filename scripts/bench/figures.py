"""What a benchmark says: figures of several rounds, each beside a baseline and a goal. Pure, but for the printing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


class Goal(NamedTuple):
    """A bound of the median or, if `times_baseline`, of its ratio to the baseline's."""

    sense: Literal["at least", "at most"]
    bound: float
    times_baseline: bool = False

    def __str__(self) -> str:
        return f"{self.sense} {_number(self.bound)}{' x baseline' if self.times_baseline else ''}"


class Baseline(NamedTuple):
    """The same in the simplest way that there is, measured in the same rounds."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One value a round, in `unit`."""

    name: str
    unit: str
    values: Sequence[float]
    baseline: Baseline | None = None
    goal: Goal | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """To the baseline; None without one."""
        if self.baseline is None:
            return None
        against = statistics.median(self.baseline.values)
        return self.median / against if against else None

    @property
    def met(self) -> bool | None:
        """None without a goal."""
        if self.goal is None:
            return None
        value = self.ratio if self.goal.times_baseline else self.median
        if value is None:
            return False
        return value >= self.goal.bound if self.goal.sense == "at least" else value <= self.goal.bound


def show(console: Console, title: str, figures: Iterable[Figure]) -> None:
    """A row a figure, its baseline's below it."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column, justify in (("", "left"), ("median", "right"), ("unit", "left"), ("goal", "left"), ("", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for figure in figures:
        met = {None: "", True: "[green]met[/green]", False: "[red]missed[/red]"}[figure.met]
        goal = "" if figure.goal is None else str(figure.goal)
        table.add_row(figure.name, _number(figure.median), figure.unit, goal, met)
        if figure.baseline is not None:
            ratio = "" if figure.ratio is None else f"ratio {figure.ratio:,.3g}"
            against = _number(statistics.median(figure.baseline.values))
            table.add_row(f"  beside {figure.baseline.name}", against, figure.unit, ratio, "", style="dim")
    console.print(table)


def as_json(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "unit": figure.unit,
        "values": list(figure.values),
        "median": figure.median,
        "baseline": None
        if figure.baseline is None
        else {"name": figure.baseline.name, "values": list(figure.baseline.values)},
        "ratio": figure.ratio,
        "goal": None if figure.goal is None else str(figure.goal),
        "met": figure.met,
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed."""
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
