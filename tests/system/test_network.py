"""What a newcomer is promised of `make up`, on the running network: real data, an outsider's tool, kills, a restart."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx2 as httpx
import psycopg
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from scripts.node import tool
from tests.system.network import Network

WEEKS = 3
PROCESSES = ("chain", "gateway", "relayer", "indexer", "postgres")


def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.2)


def cast(network: Network, *arguments: str) -> str:
    """What Foundry's `cast`, which knows nothing of us, reads from the chain."""
    command = [str(tool("cast")), "call", "--rpc-url", network.rpc_url, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def base_units(points: str) -> int:
    whole, _, hundredths = points.partition(".")
    return int(whole) * 100 + int(hundredths.ljust(2, "0") or "0")


@dataclass(frozen=True)
class Till:
    """A merchant of the tests' own, so that the sample merchants' points stay what the data says, and a wallet."""

    network: Network
    key: str
    programme: str
    wallet: LocalAccount

    def sell(self, reference: str, amount: str) -> httpx.Response:
        body = {
            "reference": reference, "member": "wallet", "amount": amount, "currency": "EUR", "store": "Main Street 1",
            "purchased_at": "2026-01-02T12:00:00Z",
        }  # fmt: skip
        return self.network.post("/v1/purchases", body, key=self.key, once=reference)

    def is_minted(self, purchase: str) -> bool:
        return self.network.get(f"/v1/purchases/{purchase}", key=self.key)["status"] in ("confirmed", "final")

    def holds(self) -> int:
        """Base units, by an outsider's tool."""
        held = cast(self.network, self.programme, "balanceOf(address)(uint256)", self.wallet.address)
        return int(held.split()[0])

    def sign(self, wish: dict[str, str]) -> str:
        """Draft, sign and send an intent, as a wallet does; its id."""
        asked = {"programme": "till", "holder": self.wallet.address, **wish}
        draft = httpx.post(f"{self.network.url}/v1/intents/draft", json=asked).json()
        signature = self.wallet.sign_typed_data(full_message=draft["typed_data"]).signature.hex()
        signed = {**asked, "nonce": draft["nonce"], "deadline": draft["deadline"], "signature": f"0x{signature}"}
        answer = httpx.post(f"{self.network.url}/v1/intents", json=signed)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def has_taken_effect(self, intent: str) -> bool:
        return self.network.get(f"/v1/intents/{intent}")["status"] in ("confirmed", "final")


@pytest.fixture(scope="session")
def till(network: Network) -> Till:
    operator = network.settings["POINTS_OPERATOR_API_KEY"]
    merchant = {
        "slug": "till", "name": "Test Till", "symbol": "TILL", "currency": "EUR", "points_per_unit": "2",
        "quote": {"bid": "0.0099", "ask": "0.0100"}, "margin": "1000.00", "pin_from": "never",
    }  # fmt: skip
    made = network.post("/v1/merchants", merchant, key=operator, once="till").json()
    wallet = Account.create()
    customer = {"member": "wallet", "wallet": wallet.address}
    assert network.post("/v1/customers", customer, key=made["api_key"], once="wallet").status_code == 201
    until(lambda: network.get(f"/v1/merchants/{made['id']}", key=made["api_key"])["status"] == "active")
    return Till(network, made["api_key"], made["programme"], wallet)


def test_the_first_week_is_replayed_and_data_chain_and_mirror_agree(network: Network) -> None:
    said = network.output.read_text()
    assert "950 purchases" in said
    assert "NO" not in [word.strip() for line in said.splitlines() for word in line.split("│")]


def test_an_outsiders_tool_reads_the_same_ledger_as_the_api(network: Network) -> None:
    programme = network.partner("grocer")["programme"]
    offered = next(each for each in network.get("/v1/programmes")["programmes"] if each["slug"] == "grocer")
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"]) as connection:
        row = connection.execute(
            "select holder from mirror.balance where programme = %s order by amount desc limit 1",
            (bytes.fromhex(programme[2:]),),
        ).fetchone()
    assert row is not None
    holder = f"0x{row[0].hex()}"
    balances = network.get(f"/v1/holders/{holder}/balances")["balances"]
    held = next(each for each in balances if each["programme"].lower() == programme)
    assert cast(network, programme, "name()(string)") == f'"{offered["name"]}"'
    assert int(cast(network, programme, "totalSupply()(uint256)").split()[0]) == base_units(offered["supply"])
    assert int(cast(network, programme, "balanceOf(address)(uint256)", holder).split()[0]) == base_units(held["points"])


def test_a_wallet_earns_spends_and_gives_without_gas(till: Till) -> None:
    sold = till.sell("receipt-1", "12.34")
    assert sold.status_code == 201, sold.text
    assert sold.json()["points"] == "24.68"
    until(lambda: till.is_minted(sold.json()["id"]))
    traced = till.network.points("trace", sold.json()["id"])
    stations = [line.split()[0] for line in traced.communicate(timeout=60)[0].splitlines()]
    assert stations == ["accepted", "batch", "call", "transaction", "attempt", "block"]
    assert till.holds() == 2468
    sent = till.sign({"kind": "send", "amount": "4.68", "to": Account.create().address})
    until(lambda: till.has_taken_effect(sent))
    given = till.sign({"kind": "give", "amount": "10.00", "charity": "food-bank"})
    until(lambda: till.has_taken_effect(given))
    assert till.holds() == 1000


def test_a_purchase_is_refunded_as_far_as_its_points_are_still_there(network: Network, till: Till) -> None:
    """Ten points of the first purchase are left of 24.68: the rest was sent and given away before."""
    purchase = network.get("/v1/purchases?reference=receipt-1", key=till.key)["id"]
    path = f"/v1/purchases/{purchase}/refunds"

    def refunds() -> list[dict[str, str]]:
        return list(network.get(path, key=till.key)["refunds"])

    part = network.post(path, {"reference": "refund-1", "amount": "3.00"}, key=till.key, once="refund-1")
    assert (part.status_code, part.json()["points"]) == (201, "6.00")
    assert network.post(path, {"reference": "refund-2"}, key=till.key, once="refund-2").json()["amount"] == "9.34"
    until(lambda: {each["status"] for each in refunds()} <= {"confirmed", "final"})
    assert [(each["burned"], each["shortfall"]) for each in refunds()] == [("6.00", "0.00"), ("4.00", "14.68")]
    assert till.holds() == 0


def test_a_purchase_made_while_the_node_is_down_is_accepted_and_minted_later(network: Network, till: Till) -> None:
    before, held = network.pid("chain"), till.holds()
    network.kill("chain")
    sold = till.sell("receipt-2", "1.00")
    assert sold.status_code == 201, sold.text
    until(lambda: network.pid("chain") != before)
    until(lambda: till.is_minted(sold.json()["id"]))
    # The node came back without its last blocks: what they held is on the chain again, too.
    until(lambda: till.holds() == held + 200)


def killed_replay(network: Network, *, weeks: int, names: Sequence[str], seconds: float, chance: random.Random) -> str:
    """A replay under kill -9 of `names`, one after another with `seconds` between, more or less; what it printed."""
    replay = network.points("replay", "complete-journey", "--weeks", str(weeks))
    for name in names:
        time.sleep(seconds * chance.uniform(0.5, 1.5))
        if replay.poll() is not None:
            break
        network.kill(name)
        print(f"killed {name}")  # noqa: T201
    said, _ = replay.communicate(timeout=1_800)
    assert replay.returncode == 0, said
    return said


def test_a_replay_through_kills_of_every_process_ends_with_all_columns_equal(network: Network) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    weeks, kills = int(os.environ.get("WEEKS", WEEKS)), int(os.environ.get("KILLS", len(PROCESSES)))
    chance = random.Random(seed)
    names = [PROCESSES[place % len(PROCESSES)] for place in range(kills)]
    chance.shuffle(names)
    print(f"SEED={seed} WEEKS={weeks} KILLS={kills}")  # noqa: T201
    said = killed_replay(network, weeks=weeks, names=names, seconds=2.0, chance=chance)
    print(said)  # noqa: T201


def test_a_second_replay_adds_nothing(network: Network) -> None:
    said, _ = network.points("replay", "complete-journey", "--weeks", str(WEEKS)).communicate(timeout=600)
    assert "minted anew: 0." in " ".join(said.split()), said


def test_a_stopped_network_goes_on_where_it_was(network: Network, till: Till) -> None:
    held = till.holds()
    assert network.stop() == 0
    assert "Everything is stopped" in network.output.read_text()
    network.start("--no-samples")
    assert till.holds() == held
    sold = till.sell("receipt-3", "2.00")
    until(lambda: till.is_minted(sold.json()["id"]))
    assert till.holds() == held + 400
