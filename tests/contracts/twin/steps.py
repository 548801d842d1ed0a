"""Random acts that come near what matters: mostly allowed ones, with values and times at, before and behind bounds.

Everything is drawn from one generator, so a seed says it all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from contracts.bindings import Limits, Quote
from tests.contracts.twin.act import FORGED_ENTRIES, FORGED_PROOF, GENUINE, Act
from tests.contracts.twin.journal import DAY, HOUR, NOBODY, PAUSE, REST
from tests.contracts.twin.network import Network
from tests.contracts.twin.opening import CHARITIES, EVERYBODY, FEES, GUARDIAN, HOLDERS, ISSUERS, OWNERS
from tests.contracts.twin.points import MAX_SLIDE, NONCE_END, UNLIMITED, WINDOW, Points
from tests.contracts.world import FOREVER, Person

MOST = 2**96 - 1
Drawn = tuple[bytes, dict[str, Any], bytes, Person | None]
"""The contract, the arguments, the caller and the signer."""


class Steps:
    def __init__(self, network: Network, seed: str) -> None:
        self.network = network
        self.random = random.Random(seed)
        self.tokens = list(network.tokens)
        self.kinds: dict[Callable[[], Drawn], int] = {
            self.mint: 10, self.send: 14, self.redeem: 8, self.swap: 16, self.give: 14, self.cancel: 3,
            self.cancel_nonce: 2, self.clawback: 8, self.set_limits: 4, self.extend_life: 2, self.recover: 5,
            self.finish_recovery: 9, self.sweep: 4, self.transfer: 4, self.transfer_from: 3, self.approve: 3,
            self.set_quote: 5, self.set_partner: 3, self.deposit: 4, self.withdraw: 7, self.complete_withdrawal: 7,
            self.set_payout: 3, self.set_match: 4, self.name_sponsor: 2, self.register_charity: 3,
            self.open_campaign: 2, self.set_fee: 2, self.set_guardian: 1, self.transfer_ownership: 1,
            self.pause: 2, self.unpause: 2,
        }  # fmt: skip

    def next(self) -> Act:
        at = self.time()
        self.network.journal.now = at  # what is drawn looks at that second's state
        (draw,) = self.random.choices(list(self.kinds), list(self.kinds.values()))
        contract, arguments, caller, signer = draw()
        short = draw in (self.send, self.redeem, self.swap, self.give) and self.random.random() < 0.5
        return Act(at, caller, contract, draw.__name__, arguments, signer, short)

    # Times

    def time(self) -> int:
        """Mostly the next second, or else to a bound: mostly to one that is near."""
        now = self.network.journal.now
        drawn = self.random.random()
        if drawn < 0.8:
            return now + 1
        if drawn < 0.9:
            return now + self.random.choice((60, HOUR, HOUR, 6 * HOUR, DAY))
        far = 100 * DAY if drawn > 0.995 else 15 * DAY if drawn > 0.96 else 3 * DAY
        bounds = [bound for bound in self.bounds() if now + 2 < bound < now + far]
        return self.random.choice(bounds) + self.random.choice((-1, 0, 1)) if bounds else now + 1

    def bounds(self) -> list[int]:
        """All seconds at which something begins or ends."""
        exchange = self.network.exchange
        bounds = [exchange.paused_until, exchange.paused_until + REST]
        for member in exchange.members.values():
            bounds += [member.quote.until, member.announced_from, member.next_payout_from]
            bounds += [member.withdrawal[2]] if member.withdrawal else []
        for campaign in exchange.campaigns.values():
            bounds += [campaign.end, campaign.match_until]
        for token in self.network.tokens.values():
            bounds += [token.loosened_at, token.paused_until, token.paused_until + REST]
            bounds += [due for _, due in token.recoveries.values()]
            bounds += [(one.day + token.life + 1) * DAY for one in token.accounts.values() if one.balance]
        return [bound for bound in bounds if bound < FOREVER - PAUSE - REST]

    # Values

    def token(self) -> Points:
        return self.network.tokens[self.random.choice(self.tokens)]

    def other(self, token: Points) -> bytes:
        """Another token; sometimes the same, or none."""
        others = [other for other in self.tokens if other != token.address]
        return self.random.choice([*others * 6, token.address, HOLDERS[0].address])

    def owner_of(self, token: Points) -> Person:
        return OWNERS[self.tokens.index(token.address)]

    def issuer_of(self, token: Points) -> Person:
        return ISSUERS[self.tokens.index(token.address)]

    def holder(self) -> Person:
        return self.random.choice(HOLDERS)

    def anybody(self) -> bytes:
        return self.random.choice([*(one.address for one in EVERYBODY), self.network.exchange.owner])

    def signer(self, right: Person) -> Person | None:
        return self.random.choice([right] * 30 + [self.random.choice(EVERYBODY), None])

    def act_of(self, right: Person) -> tuple[bytes, Person | None]:
        """Caller and signer of what one may also do by one's own transaction."""
        if self.random.random() < 0.5:
            return self.anybody(), self.signer(right)
        return self.random.choice([right.address] * 15 + [self.anybody()]), None

    def around(self, bound: int) -> int:
        """A value about a bound."""
        inside = self.random.randrange(bound + 1) if bound else 0
        drawn = self.random.choice([inside] * 9 + [inside // 20] * 9 + [0, 1, bound - 1, bound, bound, bound + 1])
        return max(0, min(MOST, drawn))

    def nonce(self, token: Points, holder: bytes) -> int:
        account = token.account(holder)
        following = max(account.used, default=account.base - 1) + 1
        edges = (
            account.base - 1,
            account.base + WINDOW - 1,
            account.base + WINDOW,
            account.base + WINDOW - 1 + MAX_SLIDE,
        )
        rare = [account.base + self.random.randrange(WINDOW), *account.used, *edges, edges[-1] + 1, NONCE_END - 1]
        return max(0, following if self.random.random() < 0.85 else self.random.choice(rare))

    def deadline(self) -> int:
        now = self.network.journal.now
        return self.random.choice([FOREVER] * 12 + [now, now + 1, now - 1])

    def sequential(self, account: bytes) -> int:
        following = self.network.exchange.member(account).nonce
        return self.random.choice([following] * 20 + [following + 1, max(0, following - 1)])

    def terms(self, token: Points, holder: Person) -> dict[str, int]:
        return {"nonce": self.nonce(token, holder.address), "deadline": self.deadline()}

    def spending(self) -> tuple[Points, Person, dict[str, Any]]:
        """What a holder signs to spend, as a rule of what there is."""
        pairs = [(token, holder) for token in self.network.tokens.values() for holder in HOLDERS]
        rich = [(token, holder) for token, holder in pairs if token.balance_of(holder.address)]
        token, holder = self.random.choice(self.random.choice([rich or pairs] * 9 + [pairs]))
        amount = self.around(token.balance_of(holder.address))
        return token, holder, {"holder": holder.address, "amount": amount} | self.terms(token, holder)

    # Points

    def mint(self) -> Drawn:
        token = self.token()
        cap = min(token.limits.entry_cap, 10 * token.limits.bucket)
        entries = []
        for _ in range(self.random.choice([1, 1, 2, 3, 5] * 6 + [0])):
            to = self.random.choice([one.address for one in HOLDERS] * 6 + [self.owner_of(token).address, NOBODY])
            entries.append((to, self.around(self.random.choice([min(cap, 20_000)] * 8 + [cap, token.available()]))))
        batch = self.random.choice([token.next_batch] * 25 + [token.next_batch - 1, token.next_batch + 1])
        purchases = tuple(self.random.randbytes(32) for _ in entries)
        arguments = {"batch": batch, "entries": tuple(entries), "purchases": purchases}
        return token.address, arguments, self.anybody(), self.signer(self.issuer_of(token))

    def send(self) -> Drawn:
        token, holder, spent = self.spending()
        to = self.random.choice([self.anybody()] * 12 + [holder.address, NOBODY, token.address])
        return token.address, spent | {"to": to}, self.anybody(), self.signer(holder)

    def redeem(self) -> Drawn:
        token, holder, spent = self.spending()
        return token.address, spent | {"order": self.random.randbytes(32)}, self.anybody(), self.signer(holder)

    def cancel(self) -> Drawn:
        token, holder = self.token(), self.holder()
        arguments = {"holder": holder.address} | self.terms(token, holder)
        return token.address, arguments, self.anybody(), self.signer(holder)

    def cancel_nonce(self) -> Drawn:
        token, holder = self.token(), self.holder()
        return token.address, {"nonce": self.nonce(token, holder.address)}, holder.address, None

    def clawback(self) -> Drawn:
        token = self.token()
        (batch, index), (_, amount, purchase) = self.random.choice(list(token.receipts.items()))
        before = token.taken.get((batch, index), 0)
        arguments: dict[str, Any] = {
            "batch": batch,
            "index": self.random.choice([index] * 20 + [index + 1]),
            "purchase": self.random.choice([purchase] * 20 + [bytes(32)]),
            "shows": self.random.choice([GENUINE] * 20 + [FORGED_ENTRIES, FORGED_PROOF]),
            "taken": self.random.choice((self.around(amount), amount, min(amount, before + 1))),
        }
        caller, signer = self.act_of(self.random.choice((self.owner_of(token), self.issuer_of(token))))
        return token.address, arguments, caller, signer

    def set_limits(self) -> Drawn:
        token = self.token()
        owner = self.owner_of(token)
        factors = (1, 1, 1, 2, 10, 0.5, 0.9)
        wanted = Limits(*(min(MOST, int(bound * self.random.choice(factors))) for bound in token.limits_in_force()))
        caller, signer = self.act_of(owner)
        return token.address, {"wanted": wanted} | self.terms(token, owner), caller, signer

    def extend_life(self) -> Drawn:
        token = self.token()
        owner = self.owner_of(token)
        caller, signer = self.act_of(owner)
        wanted = token.life + self.random.choice((-1, 0, 1, 5))
        return token.address, {"wanted": wanted} | self.terms(token, owner), caller, signer

    def recover(self) -> Drawn:
        token, lost = self.token(), self.holder()
        owner = self.owner_of(token)
        to = self.random.choice([*(one.address for one in HOLDERS), self.anybody(), NOBODY])
        caller, signer = self.act_of(owner)
        return token.address, {"holder": lost.address, "to": to} | self.terms(token, owner), caller, signer

    def finish_recovery(self) -> Drawn:
        recovering = [
            (token, holder)
            for token in self.network.tokens.values()
            for holder, account in token.accounts.items()
            if account.recovering
        ]
        token, holder = self.random.choice(recovering or [(self.token(), self.holder().address)])
        return token.address, {"holder": holder}, self.anybody(), None

    def sweep(self) -> Drawn:
        holders = [self.anybody() for _ in range(3)] + [one.address for one in HOLDERS]
        return self.token().address, {"holders": self.random.sample(holders, 5)}, self.anybody(), None

    def transfer(self) -> Drawn:
        token, holder = self.token(), self.holder()
        to = self.random.choice([self.anybody()] * 12 + [holder.address, NOBODY])
        value = self.around(token.balance_of(holder.address))
        return token.address, {"to": to, "value": value}, holder.address, None

    def approve(self) -> Drawn:
        token, holder = self.token(), self.holder()
        value = self.random.choice((self.around(50_000), UNLIMITED))
        spender = self.random.choice([one.address for one in HOLDERS] * 4 + [NOBODY])
        return token.address, {"spender": spender, "value": value}, holder.address, None

    def transfer_from(self) -> Drawn:
        token = self.token()
        allowed = [pair for pair, value in token.allowances.items() if value]
        from_, spender = self.random.choice(allowed or [(HOLDERS[0].address, HOLDERS[1].address)])
        value = self.around(min(token.balance_of(from_), token.allowances.get((from_, spender), 0)))
        to = self.random.choice([self.anybody()] * 12 + [from_, NOBODY])
        from_ = self.random.choice([from_] * 20 + [NOBODY])
        return token.address, {"from_": from_, "to": to, "value": value}, spender, None

    # Swaps and gifts

    def swap(self) -> Drawn:
        token, holder, spent = self.spending()
        into = self.other(token)
        arguments = spent | {"from_": token.address, "into": into, "minimum": self.random.choice([0] * 9 + [10**5])}
        return self.network.exchange.address, arguments, self.anybody(), self.signer(holder)

    def give(self) -> Drawn:
        token, holder, spent = self.spending()
        number = self.random.choice([*self.network.exchange.campaigns, 0, 1, 99])
        campaign = self.network.exchange.campaigns.get(number)
        fitting = campaign.charity if campaign else CHARITIES[0].address
        charity = self.random.choice([fitting] * 12 + [CHARITIES[1].address, token.address, self.anybody()])
        arguments = spent | {"programme": token.address, "charity": charity, "campaign": number}
        return self.network.exchange.address, arguments, self.anybody(), self.signer(holder)

    # Margins and terms

    def set_quote(self) -> Drawn:
        exchange, token = self.network.exchange, self.token()
        now, standing = exchange.journal.now, exchange.quote_of(token.address)
        bid = max(0, int(standing.bid * self.random.choice((1, 1, 1.25, 0.75))) + self.random.choice((0, 0, 1, -1)))
        ask = max(0, int(standing.ask * self.random.choice((1, 1, 1.25, 0.75))) + self.random.choice((0, 0, 1, -1)))
        until = self.random.choice((standing.until, standing.until, now + 90 * DAY, now + 99 * DAY, now + DAY, now))
        cap = self.random.choice((standing.cap, 10**4, 10**6, 2**88 - 1))
        quote = Quote(bid, self.random.choice([max(bid, ask)] * 9 + [ask]), until, cap)
        caller, signer = self.act_of(self.owner_of(token))
        arguments = {"programme": token.address, "quote": quote, "nonce": self.sequential(token.address)}
        return exchange.address, arguments, caller, signer

    def set_partner(self) -> Drawn:
        token = self.token()
        caller, signer = self.act_of(self.owner_of(token))
        allowed = self.random.random() < 0.7
        arguments = {"programme": token.address, "partner": self.other(token), "allowed": allowed}
        return self.network.exchange.address, arguments | {"nonce": self.sequential(token.address)}, caller, signer

    def deposit(self) -> Drawn:
        account = self.random.choice([*self.tokens, self.anybody(), self.anybody(), NOBODY])
        room = MOST - self.network.exchange.member(account).margin
        amount = self.random.choice([self.around(10**5)] * 30 + [room, room + 1, MOST])
        depositor = next(iter(self.network.exchange.wallets))  # the operator: nobody else lets the exchange pull
        return self.network.exchange.address, {"account": account, "amount": min(MOST, amount)}, depositor, None

    def withdraw(self) -> Drawn:
        exchange = self.network.exchange
        people = {one.address: one for one in EVERYBODY}
        rich = [account for account, member in exchange.members.items() if member.margin and account in people]
        account = self.random.choice([*self.tokens, *rich, *rich])
        owner = self.owner_of(self.network.tokens[account]) if account in self.tokens else people[account]
        payout = exchange.payout_of(account)
        to = self.random.choice([payout] * 4 + [self.anybody()])
        arguments = {"account": account, "to": to, "amount": self.around(exchange.member(account).margin)}
        caller, signer = self.act_of(owner)
        return exchange.address, arguments | {"nonce": self.sequential(account)}, caller, signer

    def complete_withdrawal(self) -> Drawn:
        exchange = self.network.exchange
        announced = [account for account, member in exchange.members.items() if member.withdrawal]
        return exchange.address, {"programme": self.random.choice([*announced, self.tokens[0]])}, self.anybody(), None

    def set_payout(self) -> Drawn:
        charity = self.random.choice([*CHARITIES * 5, HOLDERS[0]])
        caller, signer = self.act_of(charity)
        payout = self.random.choice([self.anybody()] * 9 + [NOBODY])
        arguments = {"charity": charity.address, "payout": payout, "nonce": self.sequential(charity.address)}
        return self.network.exchange.address, arguments, caller, signer

    # Charities and the network

    def campaign(self) -> int:
        return self.random.choice([*self.network.exchange.campaigns, 1, 2, 99])

    def set_match(self) -> Drawn:
        exchange, number = self.network.exchange, self.campaign()
        campaign = exchange.campaigns.get(number)
        sponsor = campaign.sponsor if campaign else NOBODY
        people = {one.address: one for one in EVERYBODY} | dict(zip(self.tokens, OWNERS, strict=True))
        arguments = {
            "number": number,
            "ratio": self.random.choice((0, 1, 3_333, 10_000, 50_000)),
            "pool": self.random.choice((0, 100, 10**4, 10**6)),
            "until": exchange.journal.now + self.random.choice((-1, 0, DAY, 30 * DAY)),
            "nonce": self.sequential(sponsor),
        }
        caller, signer = self.act_of(people.get(sponsor, HOLDERS[0]))
        return exchange.address, arguments, caller, signer

    def name_sponsor(self) -> Drawn:
        sponsor = self.random.choice([*self.tokens, *(one.address for one in EVERYBODY), NOBODY])
        return self.by_the_operator({"number": self.campaign(), "sponsor": sponsor})

    def register_charity(self) -> Drawn:
        charity = self.random.choice([*self.tokens, *(one.address for one in CHARITIES), self.anybody(), NOBODY])
        return self.by_the_operator({"charity": charity, "name": self.random.randbytes(32)})

    def open_campaign(self) -> Drawn:
        charity = self.random.choice([*(one.address for one in CHARITIES * 4), self.anybody()])
        end = self.network.journal.now + self.random.choice((0, 1, DAY, 30 * DAY))
        return self.by_the_operator({"charity": charity, "goal": self.around(10**6), "end": end})

    def set_fee(self) -> Drawn:
        account = self.random.choice([FEES.address, *self.tokens, CHARITIES[0].address, NOBODY])
        return self.by_the_operator({"fee_bps": self.random.choice((0, 1, 25, 500, 501)), "account": account})

    def set_guardian(self) -> Drawn:
        return self.by_the_operator({"account": self.random.choice((GUARDIAN.address, GUARDIAN.address, NOBODY))})

    def transfer_ownership(self) -> Drawn:
        return self.by_the_operator(
            {"to": self.random.choice([self.network.exchange.owner] * 3 + [self.anybody(), NOBODY])}
        )

    def by_the_operator(self, arguments: dict[str, Any]) -> Drawn:
        caller = self.random.choice([self.network.exchange.owner] * 15 + [self.anybody()])
        return self.network.exchange.address, arguments, caller, None

    def pause(self) -> Drawn:
        place = self.random.choice([*self.tokens, self.network.exchange.address])
        return place, {}, self.random.choice([GUARDIAN.address] * 9 + [self.anybody()]), None

    def unpause(self) -> Drawn:
        place = self.random.choice([*self.tokens, self.network.exchange.address])
        return place, {}, self.random.choice([GUARDIAN.address, self.network.exchange.owner, self.anybody()]), None
