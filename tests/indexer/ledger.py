"""Acts that a chain of ours could hold, made possible by what the ledger holds at that point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from indexer import project
from tests.indexer import chain as made
from tests.indexer.chain import NOTHING_KNOWN, A, B, Chain, Emitted, address, digest, minted, redeemed, sent

HOLDERS = [address(f"holder {number}") for number in range(4)]
CHARITY, SPONSOR = address("charity"), address("sponsor")
OPENING = [
    *(made.created(A), made.created(B), made.fee_set(10, address("fees"))),
    *(made.deposited(A, 1000), made.deposited(SPONSOR, 500)),
]

Act = tuple[str, int, int, int]
"""What, who, to whom, how much: made possible by what the ledger holds at that point."""


@dataclass(slots=True)
class Ledger:
    """Who holds what after some blocks. `points` is by programme and holder."""

    points: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    margin: dict[bytes, int] = field(default_factory=dict)
    batches: dict[bytes, int] = field(default_factory=dict)
    programmes: tuple[bytes, ...] = ()
    campaigns: int = 0
    made: int = 0  # names of what is unique

    @classmethod
    def of(cls, chain: Chain) -> Ledger:
        """The ledger at the chain's tip."""
        rows, known = project.project([log for one in chain.stretches for log in one.logs], NOTHING_KNOWN)
        unique = len(rows.programme) + len(rows.charity)
        ledger = cls(programmes=tuple(sorted(known.programmes)), campaigns=len(rows.campaign), made=unique)
        for row in rows.batch:
            ledger.batches[row[0]] = row[1]
        for row in rows.entry:
            ledger._add(row[4], row[5], row[6])
        for row in rows.movement:
            ledger._move(row[3], row[4])
        return ledger

    @classmethod
    def opened(cls) -> Ledger:
        """The ledger after a block with OPENING."""
        return cls(margin={A: 1000, SPONSOR: 500}, programmes=(A, B))

    def copy(self) -> Ledger:
        return replace(self, points=self.points.copy(), margin=self.margin.copy(), batches=self.batches.copy())

    def do(self, act: Act) -> list[Emitted]:
        """The logs of one transaction; none if the act is not possible."""
        what, who, whom, amount = act
        free = _FREE.get(what)
        if free is not None:
            return free(self, act)
        token = self.programmes[whom % len(self.programmes)] if what in ("redeem", "expire", "claw back") else A
        holder, other = HOLDERS[who], HOLDERS[whom]
        amount = min(amount, self.points.get((token, holder), 0))
        if what in ("swap", "give"):
            amount = min(amount, self.margin.get(A, 0))
        if amount == 0:
            return []
        self._add(token, holder, -amount)
        if what == "redeem":
            return redeemed(token, holder, amount)
        if what == "expire":
            return made.expired(token, holder, amount)
        if what == "claw back":
            return made.clawed_back(token, holder, burned=amount, shortfall=whom)
        if what == "give":
            return self._give(holder, amount)
        if what == "swap":
            self._add(B, holder, amount)
            self._move(A, -amount)
            self._move(B, amount - 1)
            return made.swapped(A, B, holder, amount=amount, out=amount, value=amount, fee=1)
        self._add(token, other, amount)
        if what == "recover":
            return made.recovered(token, holder, other, amount)
        return sent(token, holder, other, amount) if what == "send" else [made.transfer(token, holder, other, amount)]

    def _give(self, holder: bytes, amount: int) -> list[Emitted]:
        self._move(A, -amount)
        match = min(amount, self.margin.get(SPONSOR, 0)) if self.campaigns else 0
        if not match:
            return made.given(A, CHARITY, holder, amount=amount, value=amount)
        self._move(SPONSOR, -match)
        return [
            *made.given(A, CHARITY, holder, amount=amount, value=amount, campaign=1),
            made.matched(SPONSOR, CHARITY, value=match),
        ]

    def _mint(self, act: Act) -> list[Emitted]:
        _, who, whom, amount = act
        token = self.programmes[(who + whom + amount) % len(self.programmes)]
        number = self.batches[token] = self.batches.get(token, 0) + 1
        self._add(token, HOLDERS[who], amount)
        self._add(token, HOLDERS[whom], 1)
        return minted(token, number, [(HOLDERS[who], amount), (HOLDERS[whom], 1)])

    def _deposit(self, act: Act) -> list[Emitted]:
        account = (B, A, SPONSOR, A)[act[1]]
        self._move(account, act[3])
        return [made.deposited(account, act[3])]

    def _withdraw(self, act: Act) -> list[Emitted]:
        amount = min(act[3], self.margin.get(B, 0))
        self._move(B, -amount)
        return [made.withdrawn(B, amount)] if amount else []

    def _create(self, act: Act) -> list[Emitted]:
        """Its first batch comes with it: a token's logs are not missed in the block that creates it."""
        token = self._unique("programme", act)
        self.programmes = (*self.programmes, token)
        self.batches[token] = 1
        self._add(token, HOLDERS[act[1]], act[3])
        return [made.created(token), *minted(token, 1, [(HOLDERS[act[1]], act[3])])]

    def _register(self, act: Act) -> list[Emitted]:
        return [made.registered(self._unique("charity", act), b"Food")]

    def _open(self, _act: Act) -> list[Emitted]:
        self.campaigns += 1
        return [made.opened(self.campaigns, CHARITY)]

    def _unique(self, what: str, act: Act) -> bytes:
        self.made += 1
        return digest(f"{what} {self.made} {act}")[:20]

    def _add(self, token: bytes, holder: bytes, amount: int) -> None:
        self.points[token, holder] = self.points.get((token, holder), 0) + amount

    def _move(self, account: bytes, amount: int) -> None:
        self.margin[account] = self.margin.get(account, 0) + amount


_FREE: dict[str, Callable[[Ledger, Act], list[Emitted]]] = {
    "mint": Ledger._mint,
    "deposit": Ledger._deposit,
    "withdraw": Ledger._withdraw,
    "create": Ledger._create,
    "register": Ledger._register,
    "open": Ledger._open,
    "quote": lambda _, act: [made.quoted(A, bid=act[3], ask=act[3] + act[1])],
    "partner": lambda _, act: [made.partnered(A, B, act[1] % 2 == 0)],
    "extend": lambda _, act: [made.life_extended(A, 730 + act[3])],
    "fee": lambda _, act: [made.fee_set(act[3], address(f"fees {act[1]}"))],
    "nothing": lambda _, __: [],
}
"""Acts that need nothing that the ledger may lack."""

SPENDING = ("send", "redeem", "swap", "give", "transfer", "expire", "claw back", "recover")
ACTS = (*_FREE, *SPENDING)


def grow(chain: Chain, blocks: Sequence[Sequence[Act]]) -> Chain:
    """Adds a block for each list of acts, after the one that opens the network."""
    if not chain.stretches:
        chain.add(OPENING)
    ledger = Ledger.of(chain)
    for block in blocks:
        chain.add(*[emitted for act in block if (emitted := ledger.do(act))])
    return chain
