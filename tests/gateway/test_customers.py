"""Customers are enrolled once and shared by wallet; holders' balances and history are the mirror's."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from contracts import signatures
from exchange import vault
from tests.gateway.conftest import Client

WALLET = "0x" + "ab" * 20


@pytest.mark.asyncio
async def test_enrolling_again_changes_nothing(client: Client) -> None:
    shop = await client.shop()
    first = await client.customer(shop)
    assert await client.customer(shop) == first
    assert (client.counts()["customer"], client.counts()["member"]) == (1, 1)


@pytest.mark.asyncio
async def test_parallel_enrolments_of_one_member_make_one_customer(client: Client) -> None:
    shop = await client.shop()
    made = await asyncio.gather(*(client.customer(shop) for _ in range(10)))
    assert len({each["id"] for each in made}) == 1
    assert client.counts()["customer"] == 1


@pytest.mark.asyncio
async def test_one_wallet_is_one_customer_of_every_merchant(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    made = [await client.customer(shop, f"m-{shop.slug}", wallet=WALLET) for shop in (one, other)]
    assert made[0]["holder"] == made[1]["holder"]
    assert client.counts()["customer"] == 1
    assert made[0]["custody"] == "wallet"
    again = await client.http.post("/v1/customers", json={"member": "2nd", "wallet": WALLET}, headers=one.auth)
    assert again.json()["type"].endswith("member-conflict")


@pytest.mark.asyncio
async def test_who_signed_up_with_a_passkey_is_enrolled_by_its_address(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    await client.customer(one, wallet=WALLET)
    client.chain.run("update exchange.customer set custody = 'passkey'")
    assert (await client.customer(other, wallet=WALLET))["custody"] == "passkey"
    assert client.counts()["customer"] == 1


@pytest.mark.asyncio
async def test_a_public_address_gives_no_power_over_its_custodial_customer(client: Client) -> None:
    one, thief = await client.shop("one"), await client.shop("thief")
    made = await client.customer(one)
    answer = await client.http.post("/v1/customers", json={"member": "m", "wallet": made["holder"]}, headers=thief.auth)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "member-conflict")
    redeem = {"amount": "1.00", "to": WALLET}
    stolen = await client.http.post(f"/v1/customers/{made['id']}/send", json=redeem, headers=thief.auth)
    assert stolen.status_code == 404


@pytest.mark.asyncio
async def test_a_custodial_key_is_sealed_for_its_customer_alone(client: Client) -> None:
    shop = await client.shop()
    made = await client.customer(shop)
    [row] = client.chain.run("select id, holder, key from exchange.customer")
    key = vault.unseal(client.settings.master, row["key"], purpose=f"customer:{row['id']}")
    assert signatures.address_of(key) == row["holder"] == bytes.fromhex(made["holder"][2:])
    with pytest.raises(vault.VaultError):
        vault.unseal(client.settings.master, row["key"], purpose=f"customer:{uuid4()}")


@pytest.mark.asyncio
async def test_bulk_enrolment_judges_every_item_alone(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    known = await client.customer(other, "known")
    items: list[dict[str, Any]] = [
        {"member": "a", "custodial": True}, {"member": "b", "wallet": WALLET}, {"member": "c", "wallet": WALLET},
        {"member": "d", "link": await client.link(other, known)}, {"member": "e", "link": "0000-0000-0000"},
        {"member": "a", "custodial": True}, {"member": "f", "wallet": "0x12"},
    ]  # fmt: skip
    body = {"customers": items}
    answer = await client.http.post("/v1/customers/bulk", json=body, headers=one.auth)
    results = answer.json()["results"]
    slugs = [(each["problem"] or {}).get("type", "").rpartition(":")[2] for each in results]
    assert slugs == ["", "", "member-conflict", "", "link-code-refused", "", "invalid-address"]
    assert results[0] == results[5]
    assert results[3]["customer"]["holder"] == known["holder"]
    assert (await client.http.post("/v1/customers/bulk", json=body, headers=one.auth)).json() == answer.json()
    assert client.counts()["customer"] == 3


@pytest.mark.asyncio
async def test_balances_and_history_are_of_one_block_and_page_by_keyset(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    made = await client.customer(one)
    holder = bytes.fromhex(made["holder"][2:])
    for amount in range(1, 8):
        client.chain.credit(one.programme, holder, amount * 100)
    last = client.chain.credit(other.programme, holder, 5)
    client.chain.mine(finalized=last - 1)
    path = f"/v1/customers/{made['id']}"
    balances = (await client.http.get(f"{path}/balances", headers=one.auth)).json()
    assert {each["slug"]: each["points"] for each in balances["balances"]} == {"one": "28.00", "other": "0.05"}
    assert (balances["as_of"]["block"], balances["as_of"]["finalized_block"]) == (last + 1, last - 1)
    public = (await client.http.get(f"/v1/holders/{made['holder'].lower()}/balances")).json()
    assert public == {name: value for name, value in balances.items() if name != "unminted"}
    seen, before = [], None
    while True:
        parameters = {"limit": 3, **({"before": before} if before else {})}
        page = (await client.http.get(f"{path}/history", params=parameters, headers=one.auth)).json()
        seen += page["entries"]
        before = page["next"]
        if before is None:
            break
    assert [each["points"] for each in seen] == ["0.05", *[f"{n}.00" for n in range(7, 0, -1)]]
    assert [each["status"] for each in seen] == ["confirmed"] + ["final"] * 7
    assert all(each["transaction"].startswith("0x") for each in seen)
