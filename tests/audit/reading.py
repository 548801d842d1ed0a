"""Blocks as a node tells them, unproved: for tests of what is made of blocks, and not of how they are proved."""

from __future__ import annotations

from typing import Any

from contracts.rpc import Rpc, from_hex, from_quantity, to_quantity
from scripts.audit.evidence import Block, Log, Transaction


async def read(rpc: Rpc, *, first: int, last: int) -> list[Block]:
    """All blocks from `first` to `last`, with every log of every transaction."""
    numbers = range(first, last + 1)
    calls = [("eth_getBlockByNumber", (to_quantity(number), False)) for number in numbers]
    receipts = [("eth_getBlockReceipts", (to_quantity(number),)) for number in numbers]
    answers: list[Any] = await rpc.batch([*calls, *receipts])
    return [_block(*pair) for pair in zip(answers[: len(calls)], answers[len(calls) :], strict=True)]


def _block(block: dict[str, Any], receipts: list[dict[str, Any]]) -> Block:
    return Block(
        number=from_quantity(block["number"]),
        hash=from_hex(block["hash"]),
        parent=from_hex(block["parentHash"]),
        time=from_quantity(block["timestamp"]),
        state_root=from_hex(block["stateRoot"]),
        transactions=[_transaction(receipt) for receipt in receipts],
    )


def _transaction(receipt: dict[str, Any]) -> Transaction:
    logs = [
        Log(
            from_quantity(log["logIndex"]),
            from_hex(log["address"]),
            [from_hex(topic) for topic in log["topics"]],
            from_hex(log["data"]),
        )
        for log in receipt["logs"]
    ]
    return Transaction(from_quantity(receipt["transactionIndex"]), from_hex(receipt["transactionHash"]), logs)
