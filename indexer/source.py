"""The chain as stretches of blocks with the logs of our contracts.

Headers and logs of a stretch come from one HTTP batch, the logs last: what a node answers is then either of one state,
or its logs are of a later one, which the next look at the tip's hash reveals. Every log is checked against its header.
Where a node that lags answers for one that does not, it says of blocks that it has not that they have no logs: a block
without logs whose bloom filter admits some of ours is asked for again by its hash, which such a node does not know.
Programmes are found by the factory's `ProgrammeCreated`; a stretch that creates one is asked for again with the new
address, so that a token's logs are never missed, not even those of the block that created it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Protocol, TypeVar

import msgspec
from eth_hash.backends.pysha3 import keccak256

from contracts.bindings import PROGRAMME_CREATED_TOPIC
from contracts.errors import NodeError
from contracts.rpc import Call, to_hex, to_quantity
from indexer.blocks import Block, Log, Stretch, stretch
from indexer.errors import Inconsistent
from indexer.project import Known

T = TypeVar("T")


class Node(Protocol):
    """Who is asked: one node (`contracts.rpc.Rpc`), or several as one (`indexer.endpoints.Endpoints`)."""

    async def batch_raw(self, calls: Sequence[Call]) -> list[msgspec.Raw | NodeError]: ...


class _Header(msgspec.Struct, rename="camel", gc=False):
    number: str
    hash: str
    parent_hash: str
    timestamp: str
    logs_bloom: str | None = None


class RawLog(msgspec.Struct, rename="camel", gc=False):
    """A log as the node wrote it."""

    block_number: str
    block_hash: str
    transaction_index: str
    transaction_hash: str
    log_index: str
    address: str
    topics: list[str]
    data: str
    removed: bool = False


_HEADER: msgspec.json.Decoder[_Header | None] = msgspec.json.Decoder(_Header | None)
_LOGS: msgspec.json.Decoder[list[RawLog]] = msgspec.json.Decoder(list[RawLog])


async def heads(rpc: Node) -> tuple[Block, Block | None]:
    """The newest block and the newest final one (None if the node knows no finality)."""
    latest, final = await rpc.batch_raw([_header_call("latest"), _header_call("finalized")])
    newest = _header(latest)
    if newest is None:
        raise Inconsistent("the node has no latest block")
    return newest, None if isinstance(final, NodeError) else _header(final)


async def headers(rpc: Node, numbers: Iterable[int]) -> dict[int, Block]:
    """The blocks at these heights, as far as the node has them."""
    answers = await rpc.batch_raw([_header_call(to_quantity(number)) for number in numbers])
    found = [_header(answer) for answer in answers]
    return {block.number: block for block in found if block is not None}


class Answer(msgspec.Struct, frozen=True):
    """Consecutive headers, and the JSON of the logs of our contracts and these programmes that the node found there."""

    blocks: list[Block]
    logs: bytes
    programmes: frozenset[bytes]
    admitting: frozenset[int]  # the blocks that may have logs of these, by their bloom filters


async def fetch(rpc: Node, *, first: int, last: int, known: Known) -> Stretch:
    """Blocks `first` to `last` and all logs of our contracts in them, of programmes created among them too."""
    while True:
        answer = await ask(rpc, first=first, last=last, known=known)
        found = stretch(answer.blocks, logs(raw_logs(answer.logs)))
        silent = answer.admitting - {log.block for log in found.logs}
        await require_none_left_out(rpc, [block for block in found.blocks if block.number in silent], known)
        after = with_created(known, found)
        if after == known:
            return found
        known = after


def with_created(known: Known, found: Stretch) -> Known:
    """`known` and the programmes that were created in this stretch."""
    new = created(log for log in found.logs if log.address == known.factory)
    return replace(known, programmes=known.programmes | new)


def created(logs: Iterable[Log]) -> frozenset[bytes]:
    """The programmes that these logs of the factory tell of."""
    return frozenset(
        log.topics[1][12:] for log in logs if log.topics[:1] == [PROGRAMME_CREATED_TOPIC] and len(log.topics) > 1
    )


async def ask(rpc: Node, *, first: int, last: int, known: Known) -> Answer:
    """Blocks `first` to `last` and the logs in them of the contracts that are known. Raises `Inconsistent`."""
    addresses = _addresses(known)
    wanted = {
        "fromBlock": to_quantity(first),
        "toBlock": to_quantity(last),
        "address": [to_hex(address) for address in addresses],
    }
    calls: list[Call] = [_header_call(to_quantity(number)) for number in range(first, last + 1)]
    *answers, found = await rpc.batch_raw([*calls, ("eth_getLogs", [wanted])])
    blocks = [block for answer in answers if (block := _header(answer)) is not None]
    if [block.number for block in blocks] != list(range(first, last + 1)):
        raise Inconsistent(f"the node has not all blocks from {first} to {last}")
    if isinstance(found, NodeError):
        raise found
    bits = [_bits(address) for address in addresses]
    admitting = frozenset(
        block.number for block, header in zip(blocks, answers, strict=True) if _admits(_parsed(_HEADER, header), bits)
    )
    return Answer(blocks, bytes(found), known.programmes, admitting)


async def require_none_left_out(rpc: Node, blocks: Iterable[Block], known: Known) -> None:
    """Asks again for blocks that could have logs of ours and came without. Raises `Inconsistent`, `NodeError`."""
    doubtful = list(blocks)
    wanted = [to_hex(address) for address in _addresses(known)]
    answers = await rpc.batch_raw(
        [("eth_getLogs", [{"blockHash": to_hex(block.hash), "address": wanted}]) for block in doubtful]
    )
    for block, answer in zip(doubtful, answers, strict=True):
        if raw_logs(answer):
            raise Inconsistent(f"the node left out the logs of block {block.number}")


def _addresses(known: Known) -> list[bytes]:
    return [known.factory, known.exchange, *sorted(known.programmes)]


def _admits(header: _Header | None, bits: Sequence[int]) -> bool:
    """Whether the block may have logs of addresses with these bits, as far as its bloom filter tells."""
    if header is None or not header.logs_bloom:
        return False
    with sound():
        bloom = int(header.logs_bloom, 16)
    return bloom != 0 and any(bloom & each == each for each in bits)


@cache
def _bits(address: bytes) -> int:
    """Three of 2048 bits (Yellow Paper, 4.4.1)."""
    hashed = keccak256(address)
    places = (int.from_bytes(hashed[start : start + 2]) % 2048 for start in (0, 2, 4))
    return sum({1 << place for place in places})


def _header_call(number: str) -> Call:
    return ("eth_getBlockByNumber", (number, False))


def _header(answer: msgspec.Raw | NodeError) -> Block | None:
    found = _parsed(_HEADER, answer)
    if found is None:
        return None
    with sound():
        return Block(int(found.number, 16), raw(found.hash), raw(found.parent_hash), int(found.timestamp, 16))


def raw_logs(answer: bytes | msgspec.Raw | NodeError) -> list[RawLog]:
    """The result of `eth_getLogs`, in the node's own words. Raises `Inconsistent`, and the node's error."""
    return _parsed(_LOGS, answer)


def logs(found: Sequence[RawLog]) -> list[Log]:
    """Raises `Inconsistent`."""
    if any(log.removed for log in found):
        raise Inconsistent("the node sent logs that a reorganisation removed")
    with sound():
        read = [
            Log(
                int(log.block_number, 16),
                raw(log.block_hash),
                int(log.transaction_index, 16),
                raw(log.transaction_hash),
                int(log.log_index, 16),
                raw(log.address),
                [raw(topic) for topic in log.topics],
                raw(log.data),
            )
            for log in found
        ]
    for log in read:
        if (len(log.address), *map(len, (log.transaction, *log.topics))) != (20, *[32] * (1 + len(log.topics))):
            raise Inconsistent(f"log {log.index} of block {log.block} has words of other lengths than the EVM's")
    return read


@contextmanager
def sound() -> Iterator[None]:
    """What is no hex where it should be is an `Inconsistent` answer."""
    try:
        yield
    except ValueError as error:
        raise Inconsistent(f"the node's answer is not hex where it should be: {error}") from error


def raw(text: str) -> bytes:
    """The bytes that a node writes as 0x and hex. Raises `ValueError`."""
    return bytes.fromhex(text[2:])


def _parsed(decoder: msgspec.json.Decoder[T], answer: bytes | msgspec.Raw | NodeError) -> T:
    if isinstance(answer, NodeError):
        raise answer
    try:
        return decoder.decode(answer)
    except msgspec.ValidationError as error:
        raise Inconsistent(f"the node's answer is of another shape: {error}") from error
