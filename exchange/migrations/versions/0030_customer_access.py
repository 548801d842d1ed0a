"""Customers' own access: passkeys, sessions, one-time codes, PINs; a role of the door and one of who came through it.

`points_door` is the gateway before it knows who somebody is: it poses challenges, finds credentials, begins and resumes
sessions, and sees no key, no member and no purchase. `points_customer` is a customer that has signed in, shown by
`points.tenant`: it sees its own rows, and no merchant's references.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0030"
down_revision = "0070"
branch_labels = None
depends_on = None

ROLES: Final = ("points_door", "points_customer")

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

TABLES: Final = (
    """
    CREATE TABLE exchange.challenge (
        digest BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),
        purpose TEXT NOT NULL CHECK (purpose in ('sign-in', 'sign-up', 'wallet', 'attach')),
        customer_id UUID,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT challenge_customer CHECK ((purpose = 'attach') = (customer_id is not null))
    )
    """,
    "CREATE INDEX challenge_expiry ON exchange.challenge (expires_at)",
    """
    CREATE TABLE exchange.credential (
        id BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(id) between 1 and 1023),
        customer_id UUID NOT NULL REFERENCES exchange.customer (id),
        x BYTEA NOT NULL CHECK (octet_length(x) = 32),
        y BYTEA NOT NULL CHECK (octet_length(y) = 32),
        signatures BIGINT NOT NULL CHECK (signatures >= 0),
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE
    )
    """,
    "CREATE INDEX credential_customer ON exchange.credential (customer_id)",
    """
    CREATE TABLE exchange.session (
        id UUID NOT NULL PRIMARY KEY,
        customer_id UUID NOT NULL REFERENCES exchange.customer (id),
        method TEXT NOT NULL CHECK (method in ('passkey', 'wallet')),
        agent TEXT,
        signed_in_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE,
        ended TEXT CHECK (ended in ('signed-out', 'signed-in-again', 'revoked', 'stolen')),
        CONSTRAINT session_end CHECK ((ended_at is null) = (ended is null)),
        CONSTRAINT session_agent CHECK (ended is null or agent is null)
    )
    """,
    "CREATE INDEX session_customer ON exchange.session (customer_id)",
    "CREATE INDEX session_expiry ON exchange.session (expires_at)",
    """
    CREATE TABLE exchange.session_token (
        digest BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),
        session_id UUID NOT NULL REFERENCES exchange.session (id) ON DELETE CASCADE,
        issued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        replaced_at TIMESTAMP WITH TIME ZONE
    )
    """,
    "CREATE INDEX session_token_session ON exchange.session_token (session_id, issued_at)",
    """
    CREATE TABLE exchange.access_code (
        merchant_id UUID NOT NULL REFERENCES exchange.merchant (id),
        customer_id UUID NOT NULL REFERENCES exchange.customer (id),
        purpose TEXT NOT NULL CHECK (purpose in ('pin', 'passkey')),
        digest BYTEA NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (merchant_id, customer_id, purpose)
    )
    """,
    """
    CREATE TABLE exchange.pin (
        merchant_id UUID NOT NULL REFERENCES exchange.merchant (id),
        customer_id UUID NOT NULL REFERENCES exchange.customer (id),
        digest TEXT,
        tries INTEGER DEFAULT 0 NOT NULL CHECK (tries >= 0),
        next_at TIMESTAMP WITH TIME ZONE,
        set_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (merchant_id, customer_id),
        CONSTRAINT pin_set CHECK ((digest is null) = (set_at is null))
    )
    """,
)

GRANTS: Final = {
    "points_door": (
        "select, insert, update (expires_at), delete on exchange.challenge",  # to be locked
        "select, insert, update (signatures, used_at) on exchange.credential",
        "select (id, holder, custody), insert (id, holder, custody), update (custody) on exchange.customer",
        "select, insert, update, delete on exchange.session",
        "select, insert, update on exchange.session_token",
        "select (customer_id, purpose, digest, expires_at, used_at), update (used_at) on exchange.access_code",
    ),
    "points_customer": (
        "select on exchange.programme",
        "select (id, holder, custody, created_at) on exchange.customer",
        "select (merchant_id, customer_id, created_at) on exchange.member",
        "select on exchange.intent",
        "select (customer_id, programme, amount, expires_at, state) on exchange.hold",
        "select, insert, delete on exchange.credential",
        "select, update (ended_at, ended, agent) on exchange.session",
        "select (id, kind, state, target, sequence, transaction_id, position, failure, created_at) on exchange.call",
        "select (id, state, succeeded) on exchange.transaction",
    ),
    "points_merchant": (
        "select, insert, update (digest, expires_at, used_at) on exchange.access_code",
        "select, insert, update (digest, tries, next_at, set_at) on exchange.pin",
        "update (pin_from) on exchange.merchant",
    ),
    "points_operator": ("update (pin_from) on exchange.merchant",),
}

_MERCHANTS: Final = "merchant_id = (select exchange.tenant())"
_OWN: Final = "customer_id = (select exchange.tenant())"

# role, table, command, which rows (using), which new rows (with check)
POLICIES: Final = (
    ("points_door", "challenge", "all", "true", "true"),
    ("points_door", "credential", "all", "true", "true"),
    ("points_door", "customer", "select", "true", None),
    ("points_door", "customer", "insert", None, "custody in ('wallet', 'passkey')"),
    ("points_door", "customer", "update", "custody = 'wallet'", "custody = 'passkey'"),
    ("points_door", "session", "all", "true", "true"),
    ("points_door", "session_token", "all", "true", "true"),
    ("points_door", "access_code", "all", "purpose = 'passkey'", "purpose = 'passkey'"),
    ("points_customer", "customer", "select", "id = (select exchange.tenant())", None),
    ("points_customer", "member", "select", _OWN, None),
    (
        "points_customer", "intent", "select",
        "holder = (select c.holder from exchange.customer c where c.id = (select exchange.tenant()))", None,
    ),
    ("points_customer", "hold", "select", _OWN, None),
    ("points_customer", "credential", "all", _OWN, _OWN),
    ("points_customer", "session", "all", _OWN, _OWN),
    ("points_customer", "call", "select", "true", None),
    ("points_customer", "transaction", "select", "true", None),
    ("points_merchant", "access_code", "all", _MERCHANTS, _MERCHANTS),
    ("points_merchant", "pin", "all", _MERCHANTS, _MERCHANTS),
    ("points_merchant", "merchant", "update", "id = (select exchange.tenant())", "id = (select exchange.tenant())"),
)  # fmt: skip

NEW_TABLES: Final = ("challenge", "credential", "session", "session_token", "access_code", "pin")

NEW_SCOPES: Final = ("customers:unlock", "points:recover")
OLD_SCOPES: Final = (
    "customers:act", "customers:read", "customers:write", "holds:write", "keys:read", "keys:write", "margin:withdraw",
    "openings:write", "programme:read", "programme:write", "purchases:read", "purchases:write", "refunds:write",
    "webhooks:read", "webhooks:write",
)  # fmt: skip


_KINDS: Final = "'send', 'redeem', 'swap', 'give', 'quote', 'partner', 'withdraw'"

CALLS: Final = """
create policy merchant_insert on exchange.call for insert to points_merchant
with check (state = 'queued' and signer is null and kind in ({kinds}))
"""


def _listed(scopes: tuple[str, ...]) -> str:
    return "array[" + ", ".join(f"'{scope}'" for scope in scopes) + "]"


def upgrade() -> None:
    for role in ROLES:
        op.execute(MAKE_ROLE.format(role=role))
        op.execute(f"grant usage on schema exchange to {role}")
        op.execute(f"grant execute on function exchange.tenant to {role}")
    op.execute("ALTER TABLE exchange.customer DROP CONSTRAINT customer_custody_check")
    op.execute(
        "ALTER TABLE exchange.customer ADD CONSTRAINT customer_custody_check"
        " CHECK (custody in ('wallet', 'custodial', 'passkey'))"
    )
    # Merchants that were here before go on as they were: no till of theirs knows how to ask.
    op.execute("ALTER TABLE exchange.merchant ADD COLUMN pin_from NUMERIC(39, 0) CHECK (pin_from >= 0)")
    for table in TABLES:
        op.execute(table)
    for role, grants in GRANTS.items():
        for grant in grants:
            op.execute(f"grant {grant} to {role}")
    for table in NEW_TABLES:
        op.execute(f"alter table exchange.{table} enable row level security")
    for role, table, command, using, check in POLICIES:
        rows = "" if using is None else f" using ({using})"
        new = "" if check is None else f" with check ({check})"
        name = f"{role.removeprefix('points_')}_{command}"
        op.execute(f"create policy {name} on exchange.{table} for {command} to {role}{rows}{new}")
    op.execute("CREATE INDEX call_recovery ON exchange.call (sequence) WHERE kind = 'recover'")
    op.execute("drop policy merchant_insert on exchange.call")
    op.execute(CALLS.format(kinds=f"{_KINDS}, 'recover', 'finish'"))
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
    for role, table, command, _, _ in POLICIES:
        if table not in NEW_TABLES:
            op.execute(f"drop policy {role.removeprefix('points_')}_{command} on exchange.{table}")
    op.execute("drop policy merchant_insert on exchange.call")
    op.execute(CALLS.format(kinds=_KINDS))
    op.execute("DROP INDEX exchange.call_recovery")
    for table in reversed(NEW_TABLES):
        op.execute(f"DROP TABLE exchange.{table}")
    op.execute("ALTER TABLE exchange.merchant DROP COLUMN pin_from")
    op.execute("ALTER TABLE exchange.customer DROP CONSTRAINT customer_custody_check")
    op.execute(
        "ALTER TABLE exchange.customer ADD CONSTRAINT customer_custody_check CHECK (custody in ('wallet', 'custodial'))"
    )
    for role in ROLES:
        op.execute(f"revoke all on all tables in schema exchange from {role}")
        op.execute(f"revoke execute on function exchange.tenant from {role}")
        op.execute(f"revoke usage on schema exchange from {role}")
