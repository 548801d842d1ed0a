"""What there is to be told, and where each kind of event comes from. Pure.

A source is a query of `merchant_id`, `subject` and `data` over the blocks, or the seconds, above `low` up to `high`.
The subject names what happened such that the same thing has the same name after a reorganisation: an event is told once
however often it is derived. Data holds ids, addresses and amounts: no names, numbers or other words of a person's, and
no reference that a merchant might have made of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Since = Literal["confirmed", "final", "clock", "notice"]
"""What makes an event due: its block is in the mirror, its block is final, the time has come, or will come soon."""


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    since: Since
    source: str
    meaning: str


def _points(column: str) -> str:
    return f"round(({column})::numeric / 100, 2)::text"


def _tokens(column: str) -> str:
    return f"round(({column})::numeric / 1000000, 6)::text"


def _hex(column: str) -> str:
    return f"'0x' || encode({column}, 'hex')"


_PURCHASE: Final = f"""
select m.id as merchant_id, p.id::text as subject,
       json_build_object('purchase', p.id, 'customer', p.customer_id, 'points', {_points("p.points - p.cancelled")},
                         'block', b.block) as data
from subscribed m
join mirror.batch b on b.programme = m.programme
join exchange.purchase p on p.merchant_id = m.id and p.batch_number = b.number
where b.block > %(low)s and b.block <= %(high)s
"""  # noqa: S608 - of constants

# The chain reports the clawbacks of a receipt in the order of its refunds.
_REFUND: Final = f"""
select m.id as merchant_id, p.id || '/' || n.place as subject,
       json_build_object('refund', r.id, 'purchase', p.id, 'customer', p.customer_id,
                         'burned', {_points("x.burned")}, 'shortfall', {_points("x.shortfall")},
                         'block', x.block) as data
from subscribed m
join mirror.clawback x on x.programme = m.programme
join exchange.purchase p on p.merchant_id = m.id and p.batch_number = x.batch and p.batch_index = x.index
cross join lateral (
    select count(*) as place from mirror.clawback y
    where y.programme = x.programme and y.batch = x.batch and y.index = x.index
      and (y.block, y.log_index) <= (x.block, x.log_index)
) n
left join lateral (
    select id from exchange.refund where merchant_id = m.id and purchase_id = p.id and points > 0
    order by id offset n.place - 1 limit 1
) r on true
where x.block > %(low)s and x.block <= %(high)s
"""  # noqa: S608 - of constants

_CUSTOMER: Final = """
left join lateral (
    select b.id from exchange.customer c join exchange.member b on b.customer_id = c.id
    where c.holder = x.holder and b.merchant_id = m.id
) c on true
left join exchange.intent i on i.digest = x.intent
"""

_REDEMPTION: Final = f"""
select m.id as merchant_id, encode(x.intent, 'hex') as subject,
       json_build_object('intent', i.id, 'digest', {_hex("x.intent")}, 'customer', c.id, 'holder', {_hex("x.holder")},
                         'order', {_hex('x."order"')}, 'points', {_points("x.amount")}, 'block', x.block) as data
from subscribed m
join mirror.redemption x on x.programme = m.programme
{_CUSTOMER}
where x.block > %(low)s and x.block <= %(high)s
"""  # noqa: S608 - of constants


def _swap(side: str) -> str:
    return f"""
select m.id as merchant_id, encode(x.intent, 'hex') as subject,
       json_build_object('intent', i.id, 'digest', {_hex("x.intent")}, 'customer', c.id, 'holder', {_hex("x.holder")},
                         'from', {_hex('x."from"')}, 'into', {_hex("x.into")}, 'amount', {_points("x.amount")},
                         'out', {_points("x.out")}, 'value', {_tokens("x.value")}, 'fee', {_tokens("x.fee")},
                         'block', x.block) as data
from subscribed m
join mirror.swap x on x."{side}" = m.programme
{_CUSTOMER}
where x.block > %(low)s and x.block <= %(high)s
"""  # noqa: S608 - of constants


_GIFT: Final = f"""
select m.id as merchant_id, encode(x.intent, 'hex') as subject,
       json_build_object('intent', i.id, 'digest', {_hex("x.intent")}, 'customer', c.id, 'holder', {_hex("x.holder")},
                         'charity', {_hex("x.charity")}, 'campaign', nullif(x.campaign, 0),
                         'points', {_points("x.amount")}, 'value', {_tokens("x.value")}, 'block', x.block) as data
from subscribed m
join mirror.gift x on x.programme = m.programme
{_CUSTOMER}
where x.block > %(low)s and x.block <= %(high)s
"""  # noqa: S608 - of constants

_HOLD: Final = f"""
select m.id as merchant_id, h.id::text as subject,
       json_build_object('hold', h.id, 'customer', h.customer_id, 'points', {_points("h.amount")},
                         'expired_at', h.expires_at) as data
from subscribed m
join exchange.hold h on h.merchant_id = m.id
where h.state = 'open' and h.expires_at > %(low)s and h.expires_at <= %(high)s
"""  # noqa: S608 - of constants

_CANCELLED: Final = f"""
select m.id as merchant_id, r.id::text as subject,
       json_build_object('refund', r.id, 'purchase', p.id, 'customer', p.customer_id,
                         'cancelled', {_points("r.cancelled")}, 'left', {_points("r.promised")}) as data
from subscribed m
join exchange.refund r on r.merchant_id = m.id
join exchange.purchase p on p.merchant_id = r.merchant_id and p.id = r.purchase_id
where r.cancelled > 0 and r.created_at > to_timestamp(%(low)s) and r.created_at <= to_timestamp(%(high)s)
"""  # noqa: S608 - of constants

_SHORTFALL: Final = f"""
select m.id as merchant_id, s.id::text as subject,
       json_build_object('purchase', s.purchase_id, 'customer', p.customer_id, 'points', {_points("s.points")},
                         'block', s.block) as data
from subscribed m
join exchange.shortfall s on s.merchant_id = m.id
join exchange.purchase p on p.merchant_id = s.merchant_id and p.id = s.purchase_id
where s.kind = 'incurred' and s.created_at > to_timestamp(%(low)s) and s.created_at <= to_timestamp(%(high)s)
"""  # noqa: S608 - of constants

# What a page of holders was found to lose soon (`exchange/webhooks/warning.py`).
_EXPIRING: Final = """
select m.id as merchant_id, s.subject, s.data::json as data
from subscribed m cross join unnest(%(subjects)s::text[], %(data)s::text[]) as s (subject, data)
where m.id = %(merchant)s
"""

KINDS: Final = (
    Kind("purchase.confirmed", "confirmed", _PURCHASE, "A purchase's points are on the chain."),
    Kind("purchase.final", "final", _PURCHASE, "A purchase's points can no longer leave the chain."),
    Kind("refund.confirmed", "confirmed", _REFUND, "A refund took points back; what was spent before is a shortfall."),
    Kind("refund.cancelled", "clock", _CANCELLED, "A refund took pending points away: they will not be minted."),
    Kind("shortfall.incurred", "clock", _SHORTFALL, "A refund fell short for good: later purchases will offset it."),
    Kind("redemption.confirmed", "confirmed", _REDEMPTION, "A redemption is on the chain."),
    Kind("swap.paid", "confirmed", _swap("from"), "A customer left for another programme, at the margin's cost."),
    Kind("swap.received", "confirmed", _swap("into"), "A customer came from another programme, to the margin's gain."),
    Kind("gift.confirmed", "confirmed", _GIFT, "A customer gave points to a charity, at the margin's cost."),
    Kind("hold.expired", "clock", _HOLD, "Points that were set aside are the customer's again: nobody captured them."),
    Kind("points.expiring", "notice", _EXPIRING, "A holder's points will be gone within thirty days."),
)

NAMES: Final = tuple(kind.name for kind in KINDS)

INSERT: Final = """
with subscribed as (
    select id, programme from exchange.merchant
    where id in (select merchant_id from exchange.webhook_endpoint where %(kind)s = any(events) and removed_at is null)
), fresh as (
    insert into exchange.webhook_event (merchant_id, id, kind, subject, data)
    select merchant_id, gen_random_uuid(), %(kind)s, subject, data from ({source}) s
    on conflict (merchant_id, kind, subject) do nothing
    returning merchant_id, id
)
insert into exchange.webhook_delivery (merchant_id, endpoint_id, event_id)
select f.merchant_id, e.id, f.id from fresh f
join exchange.webhook_endpoint e
  on e.merchant_id = f.merchant_id and %(kind)s = any(e.events) and e.removed_at is null
"""
