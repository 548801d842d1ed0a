"""Changing the master key: everything that it sealed is sealed anew, row by row, while all parts run.

All parts are started with both keys first (`POINTS_MASTER_KEY` the new one, `POINTS_OLD_MASTER_KEY` the old one): they
open either and seal with the new one. Then every sealed column is gone through in pages, a transaction each: what the
new key opens is left alone, so a rotation that was killed is run again and goes on. Once it has said that nothing is
left, the old key is forgotten. Data keys are sealed anew, not what they sealed: profiles are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg import AsyncConnection, sql

from exchange import vault
from exchange.vault import VaultError

AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column that the master key seals. `purpose` is SQL, of the row: what the seal is bound to."""

    table: LiteralString
    column: LiteralString
    key: tuple[LiteralString, ...]
    purpose: LiteralString


SEALED: Final = (
    Sealed("merchant", "owner_key", ("id",), "'owner:' || id"),
    Sealed("merchant", "issuer_key", ("id",), "'issuer:' || id"),
    Sealed("customer", "key", ("id",), "'customer:' || id"),
    Sealed("charity", "key", ("id",), "'charity:' || id"),
    Sealed("signer", "key", ("address",), "'signer:' || encode(address, 'hex')"),
    Sealed("webhook_endpoint", "secret", ("merchant_id", "id"), "'webhook:' || id"),
    Sealed("data_key", "key", ("merchant_id", "customer_id"), "'data:' || merchant_id || ':' || customer_id"),
    Sealed("index_key", "key", ("merchant_id",), "'index:' || merchant_id"),
)
"""Every one of them: a table that comes to hold something sealed adds a line."""


@dataclass(frozen=True, slots=True)
class Count:
    """Rows of one column. `lost` opened with neither key."""

    sealed: Sealed
    rotated: int
    already: int
    lost: int


async def rotate(connection: AsyncConnection, sealed: Sealed, *, new: bytes, old: bytes) -> Count:
    """Goes through one column as the owner of the tables, on a connection that commits each transaction by itself."""
    rotated = already = lost = 0
    after: tuple[object, ...] | None = None
    while True:
        async with connection.transaction():
            cursor = await connection.execute(_page(sealed, after), (*(after or ()), AT_ONCE))
            page = await cursor.fetchall()
            for *key, purpose, value in page:
                fresh = _resealed(value, purpose, new=new, old=old)
                if fresh is None:
                    lost += 1
                elif fresh is value:
                    already += 1
                else:
                    await connection.execute(_update(sealed), (fresh, *key))
                    rotated += 1
        if len(page) < AT_ONCE:
            return Count(sealed, rotated, already, lost)
        after = tuple(page[-1][: len(sealed.key)])


def _resealed(value: bytes, purpose: str, *, new: bytes, old: bytes) -> bytes | None:
    """The same object if the new key opens it, None if neither does."""
    try:
        vault.unseal(new, value, purpose=purpose)
    except VaultError:
        pass
    else:
        return value
    try:
        return vault.seal(new, vault.unseal(old, value, purpose=purpose), purpose=purpose)
    except VaultError:
        return None


def _page(sealed: Sealed, after: tuple[object, ...] | None) -> sql.Composed:
    key = sql.SQL(", ").join(map(sql.Identifier, sealed.key))
    marks = sql.SQL(", ").join([sql.Placeholder()] * len(sealed.key))
    beyond = sql.SQL("") if after is None else sql.SQL(" and ({}) > ({})").format(key, marks)
    return sql.SQL(
        "select {key}, {purpose}, {column} from exchange.{table} where {column} is not null{beyond}"
        " order by {key} limit %s for update"
    ).format(
        key=key,
        purpose=sql.SQL(sealed.purpose),
        column=sql.Identifier(sealed.column),
        table=sql.Identifier(sealed.table),
        beyond=beyond,
    )


def _update(sealed: Sealed) -> sql.Composed:
    key = sql.SQL(", ").join(map(sql.Identifier, sealed.key))
    marks = sql.SQL(", ").join([sql.Placeholder()] * len(sealed.key))
    return sql.SQL("update exchange.{table} set {column} = %s where ({key}) = ({marks})").format(
        table=sql.Identifier(sealed.table), column=sql.Identifier(sealed.column), key=key, marks=marks
    )
