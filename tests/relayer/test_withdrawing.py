"""An announced withdrawal is paid once, after its notice, by whoever comes first, and never before."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import psycopg
import pytest

from contracts import bindings, eip712, signatures
from contracts.rpc import to_hex
from exchange.relayer.run import ROLE
from exchange.relayer.withdrawing import complete_everyone
from tests.relayer.rig import OPERATOR, Programme, Rig

pytestmark = pytest.mark.asyncio

WEEK = 7 * 86_400
TO = b"\x99" * 20


async def announced(rig: Rig, programme: Programme, *, amount: int = 600, to: bytes = TO, nonce: int = 0) -> uuid.UUID:
    """What the gateway writes, on the chain."""
    exchange = rig.deployment.exchange
    fields: dict[str, Any] = {"account": programme.address, "to": to, "amount": amount, "nonce": nonce}
    digest = eip712.withdraw_digest(eip712.domain_separator(31337, exchange), **fields)
    data = bindings.exchange_withdraw(**fields, signature=signatures.sign(programme.owner, digest))
    call = await rig.queue("withdraw", exchange, data, sequence=programme.address)
    made = uuid.uuid1()
    await rig.sql.execute(
        "insert into exchange.withdrawal (merchant_id, id, recipient, amount, call_id) values (%s, %s, %s, %s, %s)",
        (programme.merchant, made, to, amount, call),
    )
    await rig.settle()
    return made


async def funded(rig: Rig, *, margin: int = 1_000) -> Programme:
    programme = await rig.programme()
    operator = signatures.address_of(OPERATOR)
    data = bindings.exchange_deposit(account=programme.address, amount=margin)
    await rig.queue("deposit", rig.deployment.exchange, data, sequence=operator, signer=operator)
    await rig.settle()
    return programme


async def complete(rig: Rig) -> int:
    return await complete_everyone(rig.relaying, rig.rpc, exchange=rig.deployment.exchange)


async def paid(rig: Rig, to: bytes = TO) -> int:
    answer = await rig.view(rig.deployment.settlement, bytes.fromhex("70a08231") + bytes(12) + to)
    return int.from_bytes(answer, "big")


async def later(rig: Rig, seconds: int = WEEK) -> None:
    await rig.rpc.call("evm_increaseTime", seconds)
    await rig.mine()


async def is_closed(rig: Rig) -> bool:
    return bool(await rig.one("select bool_and(closed) from exchange.withdrawal"))


async def test_a_withdrawal_is_paid_by_itself_when_its_notice_is_over(rig: Rig) -> None:
    programme = await funded(rig)
    await announced(rig, programme)
    assert await complete(rig) == 0
    await later(rig, WEEK - 60)
    assert (await complete(rig), await paid(rig)) == (0, 0)
    await later(rig, 120)
    assert (await complete(rig), await complete(rig)) == (1, 0)
    await rig.settle()
    assert await paid(rig) == 600
    assert not await is_closed(rig), "a reorganisation may still take it back"
    await rig.mine(20)
    await rig.settle()
    assert (await complete(rig), await is_closed(rig)) == (0, False)
    await rig.mine(20)
    assert (await complete(rig), await is_closed(rig), await paid(rig)) == (0, True, 600)


async def test_what_is_left_is_paid_if_that_is_less(rig: Rig) -> None:
    programme = await funded(rig, margin=500)
    await announced(rig, programme, amount=600)
    await later(rig)
    assert await complete(rig) == 1
    await rig.settle()
    assert await paid(rig) == 500


async def test_a_later_announcement_replaces_an_earlier_one(rig: Rig) -> None:
    programme = await funded(rig)
    await announced(rig, programme)
    await later(rig, WEEK // 2)
    await announced(rig, programme, amount=200, to=b"\x88" * 20, nonce=1)
    await later(rig, WEEK // 2 + 60)
    assert await complete(rig) == 0, "the notice began anew"
    await later(rig)
    assert await complete(rig) == 1
    await rig.settle()
    await rig.mine(20)
    await rig.settle()
    await complete(rig)
    await rig.mine(20)
    assert (await complete(rig), await paid(rig), await paid(rig, b"\x88" * 20)) == (0, 0, 200)
    assert await is_closed(rig)


async def test_a_withdrawal_that_somebody_else_completed_is_done_with(rig: Rig) -> None:
    programme = await funded(rig)
    await announced(rig, programme)
    await later(rig)
    [account, *_] = await rig.rpc.call("eth_accounts")
    data = bindings.exchange_complete_withdrawal(programme=programme.address)
    call = {"from": account, "to": to_hex(rig.deployment.exchange), "data": to_hex(data), "gas": "0x100000"}
    assert await complete(rig) == 1
    await rig.rpc.call("eth_sendTransaction", call)
    await rig.mine(20)
    await rig.settle()
    assert await paid(rig) == 600
    assert await rig.all("select state, failure from exchange.call where kind = 'complete'") == [
        ("refused", f"NothingAnnounced(programme=0x{programme.address.hex()})")
    ]
    await rig.sql.execute("update exchange.call set created_at = now() - interval '2 hours' where kind = 'complete'")
    await complete(rig)
    await rig.mine(20)
    assert (await complete(rig), await is_closed(rig)) == (0, True)


async def test_relayers_at_once_queue_one_completion(rig: Rig, database: str) -> None:
    programme = await funded(rig)
    await announced(rig, programme)
    await later(rig)

    async def relayer() -> int:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True, options=ROLE) as connection:
            return await complete_everyone(connection, rig.rpc, exchange=rig.deployment.exchange)

    assert sum(await asyncio.gather(*(relayer() for _ in range(8)))) == 1


async def test_a_completion_that_left_the_chain_is_made_again(rig: Rig) -> None:
    programme = await funded(rig)
    await announced(rig, programme)
    await later(rig)
    snapshot = await rig.rpc.call("evm_snapshot")
    assert await complete(rig) == 1
    await rig.settle()
    assert await paid(rig) == 600
    await rig.rpc.call("evm_revert", snapshot)
    assert await paid(rig) == 0
    await rig.mine(3)
    await rig.settle(4)
    assert await paid(rig) == 600
