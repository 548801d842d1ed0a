"""A refund takes back what its purchase granted, once, whatever happens on the way."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from contracts.bindings import CLAWED_BACK_TOPIC, ClawedBack
from contracts.errors import NodeError
from contracts.rpc import Call, Rpc, from_hex, to_hex
from exchange.relayer.refunding import refund_everyone
from tests.relayer.rig import MASTER, RELAYER, Programme, Rig

pytestmark = pytest.mark.asyncio


async def refund(rig: Rig, programme: Programme, place: int, *, taken: int, points: int) -> uuid.UUID:
    """What the gateway writes: of the purchase at a place of batch 1."""
    id_ = uuid.uuid1()  # in order of time
    await rig.sql.execute(
        "insert into exchange.refund (merchant_id, id, purchase_id, reference, amount_minor, points, taken)"
        " select merchant_id, %s, id, %s, 1, %s, %s from exchange.purchase where merchant_id = %s"
        " order by id offset %s limit 1",
        (id_, str(id_), points, taken, programme.merchant, place),
    )
    return id_


async def queue(rig: Rig) -> int:
    return await refund_everyone(rig.relaying, master=MASTER, chain_id=31337)


async def taken_back(rig: Rig, programme: Programme) -> list[ClawedBack]:
    query = {"address": to_hex(programme.address), "topics": [to_hex(CLAWED_BACK_TOPIC)], "fromBlock": "0x0"}
    logs = await rig.rpc.call("eth_getLogs", query)
    return [ClawedBack.from_log([from_hex(t) for t in log["topics"]], from_hex(log["data"])) for log in logs]


async def minted(rig: Rig, many: int = 7) -> tuple[Programme, bytes]:
    programme = await rig.programme()
    [customer] = await rig.customers(1)
    await rig.purchases(programme, many, customers=[customer])
    await rig.batch()
    await rig.settle()
    assert await rig.balance(programme, customer[1]) == 5 * many
    return programme, customer[1]


async def test_a_refund_waits_for_its_batch_and_is_then_proved(rig: Rig) -> None:
    programme = await rig.programme()
    [customer] = await rig.customers(1)
    await rig.purchases(programme, 3, customers=[customer])
    await refund(rig, programme, 1, taken=5, points=5)
    assert await queue(rig) == 0, "the purchase is in no batch"
    await rig.batch()
    assert await queue(rig) == 0, "the batch is not on the chain"
    await rig.settle()
    assert (await queue(rig), await queue(rig)) == (1, 0)
    await rig.settle()
    assert [(each.index, each.burned, each.shortfall) for each in await taken_back(rig, programme)] == [(1, 5, 0)]
    assert (await rig.balance(programme, customer[1]), await rig.supply(programme)) == (10, 10)


async def test_partial_refunds_of_one_purchase_keep_their_order(rig: Rig) -> None:
    programme, holder = await minted(rig)
    for taken, points in ((2, 2), (3, 1), (5, 2)):
        await refund(rig, programme, 4, taken=taken, points=points)
    assert await queue(rig) == 3
    await rig.settle()
    assert [each.burned for each in await taken_back(rig, programme)] == [2, 1, 2]
    assert await rig.balance(programme, holder) == 30
    assert await rig.all("select distinct failure from exchange.call where kind = 'clawback'") == [(None,)]


async def test_refunds_wait_for_each_other_in_one_order_whoever_queues_them(rig: Rig) -> None:
    programme, _ = await minted(rig)
    made = [await refund(rig, programme, place, taken=5, points=5) for place in range(7)]
    assert await queue(rig) == 7
    assert [row[0] for row in await rig.all("select id from exchange.refund order by call_id")] == made


async def test_a_clawback_whose_batch_left_the_chain_is_made_again(rig: Rig) -> None:
    programme, holder = await minted(rig)
    snapshot = await rig.rpc.call("evm_snapshot")
    await refund(rig, programme, 0, taken=5, points=5)
    await queue(rig)
    await rig.settle()
    assert len(await taken_back(rig, programme)) == 1
    await rig.rpc.call("evm_revert", snapshot)
    assert await rig.balance(programme, holder) == 35
    await rig.mine(3)
    await rig.settle(4)
    assert len(await taken_back(rig, programme)) == 1
    assert await rig.balance(programme, holder) == 30


class Forgetful(Rpc):
    """A node that restarts from an older state just when a clawback is simulated, after it told its head."""

    snapshot = ""

    async def batch(self, calls: Sequence[Call]) -> list[Any | NodeError]:
        if self.snapshot and any(method == "eth_call" for method, _ in calls):
            await self.call("evm_revert", self.snapshot)
            self.snapshot = ""
        return await super().batch(calls)


async def test_a_clawback_is_not_refused_by_a_node_that_forgot_its_batch_meanwhile(rig: Rig) -> None:
    programme = await rig.programme()
    [customer] = await rig.customers(1)
    await rig.settle()
    async with Forgetful(rig.anvil.url) as forgetful:
        forgetful_from = await rig.rpc.call("evm_snapshot")
        await rig.purchases(programme, 7, customers=[customer])
        await rig.batch()
        await rig.settle()
        await refund(rig, programme, 0, taken=5, points=5)
        await queue(rig)
        forgetful.snapshot = forgetful_from
        await rig.step(rpc=forgetful, only=RELAYER)
    assert not forgetful.snapshot, "nothing was simulated"
    assert await rig.all("select state, failure from exchange.call where kind = 'clawback'") == [("queued", None)]
    await rig.mine(3)
    await rig.settle(4)
    assert len(await taken_back(rig, programme)) == 1
    assert await rig.balance(programme, customer[1]) == 30


async def test_a_clawback_waits_for_a_batch_that_is_tried_again_later(rig: Rig) -> None:
    """After a reorganisation its programme's limits keep the batch back for a while."""
    programme = await rig.programme()
    await rig.settle()
    snapshot = await rig.rpc.call("evm_snapshot")
    await rig.purchases(programme, 7, customers=await rig.customers(1))
    await rig.batch()
    await rig.settle()
    await refund(rig, programme, 0, taken=5, points=5)
    await queue(rig)
    await rig.rpc.call("evm_revert", snapshot)
    await rig.sql.execute(
        "update exchange.transaction set state = 'lost', block = null, block_hash = null, succeeded = null"
        " where id = (select transaction_id from exchange.call where kind = 'mint')"
    )
    await rig.sql.execute(
        "update exchange.call set state = 'queued', transaction_id = null, position = null, tries = 1,"
        " not_before = now() + interval '1 hour' where kind = 'mint'"
    )
    await rig.step(only=RELAYER)
    assert await rig.all("select state from exchange.call where kind = 'clawback'") == [("queued",)]


async def test_a_clawback_that_somebody_else_relayed_counts_as_made(rig: Rig) -> None:
    programme, holder = await minted(rig)
    await refund(rig, programme, 2, taken=5, points=5)
    await queue(rig)
    data = await rig.one("select data from exchange.call where kind = 'clawback'")
    [account, *_] = await rig.rpc.call("eth_accounts")
    await rig.rpc.call(
        "eth_sendTransaction",
        {"from": account, "to": to_hex(programme.address), "data": to_hex(data), "gas": "0x100000"},
    )
    await rig.mine()
    await rig.settle()
    assert len(await taken_back(rig, programme)) == 1
    assert await rig.balance(programme, holder) == 30
    assert await rig.one("select count(*) from exchange.call where state = 'queued'") == 0
