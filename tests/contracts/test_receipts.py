"""A receipt is proved in its batch, and nothing else is."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.backends.pysha3 import keccak256 as keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import receipts

PURCHASE = {
    "salt": b"s" * 16,
    "merchant_reference": "till-7/0001",
    "amount_minor": 1250,
    "currency": "USD",
    "purchased_at": 1_700_000_000,
    "store": "12",
}


def _leaf(index: int, **changed: object) -> bytes:
    facts = {"chain_id": 1, "token": b"\1" * 20, "batch": 3, "holder": b"\2" * 20, "amount": 7, "purchase": b"\3" * 32}
    return receipts.leaf(index=index, **(facts | changed))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_leaf_is_proved_and_no_other(data: st.DataObject) -> None:
    leaves = [_leaf(i) for i in range(data.draw(st.integers(1, 300)))]
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, proof = receipts.root(leaves), receipts.proof(leaves, index)
    assert len(proof) == (len(leaves) - 1).bit_length()
    assert receipts.verify(root, leaves[index], proof)
    assert not receipts.verify(root, _leaf(index, amount=8), proof)
    if proof:
        step = data.draw(st.integers(0, len(proof) - 1))
        altered = [*proof]
        altered[step] = bytes((altered[step][0] ^ 1,)) + altered[step][1:]
        assert not receipts.verify(root, leaves[index], altered)
        assert not receipts.verify(root, leaves[index], proof[1:])


def test_the_leaf_is_the_hash_of_its_abi_encoding() -> None:
    types = ["uint256", "address", "uint256", "uint256", "address", "uint256", "bytes32"]
    encoded = encode(types, [1, "0x" + "01" * 20, 3, 5, "0x" + "02" * 20, 7, b"\3" * 32])
    assert _leaf(5) == keccak(b"\0" + keccak(encoded))


@pytest.mark.parametrize("field", ["chain_id", "batch", "amount"])
def test_every_number_changes_the_leaf(field: str) -> None:
    assert _leaf(0, **{field: 99}) != _leaf(0)
    assert _leaf(1) != _leaf(0)


def test_a_commitment_hides_and_binds() -> None:
    first = receipts.commitment(**PURCHASE)  # type: ignore[arg-type]
    others: dict[str, object] = {
        "salt": b"t" * 16,
        "merchant_reference": "till-7/000",
        "amount_minor": 1251,
        "currency": "JPY",
        "purchased_at": 1_700_000_001,
        "store": "",
    }
    for field, value in others.items():
        assert receipts.commitment(**(PURCHASE | {field: value})) != first  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="salt"):
        receipts.commitment(**(PURCHASE | {"salt": b"short"}))  # type: ignore[arg-type]


def test_entries_are_packed_in_words() -> None:
    assert receipts.pack_entries([(b"\1" * 20, 5), (b"\2" * 20, 2**96 - 1)]) == (
        b"\1" * 20 + b"\0" * 11 + b"\5" + b"\2" * 20 + b"\xff" * 12
    )
    with pytest.raises(OverflowError):
        receipts.pack_entries([(b"\1" * 20, 2**96)])


def test_an_empty_batch_has_no_root() -> None:
    with pytest.raises(ValueError, match="at least one"):
        receipts.root([])
