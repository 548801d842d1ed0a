"""Deploying is done once, is found again, and works on a real node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from contracts import bindings, deploy, deployment, eip712, signatures
from contracts.bindings import Limits, Roles, Terms
from tests.conftest import Anvil

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of every development node: public, worth nothing."""
ISSUER = bytes(31) + b"\x05"


@pytest.fixture
def node(new_anvil: Callable[..., Anvil]) -> Anvil:
    return new_anvil()


def ask(url: str, to: bytes, data: bytes) -> bytes:
    return bytes(Web3(HTTPProvider(url)).eth.call({"to": Web3.to_checksum_address(to), "data": "0x" + data.hex()}))  # type: ignore[typeddict-item]


def test_a_deployment_is_whole_and_funded(node: Anvil, tmp_path: Path) -> None:
    made = deploy.deploy(node.url, KEY, path=tmp_path / "chain" / "deployment.json")
    operator = signatures.address_of(KEY)
    assert bindings.exchange_owner_result(ask(node.url, made.exchange, bindings.exchange_owner())) == operator
    token = ask(node.url, made.exchange, bindings.exchange_settlement_token())
    assert bindings.exchange_settlement_token_result(token) == made.settlement
    assert bindings.factory_exchange_result(ask(node.url, made.factory, bindings.factory_exchange())) == made.exchange
    held = ask(node.url, made.settlement, bindings.settlement_balance_of(account=operator))
    assert bindings.settlement_balance_of_result(held) == deploy.FLOAT
    allowed = ask(node.url, made.settlement, bindings.settlement_allowance(owner=operator, spender=made.exchange))
    assert bindings.settlement_allowance_result(allowed) == 2**256 - 1
    logs = Web3(HTTPProvider(node.url)).eth.get_logs(
        {"fromBlock": 0, "toBlock": made.first_block, "address": Web3.to_checksum_address(made.exchange)}
    )
    assert [log["blockNumber"] for log in logs] == [made.first_block]  # OwnershipTransferred, the first of all


def test_deploying_again_finds_what_is_there(node: Anvil, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    made = deploy.deploy(node.url, KEY, path=path)
    block = Web3(HTTPProvider(node.url)).eth.block_number
    assert deploy.deploy(node.url, KEY, path=path) == made == deployment.load(path)
    assert Web3(HTTPProvider(node.url)).eth.block_number == block


def test_a_deployment_of_a_chain_that_is_gone_is_made_anew(new_anvil: Callable[..., Anvil], tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    made = deploy.deploy(new_anvil().url, KEY, path=path)
    node = new_anvil()
    again = deploy.deploy(node.url, KEY, path=path)
    assert again.exchange == made.exchange  # the same key on a fresh chain: the same addresses
    assert bindings.exchange_owner_result(ask(node.url, again.exchange, bindings.exchange_owner()))


def test_a_given_settlement_token_is_used_and_not_minted(node: Anvil, tmp_path: Path) -> None:
    token = deploy.deploy(node.url, KEY, path=tmp_path / "one.json").settlement
    made = deploy.deploy(node.url, KEY, path=tmp_path / "two.json", settlement=token)
    assert made.settlement == token
    held = ask(node.url, token, bindings.settlement_balance_of(account=signatures.address_of(KEY)))
    assert bindings.settlement_balance_of_result(held) == deploy.FLOAT


def test_a_chain_that_is_not_local_needs_its_settlement_token(node: Anvil, tmp_path: Path) -> None:
    Web3(HTTPProvider(node.url)).provider.make_request(RPCEndpoint("anvil_setChainId"), [10])
    with pytest.raises(deploy.DeploymentError, match="chain 10 is not a local one"):
        deploy.deploy(node.url, KEY, path=tmp_path / "deployment.json")


def test_a_signature_does_not_survive_a_fork(node: Anvil, tmp_path: Path) -> None:
    web3 = Web3(HTTPProvider(node.url))
    made = deploy.deploy(node.url, KEY, path=tmp_path / "deployment.json")
    issuer = signatures.address_of(ISSUER)
    parameters = {
        "name": b"Grocer".ljust(32, b"\0"),
        "symbol": b"GRO".ljust(32, b"\0"),
        "roles": Roles(issuer, issuer),
        "limits": Limits(100, 100, 100, 0),
        "terms": Terms(365, 0),
        "salt": bytes(32),
    }
    token = bindings.factory_address_of_result(
        ask(node.url, made.factory, bindings.factory_address_of(**parameters))  # type: ignore[arg-type]
    )
    web3.eth.send_transaction(
        {
            "from": Web3.to_checksum_address(signatures.address_of(KEY)),
            "to": Web3.to_checksum_address(made.factory),
            "data": "0x" + bindings.factory_create(**parameters).hex(),  # type: ignore[typeddict-item, arg-type]
        }
    )
    entries = issuer + (7).to_bytes(12)
    digests = {
        chain: eip712.mint_digest(
            eip712.domain_separator(chain, token), batch=1, receipts_root=bytes(32), entries_hash=Web3.keccak(entries)
        )
        for chain in (31337, 31338)
    }
    calls = {
        chain: bindings.points_mint(
            batch=1, receipts_root=bytes(32), entries=entries, signature=signatures.sign(ISSUER, digest)
        )
        for chain, digest in digests.items()
    }
    assert ask(node.url, token, calls[31337]) == b""
    web3.provider.make_request(RPCEndpoint("anvil_setChainId"), [31338])
    web3.provider.make_request(RPCEndpoint("evm_mine"), [])
    assert ask(node.url, token, calls[31338]) == b""
    with pytest.raises(Exception, match="0x") as refused:
        ask(node.url, token, calls[31337])
    data = bytes.fromhex(str(refused.value.data)[2:])  # type: ignore[attr-defined]
    assert bindings.describe_error(data) == f"InvalidSignature(signer=0x{issuer.hex()})"
