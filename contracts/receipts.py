"""What a batch commits to: the Merkle tree of its receipts, and the packed entries that the token mints.

    facts    = keccak(keccak(reference) ‖ amount ‖ keccak(currency) ‖ purchased_at ‖ keccak(store))
    purchase = keccak(0x02 ‖ salt ‖ facts)
    leaf     = keccak(0x00 ‖ keccak(abi.encode(chain id, token, batch, index, holder, amount, purchase)))
    inner    = keccak(min(left, right) ‖ max(left, right))

The tree has the fixed depth ceil(log2(n)), filled up with zero words, which nothing hashes to. A leaf's preimage has
33 bytes and an inner node's 64, so neither passes for the other; the leaf names its chain, token, batch and place, so
a proof says all of it. The token keeps `keccak(batch ‖ root ‖ keccak(entries))` of its last 4,096 batches, which is the
refund window: who proves a receipt there shows the entries too, so a leaf that promises more than was minted is worth
nothing. A purchase's own facts are hidden by its salt (16 random bytes or more). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from eth_hash.backends.pysha3 import keccak256 as keccak

_ZERO = bytes(32)
_PAD = bytes(12)


def commitment(
    *, salt: bytes, merchant_reference: str, amount_minor: int, currency: str, purchased_at: int, store: str
) -> bytes:
    """The `purchase` field of a receipt. `purchased_at` is in whole Unix seconds; no store is the empty string."""
    if len(salt) < 16:
        raise ValueError("a salt has at least 16 bytes")
    facts = keccak(
        keccak(merchant_reference.encode())
        + amount_minor.to_bytes(32, "big")
        + _text(currency)
        + purchased_at.to_bytes(32, "big")
        + _text(store)
    )
    return keccak(b"\x02" + salt + facts)


@lru_cache(maxsize=4_096)
def _text(text: str) -> bytes:
    """Of what many purchases have in common."""
    return keccak(text.encode())


def leaf(*, chain_id: int, token: bytes, batch: int, index: int, holder: bytes, amount: int, purchase: bytes) -> bytes:
    """The leaf of entry `index` (from 0) of a batch; `amount` is in base units."""
    encoded = b"".join(
        (
            chain_id.to_bytes(32, "big"),
            _PAD,
            token,
            batch.to_bytes(32, "big"),
            index.to_bytes(32, "big"),
            _PAD,
            holder,
            amount.to_bytes(32, "big"),
            purchase,
        )
    )
    if len(encoded) != 224:
        raise ValueError("a token and a holder have 20 bytes, a purchase 32")
    return keccak(b"\x00" + keccak(encoded))


def depth(count: int) -> int:
    """The depth of a tree of `count` leaves, which is the length of every proof in it."""
    return (count - 1).bit_length()


def root(leaves: Sequence[bytes]) -> bytes:
    return _levels(leaves)[-1][0]


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings from leaf `index` up to the root."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} among {len(leaves)}")
    return [level[(index >> depth) ^ 1] for depth, level in enumerate(_levels(leaves)[:-1])]


def verify(root: bytes, leaf: bytes, proof: Iterable[bytes]) -> bool:
    node = leaf
    for sibling in proof:
        node = _inner(node, sibling)
    return node == root


def pack_entries(entries: Iterable[tuple[bytes, int]]) -> bytes:
    """The token's `entries`: one word each, 20 bytes of holder and 12 of amount."""
    packed = b"".join([holder + amount.to_bytes(12, "big") for holder, amount in entries])
    if len(packed) % 32:
        raise ValueError("a holder has 20 bytes")
    return packed


def _inner(left: bytes, right: bytes) -> bytes:
    return keccak(left + right if left < right else right + left)


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels, leaves first, root last."""
    if not leaves:
        raise ValueError("a batch has at least one receipt")
    level = [*leaves, *[_ZERO] * ((1 << (len(leaves) - 1).bit_length()) - len(leaves))]
    levels = [level]
    while len(level) > 1:
        level = [_inner(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        levels.append(level)
    return levels
