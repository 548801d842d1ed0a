"""A transaction whose nonce somebody else's final transaction has used is lost: it never had a block."""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0022"
branch_labels = None
depends_on = None

_STATE = """
alter table exchange.transaction drop constraint transaction_state,
add constraint transaction_state check (
    (state in ({without}) and block is null and block_hash is null and succeeded is null)
    or (state in ('included', 'final') and block is not null and block_hash is not null and succeeded is not null))
"""


def upgrade() -> None:
    op.execute(_STATE.format(without="'signed', 'sent', 'lost'"))


def downgrade() -> None:
    op.execute(_STATE.format(without="'signed', 'sent'"))
