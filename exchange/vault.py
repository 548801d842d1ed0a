"""Keys at rest: AES-256-GCM under the master key, bound to their purpose.

`purpose` is authenticated and not stored ("issuer:<merchant id>", "owner:<merchant id>", "customer:<customer id>",
"charity:<id>", "signer:<address hex>", "webhook:<endpoint id>", "data:<merchant id>:<member id>", "index:<merchant
id>"), so a sealed key moved to another row does not open there. Secrets and the master key are never logged and never
part of an error. One master key is good for 2**32 seals (random 96-bit nonces).

While the master key is being changed (`exchange/rotation.py`) there are two: `master` is then the new key followed by
the old one, 64 bytes. The new one seals, both open.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_TAG = 16
_KEY = 32


class VaultError(Exception):
    """A sealed secret does not open: another master key, another purpose, or altered bytes."""


def seal(master: bytes, secret: bytes, *, purpose: str) -> bytes:
    """`nonce ‖ ciphertext ‖ tag`, under the first key of `master`."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _ciphers(master)[0].encrypt(nonce, secret, purpose.encode())


def unseal(master: bytes, sealed: bytes, *, purpose: str) -> bytes:
    """The secret; raises `VaultError`."""
    if len(sealed) < _NONCE + _TAG:
        raise VaultError(f"the sealed secret of {purpose} is too short")
    for cipher in _ciphers(master):
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
        except InvalidTag:
            continue
    raise VaultError(f"the sealed secret of {purpose} does not open with this master key")


def _ciphers(master: bytes) -> list[AESGCM]:
    if len(master) not in (_KEY, 2 * _KEY):
        raise VaultError("the master key has 32 bytes")
    return [AESGCM(master[start : start + _KEY]) for start in range(0, len(master), _KEY)]
