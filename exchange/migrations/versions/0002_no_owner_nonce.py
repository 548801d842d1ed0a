"""The nonce of a programme's owner is what its queued acts have used up: a second record of it could only be wrong."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE exchange.merchant DROP COLUMN owner_nonce")


def downgrade() -> None:
    op.execute("ALTER TABLE exchange.merchant ADD COLUMN owner_nonce BIGINT DEFAULT '0' NOT NULL")
