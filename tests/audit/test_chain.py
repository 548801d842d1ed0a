"""Blocks from a real node that carry the real contracts: everything is there, and nothing that was changed."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from contracts import bindings
from contracts.errors import UnknownMethod
from contracts.rpc import Call, from_hex
from scripts.audit import chain
from scripts.audit.acts import Network
from scripts.audit.chain import Anchor, NoAnchor
from scripts.audit.endpoint import Endpoint
from scripts.audit.evidence import Block
from scripts.audit.record import Record
from tests.conftest import Anvil, free_port
from tests.contracts.node import NodeChain
from tests.contracts.world import Programme, World, make_world, person

STRANGER = 7
LIES = int(os.environ.get("LIES", "60"))


@dataclass
class History:
    """A chain on which something happened, and from which block on. `coffee` was created in a block with its mint."""

    url: str
    world: World
    first: int
    coffee: Programme
    books: Programme

    def network(self, *programmes: bytes) -> Network:
        world = self.world
        return Network(world.chain.id, world.factory, world.exchange, world.settlement, self.first, set(programmes))


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    node = Anvil(free_port(), ("--hardfork", "osaka"))
    node.start()
    try:
        yield _live(node.url)
    finally:
        node.kill()


def _live(url: str) -> History:
    node = NodeChain.at(url)
    node._request("anvil_mine", "0x3")
    first = node.web3.eth.block_number + 1
    world = make_world(chain=node)
    coffee, books = (
        world.trading("coffee", bid=10**15, ask=10**15, margin=10**12),
        world.trading("books", bid=10**15, ask=10**15),
    )
    world.partners(coffee, books)
    ann, ben = person("ann"), person("ben")
    for number in range(3):
        coffee.mint(*[(person(f"{number}/{each}"), 100 + each) for each in range(40)], (ann, 5_000))
    node.web3.eth.send_transaction(
        {"from": node.web3.eth.accounts[STRANGER], "to": node.web3.eth.accounts[STRANGER + 1]}
    )
    node.do(coffee.address, coffee.send_call(ann, ben.address, 70))
    node.do(coffee.address, coffee.redeem_call(ann, 30, nonce=1))
    node.do(world.exchange, world.swap_call(coffee, books, ann, 300, nonce=2))
    node._request("evm_setAutomine", False)
    for place in range(20):  # of which some fail: their nonces are used up
        call = coffee.send_call(ann, ben.address, 1, nonce=3 + place % 15)
        node.web3.eth.send_transaction(node._whole(coffee.address, call, place % 3))
    node._request("evm_mine")
    node._request("evm_setAutomine", True)
    node._request("anvil_mine", "0x5")
    return History(url, world, first, coffee, books)


def _honest(call: Call, answer: Any) -> Any:
    return answer


class Asked:
    """A node through which every question passes; `change` may change an answer."""

    def __init__(self, node: Endpoint, change: Callable[[Call, Any], Any] = _honest) -> None:
        self.node = node
        self.change = change
        self.calls: list[Call] = []

    async def ask(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        self.calls += calls
        answers = await self.node.ask(calls)
        return [
            msgspec.Raw(json.dumps(self.change(call, json.loads(bytes(answer)))).encode())
            for call, answer in zip(calls, answers, strict=True)
        ]


@dataclass
class Seen:
    record: Record = field(default_factory=Record)
    blocks: list[Block] = field(default_factory=list)
    anchor: Anchor | None = None
    calls: list[Call] = field(default_factory=list)


def look(
    history: History,
    *,
    change: Callable[[Call, Any], Any] = _honest,
    network: Network | None = None,
    parent: bytes | None = None,
    heed: bool = True,
) -> Seen:
    """All blocks up to the newest, which is the anchor as an honest node tells it."""
    seen = Seen()
    known = network or history.network()

    async def walk() -> None:
        async with Endpoint(history.url, waits=()) as endpoint:
            seen.anchor = await chain.anchor([endpoint], await _newest(endpoint))
            node = Asked(endpoint, change)
            async for block in chain.blocks(
                node, first=history.first, anchor=seen.anchor, network=known, record=seen.record, parent=parent
            ):
                seen.blocks.append(block)
                if heed:
                    _heed(block, known)
            seen.calls = node.calls

    asyncio.run(walk())
    return seen


async def _newest(endpoint: Endpoint) -> bytes:
    [answer] = await endpoint.ask([("eth_getBlockByNumber", ["latest", False])])
    return from_hex(msgspec.json.decode(answer)["hash"])


def _heed(block: Block, network: Network) -> None:
    """As the auditor does it: programmes are known once the block was looked at that created them."""
    for transaction in block.transactions:
        for log in transaction.logs:
            if log.address == network.factory and log.topics[0] == bindings.PROGRAMME_CREATED_TOPIC:
                network.programmes.add(bindings.ProgrammeCreated.from_log(log.topics, log.data).programme)


def _logs(blocks: Sequence[Block], network: Network) -> list[tuple[Any, ...]]:
    """Settlement tokens that others send each other are nobody's business."""
    addresses, settlement, exchange = network.addresses, network.settlement, bytes(12) + network.exchange
    return [
        (block.number, transaction.index, transaction.hash, log.index, log.address, log.topics, log.data)
        for block in blocks
        for transaction in block.transactions
        for log in transaction.logs
        if log.address in addresses and (log.address != settlement or exchange in log.topics)
    ]


def _served(history: History, network: Network) -> list[tuple[Any, ...]]:
    node, settlement, exchange = history.world.chain, network.settlement, bytes(12) + network.exchange
    assert isinstance(node, NodeChain)
    wanted = [f"0x{address.hex()}" for address in network.addresses]
    answer = node._request("eth_getLogs", {"fromBlock": hex(history.first), "toBlock": "latest", "address": wanted})
    return [
        (
            int(log["blockNumber"], 16),
            int(log["transactionIndex"], 16),
            from_hex(log["transactionHash"]),
            int(log["logIndex"], 16),
            from_hex(log["address"]),
            [from_hex(topic) for topic in log["topics"]],
            from_hex(log["data"]),
        )
        for log in answer
        if from_hex(log["address"]) != settlement or exchange in map(from_hex, log["topics"])
    ]


def test_every_log_of_ours_since_the_deployment_is_there_and_in_its_place(history: History) -> None:
    known = history.network()
    seen = look(history, network=known)
    assert (seen.record.findings, seen.record.doubts) == ([], [])
    assert known.programmes == {history.coffee.address, history.books.address}
    logs = _logs(seen.blocks, known)
    assert len(logs) > 150
    assert logs == _served(history, known)


def test_the_history_is_proved_once_the_trusted_hash_is_reached(history: History) -> None:
    seen = look(history)
    assert seen.anchor is not None
    assert [block.number for block in seen.blocks] == [*range(history.first, seen.anchor.number + 1)]
    assert (seen.blocks[-1].hash, seen.blocks[-1].state_root) == (seen.anchor.hash, seen.anchor.state_root)
    assert all(block.parent == before.hash for before, block in zip(seen.blocks, seen.blocks[1:], strict=False))
    assert seen.record.tallies["history"].proved == len(seen.blocks)


def test_a_programme_is_heard_from_the_very_block_on_that_creates_it(history: History) -> None:
    created = look(history, heed=False).blocks
    others = {log.address for block in created for transaction in block.transactions for log in transaction.logs}
    assert history.coffee.address not in others  # nobody heeded that it was created, and none of its blocks came by
    assert {log.address for log in _creation(look(history).blocks, history.coffee.address)} >= {history.world.factory}


def _creation(blocks: Sequence[Block], programme: bytes) -> list[Any]:
    return next(
        transaction.logs
        for block in blocks
        for transaction in block.transactions
        if any(bytes(12) + programme in log.topics for log in transaction.logs)
    )


def test_blocks_in_which_nothing_of_ours_can_have_happened_are_not_asked_for(history: History) -> None:
    seen = look(history)
    asked = {call[1][0] for call in seen.calls if call[0] == "eth_getBlockReceipts"}
    heard = {f"0x{block.hash.hex()}" for block in seen.blocks if any(one.logs for one in block.transactions)}
    assert heard <= asked
    assert len(asked) < len(seen.blocks)


def test_another_block_before_the_first_than_the_one_that_is_known_is_found(history: History) -> None:
    assert look(history, parent=look(history).blocks[0].parent).record.findings == []
    [finding] = look(history, parent=bytes(32)).record.findings
    assert (finding.check, finding.place) == ("history", {"block": history.first})


def test_a_chain_that_leads_to_another_hash_than_the_trusted_one_is_found(history: History) -> None:
    anchor = look(history).anchor
    assert anchor is not None
    record = Record()

    async def walk() -> list[Block]:
        async with Endpoint(history.url, waits=()) as endpoint:
            other = Anchor(anchor.number, bytes(32), anchor.state_root, anchor.time)
            walked = chain.blocks(endpoint, first=history.first, anchor=other, network=history.network(), record=record)
            return [block async for block in walked]

    assert len(asyncio.run(walk())) == anchor.number - history.first
    assert record.findings[0].place == {"block": anchor.number}
    assert record.tallies["history"].proved == 0


def test_where_nothing_is_new_nothing_is_doubted(history: History) -> None:
    anchor = look(history).anchor
    assert anchor is not None

    async def walk(record: Record, parent: bytes | None) -> list[Block]:
        async with Endpoint(history.url, waits=()) as endpoint:
            walked = chain.blocks(
                endpoint,
                first=anchor.number + 1,
                anchor=anchor,
                network=history.network(),
                record=record,
                parent=parent,
            )
            return [block async for block in walked]

    for parent, doubts in ((anchor.hash, 0), (None, 1), (bytes(32), 1)):
        record = Record()
        assert asyncio.run(walk(record, parent)) == []
        assert (record.findings, len(record.doubts)) == ([], doubts)


HASHED = {
    "eth_getBlockByNumber": {
        "hash", "transactions", "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot",
        "logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
        "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
    },
    "eth_getBlockReceipts": {"type", "status", "cumulativeGasUsed", "logsBloom", "logs", "address", "topics", "data"},
}  # fmt: skip


def _places(answer: Any, names: set[str], *, taken: bool = False) -> Iterator[tuple[Any, Any]]:
    """Where a text stands in the answer that is hashed, or must be: (container, key)."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name in names:
                yield from [(answer, name)] if isinstance(value, str) else _places(value, names, taken=True)
    elif isinstance(answer, list):
        for index, value in enumerate(answer):
            if isinstance(value, str) and taken:
                yield answer, index
            else:
                yield from _places(value, names)


@dataclass
class Lie:
    """Changes one thing in one answer, `at` the how manieth of a method; what it did is in `told`."""

    method: str
    at: int
    used: set[str]  # blocks whose list of transactions is looked at
    random: random.Random
    told: str = ""
    count: int = 0

    def __call__(self, call: Call, answer: Any) -> Any:
        if call[0] != self.method or answer is None:
            return answer
        self.count += 1
        if self.count != self.at:
            return answer
        before = json.dumps(answer)
        changed = self._changed(answer)
        self.told = f"{call}: {before[:90]} -> {json.dumps(changed)[:90]}"
        assert before != json.dumps(changed)
        return changed

    def _changed(self, answer: Any) -> Any:
        if isinstance(answer, str):
            return self._other(answer)
        if isinstance(answer, list):
            lists = [answer, *[receipt["logs"] for receipt in answer]]
        elif answer["hash"] in self.used:
            lists = [answer["transactions"]]
        else:
            lists, answer["transactions"] = [], []
        if any(lists) and self.random.random() < 0.3:
            chosen = self.random.choice([each for each in lists if each])
            place = self.random.randrange(len(chosen))
            if self.random.random() < 0.5:
                del chosen[place]
            else:
                chosen.insert(place, chosen[place])
            return answer
        container, key = self.random.choice([*_places(answer, HASHED[self.method])])
        container[key] = self._other(container[key])
        return answer

    def _other(self, text: str) -> str:
        """Another digit, or one more where nothing but "0x" stands."""
        if len(text) == 2:
            return text + "00"
        place = self.random.randrange(2, len(text))
        other = self.random.choice([digit for digit in "0123456789abcdef" if digit != text[place].lower()])
        return text[:place] + other + text[place + 1 :]


@pytest.mark.parametrize("seed", range(LIES))
def test_whatever_a_node_changes_in_an_answer_is_found_or_not_believed(history: History, seed: int) -> None:
    dice = random.Random(seed)
    honest = look(history)
    method = dice.choice(["eth_getBlockByNumber", "eth_getBlockReceipts", chain.BY_PLACE])
    used = {str(call[1][0]) for call in honest.calls if call[0] == "eth_getBlockReceipts"}
    lie = Lie(method, dice.randint(1, sum(call[0] == method for call in honest.calls)), used, dice)
    seen = look(history, change=lie)
    assert lie.told, "nothing was changed"
    assert seen.record.exit_code in (1, 2), lie.told
    assert seen.record.tallies["history"].proved == 0, lie.told


@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_getBlockReceipts", chain.BY_PLACE])
def test_what_a_node_does_not_have_is_doubted_and_not_said_to_be_wrong(history: History, method: str) -> None:
    seen = look(history, change=lambda call, answer: None if call[0] == method else answer)
    assert seen.record.findings == []
    assert [doubt.check for doubt in seen.record.doubts] == ["history"]
    assert seen.record.tallies["history"].proved == 0


class Without:
    """A node that does not know some methods."""

    def __init__(self, node: Endpoint, *methods: str) -> None:
        self.node = node
        self.methods = methods

    async def ask(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        if any(call[0] in self.methods for call in calls):
            raise UnknownMethod(-32601, "method not found")
        return await self.node.ask(calls)


@pytest.mark.parametrize(("missing", "doubts"), [((chain.BY_PLACE,), 0), ((chain.BY_PLACE, chain.BY_HASH), 1)])
def test_raw_transactions_are_asked_for_in_the_way_that_the_node_serves(
    history: History, missing: tuple[str, ...], doubts: int
) -> None:
    record, known = Record(), history.network()
    hashes = [transaction.hash for block in look(history).blocks for transaction in block.transactions]

    async def walk() -> list[bytes]:
        async with Endpoint(history.url, waits=()) as endpoint:
            anchor = await chain.anchor([endpoint], await _newest(endpoint))
            told: list[bytes] = []
            async for block in chain.blocks(
                Without(endpoint, *missing), first=history.first, anchor=anchor, network=known, record=record
            ):
                told += [transaction.hash for transaction in block.transactions]
                _heed(block, known)
            return told

    assert asyncio.run(walk()) == hashes
    assert (record.findings, len(record.doubts)) == ([], doubts)


def test_the_anchor_is_the_hash_that_is_trusted_or_what_all_nodes_call_final(history: History) -> None:
    async def anchored(*changes: Callable[[Call, Any], Any], wanted: bytes | None = None) -> Anchor:
        async with Endpoint(history.url, waits=()) as endpoint:
            return await chain.anchor([Asked(endpoint, change) for change in changes], wanted)

    def ahead(call: Call, answer: Any) -> Any:
        return {**answer, "number": hex(10**6)} if call[1][0] == "finalized" else answer

    def other(call: Call, answer: Any) -> Any:
        return {**answer, "gasUsed": "0x123"}

    newest = look(history).anchor
    assert newest is not None
    assert asyncio.run(anchored(_honest, wanted=newest.hash)) == newest
    final = asyncio.run(anchored(_honest))
    assert final.number < newest.number
    assert asyncio.run(anchored(_honest, ahead)) == final
    for changes, wanted in (((other,), newest.hash), ((_honest, other), None), ((_honest,), bytes(32))):
        with pytest.raises(NoAnchor):
            asyncio.run(anchored(*changes, wanted=wanted))
