"""The audit as a whole: what is told of the moment at which it was made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scripts.audit.audit import STALE, Audit
from scripts.audit.endpoint import Endpoint
from scripts.audit.options import Options
from tests.audit.market import opened
from tests.conftest import Anvil, free_port


@pytest.mark.parametrize(("age", "doubts"), [(STALE - 60, 0), (STALE + 60, 1)])
def test_a_chain_that_stands_still_is_doubted_and_not_said_to_be_fresh(tmp_path: Path, age: int, doubts: int) -> None:
    async def audited() -> Audit:
        node = Anvil(free_port(), ("--slots-in-an-epoch", "1"), history=True)
        node.start()
        try:
            async with opened(node, tmp_path, seed="fresh") as market:
                await market.trade(10)
                options = Options(deployment=market.network.deployment)
                async with Endpoint(node.url) as endpoint:
                    newest = await market.network.rpc.call("eth_getBlockByNumber", "finalized", False)
                    then = int(newest["timestamp"], 16) + age
                    audit = Audit(options, [endpoint], lambda _: None, clock=lambda: then)
                    await audit.advance()
                    return audit
        finally:
            node.kill()

    record = asyncio.run(audited()).record
    assert record.findings == []
    assert [doubt.check for doubt in record.doubts] == ["freshness"] * doubts
