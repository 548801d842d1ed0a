# ruff: noqa: S608
"""Sessions: what a cookie is worth, for how long, and what becomes of a stolen one."""

from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Any
from uuid import UUID

import httpx2
import pytest

from exchange.database import OfCustomer, one
from tests.contracts.assertions import to_base64url
from tests.gateway.browser import Browser, Passkey
from tests.gateway.conftest import Client
from tests.gateway.serving import serving
from tests.gateway.test_intents import FRIEND, draft_and_sign
from tests.gateway.test_refusals import refused
from tests.gateway.test_signin import ADDRESS, WALLET

HOLDER = bytes.fromhex(ADDRESS[2:])


async def signed_in(client: Client, key: bytes = WALLET) -> Browser:
    browser = Browser(client)
    answer = await browser.sign_in_wallet(key)
    assert answer.status_code == 200, answer.text
    return browser


def later(client: Client, seconds: int) -> None:
    """As if so much time had passed since everything that was written down of sessions."""
    for table, columns in (
        ("session", ("signed_in_at", "seen_at", "expires_at")),
        ("session_token", ("issued_at", "used_at", "replaced_at")),
    ):
        sets = ", ".join(f"{column} = {column} - {seconds} * interval '1 second'" for column in columns)
        client.chain.run(f"update exchange.{table} set {sets}")


async def is_in(browser: Browser) -> bool:
    answer = await browser.get("/v1/me")
    assert answer.status_code in (200, 401), answer.text
    if answer.status_code == 401:
        assert answer.json()["type"].endswith("sign-in-needed")
        assert answer.json()["detail"] in ("There is no session, or it has ended.", "The request has no session.")
    return answer.status_code == 200


@pytest.mark.asyncio
async def test_a_session_ends_when_nobody_uses_it_and_after_its_life(client: Client) -> None:
    browser = await signed_in(client)
    assert await is_in(browser)
    later(client, client.settings.session_idle - 5)
    assert await is_in(browser)
    later(client, client.settings.session_idle + 5)
    assert not await is_in(browser)
    browser = await signed_in(client)
    for _ in range(client.settings.session_life // 1_200):
        assert await is_in(browser)
        later(client, 1_200)
    assert not await is_in(browser), "however often it was used"


@pytest.mark.asyncio
async def test_a_cookie_is_replaced_every_few_minutes_and_the_old_one_dies_when_the_new_one_is_used(
    client: Client,
) -> None:
    browser = await signed_in(client)
    first = browser.cookie
    assert await is_in(browser)
    assert browser.cookie == first
    later(client, client.settings.session_rotation + 1)
    assert await is_in(browser)
    assert browser.cookie != first
    assert await is_in(Browser(client, first)), "its successor may not have arrived"
    assert await is_in(browser)
    later(client, 20)
    assert await is_in(Browser(client, first)), "requests that were under way"
    assert await is_in(browser)


@pytest.mark.asyncio
async def test_a_stolen_cookie_that_comes_again_after_it_was_replaced_ends_the_session_for_both(
    client: Client,
) -> None:
    browser = await signed_in(client)
    thief = Browser(client, browser.cookie)
    later(client, client.settings.session_rotation + 1)
    assert await is_in(browser)
    assert await is_in(browser)
    later(client, 31)
    assert not await is_in(thief)
    assert not await is_in(browser)
    browser = await signed_in(client)
    shown = (await browser.get("/v1/me/sessions")).json()["sessions"]
    assert [each["status"] for each in shown] == ["open", "stolen"]


@pytest.mark.asyncio
async def test_a_thief_that_goes_on_with_the_cookie_is_found_out_by_its_owner(client: Client) -> None:
    browser = await signed_in(client)
    thief = Browser(client, browser.cookie)
    later(client, client.settings.session_rotation + 1)
    assert await is_in(thief)
    assert await is_in(thief)
    later(client, 31)
    assert not await is_in(browser)
    assert not await is_in(thief)


@pytest.mark.asyncio
async def test_an_answer_that_gets_lost_with_the_new_cookie_costs_nothing(client: Client) -> None:
    browser = await signed_in(client)
    first = browser.cookie
    for _ in range(4):
        later(client, client.settings.session_rotation + 1)
        assert await is_in(browser)
        assert browser.cookie != first
        browser.cookie = first
    assert await is_in(browser)


@pytest.mark.asyncio
async def test_of_many_requests_at_once_one_replaces_the_cookie_and_none_is_turned_away(client: Client) -> None:
    browser = await signed_in(client)
    later(client, client.settings.session_rotation + 1)
    tabs = [Browser(client, browser.cookie) for _ in range(20)]
    assert all(await asyncio.gather(*(is_in(tab) for tab in tabs)))
    assert len({tab.cookie for tab in tabs} - {browser.cookie}) == 1
    assert len(client.chain.run("select 1 from exchange.session_token")) == 2


@pytest.mark.asyncio
async def test_signing_out_is_at_once_here_or_everywhere(client: Client) -> None:
    browsers = [await signed_in(client) for _ in range(4)]
    copy = Browser(client, browsers[0].cookie)
    assert (await browsers[0].delete("/v1/me/session")).status_code == 204
    assert browsers[0].cookie is None
    assert [await is_in(each) for each in (copy, *browsers)] == [False, False, True, True, True]
    shown = (await browsers[1].get("/v1/me/sessions")).json()["sessions"]
    assert sorted(each["current"] for each in shown) == [False, False, True]
    [other] = [each["id"] for each in shown if not each["current"]][:1]
    assert (await browsers[1].delete(f"/v1/me/sessions/{other}")).status_code == 204
    refused(await browsers[1].delete(f"/v1/me/sessions/{other}"), 404, "session-not-found")
    assert sorted([await is_in(each) for each in browsers[2:]]) == [False, True]
    stranger = await signed_in(client, b"\x09" * 32)
    assert (await browsers[1].delete("/v1/me/sessions")).status_code == 204
    assert not any([await is_in(each) for each in browsers])
    assert await is_in(stranger)
    agents = client.chain.run("select distinct agent from exchange.session where ended is not null")
    assert [row["agent"] for row in agents] == [None], "nothing is kept of a browser that has left"


@pytest.mark.asyncio
async def test_signing_in_again_ends_the_session_of_the_cookie_that_came_along(client: Client) -> None:
    browser = await signed_in(client)
    before = Browser(client, browser.cookie)
    assert (await browser.sign_in_wallet(WALLET)).status_code == 200
    assert not await is_in(before)
    assert await is_in(browser)


@pytest.mark.asyncio
async def test_a_cookie_of_nobody_opens_nothing(client: Client) -> None:
    await signed_in(client)
    for cookie in ("", "x", "A" * 43, "%00", "a" * 4_000):
        assert not await is_in(Browser(client, cookie))


@pytest.mark.asyncio
async def test_another_site_changes_nothing_by_the_cookie(client: Client) -> None:
    browser = await signed_in(client)
    for origin in ("https://evil.example", "null", "http://localhost:8000.evil.example"):
        browser.origin = origin
        refused(await browser.delete("/v1/me/sessions"), 403, "foreign-origin")
        refused(await browser.post("/v1/me/credentials/options"), 403, "foreign-origin")
    headers = {"cookie": f"__Host-points={browser.cookie}"}
    refused(await client.http.delete("/v1/me/session", headers=headers), 403, "foreign-origin")
    assert await is_in(browser)


# --- what needs a fresh sign-in


@pytest.mark.asyncio
async def test_a_passkey_is_attached_and_removed_by_who_has_just_signed_in(client: Client) -> None:
    browser, first, second = Browser(client), Passkey(), Passkey()
    await browser.sign_up(first)
    options = await browser.options("/v1/me/credentials")
    assert [each["id"] for each in options["excludeCredentials"]] == [to_base64url(first.id)]
    body = {"credential": second.create(options)}
    later(client, 301)
    for answer in (
        await browser.post("/v1/me/credentials", body),
        await browser.post("/v1/me/credentials/options"),
        await browser.delete(f"/v1/me/credentials/{to_base64url(first.id)}"),
    ):
        refused(answer, 403, "fresh-sign-in-needed")
    first.count += 1
    assert (await browser.sign_in(first)).status_code == 200
    assert (await browser.post("/v1/me/credentials", body)).status_code == 204
    shown = (await browser.get("/v1/me/credentials")).json()["credentials"]
    assert {each["id"]: each["holds"] for each in shown} == {
        to_base64url(first.id): True,
        to_base64url(second.id): False,
    }
    assert (await Browser(client).sign_in(second)).status_code == 200
    assert (await browser.delete(f"/v1/me/credentials/{to_base64url(first.id)}")).status_code == 204
    refused(await Browser(client).sign_in(first), 403, "sign-in-refused")
    refused(await browser.delete(f"/v1/me/credentials/{to_base64url(second.id)}"), 409, "credential-exists")
    for unknown in (to_base64url(first.id), "A", "AAAAA"):
        refused(await browser.delete(f"/v1/me/credentials/{unknown}"), 404, "credential-not-found")


@pytest.mark.asyncio
async def test_a_challenge_for_attaching_is_the_customers_who_asked(client: Client) -> None:
    browser, other = await signed_in(client), await signed_in(client, b"\x09" * 32)
    options = await browser.options("/v1/me/credentials")
    body = {"credential": Passkey().create(options)}
    refused(await other.post("/v1/me/credentials", body), 403, "sign-in-refused")
    assert (await browser.post("/v1/me/credentials", body)).status_code == 204
    refused(await browser.post("/v1/me/credentials", body), 403, "sign-in-refused")


# --- what a customer sees


@pytest.mark.asyncio
async def test_a_customer_sees_its_points_its_history_and_what_is_under_way(client: Client) -> None:
    shop = await client.shop()
    client.chain.credit(shop.programme, HOLDER, 1_000)
    browser = await signed_in(client)
    assert [each["points"] for each in (await browser.get("/v1/me/balances")).json()["balances"]] == ["10.00"]
    entries = (await browser.get("/v1/me/history", params={"limit": 1})).json()
    assert [each["points"] for each in entries["entries"]] == ["10.00"]
    assert (await browser.get("/v1/me/intents")).json() == {"intents": []}
    wish = {"kind": "send", "programme": shop.slug, "holder": ADDRESS, "amount": "4.00", "to": FRIEND}
    sent = (await client.http.post("/v1/intents", json=await draft_and_sign(client, wish))).json()
    [pending] = (await browser.get("/v1/me/intents")).json()["intents"]
    assert (pending["id"], pending["status"], pending["amount"]) == (sent["id"], "accepted", "4.00")
    assert (await browser.get("/v1/me")).headers["cache-control"] == "no-store"


@pytest.mark.asyncio
async def test_a_stream_of_ones_own_begins_at_once(client: Client) -> None:
    shop = await client.shop()
    client.chain.credit(shop.programme, HOLDER, 1_000)
    browser = await signed_in(client)
    with serving(client.settings) as url:
        async with (
            httpx2.AsyncClient(base_url=url) as http,
            http.stream("GET", "/v1/me/events", headers={"cookie": f"__Host-points={browser.cookie}"}) as answer,
        ):
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("event:"):
                    assert line == "event: ready"
                    break


# --- in the database

OWN: dict[str, str] = {
    "customer": "id = %s",
    "member": "customer_id = %s",
    "intent": "holder = (select holder from exchange.customer where id = %s)",
    "hold": "customer_id in (select id from exchange.member where customer_id = %s)",
    "credential": "customer_id = %s",
    "session": "customer_id = %s",
}
"""Which rows of each table are a customer's; it may read no other table but what is everybody's."""

SHARED = {"call", "transaction", "programme"}


@pytest.mark.asyncio
async def test_a_customers_session_sees_its_own_rows_of_every_table_and_no_others(client: Client) -> None:
    shop = await client.shop()
    people = []
    for number, key in enumerate((WALLET, b"\x09" * 32)):
        browser = await signed_in(client, key)
        options = await browser.options("/v1/me/credentials")
        await browser.post("/v1/me/credentials", {"credential": Passkey().create(options)})
        me = (await browser.get("/v1/me")).json()
        member = await client.customer(shop, f"card-{number}", wallet=me["holder"])
        people.append(me)
        client.chain.run(
            "with made as (insert into exchange.call (kind, target, data, gas) values ('send', %s, '', 1) returning id)"
            " insert into exchange.intent (id, digest, kind, programme, holder, amount, nonce, deadline, signature,"
            " call_id) select %s, %s, 'send', %s, %s, 1, 0, 0, '', id from made",
            bytes(20), me["id"], me["holder"].encode()[:32], shop.programme, bytes.fromhex(me["holder"][2:]),
        )  # fmt: skip
        client.chain.run(
            "insert into exchange.hold (merchant_id, id, customer_id, programme, holder, amount, \"order\", expires_at)"
            " values (%s, %s, %s, %s, %s, 1, 'o', 2000000000)",
            shop.id, me["id"], member["id"], shop.programme, bytes.fromhex(me["holder"][2:]),
        )  # fmt: skip
    gateway = client.app.state.gateway
    tables = {row["relname"] for row in client.chain.run(
        "select relname from pg_class where relnamespace = 'exchange'::regnamespace and relkind in ('r', 'v')"
    )}  # fmt: skip
    readable = {table for table in tables if client.chain.run(
        "select has_any_column_privilege('points_customer', %s, 'select') as may", f"exchange.{table}"
    )[0]["may"]}  # fmt: skip
    assert readable == set(OWN) | SHARED
    for me in people:
        async with gateway.database.reading(OfCustomer(UUID(me["id"]))) as sql:
            for table, which in OWN.items():
                [owned] = client.chain.run(f"select count(*) as n from exchange.{table} where {which}", me["id"])
                [total] = client.chain.run(f"select count(*) as n from exchange.{table}")
                seen: Any = await one(sql, f"select count(*) as n from exchange.{table}".encode())  # type: ignore[arg-type]
                assert seen["n"] == owned["n"], table
                assert 0 < owned["n"] < total["n"], f"{table} has rows of both"


@pytest.mark.asyncio
async def test_what_a_customer_names_of_another_is_as_if_it_did_not_exist(client: Client) -> None:
    owner, thief = await signed_in(client), await signed_in(client, b"\x09" * 32)
    passkey = Passkey()
    await owner.post("/v1/me/credentials", {"credential": passkey.create(await owner.options("/v1/me/credentials"))})
    session = (await owner.get("/v1/me")).json()["session"]
    for theirs, nothing in (
        (f"/v1/me/sessions/{session}", "/v1/me/sessions/00000000-0000-0000-0000-000000000000"),
        (f"/v1/me/credentials/{to_base64url(passkey.id)}", f"/v1/me/credentials/{to_base64url(b'x' * 32)}"),
    ):
        answers = [await thief.delete(path) for path in (theirs, nothing)]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].text.replace(session, "…") == answers[1].text.replace(nothing.rpartition("/")[2], "…")
    assert await is_in(owner)
    assert len((await owner.get("/v1/me/credentials")).json()["credentials"]) == 1


@pytest.mark.asyncio
async def test_a_customer_shows_a_merchant_a_code_takes_all_that_is_held_and_is_forgotten(client: Client) -> None:
    shop, browser = await client.shop(), Browser(client)
    await browser.sign_up(passkey := Passkey())
    code = (await browser.post("/v1/me/link-codes")).json()["code"]
    body = {"member": "of-the-web-shop", "link": code}
    enrolled = await client.http.post("/v1/customers", json=body, headers=shop.auth)
    assert (enrolled.status_code, enrolled.json()["holder"].lower()) == (201, "0x" + passkey.holder.hex())
    archive = await browser.post("/v1/me/export")
    assert archive.headers["content-type"] == "application/zip"
    assert archive.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        assert any(b"of-the-web-shop" in files.read(name) for name in files.namelist())
    later(client, 301)
    for path, sent in (("link-codes", None), ("export", None), ("erasure", {})):
        refused(await browser.post(f"/v1/me/{path}", sent), 403, "fresh-sign-in-needed")
    passkey.count += 1
    assert (await browser.sign_in(passkey)).status_code == 200
    erased = await browser.post("/v1/me/erasure", {})
    assert (erased.status_code, erased.json()["purchases"]) == (200, 0), erased.text
    assert not await is_in(browser)
    gone = await client.http.get(f"/v1/customers/{enrolled.json()['id']}", headers=shop.auth)
    refused(gone, 404, "customer-not-found")
    refused(await Browser(client).sign_in(passkey), 403, "sign-in-refused")
