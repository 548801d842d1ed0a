"""A sealed key opens for its own purpose only."""

from __future__ import annotations

import pytest

from exchange import vault

MASTER = b"m" * 32


def test_a_secret_comes_back() -> None:
    sealed = vault.seal(MASTER, b"k" * 32, purpose="issuer:1")
    assert b"k" * 32 not in sealed
    assert vault.unseal(MASTER, sealed, purpose="issuer:1") == b"k" * 32


def test_equal_secrets_are_sealed_differently() -> None:
    assert vault.seal(MASTER, b"k" * 32, purpose="p") != vault.seal(MASTER, b"k" * 32, purpose="p")


def test_another_purpose_key_or_byte_does_not_open() -> None:
    sealed = vault.seal(MASTER, b"k" * 32, purpose="issuer:1")
    altered = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    for master, bytes_, purpose in (
        (MASTER, sealed, "issuer:2"),
        (b"n" * 32, sealed, "issuer:1"),
        (MASTER, altered, "issuer:1"),
        (MASTER, b"short", "issuer:1"),
        (b"short", sealed, "issuer:1"),
    ):
        with pytest.raises(vault.VaultError) as raised:
            vault.unseal(master, bytes_, purpose=purpose)
        assert "k" * 32 not in str(raised.value)
