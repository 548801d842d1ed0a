"""Measures transactions on a fresh anvil under Osaka's rules, each in a block of its own.

A figure is the gas of the whole transaction, with its calldata and its 21,000, divided by the acts in it: what one act
costs the payer of gas. A transaction that fails is an error, never a figure.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_abi.grammar import parse
from eth_hash.backends.pysha3 import keccak256 as keccak
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from contracts.rpc import from_hex, to_hex
from scripts.node import tool

START = 1_900_000_000
"""The chain's first second: always the same, so that the same calldata are sent."""
ARGUMENTS = ("--hardfork", "osaka", "--timestamp", str(START))
"""What anvil needs beyond its port. Its chain id is 31337, which every development tool takes for a local chain."""
ALONE = 10
"""How many transactions with a single act are averaged: addresses differ in their zero bytes."""
GAS = 2**24
"""Of every transaction: the most that one may have (EIP-7825)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Gas for one act, in a transaction of `batch`, done to somebody who has some of the token, and who has none yet.

    `new` is None for acts that give nobody anything.
    """

    act: str
    who: str
    batch: int
    existing: int
    new: int | None = None


class MeasurementFailed(RuntimeError):
    """When the node did not do what was to be measured."""


class Meter:
    """One node. `senders` are the addresses that it signs for; who sends does not change what it costs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._provider = HTTPProvider(url)
        self.senders: list[bytes] = [from_hex(one) for one in self.rpc("eth_accounts")]

    def rpc(self, method: str, *params: object) -> Any:
        answer = self._provider.make_request(RPCEndpoint(method), params)
        if "error" in answer:
            raise MeasurementFailed(f"{method}: {answer['error']}")
        return answer["result"]

    def do(self, to: bytes | None, data: bytes, *, sender: int = 0) -> dict[str, Any]:
        """The receipt of a transaction."""
        transaction = {"from": to_hex(self.senders[sender]), "data": to_hex(data), "gas": hex(GAS)}
        if to is not None:
            transaction["to"] = to_hex(to)
        receipt: dict[str, Any] = self.rpc("eth_sendTransactionSync", transaction)
        if int(receipt["status"], 16) != 1:
            raise MeasurementFailed(f"failed: {receipt['transactionHash']} to {transaction.get('to')}")
        return receipt

    def gas(self, to: bytes, data: bytes, *, sender: int = 0) -> int:
        return int(self.do(to, data, sender=sender)["gasUsed"], 16)

    def create(self, code: str, types: Sequence[str] = (), values: Sequence[object] = ()) -> bytes:
        return from_hex(self.do(None, from_hex(code) + encode(types, values))["contractAddress"])

    def ask(self, to: bytes, data: bytes) -> bytes:
        return from_hex(self.rpc("eth_call", {"to": to_hex(to), "data": to_hex(data)}, "latest"))


def call(signature: str, *values: object) -> bytes:
    """Calldata of a function given as `name(types)`, for contracts that have no bindings."""
    selector, types = keccak(signature.encode())[:4], signature[signature.index("(") :]
    if not values:
        return selector
    encoded = encode([types], [values])
    # A tuple of dynamic size is preceded by where it is; a function's arguments are that tuple without it.
    return selector + (encoded[32:] if parse(types).is_dynamic else encoded)


@contextmanager
def fresh_node() -> Iterator[str]:
    """The URL of a node that lives as long as the context."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [str(tool("anvil")), "--port", str(port), "--chain-id", "31337", "--prune-history", "--quiet", *ARGUMENTS]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise MeasurementFailed("anvil did not answer within 10 s")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
