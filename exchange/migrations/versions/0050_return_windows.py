"""Return windows and offsets: terms of a programme, what they make of a purchase, and the ledger of shortfalls.

The terms are part of the earning rule, so each purchase names the ones that it was accepted under. `shortfall` is
append-only; `debt` is its fold, what a holder still owes a merchant. Points of a purchase that is in no batch yet are
lowered by `cancelled`; a merchant's role may change nothing else of a purchase, and that only until it is batched.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0050"
down_revision = "0045"
branch_labels = None
depends_on = None

_OWN: Final = "merchant_id = (select exchange.tenant())"

TENANCY: Final = (
    "grant select, insert on exchange.shortfall to points_merchant",
    "grant select, update (owed) on exchange.debt to points_merchant",
    "grant select (merchant_id, kind, points, at) on exchange.shortfall to points_operator",
    "grant select (merchant_id, owed) on exchange.debt to points_operator",
    "grant select on exchange.shortfall, exchange.debt to points_auditor",
    "grant select (withheld, cancelled, available_at) on exchange.purchase to points_auditor",
    "grant select (cancelled, restored, promised, amended_at, signature) on exchange.refund to points_auditor",
    "grant select, insert on exchange.shortfall to points_relayer",
    "grant select, insert, update (owed) on exchange.debt to points_relayer",
    "grant select, insert, update on exchange.shortfall_cursor to points_relayer",
    "grant select (merchant_id, version, offsets) on exchange.earning_rule to points_relayer",
    "grant select on exchange.shortfall to points_notifier",
    "grant select (cancelled, promised, created_at) on exchange.refund to points_notifier",
    "grant select (cancelled) on exchange.purchase to points_notifier",
    # A purchase is locked by who may change a column of it: from now on the one that it is about.
    "revoke update (reference) on exchange.purchase from points_merchant",
    "grant update (cancelled) on exchange.purchase to points_merchant",
    "drop policy merchant_update on exchange.purchase",
    f"create policy merchant_update on exchange.purchase for update to points_merchant using ({_OWN})"
    f" with check ({_OWN} and batch_number is null)",
    "alter table exchange.shortfall enable row level security",
    "alter table exchange.debt enable row level security",
    "alter table exchange.shortfall_cursor enable row level security",
    f"create policy merchant_all on exchange.shortfall to points_merchant using ({_OWN}) with check ({_OWN})",
    f"create policy merchant_all on exchange.debt to points_merchant using ({_OWN}) with check ({_OWN})",
    "create policy operator_select on exchange.shortfall for select to points_operator using (true)",
    "create policy operator_select on exchange.debt for select to points_operator using (true)",
    "create policy auditor_select on exchange.shortfall for select to points_auditor using (true)",
    "create policy auditor_select on exchange.debt for select to points_auditor using (true)",
    "create policy relayer_all on exchange.shortfall to points_relayer using (true) with check (true)",
    "create policy relayer_all on exchange.debt to points_relayer using (true) with check (true)",
    "create policy relayer_all on exchange.shortfall_cursor to points_relayer using (true) with check (true)",
    "create policy relayer_select on exchange.earning_rule for select to points_relayer using (true)",
    "create policy notifier_select on exchange.shortfall for select to points_notifier using (true)",
)


def upgrade() -> None:
    op.execute("""
        ALTER TABLE exchange.earning_rule
            ADD COLUMN return_window INTEGER DEFAULT '0' NOT NULL
                CONSTRAINT earning_rule_return_window CHECK (return_window between 0 and 365),
            ADD COLUMN offsets BOOLEAN DEFAULT false NOT NULL
    """)
    op.execute("""
        ALTER TABLE exchange.purchase
            ADD COLUMN withheld BIGINT DEFAULT '0' NOT NULL
                CONSTRAINT purchase_withheld CHECK (withheld >= 0),
            ADD COLUMN cancelled BIGINT DEFAULT '0' NOT NULL
                CONSTRAINT purchase_cancelled CHECK (cancelled between 0 and points),
            ADD COLUMN available_at BIGINT DEFAULT '0' NOT NULL
    """)
    op.execute("DROP INDEX exchange.purchase_queue")
    op.execute(
        "CREATE INDEX purchase_queue ON exchange.purchase (merchant_id, available_at, id)"
        " WHERE batch_number is null and points > cancelled"
    )
    op.execute(
        "CREATE INDEX purchase_pending ON exchange.purchase (merchant_id, holder)"
        " WHERE batch_number is null and available_at > accepted_at"
    )
    op.execute("""
        ALTER TABLE exchange.refund
            ADD COLUMN cancelled BIGINT DEFAULT '0' NOT NULL CONSTRAINT refund_cancelled CHECK (cancelled >= 0),
            ADD COLUMN restored BIGINT DEFAULT '0' NOT NULL CONSTRAINT refund_restored CHECK (restored >= 0),
            ADD COLUMN promised BIGINT,
            ADD COLUMN amended_at BIGINT,
            ADD COLUMN signature BYTEA,
            ADD CONSTRAINT refund_amended CHECK (
                (cancelled > 0) = (promised is not null and amended_at is not null and signature is not null)
            )
    """)
    op.execute("CREATE INDEX refund_cancelling ON exchange.refund (created_at) WHERE cancelled > 0")
    op.execute("""
        CREATE TABLE exchange.shortfall (
            merchant_id UUID NOT NULL,
            id UUID NOT NULL,
            holder BYTEA NOT NULL CHECK (octet_length(holder) = 20),
            kind TEXT NOT NULL CHECK (kind in ('incurred', 'offset', 'restored')),
            points BIGINT NOT NULL CHECK (points > 0),
            purchase_id UUID NOT NULL,
            block BIGINT,
            log_index INTEGER,
            at BIGINT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            PRIMARY KEY (merchant_id, id),
            CONSTRAINT shortfall_once UNIQUE (merchant_id, block, log_index),
            FOREIGN KEY(merchant_id, purchase_id) REFERENCES exchange.purchase (merchant_id, id),
            CONSTRAINT shortfall_place CHECK (
                (kind = 'incurred') = (block is not null) and (block is null) = (log_index is null)
            )
        )
    """)
    op.execute("CREATE INDEX shortfall_purchase ON exchange.shortfall (merchant_id, purchase_id)")
    op.execute("CREATE INDEX shortfall_at ON exchange.shortfall (merchant_id, at)")
    op.execute("CREATE INDEX shortfall_incurred ON exchange.shortfall (created_at) WHERE kind = 'incurred'")
    op.execute("""
        CREATE TABLE exchange.debt (
            merchant_id UUID NOT NULL,
            holder BYTEA NOT NULL CHECK (octet_length(holder) = 20),
            owed BIGINT NOT NULL CHECK (owed >= 0),
            PRIMARY KEY (merchant_id, holder),
            FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id)
        )
    """)
    op.execute("""
        CREATE TABLE exchange.shortfall_cursor (
            id INTEGER NOT NULL CHECK (id = 1),
            final BIGINT NOT NULL,
            PRIMARY KEY (id)
        )
    """)
    op.execute("INSERT INTO exchange.shortfall_cursor VALUES (1, -1)")
    for statement in TENANCY:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop policy relayer_select on exchange.earning_rule")
    op.execute("revoke select (merchant_id, version, offsets) on exchange.earning_rule from points_relayer")
    op.execute("drop policy merchant_update on exchange.purchase")
    op.execute("grant update (reference) on exchange.purchase to points_merchant")
    op.execute(
        "create policy merchant_update on exchange.purchase for update to points_merchant"
        " using (merchant_id = exchange.tenant()) with check (false)"
    )
    op.execute("DROP TABLE exchange.shortfall_cursor")
    op.execute("DROP TABLE exchange.debt")
    op.execute("DROP TABLE exchange.shortfall")
    op.execute("DROP INDEX exchange.refund_cancelling")
    op.execute(
        "ALTER TABLE exchange.refund DROP CONSTRAINT refund_amended, DROP COLUMN cancelled, DROP COLUMN restored,"
        " DROP COLUMN promised, DROP COLUMN amended_at, DROP COLUMN signature"
    )
    op.execute("DROP INDEX exchange.purchase_pending")
    op.execute("DROP INDEX exchange.purchase_queue")
    op.execute("ALTER TABLE exchange.purchase DROP COLUMN withheld, DROP COLUMN cancelled, DROP COLUMN available_at")
    op.execute(
        "CREATE INDEX purchase_queue ON exchange.purchase (merchant_id, id) WHERE batch_number is null and points > 0"
    )
    op.execute("ALTER TABLE exchange.earning_rule DROP COLUMN return_window, DROP COLUMN offsets")
