"""What the relayer asks a node, and how it hands over signed bytes; no SQL.

Questions whose answers must agree go in one HTTP batch. Reads raise `ChainError` and are simply asked again; a
broadcast never raises: each transaction's outcome is what the node said about it, and silence is `Unavailable`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from contracts.errors import ChainError, Malformed, NodeError, Reverted, Unavailable
from contracts.fees import Fees, quote
from contracts.rpc import Call, Rpc, from_hex, from_quantity, to_hex, to_quantity
from contracts.transactions import target_and_data
from exchange.relayer.sign import Queued, gas_limit

_BROADCAST_BYTES = 400_000  # of one HTTP request; nodes refuse bodies of 2 MB and more


class Head(NamedTuple):
    """The chain as one signer sees it."""

    number: int
    hash: bytes
    nonce: int  # how many of the signer's transactions are included
    finalized: int  # -1 when the node knows of no finality
    fees: Fees
    funds: int  # wei


class Log(msgspec.Struct):
    address: str
    topics: list[str]
    data: str


class Receipt(msgspec.Struct, rename="camel"):
    status: str
    block_number: str
    block_hash: str
    logs: list[Log]


class _Header(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    base_fee_per_gas: str = "0x0"


class _Spent(msgspec.Struct):
    hash: str
    nonce: str
    sender: str = msgspec.field(name="from")


class _Block(msgspec.Struct):
    transactions: list[_Spent]


_RECEIPT = msgspec.json.Decoder(Receipt | None)
_HEADER = msgspec.json.Decoder(_Header | None)
_BLOCK = msgspec.json.Decoder(_Block)
_TEXT = msgspec.json.Decoder(str)

T = TypeVar("T")


async def read_head(rpc: Rpc, signer: bytes) -> Head:
    latest, nonce, finalized, tip, funds = await rpc.batch_raw(
        [
            ("eth_getBlockByNumber", ("latest", False)),
            ("eth_getTransactionCount", (to_hex(signer), "latest")),
            ("eth_getBlockByNumber", ("finalized", False)),
            ("eth_maxPriorityFeePerGas", ()),
            ("eth_getBalance", (to_hex(signer), "latest")),
        ]
    )
    head = _decoded(_HEADER, latest)
    if head is None:
        raise Unavailable("the node has no latest block")
    final = None if isinstance(finalized, NodeError) else _decoded(_HEADER, finalized)
    # A node without the method leaves us to offer one gwei, which is what anvil and most networks suggest.
    offered = 10**9 if isinstance(tip, NodeError) else from_quantity(_decoded(_TEXT, tip))
    return Head(
        number=from_quantity(head.number),
        hash=from_hex(head.hash),
        nonce=from_quantity(_decoded(_TEXT, nonce)),
        finalized=-1 if final is None else from_quantity(final.number),
        fees=quote(from_quantity(head.base_fee_per_gas), offered),
        funds=from_quantity(_decoded(_TEXT, funds)),
    )


async def read_hashes(rpc: Rpc, numbers: Sequence[int]) -> dict[int, bytes | None]:
    """The canonical hash at each height; None above the head."""
    answers = await rpc.batch_raw([("eth_getBlockByNumber", (to_quantity(n), False)) for n in numbers])
    headers = [_decoded(_HEADER, answer) for answer in answers]
    return {n: None if h is None else from_hex(h.hash) for n, h in zip(numbers, headers, strict=True)}


async def read_receipts(rpc: Rpc, hashes: Sequence[bytes]) -> dict[bytes, Receipt]:
    """Those that exist. One batch for all, so that a transaction's attempts are judged by one state of the node."""
    answers = await rpc.batch_raw([("eth_getTransactionReceipt", (to_hex(h),)) for h in hashes])
    receipts = [_decoded(_RECEIPT, answer) for answer in answers]
    return {h: r for h, r in zip(hashes, receipts, strict=True) if r is not None}


async def used_by(rpc: Rpc, signer: bytes, *, nonce: int, first: int, last: int) -> bytes | None:
    """The hash of the signer's transaction with this nonce, if one of these blocks holds it.

    Blocks are read, no state: nodes forget old states before a block is final, and blocks much later.
    """
    answers = await rpc.batch_raw([("eth_getBlockByNumber", (to_quantity(n), True)) for n in range(first, last + 1)])
    for answer in answers:
        for each in _decoded(_BLOCK, answer).transactions:
            if from_quantity(each.nonce) == nonce and from_hex(each.sender) == signer:
                return from_hex(each.hash)
    return None


async def without_code(rpc: Rpc, targets: Collection[bytes]) -> set[bytes]:
    ordered = list(targets)
    answers = await rpc.batch([("eth_getCode", (to_hex(t), "latest")) for t in ordered])
    return {t for t, code in zip(ordered, answers, strict=True) if _found(code) == "0x"}


async def simulate(
    rpc: Rpc, calls: Sequence[Queued], *, sender: bytes, head: Head
) -> tuple[list[NodeError | None], bool]:
    """What each call would meet now, alone: None is success, `Reverted` a refusal, anything else says nothing.

    And whether the node that answered has `head`: one that lags, or came back from an older state, knows less than we.
    """
    answers = await rpc.batch(
        [("eth_getBlockByNumber", (to_quantity(head.number), False)), *(_as_call(call, sender) for call in calls)]
    )
    outcomes = [answer if isinstance(answer, NodeError) else None for answer in answers[1:]]
    block = answers[0]
    return outcomes, isinstance(block, dict) and block.get("hash") == to_hex(head.hash)


def _as_call(call: Queued, sender: bytes) -> Call:
    fields = {
        "from": to_hex(sender),
        "to": to_hex(call.target),
        "data": to_hex(call.data),
        "gas": to_quantity(gas_limit([call.gas], call.data)),
    }
    return ("eth_call", (fields, "latest"))


async def revert_reason(rpc: Rpc, *, sender: bytes, raw: bytes, block: int) -> bytes:
    """The reason why `raw` failed, by simulating it after its block; empty if the node cannot tell."""
    target, data = target_and_data(raw)
    fields = {"from": to_hex(sender), "to": to_hex(target), "data": to_hex(data)}
    try:
        await rpc.call("eth_call", fields, to_quantity(block))
    except Reverted as reverted:
        return reverted.data
    except ChainError:
        pass
    return b""


async def broadcast(rpc: Rpc, raws: Sequence[bytes]) -> list[ChainError | None]:
    """Hands over the transactions in their order. None is acceptance."""
    outcomes: list[ChainError | None] = []
    for chunk in _chunks(raws):
        try:
            answers = await rpc.batch([("eth_sendRawTransaction", (to_hex(raw),)) for raw in chunk])
        except ChainError as error:
            outcomes.extend([error] * len(chunk))
        else:
            outcomes.extend(a if isinstance(a, NodeError) else None for a in answers)
    return outcomes


def _chunks(raws: Sequence[bytes]) -> list[list[bytes]]:
    chunks: list[list[bytes]] = []
    size = _BROADCAST_BYTES
    for raw in raws:
        if size + len(raw) > _BROADCAST_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(raw)
        size += len(raw)
    return chunks


def _decoded(decoder: msgspec.json.Decoder[T], answer: msgspec.Raw | NodeError) -> T:
    if isinstance(answer, NodeError):
        raise answer
    try:
        return decoder.decode(answer)
    except msgspec.ValidationError as error:
        raise Malformed(f"an answer of another shape: {error}") from error


def _found(answer: Any) -> Any:
    if isinstance(answer, NodeError):
        raise answer
    return answer
