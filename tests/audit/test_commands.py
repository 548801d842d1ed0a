"""`points audit` as its users run it, on a real node: what it says, and exit codes that a script can use."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts import layout
from contracts.deployment import Deployment
from contracts.rpc import Rpc, to_hex
from scripts import cli
from scripts.audit import report
from tests.audit.market import PEOPLE, Market, opened
from tests.conftest import ROOT, Anvil, free_port
from tests.indexer.network import Network, holder

FINAL = 4
"""Blocks behind the head."""


@dataclass
class Place:
    """A market that has traded, in a folder of its own."""

    folder: Path
    node: Anvil
    market: Market

    @property
    def deployment(self) -> Deployment:
        return self.market.network.deployment

    def arguments(self, *arguments: str) -> list[str]:
        data = [] if arguments[:1] in (("diff",), ("check-report",)) else ["--data", str(self.folder)]
        return ["audit", *arguments, *data]

    def audit(self, *arguments: str, node: bool = True) -> tuple[int, str]:
        """Exit code and output of the command, in this process."""
        asked = ["--rpc", self.node.url, "--deployment", str(self.folder / "deployment.json")] if node else []
        told = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
            patch.setattr(sys, "argv", ["points", *self.arguments(*arguments, *asked)])
            stack.enter_context(contextlib.redirect_stdout(told))
            stack.enter_context(contextlib.redirect_stderr(told))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.getvalue()

    def do(self, act: Callable[[Network], Any]) -> None:
        async def run() -> None:
            async with Rpc(self.node.url) as rpc:
                self.market.network.rpc = rpc
                await act(self.market.network)

        asyncio.run(run())

    @property
    def first(self) -> str:
        """The hash of the genesis block."""

        async def ask() -> str:
            async with Rpc(self.node.url) as rpc:
                return str((await rpc.call("eth_getBlockByNumber", "0x0", False))["hash"])

        return asyncio.run(ask())

    def trade(self, blocks: int) -> None:
        self.do(lambda _: self.market.trade(blocks))

    def give(self, token: bytes, name: str, points: int) -> None:
        """Points out of nothing, as whoever holds the chain's disk could: storage changes, and no log says why."""
        slot = to_hex(layout.holding(holder(name)).to_bytes(32))

        async def change(network: Network) -> None:
            word = int(await network.rpc.call("eth_getStorageAt", to_hex(token), slot, "latest"), 16)
            await network.rpc.call("anvil_setStorageAt", to_hex(token), slot, to_hex((word + points).to_bytes(32)))
            await network.mine()

        self.do(change)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("market")
    node = Anvil(free_port(), ("--slots-in-an-epoch", str(FINAL // 2)), history=True)
    node.start()
    try:
        yield Place(folder, node, asyncio.run(open_market(node, folder)))
    finally:
        node.kill()


async def open_market(node: Anvil, folder: Path) -> Market:
    async with opened(node, folder, seed="commands") as market:
        await market.trade(30)
        return market


@pytest.fixture
def place(started: Place) -> Iterator[Place]:
    """As it was before the test."""

    async def ask(method: str, *parameters: object) -> Any:
        async with Rpc(started.node.url) as rpc:
            return await rpc.call(method, *parameters)

    before = asyncio.run(ask("evm_snapshot"))
    balances, batches = dict(started.market.balances), dict(started.market.network.batches)
    yield started
    started.market.balances, started.market.network.batches = balances, batches
    asyncio.run(ask("evm_revert", before))


def without_timings(path: Path) -> Any:
    told = json.loads(path.read_text())
    del told["timings"]
    return told


def test_an_honest_network_is_proved_and_a_second_audit_says_the_same_to_the_byte(place: Place) -> None:
    one, other = place.folder / "one.json", place.folder / "other.json"
    code, told = place.audit("--output", str(one))
    assert (code, "Proved:" in told) == (0, True), told
    assert "CONTRADICTED" not in told
    code, told = place.audit("--output", str(other))
    assert code == 0, told
    assert without_timings(one) == without_timings(other)
    text = one.read_text()
    assert text[: text.index('"timings"')] == other.read_text()[: other.read_text().index('"timings"')]
    code, told = place.audit("diff", str(one), str(other), node=False)
    assert (code, "0 new, 0 gone, 0 the same" in told) == (0, True), told


def test_a_bundle_is_audited_without_the_node_and_says_what_the_live_audit_said(place: Place) -> None:
    live, offline, bundle = (str(place.folder / name) for name in ("live.json", "offline.json", "market.zip"))
    code, told = place.audit("pack", bundle, "--output", live)
    assert code == 0, told
    code, told = place.audit("verify", bundle, "--output", offline, node=False)
    assert (code, "bundle's own word" in told) == (0, True), told
    assert without_timings(Path(live)) == without_timings(Path(offline))
    anchor = report.read(Path(live)).report.inputs["anchor"]["hash"]
    assert place.audit("verify", bundle, "--block", anchor, "--output", offline, node=False)[0] == 0
    code, told = place.audit("verify", bundle, "--block", "0x" + "ab" * 32, "--output", offline, node=False)
    assert (code, "is trusted" in told) == (2, True), told


def test_points_out_of_nothing_are_found_and_shown_again_by_why(place: Place) -> None:
    token = place.market.programmes[0]
    place.give(token, PEOPLE[0], 1_000_000)
    path = str(place.folder / "found.json")
    code, told = place.audit("--block", "latest", "--output", path)
    assert code == 1, told
    [found] = report.read(Path(path)).report.findings
    assert (found.check, found.place["contract"]) == ("state", to_hex(token))
    assert to_hex(holder(PEOPLE[0])) in found.message
    code, told = place.audit("why", found.id[:8], "--report", path)
    assert (code, "Found again" in told) == (1, True), told
    code, told = place.audit("why", "ffff", "--report", path)
    assert code == 2, told


def test_what_is_new_since_the_last_report_is_an_exit_code(place: Place) -> None:
    old, new = (str(place.folder / name) for name in ("old.json", "new.json"))
    assert place.audit("--block", "latest", "--output", old)[0] == 0
    place.give(place.market.programmes[1], PEOPLE[1], 5)
    assert place.audit("--block", "latest", "--output", new)[0] == 1
    code, told = place.audit("diff", old, new, node=False)
    assert (code, "1 new, 0 gone" in told) == (1, True), told
    code, told = place.audit("diff", new, old, node=False)
    assert (code, "0 new, 1 gone" in told) == (0, True), told


def test_a_report_that_was_edited_is_told_apart_from_one_that_cannot_be_read(place: Place) -> None:
    path = place.folder / "edited.json"
    assert place.audit("--output", str(path))[0] == 0
    assert place.audit("check-report", str(path), node=False)[0] == 0
    assert place.audit("check-report", str(path), "--signer", "ab" * 32, node=False)[0] == 1
    path.write_text(path.read_text().replace('"exit_code": 0', '"exit_code": 2'))
    code, told = place.audit("check-report", str(path), node=False)
    assert (code, "is not what the key" in told) == (1, True), told
    path.write_text("{}")
    assert place.audit("check-report", str(path), node=False)[0] == 2


def test_what_cannot_be_audited_is_one_sentence_and_exit_2(place: Place) -> None:
    other = str(place.folder / "other.json")
    for arguments, sentence in (
        (("--rpc", f"http://127.0.0.1:{free_port()}", "--output", other), "Cannot connect"),
        (("--block", "0x12",), "is no block's hash"),
        (("--block", "0x" + "ab" * 32), "does not know block"),
        (("--block", place.first), "older than the network"),
        (("--sample", "3", "--all"), "not both"),
        (("--receipts", "nowhere"), "no folder of receipts"),
    ):  # fmt: skip
        deployed = ("--deployment", str(place.folder / "deployment.json"))
        node = () if "--rpc" in arguments else ("--rpc", place.node.url)
        code, told = place.audit(*arguments, *deployed, *node, node=False)
        assert (code, "Traceback" in told) == (2, False), told
        assert sentence in " ".join(told.split())
    code, told = place.audit("--sample", "3", "why", "abc", node=False)
    assert (code, "behind its name" in " ".join(told.split())) == (2, True), told


def lines(watching: subprocess.Popen[str], kind: str) -> dict[str, Any]:
    """The next line of this kind."""
    assert watching.stdout is not None
    for line in watching.stdout:
        told: dict[str, Any] = json.loads(line)
        if told["kind"] == kind:
            return told
    raise AssertionError(f"it ended without {kind}: {watching.stderr.read() if watching.stderr else ''}")


def watch(place: Place, *arguments: str) -> subprocess.Popen[str]:
    asked = ("--rpc", place.node.url, "--deployment", str(place.folder / "deployment.json"), "--every", "0.1")
    command = [sys.executable, "-m", "scripts.cli", *place.arguments("watch", *asked, *arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_watch_follows_the_final_blocks_and_alarms_at_what_contradicts(place: Place) -> None:
    watching = watch(place, "--stop")
    try:
        first = lines(watching, "audited")
        place.trade(6)
        deadline = time.monotonic() + 60
        while lines(watching, "audited")["block"] < first["block"] + 6:
            assert time.monotonic() < deadline
        token = place.market.programmes[0]
        place.give(token, PEOPLE[2], 7)
        place.trade(FINAL + 1)
        alarm = lines(watching, "contradiction")
        # The node mended the state of the block before, too, which its header contradicts: either is found first.
        assert alarm["check"] in ("state", "margins"), alarm
        assert watching.wait(30) == 1
    finally:
        watching.kill()
        watching.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_ends_cleanly_when_it_is_told_to(place: Place, number: signal.Signals) -> None:
    watching = watch(place)
    try:
        lines(watching, "audited")
        watching.send_signal(number)
        _, errors = watching.communicate(timeout=30)
        assert (watching.returncode, "Traceback" in errors) == (0, False), errors
    finally:
        watching.kill()
