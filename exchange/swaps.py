"""What a swap would come to now, and why it would be refused, without anybody signing anything."""

from __future__ import annotations

from typing import Any

from exchange import history, markets, points, pricing
from exchange.database import Connection
from exchange.errors import ExchangeError, ProgrammeNotFound
from exchange.gateway import Gateway
from exchange.hexes import checksum
from exchange.intents import suggested_minimum


async def quote(gateway: Gateway, sql: Connection, *, source: str, into: str, amount: str) -> dict[str, Any]:
    """The offer, with `refusal` set when the exchange would not take it. Raises what is wrong with the question."""
    wanted = points.points(amount)
    left = await markets.resolve(sql, source, name="from")
    entered = await markets.resolve(sql, into, name="into")
    snapshot = await markets.read(sql, now=gateway.now(), programmes=[left, entered])
    newest = await history.head(sql)
    refusal: dict[str, Any] | None = None
    price: pricing.Swap | None = None
    try:
        price = markets.price_swap(snapshot, source=left, into=entered, amount=wanted)
    except ProgrammeNotFound:
        raise
    except ExchangeError as error:
        refusal, price = error.problem(), _unchecked(snapshot, left, entered, wanted)
    quotes = [snapshot.programmes[each].quote for each in (left, entered)]
    untils = [each.until for each in quotes if each is not None]
    return {
        "from": checksum(left),
        "into": checksum(entered),
        "amount": points.render_points(wanted),
        "out": None if price is None else points.render_points(price.out),
        "value": None if price is None else points.render_settlement(price.value),
        "fee": None if price is None else points.render_settlement(price.fee),
        "suggested_minimum": None if price is None else points.render_points(suggested_minimum(price.out)),
        "valid_until": min(untils) if len(untils) == 2 else None,
        "margin": points.render_settlement(snapshot.programmes[left].margin),
        "refusal": refusal,
        "as_of": history.as_of(newest),
    }


def _unchecked(snapshot: markets.Markets, left: bytes, entered: bytes, amount: int) -> pricing.Swap | None:
    """The arithmetic alone, to show what a refused swap would have come to."""
    bought, sold = snapshot.programmes[left].quote, snapshot.programmes[entered].quote
    if bought is None or sold is None:
        return None
    return pricing.swap(amount=amount, bid=bought.bid, ask=sold.ask, fee_bps=snapshot.fee_bps)
