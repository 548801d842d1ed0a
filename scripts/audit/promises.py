"""What the chain tells of receipts: batches with their entries and roots, and what was taken back; and how a signed
receipt is judged by it, wherever it comes from. Pure.

A receipt is a promise of its programme's issuer, over holder, amount, a salted commitment and two times. It is kept if
the entry at its place in a batch has this holder and amount, if it is a leaf of the root that the chain has of that
batch, and if the block is not later than it said. The commitment tells nothing of a person, so nothing here does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from contracts import bindings, eip712, receipt_tree, receipts, signatures
from scripts.audit.acts import Act

_signer = lru_cache(maxsize=16_384)(signatures.recover)
"""Receipts that were made together share a signature; it is looked at once."""


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


class Batch(NamedTuple):
    """As it was minted: `entries` packs 20 bytes of holder and 12 of amount each."""

    block: int
    time: int
    root: bytes
    entries: bytes

    @property
    def size(self) -> int:
        return len(self.entries) // 32

    @property
    def total(self) -> int:
        return sum(self.amount(index) for index in range(self.size))

    def amount(self, index: int) -> int:
        return int.from_bytes(self.entries[32 * index + 20 : 32 * index + 32])

    def holder(self, index: int) -> bytes:
        return self.entries[32 * index : 32 * index + 20]


class Shortfall(NamedTuple):
    """Of one clawback: what the holder had spent before."""

    programme: bytes
    batch: int
    entry: int
    holder: bytes
    points: int
    time: int


class Kept:
    """What of the history receipts are judged by: some 40 bytes an entry."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id: Final = chain_id
        self.roles: dict[bytes, tuple[bytes, bytes]] = {}
        """Owner and issuer of each programme, which never change."""
        self.batches: dict[tuple[bytes, int], Batch] = {}
        self.taken: dict[tuple[bytes, int, int], int] = {}
        """Base units that were taken back of the receipt at a place, whether or not its holder still had them."""
        self.shortfalls: dict[tuple[int, int], Shortfall] = {}
        """By block and log."""
        self._domains: dict[bytes, bytes] = {}

    def apply(self, acts: Iterable[Act]) -> None:
        for act in acts:
            event = act.event
            if isinstance(event, bindings.Minted):
                entries = receipts.pack_entries((move.to, move.amount) for move in act.moves)
                self.batches[act.emitter, event.batch] = Batch(act.block, act.time, event.receipts_root, entries)
            elif isinstance(event, bindings.ClawedBack):
                place = (act.emitter, event.batch, event.index)
                self.taken[place] = self.taken.get(place, 0) + event.burned + event.shortfall
                if event.shortfall:
                    fell = Shortfall(*place, event.holder, event.shortfall, act.time)
                    self.shortfalls[act.block, act.log] = fell
            elif isinstance(event, bindings.ProgrammeCreated):
                self.roles[event.programme] = (event.owner, event.issuer)

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
        return receipt_tree.recover(domain, struct, signature, signer=_signer) == issuer

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
