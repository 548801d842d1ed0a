"""The contracts and their plain twin do the same on random sequences of acts: refusals with reasons, events, all state.

`make twin STEPS=100000` is the long form; SEED repeats a run.
"""

from __future__ import annotations

import copy
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import asdict

from contracts.bindings import Event
from tests.contracts.node import NodeChain, world_with_passkeys
from tests.contracts.twin import exchange as exchange_rules
from tests.contracts.twin import points as points_rules
from tests.contracts.twin.act import Act
from tests.contracts.twin.chain import Contracts
from tests.contracts.twin.exchange import BPS, SCALE
from tests.contracts.twin.journal import HOUR, NOBODY, Refused, shown
from tests.contracts.twin.network import Network
from tests.contracts.twin.opening import CALLED, EVERYBODY, NAMES, created, opening
from tests.contracts.twin.points import Account, Points
from tests.contracts.twin.steps import Steps

ENOUGH = 1_500
"""Acts of which every kind is accepted some time: each is, about five times or more."""
STEPS = int(os.environ.get("STEPS", ENOUGH))
LENGTH = 100
"""Acts of one sequence."""
SEED = os.environ.get("SEED") or secrets.token_hex(4)


class Disagreement(Exception):
    """The contracts did something else than the twin."""


@dataclass
class Arena:
    contracts: Contracts
    start: Network
    chain_id: int
    seen: Counter[str] = field(default_factory=Counter)

    def both(self, network: Network, act: Act) -> None:
        """Lets both do the act. Raises `Disagreement`."""
        data = act.call(network, self.chain_id)
        expected: list[tuple[bytes, Event]] | str
        done: list[tuple[bytes, Event]] | str
        try:
            expected = act.told(network, self.chain_id)
        except Refused as refused:
            expected = str(refused)
        try:
            done = self.contracts.perform(act.contract, data, caller=act.caller, now=act.at)
        except Refused as refused:
            done = str(refused)
        if done != expected:
            raise Disagreement(f"contracts: {_told(done)}\ntwin:      {_told(expected)}")
        if isinstance(expected, str):
            self.seen[f"{act.name}: {expected.partition('(')[0]}"] += 1
            return
        self.seen[act.name] += 1
        if contradicted := self.contracts.contradicted(list(network.views())):
            raise Disagreement("\n".join(contradicted))

    def begin(self) -> Network:
        self.contracts.forget()
        return copy.deepcopy(self.start)

    def replay(self, acts: list[Act]) -> str | None:
        """How the two disagree over these acts, or None."""
        network = self.begin()
        try:
            for act in acts:
                self.both(network, act)
        except Disagreement as found:
            return str(found)
        return None

    def shortened(self, acts: list[Act]) -> list[Act]:
        """A part of the acts, the last one included, that the two still disagree over: no chunk of it can go."""
        size = len(acts) // 2
        while size:
            at = 0
            while at < len(acts) - 1:
                fewer = acts[:at] + acts[min(at + size, len(acts) - 1) :]
                if self.replay(fewer) is not None:
                    acts = fewer
                else:
                    at += size
            size //= 2
        return acts

    def run(self, seed: str, steps: int) -> None:
        """Raises `Disagreement`, with the fewest acts that were found to show it."""
        for number in range(-(-steps // LENGTH)):
            network = self.begin()
            drawn = Steps(network, f"{seed}/{number}")
            acts: list[Act] = []
            try:
                for _ in range(LENGTH):
                    acts.append(drawn.next())
                    self.both(network, acts[-1])
            except Disagreement as found:
                fewest = self.shortened(acts)
                message = self.replay(fewest) or str(found)
                raise Disagreement(self.named("\n".join([*map(str, fewest), "", message]))) from None

    def named(self, text: str) -> str:
        """The text with names in place of addresses."""
        known = dict(zip(CALLED, (one.address for one in EVERYBODY), strict=True)) | {"nobody": NOBODY}
        known |= dict(zip(NAMES, self.start.tokens, strict=True)) | {"exchange": self.start.exchange.address}
        known |= {"operator": self.start.exchange.owner}
        for name, address in known.items():
            text = re.sub(rf"(?<![0-9a-fx])(0x)?{address.hex()}(?![0-9a-f])", name, text)
        return text


def _told(outcome: list[tuple[bytes, Event]] | str) -> str:
    if isinstance(outcome, str):
        return outcome
    events = (f"0x{at.hex()}.{shown(type(event).__name__, asdict(event))}" for at, event in outcome)
    return "\n           ".join(events)


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with world_with_passkeys() as world:
        assert isinstance(world.chain, NodeChain)
        network = created(world)
        with Contracts.at(world.chain.url) as contracts:
            contracts.remember([*(one.address for one in EVERYBODY), *network.tokens])
            made = Arena(contracts, network, world.chain.id)
            for act in opening(network):
                made.both(network, act)
            assert not any(":" in what for what in made.seen), made.seen
            made.seen.clear()
            contracts.remember([])
            yield made


def test_the_contracts_do_what_their_twin_does(arena: Arena) -> None:
    print(f"SEED={SEED} STEPS={STEPS}")  # noqa: T201
    arena.run(SEED, STEPS)
    kinds = {draw.__name__ for draw in Steps(arena.start, SEED).kinds}
    for more in range(5):
        if not kinds - arena.seen.keys():
            break
        arena.run(f"{SEED}/{more}", ENOUGH // 3)  # that something never happened is chance so far
    done = {what for what in arena.seen if ":" not in what}
    print(f"{sum(arena.seen.values())} acts, {sum(arena.seen[what] for what in done)} of them accepted")  # noqa: T201
    for what, times in sorted(arena.seen.items()):
        print(f"{times:6} {what}")  # noqa: T201
    assert done == kinds


def _lives_a_day_more(token: Points, account: Account) -> bool:
    return account.balance > 0 and account.day + token.life + 1 < token.journal.today


def _does_not_cancel(token: Points, holder: bytes) -> None:
    token.account(holder).day = token.journal.today


BROKEN: dict[str, tuple[Any, str, Any]] = {
    "the window is one nonce narrower": (points_rules, "WINDOW", 95),
    "refunds end with the next batch": (points_rules, "REFUND_WINDOW", 1),
    "limits loosen an hour earlier": (points_rules, "LOOSENING", 47 * HOUR),
    "points live a day more": (Points, "has_expired", _lives_a_day_more),
    "a recovery outlives what the holder does": (Points, "act", _does_not_cancel),
    "the bucket has no size": (
        Points,
        "available",
        lambda one: one.level + one.limits.refill * (one.journal.now - one.at),
    ),
    "a quote's notice is an hour shorter": (exchange_rules, "QUOTE_NOTICE", 23 * HOUR),
    "a worse quote comes at once": (exchange_rules, "is_worse", lambda *_: False),
    "a fee is rounded down": (exchange_rules, "fee_of", lambda value, bps: value * bps // BPS),
    "points are rounded up": (exchange_rules, "points_for", lambda value, quote: -(-value * SCALE // quote.ask)),
    "a match is more than its pool": (exchange_rules, "match_of", lambda value, ratio, *_: value * ratio // BPS),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_noticed(arena: Arena, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, broken = BROKEN[rule]
    monkeypatch.setattr(module, name, broken)
    with pytest.raises(Disagreement) as found:
        arena.run("broken", 5_000)
    print(found.value)  # noqa: T201
