"""Says which of our contracts the code at an address is, so that nobody needs to trust whoever deployed it.

The deployed code is compared, byte by byte, with what the committed artifacts say the compiler made. Immutables are
masked: the compiler leaves zeros where the constructor writes them, so they cannot be compared. They are shown instead,
each with the getters that answer the same now, one of which is mostly its name. An immutable that stands in several
places must be the same in all of them, which is what every constructor does and no tampering by halves would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from eth_hash.backends.pysha3 import keccak256 as keccak
from rich.console import Console
from rich.table import Table

from contracts import artifact
from contracts.artifact import Artifact
from contracts.errors import ChainError, NodeError
from contracts.rpc import Rpc, from_hex, to_hex
from scripts.errors import CommandFailed

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class NotChecked(CommandFailed):
    """When there is nothing to compare: no address, no node, or no code at the address."""


@dataclass(frozen=True, slots=True)
class Immutable:
    """`value` as it stands in the code; `getters` are the contract's functions that return it."""

    value: bytes
    getters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`contract` is None if the code at the address is none of ours; `near` is then how it differs from those of its
    size."""

    address: str
    size: int
    contract: str | None = None
    immutables: tuple[Immutable, ...] = ()
    near: tuple[str, ...] = ()


async def verify(url: str, address: str) -> Verdict:
    """Compares the code at `address`, on the chain of the node at `url`, with every artifact. Raises `NotChecked`."""
    if not _ADDRESS.fullmatch(address):
        raise NotChecked(f"{address} is not an address: 0x and 40 hexadecimal digits.")
    async with Rpc(url) as rpc:
        try:
            code = from_hex(await rpc.call("eth_getCode", address, "latest"))
            if not code:
                raise NotChecked(f"There is no code at {address}.")
            made = _load_all()
            same = next((one for one in made if _equal(code, one)), None)
            if same is None:
                near = tuple(f"{one.contract_name}: {text}" for one in made if (text := _difference(code, one)))
                return Verdict(address, len(code), near=near)
            immutables = await _named(rpc, address, same, [values[0] for values in _values(code, same)])
        except ChainError as error:
            raise NotChecked(f"The node at {url} could not be asked: {error}") from error
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise NotChecked(f"An artifact cannot be read: {error}") from error
    return Verdict(address, len(code), same.contract_name, immutables)


def _load_all() -> list[Artifact]:
    return [artifact.load(path.stem) for path in sorted(artifact.FOLDER.glob("*.json"))]


def _equal(code: bytes, made: Artifact) -> bool:
    return _masked(code, made) == from_hex(made.deployed_bytecode) and all(
        len(set(values)) == 1 for values in _values(code, made)
    )


def _difference(code: bytes, made: Artifact) -> str:
    """Where code of the artifact's size departs from it; empty for another size."""
    wanted, masked = from_hex(made.deployed_bytecode), _masked(code, made)
    if len(code) != len(wanted):
        return ""
    places = [place for place, (one, other) in enumerate(zip(masked, wanted, strict=True)) if one != other]
    if not places:
        return "an immutable has two values"
    return f"{len(places)} of {len(code)} bytes differ, the first at {places[0]}"


def _masked(code: bytes, made: Artifact) -> bytes:
    masked = bytearray(code)
    for places in made.immutable_references.values():
        for place in places:
            start, end = place["start"], place["start"] + place["length"]
            masked[start:end] = bytes(len(masked[start:end]))
    return bytes(masked)


def _values(code: bytes, made: Artifact) -> Iterator[list[bytes]]:
    """What stands at each of every immutable's places, immutables in the order of their declaration."""
    for _, places in sorted(made.immutable_references.items(), key=lambda item: int(item[0])):
        yield [code[place["start"] : place["start"] + place["length"]] for place in places]


async def _named(rpc: Rpc, address: str, made: Artifact, values: list[bytes]) -> tuple[Immutable, ...]:
    """The values with their getters. Zero has none: too much answers with it."""
    names = [one["name"] for one in made.abi if _is_getter(one)]
    calls = [
        ("eth_call", [{"to": address, "data": to_hex(keccak(f"{name}()".encode())[:4])}, "latest"]) for name in names
    ]
    answers = {
        name: from_hex(answer)
        for name, answer in zip(names, await rpc.batch(calls), strict=True)
        if not isinstance(answer, NodeError)
    }
    return tuple(
        Immutable(value, tuple(name for name, answer in answers.items() if any(value) and answer == value))
        for value in values
    )


def _is_getter(entry: dict[str, Any]) -> bool:
    return (
        entry["type"] == "function"
        and entry["stateMutability"] in ("view", "pure")
        and not entry["inputs"]
        and len(entry["outputs"]) == 1
        and entry["outputs"][0]["type"] not in ("string", "bytes", "tuple")
    )


def show(verdict: Verdict, console: Console) -> None:
    if verdict.contract is None:
        console.print(f"{verdict.address}: [red]different[/red]. Its {verdict.size:,} bytes are none of our contracts.")
        for line in verdict.near:
            console.print(f"  {line}")
        return
    console.print(f"{verdict.address}: [green]equal[/green]. It is {verdict.contract}, {verdict.size:,} bytes.")
    if not verdict.immutables:
        return
    table = Table(title="Immutables, set at construction", title_justify="left")
    for name in ("#", "value", "same as"):
        table.add_column(name, overflow="fold")
    for number, immutable in enumerate(verdict.immutables):
        getters = ", ".join(f"{name}()" for name in immutable.getters)
        table.add_row(str(number), _reading(immutable.value), getters)
    console.print(table)


def _reading(word: bytes) -> str:
    """A word as what it most likely is, a number, an address or a left-aligned text; else in hexadecimal."""
    number = int.from_bytes(word)
    if number < 2**96:
        return f"{number:,}"
    if number < 2**160:
        return to_hex(word[-20:])
    text = word.rstrip(b"\0")
    readable = len(text) < len(word) and text.isascii() and text.decode().isprintable()
    return repr(text.decode()) if readable else to_hex(word)
