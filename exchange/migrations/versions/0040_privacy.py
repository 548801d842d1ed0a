"""What is personal: an id of each merchant's own for its customers, sealed profiles, link codes, and erasure.

A member has an id that is random and its merchant's alone; purchases and holds name that, and the customer behind it
is known to `member` only. An erased member keeps its row, under a new id and without the customer: purchases follow by
`on update cascade`, and a purchase that was on its way under the old id finds nobody. What was promised of an erased
purchase is kept as the commitment that its salt and facts made.

`points_person` is the role for one person's data, whosoever they are: it sees and takes what is of the customer in
`points.person`, and no key that signs.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
import sqlalchemy
from alembic import op

revision = "0040"
down_revision = "0030"
branch_labels = None
depends_on = None

MAKE_ROLE: Final = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'points_person') then
        begin
            create role points_person nologin noinherit;
        exception when duplicate_object or unique_violation then
            null; -- another database of this server was migrated at the same time
        end;
    end if;
    if exists (select from pg_roles where rolname = 'points_person' and (rolsuper or rolbypassrls)) then
        raise exception 'the role points_person must be neither a superuser nor bypass row-level security';
    end if;
    -- Who migrates may act as them, so that one ordinary login is enough for development.
    if current_setting('server_version_num')::int >= 160000 then
        if not pg_has_role(current_user, 'points_person', 'set') then
            execute format('grant points_person to %I', current_user);
        end if;
    elsif not pg_has_role(current_user, 'points_person', 'member') then
        execute format('grant points_person to %I', current_user);
    end if;
end
$$
"""

MEMBERS: Final = (
    "alter table exchange.member add column id uuid",
    "update exchange.member set id = gen_random_uuid()",
    "alter table exchange.member alter column id set not null, alter column customer_id drop not null,"
    " add constraint member_id unique (merchant_id, id)",
    *(
        statement.format(table=table)
        for table in ("purchase", "hold")
        for statement in (
            "alter table exchange.{table} drop constraint {table}_customer_id_fkey",
            "update exchange.{table} t set customer_id = b.id from exchange.member b"
            " where b.merchant_id = t.merchant_id and b.customer_id = t.customer_id",
            "alter table exchange.{table} add foreign key (merchant_id, customer_id)"
            " references exchange.member (merchant_id, id) on update cascade",
        )
    ),
    "update exchange.webhook_event e set data = jsonb_set(e.data::jsonb, '{customer}', to_jsonb(b.id::text))::json"
    " from exchange.member b where b.merchant_id = e.merchant_id and b.customer_id::text = e.data->>'customer'",
)

TABLES: Final = (
    "alter table exchange.purchase add column commitment bytea, alter column salt drop not null,"
    " add constraint purchase_salt check ((salt is null and octet_length(commitment) = 32 and commitment is not null)"
    " or (salt is not null and commitment is null))",
    """
    CREATE TABLE exchange.data_key (
        merchant_id UUID NOT NULL,
        customer_id UUID NOT NULL,
        key BYTEA NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (merchant_id, customer_id),
        FOREIGN KEY(merchant_id, customer_id) REFERENCES exchange.member (merchant_id, id)
    )
    """,
    """
    CREATE TABLE exchange.personal (
        merchant_id UUID NOT NULL,
        customer_id UUID NOT NULL,
        field TEXT NOT NULL,
        version INTEGER NOT NULL,
        sealed BYTEA NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (merchant_id, customer_id, field, version),
        FOREIGN KEY(merchant_id, customer_id) REFERENCES exchange.data_key (merchant_id, customer_id)
    )
    """,
    """
    CREATE TABLE exchange.index_key (
        merchant_id UUID NOT NULL,
        key BYTEA NOT NULL,
        PRIMARY KEY (merchant_id),
        FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id)
    )
    """,
    """
    CREATE TABLE exchange.blind_index (
        merchant_id UUID NOT NULL,
        kind TEXT NOT NULL,
        digest BYTEA NOT NULL,
        customer_id UUID NOT NULL,
        PRIMARY KEY (merchant_id, kind, digest, customer_id),
        CONSTRAINT blind_index_kind CHECK (kind in ('email', 'phone')),
        FOREIGN KEY(merchant_id, customer_id) REFERENCES exchange.data_key (merchant_id, customer_id)
    )
    """,
    "CREATE INDEX blind_index_customer ON exchange.blind_index (merchant_id, customer_id)",
    """
    CREATE TABLE exchange.link_code (
        digest BYTEA NOT NULL,
        merchant_id UUID,
        customer_id UUID NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        taken_by UUID,
        PRIMARY KEY (digest),
        FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id),
        FOREIGN KEY(customer_id) REFERENCES exchange.customer (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX link_code_expiry ON exchange.link_code (expires_at)",
    "CREATE INDEX ix_exchange_link_code_customer_id ON exchange.link_code (customer_id)",
    """
    CREATE TABLE exchange.erasure (
        id UUID NOT NULL,
        merchant_id UUID,
        purchases INTEGER NOT NULL,
        forfeited BOOLEAN NOT NULL,
        erased_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(merchant_id) REFERENCES exchange.merchant (id)
    )
    """,
)

FUNCTIONS: Final = (
    """
    create function exchange.person() returns uuid language sql stable parallel safe
    as $$ select nullif(current_setting('points.person', true), '')::uuid $$
    """,
    "drop function exchange.customers_named",
    """
    -- Customers that a merchant may enrol because it names their wallets, which are public: never their key.
    create function exchange.customers_named(holders bytea[])
    returns table (id uuid, holder bytea, custody text)
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    as $$
    begin
        return query select c.id, c.holder, c.custody from exchange.customer c where c.holder = any(holders);
    end
    $$
    """,
    """
    -- Customers whose link codes a merchant shows. A code is one merchant's from then on, and nobody's when it is old.
    create function exchange.customers_linked(digests bytea[])
    returns table (digest bytea, id uuid, holder bytea, custody text)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
    begin
        delete from exchange.link_code l where l.expires_at <= now();
        return query
        update exchange.link_code l set taken_by = exchange.tenant()
        from exchange.customer c
        where l.digest = any(digests) and c.id = l.customer_id and exchange.tenant() is not null
          and (l.taken_by is null or l.taken_by = exchange.tenant())
        returning l.digest, c.id, c.holder, c.custody;
    end
    $$
    """,
)

OLD_FUNCTIONS: Final = (
    "drop function exchange.customers_linked, exchange.customers_named",
    """
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
    "revoke execute on function exchange.customers_named from public",
    "grant execute on function exchange.customers_named to points_merchant",
)

GRANTS: Final = {
    "points_merchant": (
        "select on exchange.blind_index",
        "select, insert on exchange.index_key",
        "insert on exchange.link_code",
        "select on exchange.erasure",
        "execute on function exchange.customers_named",
        "execute on function exchange.customers_linked",
    ),
    "points_operator": ("select on exchange.erasure",),
    "points_notifier": ("select (id) on exchange.member",),
    "points_relayer": ("select (commitment) on exchange.purchase",),
    "points_person": (
        "execute on function exchange.person",
        "select on exchange.programme",
        "select, update (id, reference, customer_id) on exchange.member",
        "select (id, holder, custody, created_at), delete on exchange.customer",
        "select, insert, delete on exchange.data_key",
        "update (key) on exchange.data_key",  # to be locked
        "select, insert, delete on exchange.personal",
        "select, insert, delete on exchange.blind_index",
        "select, insert on exchange.index_key",
        "select, delete on exchange.link_code",
        "insert on exchange.link_code",
        "select, insert on exchange.erasure",
        "select (merchant_id, id, customer_id, reference, holder, amount_minor, store, purchased_at, points, salt,"
        " accepted_at, batch_number, cancelled), update (reference, store, purchased_at, fingerprint, salt, commitment)"
        " on exchange.purchase",
        "select (merchant_id, id, purchase_id, points, call_id), update (reference) on exchange.refund",
        'select (merchant_id, id, customer_id, state, expires_at), update ("order") on exchange.hold',
        "select (programme, holder, call_id) on exchange.intent",
        "select (id, state, transaction_id) on exchange.call",
        "select (id, state) on exchange.transaction",
        "select (scope, subject), delete on exchange.idempotency",
        "select (merchant_id, customer_id), delete on exchange.pin",
        "select (merchant_id, customer_id), delete on exchange.access_code",
        "select (customer_id), delete on exchange.challenge",
        "select (id, customer_id, created_at, used_at), delete on exchange.credential",
        "select (id, customer_id, method, agent, signed_in_at, seen_at, ended_at), delete on exchange.session",
    ),
    "points_customer": ("select (merchant_id) on exchange.hold", "select (id) on exchange.member"),
}

_OWN: Final = "merchant_id = (select exchange.tenant())"
_MINE: Final = "customer_id = (select exchange.person())"
_MEMBER: Final = (
    "(merchant_id, customer_id) in (select b.merchant_id, b.id from exchange.member b"
    " where b.customer_id = (select exchange.person()))"
)
_MERCHANTS: Final = "select b.merchant_id from exchange.member b where b.customer_id = (select exchange.person())"
_SCOPES: Final = _MERCHANTS.replace("b.merchant_id", "b.merchant_id::text")
_PURCHASES: Final = "select p.merchant_id, p.id from exchange.purchase p"
_HOLDER: Final = "holder = (select c.holder from exchange.customer c where c.id = (select exchange.person()))"

# role, table, command, which rows (using), which new rows (with check)
POLICIES: Final = (
    ("points_merchant", "blind_index", "select", _OWN, None),
    ("points_merchant", "index_key", "all", _OWN, _OWN),
    ("points_merchant", "erasure", "select", _OWN, None),
    (
        "points_merchant", "link_code", "insert", None,
        f"{_OWN} and taken_by is null and exists"
        f" (select from exchange.member b where b.customer_id = link_code.customer_id and b.{_OWN})",
    ),
    ("points_operator", "erasure", "select", "merchant_id is null", None),
    # A tombstone is nobody's: it is seen so that it can be made.
    ("points_person", "member", "select", f"{_MINE} or customer_id is null", None),
    ("points_person", "member", "update", _MINE, "customer_id is null"),
    ("points_person", "customer", "all", "id = (select exchange.person())", None),
    *(
        ("points_person", table, "all", _MEMBER, _MEMBER)
        for table in ("data_key", "personal", "blind_index", "purchase", "hold")
    ),
    ("points_person", "index_key", "all", f"merchant_id in ({_MERCHANTS})", f"merchant_id in ({_MERCHANTS})"),
    *(
        ("points_person", table, "all", _MINE, _MINE)
        for table in ("link_code", "pin", "access_code", "challenge", "credential", "session")
    ),
    ("points_person", "erasure", "all", "true", "true"),  # ids that lead to nobody
    ("points_person", "refund", "all", f"(merchant_id, purchase_id) in ({_PURCHASES})", None),
    ("points_person", "intent", "select", _HOLDER, None),
    ("points_person", "call", "select", "true", None),
    ("points_person", "transaction", "select", "true", None),
    ("points_person", "idempotency", "all", f"scope in ({_SCOPES})", None),
)  # fmt: skip

_SIGNED_IN: Final = (
    "drop policy customer_select on exchange.hold",
    "create policy customer_select on exchange.hold for select to points_customer using ((merchant_id, customer_id) in"
    " (select b.merchant_id, b.id from exchange.member b where b.customer_id = (select exchange.tenant())))",
)
_SIGNED_IN_BEFORE: Final = (
    "drop policy customer_select on exchange.hold",
    "create policy customer_select on exchange.hold for select to points_customer"
    " using (customer_id = (select exchange.tenant()))",
    "revoke select (merchant_id) on exchange.hold from points_customer",
)

_NEW_SCOPES: Final = ("customers:erase", "customers:profile")
_OLD_SCOPES: Final = {
    "merchant": (
        "customers:act", "customers:read", "customers:write", "holds:write", "keys:read", "keys:write",
        "margin:withdraw", "openings:write", "programme:read", "programme:write", "purchases:read", "purchases:write",
        "refunds:write", "webhooks:read", "webhooks:write",
    ),
    "operator": (
        "charities:write", "customers:read", "keys:read", "keys:write", "margin:write", "merchants:write",
        "programme:read", "programme:write",
    ),
}  # fmt: skip
_GAINED: Final = {"merchant": _NEW_SCOPES, "operator": ("customers:erase",)}

AT_ONCE: Final = 5_000
_FACTS: Final = """
select merchant_id, id, kind, customer_id::text, amount_minor, store,
       floor(extract(epoch from purchased_at))::bigint as bought, points
from exchange.purchase where (merchant_id, id) > (:merchant, :id) order by merchant_id, id limit :most
"""
_FINGERPRINT: Final = """
update exchange.purchase p set fingerprint = f.fingerprint
from (select unnest(cast(:merchants as uuid[])), unnest(cast(:ids as uuid[])), unnest(cast(:prints as bytea[])))
     as f (merchant_id, id, fingerprint)
where (p.merchant_id, p.id) = (f.merchant_id, f.id)
"""


def _listed(scopes: tuple[str, ...]) -> str:
    return "array[" + ", ".join(f"'{scope}'" for scope in scopes) + "]"


def _fingerprint(row: Any) -> bytes:
    """As `exchange/purchase.py` made it when this revision was written."""
    if row.kind == "opening":
        facts: tuple[Any, ...] = (row.kind, row.customer_id, row.points)
    else:
        facts = (row.customer_id, row.amount_minor, row.store, row.bought)
    return hashlib.sha256(msgspec.json.encode(facts)).digest()


def _refingerprint() -> None:
    """The facts name the customer by the merchant's own id from now on."""
    connection, nil = op.get_bind(), "00000000-0000-0000-0000-000000000000"
    last: dict[str, Any] = {"merchant": nil, "id": nil}
    while found := connection.execute(sqlalchemy.text(_FACTS), {**last, "most": AT_ONCE}).all():
        made = {
            "merchants": [row.merchant_id for row in found],
            "ids": [row.id for row in found],
            "prints": [_fingerprint(row) for row in found],
        }
        connection.execute(sqlalchemy.text(_FINGERPRINT), made)
        last = {"merchant": found[-1].merchant_id, "id": found[-1].id}


def upgrade() -> None:
    op.execute(MAKE_ROLE)
    op.execute("grant usage on schema exchange to points_person")
    for statement in (*MEMBERS, *TABLES, *FUNCTIONS):
        op.execute(statement)
    _refingerprint()
    op.execute("revoke execute on all functions in schema exchange from public")
    for role, grants in GRANTS.items():
        for grant in grants:
            op.execute(f"grant {grant} to {role}")
    for table in ("data_key", "personal", "index_key", "blind_index", "link_code", "erasure"):
        op.execute(f"alter table exchange.{table} enable row level security")
    for role, table, command, using, check in POLICIES:
        rows = "" if using is None else f" using ({using})"
        new = "" if check is None else f" with check ({check})"
        name = f"{role.removeprefix('points_')}_{command}"
        op.execute(f"create policy {name} on exchange.{table} for {command} to {role}{rows}{new}")
    for statement in _SIGNED_IN:
        op.execute(statement)
    for role, scopes in _OLD_SCOPES.items():  # keys that could do everything can go on doing so
        op.execute(
            f"update exchange.api_key set scopes = scopes || {_listed(_GAINED[role])}"  # noqa: S608 - of constants
            f" where role = '{role}' and scopes @> {_listed(scopes)}"
        )


def downgrade() -> None:
    """Not of a database in which somebody was erased: a purchase has to name its customer again."""
    op.execute(
        "update exchange.api_key set scopes = array(select s from unnest(scopes) s"  # noqa: S608 - of constants
        f" where s <> all({_listed(_NEW_SCOPES)})) where not scopes <@ {_listed(_NEW_SCOPES)}"
    )
    op.execute(f"delete from exchange.api_key where scopes <@ {_listed(_NEW_SCOPES)}")  # noqa: S608 - of constants
    for role, table, command, _, _ in POLICIES:
        op.execute(f"drop policy {role.removeprefix('points_')}_{command} on exchange.{table}")
    for statement in _SIGNED_IN_BEFORE:
        op.execute(statement)
    for table in ("erasure", "link_code", "blind_index", "index_key", "personal", "data_key"):
        op.execute(f"drop table exchange.{table}")
    for statement in OLD_FUNCTIONS:
        op.execute(statement)
    op.execute("drop function exchange.person")
    for table in ("purchase", "hold"):
        op.execute(f"alter table exchange.{table} drop constraint {table}_merchant_id_customer_id_fkey")
        op.execute(
            f"update exchange.{table} t set customer_id = b.customer_id from exchange.member b"  # noqa: S608
            " where b.merchant_id = t.merchant_id and b.id = t.customer_id"
        )
        op.execute(f"alter table exchange.{table} add foreign key (customer_id) references exchange.customer (id)")
    op.execute("alter table exchange.purchase drop column commitment, alter column salt set not null")
    op.execute("alter table exchange.member drop column id, alter column customer_id set not null")
    _refingerprint()
    op.execute("revoke all on all tables in schema exchange from points_person")
    op.execute("revoke usage on schema exchange from points_person")
