"""How a signed receipt is judged by what the chain tells of its programme, wherever it comes from. Pure.

A receipt is a promise of its programme's issuer, over holder, amount, a salted commitment and two times. It is kept if
the entry at its place in a batch has this holder and amount, if it is a leaf of the root that the chain has of that
batch, and if the block is not later than it said. The commitment tells nothing of a person, so nothing here does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import eip712, receipt_tree, receipts, signatures
from scripts.audit.programme import Batch, Programme

_SIGNED: Final = 65
"""Bytes of a signature over a tree of receipts, before the place of the one and its siblings."""

_TREES: Final = 2_048
"""Of which the nodes are remembered: some 5 KB each."""


class Receipt(NamedTuple):
    """`amount` in base units, times in Unix seconds, `signature` with its scheme."""

    holder: bytes
    amount: int
    commitment: bytes
    accepted_at: int
    mint_by: int
    signature: bytes

    @property
    def evidence(self) -> dict[str, int | str]:
        """The signed promise, whole: whoever has it can prove that it was made."""
        named = self._asdict().items()
        return {name: f"0x{value.hex()}" if isinstance(value, bytes) else value for name, value in named}


class Kept:
    """The history of programmes, as far as receipts are judged by it."""

    def __init__(self, chain_id: int, programmes: Mapping[bytes, Programme]) -> None:
        self.chain_id: Final = chain_id
        self.programmes: Final = programmes
        self._domains: dict[bytes, bytes] = {}
        self._trees: dict[tuple[bytes, bytes, int], dict[int, bytes]] = {}

    def batch(self, programme: bytes, number: int) -> Batch | None:
        known = self.programmes.get(programme)
        return known.batches.get(number) if known else None

    def issuer(self, programme: bytes) -> bytes | None:
        """Who promises for it; None if there is no such programme."""
        known = self.programmes.get(programme)
        return known.created.issuer if known else None

    def is_signed(self, programme: bytes, issuer: bytes, receipt: Receipt) -> bool:
        """Whether the programme's issuer made this promise."""
        domain = self._domains.get(programme)
        if domain is None:
            domain = self._domains[programme] = eip712.domain_separator(self.chain_id, programme)
        holder, amount, commitment, accepted_at, mint_by, signature = receipt
        try:
            struct = eip712.receipt_hash(
                holder=holder, amount=amount, purchase=commitment, accepted_at=accepted_at, mint_by=mint_by
            )
        except (OverflowError, ValueError):
            return False  # what no receipt can say nobody has signed
        if signature[:1] != signatures.TREE:
            return receipt_tree.recover(domain, struct, signature) == issuer
        key = (domain + issuer, signature[:_SIGNED], len(signature))
        known = self._trees.get(key)
        if known is not None and _is_node(known, struct, signature):
            return True
        if receipt_tree.recover(domain, struct, signature) != issuer:
            return False
        if known is None:
            if len(self._trees) == _TREES:
                self._trees.clear()
            known = self._trees[key] = {}
        _remember(known, struct, signature)
        return True

    def leaf(
        self, programme: bytes, number: int, index: int, *, holder: bytes, amount: int, commitment: bytes
    ) -> bytes:
        """What must be in the tree of batch `number`. Raises `ValueError` and `OverflowError` for what cannot be."""
        return receipts.leaf(
            chain_id=self.chain_id,
            token=programme,
            batch=number,
            index=index,
            holder=holder,
            amount=amount,
            purchase=commitment,
        )

    def is_root(self, batch: Batch, leaves: Sequence[bytes]) -> bool:
        return len(leaves) == batch.size and receipts.root(leaves) == batch.root


# Receipts that were made together share a signature over a tree of them, and most of the nodes between: what was proved
# to be a node of a signed tree is remembered, with its sibling. Nodes are numbered from the root, which is 1, so that
# those under node n are 2n and 2n + 1.


def _path(signature: bytes) -> tuple[int, list[bytes]]:
    """The number of the receipt's own node, and its siblings, from there upwards."""
    siblings = [signature[at : at + 32] for at in range(_SIGNED + 1, len(signature), 32)]
    return (1 << len(siblings)) + signature[_SIGNED], siblings


def _is_node(known: dict[int, bytes], struct: bytes, signature: bytes) -> bool:
    """Whether the receipt hangs, by its siblings, on nodes that are known. If not, it may be right all the same."""
    number, siblings = _path(signature)
    if number >> len(siblings) != 1:
        return False
    node, hanging, learnt = struct, False, {}
    for sibling in siblings:
        hanging = hanging or known.get(number) == node
        if hanging:
            if known.get(number ^ 1) != sibling:
                return False
        else:
            learnt[number], learnt[number ^ 1] = node, sibling
            node = keccak(sibling + node if number & 1 else node + sibling)
        number >>= 1
    if hanging or known.get(1) == node:
        known |= learnt
        return True
    return False


def _remember(known: dict[int, bytes], struct: bytes, signature: bytes) -> None:
    number, siblings = _path(signature)
    node = struct
    for sibling in siblings:
        known[number], known[number ^ 1] = node, sibling
        node = keccak(sibling + node if number & 1 else node + sibling)
        number >>= 1
    known[1] = node
