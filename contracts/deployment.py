"""Where the network's contracts are on a chain: the file that deployment writes and every process reads."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from eth_utils.address import to_checksum_address


class Deployment(msgspec.Struct, frozen=True):
    """Where the contracts are. `first_block` is the block of the exchange: nothing of ours is in an earlier one."""

    chain_id: int
    first_block: int
    settlement: bytes
    exchange: bytes
    factory: bytes
    bundle: bytes


def load(path: Path) -> Deployment:
    """Reads a saved deployment; `FileNotFoundError` if there is none."""
    saved = msgspec.json.decode(path.read_bytes(), type=dict[str, int | str])
    fields = {name: bytes.fromhex(value[2:]) if isinstance(value, str) else value for name, value in saved.items()}
    return msgspec.convert(fields, Deployment)


def save(deployment: Deployment, path: Path) -> None:
    """Replaces the file in one step, so that a reader never sees half of it."""
    fields = {
        name: to_checksum_address(value) if isinstance(value, bytes) else value
        for name, value in msgspec.structs.asdict(deployment).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(fields)) + b"\n")
    unfinished.replace(path)
