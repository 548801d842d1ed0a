"""A long chain for the indexer's benchmark: a million purchases in signed batches of 200, kept as a file.

`python -m scripts.bench.longchain FOLDER` deploys the contracts on a node of its own, creates five programmes, mints
in blocks of five batches to 20,000 holders, some of whom buy far more often than others, and saves `state.json` (for
`anvil --load-state`) and `deployment.json` in FOLDER. Everything but the timestamps follows from the seed.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eth_hash.backends.pysha3 import keccak256

from contracts import bindings, deploy, eip712, receipts, signatures
from contracts.bindings import Limits, Roles, Terms
from contracts.deployment import Deployment
from contracts.errors import ChainError
from contracts.rpc import Rpc, to_hex, to_quantity
from scripts.bench.network import free_port
from scripts.node import tool

OPERATOR_KEY: Final = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ISSUER_KEY: Final = keccak256(b"issuer of a long chain")
PROGRAMMES: Final = 5
HOLDERS: Final = 20_000
BATCH: Final = 200
LIMITS: Final = Limits(supply_cap=10**15, entry_cap=10**12, bucket=10**14, refill=10**12)


async def build(folder: Path, purchases: int, *, batches_a_block: int = 5, seed: int = 2017) -> Deployment:
    """Writes `state.json` and `deployment.json`; the chain has `purchases` entries, a multiple of 200."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
    port = free_port()
    node = subprocess.Popen(command(port, "--dump-state", str(folder / "state.json")))  # noqa: ASYNC220, S603
    try:
        async with Rpc(f"http://127.0.0.1:{port}", timeout=120) as rpc:
            await ready(rpc)
            await rpc.call("evm_setAutomine", True)
            saved = folder / "deployment.json"
            saved.unlink(missing_ok=True)
            deployment = await asyncio.to_thread(deploy.deploy, rpc.url, OPERATOR_KEY, path=saved)
            await rpc.call("evm_setAutomine", False)
            await rpc.call("evm_mine")
            tokens = [await _create(rpc, deployment, number) for number in range(PROGRAMMES)]
            await rpc.call("evm_mine")
            calls = mints(deployment.chain_id, tokens, purchases // BATCH, random.Random(seed))  # noqa: S311
            for _ in range(purchases // BATCH // batches_a_block):
                sent = [(await asyncio.to_thread(next, calls)) for _ in range(batches_a_block)]
                answers = await rpc.batch([("eth_sendTransaction", (call,)) for call in sent])
                await rpc.call("evm_mine")
                if any(isinstance(answer, Exception) for answer in answers):
                    raise RuntimeError(f"a batch was refused: {answers}")
            receipt = await rpc.call("eth_getTransactionReceipt", answers[-1])
            if receipt is None or receipt["status"] != "0x1":
                raise RuntimeError("the last batch failed")
    finally:
        node.terminate()  # it writes its state
        await asyncio.to_thread(node.wait)
    return deployment


def command(port: int, *more: str) -> list[str]:
    """anvil that mines only when told to."""
    arguments = ["--port", str(port), "--chain-id", "31337", "--gas-limit", "1000000000", "--prune-history", "--quiet"]
    return [str(tool("anvil")), *arguments, "--no-mining", "--no-request-size-limit", *more]


async def ready(rpc: Rpc) -> None:
    """Waits until the node answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                await rpc.call("eth_chainId")
                return
            except ChainError:
                await asyncio.sleep(0.1)


async def _create(rpc: Rpc, deployment: Deployment, number: int) -> bytes:
    operator = signatures.address_of(OPERATOR_KEY)
    parameters = {
        "name": f"Programme {number}".encode().ljust(32, b"\0"),
        "symbol": f"P{number}".encode().ljust(32, b"\0"),
        "roles": Roles(owner=operator, issuer=signatures.address_of(ISSUER_KEY)),
        "limits": LIMITS,
        "terms": Terms(life=730, verified_above=2**96 - 1),
        "salt": bytes(32),
    }
    query = {"to": to_hex(deployment.factory), "data": to_hex(bindings.factory_address_of(**parameters))}  # type: ignore[arg-type]
    address = bytes.fromhex((await rpc.call("eth_call", query, "latest"))[-40:])
    call = {
        "from": to_hex(operator),
        "to": to_hex(deployment.factory),
        "data": to_hex(bindings.factory_create(**parameters)),  # type: ignore[arg-type]
        "gas": to_quantity(8_000_000),
    }
    await rpc.call("eth_sendTransaction", call)
    return address


def mints(chain_id: int, tokens: list[bytes], batches: int, chance: random.Random) -> Iterator[dict[str, str]]:
    """The transactions of that many batches, the same ones for the same chance."""
    operator = to_hex(signatures.address_of(OPERATOR_KEY))
    holders = [keccak256(b"holder %d" % number)[:20] for number in range(HOLDERS)]
    domains = [eip712.domain_separator(chain_id, token) for token in tokens]
    for place in range(batches):
        which, number = place % len(tokens), place // len(tokens) + 1
        entries = [(holders[int(HOLDERS * chance.random() ** 3)], chance.randint(1, 5000)) for _ in range(BATCH)]
        packed, root = receipts.pack_entries(entries), keccak256(b"root %d" % place)
        digest = eip712.mint_digest(domains[which], batch=number, receipts_root=root, entries_hash=keccak256(packed))
        data = bindings.points_mint(
            batch=number, receipts_root=root, entries=packed, signature=signatures.sign(ISSUER_KEY, digest)
        )
        yield {"from": operator, "to": to_hex(tokens[which]), "data": to_hex(data), "gas": to_quantity(12_000_000)}


if __name__ == "__main__":
    begun = time.monotonic()
    asyncio.run(build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
    sys.stdout.write(f"built in {time.monotonic() - begun:.0f} s\n")
