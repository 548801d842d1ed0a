"""Signatures in the form that the contracts read: a scheme byte, then the scheme's own bytes.

Scheme `0x00` is ECDSA over secp256k1 as `r ‖ vs` (EIP-2098, low `s` only), 65 bytes in all; `0x01` is a WebAuthn
assertion by a passkey, whose holder is an address made of its P-256 key; `0x02` is whatever the signer's contract wants
(ERC-1271). Scheme `0x03`, which no contract reads, is an issuer's ECDSA over a tree of receipts, with the proof of one
(`contracts/receipt_tree.py`). The scheme is never inferred. Pure: keys come as arguments and are never kept, logged or
put in an error.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable

from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from eth_hash.backends.pysha3 import keccak256 as keccak

ECDSA = b"\x00"
PASSKEY = b"\x01"
CONTRACT = b"\x02"
TREE = b"\x03"

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


_PASSKEY_TAG = keccak(b"points-exchange P-256 holder")
_ASSERTION_HEAD = 133  # r, s, x, y, flags, counter; the client data behind the challenge follow
_AUTHENTICATOR_DATA = 37  # relying party 32, flags 1, counter 4; extensions, which we never ask for, would follow


def passkey_holder(x: bytes, y: bytes) -> bytes:
    """The address of the holder with this P-256 key."""
    if len(x) != 32 or len(y) != 32:
        raise ValueError("a P-256 key is two coordinates of 32 bytes")
    return bytes(keccak(_PASSKEY_TAG + x + y)[12:])


def from_assertion(
    *, digest: bytes, x: bytes, y: bytes, r: int, s: int, authenticator_data: bytes, client_data: bytes
) -> bytes:
    """A browser's assertion, with `digest` as its challenge, in our form. Raises `ValueError` if it is no such thing.

    `r` and `s` are what the browser's DER signature holds; `client_data` is its `clientDataJSON`.
    """
    if len(authenticator_data) != _AUTHENTICATOR_DATA:
        raise ValueError(f"authenticator data have {_AUTHENTICATOR_DATA} bytes, not {len(authenticator_data)}")
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    start = b'{"type":"webauthn.get","challenge":"' + challenge + b'"'
    if not client_data.startswith(start):
        raise ValueError("the client data are not an assertion's, or answer another challenge")
    key = r.to_bytes(32) + s.to_bytes(32) + x + y
    return PASSKEY + key + authenticator_data[32:] + client_data.removeprefix(start)


def is_assertion(holder: bytes, digest: bytes, signature: bytes, *, rp_id_hash: bytes, verified: bool = False) -> bool:
    """Whether `signature` is the holder's by passkey, as the contracts see it (`libraries/Passkey.sol`): presence is
    enough unless `verified`, the origin and the counter are not looked at, either `s` is good."""
    assertion = signature[1:]
    if signature[:1] != PASSKEY or len(assertion) < _ASSERTION_HEAD or len(digest) != 32:
        return False
    r, s, x, y = (assertion[start : start + 32] for start in range(0, 128, 32))
    flags = assertion[128]
    if passkey_holder(x, y) != holder or not flags & 0x01 or (verified and not flags & 0x04):
        return False
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    client_data = b'{"type":"webauthn.get","challenge":"' + challenge + b'"' + assertion[_ASSERTION_HEAD:]
    message = rp_id_hash + assertion[128:_ASSERTION_HEAD] + hashlib.sha256(client_data).digest()
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    try:
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
        point.public_key().verify(der, message, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


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
