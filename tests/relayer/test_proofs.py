"""Proofs over HTTP, of what a real relayer brought onto a real chain; the mirror is written by hand, from the logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.bindings import MINTED_TOPIC, Minted
from contracts.errors import Unavailable
from contracts.layout import RING
from contracts.rpc import from_hex, to_hex, to_quantity
from scripts.audit import verify
from scripts.audit.verify import Invalid, Verdict
from tests.gateway.browser import Browser, Passkey
from tests.gateway.conftest import Shop, sale
from tests.gateway.test_refusals import refused
from tests.relayer.network import Network

ANYBODY = "0x" + "ab" * 20


class Town:
    """A shop on the chain, and what is done there."""

    def __init__(self, network: Network, shop: Shop) -> None:
        self.network, self.shop = network, shop
        self.client, self.rig = network.client, network.rig

    async def get(self, path: str, **query: Any) -> Any:
        return await self.client.http.get(path, params=query, headers=self.shop.auth)

    async def proof(self, purchase: str, **query: Any) -> Any:
        return await self.get(f"/v1/purchases/{purchase}/proof", **query)

    async def buy(self, member: str = "card-1", amount: str = "12.34") -> dict[str, Any]:
        body = sale(member=member, amount=amount)
        answer = await self.client.http.post("/v1/purchases", json=body, headers=self.shop.once())
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def refund(self, purchase: str, amount: str) -> dict[str, Any]:
        body = {"reference": f"refund of {amount}", "amount": amount}
        path = f"/v1/purchases/{purchase}/refunds"
        answer = await self.client.http.post(path, json=body, headers=self.shop.once())
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def mint(self) -> None:
        """What was bought, really, and in the mirror."""
        assert await self.rig.batch()
        await self.rig.settle()
        logs = await self.rig.rpc.call(
            "eth_getLogs",
            {"fromBlock": "0x0", "address": to_hex(self.shop.programme), "topics": [to_hex(MINTED_TOPIC)]},
        )
        for log in logs:
            made = Minted.from_log([from_hex(topic) for topic in log["topics"]], from_hex(log["data"]))
            self.client.chain.run(
                "insert into mirror.batch values (%s, %s, %s, 0, 0, %s, %s, %s, %s) on conflict do nothing",
                self.shop.programme, made.batch, self.client.chain.mine(), made.receipts_root, made.entries_hash,
                made.total, made.count,
            )  # fmt: skip


async def town(network: Network) -> Town:
    shop = await network.client.shop("grocer", quote=None, margin=None)
    await network.client.customer(shop)
    await network.rig.settle()
    return Town(network, shop)


def proved(answer: Any) -> Verdict:
    assert answer.status_code == 200, answer.text
    return verify.verify(answer.text)


@pytest.mark.asyncio
async def test_a_receipt_is_proved_by_what_the_gateway_serves_and_verified_without_it(network: Network) -> None:
    here = await town(network)
    bought = [await here.buy(amount=f"{number}.50") for number in range(1, 6)]
    await here.mint()
    for number, each in enumerate(bought, 1):
        answer = await here.proof(each["id"])
        verdict = proved(answer)
        assert verdict.proved[0].startswith(f"{number}.50 points of {to_hex(here.shop.programme)}")
        assert to_hex(verdict.issuer or b"") == answer.json()["receipt"]["issuer"].lower()
        assert verdict.block is not None
        assert verify.ask_node(here.rig.rpc.url, verdict)[0].endswith("whose issuer signed")
        status = (await here.get(f"/v1/purchases/{each['id']}")).json()
        assert answer.json()["receipt"]["signature"] == status["receipt"]["signature"]
        assert (answer.json()["batch"], answer.json()["index"]) == (status["chain"]["batch"], status["chain"]["index"])
        whole = await here.proof(each["id"], entries=True)
        assert f"minted in batch 1, place {status['chain']['index']}" in proved(whole).proved


@pytest.mark.asyncio
async def test_the_proof_of_a_purchase_that_was_refunded_in_part_before_is_of_the_receipt_that_holds(
    network: Network,
) -> None:
    here = await town(network)
    bought = await here.buy(amount="10.00")
    await here.refund(bought["id"], "2.50")
    last = await here.refund(bought["id"], "1.00")
    await here.mint()
    answer = await here.proof(bought["id"], entries=True)
    assert proved(answer).proved[0].startswith("6.50 points")
    assert answer.json()["receipt"]["signature"] == last["receipt"]["signature"]


@pytest.mark.asyncio
async def test_where_the_node_keeps_no_final_state_the_newest_is_proved_and_the_answer_says_so(
    network: Network,
) -> None:
    here = await town(network)
    bought = await here.buy()
    await here.mint()
    newest = int(await here.rig.rpc.call("eth_blockNumber"), 16)
    as_of = (await here.proof(bought["id"])).json()["as_of"]
    assert as_of["block"] == newest
    assert as_of["finalized_block"] < newest


@pytest.mark.asyncio
async def test_what_cannot_be_proved_is_refused_with_what_to_do(network: Network) -> None:
    here = await town(network)
    bought, undone = await here.buy(), await here.buy(amount="1.00")
    await here.refund(undone["id"], "1.00")
    refused(await here.proof(bought["id"]), 409, "not-on-the-chain-yet")
    refused(await here.proof(undone["id"]), 409, "nothing-minted")
    refused(await here.proof("00000000-0000-4000-8000-000000000000"), 404, "purchase-not-found")
    await here.mint()
    proved(await here.proof(bought["id"]))
    here.client.chain.run(
        "insert into mirror.batch values (%s, %s, %s, 0, 0, %s, %s, 1, 1)",
        here.shop.programme, RING, here.client.chain.mine(), bytes(32), bytes(32),
    )  # fmt: skip
    proved(await here.proof(bought["id"]))  # batch 4,096 has a place of its own
    here.client.chain.run("update mirror.batch set number = number + 1 where number = %s", RING)
    gone = await here.proof(bought["id"])
    refused(gone, 409, "batch-forgotten")
    assert "points audit" in gone.json()["action"]


@pytest.mark.asyncio
async def test_a_node_that_is_behind_or_down_proves_nothing_and_the_gateway_says_so(network: Network) -> None:
    here = await town(network)
    bought = await here.buy()
    before = await here.rig.rpc.call("evm_snapshot")
    await here.mint()
    balance = f"/v1/holders/{ANYBODY}/balances/{to_hex(here.shop.programme)}/proof"
    proved(await here.proof(bought["id"]))
    await here.rig.rpc.call("evm_revert", before)
    behind = await here.proof(bought["id"])
    refused(behind, 503, "chain-unavailable")
    assert behind.headers["retry-after"] == "5"
    here.rig.anvil.kill()
    with pytest.raises(Unavailable):
        await here.rig.rpc.call("eth_blockNumber")
    for path in (f"/v1/purchases/{bought['id']}/proof", balance):
        refused(await here.get(path), 503, "chain-unavailable")


@pytest.mark.asyncio
async def test_anybody_gets_the_proof_of_any_balance_and_a_customer_of_its_own(network: Network) -> None:
    passkey, browser = Passkey(), Browser(network.client)
    assert (await browser.sign_up(passkey)).status_code == 201
    await network.fund(passkey.holder, 1_000)
    token = to_hex(network.programme.address)
    http = network.client.http
    theirs = await http.get(f"/v1/holders/{to_hex(passkey.holder)}/balances/{token}/proof")
    assert proved(theirs).proved[0] == f"10.00 points of {token} are {to_hex(passkey.holder)}'s"
    mine = await browser.get(f"/v1/me/balances/{token}/proof")
    assert proved(mine).proved == proved(theirs).proved
    assert proved(await http.get(f"/v1/holders/{ANYBODY}/balances/{token}/proof")).proved[0].startswith("0.00 points")
    refused(await http.get(f"/v1/me/balances/{token}/proof"), 401, "sign-in-needed")
    refused(await http.get(f"/v1/holders/{ANYBODY}/balances/{ANYBODY}/proof"), 404, "programme-not-found")
    refused(await http.get(f"/v1/holders/{ANYBODY}/balances/0x12/proof"), 422, "invalid-address")
    refused(await http.get(f"/v1/holders/0x12/balances/{token}/proof"), 422, "invalid-address")


@pytest.mark.asyncio
async def test_a_balance_is_of_the_newest_block_if_that_is_wanted(network: Network) -> None:
    await network.rig.mine(70)
    token = to_hex(network.programme.address)
    path = f"/v1/holders/{ANYBODY}/balances/{token}/proof"
    newest = proved(await network.client.http.get(path, params={"newest": True}))
    assert newest.block is not None
    assert to_quantity(newest.block.number) == await network.rig.rpc.call("eth_blockNumber")


@pytest.mark.asyncio
async def test_a_proof_that_somebody_changed_on_its_way_is_not_believed(network: Network) -> None:
    here = await town(network)
    bought = await here.buy()
    await here.mint()
    file = (await here.proof(bought["id"])).json()
    file["receipt"] |= {"amount": "99.00", "amount_base_units": "9900"}
    with pytest.raises(Invalid):
        verify.verify(json.dumps(file))
