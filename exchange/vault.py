"""Keys at rest: AES-256-GCM under the master key, bound to their purpose.

`purpose` is authenticated and not stored ("issuer:<merchant id>", "owner:<merchant id>", "customer:<customer id>",
"charity:<id>", "signer:<address hex>"), so a sealed key moved to another row does not open there. Secrets and the
master key are never logged and never part of an error. One master key is good for 2**32 seals (random 96-bit nonces).
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_TAG = 16


class VaultError(Exception):
    """A sealed secret does not open: another master key, another purpose, or altered bytes."""


def seal(master: bytes, secret: bytes, *, purpose: str) -> bytes:
    """`nonce ‖ ciphertext ‖ tag`; `master` has 32 bytes."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(master).encrypt(nonce, secret, purpose.encode())


def unseal(master: bytes, sealed: bytes, *, purpose: str) -> bytes:
    """The secret; raises `VaultError`."""
    if len(sealed) < _NONCE + _TAG:
        raise VaultError(f"the sealed secret of {purpose} is too short")
    try:
        return _cipher(master).decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
    except InvalidTag:
        raise VaultError(f"the sealed secret of {purpose} does not open with this master key") from None


def _cipher(master: bytes) -> AESGCM:
    if len(master) != 32:
        raise VaultError("the master key has 32 bytes")
    return AESGCM(master)
