"""The acts of a programme's owner on the exchange: posting a quote, opening and closing a pair, taking margin out.

Each is a signed message with the account's strictly sequential nonce, queued behind the programme's earlier calls.
The nonce is what those of them that did not fail have used up, counted under a lock on the merchant's id: an act that
fails on the chain leaves no gap that would block all later ones. A merchant that keeps its own key signs itself what
`OwnerSignatureNeeded` shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts import bindings, eip712, signatures
from contracts.bindings import Quote
from exchange import calls
from exchange.database import Connection, one
from exchange.errors import BadSignature, InvalidRequest, OwnerSignatureNeeded
from exchange.gateway import Gateway
from exchange.hexes import checksum
from exchange.merchant import Merchant

_ON_THE_EXCHANGE: Final = ("quote", "partner", "withdraw")

_NONCE: Final = """
select count(*) as nonce from exchange.call c left join exchange.transaction t on t.id = c.transaction_id
where c.sequence = %s and c.kind = any(%s)
  and not (c.state = 'refused' or (c.state = 'placed' and (c.failure is not null or t.succeeded is false)))
"""


@dataclass(frozen=True, slots=True)
class OwnSignature:
    """Made by an owner that keeps its key, over the message with this nonce."""

    nonce: int
    signature: bytes


async def next_nonce(sql: Connection, merchant: Merchant, kinds: Sequence[str] = _ON_THE_EXCHANGE) -> int:
    """The next nonce of the programme's account, on the exchange or, of other `kinds` of calls, in its own token; the
    lock makes the queue's order the nonces' order."""
    await sql.execute("select pg_advisory_xact_lock(hashtextextended(%s, 2))", (str(merchant.id),))
    row = await one(sql, _NONCE, merchant.programme, list(kinds))
    return 0 if row is None else int(row["nonce"])


async def post_quote(
    gateway: Gateway, sql: Connection, merchant: Merchant, quote: Quote, *, own: OwnSignature | None = None
) -> None:
    """Queues a new quote. Raises `OwnerSignatureNeeded`, `BadSignature`."""
    if quote.bid > quote.ask:
        raise InvalidRequest("The bid is above the ask: a programme pays at most what it charges.", field="bid")
    if quote.until <= gateway.now():
        raise InvalidRequest("The quote would have expired already.", field="until")
    nonce = own.nonce if own else await next_nonce(sql, merchant)
    fields = {"programme": merchant.programme, **quote._asdict(), "nonce": nonce}
    digest = eip712.quote_digest(gateway.domain(gateway.deployment.exchange), **fields)
    signature = signed(gateway, merchant, "Quote", fields, digest, own)
    data = bindings.exchange_set_quote(programme=merchant.programme, quote=quote, nonce=nonce, signature=signature)
    await calls.queue(sql, "quote", target=gateway.deployment.exchange, data=data, sequence=merchant.programme)


async def set_partner(
    gateway: Gateway,
    sql: Connection,
    merchant: Merchant,
    partner: bytes,
    *,
    allowed: bool,
    own: OwnSignature | None = None,
) -> None:
    """Queues consent to, or the end of, trade with `partner`."""
    nonce = own.nonce if own else await next_nonce(sql, merchant)
    fields = {"programme": merchant.programme, "partner": partner, "allowed": allowed, "nonce": nonce}
    digest = eip712.partner_digest(gateway.domain(gateway.deployment.exchange), **fields)  # type: ignore[arg-type]
    signature = signed(gateway, merchant, "Partner", fields, digest, own)
    data = bindings.exchange_set_partner(**fields, signature=signature)  # type: ignore[arg-type]
    await calls.queue(sql, "partner", target=gateway.deployment.exchange, data=data, sequence=merchant.programme)


async def announce_withdrawal(
    gateway: Gateway,
    sql: Connection,
    merchant: Merchant,
    *,
    to: bytes,
    amount: int,
    own: OwnSignature | None = None,
) -> int:
    """Queues the announcement that `amount` of margin will be paid `to`; one that was announced before is replaced.
    The call's id."""
    nonce = own.nonce if own else await next_nonce(sql, merchant)
    fields = {"account": merchant.programme, "to": to, "amount": amount, "nonce": nonce}
    digest = eip712.withdraw_digest(gateway.domain(gateway.deployment.exchange), **fields)  # type: ignore[arg-type]
    signature = signed(gateway, merchant, "Withdraw", fields, digest, own)
    data = bindings.exchange_withdraw(**fields, signature=signature)  # type: ignore[arg-type]
    exchange = gateway.deployment.exchange
    return await calls.queue(sql, "withdraw", target=exchange, data=data, sequence=merchant.programme)


def signed(
    gateway: Gateway,
    merchant: Merchant,
    kind: str,
    fields: dict[str, Any],
    digest: bytes,
    own: OwnSignature | None,
    *,
    contract: bytes | None = None,
) -> bytes:
    """The owner's signature for `contract` (the exchange), made here or checked. Raises `OwnerSignatureNeeded`,
    `BadSignature`."""
    if own is not None:
        if signatures.recover(digest, own.signature) != merchant.owner:
            raise BadSignature(f"The signature over this {kind} is not that of {checksum(merchant.owner)}.")
        return own.signature
    key = merchant.owner_secret(gateway.master)
    if key is None:
        document = eip712.typed_data(
            kind, chain_id=gateway.deployment.chain_id, contract=contract or gateway.deployment.exchange, message=fields
        )
        raise OwnerSignatureNeeded(
            f"The owner of {merchant.slug} is {checksum(merchant.owner)}, whose key is not here.", typed_data=document
        )
    return signatures.sign(key, digest)
