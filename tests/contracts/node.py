"""`tests.contracts.world` on a real node: for what the in-process chain does not have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from eth_abi.abi import encode
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError, Web3RPCError
from web3.types import RPCEndpoint

from contracts import artifact, bindings
from contracts.bindings import Event
from tests.conftest import Anvil, free_port
from tests.contracts.world import GAS, Chain, Refused, World, make_world


@contextmanager
def world_with_passkeys() -> Iterator[World]:
    """The contracts on a node that has the precompile."""
    node = Anvil(free_port(), ("--hardfork", "osaka"))
    node.start()
    try:
        yield make_world(chain=NodeChain.at(node.url))
    finally:
        node.kill()


@dataclass
class NodeChain(Chain):
    """A node that mines every transaction at once and has unlocked accounts."""

    web3: Web3 = field(default_factory=Web3)
    url: str = ""

    @classmethod
    def at(cls, url: str) -> NodeChain:
        web3 = Web3(HTTPProvider(url))
        return cls(tester=None, id=web3.eth.chain_id, web3=web3, url=url)

    @property
    def now(self) -> int:
        return self.web3.eth.get_block("latest")["timestamp"]

    def travel(self, seconds: int) -> None:
        self._request("evm_increaseTime", seconds)
        self._request("evm_mine")

    def deploy(self, name: str, types: Any = (), values: Any = (), *, sender: int = 0) -> bytes:
        data = artifact.load(name).bytecode + encode(types, values).hex()
        sent = self.web3.eth.send_transaction({"from": self.web3.eth.accounts[sender], "data": data, "gas": GAS})  # type: ignore[typeddict-item]
        address = self.web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
        return bytes.fromhex(cast(str, address)[2:])

    def do(self, to: bytes, data: bytes, *, sender: int = 0) -> list[Event]:
        self.ask(to, data, sender=sender)
        sent = self.web3.eth.send_transaction(self._whole(to, data, sender))
        receipt = self.web3.eth.wait_for_transaction_receipt(sent)
        self.gas_used = receipt["gasUsed"]
        if receipt["status"] != 1:
            raise AssertionError("reverted in a transaction and not in a call")
        logs = receipt["logs"]
        return [bindings.EVENTS[log["topics"][0]].from_log(log["topics"], bytes(log["data"])) for log in logs]

    def ask(self, to: bytes, data: bytes, *, sender: int = 0) -> bytes:
        try:
            return bytes(self.web3.eth.call(self._whole(to, data, sender)))
        except (ContractLogicError, Web3RPCError) as failed:
            reason = getattr(failed, "data", None) or "0x"
            raise Refused(bindings.describe_error(bytes.fromhex(str(reason)[2:]))) from None

    def trace(self, to: bytes, data: bytes) -> list[dict[str, Any]]:
        """The calls that a call would make, precompiles included."""
        transaction = {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}
        answer = self._request("debug_traceCall", transaction, "latest", {"tracer": "callTracer"})
        return list(answer["calls"])

    def account(self, sender: int) -> bytes:
        return bytes.fromhex(self.web3.eth.accounts[sender][2:])

    def storage(self, contract: bytes, slot: int) -> int:
        return int.from_bytes(self.web3.eth.get_storage_at(Web3.to_checksum_address(contract), slot))

    def store(self, contract: bytes, slot: int, word: int) -> None:
        self._request("anvil_setStorageAt", f"0x{contract.hex()}", hex(slot), f"0x{word:064x}")

    def _whole(self, to: bytes, data: bytes, sender: int) -> Any:
        account = self.web3.eth.accounts[sender]
        return {"from": account, "to": Web3.to_checksum_address(to), "data": "0x" + data.hex(), "gas": GAS}

    def _request(self, method: str, *parameters: object) -> Any:
        answer = self.web3.provider.make_request(RPCEndpoint(method), list(parameters))
        assert "error" not in answer, answer
        return answer["result"]
