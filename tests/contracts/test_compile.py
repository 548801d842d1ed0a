"""The artifacts are what the sources give, whichever compiler made them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from contracts import compile as compiling

HERE = compiling.HERE


def test_the_stand_in_takes_what_is_passed_to_a_native_compiler(tmp_path: Path) -> None:
    # Larger than a pipe: what solcjs alone fails on.
    source = "pragma solidity ^0.8.30; contract C { function f() external {} }" + "\n// padding" * 20_000
    request = {
        "language": "Solidity",
        "sources": {"C.sol": {"content": source}},
        "settings": {"outputSelection": {"*": {"*": ["abi"]}}},
    }
    command = [str(HERE / "solc"), "--standard-json", "--allow-paths", str(tmp_path), "-"]
    made = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True)
    assert json.loads(made.stdout)["contracts"]["C.sol"]["C"]["abi"][0]["name"] == "f"


def test_the_stand_in_tells_its_version() -> None:
    made = subprocess.run([str(HERE / "solc"), "--version"], capture_output=True, text=True, check=True)
    assert made.stdout.startswith(compiling.VERSION)


def test_a_deployable_needs_only_its_imports() -> None:
    sources = compiling.read_sources(["src/Bundle.sol"])
    assert list(sources) == ["src/Bundle.sol", "src/interfaces/IBundle.sol"]


def test_a_changed_artifact_and_one_too_many_are_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "HERE", tmp_path)
    folder = tmp_path / "artifacts"
    folder.mkdir()
    same, changed, extra = folder / "Same.json", folder / "Changed.json", folder / "Extra.json"
    same.write_text("same")
    changed.write_text("before")
    extra.write_text("left over")
    missing = tmp_path / "bindings.py"
    files = {same: "same", changed: "after", missing: "text"}
    assert set(compiling.stale(files)) == {changed, extra, missing}


def test_a_warning_in_our_sources_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").mkdir()
    compiler = compiling.find_compiler()
    monkeypatch.setattr(compiling, "HERE", tmp_path)
    head = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.30;\n"
    for body, reason in [
        ("contract C { uint256 x = y; }", "Undeclared"),
        ("contract C { function f() external pure { uint256 x; } }", "Unused"),
    ]:
        (tmp_path / "src" / "C.sol").write_text(head + body)
        with pytest.raises(compiling.CompilationError, match=reason):
            compiling.compile_contracts({"C": "src/C.sol"}, compiler=compiler)
