"""Our contracts on a real node: programmes, batches and signed intents, mined when a test says so."""

from __future__ import annotations

import gzip
import json
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from eth_hash.backends.pysha3 import keccak256

from contracts import bindings, eip712, receipts, signatures
from contracts.bindings import Limits, Quote, Roles, Terms
from contracts.deployment import Deployment
from contracts.rpc import Rpc, from_hex, from_quantity, to_hex, to_quantity
from indexer.store import Deployed
from tests.conftest import Anvil

OPERATOR_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
OPERATOR = signatures.address_of(OPERATOR_KEY)
ISSUER_KEY = keccak256(b"issuer")
FOREVER = 2**40 - 1


def key(name: str) -> bytes:
    return keccak256(f"key of {name}".encode())


def holder(name: str) -> bytes:
    return signatures.address_of(key(name))


def dump(url: str, path: Path) -> None:
    """Saves a node's whole chain for `--load-state`."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"anvil_dumpState","params":[]}'
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        packed = json.load(response)["result"]
    path.write_bytes(gzip.decompress(bytes.fromhex(packed[2:])))


@dataclass
class Network:
    """Everything that is not signed is sent by the operator, who owns every programme here."""

    node: Anvil
    rpc: Rpc
    deployment: Deployment
    batches: dict[bytes, int] = field(default_factory=dict)
    nonces: int = 0
    pending: list[str] = field(default_factory=list)
    held: list[dict[str, str]] | None = None  # where transactions go that are not sent yet

    @property
    def deployed(self) -> Deployed:
        found = self.deployment
        return Deployed(found.chain_id, found.factory, found.exchange, found.first_block)

    async def send(self, to: bytes, data: bytes, *, sender: bytes = OPERATOR) -> None:
        call = {"from": to_hex(sender), "to": to_hex(to), "data": to_hex(data), "gas": to_quantity(8_000_000)}
        if self.held is not None:
            self.held.append(call)
            return
        self.pending.append(await self.rpc.call("eth_sendTransaction", call))

    async def mine(self, blocks: int = 1) -> None:
        """Mines, and requires that whatever was sent since the last time succeeded."""
        for _ in range(blocks):
            await self.rpc.call("evm_mine")
        for transaction in self.pending:
            receipt = await self.rpc.call("eth_getTransactionReceipt", transaction)
            assert receipt is not None, "a transaction was not mined"
            assert receipt["status"] == "0x1", "a transaction failed"
        self.pending.clear()

    async def head(self) -> tuple[int, bytes]:
        block = await self.rpc.call("eth_getBlockByNumber", "latest", False)
        return from_quantity(block["number"]), from_hex(block["hash"])

    async def view(self, to: bytes, data: bytes) -> bytes:
        return from_hex(await self.rpc.call("eth_call", {"to": to_hex(to), "data": to_hex(data)}, "latest"))

    async def create(self, name: str) -> bytes:
        """Sends a programme's creation; returns its address."""
        limits = Limits(supply_cap=10**15, entry_cap=10**12, bucket=10**14, refill=10**12)
        parameters = {
            "name": name.encode().ljust(32, b"\0"),
            "symbol": name[:3].upper().encode().ljust(32, b"\0"),
            "roles": Roles(owner=OPERATOR, issuer=signatures.address_of(ISSUER_KEY)),
            "limits": limits,
            "terms": Terms(life=730, verified_above=2**96 - 1),
            "salt": bytes(32),
        }
        factory = self.deployment.factory
        token = await self.view(factory, bindings.factory_address_of(**parameters))  # type: ignore[arg-type]
        await self.send(factory, bindings.factory_create(**parameters))  # type: ignore[arg-type]
        return token[12:]

    async def open_market(self, token: bytes, partner: bytes, *, bid: int, ask: int, margin: int) -> None:
        exchange = self.deployment.exchange
        nonce = int.from_bytes(await self.view(exchange, bindings.exchange_nonce_of(account=token)))
        quote = Quote(bid=bid, ask=ask, until=2**40 - 1, cap=10**15)
        await self.send(exchange, bindings.exchange_set_quote(programme=token, quote=quote, nonce=nonce, signature=b""))
        consent = bindings.exchange_set_partner(
            programme=token, partner=partner, allowed=True, nonce=nonce + 1, signature=b""
        )
        await self.send(exchange, consent)
        await self.send(exchange, bindings.exchange_deposit(account=token, amount=margin))

    async def mint(self, token: bytes, *entries: tuple[bytes, int]) -> None:
        number = self.batches[token] = self.batches.get(token, 0) + 1
        packed = receipts.pack_entries(list(entries))
        digest = eip712.mint_digest(
            self._domain(token), batch=number, receipts_root=keccak256(b"root"), entries_hash=keccak256(packed)
        )
        await self.send(
            token,
            bindings.points_mint(
                batch=number,
                receipts_root=keccak256(b"root"),
                entries=packed,
                signature=signatures.sign(ISSUER_KEY, digest),
            ),
        )

    async def pass_on(self, token: bytes, name: str, to: bytes, amount: int) -> bytes:
        """A signed send. Returns the intent's digest, as the others do."""
        terms = {"holder": holder(name), "to": to, "amount": amount, **self._once()}
        digest = eip712.send_digest(self._domain(token), **terms)  # type: ignore[arg-type]
        signature = signatures.sign(key(name), digest)
        await self.send(token, bindings.points_send(**terms, signature=signature))  # type: ignore[arg-type]
        return digest

    async def redeem(self, token: bytes, name: str, amount: int) -> bytes:
        terms = {"holder": holder(name), "amount": amount, "order": keccak256(b"order"), **self._once()}
        digest = eip712.redeem_digest(self._domain(token), **terms)  # type: ignore[arg-type]
        signature = signatures.sign(key(name), digest)
        await self.send(token, bindings.points_redeem(**terms, signature=signature))  # type: ignore[arg-type]
        return digest

    async def swap(self, token: bytes, into: bytes, name: str, amount: int) -> bytes:
        terms = {"holder": holder(name), "amount": amount, "into": into, "minimum": 1, **self._once()}
        digest = eip712.swap_digest(self._domain(token), **terms)  # type: ignore[arg-type]
        signature = signatures.sign(key(name), digest)
        data = bindings.exchange_swap(from_=token, **terms, signature=signature)  # type: ignore[arg-type]
        await self.send(self.deployment.exchange, data)
        return digest

    async def give(self, token: bytes, charity: bytes, name: str, amount: int, campaign: int) -> bytes:
        terms = {"holder": holder(name), "amount": amount, "charity": charity, "campaign": campaign, **self._once()}
        digest = eip712.give_digest(self._domain(token), **terms)  # type: ignore[arg-type]
        signature = signatures.sign(key(name), digest)
        data = bindings.exchange_give(programme=token, **terms, signature=signature)  # type: ignore[arg-type]
        await self.send(self.deployment.exchange, data)
        return digest

    def _domain(self, token: bytes) -> bytes:
        return eip712.domain_separator(self.deployment.chain_id, token)

    def _once(self) -> dict[str, int]:
        self.nonces += 1
        return {"nonce": self.nonces, "deadline": FOREVER}
