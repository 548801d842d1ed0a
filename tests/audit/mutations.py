"""What somebody with every right in the database might do to it: seeded, one at a time, each in a transaction that is
rolled back.

A mutation says which rows it touched, so that one can see whether an audit names them. Those that a constraint of the
database refuses, or that change nothing, are drawn again. `cell`, `insert`, `delete`, `swap`, `tail` and `duplicate`
are of one table; the others rewrite several so that they agree with each other, some of them with the issuer's own key.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from contracts import eip712, receipts, signatures
from scripts.audit.record import Finding, Record
from scripts.audit.rows import CURSOR, FOLDS, TABLES, Table

Row = dict[str, Any]
Place = tuple[str, dict[str, Any]]
"""A table and columns that name one of its rows."""

_AUDITED: Final[Mapping[str, Sequence[str]]] = {
    "purchase": (
        "id", "holder", "points", "cancelled", "commitment", "accepted_at", "mint_by", "signature", "batch_number",
        "batch_index", "amount_minor", "withheld",
    ),
    "refund": ("amount_minor", "points", "taken", "cancelled", "restored", "promised", "amended_at", "signature"),
    "batch": ("number", "receipts_root", "total", "count"),
    "merchant": ("programme", "owner", "issuer"),
}  # fmt: skip
"""Columns of schema `exchange` that an audit has something to say about."""

_KEYS: Final = {"purchase": ("id",), "refund": ("id",), "batch": ("merchant_id", "number"), "merchant": ("id",)}


@dataclass
class Mutation:
    """`table` is the first that it changed; `touched` are the rows, as they were and as they are."""

    kind: str
    table: str
    touched: list[Place] = field(default_factory=list)

    def is_found(self, record: Record) -> bool:
        return bool(record.findings)

    def is_located(self, record: Record) -> bool:
        return any(_names(each, *place) for each in record.findings for place in self.touched)


def _names(found: Finding, table: str, row: Mapping[str, Any]) -> bool:
    """Whether a finding names this row: by its key, or, if it is gone and its random id with it, by what the chain has
    of it: a purchase's place in its batch, the purchase of a refund."""
    if table == "behind":
        return found.check == "freshness" and found.place.get("block") == row["block"]
    if table == "purchase":
        named = (
            found.place.get("purchase_id") == str(row["id"]),
            found.place.get("purchase") == _shown(row["commitment"]),
        )
        if any(named):
            return True
    if found.place.get("table") != table:
        return False
    ours = {**TABLES, **FOLDS, CURSOR.name: CURSOR}
    of_gateway = "merchant_id" in row or table == "merchant"
    ways: list[Sequence[str]] = [_KEYS[table] if of_gateway else ours[table].key]
    if table == "purchase":
        ways.append(("merchant_id", "batch_number", "batch_index"))
    elif table == "refund":
        ways.append(("merchant_id", "purchase_id"))
    return any(
        all(name in found.place and str(found.place[name]) == _shown(row.get(name)) for name in way) for way in ways
    )


def _shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


class Redraw(Exception):
    """When a mutation would change nothing, or the database would not have it."""


class Mutator:
    """Draws mutations of a database that has lived. `keys` are the issuers' keys, by merchant."""

    def __init__(self, connection: AsyncConnection[Any], keys: Mapping[UUID, bytes], seed: int) -> None:
        self.connection = connection
        self.keys = keys
        self.chance = random.Random(seed)
        self.rows: dict[str, list[Row]] = {}

    async def read(self) -> None:
        """All rows as they are, once."""
        for name in (*TABLES, *FOLDS, CURSOR.name):
            self.rows[f"mirror.{name}"] = await self._all(f"mirror.{name}")
        for name in _AUDITED:
            self.rows[f"exchange.{name}"] = await self._all(f"exchange.{name}")

    async def apply(self, kind: str | None = None, table: str | None = None) -> Mutation:
        """One, in the caller's transaction. Given neither kind nor table, any."""
        ways = {**self._single(), **self._together()}
        while True:
            chosen = kind or self.chance.choice([*self._single()] * 4 + [*self._together()])
            try:
                async with self.connection.transaction():
                    return await ways[chosen](table)
            except (Redraw, psycopg.errors.IntegrityError, psycopg.errors.DataError):
                continue

    @property
    def kinds(self) -> list[str]:
        return [*self._single(), *self._together()]

    def _single(self) -> dict[str, Callable[[str | None], Awaitable[Mutation]]]:
        return {
            "cell": self._cell, "insert": self._insert, "delete": self._delete, "swap": self._swap, "tail": self._tail,
            "duplicate": self._duplicate,
        }  # fmt: skip

    def _together(self) -> dict[str, Callable[[str | None], Awaitable[Mutation]]]:
        return {
            "move points": self._move_points, "make points": self._make_points, "rename holder": self._rename_holder,
            "rename programme": self._rename_programme, "shift batch": self._shift_batch,
            "drop block": self._drop_block, "cut off": self._cut_off, "swap for more": self._swap_for_more,
            "sign for more": self._sign_for_more,
            "sign for another": self._sign_for_another, "drop purchase": self._drop_purchase,
            "drop batch": self._drop_batch, "forget refund": self._forget_refund,
        }  # fmt: skip

    # --- one table ----------------------------------------------------------------------------------------------------

    def _pick(self, table: str | None) -> tuple[str, list[Row]]:
        name = table or self.chance.choice(list(self.rows))
        if not self.rows[name]:
            raise Redraw
        return name, self.rows[name]

    def _columns(self, name: str) -> list[str]:
        schema, _, table = name.partition(".")
        if schema == "exchange":
            return list(_AUDITED[table])
        return list({**TABLES, **FOLDS, CURSOR.name: CURSOR}[table].columns)

    def _key(self, name: str) -> tuple[str, ...]:
        schema, _, table = name.partition(".")
        return _KEYS[table] if schema == "exchange" else _table(table).key

    def _touched(self, name: str, *rows: Row) -> list[Place]:
        return [(name.partition(".")[2], row) for row in rows]

    async def _cell(self, table: str | None) -> Mutation:
        name, rows = self._pick(table)
        row, column = self.chance.choice(rows), self.chance.choice(self._columns(name))
        value = self._other(name, column, row[column])
        await self._set(name, row, {column: value})
        return Mutation("cell", name, self._touched(name, row, {**row, column: value}))

    async def _insert(self, table: str | None) -> Mutation:
        """A row that never was, whose every value is another's or nobody's."""
        name, rows = self._pick(table)
        made = {column: self.chance.choice(rows)[column] for column in rows[0]}
        for column in self._columns(name):
            if column in self._key(name) or self.chance.random() < 0.3:
                made[column] = self._other(name, column, made[column])
        if name == "exchange.purchase" and self.chance.random() < 0.5:
            made |= {"batch_number": None, "batch_index": None}
        await self._put(name, made)
        return Mutation("insert", name, self._touched(name, made))

    async def _duplicate(self, table: str | None) -> Mutation:
        """The same row again, one further on."""
        name, rows = self._pick(table)
        row = self.chance.choice(rows)
        made = dict(row)
        for column in self._key(name):
            if isinstance(row[column], int):
                made[column] = row[column] + 1
        for column in ("address", "number", "reference"):  # unique beside the key
            if column in made and column not in self._key(name):
                made[column] = self._other(name, column, made[column])
        if isinstance(row.get("id"), UUID):
            made["id"] = UUID(int=row["id"].int + 1)
        if name == "exchange.purchase":
            made["batch_index"] = None if row["batch_index"] is None else row["batch_index"] + 1_000
        if all(made[column] == row[column] for column in self._key(name)):
            for column in self._key(name):
                made[column] = self._other(name, column, row[column])
        await self._put(name, made)
        return Mutation("duplicate", name, self._touched(name, made))

    async def _delete(self, table: str | None) -> Mutation:
        name, rows = self._pick(table)
        row = self.chance.choice(rows)
        await self._remove(name, row)
        return Mutation("delete", name, self._touched(name, row))

    async def _swap(self, table: str | None) -> Mutation:
        """Two rows' values of a column, of which no constraint says that they are unique."""
        name, rows = self._pick(table)
        if len(rows) < 2:
            raise Redraw
        one, other = self.chance.sample(rows, 2)
        column = self.chance.choice([each for each in self._columns(name) if each not in self._key(name)] or [""])
        if not column or one[column] == other[column]:
            raise Redraw
        await self._set(name, one, {column: other[column]})
        await self._set(name, other, {column: one[column]})
        return Mutation("swap", name, self._touched(name, one, other))

    async def _tail(self, table: str | None) -> Mutation:
        """The last rows are gone, as if they had never been written."""
        name, rows = self._pick(table)
        key = self._key(name)
        last = sorted(rows, key=lambda row: tuple(row[column] for column in key))[-self.chance.randrange(1, 4) :]
        for row in last:
            await self._remove(name, row)
        return Mutation("tail", name, self._touched(name, *last))

    # --- several tables, so that they agree ---------------------------------------------------------------------------

    async def _move_points(self, _table: str | None) -> Mutation:
        """From what one holder earned to what another did, in the entries and in the balances."""
        earned = [row for row in self.rows["mirror.entry"] if row["kind"] == "earned"]
        one, other = self.chance.sample(earned, 2)
        if one["programme"] != other["programme"] or one["holder"] == other["holder"]:
            raise Redraw
        amount = self.chance.randrange(1, int(one["delta"]))
        await self._set("mirror.entry", one, {"delta": one["delta"] - amount})
        await self._set("mirror.entry", other, {"delta": other["delta"] + amount})
        await self._refold()
        return Mutation("move points", "mirror.entry", self._touched("mirror.entry", one, other))

    async def _make_points(self, _table: str | None) -> Mutation:
        """An entry more, with its balance and supply."""
        row = self.chance.choice(self.rows["mirror.entry"])
        made = {**row, "log_index": row["log_index"] + 500, "delta": abs(row["delta"]) + 1, "kind": "earned"}
        await self._put("mirror.entry", made)
        await self._refold()
        return Mutation("make points", "mirror.entry", self._touched("mirror.entry", made))

    async def _rename_holder(self, _table: str | None) -> Mutation:
        """Everywhere in the mirror and in the purchases."""
        old = self.chance.choice(self.rows["mirror.entry"])["holder"]
        touched = await self._rename(old, self.chance.randbytes(20), ("mirror", "exchange.purchase"))
        return Mutation("rename holder", "mirror.entry", touched)

    async def _rename_programme(self, _table: str | None) -> Mutation:
        old = self.chance.choice(self.rows["mirror.programme"])["address"]
        touched = await self._rename(old, self.chance.randbytes(20), ("mirror", "exchange.merchant"))
        return Mutation("rename programme", "mirror.programme", touched)

    async def _rename(self, old: bytes, new: bytes, where: Sequence[str]) -> list[Place]:
        touched: list[Place] = []
        for name, rows in self.rows.items():
            if not name.startswith(tuple(where)):
                continue
            for row in rows:
                changed = {column: new for column in self._columns(name) if row[column] == old}
                if changed:
                    await self._set(name, row, changed)
                    touched += self._touched(name, row, {**row, **changed})
        return touched

    async def _shift_batch(self, _table: str | None) -> Mutation:
        """All entries of a batch, and the batch, are further on in their block."""
        batch = self.chance.choice(self.rows["mirror.batch"])
        by = self.chance.randrange(1, 50)
        place = (batch["block"], batch["transaction_index"])
        mine = [row for row in self.rows["mirror.entry"] if (row["block"], row["transaction_index"]) == place]
        for row in sorted(mine, key=lambda row: -row["log_index"]):
            await self._set("mirror.entry", row, {"log_index": row["log_index"] + by})
        await self._set("mirror.batch", batch, {"log_index": batch["log_index"] + by})
        touched = [*self._touched("mirror.entry", *mine), *self._touched("mirror.batch", batch)]
        return Mutation("shift batch", "mirror.batch", touched)

    async def _drop_block(self, _table: str | None) -> Mutation:
        """A block that somebody would rather not have seen is nowhere; the next one names the one before as parent."""
        block = self.chance.choice(self.rows["mirror.transaction"])["block"]
        touched: list[Place] = []
        for table in TABLES.values():
            name = f"mirror.{table.name}"
            gone = [row for row in self.rows[name] if row[table.block] == block]
            for row in gone:
                await self._remove(name, row)
            touched += self._touched(name, *gone)
        parent = next(row["parent"] for row in self.rows["mirror.block"] if row["number"] == block)
        for row in self.rows["mirror.block"]:
            if row["number"] == block + 1:
                await self._set("mirror.block", row, {"parent": parent})
        await self._refold()
        return Mutation("drop block", "mirror.block", touched)

    async def _cut_off(self, _table: str | None) -> Mutation:
        """The mirror is as if the last blocks had not been."""
        [cursor] = self.rows["mirror.cursor"]
        last = self.chance.randrange(cursor["first_block"], cursor["next_block"] - 1)
        for table in TABLES.values():
            where = sql.SQL("delete from {} where {} > {}")
            name, block = sql.Identifier("mirror", table.name), sql.Identifier(table.block)
            await self.connection.execute(where.format(name, block, last))
        tip = next(row["hash"] for row in self.rows["mirror.block"] if row["number"] == last)
        terms = {"next_block": last + 1, "tip": tip, "finalized": min(cursor["finalized"], last)}
        await self._set("mirror.cursor", cursor, terms)
        await self._refold()
        return Mutation("cut off", "mirror.cursor", [("behind", {"block": last})])

    async def _swap_for_more(self, _table: str | None) -> Mutation:
        """A swap at a better price, with the movements of margin that belong to it."""
        row = self.chance.choice(self.rows["mirror.swap"])
        more = self.chance.randrange(1, 1_000)
        await self._set("mirror.swap", row, {"value": row["value"] + more})
        moved = [
            each for each in self.rows["mirror.movement"]
            if (each["block"], each["log_index"]) == (row["block"], row["log_index"]) and each["side"] < 2
        ]  # fmt: skip
        for each in moved:
            await self._set("mirror.movement", each, {"delta": each["delta"] + (more if each["side"] else -more)})
        await self._refold()
        touched = [*self._touched("mirror.swap", row), *self._touched("mirror.movement", *moved)]
        return Mutation("swap for more", "mirror.swap", touched)

    async def _sign_for_more(self, _table: str | None) -> Mutation:
        """A receipt of more points, signed with the issuer's own key, in a batch that says so."""
        row = self._placed()
        more = self.chance.randrange(1, 10_000)
        # With the money that earns them, at one base unit a cent.
        change = {"points": row["points"] + more, "amount_minor": row["amount_minor"] + more}
        await self._resign(row, change)
        return Mutation("sign for more", "exchange.purchase", self._touched("exchange.purchase", row))

    async def _sign_for_another(self, _table: str | None) -> Mutation:
        row = self._placed()
        await self._resign(row, {"holder": self.chance.randbytes(20)})
        return Mutation("sign for another", "exchange.purchase", self._touched("exchange.purchase", row))

    def _placed(self) -> Row:
        row = self.chance.choice(self.rows["exchange.purchase"])
        if row["batch_number"] is None or row["kind"] == "opening":
            raise Redraw
        return row

    async def _resign(self, row: Row, change: Row) -> None:
        merchant = next(each for each in self.rows["exchange.merchant"] if each["id"] == row["merchant_id"])
        new = {**row, **change}
        digest = eip712.receipt_digest(
            eip712.domain_separator(31337, merchant["programme"]),
            holder=new["holder"],
            amount=new["points"],
            purchase=new["commitment"],
            accepted_at=new["accepted_at"],
            mint_by=new["mint_by"],
        )
        signature = signatures.sign(self.keys[row["merchant_id"]], digest)
        await self._set("exchange.purchase", row, {**change, "signature": signature})
        await self._rebatch(row, merchant["programme"])

    async def _rebatch(self, row: Row, programme: bytes) -> None:
        """The batch's row says what its purchases now make."""
        place = (row["merchant_id"], row["batch_number"])
        found = await self._query(
            "select holder, points - cancelled as points, commitment from exchange.purchase"
            " where merchant_id = %s and batch_number = %s order by batch_index",
            *place,
        )
        if not found:
            await self.connection.execute("delete from exchange.batch where merchant_id = %s and number = %s", place)
            return
        leaves = [
            receipts.leaf(
                chain_id=31337, token=programme, batch=row["batch_number"], index=index, holder=each["holder"],
                amount=each["points"], purchase=each["commitment"],
            )
            for index, each in enumerate(found)
        ]  # fmt: skip
        await self.connection.execute(
            "update exchange.batch set receipts_root = %s, total = %s, count = %s"
            " where merchant_id = %s and number = %s",
            (receipts.root(leaves), sum(each["points"] for each in found), len(found), *place),
        )

    async def _drop_purchase(self, _table: str | None) -> Mutation:
        """It never was, those behind it have moved up, and the batch says so."""
        row = self._placed()
        merchant = next(each for each in self.rows["exchange.merchant"] if each["id"] == row["merchant_id"])
        await self._remove("exchange.purchase", row)
        place = (row["merchant_id"], row["batch_number"], row["batch_index"])
        behind = await self._query(
            "select id from exchange.purchase where merchant_id = %s and batch_number = %s and batch_index > %s"
            " order by batch_index",
            *place,
        )
        for each in behind:
            await self.connection.execute(
                "update exchange.purchase set batch_index = batch_index - 1 where id = %s", (each["id"],)
            )
        await self._rebatch(row, merchant["programme"])
        touched = [row, *(each for each in self.rows["exchange.purchase"] if each["id"] in [b["id"] for b in behind])]
        last = {**row, "batch_index": row["batch_index"] + len(behind)}
        return Mutation("drop purchase", "exchange.purchase", self._touched("exchange.purchase", *touched, last))

    async def _drop_batch(self, _table: str | None) -> Mutation:
        batch = self.chance.choice(self.rows["exchange.batch"])
        place = (batch["merchant_id"], batch["number"])
        gone = [row for row in self.rows["exchange.purchase"] if (row["merchant_id"], row["batch_number"]) == place]
        for row in gone:
            await self._remove("exchange.purchase", row)
        await self._remove("exchange.batch", batch)
        touched = [*self._touched("exchange.batch", batch), *self._touched("exchange.purchase", *gone)]
        return Mutation("drop batch", "exchange.batch", touched)

    async def _forget_refund(self, _table: str | None) -> Mutation:
        """And what it cancelled."""
        refund = self.chance.choice(self.rows["exchange.refund"])
        await self._remove("exchange.refund", refund)
        await self.connection.execute(
            "update exchange.purchase set cancelled = cancelled - %s where id = %s",
            (refund["cancelled"], refund["purchase_id"]),
        )
        bought = [row for row in self.rows["exchange.purchase"] if row["id"] == refund["purchase_id"]]
        touched = [*self._touched("exchange.refund", refund), *self._touched("exchange.purchase", *bought)]
        return Mutation("forget refund", "exchange.refund", touched)

    async def _refold(self) -> None:
        """The sums are those of the entries and movements, as they are now."""
        for fold in FOLDS.values():
            keys = sql.SQL(", ").join(sql.Identifier(name) for name in fold.key)
            await self.connection.execute(sql.SQL("delete from {}").format(sql.Identifier("mirror", fold.name)))
            statement = sql.SQL(
                "insert into {} ({keys}, amount)"
                " select {keys}, sum(delta) from {} group by {keys} having sum(delta) <> 0"
            )
            fold_, summed = sql.Identifier("mirror", fold.name), sql.Identifier("mirror", fold.block)
            await self.connection.execute(statement.format(fold_, summed, keys=keys))

    # --- values -------------------------------------------------------------------------------------------------------

    def _other(self, name: str, column: str, value: Any) -> Any:
        """Another value of the column's kind: near, far, somebody else's, or none."""
        chance = self.chance
        if name == "mirror.cursor" and column == "finalized":
            return value + chance.randrange(1, 1_000_000)  # a lower one is a mirror that has not heard yet
        if chance.random() < 0.25:
            other = chance.choice(self.rows[name])[column]
            if other != value:
                return other
        if isinstance(value, bool):
            return not value
        if isinstance(value, UUID):
            return UUID(int=chance.getrandbits(128))
        if isinstance(value, bytes):
            if value and chance.random() < 0.6:
                bit = chance.randrange(8 * len(value))
                return (int.from_bytes(value) ^ 1 << bit).to_bytes(len(value))
            return chance.randbytes(chance.choice([len(value) or 20, len(value) or 20, 0]))
        if isinstance(value, str):
            return chance.choice([value + " ", value[:-1], value.swapcase(), "sent", "earned", "gift", ""])
        if value is None:
            return chance.randbytes(20) if name == "mirror.entry" or column == "signature" else chance.randrange(1, 100)
        return value + chance.choice([1, -1, 2 ** chance.randrange(1, 30), -chance.randrange(1, 100)])

    # --- statements ---------------------------------------------------------------------------------------------------

    async def _set(self, name: str, row: Row, values: Row) -> None:
        if all(row[column] == value for column, value in values.items()):
            raise Redraw
        key = self._key(name)
        statement = sql.SQL("update {} set {} where {}").format(
            sql.Identifier(*name.split(".")), _pairs(values, ", "), _pairs(dict.fromkeys(key), " and ")
        )
        done = await self.connection.execute(statement, [*values.values(), *[row[column] for column in key]])
        if done.rowcount != 1:
            raise Redraw

    async def _put(self, name: str, row: Row) -> None:
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(*name.split(".")),
            sql.SQL(", ").join(sql.Identifier(column) for column in row),
            sql.SQL(", ").join(sql.Placeholder() for _ in row),
        )
        await self.connection.execute(statement, list(row.values()))

    async def _remove(self, name: str, row: Row) -> None:
        key = self._key(name)
        statement = sql.SQL("delete from {} where {}").format(
            sql.Identifier(*name.split(".")), _pairs(dict.fromkeys(key), " and ")
        )
        await self.connection.execute(statement, [row[column] for column in key])

    async def _all(self, name: str) -> list[Row]:
        return await self._query(sql.SQL("select * from {}").format(sql.Identifier(*name.split("."))))

    async def _query(self, query: Any, *arguments: Any) -> list[Row]:
        statement = query.encode() if isinstance(query, str) else query
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, arguments or None)
            return await cursor.fetchall()


def _table(name: str) -> Table:
    return {**TABLES, **FOLDS, CURSOR.name: CURSOR}[name]


def _pairs(values: Mapping[str, Any], between: str) -> sql.Composed:
    return sql.SQL(between).join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in values)
