"""What a card's PIN is good for: nobody spends by the card alone, and nobody tries PINs until one fits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from exchange import pins
from exchange.errors import PinTooEasy
from tests.gateway.browser import Browser, Passkey
from tests.gateway.conftest import Client, Shop
from tests.gateway.test_refusals import refused

PIN, WRONG = "8375", "4913"


class Till:
    """A shop that asks for PINs from 5 points on, with the card of one customer who has chosen one."""

    def __init__(self, client: Client, shop: Shop, customer: str) -> None:
        self.client, self.shop, self.customer = client, shop, customer

    async def spend(self, pin: str | None = PIN, amount: str = "5.00", *, once: str | None = None) -> httpx2.Response:
        body = {"amount": amount, "order": "o", **({} if pin is None else {"pin": pin})}
        path = f"/v1/customers/{self.customer}/redeem"
        return await self.client.http.post(path, json=body, headers=self.shop.once(once))

    async def code(self, purpose: str = "pin", **more: Any) -> str:
        path = f"/v1/customers/{self.customer}/codes"
        answer = await self.client.http.post(path, json={"purpose": purpose, **more}, headers=self.shop.auth)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    async def choose(self, pin: str, code: str) -> httpx2.Response:
        path = f"/v1/customers/{self.customer}/pin"
        return await self.client.http.put(path, json={"pin": pin, "code": code}, headers=self.shop.auth)

    async def link(self) -> str:
        """For another merchant to enrol the same customer."""
        return await self.client.link(self.shop, {"id": self.customer})

    def later(self) -> None:
        """As if every wait were over."""
        self.client.chain.run("update exchange.pin set next_at = now()")

    @property
    def tries(self) -> int:
        return int(
            self.client.chain.run(
                "select tries from exchange.pin where customer_id ="
                " (select customer_id from exchange.member where id = %s)",
                self.customer,
            )[0]["tries"]
        )


async def open_till(client: Client, slug: str = "grocer", *, pin: str | None = PIN) -> Till:
    shop = await client.shop(slug, pin_from="5.00")
    customer = await client.customer(shop, custodial=True, **({} if pin is None else {"pin": pin}))
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 1_000_000)
    return Till(client, shop, customer["id"])


@pytest_asyncio.fixture
async def till(client: Client) -> AsyncIterator[Till]:
    yield await open_till(client)


@pytest.mark.asyncio
async def test_a_card_alone_spends_less_than_the_merchants_limit_and_no_more(till: Till) -> None:
    refused(await till.spend(None), 403, "pin-needed")
    refused(await till.spend(WRONG), 403, "pin-refused")
    assert (await till.spend(PIN)).status_code == 202
    assert (await till.spend(None, "4.99")).status_code == 202
    path = f"/v1/merchants/{till.shop.id}/pin-rule"
    for limit, amount, status in (("0", "0.01", 403), ("5000", "4000.00", 202), ("never", "1.00", 202)):
        answer = await till.client.http.put(path, json={"pin_from": limit}, headers=till.shop.auth)
        assert answer.status_code == 200, answer.text
        assert (await till.spend(None, amount)).status_code == status
        shown = (await till.client.http.get(path, headers=till.shop.auth)).json()
        assert shown == answer.json()


@pytest.mark.asyncio
async def test_a_merchant_asks_always_unless_it_says_otherwise(client: Client) -> None:
    body = {"slug": "plain", "name": "Plain", "symbol": "PLAIN", "currency": "USD"}
    made = (await client.http.post("/v1/merchants", json=body, headers=client.operator)).json()
    [row] = client.chain.run("select pin_from from exchange.merchant where id = %s", made["id"])
    assert row["pin_from"] == 0


@pytest.mark.asyncio
async def test_every_way_to_spend_by_a_card_asks(till: Till) -> None:
    http, base = till.client.http, f"/v1/customers/{till.customer}"
    amount = {"amount": "5.00"}
    ways: list[tuple[str, dict[str, Any]]] = [
        (f"{base}/send", {**amount, "to": "0x" + "fe" * 20}),
        (f"{base}/redeem", {**amount, "order": "o"}),
        (f"{base}/swap", {**amount, "into": "grocer"}),
        (f"{base}/give", {**amount, "charity": "0x" + "fe" * 20}),
        ("/v1/holds", {**amount, "member": "card-1", "order": "o"}),
        ("/v1/holds", {**amount, "customer": till.customer, "order": "o"}),
    ]
    for path, body in ways:
        refused(await http.post(path, json=body, headers=till.shop.once()), 403, "pin-needed")
    acts = [{"kind": "redeem", "member": "card-1", **amount, "order": str(n)} for n in range(3)]
    acts[1]["pin"], acts[2]["pin"] = WRONG, PIN
    bulk = await http.post("/v1/customers/intents/bulk", json={"intents": acts}, headers=till.shop.once())
    kinds = [
        (each.get("problem") or {"type": ":accepted"})["type"].rpartition(":")[2] for each in bulk.json()["results"]
    ]
    assert kinds == ["pin-needed", "pin-refused", "accepted"]
    held = await http.post("/v1/holds", json={**ways[4][1], "pin": PIN}, headers=till.shop.once())
    assert held.status_code == 201, held.text
    captured = await http.post(f"/v1/holds/{held.json()['id']}/capture", json={}, headers=till.shop.once())
    assert captured.status_code == 202, "who authorised a hold may capture it"


@pytest.mark.asyncio
async def test_sixty_four_wrong_pins_at_once_are_three_tries_and_five_in_all(till: Till) -> None:
    answers = await asyncio.gather(*(till.spend(WRONG) for _ in range(64)))
    slugs = [answer.json()["type"].rpartition(":")[2] for answer in answers]
    assert (slugs.count("pin-refused"), slugs.count("pin-wait"), till.tries) == (3, 61, 3)
    waiting = await till.spend(PIN)
    refused(waiting, 429, "pin-wait")
    assert 0 < int(waiting.headers["retry-after"]) <= 60
    for _ in range(2):
        till.later()
        refused(await till.spend(WRONG), 403, "pin-refused")
        refused(await till.spend(WRONG), *((429, "pin-wait") if till.tries < 5 else (403, "pin-locked")))
    till.later()
    refused(await till.spend(PIN), 403, "pin-locked")
    assert till.tries == 5


@pytest.mark.asyncio
async def test_the_right_pin_begins_the_count_anew_and_the_merchant_unlocks(till: Till) -> None:
    for _ in range(4):
        for _ in range(2):
            refused(await till.spend(WRONG), 403, "pin-refused")
        assert (await till.spend(PIN)).status_code == 202
        assert till.tries == 0
    for _ in range(5):
        refused(await till.spend(WRONG), 403, "pin-refused")
        till.later()
    refused(await till.spend(PIN), 403, "pin-locked")
    path = f"/v1/customers/{till.customer}/pin/lock"
    weak = await till.client.key(till.shop, preset="shop")
    refused(await till.client.http.delete(path, headers=weak), 403, "forbidden")
    assert (await till.client.http.delete(path, headers=till.shop.auth)).status_code == 204
    assert (await till.spend(PIN)).status_code == 202


@pytest.mark.asyncio
async def test_nobody_learns_whether_a_card_has_a_pin(client: Client, till: Till) -> None:
    bare = await open_till(client, "bare", pin=None)
    said: list[list[Any]] = []
    for each in (till, bare):
        told = []
        for pin in (None, WRONG, "482911", WRONG, WRONG, WRONG, WRONG, WRONG, WRONG):
            answer = await each.spend(pin)
            told.append((answer.status_code, answer.json()))
            if answer.status_code != 429:
                each.later()
        said.append(told)
    assert said[0] == said[1]
    assert [status for status, _ in said[0]] == 9 * [403]
    assert (till.tries, bare.tries) == (5, 5)


@pytest.mark.asyncio
async def test_a_try_counts_though_the_request_fails_and_a_refused_request_keeps_no_pin(till: Till) -> None:
    refused(await till.spend(WRONG, "99999.00"), 403, "pin-refused")
    assert till.tries == 1
    refused(await till.spend(PIN, "99999.00"), 409, "not-enough-points")
    assert till.tries == 0
    with_unknown = await till.client.http.post(
        "/v1/holds", json={"member": "nobody", "amount": "5.00", "order": "o", "pin": PIN}, headers=till.shop.once()
    )
    refused(with_unknown, 404, "customer-not-found")


@pytest.mark.asyncio
async def test_a_repeated_request_has_the_first_answer_whatever_became_of_the_card(till: Till) -> None:
    first = await till.spend(PIN, once="k")
    assert first.status_code == 202
    for _ in range(5):
        await till.spend(WRONG)
        till.later()
    for pin in (PIN, WRONG, None):
        assert (await till.spend(pin, once="k")).content == first.content
    refused(await till.spend(PIN), 403, "pin-locked")


@pytest.mark.asyncio
async def test_no_row_of_the_database_tells_a_pin(till: Till) -> None:
    """Neither in the clear nor as a fast hash: with the pepper elsewhere, ten thousand guesses find nothing."""
    once = "same"
    await till.spend(PIN, once=once)
    other = await till.spend("0000", once=once)
    assert other.status_code == 202, "a request's fingerprint knows nothing of the PIN"
    [stored] = till.client.chain.run("select digest from exchange.pin")
    assert stored["digest"].startswith("$argon2id$")
    whole = json.dumps(till.client.chain.run("select to_jsonb(t) as row from exchange.pin t"), default=str)
    assert PIN not in whole.replace(stored["digest"], "")


@pytest.mark.asyncio
async def test_the_same_card_has_a_pin_for_each_merchant(client: Client, till: Till) -> None:
    rival = await client.shop("rival", pin_from="0")
    theirs = Till(client, rival, (await client.customer(rival, "r-1", link=await till.link()))["id"])
    for _ in range(5):
        refused(await theirs.spend(PIN), 403, "pin-refused")
        theirs.later()
    refused(await theirs.spend(PIN), 403, "pin-locked")
    assert (await till.spend(PIN)).status_code == 202, "what one merchant locks, another does not notice"


# --- choosing one


@pytest.mark.asyncio
async def test_a_code_of_the_merchant_chooses_a_new_pin_once(till: Till) -> None:
    code = await till.code()
    refused(await till.choose("1234", code), 422, "pin-too-easy")
    for wrong in ("0000-0000-0000", "x", ""):
        refused(await till.choose("7294", wrong), 403, "code-refused")
    assert (await till.choose("7294", code.lower().replace("-", " "))).status_code == 204
    refused(await till.choose("6183", code), 403, "code-refused")
    refused(await till.spend(PIN), 403, "pin-refused")
    assert (await till.spend("7294")).status_code == 202


@pytest.mark.asyncio
async def test_a_code_is_good_for_its_customer_its_purpose_and_its_time(client: Client, till: Till) -> None:
    other = await client.customer(till.shop, "card-2")
    code = await till.code()
    stranger = Till(client, till.shop, other["id"])
    refused(await stranger.choose("7294", code), 403, "code-refused")
    refused(await till.choose("7294", await till.code("passkey")), 403, "code-refused")
    newer = await till.code()
    refused(await till.choose("7294", code), 403, "code-refused")
    client.chain.run("update exchange.access_code set expires_at = now()")
    refused(await till.choose("7294", newer), 403, "code-refused")
    path = f"/v1/customers/{till.customer}/codes"
    weak = await client.key(till.shop, preset="shop")
    refused(await client.http.post(path, json={"purpose": "pin"}, headers=weak), 403, "forbidden")
    wallet = await client.customer(till.shop, "w", wallet="0x" + "ab" * 20)
    path = f"/v1/customers/{wallet['id']}/codes"
    refused(await client.http.post(path, json={"purpose": "pin"}, headers=till.shop.auth), 409, "not-custodial")


@pytest.mark.asyncio
async def test_enrolling_a_card_again_changes_no_pin(client: Client, till: Till) -> None:
    body = {"member": "card-1", "custodial": True, "pin": "7294"}
    assert (await client.http.post("/v1/customers", json=body, headers=till.shop.auth)).status_code == 201
    assert (await till.spend(PIN)).status_code == 202
    for more in ({"wallet": "0x" + "ab" * 20, "custodial": None}, {"pin": "123"}, {"pin": "12a4"}, {"pin": 8375}):
        sent = {name: value for name, value in {**body, "member": "new", **more}.items() if value is not None}
        refused(await client.http.post("/v1/customers", json=sent, headers=till.shop.auth), 422, "invalid-request")
    easy = {**body, "member": "new", "pin": "1111"}
    refused(await client.http.post("/v1/customers", json=easy, headers=till.shop.auth), 422, "pin-too-easy")


@pytest.mark.asyncio
async def test_a_card_customer_attaches_a_passkey_by_a_code_and_sees_its_points(client: Client, till: Till) -> None:
    code, passkey, browser = await till.code("passkey"), Passkey(), Browser(client)
    refused(await browser.sign_up(Passkey(), code="0000-0000-0000"), 403, "code-refused")
    made = await browser.sign_up(passkey, code=code)
    assert made.status_code == 201, made.text
    person = made.json()["customer"]
    assert (made.json()["custody"], person == till.customer) == ("custodial", False), "a merchant has an id of its own"
    refused(await Browser(client).sign_up(Passkey(), code=code), 403, "code-refused")
    again = Browser(client)
    passkey.count += 1
    assert (await again.sign_in(passkey)).json()["customer"] == person
    assert [each["points"] for each in (await again.get("/v1/me/balances")).json()["balances"]] == ["10000.00"]
    shown = (await again.get("/v1/me/credentials")).json()["credentials"]
    assert [each["holds"] for each in shown] == [False], "the card's points are the gateway's key's to spend"
    rival = await client.shop("rival")
    await client.customer(rival, "secret-number", link=await till.link())
    me = await again.get("/v1/me")
    assert [each["slug"] for each in me.json()["memberships"]] == ["grocer", "rival"]
    assert "secret-number" not in me.text, "whose code it was might look"


@pytest.mark.parametrize(
    "pin",
    [
        "0000",
        "1111",
        "1234",
        "4321",
        "7890",
        "8901",
        "1212",
        "123123",
        "112112112",
        "1987",
        "2024",
        "2580",
        "0987654321",
    ],
)
def test_pins_that_everybody_tries_are_refused(pin: str) -> None:
    with pytest.raises(PinTooEasy):
        pins.require_hard(pin)


def test_nine_of_ten_pins_of_four_digits_may_be_chosen() -> None:
    easy = 0
    for number in range(10_000):
        try:
            pins.require_hard(f"{number:04}")
        except PinTooEasy:
            easy += 1
    assert easy < 1_000
