"""The `points audit` commands: what is asked, of which nodes, and where the report goes.

What is not given is taken from the local installation, if there is one. A deployment that is given is somebody else's,
and then the installation's database is not compared with it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from scripts import environment
from scripts.errors import CommandFailed

if TYPE_CHECKING:  # the auditor itself is loaded by whoever asks for it: `points --help` need not wait for it
    from scripts.audit.options import Options
    from scripts.audit.record import Record
    from scripts.audit.watch import Watch

app = typer.Typer(invoke_without_command=True, subcommand_metavar="[COMMAND]")
console = Console()
REPORT = Path("report.json")

Data = Annotated[Path, typer.Option("--data", metavar="FOLDER", help="This installation's data.", envvar="POINTS_DATA")]
Rpc = Annotated[
    list[str] | None,
    typer.Option("--rpc", metavar="URL", help="A node; several must agree on the final block (default: ours)."),
]
Deployed = Annotated[
    Path | None, typer.Option("--deployment", metavar="FILE", help="The contracts' addresses (default: ours).")
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="The SQL mirror to compare (default: ours, of our deployment)."),
]
Receipts = Annotated[
    Path | None, typer.Option("--receipts", metavar="FOLDER", help="Merchants' receipts to hold them to.")
]
Block = Annotated[
    str | None,
    typer.Option("--block", metavar="HASH", help="The one block to trust, or `latest` (default: the final one)."),
]
Sample = Annotated[
    int | None, typer.Option("--sample", metavar="N", min=0, help="Prove so many balances only (default: all).")
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Of the sample (default: random, and in the report).")
]
Output = Annotated[Path, typer.Option("--output", metavar="FILE", help="Where the signed report goes.")]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The auditor's key (default: auditor.key in --data).")
]


class Per(Enum):
    DAY = "day"
    MONTH = "month"
    WHOLE = "whole"


class NotAsked(CommandFailed):
    """When the options do not say what to audit."""


@app.callback()
def main(
    context: typer.Context,
    data: Data = environment.DEFAULT_DATA,
    rpc: Rpc = None,
    deployed: Deployed = None,
    database: Database = None,
    receipts: Receipts = None,
    block: Block = None,
    sample: Sample = None,
    seed: Seed = None,
    every: Annotated[bool, typer.Option("--all", help="Prove all balances: the default.")] = False,
    output: Output = REPORT,
    key: Key = None,
) -> None:
    """Derive the whole ledger again from the chain, trusting one block hash and nobody.

    Exit 0 if all is proved, 1 if something contradicts it, 2 if something could not be verified.
    """
    if context.invoked_subcommand is not None:
        sources = {source.name for name in context.params if (source := context.get_parameter_source(name))}
        if "COMMANDLINE" in sources:
            raise NotAsked(f"Options of `audit {context.invoked_subcommand}` stand behind its name.")
        return
    from scripts.audit import run

    if every and sample is not None:
        raise NotAsked("Give --sample or --all, not both.")
    urls = _urls(data, rpc)
    options = _options(data, deployed, database, receipts, _resolved(block, urls), sample, seed)
    record, timings = asyncio.run(run.live(options, urls))
    raise typer.Exit(run.finish(record, timings, output=output, key=_key(data, key), console=console))


@app.command()
def pack(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The file to write.")],
    data: Data = environment.DEFAULT_DATA,
    rpc: Rpc = None,
    deployed: Deployed = None,
    receipts: Receipts = None,
    block: Block = None,
    sample: Sample = None,
    seed: Seed = None,
    output: Output = REPORT,
    key: Key = None,
) -> None:
    """Audit, and keep all that the nodes answered, and the receipts, in BUNDLE. No database is looked at."""
    from scripts.audit import run

    urls = _urls(data, rpc)
    options = _options(data, deployed, None, receipts, _resolved(block, urls), sample, seed, compare=False)
    record, timings = asyncio.run(run.packed(options, urls, path))
    console.print(f"Packed in {path}: {path.stat().st_size:,} bytes.\n", highlight=False, soft_wrap=True)
    raise typer.Exit(run.finish(record, timings, output=output, key=_key(data, key), console=console))


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `points audit pack` wrote.")],
    data: Data = environment.DEFAULT_DATA,
    block: Annotated[str | None, typer.Option("--block", metavar="HASH", help="The block that you trust.")] = None,
    output: Output = REPORT,
    key: Key = None,
) -> None:
    """Audit BUNDLE without a network: the same audit, by the answers that are in it."""
    from scripts.audit import run

    record, timings = asyncio.run(run.unpacked(path, _hash(block)))
    code = run.finish(record, timings, output=output, key=_key(data, key), console=console)
    if block is None:
        console.print("The block's hash is the bundle's own word: compare it with one that you trust (--block).")
    raise typer.Exit(code)


@app.command()
def watch(
    data: Data = environment.DEFAULT_DATA,
    rpc: Rpc = None,
    deployed: Deployed = None,
    database: Database = None,
    receipts: Receipts = None,
    sample: Sample = None,
    seed: Seed = None,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks at the nodes.")] = 10.0,
    whole: Annotated[float, typer.Option(metavar="SECONDS", help="Until the audit begins anew, whole.")] = 3_600.0,
    stop: Annotated[bool, typer.Option("--stop", help="End with exit 1 at the first contradiction.")] = False,
) -> None:
    """Audit, then audit whatever becomes final, in lines of JSON. Ctrl-C ends it: exit 1 if anything was found."""
    from scripts.audit import display, run
    from scripts.audit.watch import Watch

    options = _options(data, deployed, database, receipts, None, sample, seed)

    async def follow() -> Watch:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with run.opened(_urls(data, rpc)) as nodes:
            with display.progress(Console(stderr=True), live=False) as progress:
                watch = Watch(options, nodes, progress, _tell, lasting=whole)
                await watch.run(every=every, stopping=stopping, stop_if_found=stop)
                return watch

    raise typer.Exit(1 if asyncio.run(follow()).alarmed else 0)


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


@app.command()
def why(
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Its id in the report, or how that begins.")],
    path: Annotated[Path, typer.Option("--report", metavar="FILE", help="The report.")] = REPORT,
    data: Data = environment.DEFAULT_DATA,
    rpc: Rpc = None,
    deployed: Deployed = None,
    database: Database = None,
    receipts: Receipts = None,
) -> None:
    """Look at one finding again: exit 1 if it is found again, 0 if not, 2 if it is a doubt that remains."""
    from scripts.audit import display, report, run
    from scripts.audit import why as again

    told = report.check(path).report
    found = again.find(told, finding)
    anchor, drawn = told.inputs.get("anchor") or {}, told.inputs.get("sample") or {}
    count, seed = drawn.get("count"), int(drawn.get("seed") or 0)
    options = _options(data, deployed, database, receipts, anchor.get("hash"), count, seed)

    async def look() -> bool:
        async with run.opened(_urls(data, rpc)) as nodes:
            await again.show_place(found, options, nodes, console)
            console.print("\nWhat is right there follows from all that was before it: the whole history is replayed.")
            with display.progress(Console(stderr=True)) as progress:
                return await again.is_found_again(found, options, nodes, progress)

    if not asyncio.run(look()):
        console.print("[green]Not found again[/green]: an audit of the same block does not say so now.")
        raise typer.Exit(0)
    console.print("[red]Found again[/red] by an audit of the same block.")
    raise typer.Exit(1 if found in told.findings else 2)


@app.command()
def liability(
    programme: Annotated[str, typer.Option(metavar="ADDRESS", help="Of the programme's token.")],
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    to: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day after the period.")],
    per: Annotated[Per, typer.Option(help="One line for each of these.")] = Per.MONTH,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values, and not JSON.")] = False,
    data: Data = environment.DEFAULT_DATA,
    rpc: Rpc = None,
    deployed: Deployed = None,
    block: Block = None,
) -> None:
    """A programme's liability by period, as its accountants are told: docs/ACCOUNTING.md. From the chain alone.

    Exit 0 if all of it is proved; else nothing is printed but what stands against it, with exit 1 or 2.
    """
    from scripts.audit import display, run
    from scripts.audit import liability as books

    if to <= start:
        raise NotAsked("--to is the first day after the period, so it comes after --from.")
    options = _options(data, deployed, None, None, block, None, None, compare=False)
    address = _hexadecimal(programme, 20, "address")

    async def read() -> tuple[books.Books, Record]:
        async with run.opened(_urls(data, rpc)) as nodes:
            with display.progress(Console(stderr=True)) as progress:
                return await books.proved(options, nodes, address, progress)

    read_, record = asyncio.run(read())
    for each in (*record.findings, *record.doubts):
        sys.stderr.write(f"{each.message}\n")
    if record.exit_code:
        raise typer.Exit(record.exit_code)
    lines = read_.lines(start.date(), to.date(), per.value)
    sys.stdout.buffer.write(books.as_csv(lines) if as_csv else books.as_json(read_, per.value, lines) + b"\n")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The earlier report.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later report.")],
) -> None:
    """What is new, gone and changed between two reports: exit 1 if there are new contradictions."""
    from scripts.audit import difference, report

    found = difference.between(report.check(old).report, report.check(new).report)
    difference.show(found, console)
    raise typer.Exit(1 if found.new else 0)


@app.command("check-report")
def check_report(
    path: Annotated[Path, typer.Argument(metavar="REPORT", help="The report.")] = REPORT,
    signer: Annotated[str | None, typer.Option(metavar="KEY", help="The auditor's public key, in hexadecimal.")] = None,
) -> None:
    """Is the report as its auditor signed it? Exit 0 if so, 1 if something was changed, 2 if it cannot be read."""
    from scripts.audit import display, report

    try:
        signed = report.check(path, signer=signer)
    except report.Tampered as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(1) from error
    display.show(signed.report, console, path)
    console.print(f"Signed by {signed.signature.signer}.", highlight=False)
    if signer is None:
        console.print("Anybody can sign: compare that key with your auditor's (--signer).")


def _options(
    data: Path,
    deployed: Path | None,
    database: str | None,
    receipts: Path | None,
    block: str | None,
    sample: int | None,
    seed: int | None,
    *,
    compare: bool = True,
) -> Options:
    """`compare` is whether the installation's own database is looked at if none is given."""
    from contracts import deployment
    from scripts.audit.options import Options

    place = environment.Installation(data.resolve())
    settings = environment.load(place)
    if database is None and deployed is None and compare:
        database = settings.get("POINTS_DATABASE_URL")
    file = deployed or Path(settings.get("POINTS_DEPLOYMENT", place.deployment))
    try:
        found = deployment.load(file)
    except FileNotFoundError as error:
        raise NotAsked(
            f"There is no {file}: name the contracts' addresses by --deployment FILE, or an installation by --data."
        ) from error
    except (ValueError, OSError) as error:
        raise NotAsked(f"{file} is no deployment: {error}.") from error
    if receipts is not None and not receipts.is_dir():
        raise NotAsked(f"{receipts} is no folder of receipts.")
    return Options(
        deployment=found,
        block=_hash(block),
        database=database,
        receipts=receipts,
        sample=sample,
        seed=seed if seed is not None else 0 if sample is None else secrets.randbits(32),
    )


def _resolved(block: str | None, urls: Sequence[str]) -> str | None:
    if block != "latest":
        return block
    from scripts.audit import run

    return f"0x{asyncio.run(run.newest(urls)).hex()}"


def _hash(block: str | None) -> bytes | None:
    return None if block is None else _hexadecimal(block, 32, "block's hash")


def _hexadecimal(text: str, size: int, what: str) -> bytes:
    from contracts.rpc import from_hex

    try:
        found = from_hex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise NotAsked(f"{text} is no {what}: 0x and {2 * size} hexadecimal digits.")
    return found


def _urls(data: Path, rpc: list[str] | None) -> list[str]:
    settings = environment.load(environment.Installation(data.resolve()))
    return rpc or [settings.get("POINTS_RPC_URL", "http://127.0.0.1:8545")]


def _key(data: Path, key: Path | None) -> Path:
    return key or data / "auditor.key"
