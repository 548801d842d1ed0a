"""A challenge's characters are those of the plain loop, and Python's."""

from __future__ import annotations

import base64
import random
import sys

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from eth_utils.address import to_checksum_address

from contracts import compile as solidity
from contracts.rpc import from_hex, to_hex
from scripts.gas.meter import call

TWIN = "Base64UrlTwin"
CHARACTERS = 43
"""Of 32 bytes; the last one has 4 bits only."""


class Twin:
    """Both ways, in a contract of their own."""

    def __init__(self) -> None:
        units = {TWIN: "test/twins/Base64Url.sol"}
        made = solidity.compile_contracts(units, compiler=solidity.find_compiler())
        self.tester = EthereumTester(PyEVMBackend())
        self.caller = self.tester.get_accounts()[0]
        sent = self.tester.send_transaction({"from": self.caller, "data": made[TWIN]["bytecode"], "gas": 3_000_000})
        self.address = self.tester.get_transaction_receipt(sent)["contract_address"]

    def ask(self, way: str, data: bytes) -> bytes:
        question = to_hex(call(f"{way}(bytes32)", data))
        answer = self.tester.call({"from": self.caller, "to": to_checksum_address(self.address), "data": question})
        return from_hex(answer)[64 : 64 + CHARACTERS]


@pytest.fixture(scope="module")
def twin() -> Twin:
    return Twin()


def of_one_character(value: int) -> bytes:
    """The 32 bytes whose characters all mean `value`, but for the last, which has no room for its low bits."""
    bits = sum(value << 6 * place for place in range(CHARACTERS))
    return (bits >> 2).to_bytes(32)


def test_every_character_is_right_at_every_place(twin: Twin) -> None:
    for value in range(64):
        data = of_one_character(value)
        expected = base64.urlsafe_b64encode(data).rstrip(b"=")
        assert len(set(expected[:-1])) == 1
        assert twin.ask("ours", data) == twin.ask("plain", data) == expected


def test_any_digest_is_written_as_the_plain_loop_does(twin: Twin) -> None:
    seed = random.SystemRandom().getrandbits(32)
    sys.stdout.write(f"seed {seed}\n")
    draw = random.Random(seed)
    for _ in range(200):
        data = draw.randbytes(32)
        assert twin.ask("ours", data) == twin.ask("plain", data) == base64.urlsafe_b64encode(data).rstrip(b"=")
