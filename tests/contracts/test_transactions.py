"""Signed transactions are eth-account's, byte for byte; fees rise enough and never past the cap."""

from __future__ import annotations

from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import fees, signatures
from contracts.fees import Fees
from contracts.transactions import sign_transaction

amounts = st.integers(0, 10**15)


@settings(max_examples=30, deadline=None)
@given(nonce=st.integers(0, 2**40), data=st.binary(max_size=300), tip=amounts, base=amounts)
def test_bytes_and_hash_equal_those_of_eth_account(nonce: int, data: bytes, tip: int, base: int) -> None:
    key = signatures.new_key()
    offered = fees.quote(base, tip)
    raw, hash_ = sign_transaction(
        key=key, chain_id=31337, nonce=nonce, to=b"\5" * 20, data=data, gas=21_000, fees=offered
    )
    theirs = Account.sign_transaction(
        {
            "type": 2,
            "chainId": 31337,
            "nonce": nonce,
            "to": "0x" + "05" * 20,
            "value": 0,
            "data": data,
            "gas": 21_000,
            "maxFeePerGas": offered.max_fee,
            "maxPriorityFeePerGas": offered.tip,
        },
        key,
    )
    assert raw == bytes(theirs.raw_transaction)
    assert hash_ == bytes(theirs.hash)


@given(base=amounts, tip=amounts, new_base=amounts, new_tip=amounts, cap=amounts)
def test_a_bump_rises_by_an_eighth_or_is_none(base: int, tip: int, new_base: int, new_tip: int, cap: int) -> None:
    old = fees.capped(fees.quote(base, tip), cap)
    new = fees.bump(old, fees.quote(new_base, new_tip), cap)
    if new is None:
        assert old.max_fee * 9 // 8 + 1 > cap or old.tip * 9 // 8 + 1 > cap
    else:
        assert old.max_fee * 9 < new.max_fee * 8
        assert old.tip * 9 < new.tip * 8
        assert new.tip <= new.max_fee <= cap


def test_a_quote_has_room_for_the_base_fee_to_double() -> None:
    assert fees.quote(10, 2) == Fees(max_fee=22, tip=2)
