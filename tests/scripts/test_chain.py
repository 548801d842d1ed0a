"""The local chain's promise: a killed node goes on from its last good dump, with the same blocks up to there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.rpc import Rpc
from scripts import chain
from tests.conftest import Anvil


@pytest.mark.asyncio
async def test_a_killed_node_comes_back_with_the_blocks_of_its_last_dump(
    new_anvil: Callable[..., Anvil], tmp_path: Path
) -> None:
    node = new_anvil("--no-mining")
    state = tmp_path / "state.json"
    async with Rpc(node.url) as rpc:
        await rpc.call("anvil_mine", "0x5")
        before = await rpc.call("eth_getBlockByNumber", "0x5", False)
        assert await chain.dump(rpc, state) > 0
        await rpc.call("anvil_mine", "0x5")
    node.kill()
    node.start("--load-state", str(state))
    async with Rpc(node.url) as rpc:
        assert int(await rpc.call("eth_blockNumber"), 16) == 5
        assert (await rpc.call("eth_getBlockByNumber", "0x5", False))["hash"] == before["hash"]


@pytest.mark.asyncio
async def test_a_dump_that_fails_leaves_the_last_good_one(new_anvil: Callable[..., Anvil], tmp_path: Path) -> None:
    node = new_anvil("--no-mining")
    state = tmp_path / "state.json"
    async with Rpc(node.url) as rpc:
        await chain.dump(rpc, state)
        good = state.read_bytes()
        packed = bytes.fromhex((await rpc.call("anvil_dumpState"))[2:])
    with pytest.raises(ValueError, match="cut short"):
        chain._write(packed[: len(packed) // 2], state)
    assert state.read_bytes() == good


def test_a_dump_waits_for_an_empty_block_but_is_due_well_inside_the_finality_depth() -> None:
    assert [chain.is_due(blocks, busy=False) for blocks in (29, 30)] == [False, True]
    assert not chain.is_due(30, busy=True)
    assert chain.is_due(2 * chain.SLOTS_IN_AN_EPOCH * 3 // 4, busy=True)
