"""Roots of lists, held to the trie that eth-tester's chain uses."""

from __future__ import annotations

import rlp  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trie import HexaryTrie  # type: ignore[attr-defined]

from scripts.audit import tries

ENCODED = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=20), max_leaves=30)


def _peer_root(values: list[bytes]) -> bytes:
    peer = HexaryTrie({})
    for place, value in enumerate(values):
        peer[rlp.encode(place)] = value
    root: bytes = peer.root_hash
    return root


def _encode(value: bytes | list[object]) -> bytes:
    return tries.string(value) if isinstance(value, bytes) else tries.sequence(*map(_encode, value))  # type: ignore[arg-type]


@given(ENCODED)
@example(b"\x7f")
@example(b"\x80")
@example(b"\0" * 55)
@example(b"\0" * 56)
@example(b"\0" * 70_000)
def test_what_is_hashed_is_encoded_as_everybody_encodes_it(value: bytes | list[object]) -> None:
    assert _encode(value) == rlp.encode(value)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=200))
@example([b"\1"] * 128)
@example([b"\1"] * 129)
@example([b"\1"] * 300)
def test_the_root_of_a_list_is_what_a_trie_of_it_has(values: list[bytes]) -> None:
    assert tries.root(values) == _peer_root(values)
