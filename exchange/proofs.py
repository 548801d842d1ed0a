"""Proofs that a customer, or a merchant, takes away and verifies alone: of one receipt, and of one balance.

A proof leads from a block's hash to a word in the storage of the programme's contract (EIP-1186), by the node's word
about the block and nobody's about the rest: whoever has the file and `scripts/audit/verify.py` needs neither us nor our
node. It is of the newest final block if the node still has that block's state, and what is proved is in it; else of the
newest block. What the node says is checked here as far as it takes to hand out no proof of something else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from eth_hash.backends.pysha3 import keccak256 as keccak
from psycopg.rows import tuple_row

from contracts import headers, layout, receipts
from contracts.errors import ChainError, NodeError
from contracts.headers import Header
from contracts.rpc import Rpc, from_hex, from_quantity, to_hex
from exchange.database import Connection, one
from exchange.errors import (
    BatchForgotten,
    ChainUnavailable,
    NothingMinted,
    NotOnTheChainYet,
    ProgrammeNotFound,
    PurchaseNotFound,
)
from exchange.gateway import Gateway
from exchange.hexes import checksum, hexed
from exchange.merchant import Merchant
from exchange.points import render_points
from exchange.relayer.batching import FACTS, Purchase, leaf_of

RECEIPT: Final = "points-exchange/receipt/1"
BALANCE: Final = "points-exchange/balance/1"
TRIES: Final = 3
"""Of reading block and proof together, between which the newest, or the newest final, may become another."""

_PURCHASE: Final = """
select p.*, b.block as minted_in, b.entries_hash, r.promised, r.amended_at, r.signature as amended,
       (select max(number) from mirror.batch where programme = m.programme) as newest
from exchange.purchase p
join exchange.merchant m on m.id = p.merchant_id
left join mirror.batch b on b.programme = m.programme and b.number = p.batch_number
left join lateral (
    select promised, amended_at, signature from exchange.refund
    where merchant_id = p.merchant_id and purchase_id = p.id and signature is not null order by promised limit 1
) r on true
where p.merchant_id = %s and p.id = %s
"""


class _Slot(msgspec.Struct):
    value: str
    proof: list[str]


class _Proof(msgspec.Struct, rename="camel"):
    account_proof: list[str]
    storage_proof: list[_Slot]


@dataclass(frozen=True, slots=True)
class Proof:
    """Of some words of a contract's storage at one block. `finalized` is the number of the newest final block."""

    header: bytes
    number: int
    time: int
    nodes: list[bytes]
    words: list[int]
    finalized: int

    def fields(self) -> dict[str, Any]:
        """As a proof file has them."""
        return {
            "header": _packed(self.header),
            "nodes": [_packed(node) for node in self.nodes],
            "as_of": {"block": self.number, "hash": hexed(keccak(self.header)), "finalized_block": self.finalized},
        }


async def of_purchase(gateway: Gateway, merchant: Merchant, id: UUID, *, entries: bool) -> dict[str, Any]:
    """The proof file of a purchase's receipt, with all `entries` of its batch if they are wanted.

    Raises `PurchaseNotFound`, `NothingMinted`, `NotOnTheChainYet`, `BatchForgotten`, `ChainUnavailable`.
    """
    async with gateway.database.reading(merchant.id) as sql:
        row = await one(sql, _PURCHASE, merchant.id, id)
        if row is None:
            raise PurchaseNotFound(f'The merchant has no purchase "{id}".')
        if row["points"] == row["cancelled"]:
            raise NothingMinted(f"The purchase {id} earned nothing, or was undone before anything was minted for it.")
        batch = row["batch_number"]
        if row["minted_in"] is None:
            raise NotOnTheChainYet(f"The purchase {id} is in no block yet, or in one that our copy has not seen.")
        if row["newest"] - batch >= layout.RING:
            raise BatchForgotten(
                f"The purchase {id} is in batch {batch:,}, and the programme has minted {row['newest']:,}: its contract"
                f" keeps a commitment to the last {layout.RING:,}."
            )
        minted = await batch_of(sql, merchant, batch)
    leaves = leaves_of(merchant, batch, minted, gateway.deployment.chain_id)
    packed = receipts.pack_entries((each.holder, each.points) for each in minted)
    commitment = keccak(batch.to_bytes(32, "big") + receipts.root(leaves) + keccak(packed))
    wanted = int.from_bytes(commitment, "big")
    proof = await read(gateway.rpc, merchant.programme, [layout.batch(batch)], wanted=wanted)
    return {
        "format": RECEIPT,
        "receipt": _receipt(row, merchant, gateway.deployment.chain_id),
        "batch": batch,
        "index": row["batch_index"],
        "siblings": [hexed(each) for each in receipts.proof(leaves, row["batch_index"])],
        **({"entries": _packed(packed)} if entries else {"entries_hash": hexed(keccak(packed))}),
        **proof.fields(),
    }


async def of_balance(gateway: Gateway, programme: bytes, holder: bytes, *, newest: bool) -> dict[str, Any]:
    """The proof file of what a holder has of a programme at the newest final block, or at the `newest` block.

    Raises `ProgrammeNotFound`, `ChainUnavailable`.
    """
    async with gateway.database.reading("public") as sql:
        known = await one(sql, "select 1 from mirror.programme where address = %s", programme)
    if known is None:
        raise ProgrammeNotFound(f"There is no programme {checksum(programme)} on the chain, or not yet.")
    proof = await read(gateway.rpc, programme, [layout.holding(holder), layout.BOUNDS], newest=newest)
    word, bounds = proof.words
    balance, last = word & 2**96 - 1, (word >> 96 & 0xFFFF) + (bounds >> 192 & 0xFFFF)
    alive = balance if last >= proof.time // 86_400 else 0
    return {
        "format": BALANCE,
        "programme": checksum(programme),
        "holder": checksum(holder),
        "balance": render_points(alive),
        "balance_base_units": str(alive),
        **proof.fields(),
    }


async def batch_of(sql: Connection, merchant: Merchant, number: int) -> list[Purchase]:
    """What a batch minted, in its order."""
    async with sql.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"select {FACTS} from exchange.purchase p"  # noqa: S608 - of constants
            " where p.merchant_id = %s and p.batch_number = %s order by p.batch_index",
            (merchant.id, number),
        )
        return [Purchase(*row) for row in await cursor.fetchall()]


def leaves_of(merchant: Merchant, number: int, minted: Sequence[Purchase], chain_id: int) -> list[bytes]:
    """The leaves of the tree of a batch's receipts."""
    return [leaf_of(merchant.programme, number, index, each, chain_id) for index, each in enumerate(minted)]


def _receipt(row: dict[str, Any], merchant: Merchant, chain_id: int) -> dict[str, Any]:
    """The receipt that holds: of a purchase that was refunded in part before it was minted, what was signed then."""
    first = row["amended"] is None
    amount = row["points"] if first else row["promised"]
    return {
        "chain_id": chain_id,
        "programme": checksum(merchant.programme),
        "holder": checksum(row["holder"]),
        "amount": render_points(amount),
        "amount_base_units": str(amount),
        "purchase": hexed(row["commitment"]),
        "accepted_at": row["accepted_at"] if first else row["amended_at"],
        "mint_by": row["mint_by"],
        "issuer": checksum(merchant.issuer),
        "signature": hexed(row["signature"] if first else row["amended"]),
    }


async def read(
    rpc: Rpc, contract: bytes, slots: Sequence[int], *, newest: bool = False, wanted: int | None = None
) -> Proof:
    """The words at `slots`, of which the first must be `wanted`. Raises `ChainUnavailable`."""
    for tag in ("latest",) if newest else ("finalized", "latest"):
        for _ in range(TRIES):
            try:
                proof = await _at(rpc, contract, slots, tag)
            except NodeError as error:  # as if the state were gone, which nodes say in many ways
                if tag == "latest":
                    raise ChainUnavailable("The node does not prove the state of its newest block.") from error
                break
            except (ChainError, msgspec.DecodeError) as error:
                raise ChainUnavailable("The node does not answer, or not in a way that can be read.") from error
            if proof is None:
                continue
            if wanted in (None, proof.words[0]):
                return proof
            break
    raise ChainUnavailable("The node's newest block does not have what our copy of the chain says, or not yet.")


async def _at(rpc: Rpc, contract: bytes, slots: Sequence[int], tag: str) -> Proof | None:
    """None if the block and the proof, which are asked for together, are not of the same state."""
    keys = [to_hex(slot.to_bytes(32, "big")) for slot in slots]
    answers: list[msgspec.Raw] = []
    for answer in await rpc.batch_raw(
        [
            ("eth_getBlockByNumber", [tag, False]),
            ("eth_getProof", [to_hex(contract), keys, tag]),
            ("eth_getBlockByNumber", ["finalized", False]),
        ]
    ):
        if isinstance(answer, NodeError):
            raise answer
        answers.append(answer)
    header = msgspec.json.decode(answers[0], type=Header)
    proof = msgspec.json.decode(answers[1], type=_Proof)
    final = msgspec.json.decode(answers[2], type=Header)
    account = [from_hex(node) for node in proof.account_proof]
    same = account and keccak(account[0]) == from_hex(header.state_root)
    if not same or headers.hash_of(header) != from_hex(header.hash) or len(proof.storage_proof) != len(slots):
        return None
    storage = [from_hex(node) for slot in proof.storage_proof for node in slot.proof]
    return Proof(
        header=headers.encode(header),
        number=from_quantity(header.number),
        time=from_quantity(header.timestamp),
        nodes=list(dict.fromkeys([*account, *storage])),
        words=[from_quantity(slot.value) for slot in proof.storage_proof],
        finalized=from_quantity(final.number),
    )


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()
