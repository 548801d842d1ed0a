"""`points verify`: what `scripts/audit/verify.py` says of a proof file. That file alone says the same, without us."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.audit import verify

app = typer.Typer(help="Verify a receipt or a balance by the proof that the gateway made of it.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The proof, as the gateway answered it.")]
Block = Annotated[str | None, typer.Option("--block", help="The hash of its block, if you know it to be the chain's.")]
Rpc = Annotated[str | None, typer.Option("--rpc", help="URL of a node that you trust to know the chain's blocks.")]


@app.command()
def receipt(file: File, block: Block = None, rpc: Rpc = None) -> None:
    """Who promised these points, and that they were minted: exit 0 if proved, 1 if false, 2 if not verified."""
    _say(file, verify.RECEIPT, block, rpc)


@app.command()
def balance(file: File, block: Block = None, rpc: Rpc = None) -> None:
    """What a holder has at a block: exit 0 if proved, 1 if false, 2 if not verified."""
    _say(file, verify.BALANCE, block, rpc)


def _say(file: Path, kind: str, block: str | None, rpc: str | None) -> None:
    code, lines = verify.run(str(file), kind=kind, block=block, rpc=rpc)
    typer.echo("\n".join(lines))
    raise typer.Exit(code)
