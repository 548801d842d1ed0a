"""Reads the committed artifacts: what the compiler made of each deployable contract.

An artifact is a JSON file of this folder's `artifacts/`, written by `contracts.compile` and by nothing else. Reading
one needs no compiler.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).resolve().parent / "artifacts"


class Artifact(msgspec.Struct, frozen=True, rename="camel"):
    """`bytecode` creates the contract, `deployed_bytecode` is what remains with zeros where immutables go."""

    contract_name: str
    abi: list[dict[str, Any]]
    bytecode: str
    deployed_bytecode: str
    immutable_references: dict[str, list[dict[str, int]]]


@functools.cache
def load(name: str) -> Artifact:
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Artifact)
