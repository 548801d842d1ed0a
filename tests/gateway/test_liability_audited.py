"""The gateway and the auditor, each by its own way from the same node, tell the same lines byte for byte."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts import deployment
from contracts.rpc import Rpc
from exchange.liability import MARGIN, POINTS
from indexer import store
from indexer.store import Deployed
from scripts.audit.acts import acts
from scripts.audit.evidence import Block
from scripts.audit.liability import Books, as_csv, as_json
from scripts.audit.record import Record
from tests.audit import market
from tests.audit.lives import Life, Lives
from tests.conftest import Anvil
from tests.gateway.conftest import Client, Shop
from tests.indexer.network import Network
from tests.indexer.test_follow import caught_up, following

SEED = os.environ.get("SEED") or secrets.token_hex(4)


async def of_programme(client: Client, shop: Shop, programme: bytes) -> None:
    """The shop's programme is from now on this one."""
    client.chain.run("update exchange.merchant set programme = %s where id = %s", programme, shop.id)


async def get(client: Client, shop: Shop, start: date, to: date, **more: Any) -> Any:
    answer = await client.http.get(
        f"/v1/merchants/{shop.id}/liability",
        params={"from": start.isoformat(), "to": to.isoformat(), **more},
        headers=client.operator,
    )
    assert answer.status_code == 200, answer.text
    return answer


EVERY_KIND = {"Minted", "Redeemed", "Swapped", "Given", "Expired", "ClawedBack", "Recovered", "Deposited", "Withdrawn"}


@pytest.fixture(scope="module")
def life() -> Iterator[tuple[Lives, Life]]:
    """A random life of a network, as the contracts' twin draws them, in which all happens that moves points."""
    print(f"SEED={SEED}")  # noqa: T201
    with Lives.on_a_node() as lives:
        for number in itertools.count():
            lived = lives.live(f"{SEED}/{number}", 400)
            told = (act for block in lived.blocks for act in acts(block, lived.network, Record()))
            if {type(act.event).__name__ for act in told} >= EVERY_KIND:
                break
        yield lives, lived


def every_block(lives: Lives, life: Life) -> Iterator[Block]:
    """Those without logs, too, from the first on."""
    web3, logged = lives.chain.web3, {block.number: block for block in life.blocks}
    for number in range(1, web3.eth.block_number + 1):
        header = web3.eth.get_block(number)
        known = logged.get(number)
        yield Block(
            number, bytes(header["hash"]), bytes(header["parentHash"]), header["timestamp"], b"",
            [] if known is None else known.transactions,
        )  # fmt: skip


@pytest.mark.asyncio
async def test_whatever_happens_on_a_real_chain_the_auditor_tells_the_gateways_lines(
    client: Client, life: tuple[Lives, Life]
) -> None:
    lives, lived = life
    known = lived.network
    deployed = Deployed(known.chain_id, known.factory, known.exchange, 1)
    blocks = list(every_block(lives, lived))
    async with Rpc(lives.chain.url) as rpc, await store.connect(client.settings.database_url) as connection:
        node = _Followed(lives.chain.url, rpc, deployed)
        async with following(client.settings.database_url, node, deployed=deployed) as work:  # type: ignore[arg-type]
            await caught_up(connection, node, work)  # type: ignore[arg-type]
    shop = await client.shop(live=False)
    first = datetime.fromtimestamp(blocks[0].time, UTC).date()
    last = datetime.fromtimestamp(blocks[-1].time, UTC).date()
    moved: set[str] = set()
    for token in sorted(known.programmes):
        await of_programme(client, shop, token)
        for block in (None, len(blocks) // 2):
            books, network = Books(token), lived.network
            for each in blocks[:block]:
                books.enter(each, acts(each, network, Record()))
            for start, to, per in (
                (first, last + timedelta(days=1), "month"),
                (last - timedelta(days=99), last, "day"),
            ):
                lines = books.lines(start, to, per)  # type: ignore[arg-type]
                how = {"per": per} if block is None else {"per": per, "block": block}
                assert (await get(client, shop, start, to, format="csv", **how)).content == as_csv(lines)
                told = await get(client, shop, start, to, **how)
                assert told.content.startswith(as_json(books, per, lines)[:-1] + b',"final":')  # type: ignore[arg-type]
                moved |= {name for line in lines for name in (*POINTS, *MARGIN) if float(str(line[name])) != 0}
    assert moved >= {*POINTS, "deposited", "withdrawn", "swaps_paid", "swaps_received", "gifts"}


class _Followed:
    """What `following` and `caught_up` need of a network."""

    def __init__(self, url: str, rpc: Rpc, deployed: Deployed) -> None:
        self.node = type("Node", (), {"url": url})
        self.rpc = rpc
        self.deployed = deployed

    head = Network.head


@pytest.mark.asyncio
async def test_the_command_proves_the_lines_from_a_node_and_prints_them(
    client: Client, new_anvil: Callable[..., Anvil], tmp_path: Path
) -> None:
    async with market.opened(new_anvil(), tmp_path, seed=SEED) as opened:
        await opened.trade(20)
        made, network = opened.network.deployment, opened.network
        file = tmp_path / "deployment.json"
        deployment.save(made, file)
        url = client.settings.database_url
        async with await store.connect(url) as connection, following(url, network) as work:
            await caught_up(connection, network, work)
        shop = await client.shop(live=False)
        head, newest = await network.head()
        today = datetime.now(UTC).date()
        start, to = today - timedelta(days=40), today + timedelta(days=2)
        for programme in opened.programmes:
            await of_programme(client, shop, programme)
            asked = [
                "--programme", f"0x{programme.hex()}", "--from", str(start), "--to", str(to), "--rpc", network.node.url,
                "--deployment", str(file), "--data", str(tmp_path), "--block", f"0x{newest.hex()}",
            ]  # fmt: skip
            told = await get(client, shop, start, to, block=head)
            assert (await command(*asked)).startswith(told.content.partition(b',"final":')[0])
            told = await get(client, shop, start, to, block=head, format="csv", per="day")
            assert await command(*asked, "--csv", "--per", "day") == told.content
            assert b"earned" in told.content
        wrong = [*asked[:1], f"0x{made.exchange.hex()}", *asked[2:]]
        assert b"no programme" in await command(*wrong, code=2)
        assert b"comes after" in await command(*asked[:4], "--to", str(start), *asked[6:], code=2)


async def command(*arguments: str, code: int = 0) -> bytes:
    """What `points audit liability` prints on stdout."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "scripts.cli", "audit", "liability", *arguments], capture_output=True
    )
    assert done.returncode == code, done.stderr.decode() + done.stdout.decode()
    return done.stdout
