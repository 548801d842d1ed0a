"""What programmes offer now, read from the mirror, and whether a swap or a gift would be refused on chain.

The chain has the last word: what is read here may be some blocks old. Refusing early is a kindness, never a guarantee.
Reading is at the top, judging, which is pure, below.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from exchange import pricing
from exchange.database import Connection, one, rows
from exchange.errors import (
    BelowMinimum,
    CampaignEnded,
    CampaignNotFound,
    CharityNotFound,
    DailyCapReached,
    NotEnoughMargin,
    NotPartners,
    ProgrammeNotFound,
    QuoteExpired,
    SupplyCapReached,
    WorthNothing,
)
from exchange.hexes import address, checksum, is_address
from exchange.points import render_points, render_settlement

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Posted:
    """A programme's quote, in the contract's units."""

    bid: int
    ask: int
    until: int
    cap: int


@dataclass(frozen=True, slots=True)
class Market:
    """A programme as the exchange sees it. `spent` is what left its margin today (UTC); caps in base units."""

    programme: bytes
    slug: str | None
    name: str
    symbol: str
    owner: bytes
    issuer: bytes
    supply: int
    supply_cap: int | None
    margin: int
    quote: Posted | None
    spent: int

    @property
    def label(self) -> str:
        return self.slug or checksum(self.programme)


@dataclass(frozen=True, slots=True)
class Markets:
    """A snapshot: the programmes asked for, which directions of consent are open, and the network's fee."""

    programmes: dict[bytes, Market]
    consents: frozenset[tuple[bytes, bytes]]
    fee_bps: int
    charities: frozenset[bytes]
    campaigns: dict[int, tuple[bytes, int]]  # number -> (charity, end)
    now: int


_MARKETS: Final = """
with day as (
    -- Blocks are at least a second apart, so today's are among the newest of as many seconds.
    select coalesce((select b.number from mirror.block b
                     where b.number >= (select next_block from mirror.cursor) - (%(now)s - %(day)s) - 2
                       and b.time >= %(day)s order by b.number limit 1), 9223372036854775807) as first
), clock as (
    -- The chain's time may be ahead of ours.
    select greatest(%(now)s, coalesce((select time from mirror.block order by number desc limit 1), 0)) as time
), spent as (
    select x.programme, sum(x.value) as value from (
        select s."from" as programme, s.value from mirror.swap s where s.block >= (select first from day)
        union all
        select g.programme, g.value from mirror.gift g where g.block >= (select first from day)
    ) x group by x.programme
)
select p.address, p.name, p.symbol, p.owner, p.issuer, m.slug, m.supply_cap, q.bid, q.ask, q.until, q.cap,
       coalesce(s.amount, 0) as supply, coalesce(g.amount, 0) as margin, coalesce(t.value, 0) as spent
from mirror.programme p
left join exchange.programme m on m.programme = p.address
left join mirror.supply s on s.programme = p.address
left join mirror.margin g on g.account = p.address
left join spent t on t.programme = p.address
left join lateral (
    -- A quote that another followed before it came into force never does.
    select bid, ask, until, cap from (
        select q.*, lead(b.time) over (order by q.block, q.log_index) as followed
        from mirror.quote q join mirror.block b on b.number = q.block where q.programme = p.address
    ) q
    where q.effective <= (select time from clock) and (q.followed is null or q.followed >= q.effective)
    order by q.block desc, q.log_index desc limit 1
) q on true
where %(wanted)s::bytea[] is null or p.address = any(%(wanted)s::bytea[])
order by p.name, p.address
"""

_CONSENTS: Final = """
select distinct on (programme, partner) programme, partner, allowed from mirror.partner
where programme = any(%s) or partner = any(%s) order by programme, partner, block desc, log_index desc
"""


async def read(
    sql: Connection,
    *,
    now: int,
    programmes: Collection[bytes] | None,
    charities: Collection[bytes] = (),
    campaigns: Collection[int] = (),
) -> Markets:
    """Those of `programmes` that are on the chain (None: all of them), and of the charities and campaigns."""
    wanted = None if programmes is None else list(programmes)
    cursor = await sql.execute(_MARKETS, {"now": now, "day": now - now % DAY, "wanted": wanted})
    found = {bytes(row["address"]): _market(row) for row in await cursor.fetchall()}
    allowed = [row for row in await rows(sql, _CONSENTS, list(found), list(found)) if row["allowed"]]
    fee = await one(sql, "select fee_bps from mirror.fee order by block desc, log_index desc limit 1")
    given = await rows(sql, "select address from mirror.charity where address = any(%s)", list(charities))
    raised = await rows(
        sql, 'select number, charity, "end" from mirror.campaign where number = any(%s)', list(campaigns)
    )
    return Markets(
        programmes=found,
        consents=frozenset((bytes(row["programme"]), bytes(row["partner"])) for row in allowed),
        fee_bps=0 if fee is None else fee["fee_bps"],
        charities=frozenset(bytes(row["address"]) for row in given),
        campaigns={row["number"]: (bytes(row["charity"]), row["end"]) for row in raised},
        now=now,
    )


def _market(row: dict[str, Any]) -> Market:
    quote = None
    if row["bid"] is not None:
        quote = Posted(bid=int(row["bid"]), ask=int(row["ask"]), until=row["until"], cap=int(row["cap"]))
    return Market(
        programme=bytes(row["address"]),
        slug=row["slug"],
        name=row["name"],
        symbol=row["symbol"],
        owner=bytes(row["owner"]),
        issuer=bytes(row["issuer"]),
        supply=int(row["supply"]),
        supply_cap=None if row["supply_cap"] is None else int(row["supply_cap"]),
        margin=int(row["margin"]),
        quote=quote,
        spent=int(row["spent"]),
    )


async def resolve(sql: Connection, text: str, *, name: str = "programme") -> bytes:
    """The address of a programme given by slug or address. Whether it is on the chain yet is another question."""
    if is_address(text):
        return address(text, name=name)
    row = await one(sql, "select programme from exchange.programme where slug = %s", text)
    if row is None:
        raise ProgrammeNotFound(f'There is no programme "{text}".', field=name)
    return bytes(row["programme"])


# --- judging


def market(markets: Markets, programme: bytes) -> Market:
    found = markets.programmes.get(programme)
    if found is None:
        raise ProgrammeNotFound(f"The programme {checksum(programme)} is not on the chain, or not yet.")
    return found


def _standing(markets: Markets, programme: bytes) -> tuple[Market, Posted]:
    found = market(markets, programme)
    if found.quote is None:
        raise QuoteExpired(f"{found.label} has posted no quote.")
    if found.quote.until < markets.now:
        raise QuoteExpired(f"The quote of {found.label} expired at {found.quote.until}.", until=found.quote.until)
    return found, found.quote


def _payable(payer: Market, quote: Posted, value: int) -> None:
    left = max(0, quote.cap - payer.spent)
    if value > left:
        raise DailyCapReached(
            f"{payer.label} may pay {render_settlement(left)} more today, this takes {render_settlement(value)}."
        )
    if value > payer.margin:
        raise NotEnoughMargin(
            f"{payer.label} has a margin of {render_settlement(payer.margin)}, this takes {render_settlement(value)}."
        )


def price_swap(markets: Markets, *, source: bytes, into: bytes, amount: int) -> pricing.Swap:
    """What `amount` of `source` would give now; raises as the exchange would revert."""
    payer, bought = _standing(markets, source)
    receiver, sold = _standing(markets, into)
    if source == into or not {(source, into), (into, source)} <= markets.consents:
        raise NotPartners(f"{payer.label} and {receiver.label} have not both opened this pair.")
    price = pricing.swap(amount=amount, bid=bought.bid, ask=sold.ask, fee_bps=markets.fee_bps)
    if price.out == 0:
        raise WorthNothing(f"{render_points(amount)} points of {payer.label} buy nothing of {receiver.label}.")
    _payable(payer, bought, price.value)
    if receiver.supply_cap is not None and receiver.supply + price.out > receiver.supply_cap:
        raise SupplyCapReached(f"{receiver.label} may issue {render_points(receiver.supply_cap)} points in all.")
    return price


def meets(out: int, minimum: int) -> None:
    if out < minimum:
        raise BelowMinimum(
            f"The swap would give {render_points(out)} points, the minimum is {render_points(minimum)}.",
            out=render_points(out),
        )


def price_gift(markets: Markets, *, programme: bytes, amount: int, charity: bytes, campaign: int) -> int:
    """Settlement base units that the charity would get; raises as the exchange would revert."""
    payer, quote = _standing(markets, programme)
    value = pricing.value_of(amount=amount, bid=quote.bid)
    if value == 0:
        raise WorthNothing(f"{render_points(amount)} points of {payer.label} are worth nothing.")
    if charity not in markets.charities:
        raise CharityNotFound(f"The charity {checksum(charity)} is not on the chain, or not yet.")
    if campaign:
        of, end = markets.campaigns.get(campaign, (None, 0))
        if of != charity:
            raise CampaignNotFound(f"Campaign {campaign} of this charity is not on the chain, or not yet.")
        if end < markets.now:
            raise CampaignEnded(f"Campaign {campaign} ended at {end}.")
    _payable(payer, quote, value)
    return value
