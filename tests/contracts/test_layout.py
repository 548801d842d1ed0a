"""Storage is where `contracts/layout.py` says, by the compiler's own word."""

from __future__ import annotations

from typing import Any

import pytest
import solcx

from contracts import compile, layout

POINTS = {
    "_issuance": layout.ISSUANCE,
    "_bounds": layout.BOUNDS,
    "_holdings": layout.HOLDINGS,
    "_loosened": layout.LOOSENED,
    "_batches": layout.BATCHES,
    "_refunded": layout.REFUNDED,
    "_recoveries": layout.RECOVERIES,
}
EXCHANGE = {
    "owner": layout.OWNER,
    "guardian": layout.GUARDIAN,
    "_feeAccount": layout.FEE,
    "_feeBps": layout.FEE,
    "_pausedUntil": layout.FEE,
    "_members": layout.MEMBERS,
    "_withdrawals": layout.WITHDRAWALS,
    "_payouts": layout.PAYOUTS,
    "_announced": layout.ANNOUNCED,
    "_consents": layout.CONSENTS,
    "_campaigns": layout.CAMPAIGNS,
    "_campaign": layout.CAMPAIGN,
}
PACKED = {
    "Bounds": "supplyCap 0:0 entryCap 0:12 life 0:24 loosenedAt 0:26 bucket 1:0 refill 1:12 pausedUntil 1:24",
    "Limits": "supplyCap 0:0 entryCap 0:12 bucket 1:0 refill 1:12",
    "Recovery": "to 0:0 due 0:20",
    "Holding": "account 0:0",
    "Announced": "posted 0:0 from 1:0",
    "Campaign": "charity 0:0 end 0:20 matchUntil 0:25 goal 1:0 raised 1:12 ratio 1:24 sponsor 2:0 pool 2:20",
    "Member": "position 0:0 posted 1:0",
    "Payout": "current 0:0 next 1:0 from 1:20",
    "Withdrawal": "to 0:0 amount 0:20 due 1:0",
}
"""Members of structs, each with its slot and its place in it in bytes, as the auditor packs them."""


@pytest.fixture(scope="module")
def layouts() -> dict[str, dict[str, Any]]:
    units = {name: compile.DEPLOYABLE[name] for name in ("Points", "Exchange", "Factory")}
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in compile.read_sources([*units.values()]).items()},
        "settings": {
            **compile.SETTINGS,
            "outputSelection": {unit: {name: ["storageLayout"]} for name, unit in units.items()},
        },
    }
    output = solcx.compile_standard(request, solc_binary=compile.find_compiler())
    return {name: output["contracts"][unit][name]["storageLayout"] for name, unit in units.items()}


@pytest.mark.parametrize(
    ("contract", "slots"),
    [("Points", POINTS), ("Exchange", EXCHANGE), ("Factory", {"isProgramme": layout.IS_PROGRAMME})],
)
def test_slots_are_where_the_compiler_put_them(
    contract: str, slots: dict[str, int], layouts: dict[str, dict[str, Any]]
) -> None:
    made = {each["label"]: int(each["slot"]) for each in layouts[contract]["storage"]}
    assert made.keys() - slots.keys() <= {"_allowances"}  # which nobody proves
    assert {name: made[name] for name in slots} == slots


def test_words_are_packed_as_the_auditor_packs_them(layouts: dict[str, dict[str, Any]]) -> None:
    made = {
        kind["label"].split(".")[-1].removeprefix("struct "): " ".join(
            f"{each['label']} {each['slot']}:{each['offset']}" for each in kind["members"]
        )
        for contract in layouts.values()
        for kind in (contract["types"] or {}).values()
        if "members" in kind
    }
    assert made == PACKED
