"""Signatures are ours in form, everybody's in substance."""

from __future__ import annotations

import pytest
from eth_keys.main import KeyAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import signatures

keys = KeyAPI()
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@settings(max_examples=20, deadline=None)
@given(digest=st.binary(min_size=32, max_size=32))
def test_the_signer_is_recovered_as_eth_keys_does(digest: bytes) -> None:
    key = signatures.new_key()
    signature = signatures.sign(key, digest)
    assert len(signature) == 65
    assert signature[0] == 0
    theirs = keys.PrivateKey(key)
    assert signatures.address_of(key) == theirs.public_key.to_canonical_address()
    assert signatures.recover(digest, signature) == signatures.address_of(key)
    assert signatures.from_rsv(theirs.sign_msg_hash(digest).to_bytes()) == signature


def test_a_high_s_is_lowered_when_imported_and_refused_when_recovered() -> None:
    key, digest = signatures.new_key(), b"\7" * 32
    rsv = keys.PrivateKey(key).sign_msg_hash(digest).to_bytes()
    high = ORDER - int.from_bytes(rsv[32:64], "big")
    twin = rsv[:32] + high.to_bytes(32, "big") + bytes((28 - rsv[64],))
    assert signatures.from_rsv(twin) == signatures.sign(key, digest)
    if high < 2**255:
        assert signatures.recover(digest, b"\0" + twin[:64]) is None


@pytest.mark.parametrize(
    "signature",
    [b"", b"\0" * 65, b"\0" * 64, b"\1" + b"\5" * 64, b"\0" + b"\xff" * 64, b"\0" + b"\0" * 32 + b"\1" * 32],
)
def test_malformed_signatures_recover_nobody(signature: bytes) -> None:
    assert signatures.recover(b"\7" * 32, signature) is None


@pytest.mark.parametrize("signature", [b"", b"\1" * 64, b"\1" * 64 + b"\x1d", b"\0" * 65, b"\xff" * 64 + b"\x1b"])
def test_malformed_wallet_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(ValueError, match=r"signature|order of the curve"):
        signatures.from_rsv(signature)
