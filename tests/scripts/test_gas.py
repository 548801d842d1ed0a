"""The meter encodes as the ABI says, and takes nothing that failed for a figure."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from contracts import artifact, bindings
from contracts.bindings import Call
from scripts.gas.__main__ import table
from scripts.gas.meter import ARGUMENTS, Figure, MeasurementFailed, Meter, call
from tests.conftest import Anvil


def test_calls_are_encoded_as_the_bindings_do() -> None:
    one = b"\x11" * 20
    assert call("totalSupply()") == bindings.points_total_supply()
    assert call("transfer(address,uint256)", one, 7) == bindings.points_transfer(to=one, value=7)
    assert call("sweep(address[])", [one, one]) == bindings.points_sweep(holders=[one, one])
    bundle = bindings.bundle_execute(calls=[Call(one, 9, b"abc")])
    assert call("execute((address,uint32,bytes)[])", [(one, 9, b"abc")]) == bundle


def test_a_transaction_that_fails_is_no_figure(new_anvil: Callable[..., Anvil]) -> None:
    meter = Meter(new_anvil(*ARGUMENTS).url)
    token = meter.create(artifact.load("SettlementToken").bytecode)
    mint = bindings.settlement_mint(to=meter.senders[1], amount=5)
    assert meter.gas(token, mint) > meter.gas(token, mint) > 21_000  # the second finds a balance
    with pytest.raises(MeasurementFailed, match="failed"):
        meter.gas(token, bindings.settlement_transfer(to=meter.senders[1], value=1))


def test_the_table_compares_with_our_first_figure_of_an_act() -> None:
    own = [Figure("send", "send", 100, 20_000, 40_000), Figure("give", "give", 100, 16_000)]
    text = StringIO()
    Console(file=text, width=110).print(table(own, [Figure("send", "a peer", 1, 50_000, 60_000)]))
    (line,) = (line for line in text.getvalue().splitlines() if "a peer" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == ["a peer", "1", "50,000", "2.50", "60,000", "1.50"]
