"""Proves what can be proved of the contracts, by programs that this project did not write.

`python -m scripts.prove symbolic`  every statement of `contracts/test/symbolic` holds for all inputs (halmos)
`python -m scripts.prove static`    the sources have nothing that is above informational (slither)
`python -m scripts.prove erc20`     the token is an ERC-20 one: its interface by slither-check-erc, and its behaviour by
                                    slither's properties, run on the committed bytecode in forge's EVM

The provers pin older packages than ours, so they live in an environment of their own (`make prove` installs it). Any
finding, failure or time-out is a non-zero exit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from scripts.errors import CommandFailed
from scripts.node import CONTRACTS, ROOT, tool

PROVERS = ROOT / ".venv-prove" / "bin"
BUILD = ROOT / "build" / "prove"
OUT = "out/static"
BUILT = ("--foundry-ignore-compile", "--foundry-out-directory", OUT)
TICKS = 33
"""What slither-check-erc asks for: nine functions, what each answers, views and events, and the events' fields."""


class NotProved(CommandFailed):
    """Raised when a prover found something, or could not tell."""


def environment(**more: str) -> dict[str, str]:
    """The provers and forge first on the path; `contracts/cvc5` last, for machines without that solver's program."""
    path = [str(PROVERS), str(tool("forge").parent), os.environ["PATH"], str(CONTRACTS)]
    return {**os.environ, "PATH": os.pathsep.join(path), "FOUNDRY_SOLC": str(CONTRACTS / "solc"), **more}


def run(
    command: Sequence[str],
    *,
    cwd: Path = CONTRACTS,
    env: Mapping[str, str] | None = None,
    stdout: TextIO | None = None,
) -> None:
    """Lets a prover speak for itself; raises `NotProved` if it says no."""
    if not PROVERS.is_dir():
        raise NotProved("The provers are not installed: run `make prove`.")
    sys.stdout.flush()
    stderr = None if stdout is None else subprocess.STDOUT  # where slither's tools speak
    done = subprocess.run(  # noqa: S603
        command, cwd=cwd, env=env or environment(), stdout=stdout, stderr=stderr, check=False
    )
    if done.returncode != 0:
        raise NotProved(f"Not proved: {' '.join(command)}")


def symbolic() -> None:
    run(["halmos"], env=environment(FOUNDRY_PROFILE="prove"))


def static() -> None:
    build()
    # Deadlines, quotes and lives are in seconds and days of block time by design: what this detector finds is every use
    # of the clock. Where it is compared with, seconds either way are of no use to anybody.
    run(["slither", ".", *BUILT, "--fail-low", "--exclude", "timestamp"])


def build() -> None:
    """Forge's build of the sources, with the syntax trees that slither reads."""
    env = environment(FOUNDRY_OUT=OUT, FOUNDRY_CACHE_PATH="cache/static")
    run(["forge", "build", "--build-info", "--force", "--quiet", "--skip", "test/**"], env=env)


def erc20() -> None:
    if not (CONTRACTS / OUT / "build-info").is_dir():
        build()
    report = BUILD / "interface.txt"
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("w") as file:
        run(["slither-check-erc", ".", "Points", *BUILT], stdout=file)
    check_interface(report.read_text())
    suite, count = lay_out_suite(), 0
    generated = subprocess.run(  # noqa: S603
        [PROVERS / "python", "generate.py", "suite"], cwd=suite, check=True, stdout=subprocess.PIPE, text=True
    )
    run(["forge", "build", "--quiet"], cwd=suite)
    for contract, properties in json.loads(generated.stdout).items():
        for name, description in properties.items():
            sys.stdout.write(f"{description}\n")
            env = environment(SUITE=f"{contract}.sol", PROPERTY=name)
            run(["forge", "test", "--quiet"], cwd=suite, env=env)
            count += 1
    sys.stdout.write(f"ERC-20: {count} properties hold\n")


def check_interface(report: str) -> None:
    """Reads slither's list of what ERC-20 asks for: a line each, ticked if it is there."""
    ticked = report.count("[✓]")
    # The standard has no answer to the race of two approvals; ours, as everybody's, is to approve 0 in between.
    missing = [line for line in re.findall(r"\[ \] .*", report) if "approval race" not in line]
    if missing or ticked != TICKS:
        raise NotProved(f"slither-check-erc ticked {ticked} and misses {missing or 'the rest'}:\n{report}")
    sys.stdout.write(f"ERC-20: {ticked} points of the interface are as they should be\n")


def lay_out_suite() -> Path:
    """A project of the suite and of the committed artifacts, which it deploys; returns its folder."""
    home = BUILD / "erc20"
    shutil.rmtree(home, ignore_errors=True)
    (home / "suite").mkdir(parents=True)
    for source in (CONTRACTS / "conformance").iterdir():
        shutil.copy(source, home / "suite" if source.suffix == ".sol" else home)
    shutil.copytree(CONTRACTS / "artifacts", home / "artifacts")
    return home


def main(arguments: list[str]) -> int:
    commands = {"symbolic": symbolic, "static": static, "erc20": erc20}
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
