"""Webhooks: endpoints, the outbox of events, their deliveries, and how far events were derived.

With a role of its own for what sends them: it reads what is told and the endpoints' secrets, and no key that signs.
"""

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
    removed_at TIMESTAMP WITH TIME ZONE,
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


MAKE_ROLE: Final = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'points_notifier') then
        begin
            create role points_notifier nologin noinherit;
        exception when duplicate_object or unique_violation then
            null; -- another database of this server was migrated at the same time
        end;
    end if;
    if exists (select from pg_roles where rolname = 'points_notifier' and (rolsuper or rolbypassrls)) then
        raise exception 'the role points_notifier must be neither a superuser nor bypass row-level security';
    end if;
    -- Who migrates may act as them, so that one ordinary login is enough for development.
    if current_setting('server_version_num')::int >= 160000 then
        if not pg_has_role(current_user, 'points_notifier', 'set') then
            execute format('grant points_notifier to %I', current_user);
        end if;
    elsif not pg_has_role(current_user, 'points_notifier', 'member') then
        execute format('grant points_notifier to %I', current_user);
    end if;
end
$$
"""

_OWN: Final = "merchant_id = (select exchange.tenant())"

GRANTS: Final = {
    "points_merchant": (
        "select (merchant_id, id, url, events, failing_since, disabled, removed_at, created_at), insert,"
        " update (failing_since, disabled, removed_at) on exchange.webhook_endpoint",
        "select on exchange.webhook_event",
        "select, update (delivered_at, next_at, tries) on exchange.webhook_delivery",
    ),
    "points_notifier": (
        "select (id, programme) on exchange.merchant",
        "select (merchant_id, id, customer_id, points, batch_number, batch_index) on exchange.purchase",
        "select (merchant_id, id, purchase_id, points) on exchange.refund",
        "select (merchant_id, id, customer_id, amount, expires_at, state) on exchange.hold",
        "select (id, digest) on exchange.intent",
        "select (id, holder) on exchange.customer",
        "select (merchant_id, customer_id) on exchange.member",
        "select, update (failing_since, disabled), delete on exchange.webhook_endpoint",
        "select, insert, delete on exchange.webhook_event",
        "select, insert, update on exchange.webhook_delivery",
        "select, insert, update on exchange.webhook_cursor",
    ),
}

# role, table, command, which rows (using), which new rows (with check)
POLICIES: Final = (
    ("points_merchant", "webhook_endpoint", "all", _OWN, _OWN),
    ("points_merchant", "webhook_event", "select", _OWN, None),
    ("points_merchant", "webhook_delivery", "all", _OWN, _OWN),
    *(
        ("points_notifier", table, "select", "true", None)
        for table in ("merchant", "purchase", "refund", "hold", "intent", "customer", "member")
    ),
    *(
        ("points_notifier", table, "all", "true", "true")
        for table in ("webhook_endpoint", "webhook_event", "webhook_delivery", "webhook_cursor")
    ),
)


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    op.execute(MAKE_ROLE)
    op.execute("grant usage on schema exchange to points_notifier")
    for role, grants in GRANTS.items():
        for grant in grants:
            op.execute(f"grant {grant} to {role}")
    for table in ("webhook_endpoint", "webhook_event", "webhook_delivery", "webhook_cursor"):
        op.execute(f"alter table exchange.{table} enable row level security")
    for role, table, command, using, check in POLICIES:
        new = "" if check is None else f" with check ({check})"
        name = f"{role.removeprefix('points_')}_{command}"
        op.execute(f"create policy {name} on exchange.{table} for {command} to {role} using ({using}){new}")


def downgrade() -> None:
    for table in ("merchant", "purchase", "refund", "hold", "intent", "customer", "member"):
        op.execute(f"drop policy notifier_select on exchange.{table}")
        op.execute(f"revoke all on exchange.{table} from points_notifier")
    op.execute("revoke usage on schema exchange from points_notifier")
    for name in ("webhook_cursor", "webhook_delivery", "webhook_event", "webhook_endpoint"):
        op.execute(f"DROP TABLE exchange.{name}")
    op.execute("DROP INDEX exchange.hold_expiry")
