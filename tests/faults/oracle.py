"""What must hold when everything is over. The witness is the chain, asked over JSON-RPC past all of our programs.

What a till got a 2xx for and what the chain minted are compared as multisets of (holder, amount) and by the root that
each batch committed to: it is made again here from the commitments in the receipts that the tills hold, so every
receipt is in exactly one batch, at one place, and nothing else is in any.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from contracts import bindings, receipts
from contracts.bindings import CLAWED_BACK_TOPIC, MINTED_TOPIC, TRANSFER_TOPIC, ClawedBack, Minted
from contracts.rpc import Rpc, from_hex, from_quantity, to_hex
from indexer import store
from indexer.follow import follow
from indexer.metrics import Metrics
from indexer.store import Deployed
from tests.faults.world import Shop, World
from tests.indexer.mirror import Contents, contents, require_sound

CHAIN_ID = 31337


async def require_exactly_once(world: World) -> int:
    """Drains, stops the clock and judges. Returns how many purchases were minted exactly once."""
    await settle(world)
    async with Rpc(world.node.anvil.url, timeout=60.0) as rpc:
        for shop in world.shops:
            await _require_minted_once(world, rpc, shop)
            await _require_taken_back_once(rpc, shop)
            await _require_balances(rpc, shop)
        await _require_nonces(world, rpc)
    await _require_mirror(world)
    await _require_rows(world)
    return sum(len(shop.sales) for shop in world.shops)


async def require_told(world: World, shop: Shop, *, seconds: float = 600.0) -> None:
    """Every purchase of the shop was told as final, at least once: what a killed notifier had taken comes again."""

    async def told() -> bool:
        events = (json.loads(body) for _, body in world.receiver.taken)
        heard = {event["data"]["purchase"] for event in events if event["type"] == "purchase.final"}
        return heard >= {sale.id for sale in shop.sales.values()}

    await world.until(told, seconds=seconds, what="every purchase of a shop was told as final", pause=1.0)


async def settle(world: World, *, seconds: float = 120.0) -> None:
    """Until nothing is under way, then no more blocks, then until the mirror stands at the head."""
    await world.until(world.drained, seconds=seconds, what="everything is drained")
    world.node.ticking = False
    await world.node.mine()
    head = await world.node.ask("eth_getBlockByNumber", "latest", False)

    async def there() -> bool:
        return await world.rows("select next_block - 1, tip from mirror.cursor") == [
            (int(head["number"], 16), from_hex(head["hash"]))
        ]

    await world.until(there, seconds=seconds, what="the mirror is at the head")


async def _require_minted_once(world: World, rpc: Rpc, shop: Shop) -> None:
    minted = [Minted.from_log(*log) for log in await _logs(rpc, shop.programme, MINTED_TOPIC)]
    assert [each.batch for each in minted] == list(range(1, len(minted) + 1)), "a batch is missing, or was minted twice"
    assert len(minted) == await _number(rpc, shop.programme, bindings.points_next_batch()) - 1
    transfers = await _logs(rpc, shop.programme, TRANSFER_TOPIC)
    earned = Counter((topics[2][12:], int.from_bytes(data)) for topics, data in transfers if not any(topics[1]))
    promised = Counter((sale.holder, sale.points) for sale in shop.sales.values())
    assert earned == promised, f"lost {promised - earned}, double {earned - promised}"
    places = await world.rows(
        "select reference, batch_number, batch_index from exchange.purchase where merchant_id = %s"
        " order by batch_number, batch_index",
        shop.id,
    )
    assert {reference for reference, _, _ in places} == set(shop.sales), "accepted, and never answered"
    batches: dict[int, list[bytes]] = defaultdict(list)
    for reference, batch, index in places:
        sale = shop.sales[reference]
        assert index == len(batches[batch])
        leaf = receipts.leaf(
            chain_id=CHAIN_ID, token=shop.programme, batch=batch, index=index, holder=sale.holder, amount=sale.points,
            purchase=sale.commitment,
        )  # fmt: skip
        batches[batch].append(leaf)
    assert {each.batch: each.receipts_root for each in minted} == {
        batch: receipts.root(leaves) for batch, leaves in batches.items()
    }, "a batch holds other receipts than those that were answered"


async def _require_taken_back_once(rpc: Rpc, shop: Shop) -> None:
    made = [ClawedBack.from_log(*log) for log in await _logs(rpc, shop.programme, CLAWED_BACK_TOPIC)]
    assert sum(each.burned + each.shortfall for each in made) == sum(shop.refunds.values())
    assert len(made) == sum(1 for points in shop.refunds.values() if points)
    supply = await _number(rpc, shop.programme, bindings.points_total_supply())
    assert supply == sum(sale.points for sale in shop.sales.values()) - sum(each.burned for each in made)


async def _require_balances(rpc: Rpc, shop: Shop) -> None:
    """The sum of all holders' balances, asked one by one, is the supply."""
    holders = sorted({sale.holder for sale in shop.sales.values()})
    calls = [
        ("eth_call", ({"to": to_hex(shop.programme), "data": to_hex(bindings.points_balance_of(account=h))}, "latest"))
        for h in holders
    ]
    held = [from_quantity(str(answer)) for answer in await rpc.batch(calls)]
    assert sum(held) == await _number(rpc, shop.programme, bindings.points_total_supply())


async def _require_nonces(world: World, rpc: Rpc) -> None:
    """Every nonce of the chain is one of ours, unless somebody else used the key; and none is stored twice."""
    for signer, stored in await world.rows("select address, next_nonce from exchange.signer"):
        chain = int(await rpc.call("eth_getTransactionCount", to_hex(signer), "latest"), 16)
        assert chain >= stored, f"{stored - chain} nonces of {signer.hex()} were signed and are not on the chain"


async def _require_rows(world: World) -> None:
    """The database agrees with the chain, and nothing of ours is left in doubt."""
    assert (
        await world.rows("select kind, failure from exchange.call where failure is not null and state = 'placed'") == []
    )
    assert await world.rows("select distinct paused from exchange.signer") == [(None,)]
    assert await world.rows("select scope, key from exchange.idempotency group by 1, 2 having count(*) > 1") == []


async def _require_mirror(world: World) -> None:
    """Sound, and row for row what an indexer that saw none of it makes of the chain."""
    async with await store.connect(world.postgres.url) as connection:
        await require_sound(connection)
        held = await contents(connection)
    fresh = await fresh_mirror(world)
    for table, rows in held.items():
        assert rows == fresh[table], f"mirror.{table} differs from a fresh one"


async def fresh_mirror(world: World) -> Contents:
    """What a mirror begun now holds once it has caught up, in a database of its own."""
    found = world.deployment
    deployed = Deployed(found.chain_id, found.factory, found.exchange, found.first_block)
    url = urlunsplit(urlsplit(world.postgres.url)._replace(path="/fresh"))
    async with await psycopg.AsyncConnection.connect(world.postgres.url, autocommit=True) as admin:
        await admin.execute("drop database if exists fresh with (force)")
        await admin.execute("create database fresh")
    async with Rpc(world.node.anvil.url, timeout=60.0) as rpc:
        head = int(await rpc.call("eth_blockNumber"), 16)
        work = asyncio.create_task(follow(database_url=url, rpc=rpc, deployed=deployed, metrics=Metrics(), poll=0.02))
        try:
            async with await store.connect(url) as connection, asyncio.timeout(120):
                while not await _stands_at(connection, deployed, head):
                    if work.done():
                        work.result()
                    await asyncio.sleep(0.05)
                return await contents(connection)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def _stands_at(connection: store.Connection, deployed: Deployed, head: int) -> bool:
    exists = await (await connection.execute("select to_regclass('mirror.cursor')")).fetchone()
    if exists is None or exists[0] is None:
        return False
    cursor = await store.read_cursor(connection, deployed)
    return cursor is not None and cursor.next_block == head + 1


async def _logs(rpc: Rpc, address: bytes, topic: bytes) -> list[tuple[list[bytes], bytes]]:
    found: list[dict[str, Any]] = await rpc.call(
        "eth_getLogs", {"address": to_hex(address), "topics": [to_hex(topic)], "fromBlock": "0x0", "toBlock": "latest"}
    )
    return [([from_hex(each) for each in log["topics"]], from_hex(log["data"])) for log in found]


async def _number(rpc: Rpc, to: bytes, data: bytes) -> int:
    return int(await rpc.call("eth_call", {"to": to_hex(to), "data": to_hex(data)}, "latest"), 16)
