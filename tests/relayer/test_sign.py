"""The relayer's pure decisions: what travels together, with how much gas, and what a failure means."""

from __future__ import annotations

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from hexbytes import HexBytes
from hypothesis import given
from hypothesis import strategies as st

from contracts import signatures
from contracts.bindings import ERRORS
from contracts.fees import Fees
from contracts.transactions import outbid, target_and_data
from exchange.relayer.lane import runnable
from exchange.relayer.outcome import Fate, verdict
from exchange.relayer.sign import BUNDLE_BYTES, BUNDLE_GAS, Queued, gas_limit, group, sign_groups

SELECTORS = {name: selector for selector, (name, _, _) in ERRORS.items()}


def queued(
    id_: int, *, gas: int = 100_000, size: int = 100, alone: bool = False, tries: int = 0, sequence: bytes | None = None
) -> Queued:
    return Queued(id_, "send", b"\1" * 20, b"\2" * size, gas, sequence, b"\3" * 20 if alone else None, tries)


calls = st.lists(
    st.builds(
        queued,
        st.integers(1, 10**6),
        gas=st.integers(50_000, 15_000_000),
        size=st.integers(1, 60_000),
        alone=st.booleans(),
        tries=st.integers(0, 4),
    ),
    max_size=60,
)


@given(given=calls, room=st.integers(1, 16))
def test_groups_keep_the_order_and_stay_within_their_bounds(given: list[Queued], room: int) -> None:
    groups = group(given, room=room)
    flat = [call for one in groups for call in one]
    assert flat == given[: len(flat)]
    assert len(groups) <= room
    assert len(groups) == room or len(flat) == len(given)
    for one in groups:
        assert one
        if len(one) > 1:
            assert sum(c.gas for c in one) <= BUNDLE_GAS
            assert sum(len(c.data) for c in one) <= BUNDLE_BYTES
            assert all(c.signer is None and c.tries < 3 for c in one)


@given(gas=st.integers(150_000, BUNDLE_GAS), size=st.integers(0, BUNDLE_BYTES))
def test_a_full_bundle_gets_what_it_is_promised_below_the_protocols_limit(gas: int, size: int) -> None:
    gases = [gas] * (BUNDLE_GAS // gas)
    limit = gas_limit(gases, b"\1" * size)
    assert limit > sum(gases) * 64 / 63 + 21_000 + 16 * size
    assert limit > 21_000 + 40 * size
    assert limit < 2**24


def test_signed_groups_have_consecutive_nonces_and_know_their_targets() -> None:
    key, bundle = signatures.new_key(), b"\7" * 20
    signed = sign_groups(
        [[queued(1), queued(2)], [queued(3, alone=True)]],
        key=key, chain_id=31337, bundle=bundle, next_nonce=5, fees=Fees(10, 1),
    )  # fmt: skip
    assert [s.nonce for s in signed] == [5, 6]
    assert [s.target for s in signed] == [bundle, b"\1" * 20]
    assert [s.calls for s in signed] == [(1, 2), (3,)]
    assert target_and_data(signed[1].raw) == (b"\1" * 20, b"\2" * 100)


def test_a_replacement_differs_in_its_fees_only() -> None:
    key = signatures.new_key()
    old = sign_groups([[queued(1)]], key=key, chain_id=31337, bundle=b"\7" * 20, next_nonce=5, fees=Fees(10, 1))[0]
    raw, hash_ = outbid(old.raw, key=key, fees=Fees(20, 2))
    before, after = rlp.decode(old.raw[1:]), rlp.decode(raw[1:])
    changed = [i for i in range(9) if before[i] != after[i]]
    assert changed == [2, 3]  # the tip and the whole fee
    assert Account.recover_transaction(HexBytes(raw)) == Account.from_key(key).address
    assert hash_ != old.hash


def test_what_follows_a_held_call_in_its_sequence_is_held() -> None:
    given = [
        queued(1, sequence=b"a"),
        queued(2, sequence=b"b"),
        queued(3, sequence=b"a"),
        queued(4),
        queued(5, sequence=b"b"),
        queued(6),
    ]
    assert [c.id for c in runnable(given, held={2, 6}, refused={4})] == [1, 3]


def test_only_mints_wait_for_a_held_mint() -> None:
    given = [queued(1, sequence=b"a"), queued(2, sequence=b"a"), queued(3, sequence=b"a")]
    given = [given[0]._replace(kind="mint"), given[1]._replace(kind="quote"), given[2]._replace(kind="mint")]
    assert [c.id for c in runnable(given, held={1}, refused=set())] == [2]
    assert [c.id for c in runnable(given, held={2}, refused=set())] == [1]


def out_of_order(expected: int, given: int) -> bytes:
    return SELECTORS["BatchOutOfOrder"] + expected.to_bytes(32, "big") + given.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("kind", "reverted", "fate"),
    [
        ("mint", out_of_order(5, 4), Fate.DONE),
        ("mint", out_of_order(4, 5), Fate.AGAIN),
        ("mint", SELECTORS["BucketExceeded"] + bytes(64), Fate.AGAIN),
        ("mint", bytes(68), Fate.AGAIN),
        ("create", SELECTORS["AlreadyCreated"] + bytes(64), Fate.DONE),
        ("create", SELECTORS["InvalidName"] + bytes(64), Fate.FAILED),
        ("quote", SELECTORS["InvalidNonce"] + bytes(64), Fate.FAILED),
        ("send", SELECTORS["NotAContract"] + bytes(64), Fate.AGAIN),
        ("swap", b"", Fate.AGAIN),
        ("charity", b"", Fate.FAILED),
    ],
)
def test_fates(kind: str, reverted: bytes, fate: Fate) -> None:
    assert verdict(kind, reverted).fate is fate
