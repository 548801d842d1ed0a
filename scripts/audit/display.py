"""How an audit looks to whoever runs it: how far it is, one row for each check, what was found, one sentence.

Progress goes to stderr: a bar where that is a terminal, else a plain line every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from scripts.audit.options import Progress, Step
from scripts.audit.record import CHECKS
from scripts.audit.report import Count, Found, Report

OF_ONE_CHECK: Final = 3
OF_ALL: Final = 12
"""Findings that are shown of each check, and in all."""
WANT_MORE: Final = {"mirror": "--database", "promises": "--database or --receipts", "freshness": "--database"}
"""Checks that take more than a node, and what they take."""
_WIDE: Final = 110
_SECONDS: Final = 5.0
_NOTHING: Final = Count(0, 0, 0, 0)


@contextmanager
def progress(console: Console, *, live: bool = True) -> Iterator[Progress]:
    """Shows what it is told on `console`, which is stderr's: as a bar, if `live` and that is a terminal."""
    if not (live and console.is_terminal):
        yield _lines(console)
        return
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[counts]}"),
        bars.TimeElapsedColumn(),
    )
    counted = _counting()
    # What goes to stdout meanwhile stays there.
    with bars.Progress(*columns, console=console, transient=True, redirect_stdout=False) as shown:
        bar = shown.add_task("asking the nodes", total=None, counts="")

        def told(step: Step) -> None:
            shown.update(bar, description=step.stage, completed=step.done, total=step.total, counts=counted(step))

        yield told


def _lines(console: Console) -> Progress:
    last, stage = time.monotonic(), ""
    counted = _counting()

    def told(step: Step) -> None:
        nonlocal last, stage
        counts = counted(step)
        now = time.monotonic()
        if step.stage == stage and now - last < _SECONDS and step.done < step.total:
            return
        last, stage = now, step.stage
        console.print(f"{step.stage}: {step.done:,} of {step.total:,}{counts and ', ' + counts}", soft_wrap=True)

    return told


def _counting() -> Callable[[Step], str]:
    """Logs, and purchases by the second while there come more of them."""
    begun = time.monotonic()
    seen, at = 0, begun

    def counted(step: Step) -> str:
        nonlocal seen, at
        if step.purchases != seen:
            seen, at = step.purchases, time.monotonic()
        told = [_many(step.logs, "log")] if step.logs else []
        if seen and at - begun >= 1:
            told.append(f"{seen / (at - begun):,.0f} purchases/s")
        return ", ".join(told)

    return counted


def show(report: Report, console: Console, path: Path | None = None) -> None:
    """Prints the table, what was found (cut short; all of it is at `path`) and the verdict."""
    console.print(_about(report), highlight=False)
    console.print(_table(report, wide=console.width >= _WIDE))
    for title, found in (("Contradictions", report.findings), ("Could not be verified", report.doubts)):
        _list(title, found, console, path)
    console.print(f"\n{verdict(report)}", highlight=False)


def _about(report: Report) -> str:
    anchor = report.inputs.get("anchor") or {}
    number, block = anchor.get("number"), str(anchor.get("hash", ""))
    if not isinstance(number, int):
        return "Audit of no block: the nodes showed none that could be trusted."
    moment = time.strftime(", %Y-%m-%d %H:%M:%S UTC", time.gmtime(anchor["time"])) if "time" in anchor else ""
    return f"Audit of chain {report.inputs.get('chain_id')} up to block {number:,}{moment}\n{block}"


def _table(report: Report, *, wide: bool) -> Table:
    table = Table(title_justify="left")
    table.add_column("check", no_wrap=True)
    if wide:
        table.add_column("what it proves", ratio=1)
    for name in ("proved", "skipped", "contradicted", "doubts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for check, proves in CHECKS.items():
        count = report.checks[check]
        numbers = (count.proved, count.skipped, count.contradictions, count.doubts)
        told = [f"{number:,}" if number else "" for number in numbers]
        table.add_row(check, *([proves] if wide else []), *told, _result(check, count))
    return table


def _result(check: str, count: Count) -> str:
    if count.contradictions:
        return "[bold red]CONTRADICTED[/bold red]"
    if count.doubts:
        return "[yellow]not verified[/yellow]"
    if count.proved:
        return "[green]sample[/green]" if count.skipped else "[green]proved[/green]"
    return "[dim]not checked[/dim]" if check in WANT_MORE else "[dim]none there[/dim]"


def _list(title: str, found: Sequence[Found], console: Console, path: Path | None) -> None:
    if not found:
        return
    console.print(f"\n[bold]{title}[/bold] ({len(found):,})", highlight=False)
    by_check = [list(group) for _, group in groupby(found, key=lambda each: each.check)]
    shown = [each for group in by_check for each in group[:OF_ONE_CHECK]][:OF_ALL]
    for each in shown:
        console.print(
            f"  [dim]{each.id}[/dim] [bold]{each.check}[/bold] {place(each)}", highlight=False, soft_wrap=True
        )
        console.print(Padding(escape(each.message), (0, 0, 0, 4)), highlight=False)
    if len(found) > len(shown):
        console.print(f"  and {len(found) - len(shown):,} more{f', see {path}' if path else ''}", highlight=False)


def place(found: Found) -> str:
    """In words, as `block 12, log 3`."""
    return escape(", ".join(f"{name} {value}" for name, value in found.place.items()))


def verdict(report: Report) -> str:
    """One sentence."""
    proved = sum(count.proved for count in report.checks.values())
    skipped = sum(count.skipped for count in report.checks.values())
    unchecked = [f"{check} (takes {what})" for check, what in WANT_MORE.items() if report.checks[check] == _NOTHING]
    if report.exit_code == 1:
        checks = len({each.check for each in report.findings})
        return (
            f"[bold red]Contradicted[/bold red]: {_many(len(report.findings), 'contradiction')} in"
            f" {_many(checks, 'check')}; `points audit why ID` shows one."
        )
    if report.exit_code == 2:
        return (
            f"[bold yellow]Not verified[/bold yellow]: nothing contradicts, but {_many(len(report.doubts), 'doubt')}"
            f" {'are' if len(report.doubts) > 1 else 'is'} left."
        )
    drawn = report.inputs.get("sample") or {}
    left = [f"{skipped:,} were left out: {drawn.get('confidence')}"] if skipped else []
    waiting = report.inputs.get("open_promises")
    if waiting:
        left.append(f"{_many(waiting, 'promise')} {'are' if waiting > 1 else 'is'} open: not minted, and not due")
    if unchecked:
        left.append(f"not checked: {', '.join(unchecked)}")
    more = "".join(f" {each[0].upper()}{each[1:]}." for each in left)
    return f"[bold green]Proved[/bold green]: {_many(proved, 'fact')}, and nothing contradicts them.{more}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
