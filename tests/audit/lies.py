"""Nodes that lie: each lie changes what one was heard to say, as a node, its operator or whoever sits between
could, and knows which check must find it and where."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from contracts import headers
from contracts.errors import NodeError
from contracts.headers import Header
from contracts.rpc import Call, to_hex, to_quantity
from scripts.audit import chain, tries
from scripts.audit.evidence import Node

HEADER: Final = "eth_getBlockByNumber"
RECEIPTS: Final = "eth_getBlockReceipts"
RAW: Final = "eth_getRawTransactionByBlockHashAndIndex"
TRUSTED: Final = "eth_getBlockByHash"
PROOF: Final = "eth_getProof"
CODE: Final = "eth_getCode"
TRANSACTION: Final = "eth_getTransactionByHash"


@dataclass
class Heard:
    """A node, and everything that it was heard to say: calls and answers by their JSON."""

    node: Node
    said: dict[bytes, tuple[Call, Any]] = field(default_factory=dict)

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        answers = await self.node.ask(calls)
        for call, answer in zip(calls, answers, strict=True):
            self.said[name(call)] = (call, msgspec.json.decode(answer))
        return answers

    def of(self, method: str, keep: Callable[[Any], bool] = bool) -> list[tuple[Call, Any]]:
        return [(call, answer) for call, answer in self.said.values() if call[0] == method and keep(answer)]


@dataclass
class Lie:
    """`changed` is what is said instead, by the call's JSON. Every finding must be of one of `checks`, and one of them
    at one of `blocks`, if any are given, or name one of `words`."""

    kind: str
    changed: dict[bytes, Any]
    checks: frozenset[str]
    blocks: frozenset[int] = frozenset()
    words: tuple[str, ...] = ()


@dataclass
class Liar:
    """Says what it was heard to say, but for the lie; what it was never asked, its node answers."""

    heard: Heard
    lie: Lie
    told: int = 0

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        return [await self._one(call) for call in calls]

    async def _one(self, call: Call) -> msgspec.Raw:
        key = name(call)
        if key in self.lie.changed:
            self.told += 1
            answer = self.lie.changed[key]
            if isinstance(answer, NodeError):
                raise answer
            return msgspec.Raw(msgspec.json.encode(answer))
        if key in self.heard.said:
            return msgspec.Raw(msgspec.json.encode(self.heard.said[key][1]))
        [raw] = await self.heard.node.ask([call])
        assert isinstance(raw, msgspec.Raw)
        return raw


def name(call: Call) -> bytes:
    return msgspec.json.encode(call)


def draw(chance: random.Random, heard: Heard, kind: str) -> Lie:
    """A lie of this kind, somewhere."""
    return KINDS[kind](chance, heard, kind)


# --- headers


def _headers(heard: Heard) -> dict[int, tuple[Call, Any]]:
    return {int(answer["number"], 16): (call, answer) for call, answer in heard.of(HEADER)}


def _history(kind: str, changed: Iterable[tuple[Call, Any]], *blocks: int) -> Lie:
    return Lie(kind, {name(call): answer for call, answer in changed}, frozenset({"history"}), frozenset(blocks))


def _header_field(chance: random.Random, heard: Heard, kind: str) -> Lie:
    number, (call, answer) = chance.choice(list(_headers(heard).items()))
    return _history(kind, [(call, _other_field(chance, answer))], number)


def _header_field_hashed_anew(chance: random.Random, heard: Heard, kind: str) -> Lie:
    number, (call, answer) = chance.choice(list(_headers(heard).items()))
    return _history(kind, [(call, hashed(_other_field(chance, answer)))], number, number + 1)


def _other_field(chance: random.Random, answer: Any) -> Any:
    names = ("parentHash", "stateRoot", "receiptsRoot", "transactionsRoot", "timestamp", "gasUsed", "miner", "mixHash")
    return _changed_hex(chance, answer, chance.choice(names))


def _hidden_by_bloom(chance: random.Random, heard: Heard, kind: str) -> Lie:
    """So that the logs of a block are not even asked for."""
    number, (call, answer) = chance.choice(_logging(heard))
    hidden = answer | {"logsBloom": "0x" + 512 * "0"}
    return _history(kind, [(call, hashed(hidden) if chance.random() < 0.5 else hidden)], number, number + 1)


def _logging(heard: Heard) -> list[tuple[int, tuple[Call, Any]]]:
    found = _headers(heard)
    blocks = {int(each["blockNumber"], 16) for _, answer in heard.of(RECEIPTS) for each in answer if each["logs"]}
    return [(number, found[number]) for number in sorted(blocks)]


def _header_of_another(chance: random.Random, heard: Heard, kind: str) -> Lie:
    (number, (call, _)), (_, (_, other)) = chance.sample(list(_headers(heard).items()), 2)
    return _history(kind, [(call, other)], number)


def _header_missing(chance: random.Random, heard: Heard, kind: str) -> Lie:
    number, (call, _) = chance.choice(list(_headers(heard).items()))
    lie = _history(kind, [(call, None)])
    lie.words = (f"block {number}",)
    return lie


def _block_left_out(chance: random.Random, heard: Heard, kind: str) -> Lie:
    """From some block on every number is that of the next one, and the last two are one."""
    found = sorted(_headers(heard).items())
    start = chance.randrange(len(found) - 1)
    shifted = [
        (call, following | {"number": answer["number"]})
        for (_, (call, answer)), (_, (_, following)) in zip(found[start:-1], found[start + 1 :], strict=True)
    ]
    return _history(kind, shifted, found[start][0])


def _transactions_renamed(chance: random.Random, heard: Heard, kind: str) -> Lie:
    number, (call, answer) = chance.choice(_logging(heard))
    place = chance.randrange(len(answer["transactions"]))
    renamed = list(answer["transactions"])
    renamed[place] = to_hex(chance.randbytes(32))
    return _history(kind, [(call, answer | {"transactions": renamed})], number)


def _chain_forged(chance: random.Random, heard: Heard, kind: str) -> Lie:
    """Another amount in a log, and everything above it made anew: the root of the receipts, the hash of the header, and
    every later header. Nothing contradicts it but the hash of the last block, which is trusted."""
    call, answer = chance.choice(heard.of(RECEIPTS, lambda answer: any(each["logs"] for each in answer)))
    receipts = msgspec.json.decode(msgspec.json.encode(answer))
    _amount(chance, receipts)
    encoded = [chain._encoded(msgspec.convert(each, chain._Receipt)) for each in receipts]
    found = sorted(_headers(heard).items())
    start = int(answer[0]["blockNumber"], 16)
    changed: list[tuple[Call, Any]] = []
    names: dict[str, str] = {}
    for number, (asked, header) in found:
        if number >= start:
            above = {"parentHash": names[header["parentHash"]]} if number > start else {}
            mended = hashed(header | above | ({} if above else {"receiptsRoot": to_hex(tries.root(encoded))}))
            names[header["hash"]] = mended["hash"]
            changed.append((asked, mended))
    for (method, parameters), said in list(heard.said.values()):
        if method in (RECEIPTS, RAW) and parameters[0] in names:
            forged = receipts if (method, parameters) == call else said
            changed.append(((method, [names[str(parameters[0])], *parameters[1:]]), forged))
    return _history(kind, changed, found[-1][0])


def _trusted_changed(chance: random.Random, heard: Heard, kind: str) -> Lie:
    [(call, answer)] = heard.of(TRUSTED)
    return _history(kind, [(call, _other_field(chance, answer))], int(answer["number"], 16))


def _trusted_is_another(chance: random.Random, heard: Heard, kind: str) -> Lie:
    [(call, answer)] = heard.of(TRUSTED)
    others = [header for _, header in _headers(heard).values() if header["hash"] != answer["hash"]]
    return _history(kind, [(call, chance.choice(others))], int(answer["number"], 16))


def _trusted_missing(_: random.Random, heard: Heard, kind: str) -> Lie:
    [(call, answer)] = heard.of(TRUSTED)
    return _history(kind, [(call, None)], int(answer["number"], 16))


def hashed(answer: Any) -> Any:
    header = msgspec.convert(answer, Header)
    return answer | {"hash": to_hex(headers.hash_of(header))}


# --- receipts and transactions


def _with_receipts(
    change: Callable[[random.Random, list[Any]], object], *, logs: int = 0, receipts: int = 1
) -> Callable[[random.Random, Heard, str], Lie]:
    def lie(chance: random.Random, heard: Heard, kind: str) -> Lie:
        def fits(answer: list[Any]) -> bool:
            return len(answer) >= receipts and any(len(each["logs"]) >= logs for each in answer)

        call, answer = chance.choice(heard.of(RECEIPTS, fits))
        copy = msgspec.json.decode(msgspec.json.encode(answer))
        change(chance, copy)
        return _history(kind, [(call, copy)], int(answer[0]["blockNumber"], 16))

    return lie


def _some_logs(chance: random.Random, receipts: list[Any], least: int = 1) -> list[Any]:
    logs: list[Any] = chance.choice([each["logs"] for each in receipts if len(each["logs"]) >= least])
    return logs


def _amount(chance: random.Random, receipts: list[Any]) -> None:
    logs = _some_logs(chance, receipts)
    place = chance.randrange(len(logs))
    data = bytearray.fromhex(logs[place]["data"][2:]) or bytearray(32)
    data[-1 - chance.randrange(min(8, len(data)))] ^= 1 << chance.randrange(8)
    logs[place]["data"] = to_hex(bytes(data))


def _topic(chance: random.Random, receipts: list[Any]) -> None:
    log = chance.choice(_some_logs(chance, receipts))
    place = chance.randrange(len(log["topics"]))
    log["topics"][place] = _flipped(chance, log["topics"][place])


def _address(chance: random.Random, receipts: list[Any]) -> None:
    log = chance.choice(_some_logs(chance, receipts))
    log["address"] = _flipped(chance, log["address"])


def _order(chance: random.Random, receipts: list[Any]) -> None:
    logs = _some_logs(chance, receipts, 2)
    place = chance.randrange(len(logs) - 1)
    logs[place], logs[place + 1] = logs[place + 1], logs[place]
    if logs[place]["topics"] == logs[place + 1]["topics"] and logs[place]["data"] == logs[place + 1]["data"]:
        del logs[place]  # two of the same: their order says nothing


def _log_dropped(chance: random.Random, receipts: list[Any]) -> None:
    logs = _some_logs(chance, receipts)
    del logs[chance.randrange(len(logs))]


def _log_twice(chance: random.Random, receipts: list[Any]) -> None:
    logs = _some_logs(chance, receipts)
    logs.insert(chance.randrange(len(logs) + 1), chance.choice(logs))


def _status(chance: random.Random, receipts: list[Any]) -> None:
    receipt = chance.choice(receipts)
    receipt["status"] = "0x0" if receipt["status"] == "0x1" else "0x1"


def _gas(chance: random.Random, receipts: list[Any]) -> None:
    receipt = chance.choice(receipts)
    receipt["cumulativeGasUsed"] = hex(int(receipt["cumulativeGasUsed"], 16) + chance.randrange(1, 1_000))


def _receipt_dropped(chance: random.Random, receipts: list[Any]) -> None:
    del receipts[chance.randrange(len(receipts))]


def _receipt_twice(chance: random.Random, receipts: list[Any]) -> None:
    receipts.append(chance.choice(receipts))


def _no_receipts(_: random.Random, receipts: list[Any]) -> None:
    receipts.clear()


def _receipts_of_another(chance: random.Random, heard: Heard, kind: str) -> Lie:
    (call, answer), (_, other) = chance.sample(heard.of(RECEIPTS), 2)
    return _history(kind, [(call, other)], int(answer[0]["blockNumber"], 16))


def _receipts_missing(chance: random.Random, heard: Heard, kind: str) -> Lie:
    call, answer = chance.choice(heard.of(RECEIPTS))
    return _history(kind, [(call, None)], int(answer[0]["blockNumber"], 16))


def _raw_changed(chance: random.Random, heard: Heard, kind: str) -> Lie:
    call, answer = chance.choice(heard.of(RAW))
    return _of_transaction(heard, kind, call, _flipped(chance, answer))


def _raw_of_another(chance: random.Random, heard: Heard, kind: str) -> Lie:
    (call, _), (_, other) = chance.sample(heard.of(RAW), 2)
    return _of_transaction(heard, kind, call, other)


def _raw_missing(chance: random.Random, heard: Heard, kind: str) -> Lie:
    call, _ = chance.choice(heard.of(RAW))
    return _of_transaction(heard, kind, call, None)


def _of_transaction(heard: Heard, kind: str, call: Call, answer: Any) -> Lie:
    [number] = [number for number, (_, header) in _headers(heard).items() if header["hash"] == call[1][0]]
    return _history(kind, [(call, answer)], number)


# --- state


def _of_state(kind: str, call: Call, answer: Any) -> Lie:
    return Lie(kind, {name(call): answer}, frozenset({"state", "code", "margins"}), words=(str(call[1][0]),))


def _with_proof(
    change: Callable[[random.Random, Any], object], *, slots: int = 1
) -> Callable[[random.Random, Heard, str], Lie]:
    def lie(chance: random.Random, heard: Heard, kind: str) -> Lie:
        call, answer = chance.choice(heard.of(PROOF, lambda answer: len(answer["storageProof"]) >= slots))
        copy = msgspec.json.decode(msgspec.json.encode(answer))
        change(chance, copy)
        return _of_state(kind, call, copy)

    return lie


def _account_node(chance: random.Random, answer: Any) -> None:
    place = chance.randrange(len(answer["accountProof"]))
    answer["accountProof"][place] = _flipped(chance, answer["accountProof"][place])


def _account_node_dropped(chance: random.Random, answer: Any) -> None:
    del answer["accountProof"][chance.randrange(len(answer["accountProof"]))]


def _storage_node(chance: random.Random, answer: Any) -> None:
    proof = chance.choice([each["proof"] for each in answer["storageProof"] if each["proof"]])
    place = chance.randrange(len(proof))
    proof[place] = _flipped(chance, proof[place])


def _storage_node_dropped(chance: random.Random, answer: Any) -> None:
    proof = chance.choice([each["proof"] for each in answer["storageProof"] if each["proof"]])
    del proof[chance.randrange(len(proof))]


def _storage_value(chance: random.Random, answer: Any) -> None:
    slot = chance.choice(answer["storageProof"])
    slot["value"] = hex(int(slot["value"], 16) ^ 1 << chance.randrange(96))


def _slots_exchanged(chance: random.Random, answer: Any) -> None:
    slots = answer["storageProof"]
    values = sorted({each["value"] for each in slots})
    one, other = chance.sample(values, 2)
    places = [next(place for place, each in enumerate(slots) if each["value"] == value) for value in (one, other)]
    slots[places[0]], slots[places[1]] = slots[places[1]], slots[places[0]]


def _slot_dropped(chance: random.Random, answer: Any) -> None:
    del answer["storageProof"][chance.randrange(len(answer["storageProof"]))]


def _proof_of_another(chance: random.Random, heard: Heard, kind: str) -> Lie:
    proofs = heard.of(PROOF)
    call, answer = chance.choice(proofs)
    others = [other for _, other in proofs if other["address"] != answer["address"]]
    return _of_state(kind, call, chance.choice(others))


def _proof_missing(chance: random.Random, heard: Heard, kind: str) -> Lie:
    call, _ = chance.choice(heard.of(PROOF))
    return _of_state(kind, call, NodeError(-32000, "missing trie node"))


def _code_changed(chance: random.Random, heard: Heard, kind: str) -> Lie:
    call, answer = chance.choice(heard.of(CODE))
    lie = _of_state(kind, call, _flipped(chance, answer))
    lie.checks = frozenset({"code"})
    return lie


def _code_missing(chance: random.Random, heard: Heard, kind: str) -> Lie:
    call, _ = chance.choice(heard.of(CODE))
    lie = _of_state(kind, call, "0x")
    lie.checks = frozenset({"code"})
    return lie


def _creation(chance: random.Random, heard: Heard, kind: str) -> Lie:
    """The limits that a programme began with are in no log."""
    call, answer = chance.choice(heard.of(TRANSACTION))
    data = bytearray.fromhex(answer["input"][2:])
    data[4 + 32 * chance.randrange(4, 8) + chance.randrange(24, 32)] ^= 1 << chance.randrange(8)
    lie = Lie(kind, {name(call): answer | {"input": to_hex(bytes(data))}}, frozenset({"issuance"}))
    lie.words = (answer["hash"],)
    return lie


def _changed_hex(chance: random.Random, answer: Any, key: str) -> Any:
    if len(answer[key]) > 20:
        return answer | {key: _flipped(chance, answer[key])}
    return answer | {key: to_quantity(int(answer[key], 16) + chance.randrange(1, 1_000))}


def _flipped(chance: random.Random, text: str) -> str:
    data = bytearray.fromhex(text[2:])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return to_hex(bytes(data))


KINDS: Final[dict[str, Callable[[random.Random, Heard, str], Lie]]] = {
    "a field of a header": _header_field,
    "a field of a header, hashed anew": _header_field_hashed_anew,
    "a Bloom filter that hides a block's logs": _hidden_by_bloom,
    "the header of another block": _header_of_another,
    "no header": _header_missing,
    "a block left out": _block_left_out,
    "other hashes of transactions": _transactions_renamed,
    "a forged chain": _chain_forged,
    "a field of the trusted block": _trusted_changed,
    "another block for the trusted one": _trusted_is_another,
    "no trusted block": _trusted_missing,
    "an amount in a log": _with_receipts(_amount, logs=1),
    "a topic of a log": _with_receipts(_topic, logs=1),
    "the address of a log": _with_receipts(_address, logs=1),
    "the order of logs": _with_receipts(_order, logs=2),
    "a log dropped": _with_receipts(_log_dropped, logs=1),
    "a log twice": _with_receipts(_log_twice, logs=1),
    "the status of a receipt": _with_receipts(_status),
    "the gas of a receipt": _with_receipts(_gas),
    "a receipt dropped": _with_receipts(_receipt_dropped),
    "a receipt twice": _with_receipts(_receipt_twice),
    "an empty list of receipts": _with_receipts(_no_receipts),
    "the receipts of another block": _receipts_of_another,
    "no receipts": _receipts_missing,
    "a byte of a transaction": _raw_changed,
    "another transaction": _raw_of_another,
    "no transaction": _raw_missing,
    "a node of an account's proof": _with_proof(_account_node, slots=0),
    "an account's proof without a node": _with_proof(_account_node_dropped, slots=0),
    "a node of a storage proof": _with_proof(_storage_node),
    "a storage proof without a node": _with_proof(_storage_node_dropped),
    "a value beside its proof": _with_proof(_storage_value),
    "two slots exchanged": _with_proof(_slots_exchanged, slots=20),
    "a slot dropped": _with_proof(_slot_dropped),
    "the proof of another contract": _proof_of_another,
    "no proof": _proof_missing,
    "a byte of code": _code_changed,
    "no code": _code_missing,
    "the limits of a programme's creation": _creation,
}
