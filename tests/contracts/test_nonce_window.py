"""The nonce window accepts what a set with a sliding floor accepts, over any history, and nothing twice."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import bindings
from tests.contracts.world import Person, Programme, make_world, person

END = 2**40 - 128
ME = Person(bytes(31) + b"\x01")  # eth-tester's first account


@dataclass
class Model:
    """The window as a set: what was used, and the lowest nonce that is still open."""

    base: int = 0
    used: set[int] = field(default_factory=set)

    def accepts(self, nonce: int) -> bool:
        return nonce not in self.used and self.base <= nonce < END and nonce - (self.base + 95) <= 65_536

    def use(self, nonce: int) -> bool:
        if not self.accepts(nonce):
            return False
        self.used.add(nonce)
        self.base = max(self.base, nonce - 95)
        return True


@functools.cache
def shared() -> Programme:
    """One token for all examples; each has a holder of its own."""
    return make_world().programme("Grocer")


def usable(token: Programme, nonce: int, holder: Person = ME) -> bool:
    call = bindings.points_is_nonce_usable(holder=holder.address, nonce=nonce)
    return bindings.points_is_nonce_usable_result(token.chain.ask(token.address, call))


def cancel(token: Programme, nonce: int) -> bool:
    reason = token.chain.refusal(token.address, bindings.points_cancel_nonce(nonce=nonce))
    assert reason is None or reason.startswith("InvalidNonce")
    return reason is None


steps = st.one_of(st.integers(-100, 100), st.sampled_from([-97, -96, -95, 95, 96, 97, 65_535, 65_536, 65_537, 65_632]))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=20))
def test_the_window_equals_its_model(moves: list[int]) -> None:
    token, model, at = shared(), Model(), 0
    holder = person(f"holder {token.supply()}")
    token.mint((holder, 1))
    for move in moves:
        nonce = max(0, at + move)
        reason = token.chain.refusal(token.address, token.send_call(holder, holder.address, 1, nonce=nonce))
        assert reason is None or reason.startswith("InvalidNonce")
        assert (reason is None) == model.use(nonce)
        at = model.base + 95
    for nonce in [*sorted(model.used)[-9:], max(0, model.base - 1), model.base, model.base + 95, model.base + 65_632]:
        assert usable(token, nonce, holder) == model.accepts(nonce)


@pytest.mark.parametrize("nonce", [65_536 + 96, END - 1, END, 2**40 - 1])
def test_a_nonce_far_ahead_is_refused(nonce: int) -> None:
    token = make_world().programme("Grocer")
    assert not usable(token, nonce)
    assert not cancel(token, nonce)


def test_a_lost_nonce_blocks_nothing() -> None:
    token = make_world().programme("Grocer")
    for nonce in range(1, 300, 7):  # nonce 0 and six of seven are never used
        assert cancel(token, nonce)
    assert not usable(token, 0)
