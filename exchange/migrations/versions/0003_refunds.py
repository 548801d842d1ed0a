"""Refunds: what of a purchase's points is taken back, and by which call."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES: Final = """
CREATE TABLE exchange.refund (
    merchant_id UUID NOT NULL,
    id UUID NOT NULL,
    purchase_id UUID NOT NULL,
    reference TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    points BIGINT NOT NULL CHECK (points >= 0),
    taken BIGINT NOT NULL,
    call_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT refund_reference UNIQUE (merchant_id, reference),
    FOREIGN KEY(merchant_id, purchase_id) REFERENCES exchange.purchase (merchant_id, id),
    CONSTRAINT refund_taken CHECK (taken >= points),
    CONSTRAINT refund_call CHECK (points > 0 or call_id is null),
    FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id),
    FOREIGN KEY(call_id) REFERENCES exchange.call (id)
);
CREATE INDEX refund_purchase ON exchange.refund (merchant_id, purchase_id, id);
CREATE INDEX refund_queue ON exchange.refund (merchant_id, id) WHERE call_id is null and points > 0;
"""


def upgrade() -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE exchange.refund")
