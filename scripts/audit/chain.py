"""From what nodes say to proved blocks: nothing is handed on that does not hash to what the header before it, or the
header itself, says.

The headers are walked from the deployment's first block to the anchor, whose hash is the one thing that is trusted.
Each names the hash of the one before, so the history is proved at the moment in which the anchor's hash is reached, and
not before: `blocks` counts it as proved then. Receipts and transactions are hashed to the roots in their header. Where
a header's Bloom filter excludes that any of our contracts logged anything, neither is asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, TypeVar

import msgspec
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import headers
from contracts.errors import ChainError, Malformed, UnknownMethod
from contracts.headers import Header, Word
from contracts.rpc import Call, from_hex, from_quantity, to_hex, to_quantity
from scripts.audit import tries
from scripts.audit.acts import Network
from scripts.audit.evidence import Block, Log, Node, Transaction
from scripts.audit.record import Record
from scripts.errors import CommandFailed

HEADERS_AT_ONCE: Final = 100
GAS_AT_ONCE: Final = 60_000_000
"""Of the blocks whose receipts are asked for in one request: some 10,000 transfers, or 7 MB of JSON."""

AHEAD: Final = 3
"""Requests under way while blocks are being looked at. This many, and one block more, is what is ever in memory."""

BY_PLACE: Final = "eth_getRawTransactionByBlockHashAndIndex"  # anvil, geth, reth, erigon
BY_HASH: Final = "debug_getRawTransaction"  # nethermind and besu have it, too

T = TypeVar("T")


class NoAnchor(CommandFailed):
    """When there is no block to trust: an unknown one, none that is final, or nodes that do not agree on it."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The trusted block. `time` is Unix seconds."""

    number: int
    hash: bytes
    state_root: bytes
    time: int


class _Log(msgspec.Struct, gc=False):
    address: Annotated[str, msgspec.Meta(min_length=42, max_length=42)]
    topics: Annotated[list[Word], msgspec.Meta(max_length=4)]
    data: str


class _Receipt(msgspec.Struct, rename="camel", gc=False):
    status: str
    cumulative_gas_used: str
    logs_bloom: Annotated[str, msgspec.Meta(min_length=514, max_length=514)]
    logs: list[_Log]
    type: str = "0x0"


_HEADER = msgspec.json.Decoder(Header | None)
_RECEIPTS = msgspec.json.Decoder(list[_Receipt] | None)
_RAW = msgspec.json.Decoder(str | None)


async def anchor(nodes: Sequence[Node], wanted: bytes | None) -> Anchor:
    """The block with the hash that the caller trusts; else the newest one that every node calls final. Raises
    `NoAnchor`."""
    if wanted is not None:
        [header] = await _asked(nodes[0], [("eth_getBlockByHash", [to_hex(wanted), False])], _HEADER)
        if header is None:
            raise NoAnchor(f"The node does not know block {to_hex(wanted)}.")
        if headers.hash_of(header) != wanted:
            raise NoAnchor(f"What the node says is block {to_hex(wanted)} has another hash.")
        return _anchor(header, wanted)
    final = [await _asked(node, [("eth_getBlockByNumber", ["finalized", False])], _HEADER) for node in nodes]
    numbers = [from_quantity(header.number) for [header] in final if header is not None]
    if len(numbers) < len(nodes):
        raise NoAnchor("A node has no final block: name one that you trust with --block.")
    number = to_quantity(min(numbers))
    agreed = [await _asked(node, [("eth_getBlockByNumber", [number, False])], _HEADER) for node in nodes]
    hashes = {None if header is None else headers.hash_of(header) for [header] in agreed}
    if len(hashes) > 1:
        raise NoAnchor(f"The nodes do not agree on block {min(numbers)}: name one that you trust with --block.")
    [header] = agreed[0]
    if header is None:
        raise NoAnchor(f"The node does not know block {min(numbers)}, which it calls final.")
    return _anchor(header, headers.hash_of(header))


def _anchor(header: Header, hash_: bytes) -> Anchor:
    return Anchor(from_quantity(header.number), hash_, from_hex(header.state_root), from_quantity(header.timestamp))


async def blocks(
    node: Node, *, first: int, anchor: Anchor, network: Network, record: Record, parent: bytes | None = None
) -> AsyncIterator[Block]:
    """The blocks `first`..`anchor`, in order, with the logs of `network.addresses`, which may grow meanwhile: a block
    in which the factory logs anything comes with all of its logs.

    `parent` is the hash that the first one must name, if that is known. It ends at the first contradiction, or at what
    the node does not serve, either of which is in the record then; unless the last block is the anchor, nothing that
    was handed on is proved.
    """
    if first > anchor.number:
        if parent != anchor.hash:  # which is the block before, if nothing is new
            record.doubted("history", f"the trusted block {anchor.number} is older than the first", block=first)
        return
    walk = _Walk(node, network, record)
    count = 0
    try:
        async with aclosing(walk.blocks(first, anchor.number, parent)) as proved:
            async for block in proved:
                if block.number == anchor.number and block.hash != anchor.hash:
                    raise _Contradiction(f"has the hash {to_hex(block.hash)}, not the trusted one", block.number)
                count += 1
                yield block
    except _Contradiction as wrong:
        record.found("history", f"block {wrong.block} {wrong}", block=wrong.block)
        return
    except (ChainError, _NotServed) as error:
        record.doubted("history", f"what the node does not serve is not proved: {error}", block=first + count)
        return
    record.proved("history", count)


class _Contradiction(Exception):
    """What of the block contradicts what; it goes into the record."""

    def __init__(self, message: str, block: int) -> None:
        super().__init__(message)
        self.block = block


class _NotServed(Exception):
    """The node says that it has not got what the header says that there is."""


@dataclass(slots=True)
class _Told:
    """A block whose header is linked to the one before. `receipts` is None if they were not asked for, `transactions`
    (raw) if the node serves none."""

    number: int
    hash: bytes
    header: Header
    receipts: msgspec.Raw | None = None
    transactions: list[msgspec.Raw] | None = None

    @property
    def is_empty(self) -> bool:
        return from_hex(self.header.receipts_root) == tries.EMPTY


class _Walk:
    def __init__(self, node: Node, network: Network, record: Record) -> None:
        self.node = node
        self.network = network
        self.record = record
        self.raw_method: str | None = BY_PLACE  # None once the node turned out to serve neither

    async def blocks(self, first: int, last: int, parent: bytes | None) -> AsyncGenerator[Block, None]:
        ahead: deque[asyncio.Task[list[_Told]]] = deque()
        groups = self._groups(first, last, parent)
        try:
            more = True
            while more or ahead:
                while more and len(ahead) < AHEAD:
                    group = await anext(groups, None)
                    if group is None:
                        more = False
                    else:
                        ahead.append(asyncio.create_task(self._load(group)))
                if ahead:
                    for told in await ahead.popleft():
                        if told.receipts is None and not told.is_empty and self._concerns(told):
                            await self._load([told])  # a programme is new since the block was passed over
                        yield self._proved(told)
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)
            await groups.aclose()

    async def _groups(self, first: int, last: int, parent: bytes | None) -> AsyncGenerator[list[_Told], None]:
        """Blocks, each linked to the one before, in groups of bounded gas."""
        group: list[_Told] = []
        gas = 0
        following = asyncio.create_task(self._headers(first, last))
        try:
            for start in range(first, last + 1, HEADERS_AT_ONCE):
                stretch = await following
                if start + HEADERS_AT_ONCE <= last:
                    following = asyncio.create_task(self._headers(start + HEADERS_AT_ONCE, last))
                for number, header in enumerate(stretch, start):
                    told = _linked(number, header, parent)
                    parent = told.hash
                    group.append(told)
                    gas += from_quantity(told.header.gas_used)
                    if gas >= GAS_AT_ONCE or len(group) >= HEADERS_AT_ONCE:
                        yield group
                        group, gas = [], 0
            if group:
                yield group
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _headers(self, start: int, last: int) -> list[Header | None]:
        numbers = range(start, min(start + HEADERS_AT_ONCE, last + 1))
        return await _asked(
            self.node, [("eth_getBlockByNumber", [to_quantity(number), False]) for number in numbers], _HEADER
        )

    async def _load(self, group: list[_Told]) -> list[_Told]:
        """Adds receipts and transactions of those that concern us."""
        wanted = [told for told in group if not told.is_empty and self._concerns(told)]
        calls: list[Call] = [("eth_getBlockReceipts", [told.header.hash]) for told in wanted]
        for told, raw in zip(wanted, await self.node.ask(calls) if calls else [], strict=True):
            told.receipts = raw
        await self._load_transactions(wanted)
        return group

    async def _load_transactions(self, wanted: list[_Told]) -> None:
        method = self.raw_method
        if method is None or not wanted:
            return
        calls: list[Call] = [
            (method, [hash_] if method == BY_HASH else [told.header.hash, to_quantity(place)])
            for told in wanted
            for place, hash_ in enumerate(told.header.transactions)
        ]
        try:
            answers = iter(await self.node.ask(calls))
        except UnknownMethod:
            if method == self.raw_method:  # and no other request has found it out meanwhile
                self.raw_method = BY_HASH if method == BY_PLACE else None
                if self.raw_method is None:
                    self.record.doubted("history", "the node serves no raw transactions: their hashes are its word")
            await self._load_transactions(wanted)
            return
        for told in wanted:
            told.transactions = [next(answers) for _ in told.header.transactions]

    def _concerns(self, told: _Told) -> bool:
        """Whether one of our contracts may have logged something in the block, or settlement tokens moved from or to
        the exchange: by the Bloom filter of the header, which never says no if it is so."""
        bloom = from_quantity(told.header.logs_bloom)
        network = self.network
        ours = (network.factory, network.exchange, *network.programmes)
        return any(bloom & bits == bits for bits in map(_bits, ours)) or all(
            bloom & bits == bits for bits in (_bits(network.settlement), _bits(bytes(12) + network.exchange))
        )

    def _proved(self, told: _Told) -> Block:
        header = told.header
        transactions = [] if told.receipts is None else self._transactions(told)
        return Block(
            told.number,
            told.hash,
            from_hex(header.parent_hash),
            from_quantity(header.timestamp),
            from_hex(header.state_root),
            transactions,
        )

    def _transactions(self, told: _Told) -> list[Transaction]:
        receipts = None if told.receipts is None else _decoded(_RECEIPTS, told.receipts)
        if receipts is None:
            raise _NotServed(f"the receipts of block {told.number}")
        if tries.root([_encoded(receipt) for receipt in receipts]) != from_hex(told.header.receipts_root):
            raise _Contradiction("has other receipts than its header says", told.number)
        hashes = _hashes(told)
        if len(hashes) != len(receipts):
            raise _Contradiction(f"has {len(receipts)} receipts of {len(hashes)} transactions", told.number)
        return self._with_logs(receipts, hashes)

    def _with_logs(self, receipts: list[_Receipt], hashes: list[bytes]) -> list[Transaction]:
        """What was hashed, in bytes, and of the logs those that concern us."""
        texts = {log.address for receipt in receipts for log in receipt.logs}
        loggers = {text: bytes.fromhex(text[2:]) for text in texts}
        if self.network.factory not in loggers.values():  # else a programme may be new in this very block
            known = self.network.addresses
            loggers = {text: address for text, address in loggers.items() if address in known}
        transactions: list[Transaction] = []
        count = 0
        for place, (receipt, hash_) in enumerate(zip(receipts, hashes, strict=True)):
            logs = [
                Log(index, address, [bytes.fromhex(topic[2:]) for topic in log.topics], bytes.fromhex(log.data[2:]))
                for index, log in enumerate(receipt.logs, count)
                if (address := loggers.get(log.address)) is not None
            ]
            count += len(receipt.logs)
            transactions.append(Transaction(place, hash_, logs))
        return transactions


def _linked(number: int, header: Header | None, parent: bytes | None) -> _Told:
    """The block, if its header hashes to what the node says and names the one before."""
    if header is None:
        raise _NotServed(f"block {number}")
    hash_ = headers.hash_of(header)
    if hash_ != from_hex(header.hash):
        raise _Contradiction(f"has a header that does not hash to {header.hash}", number)
    if from_quantity(header.number) != number:
        raise _Contradiction(f"was asked for, and the node shows block {from_quantity(header.number)}", number)
    if parent is not None and from_hex(header.parent_hash) != parent:
        raise _Contradiction(f"does not follow the one before, whose hash is {to_hex(parent)}", number)
    return _Told(number, hash_, header)


def _hashes(told: _Told) -> list[bytes]:
    """Of the block's transactions, by their own bytes; by the node's word if it does not serve them."""
    said = [from_hex(each) for each in told.header.transactions]
    if told.transactions is None:
        return said
    raws = [from_hex(raw) for answer in told.transactions if (raw := _decoded(_RAW, answer)) is not None]
    if tries.root(raws) != from_hex(told.header.transactions_root):
        if len(raws) < len(said):
            raise _NotServed(f"a transaction of block {told.number}")
        raise _Contradiction("has other transactions than its header says", told.number)
    hashes = [keccak(raw) for raw in raws]
    if hashes != said:
        raise _Contradiction("is said to have other transactions than it has", told.number)
    return hashes


async def _asked(node: Node, calls: Sequence[Call], decoder: msgspec.json.Decoder[T]) -> list[T]:
    return [_decoded(decoder, answer) for answer in await node.ask(calls)]


def _decoded(decoder: msgspec.json.Decoder[T], answer: msgspec.Raw) -> T:
    try:
        return decoder.decode(answer)
    except msgspec.DecodeError as error:
        raise Malformed(str(error)) from error


@lru_cache(maxsize=10_000)
def _bits(value: bytes) -> int:
    """What a Bloom filter has if something logged this address or topic."""
    hashed, bits = keccak(value), 0
    for start in (0, 2, 4):
        bits |= 1 << (int.from_bytes(hashed[start : start + 2], "big") & 2_047)
    return bits


# --- receipts as they are hashed


def _encoded(receipt: _Receipt) -> bytes:
    """The receipt in the trie: its type, unless it is none, and RLP, put together from the node's hexadecimal digits.

    The decoder has seen to it that what has a fixed length has it, and `_bytes` that all of it are digits: so the
    fields are, each for itself, what was hashed.
    """
    logs = "".join([_log(log) for log in receipt.logs])
    status, gas = _quantity(receipt.status), _quantity(receipt.cumulative_gas_used)
    body = f"{status}{gas}b90100{receipt.logs_bloom[2:]}{_list(len(logs))}{logs}"
    kind = from_quantity(receipt.type)
    return _bytes(f"{kind:02x}{_list(len(body))}{body}" if kind else _list(len(body)) + body)


def _log(log: _Log) -> str:
    topics, data = log.topics, log.data
    if len(topics) == 3 and len(data) == 66:
        one, two, three = topics
        return f"f89b94{log.address[2:]}f863a0{one[2:]}a0{two[2:]}a0{three[2:]}a0{data[2:]}"
    if len(data) % 2:
        raise Malformed(f"not hex data: {data[:20]!r}")
    digits = data[2:]
    bare = len(digits) == 2 and digits < "80"
    rest = "".join([f"a0{topic[2:]}" for topic in topics])
    body = f"94{log.address[2:]}{_list(len(rest))}{rest}{'' if bare else _head(0x80, len(digits))}{digits}"
    return _list(len(body)) + body


def _quantity(text: str) -> str:
    return tries.string(headers.minimal(text)).hex()


def _list(digits: int) -> str:
    return _head(0xC0, digits)


@lru_cache(maxsize=10_000)
def _head(kind: int, digits: int) -> str:
    return tries.head(kind, digits // 2).hex()


def _bytes(digits: str) -> bytes:
    try:
        made = bytes.fromhex(digits)
    except ValueError:
        raise Malformed("a receipt with what is no hex data") from None
    if 2 * len(made) != len(digits):  # white space, which `fromhex` passes over
        raise Malformed("a receipt with what is no hex data")
    return made
