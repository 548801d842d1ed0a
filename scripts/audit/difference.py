"""What is new, what is gone and what stayed between two audits. Pure, but for the printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from scripts.audit.display import OF_ALL, place
from scripts.audit.report import Count, Found, Report


@dataclass(frozen=True, slots=True)
class Difference:
    """Findings and doubts by their ids; `inputs` and `counts` name what is not the same, with both values."""

    new: list[Found]
    gone: list[Found]
    same: list[Found]
    new_doubts: list[Found]
    gone_doubts: list[Found]
    inputs: dict[str, tuple[object, object]]
    counts: dict[str, tuple[Count | None, Count | None]]


def between(old: Report, new: Report) -> Difference:
    return Difference(
        new=_without(new.findings, old.findings),
        gone=_without(old.findings, new.findings),
        same=_without(new.findings, _without(new.findings, old.findings)),
        new_doubts=_without(new.doubts, old.doubts),
        gone_doubts=_without(old.doubts, new.doubts),
        inputs={
            name: (old.inputs.get(name), new.inputs.get(name))
            for name in sorted({*old.inputs, *new.inputs})
            if old.inputs.get(name) != new.inputs.get(name)
        },
        counts={
            check: (old.checks.get(check), count)
            for check, count in new.checks.items()
            if old.checks.get(check) != count
        },
    )


def _without(some: Sequence[Found], others: Sequence[Found]) -> list[Found]:
    ids = {each.id for each in others}
    return [each for each in some if each.id not in ids]


def show(found: Difference, console: Console) -> None:
    """Prints what changed; nothing of what did not."""
    for name, (before, after) in found.inputs.items():
        console.print(f"{name}: {escape(_said(before))} -> {escape(_said(after))}", highlight=False, soft_wrap=True)
    for check, (was, count) in found.counts.items():
        changes = [
            f"{name} {getattr(was, name):,} -> {getattr(count, name):,}"
            for name in Count.__struct_fields__
            if was is not None and count is not None and getattr(was, name) != getattr(count, name)
        ]
        console.print(f"{check}: {', '.join(changes) or 'new'}", highlight=False, soft_wrap=True)
    for title, findings in (
        ("[red]New[/red]", found.new),
        ("[green]Gone[/green]", found.gone),
        ("[yellow]New doubts[/yellow]", found.new_doubts),
        ("Doubts that are gone", found.gone_doubts),
    ):
        _list(title, findings, console)
    console.print(
        f"\n{len(found.new):,} new, {len(found.gone):,} gone, {len(found.same):,} the same;"
        f" doubts: {len(found.new_doubts):,} new, {len(found.gone_doubts):,} gone.",
        highlight=False,
    )


def _list(title: str, findings: Sequence[Found], console: Console) -> None:
    if not findings:
        return
    console.print(f"\n[bold]{title}[/bold] ({len(findings):,})", highlight=False)
    for each in findings[:OF_ALL]:
        console.print(
            f"  [dim]{each.id}[/dim] [bold]{each.check}[/bold] {place(each)}", highlight=False, soft_wrap=True
        )
        console.print(Padding(escape(each.message), (0, 0, 0, 4)), highlight=False)
    if len(findings) > OF_ALL:
        console.print(f"  and {len(findings) - OF_ALL:,} more", highlight=False)


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
    return "none" if value is None else str(value)
