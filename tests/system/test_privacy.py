"""A person on the running network: what tells of them is nowhere but where it belongs, is given out, and is erased.

Every field that can hold something of a person holds a random mark, which is then looked for.
"""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from contracts import receipts
from contracts.bindings import MINTED_TOPIC, Minted
from contracts.rpc import from_hex, to_hex
from tests.gateway.receiver import Receiver
from tests.system.network import Network
from tests.system.test_money import Shop, listening
from tests.system.test_network import cast, until

FIELDS = (
    "name", "email", "street", "purpose", "version", "member", "reference", "store", "key", "refund", "order",
    "redeemed", "unknown",
)  # fmt: skip


class Marks(dict[str, str]):
    """A mark for each field, all of one seed; `found` says which of them some bytes hold, in whatever spelling."""

    def __init__(self) -> None:
        seed = uuid4().hex[:10]
        print(f"seed of the marks: {seed}")  # noqa: T201 - shown when a test fails
        super().__init__({field: f"mark{seed}{field}" for field in FIELDS})

    def found(self, content: bytes) -> list[str]:
        low = content.lower()
        return [field for field, mark in self.items() if mark.encode() in low or mark.encode().hex().encode() in low]


class Private(Shop):
    """A merchant of these tests' own."""

    def request(self, method: str, path: str, body: object = None, once: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}", "idempotency-key": once or uuid4().hex}
        return httpx.request(method, self.network.url + path, json=body, headers=headers, timeout=30)

    def sale(self, member: str, reference: str, store: str) -> dict[str, Any]:
        return {
            "reference": reference, "member": member, "amount": "20.00", "currency": "EUR", "store": store,
            "purchased_at": "2026-01-02T12:00:00Z",
        }  # fmt: skip


@pytest.fixture(scope="module")
def shop(network: Network) -> Private:
    made = Private.__new__(Private)
    made.network, made.operator = network, network.settings["POINTS_OPERATOR_API_KEY"]
    body = {
        "slug": "private", "name": "Private", "symbol": "PRIV", "currency": "EUR", "margin": "1000.00",
        "points_per_unit": "1", "quote": {"bid": "0.0099", "ask": "0.0100"}, "pin_from": "never",
    }  # fmt: skip
    answer = network.post("/v1/merchants", body, key=made.operator, once="private").json()
    made.id, made.key, made.programme = answer["id"], answer["api_key"], answer["programme"]
    until(lambda: made.get("")["status"] == "active")
    return made


@pytest.fixture(scope="module")
def marks() -> Marks:
    return Marks()


@pytest.fixture(scope="module")
def lived(network: Network, shop: Private, marks: Marks) -> Iterator[dict[str, Any]]:
    """A life of one person, Jane, who buys beside Joe, with the ids of what was made."""
    with listening() as receiver:
        yield live(network, shop, marks, receiver)


def live(network: Network, shop: Private, marks: Marks, receiver: Receiver) -> dict[str, Any]:
    kinds = ["purchase.confirmed", "refund.confirmed", "redemption.confirmed", "hold.expired"]
    shop.post("/v1/webhooks", {"url": receiver.url, "events": kinds})
    jane = shop.post("/v1/customers", {"member": marks["member"], "custodial": True})
    joe = shop.post("/v1/customers", {"member": "joe", "custodial": True})
    path = f"/v1/customers/{jane['id']}"
    profile = {
        "name": marks["name"], "email": f"{marks['email']}@example.com", "address": [marks["street"]],
        "phone": "+14155550123", "birthday": "1984-02-29",
    }  # fmt: skip
    assert shop.request("PUT", f"{path}/profile", profile).status_code == 200
    consent = {"purpose": marks["purpose"], "version": marks["version"], "granted": True}
    assert shop.request("POST", f"{path}/consents", consent).status_code == 201
    assert shop.request("POST", "/v1/customers/find", {"email": profile["email"]}).json()["customers"] == [jane]
    items = [
        shop.sale(marks["member"], marks["reference"], marks["store"]),
        shop.sale("joe", "joes", "Main Street"),
        shop.sale(marks["member"], f"{marks['reference']}/2", marks["store"]),
        shop.sale(marks["unknown"], f"{marks['reference']}/3", marks["store"]),
    ]
    body = {"purchases": items}
    answer = shop.request("POST", "/v1/purchases/bulk", body, marks["key"]).json()
    assert (answer["accepted"], answer["refused"]) == (3, 1)
    bought = [each["purchase"]["id"] for each in answer["results"][:3]]
    until(lambda: {shop_status(shop, id) for id in bought} <= {"confirmed", "final"})
    refund = shop.post(f"/v1/purchases/{bought[2]}/refunds", {"reference": marks["refund"], "amount": "5.00"})
    hold = shop.post(
        "/v1/holds", {"member": marks["member"], "amount": "2.00", "order": marks["order"]}, marks["order"]
    )
    shop.post(f"/v1/holds/{hold['id']}/capture", {})
    expired = {"member": marks["member"], "amount": "1.00", "order": marks["order"], "seconds": 1}
    shop.post("/v1/holds", expired, f"{marks['key']}-hold")
    intent = shop.post(f"{path}/redeem", {"amount": "3.00", "order": marks["redeemed"]}, marks["redeemed"])
    # Refusals of every kind, with marks wherever they can be.
    for method, where, what in (
        ("GET", f"/v1/purchases?reference={marks['unknown']}", None),
        ("POST", "/v1/purchases", shop.sale(marks["unknown"], marks["unknown"], marks["store"])),
        ("POST", "/v1/purchases", {**items[0], "amount": marks["unknown"]}),
        ("POST", "/v1/purchases", {**items[0], "amount": "21.00"}),
        ("POST", "/v1/holds", {"member": marks["unknown"], "amount": "1.00", "order": marks["order"]}),
        ("POST", "/v1/customers/find", {"email": marks["unknown"]}),
        ("GET", f"/v1/customers/{marks['unknown']}", None),
        ("GET", f"/{marks['unknown']}", None),
    ):
        assert 400 <= shop.request(method, where, what, f"{marks['key']}{where}").status_code < 500, where

    def told() -> set[str]:
        return {json.loads(body)["type"] for _, body in receiver.taken}

    until(lambda: told() == set(kinds), seconds=90)
    return {
        "jane": jane, "joe": joe, "bought": bought, "refund": refund["id"], "hold": hold["id"],
        "intent": intent["id"], "receiver": receiver,
    }  # fmt: skip


def shop_status(shop: Private, purchase: str) -> str:
    return str(shop.network.get(f"/v1/purchases/{purchase}", key=shop.key)["status"])


def rpc(network: Network, method: str, *params: object) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(network.rpc_url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        said = json.load(answer)
    assert "error" not in said, said
    return said["result"]


def logs(network: Network) -> bytes:
    """Of every process, PostgreSQL's own among them."""
    files = [*network.data.glob("logs/*"), *network.data.glob("postgres/log*"), *network.data.glob("postgres/**/*.log")]
    assert len(files) >= 5
    return b"".join(each.read_bytes() for each in files if each.is_file()) + network.output.read_bytes()


def calldata(network: Network) -> bytes:
    """Of every transaction there is, and every log."""
    head = int(rpc(network, "eth_blockNumber"), 16)
    first = int(json.loads((network.data / "deployment.json").read_text())["first_block"])
    content: list[str] = []
    for number in range(first, head + 1):
        content += [each["input"] for each in rpc(network, "eth_getBlockByNumber", hex(number), True)["transactions"]]
    content += [
        json.dumps(each) for each in rpc(network, "eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(head)})
    ]
    assert len(content) > 10
    return "\n".join(content).encode()


def dump(network: Network) -> bytes:
    """Every row of every table."""
    content = b""
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"]) as connection:
        tables = connection.execute(
            "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
            " where schemaname in ('exchange', 'mirror')"
        ).fetchall()
        assert len(tables) > 20
        for (table,) in tables:
            with connection.cursor().copy(f"copy {table} to stdout".encode()) as copy:
                content += b"".join(bytes(part) for part in copy)
    return content


def minted(network: Network, programme: str) -> dict[int, tuple[bytes, str]]:
    """By batch: the root that the programme emitted, and in which transaction. From the chain alone."""
    found = rpc(network, "eth_getLogs", {"address": programme, "topics": [to_hex(MINTED_TOPIC)], "fromBlock": "0x0"})
    made = [
        (Minted.from_log([from_hex(topic) for topic in log["topics"]], from_hex(log["data"])), log["transactionHash"])
        for log in found
    ]
    return {event.batch: (event.receipts_root, transaction) for event, transaction in made}


def test_logs_traces_webhooks_and_calldata_hold_nothing_of_a_person(
    network: Network, shop: Private, marks: Marks, lived: dict[str, Any]
) -> None:
    traces = b""
    for id in (*lived["bought"], lived["refund"], lived["intent"]):
        traced = network.points("trace", id)
        said, _ = traced.communicate(timeout=60)
        assert traced.returncode == 0, said
        assert "accepted" in said
        traces += said.encode()
    receiver: Receiver = lived["receiver"]
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"]) as connection:
        stored = connection.execute("select string_agg(data::text, '') from exchange.webhook_event").fetchone()
    assert stored is not None
    assert marks.found(traces) == []
    assert marks.found(b"".join(body for _, body in receiver.taken)) == []
    assert marks.found(stored[0].encode()) == []
    assert marks.found(calldata(network)) == []
    assert marks.found(logs(network)) == []
    # The looking finds what is there: the merchant's own words are in the database, a profile is not in the clear.
    assert set(marks.found(dump(network))) == {"member", "reference", "store", "refund", "order"}


def test_every_proof_of_an_export_leads_to_a_root_that_the_chain_has(
    network: Network, shop: Private, marks: Marks, lived: dict[str, Any]
) -> None:
    answer = shop.request("POST", f"/v1/customers/{lived['jane']['id']}/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    assert set(marks.found(b"".join(files.values()))) == set(FIELDS) - {"key", "redeemed", "unknown"}
    index = json.loads(files["index.json"])
    proved = [each for name in files if name.endswith("purchases.json") for each in json.loads(files[name])]
    assert len(proved) == 2
    emitted = minted(network, shop.programme)
    for each in proved:
        receipt, proof = each["receipt"], each["proof"]
        # Nothing of ours but `contracts`: the commitment opens, the leaf follows, the path leads to the chain's root.
        commitment = receipts.commitment(
            salt=from_hex(receipt["salt"]), merchant_reference=each["reference"], amount_minor=2_000, currency="EUR",
            purchased_at=1767355200, store=each["store"],
        )  # fmt: skip
        assert to_hex(commitment) == receipt["purchase"]
        leaf = receipts.leaf(
            chain_id=index["chain_id"], token=from_hex(receipt["programme"]), batch=proof["batch"],
            index=proof["index"], holder=from_hex(receipt["holder"]), amount=int(receipt["amount_base_units"]),
            purchase=commitment,
        )  # fmt: skip
        assert to_hex(leaf) == proof["leaf"]
        root, transaction = emitted[proof["batch"]]
        assert (to_hex(root), transaction) == (proof["root"], proof["transaction"])
        assert receipts.verify(root, leaf, [from_hex(sibling) for sibling in proof["siblings"]])


def test_after_erasure_no_trace_of_the_person_is_left_and_the_ledger_is_whole(
    network: Network, shop: Private, marks: Marks, lived: dict[str, Any]
) -> None:
    path = f"/v1/customers/{lived['jane']['id']}/erasure"
    rpc(network, "anvil_mine", hex(70))
    until(lambda: shop.request("POST", path, {}).json().get("type", "").endswith("points-remain"), seconds=90)
    [left] = shop.request("POST", path, {}).json()["balances"]
    assert left["points"] == "30.00"  # of 40 earned, 5 refunded, 2 and 3 redeemed
    done = shop.request("POST", path, {"forfeit": True})
    assert done.status_code == 200, done.text
    assert marks.found(dump(network)) == []
    assert marks.found(logs(network)) == []
    assert shop.request("POST", path, {"forfeit": True}).json() == done.json()

    # What others have is as it was: a refund in the same batch is proved, every root follows from what is stored.
    joes = lived["bought"][1]
    shop.post(f"/v1/purchases/{joes}/refunds", {"reference": "joes-refund"}, "joes-refund")

    def refunds() -> list[dict[str, Any]]:
        return list(network.get(f"/v1/purchases/{joes}/refunds", key=shop.key)["refunds"])

    until(lambda: [each["burned"] for each in refunds()] == ["20.00"])
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"], row_factory=dict_row) as connection:
        stored = connection.execute(
            "select * from exchange.purchase where merchant_id = %s and batch_number is not null"
            " order by batch_number, batch_index",
            (shop.id,),
        ).fetchall()
        balances = connection.execute(
            "select sum(amount) as points from mirror.balance where programme = %s", (from_hex(shop.programme),)
        ).fetchone()
    assert {row["salt"] is None for row in stored} == {True, False}
    for number, (root, _) in minted(network, shop.programme).items():
        batch = [row for row in stored if row["batch_number"] == number]
        assert receipts.root([leaf_of(shop, row) for row in batch]) == root
    assert balances is not None
    assert int(cast(network, shop.programme, "totalSupply()(uint256)").split()[0]) == balances["points"] == 3_000
    statement = shop.get("/statement?start=2020-01-01&end=2040-01-01")
    assert statement["closing_margin"] == "1000.000000"


def leaf_of(shop: Private, row: dict[str, Any]) -> bytes:
    """From the commitment that salt and facts made, whether they are there or not."""
    return receipts.leaf(
        chain_id=31337, token=from_hex(shop.programme), batch=row["batch_number"], index=row["batch_index"],
        holder=row["holder"], amount=row["points"], purchase=row["commitment"],
    )  # fmt: skip
