"""Purchases and refunds in SQL are what the chain minted and took back, by their signed receipts; nothing of a person
is needed for it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psycopg
import pytest

from contracts import eip712, receipt_tree, signatures
from scripts.audit import mirror, purchases
from scripts.audit.mirror import Connection
from scripts.audit.promises import Kept, Receipt
from scripts.audit.record import Record
from tests.audit.conftest import Lived
from tests.audit.world import DAY, Past

PERSONAL_TABLES = (
    "personal", "data_key", "index_key", "blind_index", "link_code", "member", "customer", "credential", "session",
    "session_token", "pin", "access_code", "challenge", "idempotency", "erasure", "hold", "webhook_event",
)  # fmt: skip
PERSONAL_COLUMNS = (
    "purchase.reference", "purchase.fingerprint", "purchase.customer_id", "purchase.store", "purchase.purchased_at",
    "purchase.salt", "refund.reference",
)  # fmt: skip


async def judge(
    past: Past, *, connection: Connection | None = None, folder: Path | None = None, time: int | None = None
) -> tuple[Record, int]:
    """And how many promises are open."""
    record, time = Record(), time or past.anchor.time
    return record, await purchases.check(past.kept(), record, time=time, connection=connection, folder=folder)


async def by_receipts(past: Past, folder: Path, *, time: int | None = None) -> tuple[Record, int]:
    """Without a database."""
    return await judge(past, folder=folder, time=time)


async def judged(
    lived: Lived, *changes: str, role: str | None = None, time: int | None = None, folder: Path | None = None
) -> tuple[Record, int]:
    """As if somebody had made these changes, which are then undone."""
    async with await psycopg.AsyncConnection.connect(lived.database) as connection:
        for change in changes:
            await connection.execute(change.encode())
        if role is not None:
            await connection.execute(f"set local role {role}".encode())
        await mirror.prepare(connection)
        found = await judge(lived.past, connection=connection, folder=folder, time=time)
        await connection.rollback()
    return found


@pytest.mark.asyncio
async def test_purchases_that_were_kept_raise_no_alarm(lived: Lived) -> None:
    record, waiting = await judged(lived)
    assert (record.findings, record.doubts) == ([], [])
    assert record.tallies["promises"].proved > 35
    assert waiting == 2, "two purchases may still be returned, and were not all refunded"


def without_persons() -> Sequence[str]:
    drop = [f"drop table exchange.{table} cascade" for table in PERSONAL_TABLES]
    return drop + [
        f"alter table exchange.{table} drop column {column} cascade"
        for table, column in (name.split(".") for name in PERSONAL_COLUMNS)
    ]


@pytest.mark.asyncio
async def test_it_passes_with_everything_personal_dropped_and_in_the_role_of_an_auditor(lived: Lived) -> None:
    plain, _ = await judged(lived)
    record, waiting = await judged(lived, *without_persons(), role="points_auditor")
    assert (record.findings, record.doubts, waiting) == ([], [], 2)
    assert record.tallies["promises"] == plain.tallies["promises"]


@pytest.mark.asyncio
async def test_a_purchase_whose_time_has_passed_is_overdue_with_its_receipt_as_evidence(lived: Lived) -> None:
    record, waiting = await judged(lived, time=lived.past.anchor.time + 400 * DAY)
    assert (len(record.findings), waiting) == (2, 0)
    assert all("overdue" in each.message for each in record.findings)
    assert {"holder", "amount", "commitment", "accepted_at", "mint_by", "signature"} <= record.findings[0].place.keys()


# --- receipts that are shown


@pytest.mark.asyncio
async def test_receipts_alone_are_found_on_the_chain_as_far_as_it_tells(lived: Lived) -> None:
    record, waiting = await by_receipts(lived.past, lived.receipts)
    assert (record.findings, record.doubts) == ([], [])
    # Nothing in an answer names its place: an entry fits, and which one it is the chain does not say.
    assert (record.tallies["promises"].skipped, record.tallies["promises"].proved) == (29, 2)
    assert waiting == 2
    record, waiting = await by_receipts(lived.past, lived.receipts, time=lived.past.anchor.time + 400 * DAY)
    assert (len(record.findings), waiting) == (2, 0)


@pytest.mark.asyncio
async def test_where_all_receipts_of_a_batch_are_shown_with_their_places_they_prove_each_other(
    lived: Lived, tmp_path: Path
) -> None:
    record, waiting = await by_receipts(lived.past, lived.places)
    assert (record.findings, record.doubts, waiting) == ([], [], 2)
    assert (record.tallies["promises"].skipped, record.tallies["promises"].proved) == (0, 31)
    statuses = msgspec.json.decode((lived.places / "grocer.json").read_bytes())
    less = [each for each in statuses if each["chain"] is not None][1:]
    (tmp_path / "less.json").write_bytes(msgspec.json.encode(less))
    record, _ = await by_receipts(lived.past, tmp_path)
    assert (record.findings, record.tallies["promises"].skipped) == ([], 7), "of the first batch, one is missing"


@pytest.mark.asyncio
async def test_an_exports_proofs_lead_to_the_roots_of_the_chain(lived: Lived) -> None:
    record, waiting = await by_receipts(lived.past, lived.exports)
    assert (record.findings, record.doubts, waiting) == ([], [], 1)
    assert record.tallies["promises"].proved > 3


@pytest.mark.asyncio
async def test_an_altered_receipt_is_not_its_issuers(lived: Lived, tmp_path: Path) -> None:
    whole = (lived.receipts / "answers.jsonl").read_text().splitlines()
    told = msgspec.json.decode(whole[0])
    for field, value in (("amount_base_units", "123400"), ("mint_by", 2_000_000_000), ("holder", "0x" + "11" * 20)):
        forged = {**told, "receipt": {**told["receipt"], field: value}}
        (tmp_path / "forged.json").write_bytes(msgspec.json.encode(forged))
        record, _ = await by_receipts(lived.past, tmp_path)
        assert [each.message for each in record.findings] == ["a receipt is not signed by its programme's issuer"]


@pytest.mark.asyncio
async def test_a_proof_that_leads_elsewhere_is_found(lived: Lived, tmp_path: Path) -> None:
    with zipfile.ZipFile(lived.exports / "ann.zip") as archive:
        bought = msgspec.json.decode(archive.read("grocer/purchases.json"))
    proved = next(each for each in bought if each["proof"] is not None)
    proved["proof"]["siblings"][0] = "0x" + "22" * 32
    (tmp_path / "proof.json").write_bytes(msgspec.json.encode(proved))
    record, _ = await by_receipts(lived.past, tmp_path)
    assert [each.place["file"] for each in record.findings] == ["proof.json"]


@pytest.mark.asyncio
async def test_a_purchase_that_vanished_before_it_was_minted_is_found_by_its_receipt(lived: Lived) -> None:
    gone = "delete from exchange.purchase where batch_number is null and points > 0 and cancelled = 0"
    assert (await judged(lived, gone))[0].findings == [], "nobody else can know"
    record, _ = await judged(lived, gone, folder=lived.receipts)
    assert [each.message for each in record.findings] == ["a signed receipt is of a purchase that SQL does not know"]
    assert (await judged(lived, folder=lived.receipts))[0].findings == []


@pytest.mark.asyncio
async def test_a_refund_that_vanished_with_what_it_cancelled_is_found_by_its_receipt(lived: Lived) -> None:
    gone = (
        "delete from exchange.refund where cancelled > 0",
        "update exchange.purchase set cancelled = 0 where batch_number is null",
    )
    assert (await judged(lived, *gone))[0].findings == [], "nobody else can know"
    record, _ = await judged(lived, *gone, folder=lived.receipts)
    assert {"SQL says otherwise" in each.message for each in record.findings} == {True}
    assert len(record.findings) == 2


@pytest.mark.asyncio
async def test_a_purchase_that_waits_twice_is_found(lived: Lived) -> None:
    names = ", ".join(
        ("merchant_id", "fingerprint", "customer_id", "holder", "kind", "amount_minor", "purchased_at", "points",
         "rule_version", "salt", "accepted_at", "mint_by", "signature", "commitment", "available_at")
    )  # fmt: skip
    twice = (
        f"insert into exchange.purchase (id, reference, {names}) select gen_random_uuid(), 'twice', {names}"  # noqa: S608
        " from exchange.purchase where batch_number is null and cancelled = 0 and points > 0"
    )
    record, _ = await judged(lived, twice)
    assert [each.message for each in record.findings] == [
        "exchange.purchase: another purchase has the same receipt"
    ] * 2


@pytest.mark.asyncio
async def test_a_receipt_of_what_is_left_where_nothing_was_cancelled_is_found(lived: Lived) -> None:
    record, _ = await judged(lived, "update exchange.refund set promised = 5 where cancelled = 0")
    assert {each.place["table"] for each in record.findings} == {"refund"}


@pytest.mark.asyncio
async def test_what_is_no_receipt_is_a_doubt(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.jsonl").write_text('{"receipt": {"programme": "0x", "signature": 5}}')
    (tmp_path / "c.zip").write_text("zip")
    (tmp_path / "d.txt").write_text("not looked at")
    record, _ = await by_receipts(lived.past, tmp_path)
    assert record.findings == []
    assert [each.place.get("file") for each in record.doubts] == ["a.json", "b.jsonl", "c.zip", None]


def test_of_receipts_under_one_signature_every_altered_one_is_found() -> None:
    kept, programme, key = Kept(31337, {}), b"\x01" * 20, b"\x07" * 32
    issuer = signatures.address_of(key)
    for many in (1, 2, 5, 33):
        made = [Receipt(bytes([n]) * 20, n, bytes([n]) * 32, 5, 9, b"") for n in range(many)]
        structs = [
            eip712.receipt_hash(holder=r.holder, amount=r.amount, purchase=r.commitment, accepted_at=5, mint_by=9)
            for r in made
        ]
        signed = receipt_tree.sign(signatures.signer(key), eip712.domain_separator(31337, programme), structs)
        receipts_ = [each._replace(signature=signature) for each, signature in zip(made, signed, strict=True)]
        for _ in range(2):  # known by then
            assert all(kept.is_signed(programme, issuer, each) for each in receipts_)
            assert not any(kept.is_signed(b"\x02" * 20, issuer, each) for each in receipts_)
            assert not any(kept.is_signed(programme, b"\x03" * 20, each) for each in receipts_)
            for each in receipts_:
                assert not kept.is_signed(programme, issuer, each._replace(amount=each.amount + 1))
                for at in {1, 40, 64, *range(65, len(each.signature), 31), len(each.signature) - 1}:
                    flipped = bytearray(each.signature)
                    flipped[min(at, len(flipped) - 1)] ^= 1
                    assert not kept.is_signed(programme, issuer, each._replace(signature=bytes(flipped))), (many, at)
