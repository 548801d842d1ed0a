"""Onboarding merchants: keys, the programme's address, and everything that puts it on the chain, in one transaction.

The issuer's key is ours always, the owner's unless the merchant keeps its own; both are sealed before they are stored
and never leave this process in the clear. Creation, first quote, consents and margin are queued in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import psycopg

from contracts import bindings, signatures
from contracts.bindings import Limits, Quote, Roles
from exchange import auth, calls, history, markets, owner, points, programme, vault
from exchange.auth import Caller
from exchange.database import Connection, one
from exchange.errors import InvalidRequest, MerchantExists, MerchantNotFound
from exchange.gateway import Gateway
from exchange.hexes import checksum
from exchange.merchant import COLUMNS, Merchant
from exchange.points import EarningRule


@dataclass(frozen=True, slots=True)
class Application:
    """A new merchant, in our units. `owner` is set when the merchant keeps its own key."""

    slug: str
    name: str
    symbol: str
    currency: str
    rate_millionths: int
    return_window: int
    offsets: bool
    quote: Quote | None
    margin: int
    limits: Limits
    owner: bytes | None
    partners: tuple[str, ...]
    pin_from: int | None  # base units from which a card's PIN is asked for; None is never


def check(application: Application) -> None:
    """What only the parts together can show to be wrong."""
    if application.owner is not None and (application.quote is not None or application.partners):
        raise InvalidRequest("An owner that keeps its key signs its quote and its consents itself, after creation.")
    if application.limits.entry_cap > application.limits.supply_cap:
        raise InvalidRequest("The entry cap is above the supply cap.", field="limits.entry_cap")


async def onboard(gateway: Gateway, sql: Connection, application: Application, *, id: UUID) -> tuple[Merchant, str]:
    """The merchant and its first API key. Raises `MerchantExists`."""
    check(application)
    merchant = await _store(gateway, sql, application, id)
    await sql.execute(
        "insert into exchange.earning_rule (merchant_id, version, rate_millionths, return_window, offsets)"
        " values (%s, 1, %s, %s, %s)",
        (merchant.id, application.rate_millionths, application.return_window, application.offsets),
    )
    if application.quote is not None:
        await owner.post_quote(gateway, sql, merchant, application.quote)
    for slug in application.partners:
        partner = await find(sql, slug)
        await owner.set_partner(gateway, sql, merchant, partner.programme, allowed=True)
        await owner.set_partner(gateway, sql, partner, merchant.programme, allowed=True)
    if application.margin:
        await deposit(gateway, sql, merchant, application.margin)
    key = await auth.store_key(sql, gateway.settings, auth.everything("merchant", merchant.id))
    return merchant, key


async def _store(gateway: Gateway, sql: Connection, application: Application, id: UUID) -> Merchant:
    issuer_key = signatures.new_key()
    owner_key = None if application.owner is not None else signatures.new_key()
    owner_address = signatures.address_of(owner_key) if owner_key is not None else application.owner
    if owner_address is None:
        raise RuntimeError("a merchant has an owner")
    issuer = signatures.address_of(issuer_key)
    parameters = programme.Parameters(
        name=application.name,
        symbol=application.symbol,
        roles=Roles(owner=owner_address, issuer=issuer),
        limits=application.limits,
        salt=id.bytes.ljust(32, b"\0"),
    )
    deployment = gateway.deployment
    address = programme.address(parameters, factory=deployment.factory, exchange=deployment.exchange)
    call_id = await calls.queue(
        sql, "create", target=deployment.factory, data=programme.creation(parameters), sequence=address
    )
    master = gateway.master
    merchant = Merchant(
        id=id,
        slug=application.slug,
        name=application.name,
        symbol=application.symbol,
        currency=application.currency,
        minor_digits=points.minor_digits(application.currency),
        programme=address,
        owner=owner_address,
        owner_key=None if owner_key is None else vault.seal(master, owner_key, purpose=f"owner:{id}"),
        issuer=issuer,
        issuer_key=vault.seal(master, issuer_key, purpose=f"issuer:{id}"),
        entry_cap=application.limits.entry_cap,
        supply_cap=application.limits.supply_cap,
    )
    try:
        await sql.execute(
            "insert into exchange.merchant (id, slug, name, symbol, currency, minor_digits, programme, owner,"
            " owner_key, issuer, issuer_key, entry_cap, supply_cap, call_id, pin_from)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                id, merchant.slug, merchant.name, merchant.symbol, merchant.currency, merchant.minor_digits, address,
                merchant.owner, merchant.owner_key, issuer, merchant.issuer_key, merchant.entry_cap,
                merchant.supply_cap, call_id, application.pin_from,
            ),
        )  # fmt: skip
    except psycopg.errors.UniqueViolation as error:
        raise MerchantExists(f'There is a merchant "{application.slug}".') from error
    return merchant


async def deposit(gateway: Gateway, sql: Connection, merchant: Merchant, amount: int) -> None:
    """Queues the operator's deposit into the programme's margin, in settlement base units."""
    lane = await calls.operator_address(sql)
    await calls.queue(
        sql,
        "deposit",
        target=gateway.deployment.exchange,
        data=bindings.exchange_deposit(account=merchant.programme, amount=amount),
        sequence=lane,
        signer=lane,
    )


_WITHOUT_KEYS: Final = "(select *, null::bytea as owner_key, ''::bytea as issuer_key from exchange.programme)"


async def find(sql: Connection, name: UUID | str, *, keys: bool = True) -> Merchant:
    """By id or slug; without its sealed `keys` for those who may not read them."""
    column = "id" if isinstance(name, UUID) else "slug"
    source = "exchange.merchant" if keys else _WITHOUT_KEYS
    row = await one(sql, f"select {COLUMNS} from {source} m where m.{column} = %s", name)  # noqa: S608
    if row is None:
        raise MerchantNotFound(f'There is no merchant "{name}".')
    return Merchant.of(row)


async def allowed(sql: Connection, who: Caller, id: UUID) -> Merchant:
    """The merchant, if it is the caller or the caller is none; a foreign one is as if absent."""
    if who.merchant is not None:
        if who.merchant.id != id:
            raise MerchantNotFound(f'There is no merchant "{id}".')
        return who.merchant
    return await find(sql, id, keys=who.role == "operator")


async def rule(sql: Connection, merchant: Merchant) -> EarningRule:
    """The one in force."""
    row = await one(
        sql,
        "select version, rate_millionths, return_window, offsets from exchange.earning_rule where merchant_id = %s"
        " order by version desc limit 1",
        merchant.id,
    )
    if row is None:
        raise RuntimeError(f"merchant {merchant.id} has no earning rule")
    return EarningRule(**row)


async def change_rule(sql: Connection, merchant: Merchant, changes: Mapping[str, Any]) -> EarningRule:
    """What is accepted from now on goes by the new rule; earlier purchases keep theirs. One change after another."""
    await sql.execute("select pg_advisory_xact_lock(hashtextextended(%s, 2))", (str(merchant.id),))
    before = await rule(sql, merchant)
    if replace(before, **changes) == before:
        return before
    after = replace(before, **changes, version=before.version + 1)
    await sql.execute(
        "insert into exchange.earning_rule (merchant_id, version, rate_millionths, return_window, offsets)"
        " values (%s, %s, %s, %s, %s)",
        (merchant.id, after.version, after.rate_millionths, after.return_window, after.offsets),
    )
    return after


async def consent(
    gateway: Gateway,
    sql: Connection,
    merchant: Merchant,
    slug: str,
    *,
    allowed: bool,
    own: owner.OwnSignature | None,
) -> None:
    """Opens or closes one direction; a pair trades when both programmes have opened it."""
    partner = await markets.resolve(sql, slug, name="partner")
    if partner == merchant.programme:
        raise InvalidRequest("A programme is no partner of itself.", field="partner")
    await owner.set_partner(gateway, sql, merchant, partner, allowed=allowed, own=own)


# --- answers


def terms(merchant: Merchant, rule: EarningRule) -> dict[str, Any]:
    digits = points.POINT_DIGITS + 6 - merchant.minor_digits
    return {
        "points_per_unit": points.render(rule.rate_millionths, digits=digits),
        "return_window": rule.return_window,
        "offset_shortfalls": rule.offsets,
    }


def created(merchant: Merchant, key: str | None) -> dict[str, Any]:
    """The answer to onboarding. The key is shown once: a repetition answers without it."""
    return {
        "id": str(merchant.id),
        "slug": merchant.slug,
        "name": merchant.name,
        "symbol": merchant.symbol,
        "currency": merchant.currency,
        "programme": checksum(merchant.programme),
        "owner": checksum(merchant.owner),
        "issuer": checksum(merchant.issuer),
        "status": "pending",
        "api_key": key,
    }


async def show(gateway: Gateway, sql: Connection, merchant: Merchant) -> dict[str, Any]:
    """The merchant with what the chain says of its programme."""
    creation = await one(
        sql,
        "select c.state, c.failure from exchange.programme m join exchange.call c on c.id = m.call_id where m.id = %s",
        merchant.id,
    )
    snapshot = await markets.read(sql, now=gateway.now(), programmes=[merchant.programme])
    market = snapshot.programmes.get(merchant.programme)
    shown = created(merchant, None)
    del shown["api_key"]
    if market is not None:
        shown["status"] = "active"
    elif creation is not None and creation["failure"] is not None:
        shown.update(status="refused", reason=creation["failure"])
    shown |= terms(merchant, await rule(sql, merchant))
    shown["keys"] = await auth.keys(sql, merchant.id)
    shown["market"] = None if market is None else offer(market, snapshot)
    shown["as_of"] = history.as_of(await history.head(sql))
    return shown


def offer(market: markets.Market, snapshot: markets.Markets) -> dict[str, Any]:
    """A programme's public face. Coverage is its margin over what its whole supply is worth at its bid."""
    quote = market.quote
    owed = 0 if quote is None else market.supply * quote.bid // 10**9
    return {
        "programme": checksum(market.programme),
        "slug": market.slug,
        "name": market.name,
        "symbol": market.symbol,
        "supply": points.render_points(market.supply),
        "margin": points.render_settlement(market.margin),
        "coverage": points.render(market.margin * 10**4 // owed, digits=4) if owed else None,
        "quote": None
        if quote is None
        else {
            "bid": points.render_price(quote.bid),
            "ask": points.render_price(quote.ask),
            "until": quote.until,
            "daily_cap": points.render_settlement(quote.cap),
            "valid": quote.until >= snapshot.now,
        },
        "partners": [
            checksum(partner)
            for programme, partner in sorted(snapshot.consents)
            if programme == market.programme and (partner, programme) in snapshot.consents
        ],
    }
