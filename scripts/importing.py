"""`points import`: a programme's opening balances, from a CSV or Parquet file, through the gateway's own route.

The file is read as a stream, a thousand rows at a time, and nothing of it is remembered: memory does not grow with it.
Nor is there a state to resume from: a balance has its effect once, so an import that was killed is simply run again.
Rows that are refused are written to a file beside, with their numbers and the reasons; the others are not held up.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scripts.errors import CommandFailed
from scripts.replay.gateway import Gateway

AT_ONCE: Final = 1_000
COLUMNS: Final = ("member", "points", "reference")
LONGEST_FIELD: Final = 4_096


class Unreadable(CommandFailed):
    """Raised when a file is not what an import can read."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a CSV file, or a row of a Parquet file counted from 1. `problem` is why it cannot be sent at all."""

    number: int
    member: str
    fields: Mapping[str, str]
    problem: str | None = None


@dataclass(slots=True)
class Tally:
    """Rows by what became of them. Base units of points."""

    rows: int = 0
    accepted: int = 0
    known: int = 0
    refused: int = 0
    enrolled: int = 0
    points: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


# --- reading


def read(path: Path) -> Iterator[tuple[Row, float]]:
    """The rows, each with how much of the file is behind it (0 to 1). Raises `Unreadable`."""
    if not path.is_file():
        raise Unreadable(f"There is no file {path}.")
    with path.open("rb") as file:
        start = file.read(4)
    return _parquet(path) if start == b"PAR1" else _csv(path)


def _csv(path: Path) -> Iterator[tuple[Row, float]]:
    size = max(1, path.stat().st_size)
    csv.field_size_limit(LONGEST_FIELD)
    with path.open("rb") as raw:
        # Decoded line by line, so that one bad byte is one bad row and not the end.
        lines = (line.decode("utf-8-sig" if first else "utf-8", "surrogateescape") for first, line in _marked(raw))
        reader = csv.reader(lines, strict=True)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
        except csv.Error as error:
            raise Unreadable(f"{path}: line 1: {error}.") from error
        _check(path, header)
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(reader.line_num, "", {}, f"The line cannot be read: {error}."), raw.tell() / size
                continue
            if values:
                yield _row(reader.line_num, header, values), raw.tell() / size


def _marked(raw: Any) -> Iterator[tuple[bool, bytes]]:
    for number, line in enumerate(iter(raw.readline, b"")):
        yield number == 0, line


def _row(number: int, header: list[str], values: list[str]) -> Row:
    fields = {name: value.strip() for name, value in zip(header, values, strict=False) if name in COLUMNS}
    member = fields.get("member", "")
    if len(values) != len(header):
        return Row(number, member, {}, f"The line has {len(values)} fields, the header {len(header)}.")
    if any("\udc80" <= letter <= "\udcff" for value in fields.values() for letter in value):
        return Row(number, ascii(member)[1:-1], {}, "The line is not UTF-8.")
    return Row(number, member, {name: value for name, value in fields.items() if value or name != "reference"})


def _parquet(path: Path) -> Iterator[tuple[Row, float]]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise Unreadable(f"{path}: {error}") from error
    with file:
        names = file.schema_arrow.names
        _check(path, names)
        kind = file.schema_arrow.field("points").type
        if pyarrow.types.is_floating(kind):
            raise Unreadable(f"{path}: the column points is {kind}; points are strings, integers or decimals.")
        number, total = 0, max(1, file.metadata.num_rows)
        for batch in file.iter_batches(batch_size=AT_ONCE, columns=[name for name in COLUMNS if name in names]):
            for values in batch.to_pylist():
                number += 1
                fields = {name: _text(value) for name, value in values.items() if value is not None}
                yield Row(number, fields.get("member", ""), fields), number / total


def _text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _check(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing or len(set(names)) != len(names):
        raise Unreadable(
            f"{path}: its columns are {', '.join(names) or 'none'};"
            " member and points are needed, reference is optional."
        )


# --- writing what was refused


class Errors:
    """The file beside, made with its first row. It names members: only its owner may read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, row: Row, slug: str, reason: str) -> None:
        if self._writer is None:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            file = self._stack.enter_context(os.fdopen(descriptor, "w", encoding="utf-8", newline=""))
            self._writer = csv.writer(file)
            self._writer.writerow(("row", "member", "type", "reason"))
        self._writer.writerow((row.number, row.member, slug, reason))


# --- sending


async def import_balances(
    console: Console, *, url: str, key: str, merchant: str, path: Path, enrol: bool, dry_run: bool, errors: Path
) -> Tally:
    """Sends the whole file. Raises `Unreadable`, `CommandFailed` if the key is another merchant's."""
    tally, rows = Tally(), read(path)
    async with Gateway(url, waiting=console.print) as gateway:
        first = await _send(gateway, key, [], enrol=enrol, dry_run=True)
        if first["merchant"] != merchant:
            raise CommandFailed(f'The key is of the merchant "{first["merchant"]}", not of "{merchant}".')
        with Errors(errors) as refused, Progress(console=console, transient=True) as progress:
            task = progress.add_task("Judging" if dry_run else "Importing", total=1.0)
            while chunk := list(islice(rows, AT_ONCE)):
                await _chunk(gateway, key, [row for row, _ in chunk], tally, refused, enrol=enrol, dry_run=dry_run)
                progress.update(task, completed=chunk[-1][1], description=f"{tally.rows:,} rows")
    _show(console, tally, first["room"], errors, dry_run=dry_run)
    return tally


async def _chunk(
    gateway: Gateway, key: str, rows: list[Row], tally: Tally, refused: Errors, *, enrol: bool, dry_run: bool
) -> None:
    sent = [row for row in rows if row.problem is None]
    answer = await _send(gateway, key, [dict(row.fields) for row in sent], enrol=enrol, dry_run=dry_run)
    results = dict(zip([row.number for row in sent], answer["results"], strict=True))
    for row in rows:
        tally.rows += 1
        result = results.get(row.number)
        if result is None or result["status"] == "refused":
            slug, reason = ("unreadable", row.problem) if result is None else _problem(result["problem"])
            tally.refused += 1
            tally.reasons[slug] = tally.reasons.get(slug, 0) + 1
            refused.add(row, slug, reason or "")
        elif result["status"] == "known":
            tally.known += 1
        else:
            tally.accepted += 1
            tally.enrolled += result["enrolled"]
            tally.points += round(Decimal(row.fields["points"]) * 100)


async def _send(gateway: Gateway, key: str, rows: list[dict[str, str]], *, enrol: bool, dry_run: bool) -> Any:
    body = {"balances": rows, "enrol": enrol, "dry_run": dry_run}
    return await gateway.post("/v1/opening-balances", body, key=key, once=None)


def _problem(problem: Mapping[str, Any]) -> tuple[str, str]:
    return str(problem["type"]).rpartition(":")[2], str(problem["detail"])


def _show(console: Console, tally: Tally, room: str, errors: Path, *, dry_run: bool) -> None:
    table = Table(title="Dry run: nothing was stored" if dry_run else "Imported", title_justify="left")
    for name in ("rows", "accepted", "known before", "refused", "enrolled", "points"):
        table.add_column(name, justify="right")
    figures = (tally.rows, tally.accepted, tally.known, tally.refused, tally.enrolled)
    table.add_row(*(f"{each:,}" for each in figures), f"{tally.points / 100:,.2f}")
    console.print(table)
    for slug, count in sorted(tally.reasons.items()):
        console.print(f"{count:,} x {slug}")
    if tally.refused:
        console.print(f"Refused rows with their reasons are in {errors}.")
    if dry_run and Decimal(tally.points) > Decimal(room) * 100:
        console.print(f"[red]The programme may issue {room} more points only.[/red]")


def merchant_key(environment: Mapping[str, str], samples: Mapping[str, str], merchant: str) -> str:
    """POINTS_MERCHANT_KEY, or the key of a sample merchant."""
    key = environment.get("POINTS_MERCHANT_KEY") or samples.get(merchant)
    if not key:
        raise CommandFailed(f'Set POINTS_MERCHANT_KEY to an API key of "{merchant}".')
    return key
