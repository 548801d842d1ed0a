"""Tenancy by the database: roles that own nothing, and row-level security on every table.

The gateway acts as one of four roles (`exchange/database.py`), the relayer as a fifth. Each is granted the columns that
it needs, and each table has a policy for each role that may touch it: a role without one sees no row. A merchant is
shown by the setting `points.tenant`. What is public of a merchant is the view `programme`; what crosses tenants
otherwise goes through two functions that answer narrow questions with their owner's rights. Owners of the tables and
superusers are not held by any of this: the gateway refuses such a login in production.

Roles belong to the whole server, so they are made if they are missing and never dropped. Where the login that
migrates may not create roles (some managed servers), an administrator makes the five beforehand.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROLES: Final = ("points_public", "points_merchant", "points_operator", "points_auditor", "points_relayer")

MAKE_ROLE: Final = """
do $$
begin
    if not exists (select from pg_roles where rolname = '{role}') then
        begin
            create role {role} nologin noinherit;
        exception when duplicate_object or unique_violation then
            null; -- another database of this server was migrated at the same time
        end;
    end if;
    if exists (select from pg_roles where rolname = '{role}' and (rolsuper or rolbypassrls)) then
        raise exception 'the role {role} must be neither a superuser nor bypass row-level security';
    end if;
    -- Who migrates may act as them, so that one ordinary login is enough for development.
    if current_setting('server_version_num')::int >= 160000 then
        if not pg_has_role(current_user, '{role}', 'set') then
            execute format('grant {role} to %I', current_user);
        end if;
    elsif not pg_has_role(current_user, '{role}', 'member') then
        execute format('grant {role} to %I', current_user);
    end if;
end
$$
"""

FUNCTIONS: Final = (
    """
    create function exchange.tenant() returns uuid language sql stable parallel safe
    as $$ select nullif(current_setting('points.tenant', true), '')::uuid $$
    """,
    """
    -- Who holds the key with this digest, if it is neither revoked nor expired; with its merchant, if it has one.
    create function exchange.authenticate(key_prefix text, key_digest bytea) returns table (
        role text, scopes text[], expires_at timestamptz, id uuid, slug text, name text, symbol text, currency text,
        minor_digits integer, programme bytea, owner bytea, owner_key bytea, issuer bytea, issuer_key bytea,
        entry_cap numeric, supply_cap numeric
    ) language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    as $$
    begin
        return query
        select k.role, k.scopes, k.expires_at, m.id, m.slug, m.name, m.symbol, m.currency, m.minor_digits, m.programme,
               m.owner, m.owner_key, m.issuer, m.issuer_key, m.entry_cap, m.supply_cap
        from exchange.api_key k left join exchange.merchant m on m.id = k.merchant_id
        where k.prefix = key_prefix and k.digest = key_digest
          and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
    end
    $$
    """,
    """
    -- Customers that a merchant may enrol because it names them: who they are, never their key.
    create function exchange.customers_named(holders bytea[], ids uuid[])
    returns table (id uuid, holder bytea, custody text)
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    as $$
    begin
        return query select c.id, c.holder, c.custody from exchange.customer c
        where c.holder = any(holders) or c.id = any(ids);
    end
    $$
    """,
)

PROGRAMME: Final = """
create view exchange.programme as
select id, slug, name, symbol, currency, minor_digits, programme, owner, issuer, entry_cap, supply_cap, call_id
from exchange.merchant
"""

TABLES: Final = (
    "merchant", "api_key", "earning_rule", "customer", "member", "idempotency", "batch", "purchase", "refund",
    "intent", "hold", "charity", "campaign", "signer", "transaction", "attempt", "call",
)  # fmt: skip

_KEY: Final = "prefix, role, merchant_id, scopes, label, created_at, expires_at, revoked_at"
_CALL: Final = "id, kind, state, target, sequence, transaction_id, position, failure, created_at"
_CHARITY: Final = "id, slug, name, address, call_id, created_at"

GRANTS: Final = {
    "points_public": (
        "select on exchange.programme",
        f"select ({_CHARITY}) on exchange.charity",
        "select on exchange.campaign",
        "select, insert on exchange.intent",
        "select (programme, holder, amount, state, expires_at) on exchange.hold",
        f"select ({_CALL}) on exchange.call",
        "insert on exchange.call",
        "select (id, state, succeeded) on exchange.transaction",
        "usage on sequence exchange.call_id_seq",
        "execute on function exchange.authenticate",
    ),
    "points_merchant": (
        "select on exchange.programme",
        "select on exchange.merchant",
        f"select ({_KEY}) on exchange.api_key",
        "insert, update (revoked_at) on exchange.api_key",
        "select, insert on exchange.earning_rule",
        "select, insert on exchange.customer",
        "select, insert on exchange.member",
        "select, insert, update (outcome) on exchange.idempotency",
        "select on exchange.batch",
        "select, insert, update (reference) on exchange.purchase",  # to be locked; its policy lets nothing change
        "select, insert on exchange.refund",
        "select, insert on exchange.intent",
        "select, insert, update (state, intent_id) on exchange.hold",
        f"select ({_CHARITY}) on exchange.charity",
        "select on exchange.campaign",
        f"select ({_CALL}) on exchange.call",
        "insert on exchange.call",
        "select (id, state, succeeded) on exchange.transaction",
        "usage on sequence exchange.call_id_seq",
        "execute on function exchange.customers_named",
    ),
    "points_operator": (
        "select on exchange.programme",
        "select, insert on exchange.merchant",
        f"select ({_KEY}) on exchange.api_key",
        "insert, update (revoked_at) on exchange.api_key",
        "select, insert on exchange.earning_rule",
        "select (id, holder, custody, created_at) on exchange.customer",
        "select, insert, update (outcome) on exchange.idempotency",
        f"select ({_CHARITY}) on exchange.charity",
        "insert on exchange.charity",
        "select, insert on exchange.campaign",
        "select (address, role, paused) on exchange.signer",
        f"select ({_CALL}) on exchange.call",
        "insert on exchange.call",
        "select (id, state, succeeded) on exchange.transaction",
        "usage on sequence exchange.call_id_seq",
    ),
    # Reads what shows that the rules were kept, and no person: no reference, store, time, salt or member.
    "points_auditor": (
        "select on exchange.programme",
        f"select ({_KEY}) on exchange.api_key",
        "select on exchange.earning_rule",
        "select on exchange.batch",
        "select (merchant_id, id, holder, amount_minor, points, rule_version, accepted_at, mint_by, signature,"
        " batch_number, batch_index) on exchange.purchase",
        "select (merchant_id, id, purchase_id, amount_minor, points, taken, call_id, created_at) on exchange.refund",
        "select on exchange.intent",
        f"select ({_CHARITY}) on exchange.charity",
        "select on exchange.campaign",
        "select (address, role, next_nonce, paused) on exchange.signer",
        "select on exchange.transaction",
        "select on exchange.attempt",
        "select on exchange.call",
    ),
    "points_relayer": (
        "select, update (next_batch) on exchange.merchant",
        "select, update (batch_number, batch_index) on exchange.purchase",
        "select, update (call_id) on exchange.refund",
        "select, insert on exchange.batch",
        "select on exchange.intent",
        "select, insert, update on exchange.signer",
        "select, insert, update on exchange.transaction",
        "select, insert, update on exchange.attempt",
        "select, insert, update on exchange.call",
        "usage on sequence exchange.call_id_seq",
        "usage on sequence exchange.transaction_id_seq",
    ),
}

_OWN: Final = "merchant_id = exchange.tenant()"
_OWN_PROGRAMME: Final = "programme = (select m.programme from exchange.merchant m where m.id = exchange.tenant())"
_OWN_KEYS: Final = "scope = exchange.tenant()::text"
_HOLDERS_ACTS: Final = "'send', 'redeem', 'swap', 'give'"

# role, table, command, which rows (using), which new rows (with check)
POLICIES: Final = (
    ("points_merchant", "merchant", "select", "id = exchange.tenant()", None),
    ("points_merchant", "api_key", "all", _OWN, f"{_OWN} and role = 'merchant'"),
    ("points_merchant", "earning_rule", "all", _OWN, _OWN),
    (
        "points_merchant", "customer", "select",
        f"exists (select from exchange.member b where b.customer_id = customer.id and b.{_OWN})", None,
    ),
    ("points_merchant", "customer", "insert", None, "true"),  # a new one, which is nobody's until it is a member
    ("points_merchant", "member", "all", _OWN, _OWN),
    ("points_merchant", "idempotency", "all", _OWN_KEYS, _OWN_KEYS),
    ("points_merchant", "batch", "select", _OWN, None),
    ("points_merchant", "purchase", "select", _OWN, None),
    ("points_merchant", "purchase", "insert", None, _OWN),
    ("points_merchant", "purchase", "update", _OWN, "false"),
    ("points_merchant", "refund", "all", _OWN, _OWN),
    ("points_merchant", "intent", "all", _OWN_PROGRAMME, _OWN_PROGRAMME),
    ("points_merchant", "hold", "all", _OWN, f"{_OWN} and {_OWN_PROGRAMME}"),
    (
        "points_merchant", "call", "insert", None,
        f"state = 'queued' and signer is null and kind in ({_HOLDERS_ACTS}, 'quote', 'partner')",
    ),
    ("points_public", "intent", "all", "true", "true"),  # their authority is their signature
    ("points_public", "hold", "select", "true", None),  # how much of a holder's points, not whose or for what
    (
        "points_public", "call", "insert", None,
        f"state = 'queued' and signer is null and kind in ({_HOLDERS_ACTS})",
    ),
    ("points_operator", "merchant", "all", "true", "true"),
    ("points_operator", "api_key", "all", "true", "true"),
    ("points_operator", "earning_rule", "all", "true", "true"),
    ("points_operator", "customer", "select", "true", None),
    ("points_operator", "idempotency", "all", "scope = 'operator'", "scope = 'operator'"),
    ("points_operator", "charity", "insert", None, "true"),
    ("points_operator", "campaign", "insert", None, "true"),
    ("points_operator", "signer", "select", "true", None),
    ("points_operator", "call", "insert", None, "state = 'queued'"),
    *(
        ("points_auditor", table, "select", "true", None)
        for table in ("api_key", "earning_rule", "batch", "purchase", "refund", "intent", "signer", "attempt")
    ),
    *(
        ("points_relayer", table, "all", "true", "true")
        for table in (
            "merchant", "purchase", "refund", "batch", "intent", "signer", "transaction", "attempt", "call",
        )
    ),
    # What is public of everybody: the columns granted above.
    *(
        (role, table, "select", "true", None)
        for role in ("points_public", "points_merchant", "points_operator", "points_auditor")
        for table in ("charity", "campaign", "call", "transaction")
    ),
)  # fmt: skip


def upgrade() -> None:
    for role in ROLES:
        op.execute(MAKE_ROLE.format(role=role))
        op.execute(f"grant usage on schema exchange to {role}")
    for function in FUNCTIONS:
        op.execute(function)
    op.execute("revoke execute on all functions in schema exchange from public")
    op.execute("grant execute on function exchange.tenant to " + ", ".join(ROLES))
    op.execute(PROGRAMME)
    for role, grants in GRANTS.items():
        for grant in grants:
            op.execute(f"grant {grant} to {role}")
    for table in TABLES:
        op.execute(f"alter table exchange.{table} enable row level security")
    for role, table, command, using, check in POLICIES:
        rows = "" if using is None else f" using ({using})"
        new = "" if check is None else f" with check ({check})"
        name = f"{role.removeprefix('points_')}_{command}"
        op.execute(f"create policy {name} on exchange.{table} for {command} to {role}{rows}{new}")


def downgrade() -> None:
    for role, table, command, _, _ in POLICIES:
        op.execute(f"drop policy {role.removeprefix('points_')}_{command} on exchange.{table}")
    for table in TABLES:
        op.execute(f"alter table exchange.{table} disable row level security")
    op.execute("drop view exchange.programme")
    op.execute("drop function exchange.customers_named, exchange.authenticate, exchange.tenant")
    for role in ROLES:
        op.execute(f"revoke all on all tables in schema exchange from {role}")
        op.execute(f"revoke all on all sequences in schema exchange from {role}")
        op.execute(f"revoke usage on schema exchange from {role}")
