"""From rows to blocks: what is accepted is minted exactly once, whatever is killed, lost or refused on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts import bindings, signatures
from contracts.errors import NodeError, Unavailable
from contracts.fees import Fees
from contracts.rpc import Call, Rpc, to_hex, to_quantity
from contracts.transactions import sign_transaction
from tests.relayer.rig import LIMITS, OPERATOR, RELAYER, SECOND, Programme, Rig

pytestmark = pytest.mark.asyncio

OPERATOR_ADDRESS = signatures.address_of(OPERATOR)
RELAYER_ADDRESS = signatures.address_of(RELAYER)


class Killed(Exception):
    """The process died here."""


class Failing(Rpc):
    """A node that fails once, at the sending of transactions: `before` it gets them, or `after` it took them."""

    def __init__(self, url: str, *, when: str, error: Exception) -> None:
        super().__init__(url)
        self.when, self.error = when, error

    async def batch(self, calls: Sequence[Call]) -> list[Any | NodeError]:
        sending = any(method == "eth_sendRawTransaction" for method, _ in calls)
        if not sending or self.when == "":
            return await super().batch(calls)
        when, self.when = self.when, ""
        if when == "after":
            await super().batch(calls)
        raise self.error


async def ready(rig: Rig, **options: Any) -> Programme:
    """A programme that is on the chain."""
    programme = await rig.programme(**options)
    await rig.settle(1)
    return programme


async def bought(rig: Rig, programme: Programme, many: int, *, size: int = 200) -> None:
    await rig.purchases(programme, many, customers=await rig.customers(10))
    batched = 0
    while batched < many:
        batched += await rig.batch(size)
    assert batched == many


async def assert_whole(rig: Rig) -> None:
    """Nonces without gaps, every placed call in one transaction, every attempt's bytes known."""
    for signer in await rig.signers():
        nonces = [n for (n,) in await rig.all(
            "select nonce from exchange.transaction where signer = %s order by nonce", signer.address
        )]  # fmt: skip
        assert nonces == list(range(nonces[0], nonces[0] + len(nonces))) if nonces else True
    assert await rig.all("select 1 from exchange.call where failure is not null") == []


async def test_purchases_are_minted_exactly_once(rig: Rig) -> None:
    programme = await rig.programme()
    customers = await rig.customers(30)
    await rig.purchases(programme, 450, customers=customers)
    assert await rig.batch() == 450
    assert await rig.batch() == 0
    await rig.settle()
    assert await rig.supply(programme) == 450 * 5
    assert await rig.next_batch(programme) == 4
    assert await rig.balance(programme, customers[0][1]) == 15 * 5
    assert await rig.all("select state, count(*) from exchange.call group by 1") == [("placed", 4)]
    await rig.mine(10)
    await rig.step()
    assert await rig.all("select distinct state, succeeded from exchange.transaction") == [("final", True)]
    await assert_whole(rig)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Killed(), Unavailable("time-out")])
async def test_a_kill_or_a_time_out_at_sending_mints_once(rig: Rig, when: str, error: Exception) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 40, size=10)
    async with Failing(rig.anvil.url, when=when, error=error) as failing:
        try:
            await rig.step(rpc=failing, only=RELAYER)
        except Killed:
            assert await rig.all("select state from exchange.transaction where state <> 'included'") == [("signed",)]
            rig.forget()
    await rig.mine(2)
    await rig.settle(2)
    assert await rig.supply(programme) == 200
    assert await rig.next_batch(programme) == 5
    assert await rig.one("select count(*) from exchange.transaction") == 2
    assert await rig.one("select count(*) from exchange.attempt where sent_at is null") == 0
    await assert_whole(rig)


async def test_a_dropped_pool_is_sent_again(rig: Rig) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    await rig.step()
    await rig.rpc.call("anvil_dropAllTransactions")
    for _ in range(3):
        await rig.mine()
        await rig.step()
    await rig.mine()
    assert await rig.supply(programme) == 50
    assert await rig.one("select count(*) from exchange.attempt") == 2


async def test_a_node_that_restarts_from_an_older_state_gets_everything_again(rig: Rig, tmp_path: Path) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    await rig.settle(1)
    await rig.dump(tmp_path / "old.json")
    for _ in range(3):
        await bought(rig, programme, 10)
        await rig.settle(1)
    assert await rig.supply(programme) == 200
    await rig.restart(tmp_path / "old.json")
    assert await rig.supply(programme) == 50
    await bought(rig, programme, 10)
    await rig.settle(3)
    assert await rig.supply(programme) == 250
    assert await rig.next_batch(programme) == 6
    assert await rig.all("select distinct state from exchange.transaction") == [("included",)]
    await assert_whole(rig)


async def test_a_reorganisation_that_drops_transactions_is_undone(rig: Rig) -> None:
    programme = await ready(rig)
    snapshot = await rig.rpc.call("evm_snapshot")
    await bought(rig, programme, 10)
    await rig.settle(1)
    await rig.mine()
    old = await rig.one("select block_hash from exchange.transaction order by id desc limit 1")
    assert await rig.rpc.call("evm_revert", snapshot)
    await rig.mine(3)
    assert await rig.supply(programme) == 0
    await rig.settle(2)
    assert await rig.supply(programme) == 50
    assert await rig.one("select count(*) from exchange.transaction where block_hash = %s", old) == 0
    await assert_whole(rig)


async def test_batches_stay_in_order_over_two_lanes(rig: Rig) -> None:
    rig.lanes = (RELAYER, SECOND)
    rig.max_in_flight = 2
    await rig.start()
    programme, other = await ready(rig), await ready(rig, slug="other")
    await bought(rig, programme, 2400)
    await bought(rig, other, 2400)
    await rig.settle(8)
    assert await rig.supply(programme) == await rig.supply(other) == 12_000
    assert await rig.one("select sum(tries) from exchange.call") == 0
    assert await rig.one("select count(distinct signer) from exchange.transaction") == 2
    await assert_whole(rig)


async def test_an_intent_that_cannot_succeed_is_refused_without_a_nonce(rig: Rig) -> None:
    programme = await ready(rig)
    before = await rig.one("select next_nonce from exchange.signer where role = 'relayer'")
    call = await rig.send_intent(programme, signatures.new_key(), amount=5, nonce=1)
    await rig.step()
    state, failure = (await rig.all("select state, failure from exchange.call where id = %s", call))[0]
    assert state == "refused"
    assert failure.startswith("ERC20InsufficientBalance(")
    assert await rig.one("select next_nonce from exchange.signer where role = 'relayer'") == before


async def test_an_intent_that_fails_in_its_block_harms_no_other_and_is_refused_once_nothing_can_help_it(
    rig: Rig,
) -> None:
    programme = await ready(rig)
    key = signatures.new_key()
    customer = (await rig.customers(1))[0][0]
    await rig.purchases(programme, 1, customers=[(customer, signatures.address_of(key))], points=100)
    await rig.batch()
    await rig.settle(1)
    # Each would succeed alone; together, the second finds nothing left.
    calls = [await rig.send_intent(programme, key, amount=60, nonce=nonce) for nonce in (1, 2)]
    calls.append(await rig.send_intent(programme, key, amount=40, nonce=3))
    await rig.settle(3)
    states = await rig.all("select state, failure from exchange.call where id = any(%s) order by id", calls)
    assert [state for state, _ in states] == ["placed", "refused", "placed"]
    assert [reason is None for _, reason in states] == [True, False, True]
    assert states[1][1].startswith("ERC20InsufficientBalance(")
    assert await rig.balance(programme, b"\x77" * 20) == 100


async def test_an_intent_waits_for_what_came_before_it_and_is_on_its_way(rig: Rig) -> None:
    programme = await ready(rig)
    key = signatures.new_key()
    customer = (await rig.customers(1))[0][0]
    await rig.purchases(programme, 1, customers=[(customer, signatures.address_of(key))], points=100)
    await rig.batch()
    call = await rig.send_intent(programme, key, amount=60, nonce=1)
    await rig.step()  # the mint is sent, not mined: the intent finds no points yet
    assert await rig.one("select state from exchange.call where id = %s", call) == "queued"
    await rig.mine()
    await rig.settle(1)
    assert await rig.balance(programme, b"\x77" * 20) == 60


async def test_an_intent_that_nothing_can_mend_waits_for_nobody(rig: Rig) -> None:
    programme = await ready(rig)
    await rig.queue("deposit", rig.deployment.exchange, b"", signer=signatures.address_of(OPERATOR))
    await rig.sql.execute("update exchange.signer set paused = 'for the test' where role = 'operator'")
    call = await rig.send_intent(programme, signatures.new_key(), amount=5, nonce=1, deadline=1)
    await rig.step()
    state, failure = (await rig.all("select state, failure from exchange.call where id = %s", call))[0]
    assert (state, failure) == ("refused", "IntentExpired(deadline=1)")


async def test_an_intent_survives_a_reorganisation_that_puts_it_before_what_it_needs(rig: Rig) -> None:
    programme = await ready(rig)
    key = signatures.new_key()
    holder = signatures.address_of(key)
    rig.lanes = (RELAYER, SECOND)
    await rig.start()
    snapshot = await rig.rpc.call("evm_snapshot")
    # The points come by another lane, whose nonces say nothing about ours.
    await rig.purchases(programme, 1, customers=[((await rig.customers(1))[0][0], holder)], points=100)
    await rig.batch()
    await rig.step(only=SECOND)
    await rig.mine()
    await rig.step()
    call = await rig.send_intent(programme, key, amount=60, nonce=1)
    await rig.step(only=RELAYER)
    await rig.mine()
    await rig.step()
    assert await rig.balance(programme, b"\x77" * 20) == 60
    assert await rig.rpc.call("evm_revert", snapshot)
    await rig.mine(3)
    await rig.step(only=RELAYER)  # its lane is first: the same bytes, now without the points
    await rig.mine()
    await rig.settle(4)
    assert await rig.one("select state from exchange.call where id = %s", call) == "placed"
    assert await rig.balance(programme, b"\x77" * 20) == 60


async def test_a_batch_over_the_issuance_limit_waits_and_is_minted_later(rig: Rig) -> None:
    programme = await ready(rig, limits=LIMITS._replace(bucket=30, refill=1))
    await bought(rig, programme, 12, size=6)
    await rig.settle(1)
    assert await rig.supply(programme) == 30
    assert await rig.batch() == 0
    # What is no batch does not wait for it.
    quote = bindings.exchange_set_quote(
        programme=programme.address, quote=bindings.Quote(1, 1, 2**32, 1), nonce=0, signature=b""
    )
    await rig.queue("quote", rig.deployment.exchange, quote, sequence=programme.address)
    await rig.step()
    queued = await rig.all("select state, tries, failure from exchange.call where state = 'queued'")
    assert queued == [("queued", 1, None)]
    await rig.rpc.call("evm_increaseTime", 60)
    await rig.settle(2)
    assert await rig.supply(programme) == 60
    assert await rig.all("select 1 from exchange.call where kind = 'mint' and failure is not null") == []


async def test_a_failed_batch_is_retried_by_itself_and_then_the_later_ones_together(rig: Rig) -> None:
    programme = await ready(rig, limits=LIMITS._replace(bucket=60, refill=1))
    await bought(rig, programme, 30, size=6)
    await rig.settle(1)
    assert await rig.supply(programme) == 60
    waiting = "select count(*) from exchange.call where state = 'queued'"
    assert await rig.one(waiting) == 3
    await rig.rpc.call("evm_increaseTime", 60)
    await rig.settle(1)
    assert await rig.supply(programme) == 90
    last = "select count(*), count(distinct transaction_id), max(tries) from (select * from exchange.call order by id"
    assert await rig.all(f"{last} desc limit 2) as last") == [(2, 1, 0)]
    await rig.rpc.call("evm_increaseTime", 60)
    await rig.settle(1)
    assert await rig.supply(programme) == 150


async def test_a_batch_that_somebody_else_relayed_counts_as_minted(rig: Rig) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    data = await rig.one("select data from exchange.call where kind = 'mint'")
    await rig.step()
    raw, _ = sign_transaction(
        key=SECOND, chain_id=31337, nonce=0, to=programme.address, data=data, gas=2_000_000,
        fees=Fees(10**12, 10**11),
    )  # fmt: skip
    await rig.rpc.call("eth_sendRawTransaction", to_hex(raw))
    await rig.settle(2)
    assert await rig.supply(programme) == 50
    assert await rig.all("select state, failure from exchange.call where kind = 'mint'") == [("placed", None)]


async def test_creating_a_programme_twice_is_no_failure(rig: Rig) -> None:
    await rig.programme()
    await rig.sql.execute(
        "insert into exchange.call (kind, target, data, gas) select kind, target, data, gas from exchange.call"
    )
    await rig.settle(1)
    assert await rig.all("select state, failure from exchange.call") == [("placed", None)] * 2


async def test_the_operators_own_calls_travel_alone_and_report_their_reasons(rig: Rig) -> None:
    data = bindings.exchange_register_charity(charity=b"\x55" * 20, name=b"Trees".ljust(32, b"\0"))
    for _ in range(2):
        await rig.queue("charity", rig.deployment.exchange, data, signer=OPERATOR_ADDRESS)
    await rig.settle(1)
    rows = await rig.all(
        "select c.failure, t.succeeded, t.signer, c.position from exchange.call c"
        " join exchange.transaction t on t.id = c.transaction_id order by c.id"
    )
    assert rows[0] == (None, True, OPERATOR_ADDRESS, 0)
    assert rows[1] == (f"AlreadyRegistered(charity=0x{'55' * 20})", False, OPERATOR_ADDRESS, 0)


async def test_a_transaction_stuck_by_its_price_is_outbid_up_to_the_cap(rig: Rig) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    await rig.step()
    await rig.rpc.call("anvil_dropAllTransactions")
    for _ in range(8):
        await rig.rpc.call("anvil_setNextBlockBaseFeePerGas", to_quantity(50 * 10**9))
        await rig.mine()
        await rig.step()
    await rig.mine()
    await rig.step()
    assert await rig.supply(programme) == 50
    fees = [f for (f,) in await rig.all(
        "select max_fee from exchange.attempt where transaction_id = (select max(id) from exchange.transaction)"
        " order by max_fee"
    )]  # fmt: skip
    assert len(fees) == 2
    assert fees[1] >= 50 * 10**9


async def test_at_the_fee_cap_the_old_bytes_are_sent_on(rig: Rig) -> None:
    programme = await ready(rig)
    rig.fee_cap = 3 * 10**9
    await bought(rig, programme, 10)
    await rig.step()
    for _ in range(8):
        await rig.rpc.call("anvil_setNextBlockBaseFeePerGas", to_quantity(50 * 10**9))
        await rig.mine()
        await rig.rpc.call("anvil_dropAllTransactions")
        await rig.step()
    assert await rig.supply(programme) == 0
    for _ in range(3):
        await rig.rpc.call("anvil_setNextBlockBaseFeePerGas", to_quantity(10**9))
        await rig.mine()
        await rig.step()
    await rig.mine()
    assert await rig.supply(programme) == 50
    assert await rig.one("select max(max_fee) from exchange.attempt") <= 3 * 10**9


async def test_a_signer_without_funds_is_paused_until_it_has_some(rig: Rig) -> None:
    programme = await ready(rig)
    await rig.rpc.call("anvil_setBalance", to_hex(RELAYER_ADDRESS), "0x1")
    await bought(rig, programme, 10)
    await rig.settle(2)
    assert await rig.one("select paused from exchange.signer where role = 'relayer'") == "insufficient funds for gas"
    assert await rig.supply(programme) == 0
    await rig.rpc.call("anvil_setBalance", to_hex(RELAYER_ADDRESS), to_quantity(10**20))
    await rig.settle(3)
    assert await rig.one("select paused from exchange.signer where role = 'relayer'") is None
    assert await rig.supply(programme) == 50


async def use_nonce_elsewhere(rig: Rig, nonce: int) -> None:
    raw, _ = sign_transaction(
        key=RELAYER, chain_id=31337, nonce=nonce, to=b"\x66" * 20, data=b"", gas=30_000, fees=Fees(10**12, 10**11)
    )
    await rig.rpc.call("eth_sendRawTransaction", to_hex(raw))
    await rig.mine()


async def test_nonces_that_were_used_elsewhere_are_skipped(rig: Rig) -> None:
    programme = await ready(rig)
    await use_nonce_elsewhere(rig, 1)
    await bought(rig, programme, 10)
    await rig.settle(2)
    assert await rig.supply(programme) == 50


async def test_a_nonce_that_was_stolen_from_us_stops_the_lane(rig: Rig) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    await rig.step()
    await rig.rpc.call("anvil_dropAllTransactions")
    await use_nonce_elsewhere(rig, 1)
    await heads(rig, 6)
    assert await paused(rig) == "nonce 1 was used by a transaction that is not ours"
    await bought(rig, programme, 10)
    await rig.step()
    assert await rig.one("select count(*) from exchange.transaction where nonce > 1") == 0


async def heads(rig: Rig, many: int) -> None:
    for _ in range(many):
        await rig.step()
        await rig.mine()


async def paused(rig: Rig) -> str | None:
    return await rig.one("select paused from exchange.signer where role = 'relayer'")  # type: ignore[no-any-return]


async def test_a_stolen_nonce_that_is_final_is_given_up_and_what_it_carried_is_minted(rig: Rig) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    await rig.step()
    await rig.rpc.call("anvil_dropAllTransactions")
    await use_nonce_elsewhere(rig, 1)
    await heads(rig, 14)
    assert await rig.all("select state, nonce from exchange.transaction order by 2") == [
        ("final", 0),
        ("lost", 1),
        ("included", 2),
    ]
    assert await paused(rig) is None
    await rig.settle(2)
    assert await rig.supply(programme) == 50
    await assert_whole(rig)


async def test_a_stolen_nonce_that_a_reorganisation_gives_back_is_used_for_what_it_was_signed_for(rig: Rig) -> None:
    programme = await ready(rig)
    await bought(rig, programme, 10)
    await rig.step()
    await rig.rpc.call("anvil_dropAllTransactions")
    snapshot = await rig.rpc.call("evm_snapshot")
    await use_nonce_elsewhere(rig, 1)
    for _ in range(10):
        # Blocks by another clock than ours: none of them is final.
        await rig.rpc.call("evm_revert", snapshot)
        snapshot = await rig.rpc.call("evm_snapshot")
        await use_nonce_elsewhere(rig, 1)
        await rig.step()
    assert await paused(rig) == "nonce 1 was used by a transaction that is not ours"
    await rig.rpc.call("evm_revert", snapshot)
    await rig.mine(3)
    await rig.settle(2)
    assert await rig.supply(programme) == 50
    assert await paused(rig) is None
    assert await rig.one("select count(*) from exchange.transaction where state = 'lost'") == 0
    await assert_whole(rig)


async def test_a_nonce_that_was_passed_over_for_nothing_is_filled(rig: Rig) -> None:
    """Somebody else's transaction made us step over its nonce, and then left the chain."""
    programme = await ready(rig)
    snapshot = await rig.rpc.call("evm_snapshot")
    await use_nonce_elsewhere(rig, 1)
    await bought(rig, programme, 10)
    await rig.step()
    assert await rig.one("select max(nonce) from exchange.transaction") == 2
    await rig.rpc.call("evm_revert", snapshot)
    await rig.mine()
    await heads(rig, 5)
    assert await rig.supply(programme) == 50
    assert await rig.all("select nonce, target from exchange.transaction where nonce = 1") == [(1, RELAYER_ADDRESS)]
    await assert_whole(rig)
