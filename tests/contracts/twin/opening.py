"""The network that every random sequence starts from: programmes that trade, holders, charities, sponsors."""

from __future__ import annotations

from contracts import bindings
from contracts.bindings import Limits, Quote, Terms
from tests.contracts.twin.act import Act
from tests.contracts.twin.exchange import Exchange
from tests.contracts.twin.journal import DAY, Journal
from tests.contracts.twin.network import Network
from tests.contracts.twin.points import Points
from tests.contracts.world import MAX_FEE_BPS, World, person

HOLDERS = [person(name) for name in ("Anna", "Bert", "Carl", "Dora")]
CHARITIES = [person("School"), person("Shelter")]
GUARDIAN, BANK, FEES = person("Guardian"), person("Bank"), person("Fees")
NAMES = ("Grocer", "Florist", "Cinema")
OWNERS = [person(f"{name} owner") for name in NAMES]
ISSUERS = [person(f"{name} issuer") for name in NAMES]
EVERYBODY = [*HOLDERS, *CHARITIES, GUARDIAN, BANK, FEES, *OWNERS, *ISSUERS]
CALLED = ["Anna", "Bert", "Carl", "Dora", "School", "Shelter", "Guardian", "Bank", "Fees"]
CALLED += [*(f"{name}'s owner" for name in NAMES), *(f"{name}'s issuer" for name in NAMES)]
WEALTH = 2**98
"""The operator's, in settlement base units: enough for a margin that cannot be counted."""
START = 2_000_000_000
"""When the first act takes place, whatever the clock says: a seed repeats a run on any day."""

LIMITS = (
    Limits(supply_cap=2_000_000, entry_cap=100_000, bucket=300_000, refill=7),
    Limits(supply_cap=10**12, entry_cap=10**9, bucket=10**9, refill=1_000),
    Limits(supply_cap=200_000, entry_cap=500_000, bucket=500_000, refill=0),
)
LIVES = (20, 365, 2)
MARGINS = (10**6, 2 * 10**4, 10**5)
PRICES = ((2 * 10**9, 2 * 10**9), (10**9 - 7, 10**9 + 7), (3 * 10**6, 10**9))


def created(world: World) -> Network:
    """The tokens in the contracts and in the twin; nothing has happened yet."""
    operator = world.chain.account(0)
    wallets = {operator: 0}
    exchange = Exchange(Journal(0), world.exchange, world.settlement, operator, MAX_FEE_BPS, wallets)
    for name, owner, issuer, limits, life in zip(NAMES, OWNERS, ISSUERS, LIMITS, LIVES, strict=True):
        made = world.programme(name, limits, Terms(life, 2**96 - 1))
        assert (made.owner, made.issuer) == (owner, issuer)
        exchange.tokens[made.address] = Points(
            exchange.journal,
            made.address,
            owner.address,
            issuer.address,
            life,
            limits,
            exchange.guardians,
            level=limits.bucket,
            at=world.chain.now,
        )
    world.chain.do(world.settlement, bindings.settlement_mint(to=operator, amount=WEALTH))
    wallets[operator] = WEALTH
    return Network(exchange.journal, exchange)


def opening(network: Network) -> list[Act]:
    """What makes it a market."""
    exchange, operator = network.exchange, network.exchange.owner
    tokens = list(exchange.tokens)
    acts: list[Act] = []

    def do(contract: bytes, act: str, /, *, caller: bytes = operator, **arguments: object) -> None:
        acts.append(Act(START + len(acts), caller, contract, act, arguments))

    at = exchange.address
    do(at, "set_guardian", account=GUARDIAN.address)
    do(at, "set_fee", fee_bps=25, account=FEES.address)
    for token, owner, (bid, ask), margin in zip(tokens, OWNERS, PRICES, MARGINS, strict=True):
        quote = Quote(bid, ask, START + 90 * DAY, 10**6)
        do(at, "set_quote", caller=owner.address, programme=token, quote=quote, nonce=0)
        do(at, "deposit", account=token, amount=margin)
        others = [other for other in tokens if other != token]
        for nonce, other in enumerate(others, start=1):
            do(at, "set_partner", caller=owner.address, programme=token, partner=other, allowed=True, nonce=nonce)
    do(at, "deposit", account=BANK.address, amount=10**5)
    for number, charity in enumerate(CHARITIES, start=1):
        do(at, "register_charity", charity=charity.address, name=b"Charity".ljust(32, b"\0"))
        do(at, "open_campaign", charity=charity.address, goal=10**6, end=START + 60 * DAY)
        do(at, "name_sponsor", number=number, sponsor=BANK.address)
    until = START + 30 * DAY
    do(at, "set_match", caller=BANK.address, number=1, ratio=5_000, pool=2_000, until=until, nonce=0)
    for token, issuer in zip(tokens, ISSUERS, strict=True):
        entries = tuple((holder.address, 10_000 * place) for place, holder in enumerate(HOLDERS, start=1))
        purchases = tuple(bytes([place]) * 32 for place in range(1, len(entries) + 1))
        act = {"batch": 1, "entries": entries, "purchases": purchases}
        acts.append(Act(START + len(acts), operator, token, "mint", act, issuer))
    return acts
