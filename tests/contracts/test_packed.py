"""Packed fields have their own width, and nothing is truncated to fit."""

from __future__ import annotations

import pytest

from contracts import bindings, packed
from contracts.bindings import Call

HOLDER, OTHER = b"\1" * 20, b"\2" * 20
ACT = {"holder": HOLDER, "amount": 2**96 - 1, "nonce": 2**40 - 1, "deadline": 7, "signature": b"s" * 65}


def test_fields_follow_each_other_without_padding() -> None:
    head = HOLDER + b"\xff" * 12 + b"\xff" * 5 + bytes(4) + b"\7"
    signature = b"s" * 65
    assert packed.send(to=OTHER, **ACT)[4:] == b"\0" + head + OTHER + signature  # type: ignore[arg-type]
    assert packed.redeem(order=b"o" * 32, **ACT)[4:] == b"\1" + head + b"o" * 32 + signature  # type: ignore[arg-type]
    swap = packed.swap(from_=OTHER, into=b"\3" * 20, minimum=5, **ACT)  # type: ignore[arg-type]
    assert swap[4:] == OTHER + b"\2" + head + b"\3" * 20 + bytes(11) + b"\5" + signature
    gift = packed.give(programme=OTHER, charity=b"\3" * 20, campaign=9, **ACT)  # type: ignore[arg-type]
    assert gift[4:] == OTHER + b"\3" + head + b"\3" * 20 + bytes(3) + b"\x09" + signature


@pytest.mark.parametrize(
    "changed", [{"amount": 2**96}, {"nonce": 2**40}, {"deadline": -1}, {"holder": b"\1" * 19}, {"to": b""}]
)
def test_what_does_not_fit_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises((OverflowError, ValueError)):
        packed.send(**(ACT | {"to": OTHER} | changed))  # type: ignore[arg-type]


def test_a_bundle_names_each_target_once() -> None:
    calls = [Call(HOLDER, 5, b"one"), Call(OTHER, 6, b""), Call(HOLDER, 7, b"three")]
    stream = b"\0\0\0\5\0\0\3one" + b"\1\0\0\6\0\0\0" + b"\0\0\0\7\0\0\5three"
    assert packed.execute(calls) == bindings.bundle_execute_packed(targets=[HOLDER, OTHER], calls=stream)
    for broken in ([Call(HOLDER, 2**24, b"")], [Call(bytes([n // 256, n % 256] * 10), 1, b"") for n in range(257)]):
        with pytest.raises(OverflowError):
            packed.execute(broken)
