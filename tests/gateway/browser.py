"""A customer's browser at the gateway: it keeps the cookie, says where it comes from, and has passkeys and a wallet."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import cbor2
import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from eth_account import Account
from eth_account.messages import encode_defunct

from contracts import signatures
from exchange.api.access import COOKIE
from tests.contracts.assertions import to_base64url
from tests.gateway.conftest import Client

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Passkey:
    """Of an authenticator that answers as browsers do; whatever it says of itself can be changed."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0

    @property
    def point(self) -> tuple[bytes, bytes]:
        numbers = self.key.public_key().public_numbers()
        return numbers.x.to_bytes(32), numbers.y.to_bytes(32)

    @property
    def holder(self) -> bytes:
        return signatures.passkey_holder(*self.point)

    def create(
        self, options: dict[str, Any], *, origin: str = "http://localhost:8000", rp_id: str = "localhost",
        flags: int = PRESENT | VERIFIED, kind: str = "webauthn.create",
    ) -> dict[str, Any]:  # fmt: skip
        x, y = self.point
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        data = hashlib.sha256(rp_id.encode()).digest() + bytes((flags | ATTESTED,)) + self.count.to_bytes(4)
        data += bytes(15) + b"\x01" + len(self.id).to_bytes(2) + self.id + cose
        client = {"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
        return self._answer(
            {
                "clientDataJSON": to_base64url(json.dumps(client).encode()),
                "attestationObject": to_base64url(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            }
        )

    def get(
        self, options: dict[str, Any], *, origin: str = "http://localhost:8000", rp_id: str = "localhost",
        flags: int = PRESENT | VERIFIED, kind: str = "webauthn.get", key: ec.EllipticCurvePrivateKey | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        client = {"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
        client_data = json.dumps(client, separators=(",", ":")).encode()
        data = hashlib.sha256(rp_id.encode()).digest() + bytes((flags,)) + self.count.to_bytes(4)
        signed = (key or self.key).sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": to_base64url(client_data),
                "authenticatorData": to_base64url(data),
                "signature": to_base64url(signed),
            }
        )

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        return {"id": to_base64url(self.id), "rawId": to_base64url(self.id), "type": "public-key", "response": response}


@dataclass
class Browser:
    client: Client
    cookie: str | None = None
    origin: str | None = None

    async def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Sends what a page of ours would; keeps the cookie that comes back."""
        headers = {"user-agent": "Test", **request.pop("headers", {})}
        if method != "GET":
            headers.setdefault("origin", self.origin or self.client.settings.origin)
        if self.cookie is not None:
            headers["cookie"] = f"{COOKIE}={self.cookie}"
        answer = await self.client.http.request(method, path, headers=headers, **request)
        self.client.http.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            morsel = SimpleCookie(line)[COOKIE]
            self.cookie = morsel.value or None
        return answer

    async def get(self, path: str, **request: Any) -> httpx2.Response:
        return await self.ask("GET", path, **request)

    async def post(self, path: str, body: Any = None, **request: Any) -> httpx2.Response:
        return await self.ask("POST", path, json={} if body is None else body, **request)

    async def delete(self, path: str, **request: Any) -> httpx2.Response:
        return await self.ask("DELETE", path, **request)

    async def options(self, path: str) -> dict[str, Any]:
        answer = await self.post(f"{path}/options")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def sign_up(self, passkey: Passkey, **more: Any) -> httpx2.Response:
        options = await self.options("/v1/sign-up/passkey")
        made = passkey.create(options)
        passkey.count += passkey.count > 0
        return await self.post("/v1/sign-up/passkey", {"credential": made, "proof": passkey.get(options), **more})

    async def sign_in(self, passkey: Passkey, **changed: Any) -> httpx2.Response:
        options = await self.options("/v1/sign-in/passkey")
        return await self.post("/v1/sign-in/passkey", {"credential": passkey.get(options, **changed)})

    async def sign_in_wallet(self, key: bytes) -> httpx2.Response:
        account = Account.from_key(key)
        wanted = await self.post("/v1/sign-in/wallet/message", {"address": account.address})
        assert wanted.status_code == 200, wanted.text
        return await self.post("/v1/sign-in/wallet", personal_sign(key, wanted.json()["message"]))


def personal_sign(key: bytes, message: str) -> dict[str, str]:
    signed = Account.from_key(key).sign_message(encode_defunct(text=message))
    return {"message": message, "signature": "0x" + signed.signature.hex().removeprefix("0x")}
