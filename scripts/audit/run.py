"""One audit as a command runs it: nodes opened, progress shown, time taken, the report signed, written and shown."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console

from scripts.audit import bundle, display, report
from scripts.audit.audit import Audit
from scripts.audit.endpoint import Endpoint
from scripts.audit.evidence import Node
from scripts.audit.options import Options, Progress
from scripts.audit.record import Record

Timings = dict[str, int]
"""Milliseconds."""


async def audit(options: Options, nodes: Sequence[Node], progress: Progress) -> Record:
    """Raises `ChainError` and `NoAnchor` when there is no block to begin with."""
    whole = Audit(options, nodes, progress)
    await whole.advance()
    return whole.record


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
