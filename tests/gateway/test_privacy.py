"""What is personal is sealed, looked up blindly, shared by code alone, given out whole and erased for good."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from contracts import receipts
from exchange import vault
from exchange.database import Person, rows
from exchange.rotation import SEALED, rotate
from exchange.settings import Settings
from tests.gateway.conftest import LANE, Client, Shop, sale, serve

pytestmark = pytest.mark.asyncio

JANE: Final[dict[str, Any]] = {
    "name": "Jane Q. Doe", "email": "Jane.Doe@Example.com", "phone": "+1 (415) 555-0123", "birthday": "1984-02-29",
    "address": ["1 Main Street", "Springfield"],
}  # fmt: skip


def dump(url: str) -> bytes:
    """Every row of every table, as `pg_dump` would write them."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
            " where schemaname in ('exchange', 'mirror')"
        ).fetchall()
        content = b""
        for (table,) in tables:
            with connection.cursor().copy(f"copy {table} to stdout".encode()) as copy:
                content += b"".join(bytes(part) for part in copy)
    return content


def holds(content: bytes, *texts: str) -> list[str]:
    """Which of the texts are in it, also as PostgreSQL writes bytes, and whatever their case."""
    low = content.lower()
    return [text for text in texts if text.lower().encode() in low or text.encode().hex().encode() in low]


async def put(client: Client, shop: Shop, customer: str, profile: dict[str, Any]) -> dict[str, Any]:
    answer = await client.http.put(f"/v1/customers/{customer}/profile", json=profile, headers=shop.auth)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def find(client: Client, shop: Shop, **by: str) -> list[str]:
    answer = await client.http.post("/v1/customers/find", json=by, headers=shop.auth)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["customers"]]


def slug(answer: Any) -> str:
    return str(answer.json()["type"].rpartition(":")[2])


# --- profiles


async def test_a_profile_is_given_back_as_it_came_and_stands_nowhere_in_the_clear(client: Client) -> None:
    shop = await client.shop()
    jane = (await client.customer(shop))["id"]
    made = await put(client, shop, jane, JANE)
    assert made == {"customer": jane, "consents": [], **JANE}
    read = await client.http.get(f"/v1/customers/{jane}/profile", headers=shop.auth)
    assert read.json() == made
    texts = ("Jane", "Doe", "example.com", "415", "555-0123", "14155550123", "1984-02-29", "Springfield")
    assert holds(dump(client.chain.url), *(text for text in texts if text != "415")) == []
    fewer = await put(client, shop, jane, {"name": "Jane Roe"})
    assert (fewer["name"], fewer["email"], fewer["address"]) == ("Jane Roe", None, None)


async def test_consents_are_marked_with_time_and_version_and_never_overwritten(client: Client) -> None:
    shop = await client.shop()
    jane = (await client.customer(shop))["id"]
    path = f"/v1/customers/{jane}/consents"
    for version, granted in (("2026-01", True), ("2026-02", True), ("2026-02", False)):
        body = {"purpose": "newsletter", "version": version, "granted": granted}
        answer = await client.http.post(path, json=body, headers=shop.auth)
        assert answer.status_code == 201
    await put(client, shop, jane, {"name": "Jane"})
    marks = (await client.http.get(f"/v1/customers/{jane}/profile", headers=shop.auth)).json()["consents"]
    assert [(each["version"], each["granted"]) for each in marks] == [
        ("2026-01", True), ("2026-02", True), ("2026-02", False),
    ]  # fmt: skip
    assert all(each["at"].endswith("Z") for each in marks)


async def test_a_sealed_value_opens_in_its_own_place_alone(client: Client) -> None:
    shop = await client.shop()
    jane, joe = [(await client.customer(shop, member))["id"] for member in ("jane", "joe")]
    for each in (jane, joe):
        await put(client, shop, each, JANE)
    [jane_row] = client.chain.run("select * from exchange.personal where customer_id = %s and field = 'name'", jane)
    [key] = client.chain.run("select key from exchange.data_key where customer_id = %s", jane)
    data_key = vault.unseal(client.settings.master, key["key"], purpose=f"data:{shop.id}:{jane}")
    purposes = {
        f"personal:{merchant}:{customer}:{field}:{version}"
        for merchant in (shop.id, uuid4()) for customer in (jane, joe) for field in ("name", "email")
        for version in (1, 2)
    }  # fmt: skip
    own = f"personal:{shop.id}:{jane}:name:1"
    assert json.loads(vault.unseal(data_key, jane_row["sealed"], purpose=own)) == JANE["name"]
    for purpose in purposes - {own}:
        with pytest.raises(vault.VaultError):
            vault.unseal(data_key, jane_row["sealed"], purpose=purpose)
    with pytest.raises(vault.VaultError):
        vault.unseal(client.settings.master, key["key"], purpose=f"data:{shop.id}:{joe}")
    # Moved by hand to another's row, it is refused rather than shown.
    client.chain.run("update exchange.personal set sealed = %s where customer_id = %s", jane_row["sealed"], joe)
    with pytest.raises(vault.VaultError):
        await client.http.get(f"/v1/customers/{joe}/profile", headers=shop.auth)


async def test_members_are_found_by_mail_and_phone_and_two_merchants_indexes_have_nothing_in_common(
    client: Client,
) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    for shop in (one, other):
        await put(client, shop, (await client.customer(shop))["id"], JANE)
    second = (await client.customer(one, "card-2"))["id"]
    await put(client, one, second, {"email": "JANE.DOE@example.COM "})
    found = await find(client, one, email="jane.doe@example.com")
    assert len(found) == 2
    assert second in found
    assert len(await find(client, one, phone="+14155550123")) == 1
    assert len(await find(client, other, phone="+1 415 555 0123")) == 1
    assert await find(client, one, email="nobody@example.com") == []
    digests = client.chain.run("select merchant_id, kind, digest from exchange.blind_index")
    by_merchant = [{row["digest"] for row in digests if str(row["merchant_id"]) == shop.id} for shop in (one, other)]
    assert len(by_merchant[0] | by_merchant[1]) == 4
    assert by_merchant[0] & by_merchant[1] == set()
    await put(client, one, second, {"email": "other@example.com"})
    assert second not in await find(client, one, email="jane.doe@example.com")
    bad = await client.http.post("/v1/customers/find", json={"phone": "555"}, headers=one.auth)
    assert (bad.status_code, slug(bad)) == (422, "invalid-request")


async def test_writers_of_one_profile_follow_one_another(client: Client) -> None:
    shop = await client.shop()
    jane = (await client.customer(shop))["id"]
    names = [f"Jane {number}" for number in range(8)]
    await asyncio.gather(*(put(client, shop, jane, {"name": name, "email": "j@example.com"}) for name in names))
    read = (await client.http.get(f"/v1/customers/{jane}/profile", headers=shop.auth)).json()
    assert read["name"] in names
    assert client.chain.run("select count(*) as n from exchange.personal") == [{"n": 2}]
    deleted = await client.http.delete(f"/v1/customers/{jane}/profile", headers=shop.auth)
    assert deleted.status_code == 204
    assert client.chain.run(
        "select (select count(*) from exchange.personal) + (select count(*) from exchange.data_key)"
        " + (select count(*) from exchange.blind_index) as n"
    ) == [{"n": 0}]


# --- an id for each merchant


async def test_two_merchants_cannot_tell_from_ids_that_they_share_a_customer(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    first = await client.customer(one)
    code = await client.link(one, first)
    second = await client.customer(other, "theirs", link=code)
    assert first["id"] != second["id"]
    assert first["holder"] == second["holder"], "what they share is on the chain"
    [person] = client.chain.run("select id::text from exchange.customer")
    said = json.dumps([first, second])
    for shop, customer, member in ((one, first, "card-1"), (other, second, "theirs")):
        made = await client.http.post("/v1/purchases", json=sale(member=member), headers=shop.once())
        by_id = sale(member=None, customer=customer["id"])
        again = await client.http.post("/v1/purchases", json=by_id, headers=shop.once())
        bulk = await client.http.post("/v1/purchases/bulk", json={"purchases": [sale(member=member)]},
                                      headers=shop.once())  # fmt: skip
        named = [made.json()["customer"], again.json()["customer"], bulk.json()["results"][0]["purchase"]["customer"]]
        assert named == [customer["id"]] * 3
        client.chain.credit(shop.programme, bytes.fromhex(first["holder"][2:]), 1_000)
        held = await client.http.post(
            "/v1/holds", json={"customer": customer["id"], "amount": "1.00", "order": "o"}, headers=shop.once()
        )
        assert held.json()["customer"] == customer["id"]
        expiring = await client.http.get(f"/v1/merchants/{shop.id}/expiring", headers=shop.auth)
        said += made.text + again.text + bulk.text + held.text + expiring.text
    assert person["id"] not in said
    for shop, foreign in ((one, second["id"]), (other, first["id"]), (one, person["id"])):
        answer = await client.http.get(f"/v1/customers/{foreign}", headers=shop.auth)
        assert (answer.status_code, slug(answer)) == (404, "customer-not-found")
        refused = await client.http.post("/v1/purchases", json=sale(member=None, customer=foreign), headers=shop.once())
        assert (refused.status_code, slug(refused)) == (404, "customer-not-found")
    operator = await client.http.get(f"/v1/customers/{person['id']}", headers=client.operator)
    assert operator.json()["id"] == person["id"]


async def test_card_customers_have_an_address_of_their_own_at_each_merchant_unless_they_are_linked(
    client: Client,
) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    made = [await client.customer(shop, "the-same-card") for shop in (one, other)]
    assert made[0]["holder"] != made[1]["holder"]


async def test_a_link_code_serves_one_merchant_for_ten_minutes(client: Client) -> None:
    one, other, third = [await client.shop(name) for name in ("one", "other", "third")]
    jane = await client.customer(one)
    code = await client.link(one, jane)

    async def enrol(shop: Shop, code: str, member: str = "m") -> Any:
        body = {"member": member, "link": code}
        return await client.http.post("/v1/customers", json=body, headers=shop.auth)

    unknown = await enrol(other, "0000-0000-0000")
    linked = await enrol(other, code.lower().replace("-", ""))
    again = await enrol(other, code)
    assert (linked.status_code, again.json()) == (201, linked.json())
    late = await enrol(third, code)
    twice = await enrol(other, code, "another-number")
    own = await enrol(one, await client.link(one, jane), "another-number")
    assert [slug(each) for each in (unknown, late, twice, own)] == [
        "link-code-refused", "link-code-refused", "member-conflict", "member-conflict",
    ]  # fmt: skip
    assert late.json() == unknown.json(), "a used code and one that never was answer alike"
    fresh = await client.link(one, jane)
    client.chain.run("update exchange.link_code set expires_at = now() - interval '1 second'")
    assert (await enrol(third, fresh)).json() == unknown.json()
    assert holds(dump(client.chain.url), code, fresh, fresh.replace("-", "")) == []
    stranger = await client.http.post("/v1/customers/link-codes", json={"customers": [jane["id"]]}, headers=third.auth)
    assert (stranger.status_code, slug(stranger)) == (404, "customer-not-found")


# --- a person's own rows, in the database


async def test_what_is_done_for_a_person_reaches_no_other_person(client: Client) -> None:
    shop = await client.shop()
    people = []
    for member in ("jane", "joe"):
        made = await client.customer(shop, member)
        await put(client, shop, made["id"], JANE)
        sold = await client.http.post("/v1/purchases", json=sale(member=member), headers=shop.once())
        await client.http.post(
            f"/v1/purchases/{sold.json()['id']}/refunds", json={"reference": member}, headers=shop.once()
        )
        people.append(made["id"])
    members = client.chain.run("select id::text, customer_id from exchange.member order by reference")
    async with client.app.state.gateway.database.transaction(Person(members[0]["customer_id"])) as sql:
        for table in ("member", "data_key", "personal", "blind_index", "purchase", "hold"):
            column = "id" if table == "member" else "customer_id"
            found = await rows(sql, f"select distinct {column}::text as id from exchange.{table}")  # noqa: S608
            assert {row["id"] for row in found} <= {people[0]}, table
        assert len(await rows(sql, "select id from exchange.customer")) == 1
        assert len(await rows(sql, "select id from exchange.refund")) == 1
        for change in (
            "delete from exchange.personal where customer_id = %s",
            "update exchange.purchase set store = 'x' where customer_id = %s",
            "update exchange.member set reference = 'x', customer_id = null where id = %s",
        ):
            cursor = await sql.execute(change, (people[1],))
            assert cursor.rowcount == 0
        for forbidden in ("select key from exchange.customer", "select issuer_key from exchange.merchant"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with sql.transaction():
                    await sql.execute(forbidden)


# --- export


def contents(archive: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


async def test_an_export_has_everything_of_the_merchants_and_is_the_same_bytes_again(client: Client) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    jane = await client.customer(one)
    theirs = await client.customer(other, "their-number", link=await client.link(one, jane))
    await put(client, one, jane["id"], JANE)
    await put(client, other, theirs["id"], {"name": "Their Name For Her"})
    sold = (await client.http.post("/v1/purchases", json=sale(reference="first"), headers=one.once())).json()
    await client.http.post(f"/v1/purchases/{sold['id']}/refunds", json={"reference": "back"}, headers=one.once())
    client.chain.credit(one.programme, bytes.fromhex(jane["holder"][2:]), 1_000)
    hold = {"member": "card-1", "amount": "1.00", "order": "held-order"}
    await client.http.post("/v1/holds", json=hold, headers=one.once())
    redeem = {"amount": "2.00", "order": "o"}
    await client.http.post(f"/v1/customers/{jane['id']}/redeem", json=redeem, headers=one.once())
    client.chain.run(
        "insert into exchange.webhook_event (merchant_id, id, kind, subject, data) values (%s, %s, 'k', 's', %s)",
        one.id, uuid4(), json.dumps({"customer": jane["id"], "points": "12.34"}),
    )  # fmt: skip
    answers = [await client.http.post(f"/v1/customers/{jane['id']}/export", headers=one.auth) for _ in range(2)]
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].content == answers[1].content
    files = contents(answers[0].content)
    index = json.loads(files["index.json"])["files"]
    assert {each["path"] for each in index} == set(files) - {"index.json"}
    assert all(hashlib.sha256(files[each["path"]]).hexdigest() == each["sha256"] for each in index)
    read = {name.removeprefix("one/"): json.loads(files[name]) for name in files if name.startswith("one/")}
    assert read["profile.json"] == {**JANE, "consents": []}
    assert read["membership.json"]["member"] == "card-1"
    assert [(each["reference"], each["receipt"]["salt"]) for each in read["purchases.json"]] == [
        ("first", sold["receipt"]["salt"])
    ]
    assert [each["reference"] for each in read["refunds.json"]] == ["back"]
    assert [(each["order"], each["amount"]) for each in read["holds.json"]] == [("held-order", "1.00")]
    assert [each["kind"] for each in read["intents.json"]] == ["redeem"]
    assert read["balances.json"]["balances"][0]["points"] == "10.00"
    assert read["history.json"][0]["points"] == "10.00"
    assert read["webhooks.json"][0]["data"]["points"] == "12.34"
    assert holds(b"".join(files.values()), "Their Name", "their-number", theirs["id"]) == []
    [person] = client.chain.run("select id::text from exchange.customer")
    whole = await client.http.post(f"/v1/customers/{person['id']}/export", headers=client.operator)
    everything = contents(whole.content)
    assert holds(b"".join(everything.values()), "Their Name", "their-number", JANE["name"]) == [
        "Their Name", "their-number", JANE["name"],
    ]  # fmt: skip
    assert json.loads(everything["customer.json"])[0]["id"] == person["id"]
    for shop, id in ((other, jane["id"]), (one, person["id"])):
        assert slug(await client.http.post(f"/v1/customers/{id}/export", headers=shop.auth)) == "customer-not-found"


# --- erasure


def everything_final(client: Client) -> None:
    """As if the relayer and the chain had done all they have to."""
    client.chain.run("update exchange.call set state = 'refused', failure = 'over' where state = 'queued'")
    client.chain.run("update exchange.hold set state = 'released'")


def mint(client: Client, shop: Shop, *, number: int = 1) -> list[dict[str, Any]]:
    """Puts all waiting purchases into one batch, final on the chain, as relayer and indexer would."""
    waiting = client.chain.run(
        "select * from exchange.purchase where merchant_id = %s and batch_number is null and points > cancelled"
        " order by id",
        shop.id,
    )
    leaves = []
    for place, row in enumerate(waiting):
        made = row["commitment"]
        leaves.append(
            receipts.leaf(
                chain_id=31337,
                token=shop.programme,
                batch=number,
                index=place,
                holder=row["holder"],
                amount=row["points"] - row["cancelled"],
                purchase=made,
            )
        )
        client.chain.run(
            "update exchange.purchase set batch_number = %s, batch_index = %s where id = %s", number, place, row["id"]
        )
    root, total = receipts.root(leaves), sum(row["points"] - row["cancelled"] for row in waiting)
    client.chain.run(
        "insert into exchange.batch values (%s, %s, %s, %s, %s, (select min(id) from exchange.call))",
        shop.id, number, root, total, len(waiting),
    )  # fmt: skip
    block = client.chain.mine()
    client.chain.run(
        "insert into mirror.batch values (%s, %s, %s, 0, 0, %s, %s, %s, %s)",
        shop.programme, number, block, root, bytes(32), total, len(waiting),
    )  # fmt: skip
    client.chain.mine(finalized=block)
    return waiting


def opened(row: dict[str, Any]) -> bytes:
    """The commitment, by salt and facts."""
    return receipts.commitment(
        salt=row["salt"], merchant_reference=row["reference"], amount_minor=row["amount_minor"], currency="USD",
        purchased_at=int(row["purchased_at"].timestamp()), store=row["store"] or "",
    )  # fmt: skip


def root_of(client: Client, shop: Shop, number: int = 1) -> bytes:
    """Derived again from what is stored."""
    found = client.chain.run(
        "select * from exchange.purchase where merchant_id = %s and batch_number = %s order by batch_index",
        shop.id, number,
    )  # fmt: skip
    return receipts.root([
        receipts.leaf(chain_id=31337, token=shop.programme, batch=number, index=i, holder=row["holder"],
                      amount=row["points"] - row["cancelled"], purchase=row["commitment"])
        for i, row in enumerate(found)
    ])  # fmt: skip


async def erase(client: Client, shop: Shop, customer: str, **body: Any) -> Any:
    return await client.http.post(f"/v1/customers/{customer}/erasure", json=body, headers=shop.auth)


async def test_after_erasure_nothing_of_the_person_is_in_the_database_and_every_root_is_derived_again(
    client: Client,
) -> None:
    shop = await client.shop()
    marks = [f"mark{uuid4().hex[:12]}" for _ in range(14)]
    (member, name, mail, street, news, text, reference, store, back, order, key, again_key, hold_key, bulk_key) = marks
    jane, joe = await client.customer(shop, member), await client.customer(shop, "joe")
    await put(client, shop, jane["id"], {**JANE, "name": name, "email": f"{mail}@example.com", "address": [street]})
    await client.http.post(
        f"/v1/customers/{jane['id']}/consents", json={"purpose": news, "version": text, "granted": True},
        headers=shop.auth,
    )  # fmt: skip
    body = sale(member=member, reference=reference, store=store)
    sold = (await client.http.post("/v1/purchases", json=body, headers=shop.once(key))).json()
    await client.http.post("/v1/purchases", json=body, headers=shop.once(again_key))
    bulk = {"purchases": [sale(member=member, reference=f"{reference}-2"), sale(member=f"{member}-unknown")]}
    await client.http.post("/v1/purchases/bulk", json=bulk, headers=shop.once(bulk_key))
    others = (await client.http.post("/v1/purchases", json=sale(member="joe"), headers=shop.once())).json()
    path = f"/v1/purchases/{sold['id']}/refunds"
    await client.http.post(path, json={"reference": back}, headers=shop.once())
    client.chain.credit(shop.programme, bytes.fromhex(jane["holder"][2:]), 1_000)
    hold = {"member": member, "amount": "1.00", "order": order}
    await client.http.post("/v1/holds", json=hold, headers=shop.once(hold_key))
    await client.link(shop, jane)
    early = await erase(client, shop, jane["id"])
    assert slug(early) == "not-yet-final"
    assert early.json()["waiting"] == {"purchases": 1, "holds": 1}, "what was refunded is not minted"
    mint(client, shop)
    before = client.chain.run("select * from exchange.purchase order by id")
    everything_final(client)
    root, supply = root_of(client, shop), client.chain.run("select * from mirror.supply")
    [points] = client.chain.run("select sum(points) as n, count(*) as many from exchange.purchase")
    assert slug(await erase(client, shop, jane["id"])) == "points-remain"
    assert holds(dump(client.chain.url), reference, store, back, order, member) != []
    done = await erase(client, shop, jane["id"], forfeit=True)
    assert done.status_code == 200, done.text
    assert (done.json()["purchases"], done.json()["forfeited"]) == (2, True)

    assert holds(dump(client.chain.url), *marks, jane["id"].replace("-", ""), *JANE["address"]) == []
    tombstones = client.chain.run("select * from exchange.member where customer_id is null")
    assert [str(row["id"]) == jane["id"] for row in tombstones] == [False]
    assert client.counts()["customer"] == 1
    assert client.chain.run("select sum(points) as n, count(*) as many from exchange.purchase") == [points]
    assert client.chain.run("select * from mirror.supply") == supply
    assert root_of(client, shop) == root
    kept = client.chain.run("select * from exchange.purchase where salt is null order by id")
    mine = [row for row in before if str(row["customer_id"]) == jane["id"]]
    assert [row["commitment"] for row in kept] == [opened(row) for row in mine]
    # Repeating it says the same; the person is as absent as anybody; another's things are what they were.
    assert (await erase(client, shop, jane["id"])).json() == done.json()
    assert slug(await client.http.get(f"/v1/customers/{jane['id']}", headers=shop.auth)) == "customer-not-found"
    assert slug(await client.http.post("/v1/purchases", json=body, headers=shop.once(key))) == "customer-not-found"
    repeated = await client.http.post("/v1/purchases/bulk", json=bulk, headers=shop.once(bulk_key))
    problems = [each["problem"]["type"].rpartition(":")[2] for each in repeated.json()["results"]]
    assert problems == ["purchase-erased", "customer-not-found"]
    shown = (await client.http.get(f"/v1/purchases/{sold['id']}", headers=shop.auth)).json()
    assert (shown["status"], shown["store"], shown["receipt"]["salt"]) == ("cancelled", None, None)
    assert shown["receipt"]["purchase"] == sold["receipt"]["purchase"]
    assert shown["receipt"]["signature"] == sold["receipt"]["signature"]
    path = f"/v1/purchases/{others['id']}/refunds"
    assert (await client.http.post(path, json={"reference": "r"}, headers=shop.once())).status_code == 201
    archive = await client.http.post(f"/v1/customers/{joe['id']}/export", headers=shop.auth)
    [proved] = json.loads(contents(archive.content)["grocer/purchases.json"])
    assert bytes.fromhex(proved["proof"]["root"][2:]) == root
    assert receipts.verify(
        root, bytes.fromhex(proved["proof"]["leaf"][2:]),
        [bytes.fromhex(each[2:]) for each in proved["proof"]["siblings"]],
    )  # fmt: skip


async def test_one_merchants_erasure_leaves_the_customer_to_the_others_and_the_operators_to_nobody(
    client: Client,
) -> None:
    one, other = await client.shop("one"), await client.shop("other")
    jane = await client.customer(one)
    theirs = await client.customer(other, "their-number", link=await client.link(one, jane))
    for shop, id in ((one, jane["id"]), (other, theirs["id"])):
        await put(client, shop, id, JANE)
    [person] = client.chain.run("select id::text from exchange.customer")
    assert (await erase(client, one, jane["id"])).status_code == 200
    assert (await client.http.get(f"/v1/customers/{theirs['id']}/profile", headers=other.auth)).json()["name"]
    assert await find(client, one, email=JANE["email"]) == []
    assert client.counts()["customer"] == 1
    fresh = await client.customer(one)
    assert fresh["id"] != jane["id"], "who comes back is somebody new"
    path = f"/v1/customers/{person['id']}/erasure"
    done = await client.http.post(path, json={}, headers=client.operator)
    assert done.status_code == 200, done.text
    assert (await client.http.post(path, json={}, headers=client.operator)).json() == done.json()
    assert slug(await client.http.get(f"/v1/customers/{theirs['id']}", headers=other.auth)) == "customer-not-found"
    assert holds(dump(client.chain.url), "their-number", person["id"] + "\t") == [person["id"] + "\t"], "noted once"
    [noted] = client.chain.run("select id::text from exchange.erasure where merchant_id is null")
    assert noted["id"] == person["id"]


async def test_a_wallet_keeps_its_points_and_may_come_back_as_somebody_new(client: Client) -> None:
    shop, wallet = await client.shop(), "0x" + "ab" * 20
    made = await client.customer(shop, "phone", wallet=wallet)
    client.chain.credit(shop.programme, bytes.fromhex(wallet[2:]), 1_000)
    done = await erase(client, shop, made["id"])
    assert (done.status_code, done.json()["forfeited"]) == (200, False)
    back = await client.customer(shop, "phone", wallet=wallet)
    assert (back["id"] != made["id"], back["holder"]) == (True, made["holder"])


async def test_purchases_and_erasures_of_one_customer_at_once_leave_no_purchase_that_names_anybody(
    client: Client,
) -> None:
    shop = await client.shop(points_per_unit="0")  # so that nothing has to be minted first
    for round_ in range(6):
        member = f"mark-{round_}"
        jane = await client.customer(shop, member)
        reports = [
            client.http.post("/v1/purchases", json=sale(member=member, store=f"store-{member}"), headers=shop.once())
            for _ in range(8)
        ]
        done, *answers = await asyncio.gather(erase(client, shop, jane["id"]), *reports)
        assert done.status_code == 200, done.text
        assert {each.status_code for each in answers} <= {201, 404, 409}
        assert holds(dump(client.chain.url), member) == []


async def test_parallel_erasures_of_one_customer_are_one(client: Client) -> None:
    shop = await client.shop()
    jane = await client.customer(shop)
    await put(client, shop, jane["id"], JANE)
    answers = await asyncio.gather(*(erase(client, shop, jane["id"]) for _ in range(8)))
    # Few connections are for what concerns one person: on a slow machine somebody waits too long for one.
    answers = [await erase(client, shop, jane["id"]) if each.status_code == 503 else each for each in answers]
    assert {each.status_code for each in answers} == {200}
    assert len({each.text for each in answers}) == 1
    assert client.chain.run("select count(*) as n from exchange.erasure") == [{"n": 1}]


async def test_a_purchase_has_its_commitment_for_ever(client: Client) -> None:
    shop = await client.shop()
    await client.customer(shop)
    await client.http.post("/v1/purchases", json=sale(), headers=shop.once())
    with psycopg.connect(client.chain.url, row_factory=dict_row, autocommit=True) as owner:
        for value in ("null", "''"):
            with pytest.raises(psycopg.errors.IntegrityError):
                owner.execute(f"update exchange.purchase set commitment = {value}".encode())  # noqa: S608


# --- another master key


async def test_after_a_rotation_the_gateway_opens_everything_with_the_new_key_alone(
    client: Client, make_settings: Callable[..., Settings]
) -> None:
    shop = await client.shop()
    jane = await client.customer(shop)
    await put(client, shop, jane["id"], JANE)
    client.chain.credit(shop.programme, bytes.fromhex(jane["holder"][2:]), 1_000)
    hook = {"url": "https://shop.example/hook", "events": ["purchase.final"]}
    endpoint = (await client.http.post("/v1/webhooks", json=hook, headers=shop.auth)).json()
    await client.http.post("/v1/charities", json={"slug": "food", "name": "Food"}, headers=client.operator)
    new, old = "ab" * 32, client.settings.master_key.get_secret_value()
    lane = vault.seal(bytes.fromhex(old), bytes(32), purpose=f"signer:{LANE.hex()}")
    client.chain.run("update exchange.signer set key = %s where address = %s", lane, LANE)
    async with (
        serve(make_settings(master_key=new, old_master_key=old)) as meanwhile,
        await psycopg.AsyncConnection.connect(client.chain.url, autocommit=True) as owner,
    ):
        assert await find(meanwhile, shop, email=JANE["email"]) == [jane["id"]]
        for sealed in SEALED:
            count = await rotate(owner, sealed, new=bytes.fromhex(new), old=bytes.fromhex(old))
            assert count.lost == 0, sealed
            assert count.rotated > 0, sealed
        assert (await meanwhile.http.post("/v1/purchases", json=sale(), headers=shop.once())).status_code == 201
    async with serve(make_settings(master_key=new)) as after:
        assert (await after.http.post("/v1/purchases", json=sale(), headers=shop.once())).status_code == 201
        path = f"/v1/customers/{jane['id']}"
        redeem = await after.http.post(f"{path}/redeem", json={"amount": "1.00", "order": "o"}, headers=shop.once())
        assert redeem.status_code == 202, redeem.text
        assert await find(after, shop, email=JANE["email"]) == [jane["id"]]
        assert (await after.http.get(f"{path}/profile", headers=shop.auth)).json()["name"] == JANE["name"]
        quote = {"bid": "0.0097", "ask": "0.0100"}
        posted = await after.http.put(f"/v1/merchants/{shop.id}/quote", json=quote, headers=shop.auth)
        assert posted.status_code < 300, posted.text
    [row] = client.chain.run("select secret from exchange.webhook_endpoint")
    assert vault.unseal(bytes.fromhex(new), row["secret"], purpose=f"webhook:{endpoint['id']}")
