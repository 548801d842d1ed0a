"""Withdrawals of margin, announced and completed; an announcement uses up a nonce of the programme's account."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NEW_SCOPES: Final = ("margin:withdraw", "openings:write", "webhooks:read", "webhooks:write")
OLD_SCOPES: Final = (
    "customers:act", "customers:read", "customers:write", "holds:write", "keys:read", "keys:write", "programme:read",
    "programme:write", "purchases:read", "purchases:write", "refunds:write",
)  # fmt: skip

_OWN: Final = "merchant_id = (select exchange.tenant())"
_KINDS: Final = "'send', 'redeem', 'swap', 'give', 'quote', 'partner'"

CALLS: Final = """
create policy merchant_insert on exchange.call for insert to points_merchant
with check (state = 'queued' and signer is null and kind in ({kinds}))
"""

TENANCY: Final = (
    "grant select, insert on exchange.withdrawal to points_merchant",
    "grant select on exchange.withdrawal to points_operator",
    "grant select, update (completion_id, gone_block, closed) on exchange.withdrawal to points_relayer",
    "grant select (block) on exchange.transaction to points_merchant, points_operator",
    "alter table exchange.withdrawal enable row level security",
    f"create policy merchant_all on exchange.withdrawal to points_merchant using ({_OWN}) with check ({_OWN})",
    "create policy operator_select on exchange.withdrawal for select to points_operator using (true)",
    "create policy relayer_all on exchange.withdrawal to points_relayer using (true) with check (true)",
    "drop policy merchant_insert on exchange.call",
    CALLS.format(kinds=f"{_KINDS}, 'withdraw'"),
)


def _listed(scopes: tuple[str, ...]) -> str:
    return "array[" + ", ".join(f"'{scope}'" for scope in scopes) + "]"


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
    for statement in TENANCY:
        op.execute(statement)
    # Keys that could do everything a merchant can go on doing so.
    op.execute(
        f"update exchange.api_key set scopes = scopes || {_listed(NEW_SCOPES)}"  # noqa: S608 - of constants
        f" where role = 'merchant' and scopes @> {_listed(OLD_SCOPES)}"
    )


def downgrade() -> None:
    op.execute(
        "update exchange.api_key set scopes = array(select s from unnest(scopes) s"  # noqa: S608 - of constants
        f" where s <> all({_listed(NEW_SCOPES)})) where not scopes <@ {_listed(NEW_SCOPES)}"
    )
    op.execute(f"delete from exchange.api_key where scopes <@ {_listed(NEW_SCOPES)}")  # noqa: S608 - of constants
    op.execute("drop policy merchant_insert on exchange.call")
    op.execute(CALLS.format(kinds=_KINDS))
    op.execute("revoke select (block) on exchange.transaction from points_merchant, points_operator")
    op.execute("DROP INDEX exchange.call_owner")
    op.execute("CREATE INDEX call_owner ON exchange.call (sequence) WHERE kind in ('quote', 'partner')")
    op.execute("DROP TABLE exchange.withdrawal")
