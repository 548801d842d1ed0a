"""Webhooks: endpoints, the outbox of events, their deliveries, and how far events were derived."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES: Final = """
CREATE INDEX hold_expiry ON exchange.hold (expires_at) WHERE state = 'open';
CREATE TABLE exchange.webhook_endpoint (
    merchant_id UUID NOT NULL,
    id UUID NOT NULL,
    url TEXT NOT NULL,
    events TEXT[] NOT NULL,
    secret BYTEA NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    disabled TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id)
);
CREATE TABLE exchange.webhook_event (
    merchant_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    data JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT webhook_event_once UNIQUE (merchant_id, kind, subject),
    FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id)
);
CREATE INDEX ix_exchange_webhook_event_created_at ON exchange.webhook_event (created_at);
CREATE TABLE exchange.webhook_delivery (
    merchant_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    event_id UUID NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    next_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tries INTEGER DEFAULT '0' NOT NULL,
    status INTEGER,
    failure TEXT,
    PRIMARY KEY (merchant_id, endpoint_id, event_id),
    FOREIGN KEY(merchant_id, endpoint_id) REFERENCES exchange.webhook_endpoint (merchant_id, id) ON DELETE CASCADE,
    FOREIGN KEY(merchant_id, event_id) REFERENCES exchange.webhook_event (merchant_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_delivered CHECK (delivered_at is null or (tries > 0 and failure is null))
);
CREATE INDEX webhook_due ON exchange.webhook_delivery (merchant_id, endpoint_id, next_at) WHERE delivered_at is null;
CREATE INDEX webhook_of_event ON exchange.webhook_delivery (merchant_id, event_id);
CREATE TABLE exchange.webhook_cursor (
    id INTEGER NOT NULL CHECK (id = 1),
    confirmed BIGINT NOT NULL,
    confirmed_hash BYTEA NOT NULL,
    final BIGINT NOT NULL,
    clock BIGINT NOT NULL,
    PRIMARY KEY (id)
);
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for name in ("webhook_cursor", "webhook_delivery", "webhook_event", "webhook_endpoint"):
        op.execute(f"DROP TABLE exchange.{name}")
    op.execute("DROP INDEX exchange.hold_expiry")
