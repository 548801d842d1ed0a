"""Whether storage and code, as the trusted block commits to them, are what the history says they must be.

Every answer is a Merkle-Patricia proof (EIP-1186) against the state root of the trusted block, so a node can withhold
it but not forge it. With a sample only the words of which there are many (holders, batches, refunds) are drawn, by a
seed; all others are always proved.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import layout
from contracts.errors import ChainError
from contracts.rpc import from_hex, from_quantity, to_hex, to_quantity
from scripts.audit import code, verify, words
from scripts.audit.chain import Anchor
from scripts.audit.code import Immutables
from scripts.audit.evidence import Node
from scripts.audit.ledger import Ledger
from scripts.audit.options import Advance
from scripts.audit.record import Record
from scripts.audit.words import Word

MOST_SLOTS, FEWEST_SLOTS = 4_096, 256
"""In one request. Some nodes build a whole trie for each, others take no more than 1,024."""

BALANCES_AT: Final = (
    *range(16),
    0x52C63247E1F47DB19D5CE0460030C497F067CA4CEBF71BA98EEADABE20BACE00,  # OpenZeppelin's upgradeable ERC-20 (ERC-7201)
)
"""Where settlement tokens keep their mapping of balances: one of these, or no proof of it can be had."""


class _Slot(msgspec.Struct):
    key: str
    value: str
    proof: list[str]


class _Proof(msgspec.Struct, rename="camel"):
    account_proof: list[str]
    storage_proof: list[_Slot]


_PROOF: Final = msgspec.json.Decoder(_Proof)


class State:
    """The state of one block, read from a node that is not believed."""

    def __init__(self, node: Node, anchor: Anchor) -> None:
        self.node = node
        self.anchor = anchor

    async def read(self, contract: bytes, slots: Sequence[int]) -> tuple[bytes, list[int]]:
        """The hash of a contract's code and the words at `slots`. Raises `ChainError` and `verify.Invalid`."""
        keys = [to_hex(slot.to_bytes(32)) for slot in slots]
        [raw] = await self.node.ask([("eth_getProof", [to_hex(contract), keys, to_quantity(self.anchor.number)])])
        answer = _PROOF.decode(raw)
        account = verify.account(self.anchor.state_root, contract, [from_hex(node) for node in answer.account_proof])
        if len(answer.storage_proof) != len(slots):
            raise verify.Invalid(f"{len(slots)} slots were asked for, and {len(answer.storage_proof)} answered")
        found = [
            verify.storage(account.storage_root, slot, [from_hex(node) for node in proven.proof])
            for slot, proven in zip(slots, answer.storage_proof, strict=True)
        ]
        if found != [from_quantity(proven.value) for proven in answer.storage_proof]:
            raise verify.Invalid("the node says other values than it proves")
        return account.code_hash, found


async def check(
    state: State, ledger: Ledger, shared: Immutables | None, *, sample: int | None, seed: int, advance: Advance
) -> dict[str, str]:
    """Proves what the history expects, and says in the ledger's record what contradicts it or could not be proved.
    Returns the proved hash of every contract's code, by address."""
    record = ledger.record
    wanted: dict[bytes, list[Word]] = {ledger.network.exchange: [], ledger.network.factory: []}
    for word in _drawn(words.expected(ledger), sample, seed, record):
        wanted.setdefault(word.contract, []).append(word)
    done, total = 0, sum(map(len, wanted.values()))
    codes: dict[str, str] = {}
    for contract, those in wanted.items():
        name, left, size = to_hex(contract), those, MOST_SLOTS
        while left or name not in codes:
            part = left[:size]
            try:
                code_hash, found = await state.read(contract, [word.slot for word in part])
            except (ChainError, msgspec.DecodeError) as error:
                if len(part) > FEWEST_SLOTS:
                    size = max(size // 4, FEWEST_SLOTS)
                    continue
                record.doubted("state", f"the node does not prove the state of {name}: {error}", contract=name)
                break
            except verify.Invalid as error:
                record.found("state", f"the node's proof of the state of {name} is false: {error}", contract=name)
                break
            codes[name] = to_hex(code_hash)
            for word, value in zip(part, found, strict=True):
                _compare(word, value, record)
            left, done = left[size:], done + len(part)
            advance(done, total)
    await _settlement(state, ledger)
    _codes(ledger, shared, codes)
    return codes


def _drawn(expected: Iterable[Word], sample: int | None, seed: int, record: Record) -> list[Word]:
    everything = list(expected)
    if sample is None:
        return everything
    many = [word for word in everything if word.many]
    if len(many) <= sample:
        return everything
    record.skipped("state", len(many) - sample)
    drawn = random.Random(seed).sample(many, sample)  # noqa: S311  (a seed makes an audit repeatable)
    return [word for word in everything if not word.many] + drawn


def _compare(word: Word, found: int, record: Record) -> None:
    if not word.contradicts(found):
        record.proved("state")
        return
    record.found(
        "state",
        f"{word.what}: storage says {_said(word, found)}, the history {_said(word, word.value)}",
        contract=to_hex(word.contract),
        slot=to_hex(word.slot.to_bytes(32)),
    )


def _said(word: Word, value: int) -> str:
    return f"a balance of {value & 2**96 - 1}" if word.days else f"0x{value & word.mask:x}"


async def _settlement(state: State, ledger: Ledger) -> None:
    """What the exchange holds of the settlement token, if that token keeps its balances where others do."""
    record, held, network = ledger.record, ledger.market.held, ledger.network
    name = to_hex(network.settlement)
    slots = [layout.at(place, network.exchange) for place in BALANCES_AT]
    try:
        _, found = await state.read(network.settlement, slots)
    except (ChainError, msgspec.DecodeError) as error:
        record.doubted("margins", f"the node does not prove the state of {name}: {error}", contract=name)
        return
    except verify.Invalid as error:
        record.found("margins", f"the node's proof of the state of {name} is false: {error}", contract=name)
        return
    kept = [value for value in found if value]
    if kept == [held] or (held == 0 and not kept):
        record.proved("margins")
    elif kept:
        record.found("margins", f"the exchange holds {kept[0]}, and transfers sum to {held}", contract=name)
    else:
        record.doubted("margins", "the settlement token keeps its balances where nobody looks", contract=name)


def _codes(ledger: Ledger, shared: Immutables | None, codes: dict[str, str]) -> None:
    network, record = ledger.network, ledger.record
    if shared is None:
        return
    wanted = {network.factory: code.of_factory(network)}
    for address, programme in ledger.programmes.items():
        wanted[address] = code.of_token(network, programme.created, shared)
    for address, made in wanted.items():
        name = to_hex(address)
        if codes.get(name) == to_hex(keccak(made)):
            record.proved("code")
        elif name in codes:
            record.found("code", f"the code at {name} is not what this build makes", contract=name, hash=codes[name])
