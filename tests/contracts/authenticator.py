"""A passkey that signs as an authenticator and a browser do, with a key that its test knows."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from contracts import signatures
from tests.contracts.world import RP_ID_HASH

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRESENT, VERIFIED, BACKED_UP = 0x01, 0x04, 0x18


class Passkey:
    """An authenticator with one key."""

    def __init__(self, seed: int) -> None:
        self.key = ec.derive_private_key(seed, ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.x, self.y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)

    @property
    def address(self) -> bytes:
        return signatures.passkey_holder(self.x, self.y)

    def assertion(
        self,
        digest: bytes,
        *,
        flags: int = PRESENT,
        high: bool | None = None,
        rp_id_hash: bytes = RP_ID_HASH,
        extra: dict[str, Any] | None = None,
        kind: str = "webauthn.get",
        challenge: bytes | None = None,
    ) -> dict[str, Any]:
        """What a browser gives for the challenge `digest`; `high` wants one of the two forms of `s`."""
        client = {
            "type": kind,
            "challenge": base64.urlsafe_b64encode(challenge or digest).rstrip(b"=").decode(),
            "origin": "http://localhost:8000",
            "crossOrigin": False,
        }
        client_data = json.dumps(client | (extra or {}), separators=(",", ":")).encode()
        authenticator_data = rp_id_hash + bytes((flags,)) + (77).to_bytes(4)
        message = authenticator_data + hashlib.sha256(client_data).digest()
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        if high is not None and (s > ORDER // 2) != high:
            s = ORDER - s
        return {
            "x": self.x, "y": self.y, "r": r, "s": s,
            "authenticator_data": authenticator_data, "client_data": client_data,
        }  # fmt: skip

    def sign(self, digest: bytes, **changed: Any) -> bytes:
        return signatures.from_assertion(digest=digest, **self.assertion(digest, **changed))
