"""What the contracts' code must be, to the byte: what the compiler made of the sources, with its constructor's values.

`contracts/artifacts` are what a reproducible build gives (`make check` and a test rebuild them); the compiler leaves
zeros where immutables go. Those of a token follow from the event of its creation, those of the factory and some of the
exchange's from where they are; the rest is read from the exchange's own code, which its hash then commits to. A token's
limits are no immutables and no event says them; but its address commits to them, because they are part of the code that
it is hashed from. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import artifact, bindings, eip712
from contracts.bindings import Limits
from scripts.audit.acts import Network

_SELECTOR: Final = bindings.factory_create(
    name=bytes(32),
    symbol=bytes(32),
    roles=bindings.Roles(bytes(20), bytes(20)),
    limits=Limits(0, 0, 0, 0),
    terms=bindings.Terms(0, 0),
    salt=bytes(32),
)[:4]
_WORDS: Final = 11
"""Of the arguments of `create`, all static: name, symbol, roles, limits, terms, salt."""


class OtherCode(Exception):
    """The code of the exchange is not what this build makes."""


@dataclass(frozen=True, slots=True)
class Immutables:
    """What the exchange's constructor wrote into its code, and its tokens took from it."""

    settlement: bytes
    factory: bytes
    max_fee_bps: int
    rp_id_hash: bytes
    has_passkeys: bytes


def immutables(code: bytes, network: Network) -> Immutables:
    """Reads the exchange's own code. Raises `OtherCode` unless it is this build's, and of this network."""
    made = artifact.load("Exchange")
    references = sorted(made.immutable_references.items(), key=lambda item: int(item[0]))
    if len(code) != len(bytes.fromhex(made.deployed_bytecode[2:])):
        raise OtherCode(f"the exchange has {len(code)} bytes of code, this build's has another length")
    found = [code[places[0]["start"] : places[0]["start"] + 32] for _, places in references]
    if _filled("Exchange", found) != code:
        raise OtherCode("the exchange's code is not this build's")
    chain, separator, settlement, factory, fee, rp_id, passkeys = found
    expected = (network.chain_id.to_bytes(32), eip712.domain_separator(network.chain_id, network.exchange))
    if (chain, separator) != expected:
        raise OtherCode("the exchange was made for another chain, or at another address")
    if (settlement[12:], factory[12:]) != (network.settlement, network.factory):
        raise OtherCode("the exchange's settlement token or factory are not those of the deployment")
    return Immutables(settlement[12:], factory[12:], int.from_bytes(fee), rp_id, passkeys)


def of_factory(network: Network) -> bytes:
    return _filled("Factory", [_word(network.exchange)])


def of_token(network: Network, created: bindings.ProgrammeCreated, shared: Immutables) -> bytes:
    """The code of a programme that says of itself what the event of its creation says."""
    return _filled(
        "Points",
        [
            network.chain_id.to_bytes(32),
            eip712.domain_separator(network.chain_id, created.programme),
            *(_word(created.owner), _word(created.issuer), _word(network.exchange)),
            created.life.to_bytes(32),
            *(created.name, created.symbol),
            created.verified_above.to_bytes(32),
            *(shared.rp_id_hash, shared.has_passkeys),
        ],
    )


def limits_at_creation(network: Network, programme: bytes, calldata: bytes) -> Limits | None:
    """The limits in a call of the factory's `create` anywhere in `calldata` that gives this very address; None if there
    is no such call. The address is the proof (EIP-1014)."""
    for words in _calls(calldata):
        arguments = [words[32 * place : 32 * place + 32] for place in range(_WORDS)]
        made = artifact.load("Points")
        code = bytes.fromhex(made.bytecode[2:]) + b"".join(arguments[:-1]) + _word(network.exchange)
        if keccak(b"\xff" + network.factory + arguments[-1] + keccak(code))[12:] == programme:
            return Limits(*[int.from_bytes(word) for word in arguments[4:8]])
    return None


def _calls(calldata: bytes) -> Iterator[bytes]:
    start = calldata.find(_SELECTOR)
    while start >= 0:
        words = calldata[start + 4 : start + 4 + 32 * _WORDS]
        if len(words) == 32 * _WORDS:
            yield words
        start = calldata.find(_SELECTOR, start + 1)


def _filled(name: str, values: Sequence[bytes]) -> bytes:
    """The artifact's code with these values, in the order of their declaration, where its immutables go."""
    made = artifact.load(name)
    code = bytearray.fromhex(made.deployed_bytecode[2:])
    references = sorted(made.immutable_references.items(), key=lambda item: int(item[0]))
    for (_, places), value in zip(references, values, strict=True):
        for place in places:
            code[place["start"] : place["start"] + place["length"]] = value
    return bytes(code)


def _word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")
