"""A block's header, as JSON-RPC tells it, and the bytes whose hash is the block's. Pure.

The fields stand in the order of the yellow paper, with what later forks appended: a fork that appends another one makes
every hash wrong until it is added here, and never a wrong one right.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import rlp  # type: ignore[import-untyped]
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts.errors import Malformed
from contracts.rpc import from_hex, from_quantity

Word = Annotated[str, msgspec.Meta(min_length=66, max_length=66)]
"""32 bytes in hex, as JSON-RPC writes them."""

EMPTY = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""The root of a trie of nothing: a block without transactions has it twice."""


class Header(msgspec.Struct, rename="camel", frozen=True, gc=False, kw_only=True):
    """Strings as the node wrote them. `hash` and `transactions` (hashes) are what the node says, and in no hash."""

    hash: Word
    transactions: list[Word] = []
    parent_hash: Word
    sha3_uncles: Word
    miner: str
    state_root: Word
    transactions_root: Word
    receipts_root: Word
    logs_bloom: str
    difficulty: str
    number: str
    gas_limit: str
    gas_used: str
    timestamp: str
    extra_data: str
    mix_hash: Word
    nonce: str
    base_fee_per_gas: str | None = None
    withdrawals_root: Word | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: Word | None = None
    requests_hash: Word | None = None


_DATA = frozenset(
    ("parent_hash", "sha3_uncles", "miner", "state_root", "transactions_root", "receipts_root", "logs_bloom",
     "extra_data", "mix_hash", "nonce", "withdrawals_root", "parent_beacon_block_root", "requests_hash")
)  # fmt: skip
_HASHED = tuple((name, name in _DATA) for name in Header.__struct_fields__ if name not in ("hash", "transactions"))


def encode(header: Header) -> bytes:
    """The bytes (RLP) that are hashed. Raises `contracts.errors.Malformed`."""
    fields = ((getattr(header, name), is_data) for name, is_data in _HASHED)
    encoded: bytes = rlp.encode(
        [from_hex(value) if is_data else minimal(value) for value, is_data in fields if value is not None]
    )
    return encoded


def hash_of(header: Header) -> bytes:
    """What the block's hash must be, whatever the node says that it is. Raises `contracts.errors.Malformed`."""
    return keccak(encode(header))


def minimal(quantity: str) -> bytes:
    """A number as RLP wants it, in as few bytes as it takes. Raises `contracts.errors.Malformed`."""
    number = from_quantity(quantity)
    if number < 0:
        raise Malformed(f"not a quantity: {quantity[:40]!r}")
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
