"""When points die of inactivity, by the chain's own rule, as far as the mirror can tell.

The rule (`contracts/src/Ledger.sol`): a holder's points of a programme are gone once more days than the programme's
life have passed since the day of the last activity. Earning, swapping in and every act of the holder's own are
activity; receiving is not, unless the account was empty. Life only grows, and what holds is the life of today. The
token counts what has expired only when it is touched, so its `Expired` event, and with it the mirror's entry, may come
much later; `balanceOf` is zero from the day on, and so is what we show.

What the mirror cannot see: `approve`, `cancelNonce` and `cancel` prolong a life without a transfer, and so do the acts
of a programme's owner for its own points, so such a holder may have longer than we say; a `transferFrom` by somebody
else looks like the holder's own transfer, so such a holder may have less. Custodial customers do none of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exchange import history
from exchange.database import Connection, snapshot
from exchange.hexes import address, checksum
from exchange.merchant import Merchant
from exchange.points import render_points
from exchange.times import rfc3339

DAY: Final = 86_400
AT_ONCE: Final = 1_000
"""Holders that are looked at for one page: most expire far from now."""

TODAY: Final = """
greatest(%(now)s, coalesce((select time from mirror.block order by number desc limit 1), 0)) / 86400
"""
"""The day (UTC) that the next block would be of, or later: the chain's time may be ahead of ours."""

LIFE: Final = """
left join lateral (
    select days from mirror.life where programme = {account}.programme order by block desc, log_index desc limit 1
) life on true
left join lateral (
    -- The last activity as such. An index leads to it from the newest entry on.
    select (select k.time / 86400 from mirror.block k where k.number = e.block) as day, e.block, e.log_index, e.side
    from mirror.entry e
    where e.holder = {account}.holder and e.programme = {account}.programme
      and (e.kind in ('earned', 'swapped', 'redeemed', 'gave') or (e.side = 0 and e.kind in ('sent', 'transferred')))
    order by e.block desc, e.log_index desc limit 1
) act on true
left join lateral (
    -- Of what came since: the last time that points came to an empty account. What it held before each entry is what
    -- it holds, less that entry and all later ones.
    select (select k.time / 86400 from mirror.block k where k.number = max(since.block)) as day
    from (
        select e.block, e.delta,
               coalesce((select amount from mirror.balance
                         where holder = {account}.holder and programme = {account}.programme), 0)
                   - sum(e.delta) over (order by e.block desc, e.log_index desc, e.side desc) as before
        from mirror.entry e
        where e.holder = {account}.holder and e.programme = {account}.programme
          and (e.block, e.log_index, e.side)
              > (coalesce(act.block, -1), coalesce(act.log_index, -1), coalesce(act.side, -1))
    ) since where since.before = 0 and since.delta > 0
) begun on true
left join lateral (
    select (greatest(act.day, begun.day) + life.days + 1) * 86400 as at,
           coalesce(greatest(act.day, begun.day) + life.days < {today}, false) as passed
) expiry on true
"""
"""Joins `expiry.at` (Unix seconds; null without a life) and `expiry.passed` to the accounts of alias `{account}`."""


def life_of(account: str) -> str:
    """`LIFE` for the accounts of this alias; the query needs the argument `now`."""
    return LIFE.format(account=account, today=TODAY)


_HELD: Final = f"""
select b.programme, b.amount, p.name, p.symbol, m.slug, expiry.at
from mirror.balance b
join mirror.programme p on p.address = b.programme
left join exchange.programme m on m.programme = b.programme
{life_of("b")}
where b.holder = %(holder)b and b.amount > 0 and not expiry.passed
"""  # noqa: S608 - of constants
_BALANCES: Final = history.WITH_HEAD.format(query=_HELD) + "order by found.name, found.programme"

PAGE: Final = f"""
select b.holder, b.amount, expiry.at, expiry.passed, c.id as customer
from (
    select programme, holder, amount from mirror.balance
    where programme = %(programme)s and holder > %(after)s order by holder limit %(limit)s
) b
{life_of("b")}
left join lateral (
    select m.id from exchange.customer c join exchange.member m on m.customer_id = c.id
    where c.holder = b.holder and m.merchant_id = %(merchant)s
) c on true
order by b.holder
"""  # noqa: S608 - of constants


def page_of(merchant: Merchant, *, now: int, after: bytes) -> dict[str, Any]:
    """The arguments of `PAGE`."""
    return {"programme": merchant.programme, "merchant": merchant.id, "now": now, "after": after, "limit": AT_ONCE}


def expires_within(row: Mapping[str, Any], *, now: int, days: int) -> bool:
    """Of a row of `PAGE`: whether its points are still alive and will not be in so many days."""
    return row["at"] is not None and not row["passed"] and row["at"] <= now + days * DAY


def shown(at: int | None) -> str | None:
    """The first moment at which the points are gone."""
    return None if at is None else rfc3339(at)


async def balances(sql: Connection, holder: bytes, *, now: int) -> dict[str, Any]:
    """What has not expired, with the block it is of."""
    cursor = await sql.execute(_BALANCES, {"holder": holder, "now": now})
    newest, *_ = answer = await cursor.fetchall()
    held = [row for row in answer if row["programme"] is not None]
    return {
        "holder": checksum(holder),
        "balances": [
            {
                "programme": checksum(row["programme"]),
                "slug": row["slug"],
                "name": row["name"],
                "symbol": row["symbol"],
                "points": render_points(int(row["amount"])),
                "expires_at": shown(row["at"]),
            }
            for row in held
        ],
        "as_of": history.as_of(newest),
    }


async def expiring(sql: Connection, merchant: Merchant, *, now: int, days: int, after: str | None) -> dict[str, Any]:
    """Who of a thousand holders loses points within `days`; `next` is where the following thousand begin."""
    await snapshot(sql)
    newest = await history.head(sql)
    cursor = await sql.execute(PAGE, page_of(merchant, now=now, after=_after(after)))
    found = await cursor.fetchall()
    return {
        "holders": [
            {
                "holder": checksum(row["holder"]),
                "customer": None if row["customer"] is None else str(row["customer"]),
                "points": render_points(int(row["amount"])),
                "expires_at": shown(row["at"]),
            }
            for row in found
            if expires_within(row, now=now, days=days)
        ],
        "next": checksum(found[-1]["holder"]) if len(found) == AT_ONCE else None,
        "as_of": history.as_of(newest),
    }


def _after(text: str | None) -> bytes:
    return b"" if text is None else address(text, name="after")
