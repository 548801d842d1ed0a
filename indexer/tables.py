"""The tables of schema `mirror`: the SQL copy of the chain, which can be dropped and rebuilt at any time.

Rows are keyed by where the chain put them (block number, log index), so that a rollback deletes everything above the
fork. `balance`, `supply` and `margin` are folds of `entry` and `movement`, change in the same transaction as they do,
and have no row where the sum is zero: what they say is a function of the ledger and not of the way it came about.
Addresses and hashes are raw bytes (20 and 32); amounts are integers in base units, exact at 96 bits and more.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData(schema="mirror")

READABLE = ("grant usage on schema mirror to public", "grant select on all tables in schema mirror to public")
"""Everything here is public on the chain, so every role of the database may read it."""

MEANING = 1
"""Raised when `indexer.project` puts other rows into the same tables: every mirror is then built anew."""

Amount = Numeric(39, 0)
"""A signed integer amount in base units: room for any sum of 96-bit balances."""


def _placed(name: str, *items: SchemaItem) -> Table:
    """A table whose rows are one log each."""
    return Table(
        name,
        metadata,
        Column("block", BigInteger, primary_key=True),
        Column("log_index", Integer, primary_key=True),
        *items,
    )


cursor = Table(
    "cursor",
    metadata,
    # Exactly one row. `tip` is the hash of block `next_block - 1`; every append and rollback compares and sets it.
    Column("id", SmallInteger, CheckConstraint("id = 1"), primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("factory", LargeBinary, nullable=False),
    Column("exchange", LargeBinary, nullable=False),
    Column("first_block", BigInteger, nullable=False),
    Column("next_block", BigInteger, nullable=False),
    Column("tip", LargeBinary, nullable=False),
    Column("finalized", BigInteger, nullable=False),
)

block = Table(
    "block",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Column("parent", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),  # Unix seconds
    Index("block_time", "time"),
)

transaction = Table(
    "transaction",
    metadata,
    Column("block", BigInteger, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("hash", LargeBinary, nullable=False, index=True),
)

programme = _placed(
    "programme",
    Column("address", LargeBinary, nullable=False, unique=True),
    Column("owner", LargeBinary, nullable=False),
    Column("issuer", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("symbol", Text, nullable=False),
)

batch = Table(
    "batch",
    metadata,
    Column("programme", LargeBinary, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("block", BigInteger, nullable=False, index=True),
    Column("log_index", Integer, nullable=False),
    Column("transaction_index", Integer, nullable=False),
    Column("receipts_root", LargeBinary, nullable=False),
    Column("entries_hash", LargeBinary, nullable=False),
    Column("total", Amount, nullable=False),
    Column("count", Integer, nullable=False),
    Index("batch_supply", "programme", "block", postgresql_include=["total"]),
)

ENTRY_KINDS = (
    *("earned", "sent", "received", "redeemed", "swapped", "gave", "transferred"),
    *("expired", "clawed_back", "recovered"),
)
"""Why a balance changed. `swapped` has a negative delta in the programme that was left and a positive one in the
other; `transferred` is a plain ERC-20 transfer by a holder's own transaction (both sides). The last three are without
the holder's word: points that died of inactivity, that a refunded purchase had granted, and that the programme's owner
moved for a holder who lost the key (both sides)."""

entry = _placed(
    "entry",
    # A transfer between holders is one log and two entries: side 0 is whom it leaves, side 1 whom it reaches.
    Column("side", SmallInteger, primary_key=True),
    Column("transaction_index", Integer, nullable=False),
    Column("programme", LargeBinary, nullable=False),
    Column("holder", LargeBinary, nullable=False),
    Column("delta", Amount, nullable=False),
    Column("kind", Text, CheckConstraint(f"kind in {ENTRY_KINDS!r}"), nullable=False),
    # The other holder, the other programme, or the charity; null when there is none.
    Column("counterparty", LargeBinary),
    # The signed intent's EIP-712 digest; for `earned`, null (the batch is found by programme and transaction).
    Column("intent", LargeBinary),
    Index("entry_feed", "holder", "block", "log_index", "side"),
    Index("entry_account", "holder", "programme", "block", "log_index", "side"),
    Index("entry_intent", "intent", postgresql_where="intent is not null"),
    # What changed a programme's supply, but for batches, whose totals say it: few of many entries.
    Index(
        *("entry_supply", "programme", "kind", "block"),
        postgresql_include=["delta"],
        postgresql_where="kind in ('redeemed', 'swapped', 'gave', 'expired', 'clawed_back')",
    ),
)

balance = Table(
    "balance",
    metadata,
    Column("holder", LargeBinary, primary_key=True),
    Column("programme", LargeBinary, primary_key=True),
    Column("amount", Amount, CheckConstraint("amount >= 0"), nullable=False),
)

supply = Table(
    "supply",
    metadata,
    Column("programme", LargeBinary, primary_key=True),
    Column("amount", Amount, CheckConstraint("amount >= 0"), nullable=False),
)

redemption = _placed(
    "redemption",
    Column("intent", LargeBinary, nullable=False),
    Column("programme", LargeBinary, nullable=False),
    Column("holder", LargeBinary, nullable=False),
    Column("order", LargeBinary, nullable=False),
    Column("amount", Amount, nullable=False),
)

clawback = _placed(
    "clawback",
    Column("programme", LargeBinary, nullable=False),
    Column("batch", BigInteger, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("holder", LargeBinary, nullable=False),
    Column("purchase", LargeBinary, nullable=False),
    Column("burned", Amount, nullable=False),
    Column("shortfall", Amount, nullable=False),
    Index("clawback_receipt", "programme", "batch", "index"),
)

life = _placed(
    "life",
    # Days without activity after which points of the programme expire, from this block on; the first is its creation's.
    Column("programme", LargeBinary, nullable=False, index=True),
    Column("days", Integer, nullable=False),
)

swap = _placed(
    "swap",
    Column("intent", LargeBinary, nullable=False),
    Column("from", LargeBinary, nullable=False),
    Column("into", LargeBinary, nullable=False),
    Column("holder", LargeBinary, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("out", Amount, nullable=False),
    Column("value", Amount, nullable=False),
    Column("fee", Amount, nullable=False),
)

gift = _placed(
    "gift",
    Column("intent", LargeBinary, nullable=False),
    Column("programme", LargeBinary, nullable=False),
    Column("charity", LargeBinary, nullable=False, index=True),
    Column("holder", LargeBinary, nullable=False),
    Column("campaign", BigInteger, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("value", Amount, nullable=False),
)

matching = _placed(
    "matching",
    # What a campaign's sponsor added to the gift by `intent`.
    Column("intent", LargeBinary, nullable=False),
    Column("campaign", BigInteger, nullable=False),
    Column("sponsor", LargeBinary, nullable=False),
    Column("charity", LargeBinary, nullable=False, index=True),
    Column("value", Amount, nullable=False),
)

quote = _placed(
    "quote",
    Column("programme", LargeBinary, nullable=False, index=True),
    Column("bid", Amount, nullable=False),
    Column("ask", Amount, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("cap", Amount, nullable=False),
    Column("effective", BigInteger, nullable=False),
)

partner = _placed(
    "partner",
    Column("programme", LargeBinary, nullable=False, index=True),
    Column("partner", LargeBinary, nullable=False),
    Column("allowed", Boolean, nullable=False),
)

fee = _placed(
    "fee",
    Column("fee_bps", Integer, nullable=False),
    Column("account", LargeBinary, nullable=False),
)

charity = _placed(
    "charity",
    Column("address", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
)

campaign = _placed(
    "campaign",
    Column("number", BigInteger, nullable=False, unique=True),
    Column("charity", LargeBinary, nullable=False),
    Column("goal", Amount, nullable=False),
    Column("end", BigInteger, nullable=False),
)

MOVEMENT_KINDS = ("deposit", "withdrawal", "swap", "gift", "match", "fee")

movement = _placed(
    "movement",
    # One log moves value between up to three accounts: 0 debtor, 1 creditor, 2 the fee account.
    Column("side", SmallInteger, primary_key=True),
    Column("account", LargeBinary, nullable=False),
    Column("delta", Amount, nullable=False),
    Column("kind", Text, CheckConstraint(f"kind in {MOVEMENT_KINDS!r}"), nullable=False),
    Index("movement_account", "account", "block", "log_index", "side", postgresql_include=["delta", "kind"]),
)

margin = Table(
    "margin",
    metadata,
    Column("account", LargeBinary, primary_key=True),
    Column("amount", Amount, CheckConstraint("amount >= 0"), nullable=False),
)
