"""Our contracts on the meter's node: people with keys and passkeys, programmes that trade, mints and bundles."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, deploy, eip712, packed, receipts, signatures
from contracts.bindings import Call, Limits, Quote, Roles, Terms
from contracts.deployment import Deployment
from contracts.rpc import from_hex, to_hex
from scripts.environment import LOCAL_CHAIN_ID
from scripts.gas.meter import ALONE, START, MeasurementFailed, Meter

MINTS = 200
INTENTS = 100
CALL_GAS = 250_000
NEXT_YEAR = START + 365 * 86_400
PRICE = 10**9
"""Of one base unit of points, in settlement base units x 1e9: a swap gives as many points as it takes."""
AMOUNT = 1_234
MOST = 2**96 - 1
PRESENT_AND_VERIFIED = b"\x05"


@dataclass(frozen=True, slots=True)
class Person:
    """A holder with an ordinary key."""

    key: bytes
    address: bytes

    def sign(self, digest: bytes) -> bytes:
        return signatures.sign(self.key, digest)


def person(name: str) -> Person:
    key = keccak(name.encode())
    return Person(key, signatures.address_of(key))


@dataclass(frozen=True, slots=True)
class Passkey:
    """A holder with a passkey, in a browser that says no more than it must."""

    key: ec.EllipticCurvePrivateKey
    x: bytes
    y: bytes

    @property
    def address(self) -> bytes:
        return signatures.passkey_holder(self.x, self.y)

    def sign(self, digest: bytes) -> bytes:
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
        client_data = (
            b'{"type":"webauthn.get","challenge":"' + challenge + b'","origin":"https://localhost","crossOrigin":false}'
        )
        relying_party = hashlib.sha256(deploy.RP_ID.encode()).digest()
        authenticator_data = relying_party + PRESENT_AND_VERIFIED + bytes(4)
        signed = authenticator_data + hashlib.sha256(client_data).digest()
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True)))
        return signatures.from_assertion(
            digest=digest, x=self.x, y=self.y, r=r, s=s, authenticator_data=authenticator_data, client_data=client_data
        )


def passkey(name: str) -> Passkey:
    key = ec.derive_private_key(int.from_bytes(keccak(name.encode())[1:]), ec.SECP256R1())
    public = key.public_key().public_numbers()
    return Passkey(key, public.x.to_bytes(32), public.y.to_bytes(32))


Holder = Person | Passkey
ISSUER = person("issuer")
HOLDERS = [person(f"holder {number}") for number in range(MINTS)]
ACTING, IDLE = HOLDERS[:INTENTS], HOLDERS[INTENTS:]
STRANGERS = [person(f"stranger {number}") for number in range(INTENTS)]
LATE = [person(f"late holder {number}") for number in range(ALONE)]
NOBODY = [person(f"nobody {number}") for number in range(ALONE)]
PASSKEYS = [passkey(f"passkey {number}") for number in range(INTENTS)]


@dataclass
class Programme:
    address: bytes
    separator: bytes
    batches: int = 0


@dataclass
class Network:
    """The contracts, with two programmes that trade; the operator owns both, and acts by transactions of its own."""

    meter: Meter
    deployment: Deployment
    programmes: dict[str, Programme] = field(default_factory=dict)

    def open(self, name: str) -> Programme:
        title = name.encode().ljust(32, b"\0")
        owner = self.meter.senders[0]
        creation = bindings.factory_create(
            name=title,
            symbol=title,
            roles=Roles(owner, ISSUER.address),
            limits=Limits(MOST, MOST, MOST, MOST),
            terms=Terms(life=730, verified_above=MOST),
            salt=bytes(32),
        )
        logs = self.meter.do(self.deployment.factory, creation)["logs"]
        (made,) = (one for one in logs if from_hex(one["topics"][0]) == bindings.PROGRAMME_CREATED_TOPIC)
        address = from_hex(made["topics"][1])[12:]
        programme = Programme(address, eip712.domain_separator(LOCAL_CHAIN_ID, address))
        exchange = self.deployment.exchange
        self.meter.do(exchange, bindings.exchange_deposit(account=address, amount=10**12))
        quote = Quote(PRICE, PRICE, NEXT_YEAR, 2**88 - 1)
        nonce = self.nonce(address)
        self.meter.do(exchange, bindings.exchange_set_quote(programme=address, quote=quote, nonce=nonce, signature=b""))
        for other in self.programmes.values():
            self._consent(programme, other)
            self._consent(other, programme)
        self.programmes[name] = programme
        return programme

    def _consent(self, one: Programme, other: Programme) -> None:
        nonce = self.nonce(one.address)
        act = bindings.exchange_set_partner(
            programme=one.address, partner=other.address, allowed=True, nonce=nonce, signature=b""
        )
        self.meter.do(self.deployment.exchange, act)

    def nonce(self, account: bytes) -> int:
        answer = self.meter.ask(self.deployment.exchange, bindings.exchange_nonce_of(account=account))
        return bindings.exchange_nonce_of_result(answer)

    def mint(self, programme: Programme, holders: Iterable[Holder], amount: int, *, young: bool = False) -> int:
        """The gas of a batch; if the programme is `young`, of one that overwrites no older batch's receipts yet."""
        entries = receipts.pack_entries((one.address, amount) for one in holders)
        root = keccak(b"receipts")
        programme.batches += 1
        digest = eip712.mint_digest(
            programme.separator, batch=programme.batches, receipts_root=root, entries_hash=keccak(entries)
        )
        mint = bindings.points_mint(
            batch=programme.batches, receipts_root=root, entries=entries, signature=ISSUER.sign(digest)
        )
        if not young:
            self._age(programme, mint)
        return self.meter.gas(programme.address, mint)

    def _age(self, programme: Programme, mint: bytes) -> None:
        """Puts something where the coming batch's receipts go, as if the programme had minted thousands of batches.

        The place is an entry of a mapping by batch number; which mapping is found among the words that `mint` touches.
        """
        call = {"to": to_hex(programme.address), "data": to_hex(mint), "from": to_hex(self.meter.senders[0])}
        touched = {
            key
            for one in self.meter.rpc("eth_createAccessList", call, "latest")["accessList"]
            for key in one["storageKeys"]
        }
        number = programme.batches.to_bytes(32)
        entries = (to_hex(keccak(number + mapping.to_bytes(32))) for mapping in range(32))
        place = next((one for one in entries if one in touched), None)
        if place is None:
            raise MeasurementFailed("a mint keeps its receipts where this module does not know")
        self.meter.rpc("anvil_setStorageAt", to_hex(programme.address), place, to_hex((1).to_bytes(32)))

    def bundle(self, target: bytes, calls: Iterable[bytes]) -> int:
        """The gas of a bundle, all of whose calls succeed."""
        bundle = packed.execute([Call(target, CALL_GAS, data) for data in calls])
        receipt = self.meter.do(self.deployment.bundle, bundle)
        if any(from_hex(log["topics"][0]) == bindings.FAILED_TOPIC for log in receipt["logs"]):
            raise MeasurementFailed("a call of the bundle failed")
        return int(receipt["gasUsed"], 16)

    def travel(self, seconds: int) -> None:
        self.meter.rpc("evm_increaseTime", seconds)
        self.meter.rpc("evm_mine")
