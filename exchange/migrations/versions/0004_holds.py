"""Points that a till has set aside."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE: Final = """
CREATE TABLE exchange.hold (
    merchant_id UUID NOT NULL,
    id UUID NOT NULL,
    customer_id UUID NOT NULL,
    programme BYTEA NOT NULL CHECK (octet_length(programme) = 20),
    holder BYTEA NOT NULL CHECK (octet_length(holder) = 20),
    amount NUMERIC(39, 0) NOT NULL CHECK (amount > 0),
    "order" TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    intent_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT hold_state CHECK (
        (state in ('open', 'released') and intent_id is null) or (state = 'captured' and intent_id is not null)
    ),
    FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id),
    FOREIGN KEY(customer_id) REFERENCES exchange.customer (id),
    FOREIGN KEY(intent_id) REFERENCES exchange.intent (id)
)
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX hold_open ON exchange.hold (programme, holder) WHERE state = 'open'")


def downgrade() -> None:
    op.execute("DROP TABLE exchange.hold")
