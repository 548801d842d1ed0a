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
from typing import TypeVar

import msgspec
from eth_hash.backends.pysha3 import keccak256

from contracts.bindings import PROGRAMME_CREATED_TOPIC
from contracts.errors import NodeError
from contracts.rpc import Call, Rpc, to_hex, to_quantity
from indexer.blocks import Block, Log, Stretch, stretch
from indexer.errors import Inconsistent
from indexer.project import Known

T = TypeVar("T")


class _Header(msgspec.Struct, rename="camel", gc=False):
    number: str
    hash: str
    parent_hash: str
    timestamp: str
    logs_bloom: str | None = None


class _Log(msgspec.Struct, rename="camel", gc=False):
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
_LOGS: msgspec.json.Decoder[list[_Log]] = msgspec.json.Decoder(list[_Log])


async def heads(rpc: Rpc) -> tuple[Block, Block | None]:
    """The newest block and the newest final one (None if the node knows no finality)."""
    latest, final = await rpc.batch_raw([_header_call("latest"), _header_call("finalized")])
    newest = _header(latest)
    if newest is None:
        raise Inconsistent("the node has no latest block")
    return newest, None if isinstance(final, NodeError) else _header(final)


async def headers(rpc: Rpc, numbers: Iterable[int]) -> dict[int, Block]:
    """The blocks at these heights, as far as the node has them."""
    answers = await rpc.batch_raw([_header_call(to_quantity(number)) for number in numbers])
    found = [_header(answer) for answer in answers]
    return {block.number: block for block in found if block is not None}


async def fetch(rpc: Rpc, *, first: int, last: int, known: Known) -> Stretch:
    """Blocks `first` to `last` and all logs of our contracts in them, of programmes created among them too."""
    while True:
        found = await _fetch(rpc, first, last, known)
        after = with_created(known, found)
        if after == known:
            return found
        known = after


def with_created(known: Known, found: Stretch) -> Known:
    """`known` and the programmes that were created in this stretch."""
    created = {
        log.topics[1][12:]
        for log in found.logs
        if log.address == known.factory and log.topics[:1] == [PROGRAMME_CREATED_TOPIC] and len(log.topics) > 1
    }
    return replace(known, programmes=known.programmes | created)


async def _fetch(rpc: Rpc, first: int, last: int, known: Known) -> Stretch:
    addresses = [known.factory, known.exchange, *sorted(known.programmes)]
    wanted = {
        "fromBlock": to_quantity(first),
        "toBlock": to_quantity(last),
        "address": [to_hex(address) for address in addresses],
    }
    calls: list[Call] = [_header_call(to_quantity(number)) for number in range(first, last + 1)]
    *answers, logs = await rpc.batch_raw([*calls, ("eth_getLogs", [wanted])])
    blocks = [block for answer in answers if (block := _header(answer)) is not None]
    if [block.number for block in blocks] != list(range(first, last + 1)):
        raise Inconsistent(f"the node has not all blocks from {first} to {last}")
    found = stretch(blocks, _logs(logs))
    await _require_none_left_out(rpc, found, answers, addresses)
    return found


async def _require_none_left_out(
    rpc: Rpc, found: Stretch, headers: Sequence[msgspec.Raw | NodeError], addresses: list[bytes]
) -> None:
    """Asks again for the blocks that could have logs of ours and came without. Raises `Inconsistent`, `NodeError`."""
    with_logs = {log.block for log in found.logs}
    doubtful = [
        block
        for block, header in zip(found.blocks, headers, strict=True)
        if block.number not in with_logs and _admits(_parsed(_HEADER, header), addresses)
    ]
    wanted = [to_hex(address) for address in addresses]
    answers = await rpc.batch_raw(
        [("eth_getLogs", [{"blockHash": to_hex(block.hash), "address": wanted}]) for block in doubtful]
    )
    for block, answer in zip(doubtful, answers, strict=True):
        if _logs(answer):
            raise Inconsistent(f"the node left out the logs of block {block.number}")


def _admits(header: _Header | None, addresses: list[bytes]) -> bool:
    """Whether the block may have logs of these addresses, as far as its bloom filter tells."""
    if header is None or not header.logs_bloom:
        return False
    with _sound():
        bloom = int(header.logs_bloom, 16)
    return bloom != 0 and any(bloom & bits == bits for bits in map(_bits, addresses))


@cache
def _bits(address: bytes) -> int:
    """Three of 2048 bits (Yellow Paper, 4.4.1)."""
    hashed = keccak256(address)
    places = (int.from_bytes(hashed[start : start + 2]) % 2048 for start in (0, 2, 4))
    return sum({1 << place for place in places})


def _header_call(number: str) -> Call:
    return ("eth_getBlockByNumber", (number, False))


def _header(answer: msgspec.Raw | NodeError) -> Block | None:
    raw = _parsed(_HEADER, answer)
    if raw is None:
        return None
    with _sound():
        return Block(int(raw.number, 16), _bytes(raw.hash), _bytes(raw.parent_hash), int(raw.timestamp, 16))


def _logs(answer: msgspec.Raw | NodeError) -> Sequence[Log]:
    raw = _parsed(_LOGS, answer)
    if any(log.removed for log in raw):
        raise Inconsistent("the node sent logs that a reorganisation removed")
    with _sound():
        return [
            Log(
                int(log.block_number, 16),
                _bytes(log.block_hash),
                int(log.transaction_index, 16),
                _bytes(log.transaction_hash),
                int(log.log_index, 16),
                _bytes(log.address),
                [_bytes(topic) for topic in log.topics],
                _bytes(log.data),
            )
            for log in raw
        ]


@contextmanager
def _sound() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Inconsistent(f"the node's answer is not hex where it should be: {error}") from error


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _parsed(decoder: msgspec.json.Decoder[T], answer: msgspec.Raw | NodeError) -> T:
    if isinstance(answer, NodeError):
        raise answer
    try:
        return decoder.decode(answer)
    except msgspec.ValidationError as error:
        raise Inconsistent(f"the node's answer is of another shape: {error}") from error
