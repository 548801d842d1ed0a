"""Compiles the contracts and keeps what was made of them, artifacts and Python bindings, next to their sources.

`python -m contracts.compile` writes both; with `--check` it writes nothing and exits 1 if the committed files are not
what the sources give. The result depends on the sources, the compiler's version and the settings below alone: no
metadata is appended, so neither a path nor a comment changes a byte, and native and npm compilers agree.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts import generate

HERE = Path(__file__).resolve().parent
VERSION = "0.8.30"
DEPLOYABLE = {
    "Points": "src/Points.sol",
    "Exchange": "src/Exchange.sol",
    "Factory": "src/Factory.sol",
    "Bundle": "src/Bundle.sol",
    "SettlementToken": "src/local/SettlementToken.sol",
    "Wallet": "src/local/Wallet.sol",
}
SETTINGS = {
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "evmVersion": "osaka",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
OUTPUTS = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
OWN = ("src/", "test/")
"""Where our sources are; every other unit is an npm package's."""
IMPORT = re.compile(r"""^import\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']""", re.MULTILINE)


class CompilationError(Exception):
    """The compiler refused the sources, or warned about them."""


def read_sources(roots: list[str]) -> dict[str, str]:
    """The roots and all that they import, by source unit name: `src/..`, `test/..` or an npm package's path."""
    sources: dict[str, str] = {}
    wanted = list(roots)
    while wanted:
        unit = wanted.pop()
        if unit in sources:
            continue
        folder = HERE if unit.startswith(OWN) else HERE / "node_modules"
        sources[unit] = (folder / unit).read_text()
        wanted += [_resolve(unit, path) for path in IMPORT.findall(sources[unit])]
    return dict(sorted(sources.items()))


def _resolve(unit: str, path: str) -> str:
    if not path.startswith("."):
        return path
    parts = unit.split("/")[:-1]
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def find_compiler() -> Path:
    """A native compiler that py-solc-x has, else npm's behind `contracts/solc`, else a native one downloaded."""
    import solcx.install

    if VERSION in map(str, solcx.get_installed_solc_versions()):
        return Path(solcx.install.get_executable(VERSION))
    if (HERE / "node_modules" / "solc").is_dir():
        return HERE / "solc"
    solcx.install_solc(VERSION)
    return Path(solcx.install.get_executable(VERSION))


def compile_contracts(deployable: Mapping[str, str], *, compiler: Path) -> dict[str, dict[str, Any]]:
    """Artifacts by contract name. Warnings in our own sources are errors."""
    import solcx.exceptions

    sources = read_sources(list(deployable.values()))
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": SETTINGS | {"outputSelection": {unit: {name: OUTPUTS} for name, unit in deployable.items()}},
    }
    try:
        output = solcx.compile_standard(request, solc_binary=compiler)
    except solcx.exceptions.SolcError as problem:
        raise CompilationError(problem.message) from problem
    notes = [
        note["formattedMessage"]
        for note in output.get("errors", [])
        if note.get("sourceLocation", {}).get("file", "src/").startswith(OWN)
    ]
    if notes:
        raise CompilationError("\n".join(notes))
    return {name: _artifact(name, output["contracts"][unit][name]) for name, unit in deployable.items()}


def _artifact(name: str, compiled: dict[str, Any]) -> dict[str, Any]:
    deployed = compiled["evm"]["deployedBytecode"]
    places = sorted(deployed["immutableReferences"].items(), key=lambda item: int(item[0]))
    return {
        "contractName": name,
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        # The compiler keys these by syntax node, whose numbers change with any edit; their order does not.
        "immutableReferences": {str(number): place for number, (_, place) in enumerate(places)},
    }


def render(artifacts: Mapping[str, dict[str, Any]]) -> dict[Path, str]:
    """Every generated file's path and text."""
    files = {
        HERE / "artifacts" / f"{name}.json": json.dumps(artifact, indent=1) + "\n"
        for name, artifact in artifacts.items()
    }
    files[HERE / "bindings.py"] = generate.bindings({name: artifact["abi"] for name, artifact in artifacts.items()})
    return files


def stale(files: Mapping[Path, str]) -> list[Path]:
    """Files that differ from what they should be, and artifacts of contracts that are no more."""
    differing = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    return differing + [path for path in (HERE / "artifacts").glob("*.json") if path not in files]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.compile", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a committed file is stale")
    options = parser.parse_args(arguments)
    try:
        files = render(compile_contracts(DEPLOYABLE, compiler=find_compiler()))
    except CompilationError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    differing = stale(files)
    if options.check:
        for path in differing:
            sys.stderr.write(f"{path.relative_to(HERE.parent)} is stale: run `make artifacts`\n")
        return 1 if differing else 0
    for path in differing:
        if path in files:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path])
        else:
            path.unlink()
        sys.stdout.write(f"{path.relative_to(HERE.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
