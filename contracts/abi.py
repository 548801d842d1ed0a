"""The contract ABI's encoding, as far as the generated bindings use it: 32-byte words laid out by hand.

Knows types, not contracts. Values out of a type's range are refused here, where the caller can be named, and not by the
contract, whose decoder gives no reason. A value is either static (its words stand in place) or `Dynamic` (an offset
stands in place and the bytes follow behind).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ErrorTable = Mapping[bytes, tuple[str, list[str], list[str]]]
"""By selector: the error's name, its arguments' names and their ABI types."""


class UndecodableLog(ValueError):
    """A log has an event's topic but not its shape: the contract is another one than these bindings know."""

    def __init__(self, event: str, topics: Sequence[bytes], data: bytes) -> None:
        super().__init__(f"{event}: {len(topics)} topics and {len(data)} bytes of data")
        self.event = event


class Dynamic(bytes):
    """The encoding of a value of dynamic size."""

    __slots__ = ()


def uint(value: int, bits: int) -> bytes:
    if value >> bits:  # also true of any negative value
        raise ValueError(f"{value} is not a uint{bits}")
    return value.to_bytes(32)


def boolean(value: bool) -> bytes:
    return int(value).to_bytes(32)


def address(value: bytes) -> bytes:
    if len(value) != 20:
        raise ValueError(f"an address has 20 bytes, not {len(value)}")
    return bytes(12) + value


def fixed(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"bytes{size} has {size} bytes, not {len(value)}")
    return value.ljust(32, b"\0")


def blob(value: bytes) -> Dynamic:
    return Dynamic(len(value).to_bytes(32) + value + bytes(-len(value) % 32))


def text(value: str) -> Dynamic:
    return blob(value.encode())


def array(items: Sequence[bytes]) -> Dynamic:
    return Dynamic(len(items).to_bytes(32) + sequence(*items))


def structure(*members: bytes) -> bytes:
    """A tuple; dynamic as soon as one member is."""
    encoded = sequence(*members)
    return Dynamic(encoded) if any(isinstance(member, Dynamic) for member in members) else encoded


def sequence(*values: bytes) -> bytes:
    """Heads, then the dynamic values' tails, with offsets counted from the first head."""
    size = sum(32 if isinstance(value, Dynamic) else len(value) for value in values)
    heads: list[bytes] = []
    tails: list[bytes] = []
    for value in values:
        if isinstance(value, Dynamic):
            heads.append(size.to_bytes(32))
            tails.append(value)
            size += len(value)
        else:
            heads.append(value)
    return b"".join(heads + tails)


def result(data: bytes, words: int) -> bytes:
    """A call's returned words. A contract that is not there answers with none."""
    if len(data) != 32 * words:
        raise ValueError(f"the call returned {len(data)} bytes, not {32 * words}")
    return data


def returned_text(data: bytes) -> str:
    length = int.from_bytes(data[32:64])
    if len(data) < 64 + length:
        raise ValueError(f"the call returned {len(data)} bytes, too few for its string")
    return data[64 : 64 + length].decode()


def describe_error(table: ErrorTable, data: bytes) -> str:
    """A revert's reason as `Name(argument=1, other=0x..)`.

    `data` may be cut short, as the bundle's reports are: arguments that are not there are left out.
    """
    if not data or not any(data[:4]):
        return "no reason given"
    known = table.get(data[:4])
    if known is None:
        return f"unknown error 0x{data.hex()}"
    name, arguments, types = known
    if types == ["string"]:
        return f"{name}({_string(data[4:])})"
    words = [data[at : at + 32] for at in range(4, len(data) - 31, 32)]
    shown = (f"{argument}={_shown(word, kind)}" for argument, kind, word in zip(arguments, types, words, strict=False))
    return f"{name}({', '.join(shown)})"


def _shown(word: bytes, kind: str) -> str:
    if kind == "address":
        return f"0x{word[12:].hex()}"
    if kind.startswith("bytes"):
        return f"0x{word[: int(kind[5:])].hex()}"
    if kind == "bool":
        return str(any(word)).lower()
    return str(int.from_bytes(word))


def _string(encoded: bytes) -> str:
    length = int.from_bytes(encoded[32:64])
    return repr(encoded[64 : 64 + length].decode(errors="replace"))
