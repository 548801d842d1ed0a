"""One merchant and another's things: over HTTP they are as if absent, and in the database they are not there at all."""

# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from exchange import tables
from exchange.app import create_app
from exchange.database import ROLES, UnsafeLogin, connect, create_schema, one, rows
from exchange.relayer.run import ROLE as RELAYER
from exchange.settings import Settings
from tests.gateway.conftest import Client, Shop, create_tables, make_tables, sale, serve
from tests.gateway.routes import routes

# --- over HTTP


@dataclass(frozen=True)
class Things:
    """What a merchant has, or what nobody has."""

    merchant: str
    customer: str
    member: str
    purchase: str
    reference: str
    hold: str
    prefix: str
    endpoint: str
    event: str

    @staticmethod
    def of_nobody() -> Things:
        return Things(*(str(uuid4()) for _ in range(9)))

    def hidden(self, text: str) -> str:
        """`text` with whatever names these things made the same."""
        for value in vars(self).values():
            text = text.replace(value, "…")
        return text


Case = Callable[[Things], tuple[dict[str, str], dict[str, Any]]]
"""The names in the path, and what goes with the request."""


def _path(name: str = "id", thing: str = "merchant", **body: Any) -> Case:
    return lambda things: ({name: getattr(things, thing)}, {"json": body} if body else {})


def _body(make: Callable[[Things], Any]) -> Case:
    return lambda things: ({}, {"json": make(things)})


AMOUNT = {"amount": "1.00"}
ACTS: dict[str, dict[str, Any]] = {
    "send": {"to": "0x" + "fe" * 20}, "redeem": {"order": "o"}, "swap": {"into": "grocer"}, "give": {"charity": "food"},
}  # fmt: skip
PERIOD = {"start": "2026-01-01", "end": "2026-02-01"}
QUOTE = {"bid": "0.01", "ask": "0.01"}

CASES: dict[str, list[Case]] = {
    "POST /v1/purchases": [
        _body(lambda things: sale(member=things.member, reference="r")),
        _body(lambda things: sale(member=None, customer=things.customer, reference="r")),
    ],
    "POST /v1/purchases/bulk": [
        _body(lambda things: {"purchases": [sale(member=things.member, reference="r")]}),
        _body(lambda things: {"purchases": [sale(member=None, customer=things.customer, reference="r")]}),
    ],
    "GET /v1/purchases/{id}": [_path(thing="purchase")],
    "GET /v1/purchases/{id}/proof": [_path(thing="purchase")],
    "GET /v1/purchases": [lambda things: ({}, {"params": {"reference": things.reference}})],
    "POST /v1/purchases/{id}/refunds": [_path(thing="purchase", reference="refund")],
    "GET /v1/purchases/{id}/refunds": [_path(thing="purchase")],
    **{
        f"POST /v1/customers/{{id}}/{kind}": [_path(thing="customer", **AMOUNT, **fields)]
        for kind, fields in ACTS.items()
    },
    "POST /v1/customers/intents/bulk": [
        _body(lambda things: {"intents": [{"kind": "redeem", "member": things.member, **AMOUNT, "order": "o"}]}),
        _body(lambda things: {"intents": [{"kind": "redeem", "customer": things.customer, **AMOUNT, "order": "o"}]}),
        _body(lambda things: {"intents": [{"kind": "send", "member": "card-1", **AMOUNT, "to_member": things.member}]}),
        _body(
            lambda things: {"intents": [{"kind": "send", "member": "card-1", **AMOUNT, "to_customer": things.customer}]}
        ),
    ],
    "GET /v1/customers/{id}": [_path(thing="customer")],
    "POST /v1/customers/{id}/codes": [_path(thing="customer", purpose="pin")],
    "PUT /v1/customers/{id}/pin": [_path(thing="customer", pin="8375", code="0000-0000-0000")],
    "DELETE /v1/customers/{id}/pin/lock": [_path(thing="customer")],
    "GET /v1/merchants/{id}/pin-rule": [_path()],
    "PUT /v1/merchants/{id}/pin-rule": [_path(pin_from="5.00")],
    "GET /v1/customers/{id}/balances": [_path(thing="customer")],
    "GET /v1/customers/{id}/history": [_path(thing="customer")],
    "GET /v1/customers/{id}/profile": [_path(thing="customer")],
    "PUT /v1/customers/{id}/profile": [_path(thing="customer", phone="+14155550123")],
    "POST /v1/customers/{id}/consents": [_path(thing="customer", purpose="news", version="1", granted=True)],
    "POST /v1/customers/{id}/export": [_path(thing="customer")],
    "POST /v1/customers/link-codes": [_body(lambda things: {"customers": [things.customer]})],
    "GET /v1/merchants/{id}": [_path()],
    "PUT /v1/merchants/{id}/quote": [_path(**QUOTE)],
    "PATCH /v1/merchants/{id}/terms": [_path(return_window=1)],
    "PUT /v1/merchants/{id}/partners/{partner}": [
        lambda things: ({"id": things.merchant, "partner": "third"}, {"json": {"allowed": True}})
    ],
    "POST /v1/merchants/{id}/keys": [_path(preset="till")],
    "GET /v1/merchants/{id}/keys": [_path()],
    "DELETE /v1/merchants/{id}/keys/{prefix}": [
        lambda things: ({"id": things.merchant, "prefix": things.prefix}, {}),
        lambda things: ({"id": "own", "prefix": things.prefix}, {}),
    ],
    "POST /v1/holds": [
        _body(lambda things: {"member": things.member, **AMOUNT, "order": "o"}),
        _body(lambda things: {"customer": things.customer, **AMOUNT, "order": "o"}),
    ],
    "POST /v1/holds/{id}/capture": [_path(thing="hold", **AMOUNT)],
    "POST /v1/holds/{id}/release": [_path(thing="hold")],
    "GET /v1/holds/{id}": [_path(thing="hold")],
    "POST /v1/opening-balances": [
        _body(lambda things: {"balances": [{"member": things.member, "points": "1.00"}], "dry_run": True})
    ],
    "GET /v1/webhooks/{id}": [_path(thing="endpoint")],
    "POST /v1/webhooks/{id}/enable": [_path(thing="endpoint")],
    "GET /v1/webhooks/{id}/deliveries": [_path(thing="endpoint")],
    "POST /v1/webhooks/{id}/deliveries/{event}/redeliver": [
        lambda things: ({"id": things.endpoint, "event": things.event}, {}),
    ],
    "DELETE /v1/webhooks/{id}": [_path(thing="endpoint")],
    "GET /v1/merchants/{id}/statement": [lambda things: ({"id": things.merchant}, {"params": PERIOD})],
    "GET /v1/merchants/{id}/statement/movements": [lambda things: ({"id": things.merchant}, {"params": PERIOD})],
    "GET /v1/merchants/{id}/liability": [
        lambda things: ({"id": things.merchant}, {"params": {"from": "2026-01-01", "to": "2026-02-01"}})
    ],
    "GET /v1/merchants/{id}/liability/deferred-revenue": [
        lambda things: (
            {"id": things.merchant},
            {"params": {"from": "2026-01-01", "to": "2026-02-01", "estimate": "2026-01-01,0.10"}},
        )
    ],
    "GET /v1/merchants/{id}/expiring": [_path()],
    "GET /v1/merchants/{id}/margin": [_path()],
    "GET /v1/merchants/{id}/margin/deposit": [lambda things: ({"id": things.merchant}, {"params": AMOUNT})],
    "POST /v1/merchants/{id}/recoveries": [_path(holder="0x" + "fd" * 20, to="0x" + "fe" * 20)],
    "GET /v1/merchants/{id}/recoveries/{holder}": [
        lambda things: ({"id": things.merchant, "holder": "0x" + "fd" * 20}, {})
    ],
    "POST /v1/merchants/{id}/recoveries/{holder}/finish": [
        lambda things: ({"id": things.merchant, "holder": "0x" + "fd" * 20}, {})
    ],
    "POST /v1/merchants/{id}/withdrawals": [_path(**AMOUNT, to="0x" + "fe" * 20)],
    # What ends the customer's things comes last: the owner runs all of these too.
    "DELETE /v1/customers/{id}/profile": [_path(thing="customer")],
    "POST /v1/customers/{id}/erasure": [_path(thing="customer", forfeit=True)],
}

NOT_OWNED = {
    # Names nobody's customer: another merchant's is enrolled by a code that was made for it (test_privacy).
    "POST /v1/customers", "POST /v1/customers/bulk",
    # Of the caller alone: nothing is named.
    "POST /v1/webhooks", "GET /v1/webhooks", "POST /v1/customers/find",
    # Public: what is on the chain, or will be, and what everybody may know of a programme.
    "GET /v1/holders/{holder}/balances", "GET /v1/holders/{holder}/history", "GET /v1/holders/{holder}/events",
    "GET /v1/holders/{holder}/balances/{programme}/proof",
    "POST /v1/intents/draft",
    "POST /v1/intents", "GET /v1/intents/{id}", "GET /v1/swaps/quote", "GET /v1/programmes", "GET /v1/charities",
    "GET /v1/charities/{id}", "GET /v1/campaigns", "GET /v1/campaigns/{number}", "GET /healthz", "GET /readyz",
    "GET /metrics",
    # Anybody's who signs in, and a customer's own: closed to every merchant (test_sessions).
    "POST /v1/sign-up/passkey/options", "POST /v1/sign-up/passkey", "POST /v1/sign-in/passkey/options",
    "POST /v1/sign-in/passkey", "POST /v1/sign-in/wallet/message", "POST /v1/sign-in/wallet", "GET /v1/me",
    "GET /v1/me/balances/{programme}/proof",
    "GET /v1/me/balances", "GET /v1/me/history", "GET /v1/me/events", "GET /v1/me/intents", "GET /v1/me/sessions",
    "DELETE /v1/me/session", "DELETE /v1/me/sessions", "DELETE /v1/me/sessions/{id}", "GET /v1/me/credentials",
    "POST /v1/me/credentials/options", "POST /v1/me/credentials", "DELETE /v1/me/credentials/{id}",
    "POST /v1/me/link-codes", "POST /v1/me/export", "POST /v1/me/erasure",
    # The operator's: closed to every merchant, whatever they name (test_access).
    "POST /v1/merchants", "POST /v1/merchants/{id}/margin", "POST /v1/keys", "GET /v1/keys", "DELETE /v1/keys/{prefix}",
    "POST /v1/charities", "POST /v1/campaigns",
}  # fmt: skip


async def things_of(client: Client, shop: Shop) -> Things:
    member = f"{shop.slug}-card"
    customer = await client.customer(shop, member)
    client.chain.credit(shop.programme, bytes.fromhex(customer["holder"][2:]), 100_000)
    profile = {"name": "Jane Doe", "email": "jane@example.com"}
    path = f"/v1/customers/{customer['id']}/profile"
    assert (await client.http.put(path, json=profile, headers=shop.auth)).status_code == 200
    sold = (await client.http.post("/v1/purchases", json=sale(member=member), headers=shop.once())).json()
    held = await client.http.post("/v1/holds", json={"member": member, **AMOUNT, "order": "o"}, headers=shop.once())
    key = await client.key(shop, preset="reader")
    hook = {"url": "https://shop.example/hook", "events": ["purchase.final"]}
    endpoint = (await client.http.post("/v1/webhooks", json=hook, headers=shop.auth)).json()["id"]
    event = str(uuid4())
    client.chain.run(
        "with told as (insert into exchange.webhook_event (merchant_id, id, kind, subject, data)"
        " values (%(m)s, %(v)s, 'purchase.final', 's', '{}'))"
        " insert into exchange.webhook_delivery (merchant_id, endpoint_id, event_id) values (%(m)s, %(e)s, %(v)s)"
        .replace("%(m)s", f"'{shop.id}'").replace("%(v)s", f"'{event}'").replace("%(e)s", f"'{endpoint}'")
    )  # fmt: skip
    return Things(
        shop.id, customer["id"], member, sold["id"], sold["reference"], held.json()["id"],
        key["authorization"].split("_")[2], endpoint, event,
    )  # fmt: skip


@pytest.mark.asyncio
async def test_whatever_a_merchant_names_of_another_is_as_if_it_did_not_exist(client: Client) -> None:
    shop, rival = await client.shop(), await client.shop("rival")
    await client.shop("third")
    await client.customer(rival)
    await client.http.post("/v1/charities", json={"slug": "food", "name": "Food"}, headers=client.operator)
    theirs, nothing = await things_of(client, shop), Things.of_nobody()
    known = {str(route) for route in routes(client.app)}
    assert known == set(CASES) | NOT_OWNED, "every route is in one of the two"
    before = client.chain.run("select * from exchange.purchase order by id"), client.counts()
    tried = 0
    for route in routes(client.app):
        for case in CASES.get(str(route), []):
            answers = []
            for things in (theirs, nothing):
                names, request = case(things)
                names = {name: rival.id if value == "own" else value for name, value in names.items()}
                answer = await client.http.request(route.method, route.url(**names), headers=rival.once(), **request)
                answers.append((answer.status_code, things.hidden(answer.text), answer.headers["content-type"]))
            assert answers[0] == answers[1], route
            status, text, _ = answers[0]
            assert status == 404 or '"refused":1' in text, (route, text)
            assert "not-found" in text, (route, text)
            tried += 1
    assert tried > 30
    after = client.chain.run("select * from exchange.purchase order by id"), client.counts()
    kept = after[1] | {"idempotency": before[1]["idempotency"]}  # bulk requests keep their refusals
    assert (after[0], kept) == before
    # The same requests of the merchant itself find their things: what is absent above is not absent for all.
    for route in routes(client.app):
        for case in CASES.get(str(route), []):
            if route.method == "DELETE":
                continue
            names, request = case(theirs)
            answer = await client.http.request(route.method, route.url(**names), headers=shop.once(), **request)
            assert answer.status_code not in (401, 404), (route, answer.text)
            assert answer.status_code != 403 or "code-refused" in answer.text, (route, answer.text)


@pytest.mark.asyncio
async def test_the_same_idempotency_key_of_two_merchants_is_two_keys(client: Client) -> None:
    made = []
    for slug in ("one", "other"):
        shop = await client.shop(slug)
        await client.customer(shop)
        answer = await client.http.post("/v1/purchases", json=sale(reference="r"), headers=shop.once("key"))
        assert answer.status_code == 201
        made.append(answer.json()["id"])
    assert made[0] != made[1]


# --- in the database

OWNED = {
    "merchant": "id = %(id)s",
    **dict.fromkeys(
        (
            "api_key",
            "earning_rule",
            "member",
            "batch",
            "purchase",
            "refund",
            "hold",
            "webhook_endpoint",
            "webhook_event",
            "webhook_delivery",
            "withdrawal",
            "blind_index",
            "index_key",
            "erasure",
            "pin",
            "access_code",
            "shortfall",
            "debt",
        ),
        "merchant_id = %(id)s",
    ),
    "idempotency": "scope = %(id)s::text",
    "customer": "id in (select customer_id from exchange.member where merchant_id = %(id)s)",
    "intent": "programme = (select programme from exchange.merchant where id = %(id)s)",
}
"""Which rows of each table are a merchant's."""

SHARED = {"charity", "campaign", "call", "transaction"}
"""Whose rows are everybody's: a merchant's role sees the columns that are public."""

CLOSED = {
    "signer", "attempt", "webhook_cursor", "shortfall_cursor", "challenge", "credential", "session", "session_token",
    "data_key", "personal", "link_code",
}  # fmt: skip
"""The relayer's, the notifier's and each person's own, which no merchant's role may read."""


def key_of(table: str) -> list[str]:
    return [column.name for column in tables.metadata.tables[f"exchange.{table}"].primary_key.columns]


def acting(url: str, role: str, tenant: str | None = None) -> psycopg.Connection[dict[str, Any]]:
    """As the gateway connects."""
    connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, options=f"-c role={role}")
    if tenant is not None:
        connection.execute(sql.SQL("set points.tenant = {}").format(tenant))
    return connection


async def two_merchants_with_everything(client: Client) -> tuple[Shop, Shop]:
    shops = [await client.shop(), await client.shop("rival")]
    for shop in shops:
        things = await things_of(client, shop)
        path = f"/v1/purchases/{things.purchase}/refunds"
        assert (await client.http.post(path, json={"reference": "r"}, headers=shop.once())).status_code == 201
        path = f"/v1/customers/{things.customer}/redeem"
        assert (await client.http.post(path, json={**AMOUNT, "order": "o"}, headers=shop.once())).status_code == 202
        client.chain.run(
            "insert into exchange.withdrawal (merchant_id, id, recipient, amount, call_id)"
            " values (%s, %s, %s, 1, (select min(id) from exchange.call))",
            shop.id, uuid4(), bytes(20),
        )  # fmt: skip
        client.chain.run("insert into exchange.erasure values (%s, %s, 0, false)", uuid4(), shop.id)
        path = f"/v1/customers/{things.customer}/codes"
        assert (await client.http.post(path, json={"purpose": "pin"}, headers=shop.auth)).status_code == 201
        client.chain.run(
            "insert into exchange.pin select merchant_id, customer_id from exchange.member"
            " where merchant_id = %s and id = %s",
            shop.id, things.customer,
        )  # fmt: skip
        client.chain.run("insert into exchange.debt values (%s, %s, 0)", shop.id, bytes(20))
        client.chain.run(
            "insert into exchange.shortfall (merchant_id, id, holder, kind, points, purchase_id, at)"
            " values (%s, %s, %s, 'offset', 1, %s, 1)",
            shop.id, uuid4(), bytes(20), things.purchase,
        )  # fmt: skip
        client.chain.run(
            "insert into exchange.batch values (%s, 1, %s, 1, 1, (select min(id) from exchange.call))",
            shop.id, bytes(32),
        )  # fmt: skip
    return shops[0], shops[1]


@pytest.mark.asyncio
async def test_a_query_without_a_where_sees_the_tenants_rows_of_every_table_and_no_others(client: Client) -> None:
    assert {table.name for table in tables.metadata.sorted_tables} == set(OWNED) | SHARED | CLOSED
    for shop in await two_merchants_with_everything(client):
        with acting(client.chain.url, "points_merchant", shop.id) as merchant:
            for table, which in OWNED.items():
                columns = ", ".join(f'"{column}"' for column in key_of(table))
                with psycopg.connect(client.chain.url, row_factory=dict_row) as owner:
                    query = f"select {columns} from exchange.{table} where {which} order by {columns}"
                    own = owner.execute(query.encode(), {"id": UUID(shop.id)}).fetchall()
                    total = owner.execute(f"select count(*) as n from exchange.{table}".encode()).fetchall()
                seen = merchant.execute(
                    f"select {columns} from exchange.{table} order by {columns}".encode()
                ).fetchall()
                assert seen == own, table
                assert 0 < len(own) < total[0]["n"], f"{table} has rows of both"
            for table in CLOSED:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    merchant.execute(f"select 1 from exchange.{table}".encode())


@pytest.mark.asyncio
async def test_without_a_tenant_there_are_no_rows(client: Client) -> None:
    await two_merchants_with_everything(client)
    with acting(client.chain.url, "points_merchant") as nobody:
        for table in OWNED:
            assert nobody.execute(f"select 1 from exchange.{table}".encode()).fetchall() == [], table
    with acting(client.chain.url, "points_public") as public:
        for table in set(OWNED) - {"intent", "hold"}:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                public.execute(f"select 1 from exchange.{table}".encode())


@pytest.mark.asyncio
async def test_a_tenant_writes_no_row_of_another_and_changes_none(client: Client) -> None:
    shop, rival = await two_merchants_with_everything(client)
    with (
        psycopg.connect(client.chain.url, autocommit=True, row_factory=dict_row) as owner,
        acting(client.chain.url, "points_merchant", rival.id) as thief,
    ):
        for table in sorted(set(OWNED) - {"customer"}):
            query = f"select to_jsonb(t) as row from exchange.{table} t where {OWNED[table]} limit 1"
            [theirs] = owner.execute(query.encode(), {"id": UUID(shop.id)}).fetchall()
            insert = f"insert into exchange.{table} select * from jsonb_populate_record(null::exchange.{table}, %s)"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                thief.execute(insert.encode(), (json.dumps(theirs["row"]),))
        before = {table: _content(owner, table) for table in OWNED}
        for update in (
            "update exchange.api_key set revoked_at = now() where merchant_id = %s",
            "update exchange.idempotency set outcome = '1' where scope = %s::text",
            "update exchange.hold set state = 'released' where merchant_id = %s",
            "update exchange.pin set tries = 5 where merchant_id = %s",
            "update exchange.access_code set used_at = now() where merchant_id = %s",
            "update exchange.merchant set pin_from = null where id = %s",
        ):
            assert thief.execute(update.encode(), (UUID(shop.id),)).rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):  # not even its own: it may be locked, never changed
            thief.execute("update exchange.purchase set reference = 'other'")
        for table in OWNED:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                thief.execute(f"delete from exchange.{table}".encode())
        assert {table: _content(owner, table) for table in OWNED} == before
        # What needs the operator's signature, or an issuer's, does not get into the queue from here.
        for kind, signer in (("mint", None), ("deposit", b"\xaa" * 20), ("send", b"\xaa" * 20)):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                thief.execute(
                    "insert into exchange.call (kind, target, data, gas, signer) values (%s, %s, '', 1, %s)",
                    (kind, bytes(20), signer),
                )


def _content(owner: psycopg.Connection[dict[str, Any]], table: str) -> Any:
    return owner.execute(f"select to_jsonb(t) as row from exchange.{table} t order by 1".encode()).fetchall()


UNPROTECTED = """
select c.relname from pg_class c
where c.relnamespace = 'exchange'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'revision'
  and not (c.relrowsecurity and exists (select 1 from pg_policy p where p.polrelid = c.oid))
"""


def test_every_table_has_row_level_security_and_a_policy(database: str) -> None:
    """Whoever adds a table says who may see which of its rows, in the same revision."""
    create_schema(database)
    with psycopg.connect(database) as connection:
        assert connection.execute(UNPROTECTED).fetchall() == []
        readable = connection.execute(
            "select grantee, table_name from information_schema.role_table_grants where table_schema = 'exchange'"
            " and (grantee = 'PUBLIC' or table_name = 'revision' and grantee like 'points%')"
        ).fetchall()
        assert readable == []
        views = connection.execute("select viewname from pg_views where schemaname = 'exchange'").fetchall()
        assert views == [("programme",)], "a view shows with its owner's rights: it is looked at here"
        definers = connection.execute(
            "select proname from pg_proc where pronamespace = 'exchange'::regnamespace and prosecdef order by 1"
        ).fetchall()
        assert definers == [("authenticate",), ("customers_linked",), ("customers_named",)], (
            "so does a function with its owner's rights"
        )
        connection.execute("create table exchange.forgotten (merchant_id uuid)")
        assert connection.execute(UNPROTECTED).fetchall() == [("forgotten",)]


def test_the_roles_own_nothing_and_bypass_nothing(database: str) -> None:
    create_schema(database)
    names = [*ROLES.values(), "points_relayer", "points_notifier"]
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select rolname, rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb from pg_roles"
            " where rolname = any(%s)",
            (names,),
        ).fetchall()
        assert sorted(found) == sorted((name, False) for name in names)
        owned = connection.execute(
            "select relname from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = any(%s)", (names,)
        ).fetchall()
        assert owned == []


SECRETS = {
    "api_key.digest": set(),
    "signer.key": set(),
    "webhook_endpoint.secret": set(),  # the notifier's
    "charity.key": set(),
    "pin.digest": {"points_merchant"},  # of its own members' cards
    "access_code.digest": {"points_merchant", "points_door"},
    "session_token.digest": {"points_door"},
    "challenge.digest": {"points_door"},
    "customer.key": {"points_merchant"},  # of its own members: it is what signs for them
    "data_key.key": {"points_person"},
    "personal.sealed": {"points_person"},
    "index_key.key": {"points_merchant", "points_person"},
    "merchant.issuer_key": {"points_merchant", "points_operator"},
    "merchant.owner_key": {"points_merchant", "points_operator"},  # the operator onboards, and posts quotes
}
PERSONAL = [
    "customer.id", "member.reference", "hold.customer_id", "purchase.customer_id", "purchase.reference",
    "purchase.store", "purchase.purchased_at", "purchase.salt", "purchase.fingerprint", "refund.reference",
    "idempotency.key", "member.id", "data_key.key", "personal.sealed", "blind_index.digest", "link_code.digest",
    "idempotency.key", "session.id", "session.customer_id", "session.agent", "credential.id", "credential.customer_id",
    "pin.customer_id", "access_code.customer_id",
]  # fmt: skip


def test_secrets_are_readable_where_they_are_needed_and_an_auditor_reads_no_person(database: str) -> None:
    create_schema(database)
    with psycopg.connect(database) as connection:

        def may(role: str, column: str) -> bool:
            table, _, name = column.partition(".")
            query = "select has_column_privilege(%s, %s, %s, 'select')"
            row = connection.execute(query, (role, f"exchange.{table}", name)).fetchone()
            return row is not None and bool(row[0])

        for column, readers in SECRETS.items():
            assert {role for role in ROLES.values() if may(role, column)} == readers, column
        assert [column for column in PERSONAL if may("points_auditor", column)] == []
        assert [column for column in PERSONAL if may("points_public", column)] == []
        assert [column for column in (*SECRETS, "member.reference") if may("points_customer", column)] == []
        door = [column for column in (*SECRETS, *PERSONAL) if may("points_door", column)]
        assert {column.partition(".")[0] for column in door} == {
            "access_code",
            "session",
            "session_token",
            "challenge",
            "credential",
            "customer",
        }, "who stands at the door sees no merchant's things"
        writable = connection.execute(
            "select table_name, privilege_type from information_schema.role_column_grants"
            " where grantee = 'points_auditor' and privilege_type <> 'SELECT'"
        ).fetchall()
        assert writable == []
        relayed = connection.execute(
            "select distinct table_name from information_schema.role_column_grants"
            " where grantee = 'points_relayer' and table_schema = 'exchange'"
        ).fetchall()
        assert {name for (name,) in relayed} & {"customer", "member", "api_key", "idempotency", "hold"} == set()
        keys = [column for column in SECRETS if may("points_notifier", column)]
        assert keys == ["webhook_endpoint.secret"], "it talks to strangers, and holds nothing that signs"
    with acting(database, RELAYER.removeprefix("-c role=")) as relayer:
        assert relayer.execute("select * from exchange.merchant").fetchall() == []


@pytest.mark.asyncio
async def test_a_connection_changes_its_tenant_with_every_use_and_never_keeps_one(
    database: str, make_settings: Callable[..., Settings]
) -> None:
    create_tables(database)
    async with serve(make_settings(pool_size=1)) as client:
        one_, other = await two_merchants_with_everything(client)
    pools = connect(make_settings(pool_size=1))
    await pools.open()
    query = (
        "select id::text, current_setting('points.tenant') as tenant, pg_backend_pid() as pid from exchange.merchant"
    )
    try:
        pids = set()
        for shop in (one_, other, one_):
            async with pools.reading(UUID(shop.id)) as reading:
                for _ in range(2):
                    [seen] = await rows(reading, query)
                    assert (seen["id"], seen["tenant"]) == (shop.id, shop.id)
                pids.add(seen["pid"])
            with pytest.raises(psycopg.errors.UniqueViolation):
                async with pools.transaction(UUID(shop.id)) as writing:
                    await writing.execute("insert into exchange.earning_rule values (%s, 1, 1)", (UUID(shop.id),))
            async with pools.transaction(UUID(shop.id)) as writing:
                await writing.execute("set transaction isolation level repeatable read read only")
                assert [row["id"] for row in await rows(writing, query)] == [shop.id]
        assert len(pids) == 1, "one connection served all of them"
        # A first statement that fails takes the tenant with it; the next one brings it again.
        async with pools.reading(UUID(other.id)) as reading:
            with pytest.raises(psycopg.errors.UniqueViolation):
                await reading.execute("insert into exchange.earning_rule values (%s, 1, 1)", (UUID(other.id),))
            assert [row["id"] for row in await rows(reading, query)] == [other.id]
        async with pools.reading(UUID(one_.id)) as reading:
            with pytest.raises(RuntimeError):
                reading.cursor()
    finally:
        await pools.close()


# --- whom production lets in


@pytest.fixture
def login(database: str) -> Any:
    """Makes a login of this server, which goes with the test."""
    made: list[str] = []

    def make(attributes: str = "", roles: tuple[str, ...] = ()) -> str:
        name = f"login_{uuid4().hex[:10]}"
        made.append(name)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"create role {name} login {attributes}".encode())
            for role in roles:
                connection.execute(f"grant {role} to {name}".encode())
        return urlunsplit(urlsplit(database)._replace(netloc=f"{name}@"))

    yield make
    with psycopg.connect(database, autocommit=True) as connection:
        for name in made:
            connection.execute(f"reassign owned by {name} to current_user".encode())
            connection.execute(f"drop owned by {name}".encode())
            connection.execute(f"drop role {name}".encode())


OWN = {
    "environment": "production", "master_key": "ab" * 32, "pepper": "p", "operator_api_key": "o",
    "origin": "https://points.example", "rp_id": "points.example",
}  # fmt: skip


async def starts(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app), app.state.gateway.database.reading("public") as reading:
        assert await one(reading, "select count(*) from exchange.programme") is not None


@pytest.mark.asyncio
async def test_production_refuses_a_login_that_could_see_every_tenant(
    database: str, make_settings: Callable[..., Settings], login: Callable[..., str]
) -> None:
    create_tables(database)
    roles = tuple(ROLES.values())
    with psycopg.connect(database, autocommit=True) as connection:
        safe = login("noinherit", roles)
        bypassing = login("bypassrls", roles)
        owning = login("", roles)
        connection.execute(f"alter table exchange.purchase owner to {urlsplit(owning).username}".encode())
    becoming = login("noinherit", (*roles, str(urlsplit(owning).username)))
    await starts(make_settings(**OWN, database_url=safe))
    for unsafe in (database, bypassing, owning, becoming):
        with pytest.raises(UnsafeLogin, match="Production refuses the database login"):
            await starts(make_settings(**OWN, database_url=unsafe))
        await starts(make_settings(database_url=unsafe))  # in development it serves, in the same roles


@pytest.mark.asyncio
async def test_an_ordinary_owner_migrates_and_serves(
    database: str, make_settings: Callable[..., Settings], login: Callable[..., str]
) -> None:
    """As on a managed server: an administrator has made the roles and granted them, the owner is no superuser."""
    create_schema(database)  # makes the roles, if this server has none yet
    owner = login("", (*ROLES.values(), "points_relayer", "points_notifier"))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop schema exchange cascade")
        name = urlsplit(database).path[1:]
        connection.execute(f'grant create on database "{name}" to {urlsplit(owner).username}'.encode())
    make_tables(owner)
    async with serve(make_settings(database_url=owner)) as client:
        shop, rival = await two_merchants_with_everything(client)
        with acting(owner, "points_merchant", rival.id) as merchant:
            assert [row["slug"] for row in merchant.execute("select slug from exchange.merchant")] == ["rival"]
        assert shop.id != rival.id
