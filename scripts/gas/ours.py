"""What our own acts cost: mints of 200, and bundles of 100 holders' intents, as the relayer sends them.

Everything that knows how our contracts are called is here, in `network` and in `seldom`, and nothing of it in the other
modules of this folder.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, deploy, eip712, packed
from contracts.rpc import from_hex
from scripts.environment import LOCAL_OPERATOR_KEY
from scripts.gas import seldom
from scripts.gas.meter import ALONE, Figure, Meter
from scripts.gas.network import (
    ACTING,
    AMOUNT,
    HOLDERS,
    IDLE,
    INTENTS,
    ISSUER,
    LATE,
    MINTS,
    NEXT_YEAR,
    NOBODY,
    PASSKEYS,
    STRANGERS,
    Holder,
    Network,
    Person,
    Programme,
    person,
)

SNAPSHOT = Path(deploy.__file__).parent / "snapshots" / "gas.json"


def measure(meter: Meter, folder: Path) -> list[Figure]:
    """All our acts. `folder` is where the deployment is noted."""
    deployment = deploy.deploy(meter.url, from_hex(LOCAL_OPERATOR_KEY), path=folder / "deployment.json")
    network = Network(meter, deployment)
    grocer, florist = network.open("Grocer"), network.open("Florist")
    charity = person("charity").address
    meter.do(deployment.exchange, bindings.exchange_register_charity(charity=charity, name=b"Kids".ljust(32, b"\0")))

    network.mint(grocer, [ISSUER], AMOUNT)  # the first batch of all pays for the programme's own words
    new, existing = (network.mint(grocer, HOLDERS, 10_000) // MINTS for _ in range(2))
    figures = [Figure("mint", "mint", MINTS, existing, new)]
    new, existing = (sum(network.mint(grocer, [one], 10_000) for one in LATE) // ALONE for _ in range(2))
    figures.append(Figure("mint", "mint", 1, existing, new))
    young = [person(f"young programme's holder {number}") for number in range(MINTS)]
    new, existing = (network.mint(grocer, young, 10_000, young=True) // MINTS for _ in range(2))
    figures.append(Figure("mint", "mint in the first 4,096 batches", MINTS, existing, new))
    network.mint(grocer, PASSKEYS, 10_000)

    nonces = itertools.count()

    def together(target: bytes, encode: Encode, holders: Sequence[Holder] = ACTING) -> int:
        nonce = next(nonces)
        return network.bundle(target, (encode(place, one, nonce) for place, one in enumerate(holders))) // INTENTS

    def alone(target: bytes, encode: Encode, holders: Sequence[Holder] = ACTING) -> int:
        nonce = next(nonces)
        bundles = ([encode(place, one, nonce)] for place, one in enumerate(holders[:ALONE]))
        return sum(network.bundle(target, bundle) for bundle in bundles) // ALONE

    token, exchange = grocer.address, deployment.exchange
    new, existing = (together(token, _send(grocer, to)) for to in (STRANGERS, IDLE))
    figures.append(Figure("send", "send", INTENTS, existing, new))
    new, existing = (alone(token, _send(grocer, NOBODY)) for _ in range(2))
    figures.append(Figure("send", "send", 1, existing, new))
    figures.append(Figure("send", "send by passkey", INTENTS, together(token, _send(grocer, IDLE), PASSKEYS)))
    figures.append(Figure("redeem", "redeem", INTENTS, together(token, _redeem(grocer))))
    new, existing = (together(exchange, _swap(grocer, florist)) for _ in range(2))
    figures.append(Figure("swap", "swap", INTENTS, existing, new))
    new, existing = (alone(exchange, _swap(grocer, florist), IDLE) for _ in range(2))
    figures.append(Figure("swap", "swap", 1, existing, new))
    figures.append(Figure("give", "give", INTENTS, together(exchange, _give(grocer, charity))))
    return figures + seldom.measure(network, grocer, florist)


Encode = Callable[[int, Holder, int], bytes]
"""Calldata of an act by the holder at a place among the acting ones, with a nonce."""


def _send(programme: Programme, to: Sequence[Person]) -> Encode:
    def encode(place: int, holder: Holder, nonce: int) -> bytes:
        act: dict[str, Any] = {"holder": holder.address, "to": to[place].address, "amount": AMOUNT}
        act |= {"nonce": nonce, "deadline": NEXT_YEAR}
        return packed.send(**act, signature=holder.sign(eip712.send_digest(programme.separator, **act)))

    return encode


def _redeem(programme: Programme) -> Encode:
    def encode(place: int, holder: Holder, nonce: int) -> bytes:
        act: dict[str, Any] = {"holder": holder.address, "amount": AMOUNT, "order": keccak(place.to_bytes(4))}
        act |= {"nonce": nonce, "deadline": NEXT_YEAR}
        return packed.redeem(**act, signature=holder.sign(eip712.redeem_digest(programme.separator, **act)))

    return encode


def _swap(from_: Programme, into: Programme) -> Encode:
    def encode(_place: int, holder: Holder, nonce: int) -> bytes:
        act: dict[str, Any] = {"holder": holder.address, "amount": AMOUNT, "into": into.address, "minimum": 1_200}
        act |= {"nonce": nonce, "deadline": NEXT_YEAR}
        signature = holder.sign(eip712.swap_digest(from_.separator, **act))
        return packed.swap(from_=from_.address, **act, signature=signature)

    return encode


def _give(programme: Programme, charity: bytes) -> Encode:
    def encode(_place: int, holder: Holder, nonce: int) -> bytes:
        act: dict[str, Any] = {"holder": holder.address, "amount": AMOUNT, "charity": charity, "campaign": 0}
        act |= {"nonce": nonce, "deadline": NEXT_YEAR}
        signature = holder.sign(eip712.give_digest(programme.separator, **act))
        return packed.give(programme=programme.address, **act, signature=signature)

    return encode


def snapshot(figures: Iterable[Figure]) -> dict[str, dict[str, int]]:
    """By act and size of the transaction; `new` and `existing` as in `Figure`."""
    return {
        f"{one.who} x {one.batch}": {"existing": one.existing} | ({} if one.new is None else {"new": one.new})
        for one in figures
    }


def read_snapshot() -> dict[str, dict[str, int]]:
    saved: dict[str, dict[str, int]] = json.loads(SNAPSHOT.read_text())
    return saved


def write_snapshot(figures: Iterable[Figure]) -> None:
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(snapshot(figures), indent=2) + "\n")
