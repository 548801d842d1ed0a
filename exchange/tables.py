"""The tables of schema `exchange`: what only we know and must never lose.

Money paths are integers: points in base units (1 point = 100), purchases in minor units of the merchant's currency,
settlement tokens in base units. Secrets are stored sealed (`exchange/vault.py`) and never leave their row in the clear.

The relayer's state machine is enforced here, by CHECK constraints, rather than by the code that walks it:

    call          queued -> placed (in a transaction) | refused (failed simulation: never had a nonce)
    transaction   signed -> sent -> included -> final          (included -> sent when its block leaves the chain)

What became of a call is the outcome of its transaction, and `failure` if the call alone failed inside it. Whether a
purchase was minted is read from `mirror`, the chain's own word.

Who may see and change which rows is row-level security (`migrations/versions/0011_tenancy.py`): a table that comes
later says so in its own revision, or nobody but its owner sees a row of it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

metadata = MetaData(schema="exchange")

Amount = Numeric(39, 0)


def _address(name: str, **options: object) -> Column[bytes]:
    return Column(name, LargeBinary, CheckConstraint(f"octet_length({name}) = 20"), **options)  # type: ignore[arg-type]


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), server_default=func.now(), nullable=False)


merchant = Table(
    "merchant",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("currency", Text, CheckConstraint("currency ~ '^[A-Z]{3}$'"), nullable=False),
    Column("minor_digits", Integer, nullable=False),  # decimals of the currency: 2 for USD, 0 for JPY
    _address("programme", nullable=False, unique=True),  # known before it is deployed: CREATE2
    _address("owner", nullable=False),
    Column("owner_key", LargeBinary),  # sealed; null when the merchant keeps its own key
    _address("issuer", nullable=False),
    Column("issuer_key", LargeBinary, nullable=False),  # sealed
    Column("next_batch", BigInteger, server_default="1", nullable=False),
    # The programme's limits on chain that the gateway checks before it promises anything, in base units.
    Column("entry_cap", Amount, server_default="100000000", nullable=False),
    Column("supply_cap", Amount, server_default="100000000000000", nullable=False),
    Column("call_id", BigInteger, ForeignKey("exchange.call.id")),  # that creates the programme
    _now("created_at"),
    # Base units from which a card customer's PIN is asked for; null: never.
    Column("pin_from", Amount, CheckConstraint("pin_from >= 0")),
)

api_key = Table(
    "api_key",
    metadata,
    Column("prefix", Text, primary_key=True),  # public part of the key, for look-up and for people
    Column("digest", LargeBinary, nullable=False),  # HMAC-SHA-256 of the whole key under the pepper
    Column("role", Text, CheckConstraint("role in ('operator', 'merchant', 'auditor')"), nullable=False),
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id")),
    _now("created_at"),
    Column("revoked_at", DateTime(timezone=True)),
    Column("scopes", ARRAY(Text), nullable=False),  # what it may do: `exchange/scopes.py`
    Column("label", Text),  # whose or where it is, for people
    Column("expires_at", DateTime(timezone=True)),  # null: never
    CheckConstraint("(role = 'merchant') = (merchant_id is not null)", name="api_key_scope"),
    CheckConstraint("cardinality(scopes) > 0", name="api_key_scopes"),
    Index("api_key_merchant", "merchant_id"),
)

earning_rule = Table(
    "earning_rule",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    # Points base units per currency minor unit, in millionths; points = floor(amount_minor * rate / 1e6).
    Column("rate_millionths", BigInteger, CheckConstraint("rate_millionths >= 0"), nullable=False),
    _now("created_at"),
    # Days from the sale in which it may be returned: its points are minted after them.
    Column("return_window", Integer, server_default="0", nullable=False),
    # Whether a refund's shortfall is offset by what the customer earns later.
    Column("offsets", Boolean, server_default=text("false"), nullable=False),
    CheckConstraint("return_window between 0 and 365", name="earning_rule_return_window"),
)

customer = Table(
    "customer",
    metadata,
    Column("id", Uuid, primary_key=True),
    _address("holder", nullable=False, unique=True),
    Column("custody", Text, CheckConstraint("custody in ('wallet', 'custodial', 'passkey')"), nullable=False),
    Column("key", LargeBinary),  # sealed
    _now("created_at"),
    CheckConstraint("(custody = 'custodial') = (key is not null)", name="customer_custody"),
)

member = Table(
    "member",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("reference", Text, primary_key=True),  # the merchant's own number for this customer (a card, an account)
    # Null once the member was erased: then the row is a tombstone, for its purchases to point at.
    Column("customer_id", Uuid, ForeignKey("exchange.customer.id"), index=True),
    _now("created_at"),
    # What this merchant calls the customer, random and its alone: two merchants cannot tell that theirs are one.
    Column("id", Uuid, nullable=False),
    UniqueConstraint("merchant_id", "customer_id"),
    UniqueConstraint("merchant_id", "id", name="member_id"),
)


def _member(name: str = "customer_id") -> ForeignKeyConstraint:
    """A member by the merchant's own id, which erasure changes."""
    return ForeignKeyConstraint(
        ["merchant_id", name], ["exchange.member.merchant_id", "exchange.member.id"], onupdate="CASCADE"
    )


data_key = Table(
    "data_key",
    metadata,
    # The key of one member's personal data; without it they are noise.
    Column("merchant_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("key", LargeBinary, nullable=False),  # sealed
    _now("created_at"),
    ForeignKeyConstraint(["merchant_id", "customer_id"], ["exchange.member.merchant_id", "exchange.member.id"]),
)

personal = Table(
    "personal",
    metadata,
    # A value of a profile, or a mark of consent (version by version), sealed with the member's data key.
    Column("merchant_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    _now("created_at"),
    ForeignKeyConstraint(
        ["merchant_id", "customer_id"], ["exchange.data_key.merchant_id", "exchange.data_key.customer_id"]
    ),
)

index_key = Table(
    "index_key",
    metadata,
    # Of a merchant's blind index: the same e-mail has another digest at every merchant.
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("key", LargeBinary, nullable=False),  # sealed
)

blind_index = Table(
    "blind_index",
    metadata,
    Column("merchant_id", Uuid, primary_key=True),
    Column("kind", Text, CheckConstraint("kind in ('email', 'phone')", name="blind_index_kind"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # HMAC-SHA-256
    Column("customer_id", Uuid, primary_key=True),
    ForeignKeyConstraint(
        ["merchant_id", "customer_id"], ["exchange.data_key.merchant_id", "exchange.data_key.customer_id"]
    ),
    Index("blind_index_customer", "merchant_id", "customer_id"),
)

link_code = Table(
    "link_code",
    metadata,
    # By which another merchant enrols the same customer; of a merchant, or, without one, of the customer itself.
    Column("digest", LargeBinary, primary_key=True),  # HMAC-SHA-256 of the code under the pepper
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id")),
    Column("customer_id", Uuid, ForeignKey("exchange.customer.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("taken_by", Uuid),  # the merchant that showed it first
    Index("link_code_expiry", "expires_at"),
)

erasure = Table(
    "erasure",
    metadata,
    # Who was erased, by an id that leads nowhere any more: a member's, or, without a merchant, a customer's.
    Column("id", Uuid, primary_key=True),
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id")),
    Column("purchases", Integer, nullable=False),
    Column("forfeited", Boolean, nullable=False),
    _now("erased_at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    # The answer is not stored: it is a function of what the request created, found by `subject`.
    Column("scope", Text, primary_key=True),  # a merchant's id, or 'operator'
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),  # SHA-256 of method, path and canonical body
    Column("subject", Uuid),
    # Of a bulk request: which items were refused and why, for they created nothing to answer from.
    Column("outcome", JSON),
    _now("created_at"),
)

batch = Table(
    "batch",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("receipts_root", LargeBinary, nullable=False),
    Column("total", Amount, nullable=False),
    Column("count", Integer, nullable=False),
    Column("call_id", BigInteger, ForeignKey("exchange.call.id"), nullable=False),
    _now("created_at"),
)

purchase = Table(
    "purchase",
    metadata,
    # Neither merchant nor rule is a foreign key: one row for all purchases, locked by each of them (revision 0060).
    Column("merchant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("customer_id", Uuid, nullable=False),  # the member's id
    _address("holder", nullable=False),
    # A sale earns by a rule; an opening balance was promised before the merchant came here, whatever it was earned by.
    Column("kind", Text, server_default="sale", nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("store", Text),
    Column("purchased_at", DateTime(timezone=True), nullable=False),
    Column("points", BigInteger, CheckConstraint("points >= 0"), nullable=False),  # as promised by the receipt
    Column("rule_version", Integer),
    Column("salt", LargeBinary),  # null once the customer was erased, and nobody can open the commitment any more
    Column("accepted_at", BigInteger, nullable=False),  # Unix seconds, as signed
    Column("mint_by", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),  # the issuer's, over the receipt
    # Its place on the chain once batched; entry number `batch_index` of batch `batch_number`.
    Column("batch_number", BigInteger),
    Column("batch_index", Integer),
    Column(  # that salt and facts made: `purchase` in the receipt
        "commitment",
        LargeBinary,
        CheckConstraint("octet_length(commitment) = 32", name="purchase_commitment"),
        nullable=False,
    ),
    # What it earned beyond `points`: kept back for an older shortfall.
    Column("withheld", BigInteger, server_default="0", nullable=False),
    # Of `points`, what refunds took away before there was a batch: the rest is minted. Unchanged from then on.
    Column("cancelled", BigInteger, server_default="0", nullable=False),
    Column("available_at", BigInteger, server_default="0", nullable=False),  # Unix seconds: not batched before
    UniqueConstraint("merchant_id", "reference", name="purchase_reference"),
    CheckConstraint("withheld >= 0", name="purchase_withheld"),
    CheckConstraint("cancelled between 0 and points", name="purchase_cancelled"),
    _member(),
    CheckConstraint("(batch_number is null) = (batch_index is null)", name="purchase_place"),
    CheckConstraint(
        "(kind = 'sale' and amount_minor > 0 and rule_version is not null)"
        " or (kind = 'opening' and amount_minor = 0 and rule_version is null)",
        name="purchase_kind",
    ),
    Index(
        "purchase_queue",
        "merchant_id",
        "available_at",
        "id",
        postgresql_where=text("batch_number is null and points > cancelled"),
    ),
    Index(
        "purchase_pending",
        "merchant_id",
        "holder",
        postgresql_where=text("batch_number is null and available_at > accepted_at"),
    ),
    Index(
        "purchase_batch",
        "merchant_id",
        "batch_number",
        "batch_index",
        unique=True,
        postgresql_where=text("batch_number is not null"),
    ),
    Index("purchase_customer", "customer_id", "id"),
)

refund = Table(
    "refund",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("purchase_id", Uuid, nullable=False),
    Column("reference", Text, nullable=False),  # the merchant's own number of the refund
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0"), nullable=False),
    Column("points", BigInteger, CheckConstraint("points >= 0"), nullable=False),  # that this refund claws back
    Column("taken", BigInteger, nullable=False),  # of the purchase's minted points in all, this refund included
    # Set by the relayer once the purchase is on the chain; never for a refund that takes nothing back.
    Column("call_id", BigInteger, ForeignKey("exchange.call.id")),
    _now("created_at"),
    Column("cancelled", BigInteger, server_default="0", nullable=False),  # of points that were in no batch yet
    Column("restored", BigInteger, server_default="0", nullable=False),  # of a shortfall that the purchase had offset
    # Of a refund that cancels: the receipt that takes the place of the one before, for the same purchase.
    Column("promised", BigInteger),
    Column("amended_at", BigInteger),  # Unix seconds, as signed
    Column("signature", LargeBinary),
    CheckConstraint("cancelled >= 0", name="refund_cancelled"),
    CheckConstraint("restored >= 0", name="refund_restored"),
    CheckConstraint(
        "(cancelled > 0) = (promised is not null and amended_at is not null and signature is not null)",
        name="refund_amended",
    ),
    UniqueConstraint("merchant_id", "reference", name="refund_reference"),
    ForeignKeyConstraint(["merchant_id", "purchase_id"], ["exchange.purchase.merchant_id", "exchange.purchase.id"]),
    CheckConstraint("taken >= points", name="refund_taken"),
    CheckConstraint("points > 0 or call_id is null", name="refund_call"),
    Index("refund_purchase", "merchant_id", "purchase_id", "id"),
    Index("refund_queue", "merchant_id", "id", postgresql_where=text("call_id is null and points > 0")),
    Index("refund_cancelling", "created_at", postgresql_where=text("cancelled > 0")),
)

shortfall = Table(
    "shortfall",
    metadata,
    # Append-only. `incurred`: a final clawback fell short, at this place on the chain; `offset`: a purchase earned less
    # for it; `restored`: a refund of such a purchase.
    Column("merchant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    _address("holder", nullable=False),
    Column("kind", Text, CheckConstraint("kind in ('incurred', 'offset', 'restored')"), nullable=False),
    Column("points", BigInteger, CheckConstraint("points > 0"), nullable=False),
    Column("purchase_id", Uuid, nullable=False),
    Column("block", BigInteger),
    Column("log_index", Integer),
    Column("at", BigInteger, nullable=False),  # Unix seconds
    _now("created_at"),
    UniqueConstraint("merchant_id", "block", "log_index", name="shortfall_once"),
    ForeignKeyConstraint(["merchant_id", "purchase_id"], ["exchange.purchase.merchant_id", "exchange.purchase.id"]),
    CheckConstraint(
        "(kind = 'incurred') = (block is not null) and (block is null) = (log_index is null)", name="shortfall_place"
    ),
    Index("shortfall_purchase", "merchant_id", "purchase_id"),
    Index("shortfall_at", "merchant_id", "at"),
    Index("shortfall_incurred", "created_at", postgresql_where=text("kind = 'incurred'")),
)

debt = Table(
    "debt",
    metadata,
    # The fold of the above: what is still to be offset.
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    _address("holder", primary_key=True),
    Column("owed", BigInteger, CheckConstraint("owed >= 0"), nullable=False),
)

shortfall_cursor = Table(
    "shortfall_cursor",
    metadata,
    # Exactly one row: the last final block whose clawbacks are in `shortfall`.
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("final", BigInteger, nullable=False),
)

INTENT_KINDS = ("send", "redeem", "swap", "give")

JUDGED_KINDS = (*INTENT_KINDS, "clawback", "complete", "recover", "finish")
"""Calls that a simulation judges before they get a nonce, and that are tried again if they fail in their block."""

intent = Table(
    "intent",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("digest", LargeBinary, CheckConstraint("octet_length(digest) = 32"), nullable=False, unique=True),
    Column("kind", Text, CheckConstraint(f"kind in {INTENT_KINDS!r}"), nullable=False),
    _address("programme", nullable=False),
    _address("holder", nullable=False),
    Column("amount", Amount, CheckConstraint("amount > 0"), nullable=False),
    Column("counterparty", LargeBinary),  # to / into / charity, by kind
    Column("minimum", Amount),  # swap
    Column("campaign", BigInteger),  # give
    Column("order", LargeBinary),  # redeem: 32 bytes
    Column("nonce", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("call_id", BigInteger, ForeignKey("exchange.call.id"), nullable=False),
    _now("created_at"),
    UniqueConstraint("programme", "holder", "nonce", name="intent_nonce"),
    Index("intent_holder", "holder", "id"),
)

hold = Table(
    "hold",
    metadata,
    # Points that a till has set aside: nobody can spend them until it captures or releases them, or time runs out.
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, nullable=False),  # the member's id
    _address("programme", nullable=False),
    _address("holder", nullable=False),
    Column("amount", Amount, CheckConstraint("amount > 0"), nullable=False),
    Column("order", Text, nullable=False),  # the merchant's reference of what is paid for
    Column("expires_at", BigInteger, nullable=False),  # Unix seconds
    Column("state", Text, server_default="open", nullable=False),
    Column("intent_id", Uuid, ForeignKey("exchange.intent.id")),  # the redemption that captured it
    _now("created_at"),
    _member(),
    CheckConstraint(
        "(state in ('open', 'released') and intent_id is null) or (state = 'captured' and intent_id is not null)",
        name="hold_state",
    ),
    Index("hold_open", "programme", "holder", postgresql_where=text("state = 'open'")),
    Index("hold_expiry", "expires_at", postgresql_where=text("state = 'open'")),
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("secret", LargeBinary, nullable=False),  # sealed
    Column("failing_since", DateTime(timezone=True)),  # null while the last delivery succeeded
    Column("disabled", Text),  # why nothing is sent to it
    Column("removed_at", DateTime(timezone=True)),  # by the merchant: it is as if absent
    _now("created_at"),
)

webhook_event = Table(
    "webhook_event",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),  # what it is about: told once, however often it is derived
    Column("data", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False, index=True),
    UniqueConstraint("merchant_id", "kind", "subject", name="webhook_event_once"),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("merchant_id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("delivered_at", DateTime(timezone=True)),  # null while it is still to be sent
    Column("next_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("tries", Integer, server_default="0", nullable=False),
    Column("status", Integer),  # what the endpoint answered last
    Column("failure", Text),  # why the last try failed
    ForeignKeyConstraint(
        ["merchant_id", "endpoint_id"],
        ["exchange.webhook_endpoint.merchant_id", "exchange.webhook_endpoint.id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["merchant_id", "event_id"],
        ["exchange.webhook_event.merchant_id", "exchange.webhook_event.id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("delivered_at is null or (tries > 0 and failure is null)", name="webhook_delivered"),
    Index("webhook_due", "merchant_id", "endpoint_id", "next_at", postgresql_where=text("delivered_at is null")),
    Index("webhook_of_event", "merchant_id", "event_id"),
)

webhook_cursor = Table(
    "webhook_cursor",
    metadata,
    # Exactly one row: how far events were derived, by block seen, by block final and by the clock (Unix seconds).
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("confirmed", BigInteger, nullable=False),
    Column("confirmed_hash", LargeBinary, nullable=False),
    Column("final", BigInteger, nullable=False),
    Column("clock", BigInteger, nullable=False),
)

withdrawal = Table(
    "withdrawal",
    metadata,
    # Margin that a programme's owner takes out: announced by one call, completed by another after the notice.
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("recipient", LargeBinary, CheckConstraint("octet_length(recipient) = 20"), nullable=False),
    Column("amount", Amount, CheckConstraint("amount > 0"), nullable=False),
    Column("call_id", BigInteger, ForeignKey("exchange.call.id"), nullable=False),
    Column("completion_id", BigInteger, ForeignKey("exchange.call.id")),
    # The chain's head when the announcement was first seen to be gone: completed, or replaced.
    Column("gone_block", BigInteger),
    # It has been gone since a block that is final: nothing is left to be done.
    Column("closed", Boolean, server_default=text("false"), nullable=False),
    _now("created_at"),
    Index("withdrawal_open", "merchant_id", "id", postgresql_where=text("not closed")),
)

challenge = Table(
    "challenge",
    metadata,
    # What somebody who signs in must sign. Taking it deletes it: it is good for one try.
    Column("digest", LargeBinary, CheckConstraint("octet_length(digest) = 32"), primary_key=True),  # SHA-256
    Column("purpose", Text, CheckConstraint("purpose in ('sign-in', 'sign-up', 'wallet', 'attach')"), nullable=False),
    Column("customer_id", Uuid),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("(purpose = 'attach') = (customer_id is not null)", name="challenge_customer"),
    Index("challenge_expiry", "expires_at"),
)

credential = Table(
    "credential",
    metadata,
    # A passkey: its public key, and how often it says that it has signed.
    Column("id", LargeBinary, CheckConstraint("octet_length(id) between 1 and 1023"), primary_key=True),
    Column("customer_id", Uuid, ForeignKey("exchange.customer.id"), nullable=False),
    Column("x", LargeBinary, CheckConstraint("octet_length(x) = 32"), nullable=False),
    Column("y", LargeBinary, CheckConstraint("octet_length(y) = 32"), nullable=False),
    Column("signatures", BigInteger, CheckConstraint("signatures >= 0"), nullable=False),
    _now("created_at"),
    Column("used_at", DateTime(timezone=True)),
    Index("credential_customer", "customer_id"),
)

session = Table(
    "session",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, ForeignKey("exchange.customer.id"), nullable=False),
    Column("method", Text, CheckConstraint("method in ('passkey', 'wallet')"), nullable=False),
    Column("agent", Text),  # what its browser calls itself, until it ends
    _now("signed_in_at"),
    _now("seen_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("ended", Text, CheckConstraint("ended in ('signed-out', 'signed-in-again', 'revoked', 'stolen')")),
    CheckConstraint("(ended_at is null) = (ended is null)", name="session_end"),
    CheckConstraint("ended is null or agent is null", name="session_agent"),
    Index("session_customer", "customer_id"),
    Index("session_expiry", "expires_at"),
)

session_token = Table(
    "session_token",
    metadata,
    # Every token that a session ever had; one that was replaced and comes again ends the session.
    Column("digest", LargeBinary, CheckConstraint("octet_length(digest) = 32"), primary_key=True),  # SHA-256
    Column("session_id", Uuid, ForeignKey("exchange.session.id", ondelete="CASCADE"), nullable=False),
    _now("issued_at"),
    Column("used_at", DateTime(timezone=True)),
    Column("replaced_at", DateTime(timezone=True)),
    Index("session_token_session", "session_id", "issued_at"),
)

access_code = Table(
    "access_code",
    metadata,
    # Once only, from a merchant to its card customer: to set a PIN, or to attach a passkey.
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("customer_id", Uuid, ForeignKey("exchange.customer.id"), primary_key=True),
    Column("purpose", Text, CheckConstraint("purpose in ('pin', 'passkey')"), primary_key=True),
    # HMAC-SHA-256 under the pepper.
    Column("digest", LargeBinary, CheckConstraint("octet_length(digest) = 32"), nullable=False, unique=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
)

pin = Table(
    "pin",
    metadata,
    # Of a merchant's card customer, for that merchant's points. A row without a digest counts tries all the same, so
    # that nobody learns whether there is a PIN.
    Column("merchant_id", Uuid, ForeignKey("exchange.merchant.id"), primary_key=True),
    Column("customer_id", Uuid, ForeignKey("exchange.customer.id"), primary_key=True),
    Column("digest", Text),  # Argon2id, of the PIN's HMAC under the pepper
    Column("tries", Integer, CheckConstraint("tries >= 0"), server_default="0", nullable=False),  # since the last right
    Column("next_at", DateTime(timezone=True)),  # no try before
    Column("set_at", DateTime(timezone=True)),
    CheckConstraint("(digest is null) = (set_at is null)", name="pin_set"),
)

charity = Table(
    "charity",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    _address("address", nullable=False, unique=True),
    Column("key", LargeBinary),  # sealed; null when the charity keeps its own
    Column("call_id", BigInteger, ForeignKey("exchange.call.id"), nullable=False),
    _now("created_at"),
)

campaign = Table(
    "campaign",
    metadata,
    # Numbers are the chain's: assigned here in order, under lock, and checked against what the chain answers.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("charity_id", Uuid, ForeignKey("exchange.charity.id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("goal", Amount, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("call_id", BigInteger, ForeignKey("exchange.call.id"), nullable=False),
    _now("created_at"),
)

signer = Table(
    "signer",
    metadata,
    # A lane: a key that pays gas, with its own gapless sequence of nonces.
    _address("address", primary_key=True),
    Column("role", Text, CheckConstraint("role in ('operator', 'relayer')"), nullable=False),
    Column("key", LargeBinary, nullable=False),  # sealed
    Column("next_nonce", BigInteger, server_default="0", nullable=False),
    Column("paused", Text),  # why nothing is signed with this key now
)

transaction = Table(
    "transaction",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("signer", LargeBinary, ForeignKey("exchange.signer.address"), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    _address("target", nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("block", BigInteger),
    Column("block_hash", LargeBinary),
    Column("succeeded", Boolean),  # the receipt's status
    _now("created_at"),
    UniqueConstraint("signer", "nonce", name="transaction_nonce"),
    CheckConstraint(
        "(state in ('signed', 'sent', 'lost') and block is null and block_hash is null and succeeded is null)"
        " or (state in ('included', 'final')"
        " and block is not null and block_hash is not null and succeeded is not null)",
        name="transaction_state",
    ),
    Index("transaction_open", "signer", "nonce", postgresql_where=text("state <> 'final'")),
)

attempt = Table(
    "attempt",
    metadata,
    # Signed bytes, stored before they are sent and never deleted: a time-out means "perhaps sent".
    Column("hash", LargeBinary, primary_key=True),
    Column("transaction_id", BigInteger, ForeignKey("exchange.transaction.id"), nullable=False, index=True),
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee", Amount, nullable=False),
    Column("tip", Amount, nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("sent_block", BigInteger),
    Index("attempt_unsent", "transaction_id", unique=True, postgresql_where=text("sent_at is null")),
)

call = Table(
    "call",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # mint, clawback; send, redeem, swap, give; create, quote, partner, withdraw, complete, recover, finish; deposit,
    # charity, campaign
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    _address("target", nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    # Calls of one sequence take effect in order (the batches of a programme); null: in any order.
    Column("sequence", LargeBinary),
    # Set when the call needs its sender (the operator's own acts): it travels alone, signed by this key.
    Column("signer", LargeBinary, ForeignKey("exchange.signer.address")),
    Column("transaction_id", BigInteger, ForeignKey("exchange.transaction.id")),
    Column("position", Integer),  # its index in the bundle
    Column("failure", Text),  # the reason, as `Name(args)`
    Column("not_before", DateTime(timezone=True)),
    Column("tries", Integer, server_default="0", nullable=False),
    _now("created_at"),
    CheckConstraint(
        "(state = 'queued' and transaction_id is null and position is null)"
        " or (state = 'refused' and transaction_id is null and position is null and failure is not null)"
        " or (state = 'placed' and transaction_id is not null and position is not null)",
        name="call_state",
    ),
    Index("call_queue", "id", postgresql_where=text("state = 'queued'")),
    Index("call_owner", "sequence", postgresql_where=text("kind in ('quote', 'partner', 'withdraw')")),
    Index("call_recovery", "sequence", postgresql_where=text("kind = 'recover'")),
    Index("call_transaction", "transaction_id", postgresql_where=text("transaction_id is not null")),
)
