"""What the seldom acts cost, each in a transaction of its own: owners' terms, margins, refunds, recoveries, charities.

The operator owns the programmes and acts by its own transactions, with empty signatures; a signature of secp256k1 costs
some 6,000 more.
"""

from __future__ import annotations

from collections.abc import Iterator

from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import bindings, eip712, receipts
from contracts.bindings import Limits, Quote, Roles, Terms
from scripts.environment import LOCAL_CHAIN_ID
from scripts.gas.meter import Figure
from scripts.gas.network import HOLDERS, ISSUER, MINTS, MOST, NEXT_YEAR, PRICE, Network, Programme, person

DAY = 86_400
MARGIN = 10**6


def measure(network: Network, one: Programme, other: Programme) -> list[Figure]:
    acts = (*_programmes(network), *_terms(network, one, other), *_margins(network, one), *_refunds(network, one),
            *_lost_and_expired(network, one), *_charities(network, one))  # fmt: skip
    return [Figure(act, act, 1, gas) for act, gas in acts]


def _programmes(network: Network) -> Iterator[tuple[str, int]]:
    title = b"Kiosk".ljust(32, b"\0")
    roles = Roles(network.meter.senders[0], ISSUER.address)
    limits, terms = Limits(MOST, MOST, MOST, MOST), Terms(life=730, verified_above=MOST)
    create = bindings.factory_create(name=title, symbol=title, roles=roles, limits=limits, terms=terms, salt=bytes(32))
    yield "create a programme", network.meter.gas(network.deployment.factory, create)


def _terms(network: Network, one: Programme, other: Programme) -> Iterator[tuple[str, int]]:
    exchange, meter = network.deployment.exchange, network.meter

    def quote(ask: int) -> int:
        terms = Quote(PRICE, ask, NEXT_YEAR, 2**88 - 1)
        nonce = network.nonce(one.address)
        return meter.gas(
            exchange, bindings.exchange_set_quote(programme=one.address, quote=terms, nonce=nonce, signature=b"")
        )

    def limits(most: int) -> int:
        network.travel(60)  # in the second of the last batch there would be nothing to settle in the bucket
        wanted = Limits(most, most, most, most)
        return meter.gas(one.address, bindings.points_set_limits(wanted=wanted, nonce=0, deadline=0, signature=b""))

    def consent(allowed: bool) -> int:
        act = bindings.exchange_set_partner(
            programme=one.address,
            partner=other.address,
            allowed=allowed,
            nonce=network.nonce(one.address),
            signature=b"",
        )
        return meter.gas(exchange, act)

    yield "post a worse quote", quote(2 * PRICE)
    yield "post a better quote", quote(PRICE)
    yield "close a pair", consent(False)
    yield "open a pair", consent(True)
    yield "tighten limits", limits(MOST - 1)
    yield "loosen limits", limits(MOST)
    life = bindings.points_extend_life(wanted=731, nonce=0, deadline=0, signature=b"")
    yield "extend the life of points", meter.gas(one.address, life)


def _margins(network: Network, one: Programme) -> Iterator[tuple[str, int]]:
    exchange, meter = network.deployment.exchange, network.meter
    yield "deposit", meter.gas(exchange, bindings.exchange_deposit(account=one.address, amount=MARGIN))
    act = bindings.exchange_withdraw(
        account=one.address, to=meter.senders[1], amount=MARGIN, nonce=network.nonce(one.address), signature=b""
    )
    yield "announce a withdrawal", meter.gas(exchange, act)
    network.travel(7 * DAY)
    yield "complete a withdrawal", meter.gas(exchange, bindings.exchange_complete_withdrawal(programme=one.address))


def _refunds(network: Network, one: Programme) -> Iterator[tuple[str, int]]:
    one.batches += 1
    granted = [(holder.address, 1_000) for holder in HOLDERS]
    purchases = [keccak(place.to_bytes(2)) for place in range(MINTS)]
    leaves = [
        receipts.leaf(
            chain_id=LOCAL_CHAIN_ID, token=one.address, batch=one.batches, index=place, holder=holder, amount=amount,
            purchase=purchases[place],
        )
        for place, (holder, amount) in enumerate(granted)
    ]  # fmt: skip
    entries, root = receipts.pack_entries(granted), receipts.root(leaves)
    digest = eip712.mint_digest(one.separator, batch=one.batches, receipts_root=root, entries_hash=keccak(entries))
    signature = ISSUER.sign(digest)
    network.meter.do(
        one.address,
        bindings.points_mint(batch=one.batches, receipts_root=root, entries=entries, signature=signature),
    )
    for name, place in (("refund a purchase of a batch of 200", 7), ("refund another of it", 8)):
        digest = eip712.clawback_digest(
            one.separator, batch=one.batches, index=place, purchase=purchases[place], taken=1_000
        )
        call = bindings.points_clawback(
            batch=one.batches, index=place, purchase=purchases[place], taken=1_000, entries=entries,
            proof=receipts.proof(leaves, place), signature=ISSUER.sign(digest),
        )  # fmt: skip
        yield name, network.meter.gas(one.address, call)


def _lost_and_expired(network: Network, one: Programme) -> Iterator[tuple[str, int]]:
    meter, lost = network.meter, HOLDERS[9].address
    act = bindings.points_recover(holder=lost, to=person("found").address, nonce=0, deadline=0, signature=b"")
    yield "announce a recovery", meter.gas(one.address, act)
    network.travel(14 * DAY)
    yield "finish a recovery", meter.gas(one.address, bindings.points_finish_recovery(holder=lost))
    yield "approve", meter.gas(one.address, bindings.points_approve(spender=lost, value=1))
    yield "cancel a nonce", meter.gas(one.address, bindings.points_cancel_nonce(nonce=0))


def _charities(network: Network, one: Programme) -> Iterator[tuple[str, int]]:
    exchange, meter = network.deployment.exchange, network.meter
    charity, sponsor = person("well").address, one.address
    name = b"Well".ljust(32, b"\0")
    yield "register a charity", meter.gas(exchange, bindings.exchange_register_charity(charity=charity, name=name))
    opened = bindings.exchange_open_campaign(charity=charity, goal=10**9, end=NEXT_YEAR)
    yield "open a campaign", meter.gas(exchange, opened)
    yield "name a sponsor", meter.gas(exchange, bindings.exchange_name_sponsor(number=1, sponsor=sponsor))
    act = bindings.exchange_set_match(
        number=1, ratio=10_000, pool=MARGIN, until=NEXT_YEAR, nonce=network.nonce(sponsor), signature=b""
    )
    yield "set a match", meter.gas(exchange, act)
