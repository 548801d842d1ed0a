"""Deployed code is recognised, immutables and all, and a single changed byte is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from contracts import artifact, bindings, deploy, signatures
from contracts.bindings import Limits, Roles, Terms
from contracts.deployment import Deployment
from scripts import cli
from scripts.verify_code import Verdict, verify
from tests.conftest import Anvil

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of every development node: public, worth nothing."""
OPERATOR = signatures.address_of(KEY)
ISSUER = b"\x05" * 20


@pytest.fixture
def node(new_anvil: Callable[..., Anvil]) -> Anvil:
    return new_anvil()


@pytest.fixture
def deployment(node: Anvil, tmp_path: Path) -> Deployment:
    return deploy.deploy(node.url, KEY, path=tmp_path / "deployment.json")


def create_programme(node: Anvil, deployment: Deployment) -> str:
    """A programme's address."""
    web3 = Web3(HTTPProvider(node.url))
    call = bindings.factory_create(
        name=b"Grocer".ljust(32, b"\0"),
        symbol=b"GRO".ljust(32, b"\0"),
        roles=Roles(OPERATOR, ISSUER),
        limits=Limits(10**9, 10**6, 10**8, 10**3),
        terms=Terms(365, 0),
        salt=bytes(32),
    )
    sent = web3.eth.send_transaction(
        {
            "from": Web3.to_checksum_address(OPERATOR),
            "to": Web3.to_checksum_address(deployment.factory),
            "data": "0x" + call.hex(),  # type: ignore[typeddict-item]
        }
    )
    (log,) = web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)["logs"]
    return "0x" + log["topics"][1].hex()[-40:]


def code_at(node: Anvil, address: str) -> bytes:
    return bytes(Web3(HTTPProvider(node.url)).eth.get_code(Web3.to_checksum_address(address)))


def set_code(node: Anvil, address: str, code: bytes) -> None:
    Web3(HTTPProvider(node.url)).provider.make_request(RPCEndpoint("anvil_setCode"), [address, "0x" + code.hex()])


def change(code: bytes, place: int) -> bytes:
    return code[:place] + bytes((code[place] ^ 1,)) + code[place + 1 :]


def points(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `points ...`."""
    monkeypatch.setattr(sys, "argv", ["points", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def getters(verdict: Verdict) -> dict[str, bytes]:
    return {name: immutable.value for immutable in verdict.immutables for name in immutable.getters}


@pytest.mark.asyncio
async def test_everything_deployed_is_recognised(node: Anvil, deployment: Deployment) -> None:
    programme = create_programme(node, deployment)
    places = {
        "SettlementToken": "0x" + deployment.settlement.hex(),
        "Exchange": "0x" + deployment.exchange.hex(),
        "Factory": "0x" + deployment.factory.hex(),
        "Bundle": "0x" + deployment.bundle.hex(),
        "Points": programme,
    }
    verdicts = {name: await verify(node.url, address) for name, address in places.items()}
    assert {name: verdict.contract for name, verdict in verdicts.items()} == {name: name for name in places}
    for name, verdict in verdicts.items():
        assert len(verdict.immutables) == len(artifact.load(name).immutable_references)
    word = {name: value.rjust(32, b"\0") for name, value in (("owner", OPERATOR), ("issuer", ISSUER))}
    assert word.items() <= getters(verdicts["Points"]).items()
    assert b"Grocer".ljust(32, b"\0") in [immutable.value for immutable in verdicts["Points"].immutables]
    assert getters(verdicts["Factory"])["exchange"] == deployment.exchange.rjust(32, b"\0")


@pytest.mark.asyncio
async def test_one_changed_byte_is_another_contract(node: Anvil, deployment: Deployment) -> None:
    programme = create_programme(node, deployment)
    code = code_at(node, programme)
    reference = artifact.load("Points").immutable_references
    masked = {place["start"] + at for places in reference.values() for place in places for at in range(place["length"])}
    for place in (0, next(at for at in range(len(code) // 2, len(code)) if at not in masked), len(code) - 1):
        set_code(node, programme, change(code, place))
        verdict = await verify(node.url, programme)
        assert verdict.contract is None
        assert verdict.near == (f"Points: 1 of {len(code)} bytes differ, the first at {place}",)
    for other in (code[:-1], code + b"\0"):
        set_code(node, programme, other)
        assert (await verify(node.url, programme)).contract is None
    set_code(node, programme, code)
    assert (await verify(node.url, programme)).contract == "Points"


@pytest.mark.asyncio
async def test_an_immutable_has_one_value_in_all_its_places(node: Anvil, deployment: Deployment) -> None:
    programme = create_programme(node, deployment)
    many = next(places for places in artifact.load("Points").immutable_references.values() if len(places) > 1)
    last = many[1]["start"] + many[1]["length"] - 1
    set_code(node, programme, change(code_at(node, programme), last))
    verdict = await verify(node.url, programme)
    assert verdict.contract is None
    assert verdict.near == ("Points: an immutable has two values",)


def test_the_exit_code_says_what_was_found(
    node: Anvil, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = "0x" + deployment.bundle.hex()
    assert points(monkeypatch, "verify-code", bundle, "--rpc", node.url) == 0
    assert "It is Bundle" in capsys.readouterr().out
    set_code(node, bundle, change(code_at(node, bundle), 10))
    assert points(monkeypatch, "verify-code", bundle, "--rpc", node.url) == 1
    assert points(monkeypatch, "verify-code", "0x" + "11" * 20, "--rpc", node.url) == 2  # nothing is there
    assert points(monkeypatch, "verify-code", "bundle", "--rpc", node.url) == 2
    node.kill()
    assert points(monkeypatch, "verify-code", bundle, "--rpc", node.url) == 2
