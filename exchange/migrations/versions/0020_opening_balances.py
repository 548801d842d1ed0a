"""Opening balances: purchases of no sale, whose points a merchant brings along."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE exchange.purchase
            ADD COLUMN kind TEXT DEFAULT 'sale' NOT NULL,
            ALTER COLUMN rule_version DROP NOT NULL,
            DROP CONSTRAINT purchase_amount_minor_check,
            ADD CONSTRAINT purchase_kind CHECK (
                (kind = 'sale' and amount_minor > 0 and rule_version is not null)
                or (kind = 'opening' and amount_minor = 0 and rule_version is null)
            )
    """)
    op.execute("grant select (kind) on exchange.purchase to points_auditor")


def downgrade() -> None:
    op.execute("""
        ALTER TABLE exchange.purchase
            DROP CONSTRAINT purchase_kind,
            ADD CONSTRAINT purchase_amount_minor_check CHECK (amount_minor > 0),
            ALTER COLUMN rule_version SET NOT NULL,
            DROP COLUMN kind
    """)
