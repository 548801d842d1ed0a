"""One act, as data: what the twin is told of it, and the signed call that the contracts get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, eip712, packed, receipts
from contracts.bindings import Event
from tests.contracts.twin.journal import NOBODY, shown
from tests.contracts.twin.network import Network
from tests.contracts.world import Person

SIGNED = {
    "mint", "send", "redeem", "cancel", "clawback", "set_limits", "extend_life", "recover",
    "swap", "give", "set_quote", "set_partner", "withdraw", "set_payout", "set_match",
}  # fmt: skip
GENUINE, FORGED_ENTRIES, FORGED_PROOF = "the batch", "more than was minted", "another proof"


@dataclass(frozen=True, slots=True)
class Act:
    """`arguments` are the function's own, but for what follows from others: a batch's hashes, the signature. `shows`
    says of a clawback's entries and proof whether they are genuine.

    `signer` signs exactly this act; without one the signature is empty. `short` is the packed form.
    """

    at: int
    caller: bytes
    contract: bytes
    name: str
    arguments: dict[str, Any]
    signer: Person | None = None
    short: bool = False

    def __str__(self) -> str:
        who = f"0x{self.caller.hex()}"
        by = "" if self.signer is None else f" signed by 0x{self.signer.address.hex()}"
        return f"{self.at} {who} calls 0x{self.contract.hex()}.{shown(self.name, self.arguments)}{by}"

    def told(self, network: Network, chain_id: int) -> list[tuple[bytes, Event]]:
        """What the twin makes of it. Raises its `Refused`."""
        arguments = dict(self.arguments)
        if self.name == "mint":
            arguments |= self._batch(chain_id)
        if self.name == "clawback":
            arguments["proves"] = arguments.pop("shows") == GENUINE
        return network.perform(
            self.contract,
            self.name,
            arguments,
            now=self.at,
            caller=self.caller,
            signer=None if self.signer is None else self.signer.address,
            intent=self._digest(network, chain_id) if self.name in SIGNED else b"",
        )

    def call(self, network: Network, chain_id: int) -> bytes:
        """The contract's calldata; `network` is the state before."""
        arguments = dict(self.arguments)
        if self.name == "mint":
            arguments |= {"receipts_root": self._batch(chain_id)["receipts_root"], "entries": self._entries()}
            del arguments["purchases"]
        if self.name == "clawback":
            arguments |= self._proof(network, chain_id)
            del arguments["shows"]
        if self.name in SIGNED:
            digest = self._digest(network, chain_id)
            arguments["signature"] = b"" if self.signer is None else self.signer.sign(digest)
        contract = "exchange" if self.contract == network.exchange.address else "points"
        encode = getattr(packed, self.name) if self.short else getattr(bindings, f"{contract}_{self.name}")
        encoded: bytes = encode(**arguments)
        return encoded

    def _entries(self) -> bytes:
        return receipts.pack_entries(self.arguments["entries"])

    def _leaves(self, chain_id: int, batch: int, made: list[tuple[bytes, int, bytes]]) -> list[bytes]:
        return [
            receipts.leaf(
                chain_id=chain_id,
                token=self.contract,
                batch=batch,
                index=index,
                holder=holder,
                amount=amount,
                purchase=purchase,
            )
            for index, (holder, amount, purchase) in enumerate(made)
        ]

    def _batch(self, chain_id: int) -> dict[str, bytes]:
        entries, purchases = self.arguments["entries"], self.arguments["purchases"]
        made = [(holder, amount, one) for (holder, amount), one in zip(entries, purchases, strict=True)]
        leaves = self._leaves(chain_id, self.arguments["batch"], made)
        root = receipts.root(leaves) if leaves else bytes(32)
        return {"receipts_root": root, "entries_hash": keccak(self._entries())}

    def _proof(self, network: Network, chain_id: int) -> dict[str, Any]:
        """What is shown of a batch to take points back."""
        batch, index = self.arguments["batch"], self.arguments["index"]
        kept = network.tokens[self.contract].receipts
        made = [kept[batch, place] for place in range(sum(number == batch for number, _ in kept))]
        if self.arguments["shows"] == FORGED_ENTRIES:
            made = [(holder, amount + 1, purchase) for holder, amount, purchase in made]
        proof = receipts.proof(self._leaves(chain_id, batch, made), index) if index < len(made) else []
        if self.arguments["shows"] == FORGED_PROOF:
            proof = [*proof[1:], bytes(32)]
        return {"entries": receipts.pack_entries((holder, amount) for holder, amount, _ in made), "proof": proof}

    def _digest(self, network: Network, chain_id: int) -> bytes:
        own = dict(self.arguments)
        domain = self.contract
        kind = self.name.removeprefix("set_")
        match self.name:
            case "mint":
                own = {"batch": own["batch"]} | self._batch(chain_id)
            case "swap":
                domain = own.pop("from_")
            case "give":
                domain = own.pop("programme")
            case "clawback":
                own = {name: own[name] for name in ("batch", "index", "purchase", "taken")}
            case "set_limits":
                own |= own.pop("wanted")._asdict()
            case "extend_life":
                kind, own["life"] = "life", own.pop("wanted")
            case "set_quote":
                own |= own.pop("quote")._asdict()
            case "set_match":
                own["campaign"] = own.pop("number")
                campaign = network.exchange.campaigns.get(own["campaign"])
                own["sponsor"] = campaign.sponsor if campaign else NOBODY
        digest: bytes = getattr(eip712, f"{kind}_digest")(eip712.domain_separator(chain_id, domain), **own)
        return digest
