"""The `points` command: one verb for each part that runs, and for what people ask of a running network."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import structlog
import typer
from rich.console import Console

from contracts.errors import ChainError
from scripts import auditing, environment, verify_proof
from scripts.errors import CommandFailed

app = typer.Typer(
    help="An exchange of loyalty points: run it, feed it, look at it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
replay_app = typer.Typer(help="Drive the running gateway with real purchases.", no_args_is_help=True)
app.add_typer(replay_app, name="replay")
index_app = typer.Typer()
app.add_typer(index_app, name="index")
app.add_typer(auditing.app, name="audit")
app.add_typer(verify_proof.app, name="verify")

Data = Annotated[Path, typer.Option("--data", help="Folder of this installation's data.", envvar="POINTS_DATA")]
console = Console()


@app.command()
def up(
    data: Data = environment.DEFAULT_DATA,
    port: Annotated[int, typer.Option(help="Port of the gateway.")] = 8000,
    rpc_port: Annotated[int, typer.Option(help="Port of the local chain.")] = 8545,
    workers: Annotated[int, typer.Option(help="Gateway processes.")] = 1,
    weeks: Annotated[int, typer.Option(min=0, max=53, help="Weeks of real purchases to replay before serving.")] = 1,
    samples: Annotated[bool, typer.Option(help="Enrol the sample merchants, charities and purchases.")] = True,
) -> None:
    """Start everything on this machine, from nothing or from where it was. Ctrl-C stops it."""
    from scripts.up import Plan, up

    plan = Plan(data=data, port=port, rpc_port=rpc_port, workers=workers, weeks=weeks, samples=samples)
    asyncio.run(up(plan, console))


@app.command()
def deploy(data: Data = environment.DEFAULT_DATA) -> None:
    """Deploy the contracts to POINTS_RPC_URL with POINTS_OPERATOR_KEY, unless they are there already."""
    from contracts import deploy as contracts

    settings = _settings(data)
    deployment = contracts.deploy(
        settings["POINTS_RPC_URL"],
        bytes.fromhex(settings["POINTS_OPERATOR_KEY"].removeprefix("0x")),
        path=Path(settings["POINTS_DEPLOYMENT"]),
    )
    for name in ("settlement", "exchange", "factory", "bundle"):
        console.print(f"{name:<11} 0x{getattr(deployment, name).hex()}")


@app.command()
def migrate(data: Data = environment.DEFAULT_DATA) -> None:
    """Bring schema `exchange` at POINTS_DATABASE_URL, by its owner's login, to the newest revision."""
    from exchange.database import create_schema

    create_schema(_settings(data)["POINTS_DATABASE_URL"])


@app.command("rotate-keys")
def rotate_keys(data: Data = environment.DEFAULT_DATA) -> None:
    """Seal anew, under POINTS_MASTER_KEY, what POINTS_OLD_MASTER_KEY sealed. Safe while all runs, and to run again."""
    from scripts import rotate

    raise typer.Exit(0 if asyncio.run(rotate.rotate(_settings(data), console)) else 1)


@app.command()
def serve(data: Data = environment.DEFAULT_DATA) -> None:
    """Run the gateway."""
    _become(data, "exchange")


@app.command()
def relay(data: Data = environment.DEFAULT_DATA) -> None:
    """Run the relayer."""
    _become(data, "exchange.relayer")


@app.command()
def notify(data: Data = environment.DEFAULT_DATA) -> None:
    """Run the sender of webhooks."""
    _become(data, "exchange.webhooks")


@index_app.callback(invoke_without_command=True)
def index(context: typer.Context, data: Data = environment.DEFAULT_DATA) -> None:
    """Run the indexer, or ask something of the mirror."""
    if context.invoked_subcommand is None:
        index_run(data)


@index_app.command("run")
def index_run(data: Data = environment.DEFAULT_DATA) -> None:
    """Follow the chain, for ever. The same as no command."""
    _become(data, "indexer", "run")


@index_app.command("backfill")
def index_backfill(
    data: Data = environment.DEFAULT_DATA,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build another mirror beside, then switch.")] = False,
) -> None:
    """Go to the chain's head, tell of the progress, and end."""
    _become(data, "indexer", "backfill", *(["--rebuild"] if rebuild else []))


@index_app.command("verify")
def index_verify(
    data: Data = environment.DEFAULT_DATA,
    first: Annotated[int | None, typer.Option(help="First block; the contracts' if not given.")] = None,
    last: Annotated[int | None, typer.Option(help="Last block; the mirror's newest if not given.")] = None,
) -> None:
    """Read blocks again and compare them with the mirror: exit 1, and the rows, if they differ."""
    given = [("--first", first), ("--last", last)]
    _become(data, "indexer", "verify", *(f"{name}={value}" for name, value in given if value is not None))


@index_app.command("rewind")
def index_rewind(
    block: Annotated[int, typer.Argument(help="The newest block that stays.")],
    data: Data = environment.DEFAULT_DATA,
    drop: Annotated[bool, typer.Option("--drop", help="Drop the whole mirror if BLOCK is below finality.")] = False,
) -> None:
    """Roll the mirror back to BLOCK, which must not be below finality."""
    _become(data, "indexer", "rewind", str(block), *(["--drop"] if drop else []))


@index_app.command("status")
def index_status(data: Data = environment.DEFAULT_DATA) -> None:
    """Say where the mirror stands: exit 1 if there is none."""
    _become(data, "indexer", "status")


@app.command()
def status(data: Data = environment.DEFAULT_DATA) -> None:
    """Show how far each part is: queue, chain, mirror, and every programme's points."""
    from scripts.status import show

    raise typer.Exit(0 if asyncio.run(show(_settings(data), console)) else 1)


@app.command()
def trace(
    id: Annotated[UUID, typer.Argument(help="Of a purchase, a refund or an intent, as the gateway answered it.")],
    data: Data = environment.DEFAULT_DATA,
) -> None:
    """Follow one purchase, refund or intent from its request to its block."""
    from scripts import trace

    asyncio.run(trace.show(_settings(data), id, console))


@app.command()
def bench(
    sections: Annotated[
        list[str] | None,
        typer.Argument(help="purchases, bulk, minting, reads, index or replay; all of them if none is named."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each section; medians are of all of them.")] = 3,
    scale: Annotated[float, typer.Option(min=0.001, help="Of the sizes that the goals are about.")] = 1.0,
    output: Annotated[Path | None, typer.Option("--json", help="Where all values go, too.")] = None,
) -> None:
    """Measure on networks of its own, beside baselines of the same run: exit 1 if a goal is missed."""
    from scripts.bench.bench import Bench
    from scripts.bench.sections import chosen, run

    met = run(Bench(console, rounds=rounds, scale=scale), chosen(sections or []), output=output)
    raise typer.Exit(0 if met else 1)


@app.command("verify-code")
def verify_code(
    address: Annotated[str, typer.Argument(help="A contract's address.")],
    rpc: Annotated[str, typer.Option(help="URL of a node.", envvar="POINTS_RPC_URL")] = "http://127.0.0.1:8545",
) -> None:
    """Compare the code at ADDRESS with this build: exit 0 if equal, 1 if different, 2 if it could not be checked."""
    from scripts import verify_code

    verdict = asyncio.run(verify_code.verify(rpc, address))
    verify_code.show(verdict, console)
    raise typer.Exit(0 if verdict.contract else 1)


@app.command("import")
def import_(
    merchant: Annotated[str, typer.Argument(help="The merchant's slug.")],
    file: Annotated[Path, typer.Argument(help="CSV or Parquet with the columns member, points and, maybe, reference.")],
    data: Data = environment.DEFAULT_DATA,
    enrol: Annotated[bool, typer.Option("--enrol", help="Make custodial customers of unknown members.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every row and store nothing.")] = False,
    errors: Annotated[Path | None, typer.Option(help="Where refused rows go. [default: FILE.errors.csv]")] = None,
) -> None:
    """Import a programme's opening balances: exit 0 if all rows are in, 1 if some were refused. Safe to run again."""
    from scripts.importing import import_balances, merchant_key
    from scripts.samples import sample_keys

    settings = environment.load(environment.Installation(data.resolve()))  # the gateway may be anywhere
    tally = asyncio.run(
        import_balances(
            console,
            url=settings.get("POINTS_GATEWAY_URL", "http://127.0.0.1:8000"),
            key=merchant_key(settings, sample_keys(environment.Installation(data.resolve())), merchant),
            merchant=merchant,
            path=file,
            enrol=enrol,
            dry_run=dry_run,
            errors=errors or file.with_name(file.name + ".errors.csv"),
        )
    )
    raise typer.Exit(1 if tally.refused else 0)


@replay_app.command("complete-journey")
def complete_journey(
    data: Data = environment.DEFAULT_DATA,
    weeks: Annotated[int, typer.Option(min=1, max=53, help="How many weeks of 2017.")] = 53,
    seed: Annotated[int, typer.Option(help="Seed of the swaps, sends, redemptions and gifts.")] = 2017,
) -> None:
    """Replay a year of 2,469 households through the gateway, then compare data, chain and mirror."""
    from scripts.replay.drive import replay

    tally = asyncio.run(replay(_settings(data), environment.installation(data), console, weeks=weeks, seed=seed))
    raise typer.Exit(0 if tally.equal else 1)


def _settings(data: Path) -> dict[str, str]:
    settings = environment.load(environment.Installation(data.resolve()))
    missing = [name for name in ("POINTS_DATABASE_URL", "POINTS_RPC_URL") if name not in settings]
    if missing:
        console.print(f"{' and '.join(missing)} not set, and no installation in {data}: start one with `points up`.")
        raise typer.Exit(2)
    return settings


def _become(data: Path, *module: str) -> None:
    """Replaces this process, so that signals and exit codes are the part's own."""
    os.execve(sys.executable, [sys.executable, "-m", *module], {**os.environ, **_settings(data)})  # noqa: S606


def main() -> None:
    """Runs the command; a failure that the user can mend is one sentence, not a traceback."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        app()
    except (CommandFailed, ChainError) as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(2)


if __name__ == "__main__":
    main()
