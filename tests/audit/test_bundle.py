"""Bundles: an audit hears from the file what it heard from the nodes, in the same order, and from nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.deployment import Deployment
from contracts.errors import RateLimited, Unavailable, UnknownBlock
from contracts.rpc import Call
from scripts.audit import bundle
from scripts.audit.options import Options

DEPLOYMENT = Deployment(31337, 1, b"\1" * 20, b"\2" * 20, b"\3" * 20, b"\4" * 20)


class Oracle:
    """A node whose answers are large, differ from each other and change with every question."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        self.asked += 1
        if calls[0][0] == "eth_getProof" and self.asked % 3 == 0:
            raise UnknownBlock(-32000, "missing trie node", b"\xab")
        if calls[0][0] == "eth_chainId":
            raise Unavailable("connection refused")
        chance = random.Random(self.asked)
        return [
            msgspec.Raw(b'{"call":"%s", "n":"%s"}' % (call[0].encode(), chance.randbytes(20_000).hex().encode()))
            for call in calls
        ]


def questions() -> list[list[Call]]:
    finalized: Call = ("eth_getBlockByNumber", ("finalized", False))
    blocks: list[Call] = [("eth_getBlockByNumber", (hex(number), True)) for number in range(40)]
    proofs: list[Call] = [("eth_getProof", ("0x01", [hex(number % 2)], "0x5")) for number in range(9)]
    return [[finalized], [("eth_chainId", ())], *[[block, finalized] for block in blocks], *[[each] for each in proofs]]


async def told(node: Any) -> list[str]:
    heard = []
    for calls in questions():
        try:
            heard.append(str([bytes(each) for each in await node.ask(calls)]))
        except (Unavailable, UnknownBlock) as error:
            heard.append(f"{type(error).__name__} {error} {getattr(error, 'data', b'').hex()}")
    return heard


@pytest.mark.asyncio
async def test_a_bundle_answers_what_the_nodes_answered_in_the_same_order(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    (receipts / "grocer").mkdir(parents=True)
    (receipts / "grocer" / "one.json").write_text('{"amount": 5}')
    asked = Options(deployment=DEPLOYMENT, block=b"\xab" * 32, receipts=receipts, sample=7, seed=3, database="unused")
    with bundle.recording(tmp_path / "bundle", asked, [Oracle(), Oracle()]) as nodes:
        heard = [await told(node) for node in nodes]
    assert any("UnknownBlock missing trie node (code -32000) ab" in each for each in heard[0])
    with bundle.opened(tmp_path / "bundle") as (options, replayed):
        assert [await told(node) for node in replayed] == heard
        assert options.receipts is not None
        assert (options.receipts / "grocer" / "one.json").read_text() == '{"amount": 5}'
        assert msgspec.structs.replace(options, receipts=receipts, database="unused") == asked
        with pytest.raises(Unavailable, match="no answer to eth_getCode"):
            await replayed[0].ask([("eth_getCode", ("0x01", "0x5"))])
    assert len((tmp_path / "bundle").read_bytes()) < sum(len(each) for node in heard for each in node)


async def break_off(path: Path) -> None:
    with bundle.recording(path, Options(deployment=DEPLOYMENT), [Oracle()]) as nodes:
        await nodes[0].ask([("eth_getCode", ("0x01", "0x5"))])
        raise RateLimited(-32005, "too many requests")


def test_an_audit_that_breaks_off_leaves_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(RateLimited):
        asyncio.run(break_off(tmp_path / "bundle"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_a_damaged_bundle_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with bundle.recording(path, Options(deployment=DEPLOYMENT), [Oracle()]) as nodes:
        await told(nodes[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(bundle.BundleUnusable), bundle.opened(path):
        pass
    garbled = bytearray(whole)
    middle = len(whole) // 2
    garbled[middle : middle + 50] = bytes(50)
    path.write_bytes(garbled)
    with bundle.opened(path) as (_, [node]), pytest.raises(bundle.BundleUnusable):
        await told(node)
    (tmp_path / "nothing").write_text("nothing")
    for other in (tmp_path / "nothing", tmp_path / "missing", tmp_path):
        with pytest.raises(bundle.BundleUnusable), bundle.opened(other):
            pass
