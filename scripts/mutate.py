"""Changes the arithmetic that everything rests on, one small mistake at a time, and asks whether the proofs notice.

`python -m scripts.mutate [NAME ...]` mutates the named parts, or all of them (slither-mutate), in copies under
`build/mutate`: the sources are never touched. A mutant is killed when a unit test fails, or a statement of
`contracts/test/symbolic`: as a fuzz test first, which is quick, and else as a proof for all inputs. Every mutant is
told as it is decided; those that live stay under `build/mutate/NAME/living`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.errors import CommandFailed
from scripts.node import CONTRACTS, ROOT
from scripts.prove import environment

BUILD = ROOT / "build" / "mutate"
COLOURS = re.compile(r"\x1b\[\d+m")
VERDICT = re.compile(r"(?P<mutant>\[\w+\] Line .*) --> (?P<verdict>CAUGHT|UNCAUGHT|COMPILATION FAILURE)$", re.DOTALL)
SECONDS = 600
"""For the tests of one mutant: one that hangs counts as killed, so this is far more than they take."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is mutated: `library`, in `source`, which the statements of `proofs` are about."""

    library: str
    source: str
    proofs: tuple[str, ...]


PARTS = {
    "account": Part("AccountLibrary", "types/Account.sol", ("Account", "Nonces")),
    "quote": Part("PostedLibrary", "types/Posted.sol", ("Posted",)),
    "margin": Part("PositionLibrary", "types/Position.sol", ("Position",)),
    "issuance": Part("IssuanceLibrary", "types/Issuance.sol", ("Issuance",)),
}


def lay_out(name: str, part: Part) -> Path:
    """A project of the one source and its proofs; returns its folder."""
    home = BUILD / name
    shutil.rmtree(home, ignore_errors=True)
    for path in (f"src/{part.source}", *(f"test/symbolic/{proof}.sol" for proof in (*part.proofs, "Vm"))):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CONTRACTS / path, home / path)
    # Beside the proofs, so that one profile finds them all; a proof's contract is named so.
    unit = CONTRACTS / "test" / "unit" / f"{Path(part.source).stem}.t.sol"
    shutil.copy(unit, home / "test" / "symbolic")
    shutil.copy(CONTRACTS / "test" / "Forge.sol", home / "test")
    for path in ("foundry.toml", "halmos.toml"):
        shutil.copy(CONTRACTS / path, home / path)
    return home


def mutate(name: str) -> tuple[int, list[str]]:
    """How many mutants of the part compiled, and those that no proof killed."""
    part = PARTS[name]
    home = lay_out(name, part)
    # The old pipeline, unoptimised: the quickest compilation, and the same meaning.
    env = environment(FOUNDRY_PROFILE="prove", FOUNDRY_VIA_IR="false", FOUNDRY_OPTIMIZER="false")
    env["PATH"] = f"{CONTRACTS}:{env['PATH']}"  # its solc, before the one that the provers would download
    command = [
        "slither-mutate", f"src/{part.source}", "--contract-names", part.library, "--comprehensive", "-v",
        "--timeout", str(SECONDS), "--output-dir", "living",
        "--test-cmd", "forge test --fail-fast && halmos --early-exit --match-contract Proof",
    ]  # fmt: skip
    killed, living = 0, []
    with subprocess.Popen(  # noqa: S603
        command, cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101
        told = ""
        for line in process.stdout:
            (home / "log").open("a").write(line)
            # A mutant of several lines is told in several lines.
            told = line if line.startswith("INFO:Slither-Mutate") else told + line
            verdict = VERDICT.search(COLOURS.sub("", told).strip())
            if verdict is None:
                continue
            told, mutant = "", " ".join(verdict["mutant"].split())
            if verdict["verdict"] == "CAUGHT":
                killed += 1
            elif verdict["verdict"] == "UNCAUGHT":
                living.append(mutant)
            else:
                continue
            mark = "killed" if verdict["verdict"] == "CAUGHT" else "LIVES "
            sys.stdout.write(f"{name} {killed + len(living):4d} {mark} {mutant}\n")
            sys.stdout.flush()
    if process.returncode != 0 or killed + len(living) == 0:
        raise CommandFailed(f"No mutant of {name} was decided: see {(home / 'log').relative_to(ROOT)}.")
    return killed + len(living), living


def main(names: list[str]) -> int:
    if any(name not in PARTS for name in names):
        sys.exit(f"usage: python -m scripts.mutate [{'|'.join(PARTS)}] ...")
    began = time.monotonic()
    results = {}
    try:
        for name in names or PARTS:
            results[name] = mutate(name)
    except CommandFailed as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    for name, (mutants, living) in results.items():
        sys.stdout.write(f"{name}: {mutants - len(living)} of {mutants} mutants killed\n")
    sys.stdout.write(f"{(time.monotonic() - began) / 60:.0f} minutes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
