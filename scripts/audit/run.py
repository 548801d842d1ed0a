"""One audit as a command runs it: nodes opened, progress shown, time taken, the report signed, written and shown."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from rich.console import Console

from contracts.headers import Header
from contracts.rpc import from_hex
from scripts.audit import bundle, display, report
from scripts.audit.audit import Audit
from scripts.audit.endpoint import Endpoint
from scripts.audit.evidence import Node
from scripts.audit.options import Options, Progress
from scripts.audit.record import Fact, Record

Timings = dict[str, int]
"""Milliseconds."""


async def audit(options: Options, nodes: Sequence[Node], progress: Progress) -> Record:
    """Raises `ChainError` and `NoAnchor` when there is no block to begin with."""
    whole = Audit(options, nodes, progress)
    await whole.advance()
    left_out = whole.record.tallies["state"].skipped
    whole.record.inputs["sample"] = _sample(options, left_out) if left_out else None
    folder = options.receipts
    whole.record.inputs["receipts"] = None if folder is None else report.digest(folder, folder.rglob("*"))
    whole.record.inputs["database"] = None if options.database is None else "compared"
    return whole.record


def _sample(options: Options, left_out: int) -> dict[str, Fact]:
    """If a share s of the words is wrong, n drawn ones are all right with a chance of at most (1 - s)^n < e^(-s n)."""
    count = options.sample or 0
    many = left_out + count
    wrong = many if count == 0 else min(many, -(-many * 460_518 // (count * 100_000)))  # ln 100 = 4.60517...
    confidence = f"99 % sure that fewer than {wrong} of {many} words are wrong, if none of those drawn is"
    return {"count": count, "of": many, "seed": options.seed, "confidence": confidence}


async def newest(urls: Sequence[str]) -> bytes:
    """The hash of the newest block, by the first node's word: for who wants to look, not to trust."""
    async with Endpoint(urls[0]) as node:
        [raw] = await node.ask([("eth_getBlockByNumber", ["latest", False])])
    return from_hex(msgspec.json.decode(raw, type=Header).hash)


@asynccontextmanager
async def opened(urls: Sequence[str]) -> AsyncIterator[list[Endpoint]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Endpoint(url)) for url in urls]


async def live(options: Options, urls: Sequence[str]) -> tuple[Record, Timings]:
    async with opened(urls) as nodes:
        return await _timed(options, nodes)


async def packed(options: Options, urls: Sequence[str], path: Path) -> tuple[Record, Timings]:
    """Leaves a bundle at `path`."""
    async with opened(urls) as nodes:
        with bundle.recording(path, options, nodes) as recorded:
            return await _timed(options, recorded)


async def unpacked(path: Path, trusted: bytes | None) -> tuple[Record, Timings]:
    """Audits a bundle. A bundle names its own block, which proves nothing to who does not know the hash from elsewhere:
    if `trusted` is another one, that is a doubt."""
    with bundle.opened(path) as (options, nodes):
        record, timings = await _timed(options, nodes)
    anchor = record.inputs.get("anchor")
    found = anchor.get("hash") if isinstance(anchor, dict) else None
    if trusted is not None and found != f"0x{trusted.hex()}":
        record.doubted("history", f"the bundle is about block {found}, not about 0x{trusted.hex()}, which is trusted")
    return record, timings


async def _timed(options: Options, nodes: Sequence[Node]) -> tuple[Record, Timings]:
    begun, used = time.monotonic(), time.process_time()
    with display.progress(Console(stderr=True)) as progress:
        record = await audit(options, nodes, progress)
    return record, {
        "elapsed": round((time.monotonic() - begun) * 1_000),
        "processor": round((time.process_time() - used) * 1_000),
    }


def finish(record: Record, timings: Timings, *, output: Path, key: Path, console: Console) -> int:
    """Signs, writes and shows the report; its exit code."""
    made = report.of(record)
    signed = report.sign(made, report.load_key(key), timings)
    report.write(signed, output)
    display.show(made, console, output)
    console.print(f"Report in {output}, signed by {signed.signature.signer}.", highlight=False, soft_wrap=True)
    return made.exit_code
