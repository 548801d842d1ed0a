"""Proves what can be proved of the contracts, by programs that this project did not write.

`python -m scripts.prove symbolic`  every statement of `contracts/test/symbolic`, for all inputs (halmos, yices, cvc5)
`python -m scripts.prove static`    nothing above informational is found in the sources (slither)
`python -m scripts.prove erc20`     the token is an ERC-20 one: slither's check of its interface, and the properties that
                                    slither generates, run against the committed bytecode in forge's EVM

The provers pin older packages than ours, so they live in an environment of their own (`make prove` installs it). Any
finding, failure or time-out is a non-zero exit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.errors import CommandFailed
from scripts.node import CONTRACTS, ROOT, tool

PROVERS = ROOT / ".venv-prove" / "bin"
BUILD = ROOT / "build" / "prove"


class NotProved(CommandFailed):
    """Raised when a prover found something, or could not tell."""


def environment(**more: str) -> dict[str, str]:
    """The provers and forge first on the path; `contracts/cvc5` last, for machines without that solver's program."""
    path = [str(PROVERS), str(tool("forge").parent), os.environ["PATH"], str(CONTRACTS)]
    return {**os.environ, "PATH": os.pathsep.join(path), "FOUNDRY_SOLC": str(CONTRACTS / "solc"), **more}


def run(command: Sequence[str], *, cwd: Path = CONTRACTS, env: Mapping[str, str] | None = None) -> None:
    """Lets a prover speak for itself; raises `NotProved` if it says no."""
    if not PROVERS.is_dir():
        raise NotProved("The provers are not installed: run `make prove`.")
    sys.stdout.flush()
    if subprocess.run(command, cwd=cwd, env=env or environment(), check=False).returncode != 0:  # noqa: S603
        raise NotProved(f"Not proved: {' '.join(command)}")


def symbolic() -> None:
    run(["halmos"], env=environment(FOUNDRY_PROFILE="prove"))


def main(arguments: list[str]) -> int:
    commands = {"symbolic": symbolic}
    if not arguments or any(name not in commands for name in arguments):
        sys.exit(f"usage: python -m scripts.prove {'|'.join(commands)} ...")
    try:
        for name in arguments:
            commands[name]()
    except CommandFailed as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
