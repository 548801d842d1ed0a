"""The revisions lead to exactly the tables that the code says, and can be repeated."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from pydantic import ValidationError

from contracts import receipts
from exchange import tables
from exchange.database import MIGRATIONS, create_schema
from exchange.scopes import SCOPES
from exchange.settings import Settings

CATALOGUE = """
select 'column' as kind, table_name || '.' || column_name as name,
       concat_ws(' ', data_type, is_nullable, column_default, numeric_precision, is_identity) as meaning
from information_schema.columns where table_schema = 'exchange' and table_name not in ('revision', 'programme')
union all
select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'exchange'::regnamespace and conrelid::regclass::text <> 'exchange.revision'
union all
select 'index', indexname, indexdef from pg_indexes where schemaname = 'exchange' and tablename <> 'revision'
order by 1, 2
"""


def catalogue(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(CATALOGUE).fetchall()


def engine(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sqlalchemy.NullPool
    )


def test_the_revisions_make_the_tables_to_the_last_constraint(database: str) -> None:
    create_schema(database)
    create_schema(database)
    migrated = catalogue(database)
    with engine(database).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: kind != "schema" or name == "exchange",
                "version_table_schema": "exchange",
                "version_table": "revision",
            },
        )
        assert compare_metadata(context, tables.metadata) == []
    revisions = Config()
    revisions.set_main_option("script_location", str(MIGRATIONS))
    revisions.attributes["url"] = database
    command.downgrade(revisions, "base")
    assert catalogue(database) == []
    with engine(database).begin() as connection:
        tables.metadata.create_all(connection)
    assert catalogue(database) == migrated


def test_keys_that_were_made_before_there_were_scopes_may_do_what_they_could(database: str) -> None:
    revisions = Config()
    revisions.set_main_option("script_location", str(MIGRATIONS))
    revisions.attributes["url"] = database
    command.upgrade(revisions, "0004")
    merchant = "00000000-0000-0000-0000-000000000001"
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into exchange.merchant (id, slug, name, symbol, currency, minor_digits, programme, owner, issuer,"
            " issuer_key) values (%s, 'a', 'A', 'A', 'USD', 2, %s, %s, %s, '')",
            (merchant, bytes(20), bytes(20), bytes(20)),
        )
        connection.execute(
            "insert into exchange.api_key (prefix, digest, role, merchant_id)"
            " values ('m', '', 'merchant', %s), ('o', '', 'operator', null)",
            (merchant,),
        )
    command.upgrade(revisions, "head")
    with psycopg.connect(database) as connection:
        found = connection.execute("select role, scopes, expires_at from exchange.api_key order by prefix").fetchall()
    assert [(role, set(scopes), end) for role, scopes, end in found] == [
        ("merchant", set(SCOPES["merchant"]), None), ("operator", set(SCOPES["operator"]), None),
    ]  # fmt: skip


def test_purchases_of_before_get_the_commitment_that_their_receipts_were_signed_over(database: str) -> None:
    revisions = Config()
    revisions.set_main_option("script_location", str(MIGRATIONS))
    revisions.attributes["url"] = database
    command.upgrade(revisions, "0060")
    merchant, kept = "00000000-0000-0000-0000-000000000001", b"k" * 32
    sold: dict[str, Any] = {"salt": b"s" * 16, "amount_minor": 1234, "currency": "JPY", "purchased_at": 1767323045}
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into exchange.merchant (id, slug, name, symbol, currency, minor_digits, programme, owner, issuer,"
            " issuer_key) values (%s, 'a', 'A', 'A', 'JPY', 0, %s, %s, %s, '')",
            (merchant, bytes(20), bytes(20), bytes(20)),
        )
        connection.execute(
            "insert into exchange.member (merchant_id, reference, id) values (%s, 'm', %s)", (merchant, merchant)
        )
        rows = (("till/1", None, sold["salt"], None), ("till/2", "Main", sold["salt"], None), ("x", None, None, kept))
        for reference, store, salt, commitment in rows:
            connection.execute(
                "insert into exchange.purchase (merchant_id, id, reference, fingerprint, customer_id, holder,"
                " amount_minor, store, purchased_at, points, rule_version, salt, commitment, accepted_at, mint_by,"
                " signature) values (%s, gen_random_uuid(), %s, '', %s, %s, 1234, %s, to_timestamp(1767323045.5), 1,"
                " 1, %s, %s, 0, 0, '')",
                (merchant, reference, merchant, bytes(20), store, salt, commitment),
            )
    command.upgrade(revisions, "head")
    with psycopg.connect(database) as connection:
        found = connection.execute("select commitment from exchange.purchase order by reference").fetchall()
    assert [row[0] for row in found] == [
        receipts.commitment(merchant_reference="till/1", store="", **sold),
        receipts.commitment(merchant_reference="till/2", store="Main", **sold),
        kept,
    ]
    command.downgrade(revisions, "0060")
    with psycopg.connect(database) as connection:
        left = connection.execute("select commitment from exchange.purchase where commitment is not null").fetchall()
    assert left == [(kept,)]


def test_production_refuses_the_development_secrets() -> None:
    with pytest.raises(ValidationError, match="POINTS_MASTER_KEY, POINTS_PEPPER, POINTS_OPERATOR_API_KEY"):
        Settings(database_url="postgresql://nowhere", deployment="d.json", environment="production")  # type: ignore[arg-type]
    own = {"master_key": "ab" * 32, "pepper": "p", "operator_api_key": "o"}
    assert Settings(database_url="u", deployment="d.json", environment="production", **own).master == b"\xab" * 32  # type: ignore[arg-type]
