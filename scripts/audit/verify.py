#!/usr/bin/env python3
"""Verifies one receipt or one balance of a loyalty programme, believing nobody.

    python verify.py receipt.json --block 0x...     by a block that you know to be the chain's: no network is used
    python verify.py balance.json --rpc https://... asks a node of your choice whether the block is the chain's

This file needs Python 3.9 and nothing else: take it, read it, run it. It uses a faster keccak where there is one.

A proof has a block's header, and the nodes of the two Merkle-Patricia tries that lead from the state root in it to a
word in the storage of the programme's contract: what a holder has, or what is kept of a batch of receipts. So all of it
hangs on the block's hash. Exit 0: proved. 1: it contradicts itself or the chain. 2: it could not be verified.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Union

RECEIPT, BALANCE = "points-exchange/receipt/1", "points-exchange/balance/1"

# Of a programme's contract, contracts/src/Points.sol; tests hold these to what the compiler says.
BOUNDS, HOLDINGS, BATCHES = 1, 3, 7  # where the storage of its life, its holders and its batches begins
RING = 4_096  # batches of which something is kept: the last ones
CODE = "0x32b9e13aa1fec2f487c541ce20ba4e0f63398218541ff0e35dca78976c2f2773"
"""Of the contract with zeros where its immutables are, which is at:"""
IMMUTABLES = {
    "chain": (16802,),
    "separator": (16840,),
    "owner": (5962, 18497, 18568, 18744, 18930),
    "issuer": (4713, 9584, 18428, 18641),
    "exchange": (1723, 6466, 8339, 9835, 11110),
    "life": (4854, 10228, 15973, 16322, 19354),
    "name": (10626,),
    "symbol": (4437,),
    "verified_above": (3294, 15682),
    "rp_id": (9096, 17356, 18040),
    "passkeys": (6946, 17246, 17929),
}


class Invalid(Exception):
    """When a proof does not prove what it says."""


# --- keccak-256


def sponge(data: bytes) -> bytes:
    """Keccak-256, as Ethereum pads it."""
    padded = bytearray(data) + bytes(136 - len(data) % 136)
    padded[len(data)] ^= 0x01
    padded[-1] ^= 0x80
    lanes = [0] * 25  # lane (x, y) at x + 5 y
    for start in range(0, len(padded), 136):
        for lane in range(17):
            lanes[lane] ^= int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(a: list[int]) -> list[int]:
    """Keccak-f[1600], as FIPS 202 has it."""
    for constant in _ROUNDS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ _rotated(c[(x + 1) % 5], 1) for x in range(5)]
        b = [0] * 25
        for x in range(5):
            for y in range(5):
                b[y + 5 * ((2 * x + 3 * y) % 5)] = _rotated(a[x + 5 * y] ^ d[x], _TURNS[x + 5 * y])
        a = [b[i] ^ (~b[i - i % 5 + (i + 1) % 5] & b[i - i % 5 + (i + 2) % 5]) for i in range(25)]
        a[0] ^= constant
    return a


def _rotated(lane: int, by: int) -> int:
    return (lane << by | lane >> 64 - by) & (2**64 - 1)


def _turns() -> list[int]:
    turns, x, y = [0] * 25, 1, 0
    for t in range(24):
        turns[x + 5 * y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return turns


def _rounds() -> list[int]:
    """Round constants: single bits of a shift register."""
    constants, register = [0] * 24, 1
    for each in range(24):
        for bit in range(7):
            constants[each] |= (register & 1) << 2**bit - 1
            register = register << 1 ^ (0x171 if register >> 7 else 0)
    return constants


_TURNS, _ROUNDS = _turns(), _rounds()


try:
    from eth_hash.backends.pysha3 import keccak256 as keccak
except ImportError:
    keccak = sponge  # type: ignore[assignment]


# --- RLP and Merkle-Patricia tries

Item = Union[bytes, "list[Item]"]
EMPTY = keccak(b"\x80")


def decode(data: bytes) -> Item:
    """RLP, in its one form. Raises `Invalid`."""
    try:
        item, end = _item(data, 0, len(data))
    except RecursionError:
        raise Invalid("lists are nested deeper than anybody nests them") from None
    if end != len(data):
        raise Invalid("there is more behind what is encoded")
    return item


def _item(data: bytes, at: int, limit: int) -> tuple[Item, int]:
    if at >= limit:
        raise Invalid("an encoding is cut short")
    kind, start = data[at], at + 1
    if kind < 0x80:
        return data[at:start], start
    short = kind - (0xC0 if kind >= 0xC0 else 0x80)
    length = short
    if short > 55:
        start += short - 55
        length = int.from_bytes(data[at + 1 : start], "big")
        if length < 56 or data[at + 1] == 0:
            raise Invalid("a length is not in its shortest form")
    end = start + length
    if end > limit:
        raise Invalid("an encoding is cut short")
    if kind < 0xC0:
        if length == 1 and data[start] < 0x80:
            raise Invalid("a byte is not in its shortest form")
        return data[start:end], end
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, end)
        items.append(item)
    return items, end


@lru_cache(maxsize=20_000)
def _node(encoded: bytes) -> tuple[bytes, Item]:
    return keccak(encoded), decode(encoded)


class Nodes:
    """Nodes of tries, by their hashes, each of which must be needed."""

    def __init__(self, encoded: Iterable[bytes]) -> None:
        self.by_hash = dict(map(_node, encoded))
        self.needed: set[bytes] = set()

    def value(self, root: bytes, key: bytes) -> bytes:
        """What the trie has under the key; nothing if it proves that there is nothing. Raises `Invalid`."""
        path, depth = keccak(key).hex(), 0
        node: Item | None = b"" if root == EMPTY else root
        while node:
            if isinstance(node, bytes):
                self.needed.add(node)
                node = self.by_hash.get(node)
            if not isinstance(node, list) or len(node) not in (2, 17) or depth >= 64:
                raise Invalid("a node is missing")
            if len(node) == 17:
                node, depth = node[int(path[depth], 16)], depth + 1
                continue
            kind, rest = _path(node[0])
            if not path.startswith(rest, depth):
                return b""
            if kind >= 2:
                if len(rest) != 64 - depth or not isinstance(node[1], bytes):
                    raise Invalid("a leaf is out of its place")
                return node[1]
            node, depth = node[1], depth + len(rest)
        return b""

    def check_all_needed(self) -> None:
        if self.needed != set(self.by_hash):
            raise Invalid("a node is there that proves nothing")


def _path(item: Item) -> tuple[int, str]:
    """A leaf's (2, 3) or an extension's (0, 1) kind, and its digits."""
    digits = item.hex() if isinstance(item, bytes) else ""
    kind = int(digits[:1] or "f", 16)
    if kind > 3 or (kind % 2 == 0 and digits[1] != "0"):
        raise Invalid("a node has no path")
    return kind, digits[2 - kind % 2 :]


@dataclass(frozen=True)
class Account:
    """A contract, by the state root."""

    storage_root: bytes
    code_hash: bytes


def account(state_root: bytes, address: bytes, proof: Iterable[bytes] | Nodes) -> Account:
    """Raises `Invalid`, also if there is nothing at the address."""
    nodes = proof if isinstance(proof, Nodes) else Nodes(proof)
    fields = decode(nodes.value(state_root, address) or b"\x80")
    if not isinstance(fields, list) or len(fields) != 4:
        raise Invalid("there is no contract at the address")
    return Account(_bytes(fields[2]), _bytes(fields[3]))


def storage(storage_root: bytes, slot: int, proof: Iterable[bytes] | Nodes) -> int:
    """The word at the slot; 0 if it is proved that nothing is there. Raises `Invalid`."""
    nodes = proof if isinstance(proof, Nodes) else Nodes(proof)
    value = nodes.value(storage_root, slot.to_bytes(32, "big"))
    word = _bytes(decode(value)) if value else b""
    if len(word) > 32:
        raise Invalid("a word of storage has more than 32 bytes")
    return int.from_bytes(word, "big")


def _bytes(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise Invalid("a list is where bytes should be")
    return item


def mapping(slot: int, key: bytes) -> int:
    """Where a mapping at `slot` keeps `key`."""
    return int.from_bytes(keccak(key.rjust(32, b"\0") + slot.to_bytes(32, "big")), "big")


# --- signatures: EIP-712 and secp256k1

_P = 2**256 - 2**32 - 977
_N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
_TYPE = "Receipt(address holder,uint96 amount,bytes32 purchase,uint40 acceptedAt,uint40 mintBy)"
_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


def _sum(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    """Of two points of the curve; None is the point at infinity."""
    if one is None or other is None:
        return other if one is None else one
    (x, y), (u, v) = one, other
    if x == u and (y + v) % _P == 0:
        return None
    slope = (3 * x * x * pow(2 * y, -1, _P) if one == other else (v - y) * pow(u - x, -1, _P)) % _P
    z = (slope * slope - x - u) % _P
    return z, (slope * (x - z) - y) % _P


def _times(factor: int, point: tuple[int, int] | None) -> tuple[int, int] | None:
    result = None
    while factor:
        if factor & 1:
            result = _sum(result, point)
        factor, point = factor >> 1, _sum(point, point)
    return result


def recover(digest: bytes, r: int, vs: int) -> bytes:
    """The address that signed (EIP-2098). Raises `Invalid` if nobody can have."""
    parity, s = vs >> 255, vs & (2**255 - 1)
    y = pow(r**3 + 7, (_P + 1) // 4, _P)
    if not (0 < r < _N and 0 < s <= _N // 2) or y * y % _P != (r**3 + 7) % _P:
        raise Invalid("nobody can have made the signature")
    point = (r, y if y % 2 == parity else _P - y)
    inverse = pow(r, -1, _N)
    key = _sum(_times(-int.from_bytes(digest, "big") * inverse % _N, _G), _times(s * inverse % _N, point))
    if key is None:
        raise Invalid("nobody can have made the signature")
    return keccak(key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big"))[12:]


def _words(*values: int | bytes) -> bytes:
    return b"".join(v.rjust(32, b"\0") if isinstance(v, bytes) else v.to_bytes(32, "big") for v in values)


def signer(chain_id: int, token: bytes, receipt: Sequence[int | bytes], signature: bytes) -> bytes:
    """Who signed the receipt (its fields as in `_TYPE`), alone or in a tree of receipts. Raises `Invalid`."""
    node = keccak(keccak(_TYPE.encode()) + _words(*receipt))
    if len(signature) < 65 or signature[0] not in (0, 3) or (signature[0] == 0 and len(signature) > 65):
        raise Invalid("the signature is of an unknown form")
    if signature[0] == 3:
        index, depth = (signature[65:66] or b"\xff")[0], (len(signature) - 66) // 32
        if not 1 <= depth <= 5 or len(signature) != 66 + 32 * depth or index >> depth:
            raise Invalid("the signature is of an unknown form")
        for level in range(depth):
            sibling = signature[66 + 32 * level : 98 + 32 * level]
            node = keccak(sibling + node if index >> level & 1 else node + sibling)
        node = keccak(keccak(f"ReceiptTree(Receipt{'[2]' * depth} receipts){_TYPE}".encode()) + node)
    names = (keccak(_DOMAIN.encode()), keccak(b"points-exchange"), keccak(b"1"))
    digest = keccak(b"\x19\x01" + keccak(_words(*names, chain_id, token)) + node)
    return recover(digest, int.from_bytes(signature[1:33], "big"), int.from_bytes(signature[33:65], "big"))


# --- the files


@dataclass(frozen=True)
class Block:
    """`time` is Unix seconds."""

    number: int
    hash: bytes
    state_root: bytes
    time: int


@dataclass(frozen=True)
class Verdict:
    """What a file proves if its block is the chain's; `block` is None if it says nothing of the chain. `chain_id` and
    `issuer`, who signed, are a receipt's."""

    token: bytes
    proved: list[str]
    block: Block | None = None
    code_hash: bytes = b""
    chain_id: int | None = None
    issuer: bytes | None = None


class _File:
    """A JSON object, every field of which must be taken."""

    def __init__(self, text: Any) -> None:
        if not isinstance(text, dict):
            raise Invalid("an object should be where something else is")
        self.fields = dict(text)

    def take(self, name: str, kind: type) -> Any:
        value = self.fields.pop(name, None)
        if type(value) is not kind:
            raise Invalid(f'"{name}" is missing, or not what it should be')
        return value

    def number(self, name: str, bits: int) -> int:
        value: int = self.take(name, int)
        if not 0 <= value < 2**bits:
            raise Invalid(f'"{name}" is out of bounds')
        return value

    def points(self, name: str) -> int:
        """Base units, which must be what is said in points."""
        text = self.take(f"{name}_base_units", str)
        if not (text.isascii() and text.isdigit() and len(text) < 30) or self.take(name, str) != _said(int(text)):
            raise Invalid(f'"{name}" is no number of points, or two of them')
        return int(text)

    def hex(self, name: str, size: int | None = None) -> bytes:
        return _unhex(self.take(name, str), name, size)

    def hexes(self, name: str, size: int) -> list[bytes]:
        return [_unhex(each, name, size) for each in self.take(name, list)]

    def packed(self, name: str) -> bytes:
        return _unpack(self.take(name, str), name)

    def block(self) -> Block:
        """The block of the header, which must be the one that the answer says it is of."""
        header = self.packed("header")
        fields = decode(header)
        if not isinstance(fields, list) or len(fields) < 15:
            raise Invalid("the header is none")
        number, moment = (int.from_bytes(_bytes(fields[place]), "big") for place in (8, 11))
        as_of = _File(self.take("as_of", dict))
        if (as_of.number("block", 64), as_of.hex("hash", 32)) != (number, keccak(header)):
            raise Invalid("the header is of another block than the answer says")
        as_of.number("finalized_block", 64)  # the gateway's word, for which nothing is given here
        as_of.end()
        return Block(number, keccak(header), _bytes(fields[3]), moment)

    def nodes(self) -> Nodes:
        return Nodes(_unpack(each, "nodes") for each in self.take("nodes", list))

    def end(self) -> None:
        if self.fields:
            raise Invalid(f"nobody knows what {', '.join(map(repr, self.fields))} should be")


def _unhex(text: Any, name: str, size: int | None) -> bytes:
    try:
        data = bytes.fromhex(text[2:])
    except (ValueError, TypeError):
        data = None
    if data is None or text[:2] != "0x" or len(text) != 2 + 2 * len(data) or size not in (None, len(data)):
        raise Invalid(f'"{name}" is not hexadecimal, or of another length')
    return data


def _unpack(text: Any, name: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        data = None
    if data is None or base64.b64encode(data).decode() != text:
        raise Invalid(f'"{name}" is not base64')
    return data


def verify(text: str, expected: str | None = None) -> Verdict:
    """What a proof file, of the `expected` format, proves. Raises `Invalid`."""
    try:
        file = _File(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the file is not JSON: {error}") from None
    kind = file.take("format", str)
    if kind not in (expected or RECEIPT, expected or BALANCE):
        raise Invalid(f"the format is {kind!r}, which is not what is verified here")
    verdict = _receipt(file) if kind == RECEIPT else _balance(file)
    file.end()
    return verdict


def _receipt(file: _File) -> Verdict:
    given = _File(file.take("receipt", dict))
    chain_id, token, holder = given.number("chain_id", 256), given.hex("programme", 20), given.hex("holder", 20)
    amount, purchase = given.points("amount"), given.hex("purchase", 32)
    accepted_at, mint_by = given.number("accepted_at", 40), given.number("mint_by", 40)
    issuer, signature = given.hex("issuer", 20), given.hex("signature")
    given.end()
    proved = [
        f"{_said(amount)} points of {_shown(token)} on chain {chain_id} for {_shown(holder)}",
        f"accepted {_moment(accepted_at)}, promised by {_moment(mint_by)}, signed by {_shown(issuer)}",
    ]
    verdict = Verdict(token, proved, chain_id=chain_id, issuer=issuer)
    if "batch" in file.fields:
        batch, index = file.number("batch", 32), file.number("index", 32)
        leaf = keccak(b"\0" + keccak(_words(chain_id, token, batch, index, holder, amount, purchase)))
        entry = holder + amount.to_bytes(12, "big")
        block, code_hash, fact = _minted(file, token, batch, index, leaf, entry)
        verdict = Verdict(token, [*proved, fact], block, code_hash, chain_id, issuer)
    if signer(chain_id, token, (holder, amount, purchase, accepted_at, mint_by), signature) != issuer:
        raise Invalid(f"{_shown(issuer)} did not sign the receipt")
    return verdict


def _minted(file: _File, token: bytes, batch: int, index: int, leaf: bytes, entry: bytes) -> tuple[Block, bytes, str]:
    """The block by which the batch has the leaf at its place, the hash of the contract's code, and it in words."""
    node, siblings = leaf, file.hexes("siblings", 32)
    for sibling in siblings:
        node = keccak(min(node, sibling) + max(node, sibling))
    if "entries" in file.fields:
        entries = file.packed("entries")
        if entries[32 * index : 32 * index + 32] != entry or len(siblings) != (len(entries) // 32 - 1).bit_length():
            raise Invalid("the batch minted something else at this place")
        entries_hash, fact = keccak(entries), f"minted in batch {batch}, place {index}"
    else:
        entries_hash = file.hex("entries_hash", 32)
        fact = f"in batch {batch}, place {index}, which was minted (what at this place: see a file with entries)"
    block, nodes = file.block(), file.nodes()
    contract = account(block.state_root, token, nodes)
    kept = storage(contract.storage_root, mapping(BATCHES, (batch % RING).to_bytes(32, "big")), nodes)
    if kept.to_bytes(32, "big") != keccak(_words(batch, node, entries_hash)):
        raise Invalid(f"the contract does not keep batch {batch} with this receipt at place {index}")
    nodes.check_all_needed()
    return block, contract.code_hash, fact


def _balance(file: _File) -> Verdict:
    token, holder, said = file.hex("programme", 20), file.hex("holder", 20), file.points("balance")
    block, nodes = file.block(), file.nodes()
    contract = account(block.state_root, token, nodes)
    word = storage(contract.storage_root, mapping(HOLDINGS, holder), nodes)
    life = storage(contract.storage_root, BOUNDS, nodes) >> 192 & 0xFFFF
    nodes.check_all_needed()
    balance, last = word & 2**96 - 1, (word >> 96 & 0xFFFF) + life
    alive = last >= block.time // 86_400
    if said != (balance if alive else 0):
        raise Invalid(f"the contract says {_said(balance)} points{'' if alive else ', which have expired'}")
    proved = [f"{_said(said)} points of {_shown(token)} are {_shown(holder)}'s"]
    if said:
        proved.append(f"they live to the end of {_moment(86_400 * last)[:10]}, and longer if the holder is active")
    return Verdict(token, proved, block, contract.code_hash)


# --- the program


def code_of(code: bytes) -> dict[str, bytes]:
    """The immutables of a programme's contract. Raises `Invalid` if the code is another one."""
    masked, found = bytearray(code), {}
    for name, places in IMMUTABLES.items():
        values = {code[place : place + 32] for place in places}
        found[name] = values.pop()
        for place in places:
            masked[place : place + 32] = bytes(len(masked[place : place + 32]))
        if values:
            raise Invalid("the contract's code is not that of a programme")
    if "0x" + keccak(bytes(masked)).hex() != CODE:
        raise Invalid("the contract's code is not that of a programme")
    return found


def ask_node(url: str, verdict: Verdict) -> list[str]:
    """What the node says of the block, and the code of the contract, which is believed only if it has the hash that was
    proved. Raises `Invalid`, and `OSError` or `ValueError` if the node does not answer."""
    block = verdict.block
    if block is None:
        return []
    told = _call(url, "eth_getBlockByNumber", hex(block.number), False)
    final = _call(url, "eth_getBlockByNumber", "finalized", False)
    if told is None:
        raise ValueError(f"the node does not know block {block.number}")
    if told["hash"] != _shown(block.hash):
        raise Invalid(f"the chain's block {block.number} is {told['hash']}, by the node")
    code = bytes.fromhex(_call(url, "eth_getCode", _shown(verdict.token), "latest")[2:])
    if keccak(code) != verdict.code_hash:
        raise Invalid("the node shows other code at the contract's address than the block commits to")
    written = code_of(code)
    if verdict.issuer not in (None, written["issuer"][12:]):
        raise Invalid(f"the programme's issuer is {_shown(written['issuer'][12:])}, who did not sign")
    if verdict.chain_id not in (None, int.from_bytes(written["chain"], "big")):
        raise Invalid("the programme was made on another chain")
    is_final = final is not None and int(final["number"], 16) >= block.number
    who = "" if verdict.issuer is None else ", whose issuer signed"
    return [
        f"the contract's code is a programme's{who}",
        f"the node says the block is {'' if is_final else 'not yet '}final",
    ]


def _call(url: str, method: str, *parameters: object) -> Any:
    # Which take longer to load than a proof takes to verify.
    import http.client
    import urllib.request

    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            told = json.load(answer)
    except http.client.HTTPException as error:
        raise ValueError(f"half an answer: {error!r}") from error
    if not isinstance(told, dict) or "result" not in told:
        raise ValueError(f"it answers {str(told)[:200]}")
    return told["result"]


def _said(base_units: int) -> str:
    return f"{base_units // 100}.{base_units % 100:02}"


def _shown(data: bytes) -> str:
    return "0x" + data.hex()


def _moment(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"


def run(
    path: str, *, kind: str | None = None, block: str | None = None, rpc: str | None = None
) -> tuple[int, list[str]]:
    """The exit code, and what to say. `kind` is RECEIPT or BALANCE if the file must be one."""
    try:
        with open(path, encoding="utf-8") as file:
            verdict = verify(file.read(), kind)
    except (OSError, UnicodeDecodeError) as error:
        return 2, [f"not verified: {error}"]
    except Invalid as error:
        return 1, [f"FALSE: {error}"]
    lines = [f"proved: {line}" for line in verdict.proved]
    at = verdict.block
    if at is None:
        return 2, [*lines, "not verified: the file says nothing of the chain, so the receipt is a promise alone"]
    lines.append(f"at block {at.number} of {_moment(at.time)}: {_shown(at.hash)}")
    if block is not None and not re.fullmatch("0x[0-9a-fA-F]{64}", block):
        return 2, [*lines, f"not verified: {block} is no hash: 0x and 64 hexadecimal digits"]
    if block is not None and block.lower() != _shown(at.hash):
        return 1, [*lines, f"FALSE: that is another block than {block}"]
    try:
        lines += [] if rpc is None else ask_node(rpc, verdict)
    except Invalid as error:
        return 1, [*lines, f"FALSE: {error}"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        return 2, [*lines, f"not verified: the node could not be asked: {error}"]
    if block is None and rpc is None:
        return 2, [
            *lines,
            "not verified: is this block the chain's? Say --block, or --rpc to ask a node that you trust",
        ]
    return 0, lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies a receipt or a balance of a loyalty programme by its proof.")
    parser.add_argument("file", help="receipt.json or balance.json, as the programme's gateway made it")
    parser.add_argument("--block", help="the hash of the block, if you know it to be the chain's")
    parser.add_argument("--rpc", help="the URL of a node that you trust to know the chain's blocks")
    options = parser.parse_args()
    code, lines = run(options.file, block=options.block, rpc=options.rpc)
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
