"""Withdrawals of margin, announced and completed; an announcement uses up a nonce of the programme's account."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE exchange.withdrawal (
            merchant_id UUID NOT NULL,
            id UUID NOT NULL,
            recipient BYTEA NOT NULL CHECK (octet_length(recipient) = 20),
            amount NUMERIC(39, 0) NOT NULL CHECK (amount > 0),
            call_id BIGINT NOT NULL,
            completion_id BIGINT,
            gone_block BIGINT,
            closed BOOLEAN DEFAULT false NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            PRIMARY KEY (merchant_id, id),
            FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id),
            FOREIGN KEY(call_id) REFERENCES exchange.call (id),
            FOREIGN KEY(completion_id) REFERENCES exchange.call (id)
        )
    """)
    op.execute("CREATE INDEX withdrawal_open ON exchange.withdrawal (merchant_id, id) WHERE not closed")
    op.execute("DROP INDEX exchange.call_owner")
    op.execute("CREATE INDEX call_owner ON exchange.call (sequence) WHERE kind in ('quote', 'partner', 'withdraw')")


def downgrade() -> None:
    op.execute("DROP INDEX exchange.call_owner")
    op.execute("CREATE INDEX call_owner ON exchange.call (sequence) WHERE kind in ('quote', 'partner')")
    op.execute("DROP TABLE exchange.withdrawal")
