"""One signature for many receipts, of which each can be verified alone.

An issuer signs the EIP-712 message `ReceiptTree(Receipt[2]…[2] receipts)`, as deep as it takes to hold them all, filled
up with receipts of nothing. By EIP-712's own rule for arrays its hash is that of a binary tree whose leaves are the
receipts' struct hashes, so that a leaf, its index and its siblings give what was signed. The depth is in the type and
thereby in the digest: an inner node never passes for a receipt. A receipt's signature is then

    0x03 ‖ r ‖ vs ‖ index (1 byte) ‖ siblings (32 bytes each, from the leaf upwards)

with as many siblings as the tree is deep. Trees are small: a signature costs as much as forty hashes, and every receipt
keeps its siblings for ever. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import eip712, signatures

DEEPEST: Final = 5
LARGEST: Final = 2**DEEPEST
"""Receipts under one signature."""

_NOTHING: Final = eip712.receipt_hash(holder=bytes(20), amount=0, purchase=bytes(32), accepted_at=0, mint_by=0)
_SIGNED: Final = 65


def type_string(depth: int) -> str:
    """The EIP-712 type of a tree of 2^`depth` receipts."""
    return f"ReceiptTree(Receipt{'[2]' * depth} receipts){eip712.type_string('Receipt')}"


_TYPE_HASH: Final = [keccak(type_string(depth).encode()) for depth in range(DEEPEST + 1)]


def sign(sign: Callable[[bytes], bytes], separator: bytes, receipts: Sequence[bytes]) -> list[bytes]:
    """A signature for each of the receipts (struct hashes) by as few acts of `sign` as there are trees.

    A receipt that is alone in its tree is signed as it is, with scheme `0x00`.
    """
    return [
        signature
        for start in range(0, len(receipts), LARGEST)
        for signature in _tree(sign, separator, receipts[start : start + LARGEST])
    ]


def recover(separator: bytes, receipt: bytes, signature: bytes) -> bytes | None:
    """The address that signed the receipt (a struct hash), alone or in a tree; None if nobody can have."""
    if signature[:1] != signatures.TREE:
        return signatures.recover(eip712.digest(separator, receipt), signature)
    siblings = signature[_SIGNED + 1 :]
    depth, odd = divmod(len(siblings), 32)
    if odd or not 1 <= depth <= DEEPEST or signature[_SIGNED] >> depth:
        return None
    node, index = receipt, signature[_SIGNED]
    for level in range(depth):
        sibling = siblings[32 * level : 32 * level + 32]
        node = keccak(sibling + node if index >> level & 1 else node + sibling)
    return signatures.recover(_digest(separator, depth, node), signatures.ECDSA + signature[1:_SIGNED])


def _tree(sign: Callable[[bytes], bytes], separator: bytes, receipts: Sequence[bytes]) -> list[bytes]:
    if len(receipts) == 1:
        return [sign(eip712.digest(separator, receipts[0]))]
    depth = (len(receipts) - 1).bit_length()
    level = [*receipts, *[_NOTHING] * (2**depth - len(receipts))]
    levels = [level]
    while len(level) > 1:
        level = [keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        levels.append(level)
    signed = signatures.TREE + sign(_digest(separator, depth, level[0]))[1:]
    return [
        b"".join((signed, bytes((index,)), *[levels[up][index >> up ^ 1] for up in range(depth)]))
        for index in range(len(receipts))
    ]


def _digest(separator: bytes, depth: int, root: bytes) -> bytes:
    return eip712.digest(separator, keccak(_TYPE_HASH[depth] + root))
