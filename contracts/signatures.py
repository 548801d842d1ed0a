"""Signatures in the form that the contracts read: a scheme byte, then the scheme's own bytes.

Scheme `0x00` is ECDSA over secp256k1 as `r ‖ vs` (EIP-2098, low `s` only), 65 bytes in all. It is never inferred.
Pure: keys come as arguments and are never kept, logged or put in an error.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from coincurve import PrivateKey, PublicKey
from eth_hash.backends.pysha3 import keccak256 as keccak

ECDSA = b"\x00"

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_PARITY = 1 << 255


def sign(key: bytes, digest: bytes) -> bytes:
    """The signature of `digest` (32 bytes), 65 bytes with its scheme; deterministic (RFC 6979)."""
    return _pack(PrivateKey(key).sign_recoverable(digest, hasher=None))


def signer(key: bytes) -> Callable[[bytes], bytes]:
    """`sign` for many digests under one key: twice as fast, for the key is expanded once."""
    private = PrivateKey(key)
    return lambda digest: _pack(private.sign_recoverable(digest, hasher=None))


def from_rsv(signature65: bytes) -> bytes:
    """A wallet's `r ‖ s ‖ v` in our form. A high `s` is turned into its low twin. Raises `ValueError` if malformed."""
    if len(signature65) != 65:
        raise ValueError(f"a signature has 65 bytes, not {len(signature65)}")
    r, s, v = signature65[:32], int.from_bytes(signature65[32:64], "big"), signature65[64]
    if v not in (0, 1, 27, 28):
        raise ValueError("the last byte of a signature is 0, 1, 27 or 28")
    if not (0 < s < _ORDER and 0 < int.from_bytes(r, "big") < _ORDER):
        raise ValueError("r and s are between 1 and the order of the curve")
    parity = v % 27
    if s > _ORDER // 2:
        s, parity = _ORDER - s, 1 - parity
    return _pack(r + s.to_bytes(32, "big") + bytes((parity,)))


def recover(digest: bytes, signature: bytes) -> bytes | None:
    """The address that signed `digest`, or None if the signature is malformed, has a high `s` or an unknown scheme."""
    if len(signature) != 65 or signature[:1] != ECDSA or len(digest) != 32:
        return None
    vs = int.from_bytes(signature[33:], "big")
    parity, s = vs >> 255, vs & (_PARITY - 1)
    if s > _ORDER // 2:
        return None
    rsv = signature[1:33] + s.to_bytes(32, "big") + bytes((parity,))
    try:
        public = PublicKey.from_signature_and_message(rsv, digest, hasher=None)
    except Exception:  # coincurve raises bare Exception on what no key can have signed
        return None
    return _address(public)


def address_of(key: bytes) -> bytes:
    return _address(PrivateKey(key).public_key)


def new_key() -> bytes:
    """32 random bytes that are a valid private key."""
    while True:
        key = secrets.token_bytes(32)
        if 0 < int.from_bytes(key, "big") < _ORDER:
            return key


def _pack(rsv: bytes) -> bytes:
    vs = bytearray(rsv[32:64])
    vs[0] |= rsv[64] << 7
    return ECDSA + rsv[:32] + bytes(vs)


def _address(public: PublicKey) -> bytes:
    return bytes(keccak(public.format(compressed=False)[1:])[12:])
