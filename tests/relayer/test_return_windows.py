"""What a refund took away before there was a batch is not minted, and what is minted can still be proved and taken."""

from __future__ import annotations

import pytest

from tests.relayer.rig import Rig
from tests.relayer.test_refunding import queue, refund, taken_back

pytestmark = pytest.mark.asyncio


async def test_purchases_wait_for_their_windows_and_only_what_is_left_is_minted_and_clawed_back(rig: Rig) -> None:
    programme = await rig.programme()
    [customer] = await rig.customers(1)
    await rig.purchases(programme, 4, customers=[customer], points=10)
    ids = [row[0] for row in await rig.all("select id from exchange.purchase order by id")]
    await rig.sql.execute("update exchange.purchase set available_at = 2000 where id = %s", (ids[0],))
    await rig.sql.execute("update exchange.purchase set cancelled = 4 where id = %s", (ids[1],))
    await rig.sql.execute("update exchange.purchase set cancelled = 10 where id = %s", (ids[2],))
    assert await rig.batch(now=1999) == 2, "one is pending, one was cancelled"
    await rig.settle()
    assert await rig.balance(programme, customer[1]) == 16
    assert await rig.batch(now=2000) == 1
    await rig.settle()
    assert await rig.balance(programme, customer[1]) == 26
    await refund(rig, programme, 1, taken=6, points=6)
    assert await queue(rig) == 1
    await rig.settle()
    assert [(each.burned, each.shortfall) for each in await taken_back(rig, programme)] == [(6, 0)]
    assert await rig.balance(programme, customer[1]) == 20
    assert await rig.batch(now=2**40) == 0
