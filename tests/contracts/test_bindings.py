"""The generated bindings encode what a general ABI encoder does, and refuse what does not fit."""

from __future__ import annotations

import inspect
import random
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import abi, artifact, bindings, generate
from contracts.bindings import Call, Limits, Minted, Quote, Roles, Terms
from contracts.compile import DEPLOYABLE

STRUCTURES = {"Call": Call, "Limits": Limits, "Quote": Quote, "Roles": Roles, "Terms": Terms}
FUNCTIONS = [
    pytest.param(
        f"{generate.PREFIXES.get(name, name.lower())}_{generate._snake(entry['name'])}",
        entry,
        id=f"{name}.{entry['name']}",
    )
    for name in DEPLOYABLE
    for entry in artifact.load(name).abi
    if entry["type"] == "function"
]


def canonical(field: dict[str, Any]) -> str:
    return generate._canonical(field)


def sample(field: dict[str, Any], dice: random.Random) -> Any:
    kind = field["type"]
    if kind.endswith("[]"):
        return [sample({**field, "type": kind[:-2]}, dice) for _ in range(dice.randrange(4))]
    if kind == "tuple":
        made = STRUCTURES[generate._structure(field)]
        return made(*(sample(part, dice) for part in field["components"]))
    if kind.startswith("uint"):
        return dice.choice([0, 1, 2 ** int(kind[4:]) - 1, dice.randrange(2 ** int(kind[4:]))])
    if kind == "bool":
        return dice.random() < 0.5
    if kind == "address":
        return dice.randbytes(20)
    return dice.randbytes(dice.randrange(100)) if kind == "bytes" else dice.randbytes(int(kind[5:]))


@pytest.mark.parametrize(("name", "entry"), FUNCTIONS)
def test_calldata_is_what_a_general_encoder_makes(name: str, entry: dict[str, Any]) -> None:
    function, dice = getattr(bindings, name), random.Random(name)
    types = [canonical(field) for field in entry["inputs"]]
    for _ in range(5):
        values = [sample(field, dice) for field in entry["inputs"]]
        made = function(**dict(zip(inspect.signature(function).parameters, values, strict=True)))
        assert made == keccak(f"{entry['name']}({','.join(types)})".encode())[:4] + encode(types, values)


def test_values_that_do_not_fit_are_refused_before_they_are_sent() -> None:
    for kwargs in ({"to": bytes(20), "value": -1}, {"to": bytes(20), "value": 2**256}, {"to": bytes(19), "value": 1}):
        with pytest.raises(ValueError, match=r"uint256|20 bytes"):
            bindings.points_transfer(**kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", list(bindings.EVENTS.values()), ids=lambda event: event.__name__)
def test_a_log_of_another_shape_is_undecodable(event: type[bindings.Event]) -> None:
    topic = next(topic for topic, kind in bindings.EVENTS.items() if kind is event)
    with pytest.raises(abi.UndecodableLog, match=event.__name__):
        event.from_log([topic] * 5, b"")
    with pytest.raises(abi.UndecodableLog):
        event.from_log([topic], bytes(31))


def test_a_log_decodes_by_its_words() -> None:
    data = encode(["bytes32", "bytes32", "uint256", "uint256"], [b"r" * 32, b"e" * 32, 2**95, 3])
    log = [bindings.MINTED_TOPIC, (7).to_bytes(32)]
    assert Minted.from_log(log, data) == Minted(7, b"r" * 32, b"e" * 32, 2**95, 3)
    for topics, broken in ((log[:1], data), (log, data[:-1]), ([bindings.SENT_TOPIC, log[1]], data)):
        with pytest.raises(abi.UndecodableLog):
            Minted.from_log(topics, broken)


def test_reasons_are_told_in_words_even_when_cut_short() -> None:
    selector = keccak(b"DailyCapExceeded(address,uint256,uint256)")[:4]
    data = selector + encode(["address", "uint256", "uint256"], [b"\xaa" * 20, 5, 6])
    assert bindings.describe_error(data) == f"DailyCapExceeded(account=0x{'aa' * 20}, left=5, wanted=6)"
    assert bindings.describe_error(data[:68]) == f"DailyCapExceeded(account=0x{'aa' * 20}, left=5)"
    assert bindings.describe_error(b"") == bindings.describe_error(bytes(68)) == "no reason given"
    assert bindings.describe_error(b"\1\2\3\4") == "unknown error 0x01020304"
    reason = keccak(b"Error(string)")[:4] + encode(["string"], ["it's over"])
    assert bindings.describe_error(reason) == 'Error("it\'s over")'


def test_bindings_come_from_the_committed_artifacts() -> None:
    abis = {name: artifact.load(name).abi for name in DEPLOYABLE}
    assert generate.bindings(abis) == inspect.getsource(bindings)


def test_events_have_static_types_only() -> None:
    entry = {"type": "event", "name": "Said", "inputs": [{"name": "what", "type": "string", "indexed": False}]}
    with pytest.raises((ValueError, KeyError)):
        generate.bindings({"Talk": [entry]})


def test_one_name_is_one_event() -> None:
    def said(kind: str) -> dict[str, Any]:
        return {"type": "event", "name": "Said", "inputs": [{"name": "what", "type": kind, "indexed": False}]}

    with pytest.raises(ValueError, match="two events are named Said"):
        generate.bindings({"Talk": [said("uint256")], "Walk": [said("bool")]})
