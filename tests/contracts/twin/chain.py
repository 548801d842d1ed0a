"""The contracts beside their twin: on a node that takes every act at the second that the act names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from contracts import bindings
from contracts.bindings import Event
from contracts.errors import NodeError, Reverted
from contracts.rpc import Call, Rpc, from_hex, to_hex, to_quantity
from tests.contracts.twin.journal import Refused
from tests.contracts.twin.network import View
from tests.contracts.world import GAS


@dataclass
class Contracts:
    runner: asyncio.Runner
    rpc: Rpc
    snapshot: str = ""

    @classmethod
    @contextmanager
    def at(cls, url: str) -> Iterator[Contracts]:
        with asyncio.Runner() as runner:
            rpc = runner.run(Rpc(url, timeout=60).__aenter__())
            try:
                yield cls(runner, rpc)
            finally:
                runner.run(rpc.__aexit__(None, None, None))

    def remember(self, accounts: Iterable[bytes]) -> None:
        """Keeps this state for `forget`, in which these accounts may send transactions."""
        self._ask(("anvil_autoImpersonateAccount", [True]))
        self._ask(*(("anvil_setBalance", [to_hex(account), to_quantity(10**24)]) for account in accounts))
        (self.snapshot,) = self._ask(("evm_snapshot", []))

    def forget(self) -> None:
        """Goes back to the state that was remembered."""
        assert self._ask(("evm_revert", [self.snapshot])) == [True]
        (self.snapshot,) = self._ask(("evm_snapshot", []))

    def perform(self, contract: bytes, data: bytes, *, caller: bytes, now: int) -> list[tuple[bytes, Event]]:
        """The act's events; `Refused`, with the contract's reason, if it reverts."""
        transaction = {"from": to_hex(caller), "to": to_hex(contract), "data": to_hex(data), "gas": to_quantity(GAS)}
        try:
            self._ask(("eth_call", [transaction, "latest", {}, {"time": to_quantity(now)}]))
        except Reverted as reverted:
            raise Refused(bindings.describe_error(reverted.data)) from None
        self._ask(("evm_setNextBlockTimestamp", [now]))
        (sent,) = self._ask(("eth_sendTransaction", [transaction]))
        receipt = None
        while receipt is None:
            (receipt,) = self._ask(("eth_getTransactionReceipt", [sent]))
        assert receipt["status"] == "0x1", "reverted in a transaction and not in a call"
        return [(from_hex(log["address"]), _decoded(log)) for log in receipt["logs"]]

    def contradicted(self, views: Sequence[View]) -> list[str]:
        """What the contracts answer otherwise than expected."""
        answers = self._ask(
            *(("eth_call", [{"to": to_hex(to), "data": to_hex(data)}, "latest"]) for _, to, data, _ in views)
        )
        found = []
        for (name, _, _, expected), answer in zip(views, answers, strict=True):
            data = from_hex(answer)
            words = tuple(int.from_bytes(data[at : at + 32]) for at in range(0, len(data), 32))
            if words != expected:
                found.append(f"{name}: {words}, and not {expected}")
        return found

    def _ask(self, *calls: Call) -> list[Any]:
        answers = self.runner.run(self.rpc.batch(calls))
        for answer in answers:
            if isinstance(answer, NodeError):
                raise answer
        return answers


def _decoded(log: dict[str, Any]) -> Event:
    topics = [from_hex(topic) for topic in log["topics"]]
    return bindings.EVENTS[topics[0]].from_log(topics, from_hex(log["data"]))
