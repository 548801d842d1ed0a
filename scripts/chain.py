"""The local chain: how anvil is started, and how what it knows survives it.

anvil's own `--state` rewrites its file in place, so a kill during a dump loses the chain. Here a dump is asked over
RPC, unpacked into a new file, synced and renamed: the last good one is always there. A dump is due well inside
the finality depth (64 blocks), so what a killed anvil forgets is a reorg to the rest of the system and never a
contradiction.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from pathlib import Path

import structlog

from contracts.errors import ChainError
from contracts.rpc import Rpc, from_quantity
from scripts.environment import LOCAL_CHAIN_ID
from scripts.node import tool

log = structlog.get_logger(__name__)

BLOCK_SECONDS = 1
SLOTS_IN_AN_EPOCH = 32  # `finalized` is two epochs behind the head
DUMP_AFTER_BLOCKS = 30  # once a block is empty: a dump of 400,000 transfers stops the node for some 5 s
DUMP_BEFORE_BLOCKS = 48  # however busy it is
STATES = 80  # of the last blocks: an auditor proves storage at the final one
GAS_LIMIT = 1_000_000_000


def command(*, port: int, state: Path, states: int = STATES) -> list[str]:
    """anvil with interval mining, from the last dump if there is one, which holds the newest state only."""
    arguments = [
        str(tool("anvil")), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(LOCAL_CHAIN_ID),
        "--block-time", str(BLOCK_SECONDS), "--slots-in-an-epoch", str(SLOTS_IN_AN_EPOCH),
        "--gas-limit", str(GAS_LIMIT), "--prune-history", *([str(states)] if states else []),
        "--order", "fifo", "--no-request-size-limit", "--quiet",
    ]  # fmt: skip
    return [*arguments, "--load-state", str(state)] if state.exists() else arguments


async def dump(rpc: Rpc, state: Path) -> int:
    """Saves the whole chain to `state`; returns the file's size in bytes."""
    packed: str = await rpc.call("anvil_dumpState")
    return await asyncio.to_thread(_write, bytes.fromhex(packed[2:]), state)


def _write(packed: bytes, state: Path) -> int:
    temporary = state.with_suffix(".new")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    with temporary.open("wb") as file:
        view = memoryview(packed)
        for start in range(0, len(view), 1 << 20):
            file.write(unpacker.decompress(view[start : start + (1 << 20)]))
        file.write(unpacker.flush())
        if not unpacker.eof:
            raise ValueError("the node's dump is cut short")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(state)
    return state.stat().st_size


def is_due(blocks: int, *, busy: bool) -> bool:
    """Whether to dump, `blocks` after the last dump. Pure."""
    return blocks >= (DUMP_BEFORE_BLOCKS if busy else DUMP_AFTER_BLOCKS)


async def keep(rpc: Rpc, state: Path) -> None:
    """Dumps, whenever it is due, for ever. A node that is down is waited for."""
    dumped = -1
    while True:
        await asyncio.sleep(1)
        try:
            newest = await rpc.call("eth_getBlockByNumber", "latest", False)
            head = from_quantity(newest["number"])
            # A head below the last dump is a node that restarted from an older one.
            if dumped < 0 or head < dumped:
                dumped = head
            if is_due(head - dumped, busy=bool(newest["transactions"])):
                begun = time.monotonic()
                size = await dump(rpc, state)
                dumped = head
                log.info("chain.dumped", block=head, bytes=size, seconds=round(time.monotonic() - begun, 3))
        except (ChainError, ValueError, OSError) as error:
            log.warning("chain.not_dumped", error=str(error))
