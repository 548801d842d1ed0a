"""The master key is changed while everything runs; a rotation that was killed goes on where it was."""

from __future__ import annotations

import io
import secrets
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from rich.console import Console

from exchange import rotation, tables, vault
from exchange.database import create_schema
from exchange.rotation import SEALED, rotate
from scripts import rotate as command

pytestmark = pytest.mark.asyncio

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
SECRET = b"s" * 32


async def test_both_keys_open_and_the_new_one_seals() -> None:
    sealed = vault.seal(OLD, SECRET, purpose="p")
    assert vault.unseal(NEW + OLD, sealed, purpose="p") == SECRET
    fresh = vault.seal(NEW + OLD, SECRET, purpose="p")
    assert vault.unseal(NEW, fresh, purpose="p") == SECRET
    for master, purpose in ((OLD, "p"), (OLD + NEW, "q")):
        with pytest.raises(vault.VaultError):
            vault.unseal(master, fresh, purpose=purpose)


async def test_every_sealed_column_is_on_the_list() -> None:
    """Named `key` or `secret`, or after what the key is for: a new one has to be added, or said to be none."""
    listed = {(each.table, each.column) for each in SEALED}
    found = {
        (table.name, column.name)
        for table in tables.metadata.sorted_tables
        for column in table.columns
        if column.name in ("key", "secret") or column.name.endswith("_key")
    }
    assert found - listed == {("idempotency", "key")}
    assert listed <= found


async def fill(connection: psycopg.AsyncConnection[Any], many: int) -> None:
    """Charities, of which one keeps its own key, and a signer."""
    await connection.execute(
        "insert into exchange.call (id, kind, target, data, gas) values (1, 'charity', %s, '', 1)", (bytes(20),)
    )
    async with connection.cursor() as cursor:
        ids = [uuid4() for _ in range(many)]
        await cursor.executemany(
            "insert into exchange.charity (id, slug, name, address, key, call_id) values (%s, %s, 'c', %s, %s, 1)",
            [(id, str(id), id.bytes + b"char", vault.seal(OLD, SECRET, purpose=f"charity:{id}")) for id in ids],
        )
    await connection.execute(
        "insert into exchange.charity (id, slug, name, address, call_id) values (%s, 'own', 'c', %s, 1)",
        (uuid4(), b"o" * 20),
    )
    lane = b"l" * 20
    await connection.execute(
        "insert into exchange.signer (address, role, key) values (%s, 'relayer', %s)",
        (lane, vault.seal(OLD, SECRET, purpose=f"signer:{lane.hex()}")),
    )


async def opened(connection: psycopg.AsyncConnection[Any], key: bytes) -> int:
    cursor = await connection.execute("select id, key from exchange.charity where key is not null")
    good = 0
    for id, sealed in await cursor.fetchall():
        try:
            good += vault.unseal(key, sealed, purpose=f"charity:{id}") == SECRET
        except vault.VaultError:
            continue
    return good


async def test_a_rotation_that_is_broken_off_goes_on_and_ends_with_everything_under_the_new_key(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_schema(database)
    monkeypatch.setattr(rotation, "AT_ONCE", 10)
    charity = next(each for each in SEALED if each.table == "charity")
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await fill(connection, 35)
        done = 0

        def breaking(master: bytes, secret: bytes, *, purpose: str) -> bytes:
            nonlocal done
            done += 1
            if done == 25:
                raise KeyboardInterrupt
            return sealing(master, secret, purpose=purpose)

        sealing = vault.seal
        with monkeypatch.context() as patch:
            patch.setattr(vault, "seal", breaking)
            with pytest.raises(KeyboardInterrupt):
                await rotate(connection, charity, new=NEW, old=OLD)
        assert (await opened(connection, NEW), await opened(connection, NEW + OLD)) == (20, 35)
        count = await rotate(connection, charity, new=NEW, old=OLD)
        assert (count.rotated, count.already, count.lost) == (15, 20, 0)
        assert await opened(connection, NEW) == 35


async def test_the_command_says_what_is_done_and_what_opens_with_neither_key(database: str) -> None:
    create_schema(database)
    said = io.StringIO()
    settings = {
        "POINTS_DATABASE_URL": database, "POINTS_MASTER_KEY": NEW.hex(), "POINTS_OLD_MASTER_KEY": OLD.hex(),
    }  # fmt: skip
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await fill(connection, 3)
    assert await command.rotate(settings, Console(file=said, width=200)) is True
    assert "charity.key          3 sealed anew" in said.getvalue()
    stranger = {**settings, "POINTS_MASTER_KEY": "ab" * 32, "POINTS_OLD_MASTER_KEY": "cd" * 32}
    assert await command.rotate(stranger, Console(file=said, width=200)) is False
    assert "3 open with neither key" in said.getvalue()
    with pytest.raises(command.NoOldKey):
        await command.rotate({**settings, "POINTS_OLD_MASTER_KEY": ""}, Console(file=said))
