"""Assertions as a browser tells them (`PublicKeyCredential.toJSON`), and the token that recorded ones were made for."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from contracts import bindings, eip712, signatures
from contracts.bindings import Roles, Terms
from tests.contracts.node import NodeChain
from tests.contracts.world import WIDE, Programme, World, person

VERIFIED_ABOVE = 1_000
"""Base units of which a programme of these tests lets presence be enough."""
RECORDED = Path(__file__).parent / "vectors" / "chromium.json"


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Key:
    """A passkey's public key, as a browser tells it after a registration."""

    x: bytes
    y: bytes

    @classmethod
    def from_json(cls, public_key: str) -> Self:
        key = load_der_public_key(from_base64url(public_key))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        numbers = key.public_numbers()
        return cls(numbers.x.to_bytes(32), numbers.y.to_bytes(32))

    @property
    def holder(self) -> bytes:
        return signatures.passkey_holder(self.x, self.y)


def signature(digest: bytes, key: Key, response: dict[str, str]) -> bytes:
    """The contracts' form of the `response` to a challenge that was `digest`."""
    r, s = decode_dss_signature(from_base64url(response["signature"]))
    return signatures.from_assertion(
        digest=digest,
        x=key.x,
        y=key.y,
        r=r,
        s=s,
        authenticator_data=from_base64url(response["authenticatorData"]),
        client_data=from_base64url(response["clientDataJSON"]),
    )


def digest_of(token: Programme, kind: str, act: dict[str, Any]) -> bytes:
    digest: bytes = getattr(eip712, f"{kind.lower()}_digest")(token.separator, **act)
    return digest


def call(kind: str, act: dict[str, Any], signed: bytes) -> bytes:
    encoded: bytes = getattr(bindings, f"points_{kind.lower()}")(**act, signature=signed)
    return encoded


@dataclass(frozen=True, slots=True)
class Recording:
    """An act for `token_of_recordings`, and how a real browser answered when a passkey was asked to sign it."""

    promise: str
    public_key: str
    kind: str
    act: dict[str, Any]
    response: dict[str, str]
    accepted: bool

    @property
    def key(self) -> Key:
        return Key.from_json(self.public_key)

    def to_json(self) -> dict[str, Any]:
        act = {name: value.hex() if isinstance(value, bytes) else value for name, value in self.act.items()}
        return asdict(self) | {"act": act}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        act = {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in stored["act"].items()}
        return cls(**stored | {"act": act})


def recordings() -> list[Recording]:
    return [Recording.from_json(stored) for stored in json.loads(RECORDED.read_text())["recordings"]]


def token_of_recordings(world: World) -> Programme:
    """A token at an address that depends on nothing but the node's tenth account, whatever its code: so that what was
    signed once, in its domain, can be used again."""
    assert isinstance(world.chain, NodeChain)
    owner, issuer = person("Recorded owner"), person("Recorded issuer")
    name = b"Recorded".ljust(32, b"\0")
    types = ("bytes32", "bytes32", "(address,address)", "(uint96,uint96,uint96,uint96)", "(uint16,uint96)", "address")
    values = (name, name, Roles(owner.address, issuer.address), WIDE, Terms(1, VERIFIED_ABOVE), world.exchange)
    address = world.chain.deploy("Points", types, values, sender=9)
    return Programme(world.chain, address, owner, issuer, eip712.domain_separator(world.chain.id, address))


def mint(token: Programme, holder: bytes, amount: int) -> None:
    entries = holder + amount.to_bytes(12)
    token.chain.do(token.address, token.mint_call(entries, batch=next(token.batches)))
