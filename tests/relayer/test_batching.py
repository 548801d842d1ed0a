"""Every purchase is in one batch, batches are numbered without gaps, and each receipt is proved in its batch."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import eip712, receipts, signatures
from exchange.relayer.batching import _PLACE, Merchant, Purchase, batch_everyone, leaf_of
from tests.relayer.rig import MASTER, Programme, Rig

pytestmark = pytest.mark.asyncio

PLACES = "select batch_number, batch_index from exchange.purchase where points > 0 order by 1, 2"


async def test_each_purchase_has_one_place_in_the_order_of_its_id(rig: Rig) -> None:
    programme = await rig.programme()
    await rig.purchases(programme, 25, customers=await rig.customers(3))
    await rig.purchases(programme, 3, customers=await rig.customers(1), points=0)
    assert await rig.batch(10) == 25
    assert await rig.all(PLACES) == [(1 + i // 10, i % 10) for i in range(25)]
    ordered = "select id from exchange.purchase where points > 0 order by"
    assert await rig.all(f"{ordered} id") == await rig.all(f"{ordered} batch_number, batch_index")
    assert await rig.one("select next_batch from exchange.merchant") == 4
    assert await rig.all("select number, total, count from exchange.batch order by 1") == [
        (1, 50, 10), (2, 50, 10), (3, 25, 5),
    ]  # fmt: skip
    assert await rig.one("select count(*) from exchange.purchase where points = 0 and batch_number is null") == 3


async def test_a_stored_purchase_is_proved_in_the_root_that_the_issuer_signed(rig: Rig) -> None:
    programme = await rig.programme()
    await rig.purchases(programme, 7, customers=await rig.customers(3))
    await rig.batch()
    rows = await rig.all("select holder, points, commitment from exchange.purchase order by batch_index")
    purchases = [Purchase(*row) for row in rows]
    leaves = [leaf_of(programme.address, 1, i, p, 31337) for i, p in enumerate(purchases)]
    root = await rig.one("select receipts_root from exchange.batch")
    assert all(receipts.verify(root, leaf, receipts.proof(leaves, i)) for i, leaf in enumerate(leaves))
    entries = receipts.pack_entries((p.holder, p.points) for p in purchases)
    digest = eip712.mint_digest(
        eip712.domain_separator(31337, programme.address), batch=1, receipts_root=root, entries_hash=keccak(entries)
    )
    data = await rig.one("select data from exchange.call where kind = 'mint'")
    assert entries in data
    assert signatures.sign(programme.issuer, digest) in data


async def test_batchers_at_the_same_time_share_the_work_and_nothing_twice(rig: Rig) -> None:
    programmes = [await rig.programme(slug=f"m{i}") for i in range(4)]
    customers = await rig.customers(5)
    for programme in programmes:
        await rig.purchases(programme, 300, customers=customers)

    async def batcher() -> int:
        async with await psycopg.AsyncConnection.connect(rig.database, autocommit=True) as connection:
            rounds = [
                await batch_everyone(connection, master=MASTER, chain_id=31337, size=10, now=2**40) for _ in range(8)
            ]
        return sum(rounds)

    assert sum(await asyncio.gather(*(batcher() for _ in range(4)))) == 1200
    places = await rig.all("select merchant_id, batch_number, batch_index from exchange.purchase order by 1, 2, 3")
    wanted = [(p.merchant, 1 + i // 10, i % 10) for p in programmes for i in range(300)]
    assert sorted(places) == sorted(wanted)


async def test_accepting_a_purchase_does_not_keep_its_merchant_from_being_batched(rig: Rig) -> None:
    programme = await rig.programme()
    customers = await rig.customers(1)
    await rig.purchases(programme, 5, customers=customers)
    async with await psycopg.AsyncConnection.connect(rig.database) as accepting:
        await accepting.execute("select 1 from exchange.merchant for key share")  # as the foreign key does
        assert await rig.batch() == 5


async def waiting(rig: Rig) -> int:
    return int(await rig.one("select count(*) from exchange.purchase where batch_number is null"))


async def test_purchases_gather_while_a_batch_waits_to_be_placed(rig: Rig) -> None:
    programme: Programme = await rig.programme()
    customers = await rig.customers(2)
    await rig.purchases(programme, 3, customers=customers)
    assert await rig.batch(10) == 3
    await rig.purchases(programme, 9, customers=customers)
    assert await rig.batch(10) == 0
    await rig.purchases(programme, 1, customers=customers)
    assert await rig.batch(10) == 10
    await rig.purchases(programme, 1, customers=customers)
    assert await waiting(rig) == 1
    await rig.sql.execute("update exchange.call set state = 'refused', failure = 'gone' where state = 'queued'")
    assert await rig.batch(10) == 1


async def test_a_key_sealed_for_another_merchant_signs_nothing(rig: Rig) -> None:
    programme = await rig.programme()
    other = await rig.programme(slug="other")
    await rig.sql.execute(
        "update exchange.merchant set issuer_key = (select issuer_key from exchange.merchant where id = %s)"
        " where id = %s",
        (other.merchant, programme.merchant),
    )
    await rig.purchases(programme, 1, customers=await rig.customers(1))
    with pytest.raises(Exception, match="does not open"):
        await rig.batch()
    assert await waiting(rig) == 1


async def test_the_merchant_row_is_read_as_the_code_expects() -> None:
    assert Merchant._fields == ("id", "programme", "issuer_key", "next_batch")


async def test_a_purchase_is_placed_without_a_search_whatever_is_known_of_its_table(rig: Rig) -> None:
    programme = await rig.programme()
    await rig.purchases(programme, 400, customers=await rig.customers(3))
    values = {"merchant": programme.merchant, "first": 1, "size": 10, "most": 100, "now": 2**40}
    for statistics in ("", "analyze exchange.purchase"):
        await rig.sql.execute(statistics.encode())
        cursor = await rig.relaying.execute(f"explain {_PLACE}".encode(), values)
        plan = "\n".join(row[0] for row in await cursor.fetchall())
        assert "Tid Scan on purchase p" in plan, plan
