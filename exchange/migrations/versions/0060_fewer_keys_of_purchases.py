"""A purchase's merchant and rule are no foreign keys: they are checked where they are read, in the same transaction.

Both are one row for all purchases of a merchant, which every insert would lock and look up again: a third of what
storing a purchase cost, and a queue of lockers on one row. The policy of row-level security admits the tenant's id and
no other, the rule is read in the request that stores its version, and no role may delete a merchant or a rule.
"""

from __future__ import annotations

from alembic import op

revision = "0060"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "alter table exchange.purchase drop constraint purchase_merchant_id_fkey,"
        " drop constraint purchase_merchant_id_rule_version_fkey"
    )


def downgrade() -> None:
    op.execute(
        "alter table exchange.purchase add foreign key (merchant_id) references exchange.merchant (id),"
        " add foreign key (merchant_id, rule_version) references exchange.earning_rule (merchant_id, version)"
    )
