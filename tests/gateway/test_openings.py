"""Points that members had before become signed receipts, once each, and whatever is wrong with a row is that row's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts import eip712, receipts, signatures
from tests.gateway.conftest import Client, Shop

pytestmark = pytest.mark.asyncio


async def bring(client: Client, shop: Shop, *balances: Any, status: int = 200, **more: Any) -> dict[str, Any]:
    body = {"balances": list(balances), **more}
    answer = await client.http.post("/v1/opening-balances", json=body, headers=shop.auth)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def had(member: str, points: str = "10.00", **more: str) -> dict[str, str]:
    return {"member": member, "points": points, **more}


def slugs(answer: dict[str, Any]) -> list[str]:
    return [each["problem"]["type"].rpartition(":")[2] if each["problem"] else "" for each in answer["results"]]


def stored(client: Client) -> list[tuple[str, int]]:
    found = client.chain.run("select reference, points from exchange.purchase where kind = 'opening' order by 1")
    return [(row["reference"], row["points"]) for row in found]


async def test_a_balance_is_a_signed_receipt_of_no_sale(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    [result] = (await bring(client, shop, had("card-1", "1250.55")))["results"]
    made = result["purchase"]
    assert (result["status"], made["kind"], made["amount"], made["points"]) == (
        "accepted",
        "opening",
        "0.00",
        "1250.55",
    )
    receipt = made["receipt"]
    row = client.chain.run("select purchased_at from exchange.purchase")[0]
    purchase = receipts.commitment(
        salt=bytes.fromhex(receipt["salt"][2:]), merchant_reference="opening/card-1", amount_minor=0, currency="USD",
        purchased_at=int(row["purchased_at"].timestamp()), store="",
    )  # fmt: skip
    digest = eip712.receipt_digest(
        eip712.domain_separator(31337, shop.programme),
        holder=bytes.fromhex(customer["holder"][2:]), amount=125055, purchase=purchase,
        accepted_at=receipt["accepted_at"], mint_by=receipt["mint_by"],
    )  # fmt: skip
    [merchant] = client.chain.run("select issuer from exchange.merchant")
    assert signatures.recover(digest, bytes.fromhex(receipt["signature"][2:])) == merchant["issuer"]


async def test_what_was_brought_before_is_known_and_not_added(client: Client) -> None:
    shop = await client.shop()
    await bring(client, shop, had("a"), had("b"), enrol=True)
    again = await bring(client, shop, had("b"), had("c"), had("a"), had("c"), enrol=True)
    assert [each["status"] for each in again["results"]] == ["known", "accepted", "known", "known"]
    assert stored(client) == [("opening/a", 1000), ("opening/b", 1000), ("opening/c", 1000)]
    other = await bring(client, shop, had("a", "10.01"), had("d", "1"), had("d", "2"), enrol=True)
    assert slugs(other) == ["reference-conflict", "", "reference-conflict"]


async def test_references_let_a_member_bring_several_balances(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    await bring(client, shop, had("card-1", reference="gold"), had("card-1", reference="old card"))
    assert stored(client) == [("gold", 1000), ("old card", 1000)]


async def test_many_imports_of_one_file_at_once_add_it_once(client: Client) -> None:
    shop = await client.shop()
    file = [had(f"card-{number}", f"{number}.25") for number in range(1, 101)]
    answers = await asyncio.gather(*(bring(client, shop, *file, enrol=True) for _ in range(8)))
    assert sum(each["accepted"] for each in answers) == 100
    assert sum(each["known"] for each in answers) == 700
    assert (client.counts()["purchase"], client.counts()["customer"]) == (100, 100)


async def test_unknown_members_are_refused_unless_they_are_to_be_enrolled(client: Client) -> None:
    shop = await client.shop()
    assert slugs(await bring(client, shop, had("nobody"))) == ["customer-not-found"]
    [result] = (await bring(client, shop, had("nobody"), enrol=True))["results"]
    assert (result["status"], result["enrolled"]) == ("accepted", True)
    assert client.chain.run("select custody from exchange.customer") == [{"custody": "custodial"}]


async def test_a_dry_run_judges_the_same_and_stores_nothing(client: Client) -> None:
    shop = await client.shop()
    await bring(client, shop, had("known"), enrol=True)
    before = client.counts()
    file = (had("known"), had("new"), had("known", "11"), had("bad", "1.234"), had("new"), "nonsense")
    dry = await bring(client, shop, *file, enrol=True, dry_run=True)
    assert client.counts() == before
    wet = await bring(client, shop, *file, enrol=True)
    assert [each["status"] for each in dry["results"]] == [each["status"] for each in wet["results"]]
    assert slugs(dry) == slugs(wet) == ["", "", "reference-conflict", "invalid-amount", "", "invalid-request"]
    assert dry["results"][1] == {"status": "accepted", "enrolled": True, "purchase": None, "problem": None}


@pytest.mark.parametrize(
    ("row", "slug"),
    [
        (had("m", "-1"), "invalid-amount"),
        (had("m", "1.001"), "invalid-amount"),
        (had("m", "1e3"), "invalid-amount"),
        (had("m", ""), "invalid-amount"),
        (had("m", "1000000.01"), "amount-too-large"),
        ({"member": "m"}, "invalid-request"),
        ({"member": "m", "points": 5}, "invalid-request"),
        (had("m\x00"), "invalid-request"),
        (had(""), "invalid-request"),
        (None, "invalid-request"),
        (had("m", email="m@example.org"), "invalid-request"),
    ],
)
async def test_a_bad_row_harms_no_other_and_enrols_nobody(client: Client, row: Any, slug: str) -> None:
    shop = await client.shop()
    answer = await bring(client, shop, had("a"), row, had("b"), enrol=True)
    assert slugs(answer) == ["", slug, ""]
    members = client.chain.run("select reference from exchange.member order by 1")
    assert [each["reference"] for each in members] == ["a", "b"]


async def test_a_member_without_points_is_enrolled_and_final(client: Client) -> None:
    shop = await client.shop()
    [result] = (await bring(client, shop, had("new", "0"), enrol=True))["results"]
    assert (result["purchase"]["status"], client.counts()["member"]) == ("final", 1)


async def test_no_more_is_promised_than_the_programme_may_issue(client: Client) -> None:
    shop = await client.shop(limits={"supply_cap": "100", "entry_cap": "60"})
    client.chain.credit(shop.programme, b"h" * 20, 1_000)
    answer = await bring(client, shop, had("a", "60"), had("b", "40"), had("c", "30"), enrol=True)
    assert (answer["room"], slugs(answer)) == ("90.00", ["", "supply-cap-reached", ""])
    assert (await bring(client, shop))["room"] == "0.00"


async def test_an_opening_balance_is_not_refunded_and_its_reference_is_no_sales(client: Client) -> None:
    shop = await client.shop()
    [result] = (await bring(client, shop, had("card-1", reference="r"), enrol=True))["results"]
    path = f"/v1/purchases/{result['purchase']['id']}/refunds"
    refused = await client.http.post(path, json={"reference": "x"}, headers=shop.once())
    assert refused.json()["type"].endswith(":refund-exceeds-purchase")
    sale = {"reference": "r", "member": "card-1", "amount": "10.00", "currency": "USD",
            "purchased_at": "2026-01-02T03:04:05Z"}  # fmt: skip
    answer = await client.http.post("/v1/purchases", json=sale, headers=shop.once())
    assert answer.json()["type"].endswith(":reference-conflict")


async def test_another_merchants_members_are_nobody(client: Client) -> None:
    shop, other = await client.shop(), await client.shop("other")
    await client.customer(other, "theirs")
    assert slugs(await bring(client, shop, had("theirs"))) == ["customer-not-found"]
