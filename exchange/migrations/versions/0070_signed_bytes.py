"""Signed calls and transactions are stored as they are: they are written once and read once or twice, right after."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0070"
down_revision = "0050"
branch_labels = None
depends_on = None

_BYTES: Final = (("call", "data"), ("attempt", "raw"))


def upgrade() -> None:
    for table, column in _BYTES:
        op.execute(f"ALTER TABLE exchange.{table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table, column in _BYTES:
        op.execute(f"ALTER TABLE exchange.{table} ALTER COLUMN {column} SET STORAGE EXTENDED")
