"""The root of a block's list of receipts, or of transactions: what the header says of them. Pure.

A Merkle-Patricia trie from the list's indexes, RLP-encoded, to its items, built from the bottom in one go; nothing is
ever looked up in it. `tests/audit/test_tries.py` holds it to the trie of eth-tester.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.backends.pysha3 import keccak256 as keccak

EMPTY = keccak(b"\x80")
_Item = tuple[str, bytes]  # the key's nibbles, a hexadecimal digit each, and the value


def root(values: Sequence[bytes]) -> bytes:
    """The root of the trie of a list of items."""
    if not values:
        return EMPTY
    items = sorted((_index(place).hex(), value) for place, value in enumerate(values))
    return keccak(_node(items, 0))


def string(value: bytes) -> bytes:
    """RLP of bytes."""
    if len(value) == 1 and value[0] < 0x80:
        return value
    return head(0x80, len(value)) + value


def sequence(*encoded: bytes) -> bytes:
    """RLP of a list of what is encoded already."""
    return head(0xC0, sum(map(len, encoded))) + b"".join(encoded)


def head(kind: int, length: int) -> bytes:
    if length < 56:
        return bytes((kind + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((kind + 55 + len(size),)) + size


def _index(place: int) -> bytes:
    return string(place.to_bytes((place.bit_length() + 7) // 8, "big"))


def _node(items: Sequence[_Item], depth: int) -> bytes:
    """The encoded node of the items, whose keys are the same up to `depth`. No key is the start of another."""
    first, last = items[0][0], items[-1][0]
    if len(items) == 1:
        return sequence(string(_path(first[depth:], leaf=True)), string(items[0][1]))
    fork = depth
    while first[fork] == last[fork]:
        fork += 1
    if fork > depth:
        return sequence(string(_path(first[depth:fork], leaf=False)), _reference(_node(items, fork)))
    children: list[list[_Item]] = [[] for _ in range(16)]
    for item in items:
        children[int(item[0][depth], 16)].append(item)
    return sequence(*[_reference(_node(below, depth + 1)) if below else b"\x80" for below in children], b"\x80")


def _reference(node: bytes) -> bytes:
    """How a parent names a node: by its hash, or as it is if that is shorter."""
    return node if len(node) < 32 else string(keccak(node))


def _path(nibbles: str, *, leaf: bool) -> bytes:
    """Nibbles as whole bytes, behind a nibble that says whether the node is a leaf and whether they are odd."""
    kind = 2 * leaf + len(nibbles) % 2
    return bytes.fromhex(f"{kind}{'' if len(nibbles) % 2 else '0'}{nibbles}")
