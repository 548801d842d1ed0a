"""A node's answer to the text that PostgreSQL copies in: as `project` would have it, at a tenth of its cost.

Nearly every log is one of a batch: transfers from nobody and the `Minted` that claims them. Such a run is recognised
in the JSON and written as COPY's text at once, hex to hex, without a row or an object between. Everything else goes
through `project`, which alone knows what events mean. Invariant: the lines are those of `project`'s rows, in another
order within a table at most; whatever is not plainly a sound run is left to it, so that it refuses what it would have
refused. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from contracts import bindings
from indexer import project, source
from indexer.blocks import Block, require_linked, stretch
from indexer.errors import Inconsistent
from indexer.project import Known, Row, Rows
from indexer.source import Answer, RawLog

Lines = dict[str, str]
"""By table of `indexer.tables`: COPY's text, a line a row, in the order of the table's columns."""

_TRANSFER = f"0x{bindings.TRANSFER_TOPIC.hex()}"
_MINTED = f"0x{bindings.MINTED_TOPIC.hex()}"
_NOBODY = "0x" + "00" * 32
_EARNED = "\tearned\t\\N\t\\N\n"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Packed(msgspec.Struct, frozen=True):
    """Consecutive blocks with the lines of all our logs in them, and what is known after them."""

    blocks: list[Block]
    lines: Lines
    logs: int
    known: Known
    silent: list[Block]  # those that may have logs of ours, and came without

    @property
    def first(self) -> Block:
        return self.blocks[0]

    @property
    def last(self) -> Block:
        return self.blocks[-1]


class CreatedError(Exception):
    """These blocks created programmes whose logs were not asked for. Its argument is all programmes there are then."""


def pack(answer: Answer, known: Known) -> Packed:
    """`known` is what all blocks before made known. Raises `Inconsistent`, `Unprojectable` and `CreatedError`."""
    blocks = answer.blocks
    require_linked(blocks)
    logs = source.raw_logs(answer.logs)
    require_asked(answer, logs, known)
    work = _Work(known, {block.number: f"0x{block.hash.hex()}" for block in blocks})
    try:
        rest = _runs(work, logs)
    except _OutOfOrderError:
        found = stretch(blocks, source.logs(logs))  # which says what is wrong, or puts them in order
        rows, known = project.project(found.logs, known)
        silent = answer.admitting - {log.block for log in found.logs}
        return Packed(blocks, lines(rows), len(logs), known, [block for block in blocks if block.number in silent])
    rows, known = project.project(source.logs(rest), known)
    rows.transaction.clear()
    made = lines(rows)
    for name, parts in (("transaction", work.transactions), ("entry", work.entries), ("batch", work.batches)):
        if parts:
            made[name] = "".join(parts) + made.get(name, "")
    silent = answer.admitting - work.spoke
    return Packed(blocks, made, len(logs), known, [block for block in blocks if block.number in silent])


def require_asked(answer: Answer, logs: Sequence[RawLog], known: Known) -> None:
    """Raises `CreatedError` if the logs tell of programmes that were not asked for."""
    factory = f"0x{known.factory.hex()}"
    created = source.created(source.logs([log for log in logs if log.address == factory]))
    if not created <= answer.programmes:
        raise CreatedError(answer.programmes | created)


class _OutOfOrderError(Exception):
    """The logs do not follow each other as they should, or not in these blocks."""


class _Work:
    __slots__ = ("batches", "entries", "hashes", "programmes", "spoke", "transactions")

    def __init__(self, known: Known, hashes: Mapping[int, str]) -> None:
        self.hashes = hashes
        self.programmes = {f"0x{address.hex()}" for address in known.programmes}
        self.spoke: set[int] = set()
        self.transactions: list[str] = []
        self.entries: list[str] = []
        self.batches: list[str] = []


def _runs(work: _Work, logs: Sequence[RawLog]) -> list[RawLog]:
    """Writes the lines of all transactions and of every sound run; returns the logs of none."""
    rest: list[RawLog] = []
    number, place, before, at = -1, -1, -1, 0  # block, transaction in it, last log's index; position in `logs`
    while at < len(logs):
        first = logs[at]
        block, index, transaction = _int(first.block_number), _int(first.log_index), _int(first.transaction_index)
        if (block, transaction) != (number, place):
            # Of another transaction than the log before.
            if block < number or (block == number and transaction < place) or first.removed:
                raise _OutOfOrderError
            if work.hashes.get(block) != first.block_hash:
                raise _OutOfOrderError
            before = before if block == number else -1
            number, place = block, transaction
            work.spoke.add(block)
            work.transactions.append(f"{block}\t{transaction}\t\\\\x{_word(first.transaction_hash)}\n")
        if index <= before:
            raise _OutOfOrderError
        end = _run(work, logs, at, block, transaction)
        if end > at:
            before, at = _int(logs[end - 1].log_index), end
            continue
        if first.block_hash != work.hashes[block] or first.removed:
            raise _OutOfOrderError
        rest.append(first)
        before, at = index, at + 1
    return rest


def _run(work: _Work, logs: Sequence[RawLog], start: int, block: int, transaction: int) -> int:
    """Writes the run of a batch that begins at `start`, and returns where it ends; `start` if there is no sound one."""
    first = logs[start]
    token, hash_, number, place = first.address, first.block_hash, first.block_number, first.transaction_index
    whose = first.transaction_hash
    if token not in work.programmes or first.topics[:2] != [_TRANSFER, _NOBODY]:
        return start
    head, middle = f"{block}\t", f"\t1\t{transaction}\t\\\\x{token[2:]}\t\\\\x"
    made: list[str] = []
    words: list[str] = []
    total, before, at = 0, -1, start
    try:
        while True:
            log = logs[at]
            index, topics, data = int(log.log_index, 16), log.topics, log.data
            if (
                log.address != token
                or log.block_hash != hash_
                or log.block_number != number
                or log.transaction_index != place
                or log.transaction_hash != whose
                or log.removed
                or index <= before
            ):
                return start
            before = index
            if topics[0] != _TRANSFER:
                break
            _, nobody, holder = topics
            if nobody != _NOBODY or len(data) != 66 or len(holder) != 66:
                return start
            amount = int(data, 16)
            total += amount
            words.append(holder[2:])
            words.append(data[2:])
            made.append(f"{head}{index}{middle}{holder[26:]}\t{amount}{_EARNED}")
            at += 1
        if topics[0] != _MINTED:
            return start
        (event,) = source.logs([log])
        minted = bindings.Minted.from_log(event.topics, event.data)
        # What is no hex is refused where it can be named; blanks within it would have made it shorter.
        if minted.count != at - start or minted.total != total or len(bytes.fromhex("".join(words))) != 64 * len(made):
            return start
    except (IndexError, ValueError, Inconsistent):
        return start
    work.entries += made
    terms = (minted.receipts_root, minted.entries_hash, minted.total, minted.count)
    work.batches.append(line((event.address, minted.batch, block, event.index, transaction, *terms)))
    return at + 1


def lines(rows: Rows) -> Lines:
    """COPY's text of these rows."""
    return {name: "".join(map(line, found)) for name in Rows.__slots__ if (found := getattr(rows, name))}


def line(row: Row) -> str:
    """One row as COPY's text format has it."""
    return "\t".join(map(_value, row)) + "\n"


def _value(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


def _word(text: str) -> str:
    """The hex of a word of 32 bytes."""
    with source.sound():
        word = source.raw(text).hex()
    if len(word) != 64:
        raise Inconsistent(f"{text[:80]!r} is not a word of 32 bytes")
    return word


def _int(text: str) -> int:
    with source.sound():
        return int(text, 16)
