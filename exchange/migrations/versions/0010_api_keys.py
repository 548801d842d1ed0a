"""What an API key may do, and until when. Keys that exist may go on doing what they could."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0004"
branch_labels = None
depends_on = None

MERCHANT = (
    "customers:act", "customers:read", "customers:write", "holds:write", "keys:read", "keys:write", "programme:read",
    "programme:write", "purchases:read", "purchases:write", "refunds:write",
)  # fmt: skip
OPERATOR = (
    "charities:write", "customers:read", "keys:read", "keys:write", "margin:write", "merchants:write",
    "programme:read", "programme:write",
)  # fmt: skip


def upgrade() -> None:
    op.execute("ALTER TABLE exchange.api_key ADD COLUMN scopes TEXT[]")
    for role, scopes in (("merchant", MERCHANT), ("operator", OPERATOR)):
        listed = ", ".join(f"'{scope}'" for scope in scopes)
        op.execute(f"UPDATE exchange.api_key SET scopes = ARRAY[{listed}] WHERE role = '{role}'")  # noqa: S608
    op.execute("ALTER TABLE exchange.api_key ALTER COLUMN scopes SET NOT NULL")
    op.execute("ALTER TABLE exchange.api_key ADD CONSTRAINT api_key_scopes CHECK (cardinality(scopes) > 0)")
    op.execute("ALTER TABLE exchange.api_key ADD COLUMN label TEXT")
    op.execute("ALTER TABLE exchange.api_key ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE")
    op.execute("ALTER TABLE exchange.api_key DROP CONSTRAINT api_key_role_check")
    op.execute(
        "ALTER TABLE exchange.api_key ADD CONSTRAINT api_key_role_check"
        " CHECK (role in ('operator', 'merchant', 'auditor'))"
    )
    op.execute("CREATE INDEX api_key_merchant ON exchange.api_key (merchant_id)")


def downgrade() -> None:
    op.execute("DROP INDEX exchange.api_key_merchant")
    op.execute("DELETE FROM exchange.api_key WHERE role = 'auditor'")
    op.execute("ALTER TABLE exchange.api_key DROP CONSTRAINT api_key_role_check")
    op.execute(
        "ALTER TABLE exchange.api_key ADD CONSTRAINT api_key_role_check CHECK (role in ('operator', 'merchant'))"
    )
    for column in ("scopes", "label", "expires_at"):
        op.execute(f"ALTER TABLE exchange.api_key DROP COLUMN {column}")
