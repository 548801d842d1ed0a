"""How a customer comes in: signs up with a passkey, signs in with one or with a wallet, attaches another passkey.

The challenge is used up first, whatever then becomes of the answer; the answer is checked; then one transaction at the
door writes what is new and begins the session. A session whose cookie came along ends: nobody's old cookie is worth
more than it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from contracts import signatures
from exchange import challenges, codes, passkeys, sessions, siwe
from exchange.database import Connection, one, rows
from exchange.errors import CredentialExists, CredentialNotFound, SignInNeeded, SignInRefused
from exchange.gateway import Gateway
from exchange.passkeys import Passkey
from exchange.sessions import Session

_CREDENTIAL: Final = """
select r.id, r.x, r.y, r.signatures, r.customer_id, c.holder, c.custody
from exchange.credential r join exchange.customer c on c.id = r.customer_id where r.id = %s
"""
_SIGN_UP: Final = """
insert into exchange.customer (id, holder, custody) values (%s, %s, 'passkey')
on conflict (holder) do update set custody = 'passkey' where customer.custody = 'wallet'
returning id, holder, custody
"""
_WALLET: Final = """
insert into exchange.customer (id, holder, custody) values (%s, %s, 'wallet') on conflict do nothing
"""
_STORE: Final = "insert into exchange.credential (id, customer_id, x, y, signatures) values (%s, %s, %s, %s, %s)"

Entered = tuple[Session, str]
"""The session and its token."""


async def sign_up_options(gateway: Gateway, *, name: str) -> dict[str, Any]:
    """What the browser is to make."""
    challenge = passkeys.new_challenge()
    await challenges.pose(gateway, "sign-up", challenge)
    return passkeys.creation_options(gateway.settings, challenge, name=name)


async def sign_up(
    gateway: Gateway,
    credential: dict[str, Any],
    proof: dict[str, Any],
    *,
    code: str | None,
    agent: str | None,
    cookie: str | None,
) -> Entered:
    """A new customer of the passkey's own key; with a merchant's `code`, the card customer that it was made for.

    Browsers vouch for no key that they say they made, and every assertion on the chain shows its key: so the passkey
    also signs the challenge (`proof`), or anybody could come in as the holder of another's key.
    Raises `SignInRefused`, `CodeRefused`, `CredentialExists`.
    """
    challenge = passkeys.challenge_of(credential, created=True)
    await challenges.take(gateway, "sign-up", challenge)
    passkey = passkeys.created(gateway.settings, credential, challenge)
    if passkeys.id_of(proof) != passkey.id:
        raise SignInRefused("The proof is another passkey's.")
    passkey = replace(passkey, signatures=passkeys.answered(gateway.settings, proof, challenge, passkey))
    left = await _open(gateway, cookie)
    async with gateway.database.transaction("door") as sql:
        customer: Mapping[str, Any] | None
        if code is None:
            customer = await one(sql, _SIGN_UP, uuid7(), passkey.holder)
        else:
            customer = await _coded(gateway, sql, code)
        if customer is None:
            raise CredentialExists("This passkey is a customer's already: sign in with it.")
        await _store(sql, customer["id"], passkey)
        await _leave(sql, left)
        return await sessions.begin(gateway, sql, customer, method="passkey", agent=agent)


async def _coded(gateway: Gateway, sql: Connection, code: str) -> Mapping[str, Any] | None:
    id = await codes.use_for_passkey(gateway, sql, code)
    return await one(sql, "select id, holder, custody from exchange.customer where id = %s", id)


async def sign_in_options(gateway: Gateway) -> dict[str, Any]:
    """What the browser is to ask any passkey of ours."""
    challenge = passkeys.new_challenge()
    await challenges.pose(gateway, "sign-in", challenge)
    return passkeys.request_options(gateway.settings, challenge)


async def sign_in(gateway: Gateway, credential: dict[str, Any], *, agent: str | None, cookie: str | None) -> Entered:
    """Raises `SignInRefused`."""
    challenge = passkeys.challenge_of(credential, created=False)
    await challenges.take(gateway, "sign-in", challenge)
    left = await _open(gateway, cookie)
    async with gateway.database.transaction("door") as sql:
        row = await one(sql, _CREDENTIAL + " for update of r", passkeys.id_of(credential))
        if row is None:
            raise SignInRefused("No customer has this passkey.")
        passkey = Passkey(bytes(row["id"]), bytes(row["x"]), bytes(row["y"]), row["signatures"])
        made = passkeys.answered(gateway.settings, credential, challenge, passkey)
        await sql.execute(
            "update exchange.credential set signatures = %s, used_at = now() where id = %s", (made, passkey.id)
        )
        await _leave(sql, left)
        customer = {"id": row["customer_id"], "holder": row["holder"], "custody": row["custody"]}
        return await sessions.begin(gateway, sql, customer, method="passkey", agent=agent)


async def wallet_message(gateway: Gateway, account: bytes) -> dict[str, Any]:
    """What the wallet is to sign (`personal_sign`)."""
    nonce = secrets.token_hex(16)
    await challenges.pose(gateway, "wallet", nonce.encode())
    now = gateway.now()
    message = siwe.written(
        origin=gateway.settings.origin, account=account, chain_id=gateway.deployment.chain_id, nonce=nonce, now=now,
        until=now + challenges.LIFE,
    )  # fmt: skip
    return {"message": message, "nonce": nonce, "expires_at": now + challenges.LIFE}


async def sign_in_wallet(
    gateway: Gateway, message: str, signature: bytes, *, agent: str | None, cookie: str | None
) -> Entered:
    """The wallet's customer, which is made if there is none. Raises `SignInRefused`."""
    expected = siwe.Expected(gateway.settings.origin, gateway.deployment.chain_id, gateway.clock(), challenges.LIFE)
    read = siwe.read(message, expected)
    await challenges.take(gateway, "wallet", read.nonce.encode())
    try:
        signer = signatures.recover(siwe.digest(message), signatures.from_rsv(signature))
    except ValueError as error:
        raise SignInRefused(f"The signature is malformed: {error}.") from error
    if signer != read.account:
        raise SignInRefused("The signature over the message is not that of its address.")
    left = await _open(gateway, cookie)
    async with gateway.database.transaction("door") as sql:
        await sql.execute(_WALLET, (uuid7(), read.account))
        customer = await one(
            sql,
            "select id, holder, custody from exchange.customer where holder = %s and custody = 'wallet'",
            read.account,
        )
        if customer is None:
            raise SignInRefused("This address is not a wallet's: its key is kept by the gateway or a passkey.")
        await _leave(sql, left)
        return await sessions.begin(gateway, sql, customer, method="wallet", agent=agent)


async def _open(gateway: Gateway, cookie: str | None) -> UUID | None:
    """The session of the cookie that came along, if it has one."""
    if cookie is None:
        return None
    try:
        session, _ = await sessions.resume(gateway, cookie)
    except SignInNeeded:
        return None
    return session.id


async def _leave(sql: Connection, left: UUID | None) -> None:
    if left is not None:
        await sessions.end(sql, left, how="signed-in-again")


# --- once in


async def attach_options(gateway: Gateway, session: Session) -> dict[str, Any]:
    """Of another passkey of the customer's."""
    async with gateway.database.reading(session.tenant) as sql:
        known = await rows(sql, "select id from exchange.credential")
    challenge = passkeys.new_challenge()
    await challenges.pose(gateway, "attach", challenge, customer=session.customer)
    return passkeys.creation_options(
        gateway.settings, challenge, name="Another passkey", known=[bytes(row["id"]) for row in known]
    )


async def attach(gateway: Gateway, session: Session, credential: dict[str, Any]) -> Passkey:
    """Raises `SignInRefused`, `CredentialExists`."""
    challenge = passkeys.challenge_of(credential, created=True)
    await challenges.take(gateway, "attach", challenge, customer=session.customer)
    passkey = passkeys.created(gateway.settings, credential, challenge)
    async with gateway.database.transaction(session.tenant) as sql:
        await _store(sql, session.customer, passkey)
    return passkey


async def detach(gateway: Gateway, session: Session, id: bytes) -> None:
    """Raises `CredentialNotFound`. The last one stays, where it is the only way in."""
    async with gateway.database.transaction(session.tenant) as sql:
        await sql.execute("select pg_advisory_xact_lock(hashtextextended(%s, 3))", (str(session.customer),))
        known = await rows(sql, "select id from exchange.credential")
        if id not in [bytes(row["id"]) for row in known]:
            raise CredentialNotFound("The customer has no such passkey.")
        if len(known) == 1 and session.custody != "wallet":
            raise CredentialExists("It is the last passkey: attach another one first, or nobody could sign in.")
        await sql.execute("delete from exchange.credential where id = %s", (id,))


async def _store(sql: Connection, customer: UUID, passkey: Passkey) -> None:
    try:
        await sql.execute(_STORE, (passkey.id, customer, passkey.x, passkey.y, passkey.signatures))
    except psycopg.errors.UniqueViolation as error:
        raise CredentialExists("This passkey is a customer's already: sign in with it.") from error
