"""All that is held about a person, as one archive: with every receipt, and the proof that leads to its batch's root.

A merchant gets what it holds of its member; the operator, or the customer itself, what every merchant holds. Each
merchant's part is read in that merchant's tenancy and the profile as the person, so an export shows nobody more than
the database would. Files are JSON with sorted keys, the archive has neither names nor times of its making: the same
data are the same bytes. `index.json` names every file with its SHA-256.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from contracts import receipts
from exchange import expiry, history, intents, merchant, personal, points, proofs, purchases, refunds
from exchange.auth import Caller
from exchange.database import Connection, Person, one, rows
from exchange.errors import CustomerNotFound
from exchange.gateway import Gateway
from exchange.hexes import checksum, hexed
from exchange.merchant import Merchant
from exchange.personal import Owner
from exchange.times import rfc3339

ABOUT: Final = {
    "membership.json": "the member's number, ids and address",
    "profile.json": "name, e-mail, phone, birthday, address, and every mark of consent",
    "purchases.json": "purchases and opening balances with their signed receipts and Merkle proofs",
    "refunds.json": "refunds, and what they took back",
    "holds.json": "points that were set aside at a till",
    "intents.json": "redemptions, swaps, gifts and sends",
    "balances.json": "points now, as of a block",
    "history.json": "every change of a balance, newest first, as the chain tells it",
    "webhooks.json": "what the merchant's systems were told, of the last thirty-five days",
}

OF_PERSON: Final[Mapping[str, LiteralString]] = {
    "passkeys.json": "select id, created_at, used_at from exchange.credential"
    " where customer_id = %(person)s order by id",
    "sessions.json": "select id, method, agent, signed_in_at, seen_at, ended_at from exchange.session"
    " where customer_id = %(person)s order by id",
    "customer.json": "select id, holder, custody, created_at from exchange.customer where id = %(person)s",
}
"""Files of what is held of the customer itself, whichever merchant it is a member of, each a query that runs as the
person: a table that comes to hold something personal adds its own."""

_README: Final = """\
# What is held about you

Each folder is one merchant's; `index.json` lists every file with its SHA-256.

{files}

Amounts are decimal strings, times are UTC, addresses and hashes are hex.

## How to check a receipt

`purchases.json` has for each purchase the `receipt` that the programme signed (EIP-712) and, once it is in a batch, a
`proof`. The commitment is keccak256(0x02 ‖ salt ‖ facts) with
facts = keccak256(keccak256(reference) ‖ amount ‖ keccak256(currency) ‖ purchased_at ‖ keccak256(store)), the
amount in the currency's smallest unit and the time in Unix seconds, 32 bytes each. The leaf is
keccak256(0x00 ‖ keccak256(abi.encode(chain id, programme, batch, index, holder, points in hundredths, commitment))).
Hash it with each of `siblings` in turn, the smaller of the two first: the result is `root`. The programme's contract
emitted `Minted(batch, receiptsRoot, …)` with this root in `transaction`; any node of the chain shows it. Who holds this
archive can prove the purchases in it; without the salts nobody can.
"""

_TIMELESS: Final = (1980, 1, 1, 0, 0, 0)
_PAGE: Final = 200


async def of_member(gateway: Gateway, at: Merchant, id: UUID) -> bytes:
    """What the merchant holds of its member, by the merchant's own id. Raises `CustomerNotFound`."""
    async with gateway.database.reading(at.id) as sql:
        person = await personal.person_of(sql, at, id)
    files = await _of_merchant(gateway, at, person, id)
    return await asyncio.to_thread(_archive, gateway, files)


async def of_person(gateway: Gateway, person: UUID) -> bytes:
    """What is held of the customer by its own id, at every merchant. Raises `CustomerNotFound`."""
    files: dict[str, Any] = {}
    async with gateway.database.transaction(Person(person)) as sql:
        for name, query in OF_PERSON.items():
            files[name] = await (await sql.execute(query, {"person": person})).fetchall()
        memberships = await rows(
            sql,
            "select merchant_id, id from exchange.member where customer_id = %s order by merchant_id",
            person,
        )
    if not files["customer.json"]:
        raise CustomerNotFound(f"There is no customer {person}.")
    for each in memberships:
        async with gateway.database.reading(each["merchant_id"]) as sql:
            row = await one(sql, f"select {merchant.COLUMNS} from exchange.merchant m")  # noqa: S608 - of constants
        if row is None:
            raise RuntimeError(f"the merchant {each['merchant_id']} vanished")
        files |= await _of_merchant(gateway, Merchant.of(row), person, each["id"])
    return await asyncio.to_thread(_archive, gateway, files)


async def of_caller(gateway: Gateway, who: Caller, id: UUID) -> bytes:
    """As a merchant or the operator may have it."""
    return await (of_person(gateway, id) if who.merchant is None else of_member(gateway, who.merchant, id))


async def _of_merchant(gateway: Gateway, at: Merchant, person: UUID, id: UUID) -> dict[str, Any]:
    """Contents by path."""
    async with gateway.database.transaction(Person(person)) as sql:
        profile = await personal.read(gateway, sql, Owner(at.id, id))
    async with gateway.database.transaction(at.id) as sql:
        membership = await one(
            sql,
            "select b.id as customer, b.reference as member, c.holder, c.custody, b.created_at as member_since"
            " from exchange.member b join exchange.customer c on c.id = b.customer_id"
            " where b.merchant_id = %s and b.id = %s",
            at.id,
            id,
        )
        if membership is None:
            raise CustomerNotFound(f"There is no customer {id}.")
        holder = bytes(membership["holder"])
        bought = await _purchases(gateway, at, sql, id)
        held = await rows(
            sql,
            'select id, amount, "order", expires_at, state, intent_id as intent, created_at from exchange.hold'
            " where merchant_id = %s and customer_id = %s order by id",
            at.id,
            id,
        )
        done = await rows(
            sql, "select id from exchange.intent where programme = %s and holder = %s order by id", at.programme, holder
        )
        acts = [await intents.status(sql, each["id"]) for each in done]
        told = await rows(
            sql,
            "select kind as type, data, created_at from exchange.webhook_event"
            " where merchant_id = %s and data->>'customer' = %s order by created_at, id",
            at.id,
            str(id),
        )
    return {
        f"{at.slug}/{name}": content
        for name, content in {
            "membership.json": {**membership, "holder": checksum(holder), "merchant": at.name},
            "profile.json": profile,
            "purchases.json": bought,
            "refunds.json": await _refunds(gateway, at, [each["id"] for each in bought]),
            "holds.json": [{**each, "amount": points.render_points(int(each["amount"]))} for each in held],
            "intents.json": acts,
            "balances.json": await _balances(gateway, at, holder),
            "history.json": await _history(gateway, at, holder),
            "webhooks.json": told,
        }.items()
    }


async def _purchases(gateway: Gateway, at: Merchant, sql: Connection, id: UUID) -> list[dict[str, Any]]:
    """As the merchant sees them, with proofs."""
    found = await rows(
        sql,
        "select id, batch_number from exchange.purchase where merchant_id = %s and customer_id = %s order by id",
        at.id,
        id,
    )
    made = [await purchases.status(gateway, at, sql, id=each["id"]) for each in found]
    numbers = sorted({each["batch_number"] for each in found if each["batch_number"] is not None})
    trees = {number: await _leaves(gateway, at, sql, number) for number in numbers}
    return await asyncio.to_thread(_with_proofs, made, trees)


async def _leaves(gateway: Gateway, at: Merchant, sql: Connection, number: int) -> list[bytes]:
    minted = await proofs.batch_of(sql, at, number)
    return await asyncio.to_thread(proofs.leaves_of, at, number, minted, gateway.deployment.chain_id)


def _with_proofs(made: Sequence[dict[str, Any]], trees: Mapping[int, list[bytes]]) -> list[dict[str, Any]]:
    roots = {number: receipts.root(leaves) for number, leaves in trees.items()}
    return [{**each, "proof": _proof(each["chain"], trees, roots)} for each in made]


def _proof(
    chain: Mapping[str, Any] | None, trees: Mapping[int, list[bytes]], roots: Mapping[int, bytes]
) -> dict[str, Any] | None:
    if chain is None:
        return None
    batch, index = chain["batch"], chain["index"]
    return {
        "batch": batch,
        "index": index,
        "leaf": hexed(trees[batch][index]),
        "siblings": [hexed(each) for each in receipts.proof(trees[batch], index)],
        "root": hexed(roots[batch]),
        "transaction": chain["transaction"],
        "block": chain["block"],
    }


async def _refunds(gateway: Gateway, at: Merchant, bought: Sequence[UUID]) -> list[dict[str, Any]]:
    async with gateway.database.reading(at.id) as sql:
        refunded = await rows(
            sql,
            "select distinct purchase_id as id from exchange.refund where merchant_id = %s and purchase_id = any(%s)"
            " order by 1",
            at.id,
            list(bought),
        )
    found: list[dict[str, Any]] = []
    for each in refunded:
        async with gateway.database.transaction(at.id) as sql:
            found += (await refunds.status(at, sql, each["id"]))["refunds"]
    return found


async def _balances(gateway: Gateway, at: Merchant, holder: bytes) -> dict[str, Any]:
    async with gateway.database.reading(at.id) as sql:
        return await expiry.balances(sql, holder, now=gateway.now())


async def _history(gateway: Gateway, at: Merchant, holder: bytes) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    before: str | None = None
    while True:
        async with gateway.database.reading(at.id) as sql:
            page = await history.history(sql, holder, before=before, limit=_PAGE)
        entries += page["entries"]
        before = page["next"]
        if before is None:
            return entries


def _archive(gateway: Gateway, files: Mapping[str, Any]) -> bytes:
    about = "\n".join(f"- `{name}`: {text}" for name, text in ABOUT.items())
    written = {path: _json(content) for path, content in files.items()}
    written["README.md"] = _README.format(files=about).encode()
    listed = [
        {
            "path": path,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "about": ABOUT.get(path.rpartition("/")[2], ""),
        }
        for path, content in sorted(written.items())
    ]
    written["index.json"] = _json({"chain_id": gateway.deployment.chain_id, "files": listed})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(written.items()):
            entry = zipfile.ZipInfo(path, _TIMELESS)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return hexed(value)
    if isinstance(value, datetime):
        return rfc3339(int(value.timestamp()))
    if isinstance(value, UUID | date):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in an export")
