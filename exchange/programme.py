"""A programme before it exists: its address, and the call that creates it. Pure, but for reading the committed
artifact.

The factory deploys by CREATE2 with every parameter in the code that is hashed, so the address is known, and can be
signed for, before anything is sent; whoever relays the creation can change nothing of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import artifact
from contracts.bindings import Limits, Roles, Terms, factory_create
from exchange.errors import InvalidRequest

TERMS = Terms(life=730, verified_above=2**96 - 1)
"""Points live for two years of inactivity; no spend needs more than a passkey's presence."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What `Factory.create` is called with."""

    name: str
    symbol: str
    roles: Roles
    limits: Limits
    salt: bytes
    terms: Terms = TERMS


def short_string(text: str, *, name: str) -> bytes:
    """A left-aligned bytes32 of at most 31 bytes of UTF-8."""
    encoded = text.encode()
    if not 0 < len(encoded) <= 31 or b"\0" in encoded:
        raise InvalidRequest(f"{name} has {len(encoded)} bytes in UTF-8; 1 to 31 fit.", field=name)
    return encoded.ljust(32, b"\0")


@functools.cache
def _creation_code() -> bytes:
    return bytes.fromhex(artifact.load("Points").bytecode.removeprefix("0x"))


def address(parameters: Parameters, *, factory: bytes, exchange: bytes) -> bytes:
    """Where `Factory.create` will deploy: as `Factory.addressOf` says."""
    words = (
        short_string(parameters.name, name="name"),
        short_string(parameters.symbol, name="symbol"),
        parameters.roles.owner.rjust(32, b"\0"),
        parameters.roles.issuer.rjust(32, b"\0"),
        *(bound.to_bytes(32, "big") for bound in parameters.limits),
        *(term.to_bytes(32, "big") for term in parameters.terms),
        exchange.rjust(32, b"\0"),
    )
    code = keccak(_creation_code() + b"".join(words))
    return bytes(keccak(b"\xff" + factory + parameters.salt + code)[12:])


def creation(parameters: Parameters) -> bytes:
    """The call's data, for the factory."""
    return factory_create(
        name=short_string(parameters.name, name="name"),
        symbol=short_string(parameters.symbol, name="symbol"),
        roles=parameters.roles,
        limits=parameters.limits,
        terms=parameters.terms,
        salt=parameters.salt,
    )
