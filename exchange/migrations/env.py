"""Runs the revisions on the database that the caller named, one caller at a time, in one transaction.

Only schema `exchange` is ours here: the mirror makes its own tables, and can be dropped. The table of revisions is in
the schema that it is about.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic import context
from sqlalchemy.pool import NullPool

from exchange.tables import metadata

_LOCK = 0x65786368616E6765


def _ours(name: str | None, kind: str, parents: Any) -> bool:  # noqa: ARG001
    return kind != "schema" or name == metadata.schema


def run() -> None:
    url = sqlalchemy.make_url(context.config.attributes["url"]).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_LOCK)))
        connection.execute(sqlalchemy.schema.CreateSchema(str(metadata.schema), if_not_exists=True))
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_schemas=True,
            include_name=_ours,
            version_table_schema=metadata.schema,
            version_table="revision",
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
