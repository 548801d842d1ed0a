"""Whatever the gateway queues, the chain accepts: at the predicted address, within the gas that is promised."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from eth_hash.backends.pysha3 import keccak256
from web3 import HTTPProvider, Web3

from contracts import bindings, deploy, eip712, signatures
from contracts.bindings import describe_error
from exchange import vault
from exchange.app import create_app
from exchange.settings import Settings
from tests.conftest import Anvil
from tests.gateway.conftest import OPERATOR, Chain, Client, create_tables

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
LIFE = 3_600


class Node:
    """Sends the queued calls from the operator's account, one a transaction."""

    def __init__(self, url: str) -> None:
        self.web3 = Web3(HTTPProvider(url))
        self.sender = self.web3.eth.accounts[0]

    def send(self, target: bytes, data: bytes, gas: int) -> None:
        transaction: Any = {"from": self.sender, "to": Web3.to_checksum_address(target), "data": data}
        try:
            self.web3.eth.call(transaction)
        except Exception as error:
            reason = getattr(error, "data", None) or "0x"
            raise AssertionError(describe_error(bytes.fromhex(reason[2:]))) from error
        receipt = self.web3.eth.wait_for_transaction_receipt(
            self.web3.eth.send_transaction(transaction | {"gas": gas + 100_000})
        )
        assert receipt["status"] == 1
        assert receipt["gasUsed"] < gas, f"{receipt['gasUsed']} gas of {gas}"

    def call(self, target: bytes, data: bytes) -> bytes:
        return bytes(self.web3.eth.call({"to": Web3.to_checksum_address(target), "data": data}))

    def drain(self, chain: Chain) -> list[str]:
        """Sends what is queued, in order; the kinds."""
        calls = chain.run("select * from exchange.call where state = 'queued' order by id")
        for call in calls:
            self.send(call["target"], call["data"], call["gas"])
            chain.run(
                "update exchange.call set state = 'refused', failure = 'sent by the test' where id = %s", call["id"]
            )
        return [call["kind"] for call in calls]


@pytest.mark.asyncio
async def test_the_chain_accepts_everything_that_is_queued(
    new_anvil: Callable[..., Anvil], database: str, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    node = Node(new_anvil().url)
    path = tmp_path / "real.json"
    deployment = deploy.deploy(node.web3.provider.endpoint_uri, KEY, path=path)  # type: ignore[attr-defined]
    create_tables(database)
    chain = Chain(database)
    chain.run("update exchange.signer set address = %s", bytes.fromhex(node.sender[2:]))
    settings = make_settings(deployment=path)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway") as http,
    ):
        client = Client(http, chain, app, settings)
        operator = {"authorization": f"Bearer {OPERATOR}"}
        grocer = await client.shop("grocer")
        florist = await client.shop("florist", partners=["grocer"])
        charity = (await http.post("/v1/charities", json={"slug": "food", "name": "Food"}, headers=operator)).json()
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 9 * LIFE))
        campaign = {"charity": "food", "title": "Winter", "goal": "10", "ends_at": ends}
        opened = await http.post("/v1/campaigns", json=campaign, headers=operator)
        assert (opened.status_code, opened.json()["number"]) == (201, 1)
        path_ = f"/v1/merchants/{grocer.id}"
        quote = {"bid": "0.0099", "ask": "0.0100"}  # a better one: in force at once
        assert (await http.put(f"{path_}/quote", json=quote, headers=grocer.auth)).status_code == 202
        margin = await http.post(f"{path_}/margin", json={"amount": "5"}, headers={**operator, "idempotency-key": "m"})
        assert margin.status_code == 202
        assert node.drain(chain) == [
            "create", "quote", "deposit", "create", "quote", "partner", "partner", "deposit", "charity", "campaign",
            "quote", "deposit",
        ]  # fmt: skip
        for shop in (grocer, florist):
            assert bindings.factory_is_programme_result(
                node.call(deployment.factory, bindings.factory_is_programme(account=shop.programme))
            )
        posted = bindings.exchange_quote_of_result(
            node.call(deployment.exchange, bindings.exchange_quote_of(programme=grocer.programme))
        )
        assert (posted.bid, posted.ask) == (99 * 10**9, 100 * 10**9)
        margin_ = bindings.exchange_margin_of_result(
            node.call(deployment.exchange, bindings.exchange_margin_of(account=grocer.programme))
        )
        assert margin_ == 1005 * 10**6
        assert bindings.exchange_partners_result(
            node.call(deployment.exchange, bindings.exchange_partners(from_=grocer.programme, into=florist.programme))
        )

        # What the indexer would have written.
        for shop, bid in ((grocer, 97), (florist, 98)):
            chain.quote(shop.programme, bid=bid * 10**9, ask=101 * 10**9 if shop is grocer else 10**11)
            chain.margin(shop.programme, 10**9)
        chain.open(grocer.programme, florist.programme)
        account = bytes.fromhex(charity["address"][2:])
        chain.charity(account)
        chain.campaign(1, account, int(time.time()) + LIFE)

        customer = await client.customer(grocer)
        holder = bytes.fromhex(customer["holder"][2:])
        await _mint(node, chain, settings, grocer.programme, holder, 10_000, deployment.chain_id)
        chain.credit(grocer.programme, holder, 10_000)
        acts: dict[str, dict[str, Any]] = {
            "send": {"to": "0x" + "ab" * 20},
            "redeem": {"order": "A-17"},
            "swap": {"into": "florist"},
            "give": {"charity": "food", "campaign": 1},
        }
        for kind, body in acts.items():
            answer = await http.post(
                f"/v1/customers/{customer['id']}/{kind}", json={"amount": "10.00", **body}, headers=grocer.auth
            )
            assert answer.status_code == 202, answer.text
        assert node.drain(chain) == ["send", "redeem", "swap", "give"]
        left = bindings.points_balance_of_result(
            node.call(grocer.programme, bindings.points_balance_of(account=holder))
        )
        swapped = bindings.points_balance_of_result(
            node.call(florist.programme, bindings.points_balance_of(account=holder))
        )
        assert (left, swapped) == (6_000, 990)


async def _mint(
    node: Node, chain: Chain, settings: Settings, programme: bytes, holder: bytes, amount: int, chain_id: int
) -> None:
    [row] = chain.run("select id, issuer_key from exchange.merchant where programme = %s", programme)
    key = vault.unseal(settings.master, row["issuer_key"], purpose=f"issuer:{row['id']}")
    entries = holder + amount.to_bytes(12, "big")
    digest = eip712.mint_digest(
        eip712.domain_separator(chain_id, programme), batch=1, receipts_root=bytes(32), entries_hash=keccak256(entries)
    )
    data = bindings.points_mint(
        batch=1, receipts_root=bytes(32), entries=entries, signature=signatures.sign(key, digest)
    )
    node.send(programme, data, 200_000)
