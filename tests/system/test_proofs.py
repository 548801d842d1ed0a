"""A customer on the running network: takes a proof home, and verifies it with one file and nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from scripts.audit import verify
from tests.system.network import Network
from tests.system.test_network import base_units, until
from tests.system.test_privacy import rpc


def verified(network: Network, file: Any, path: Path) -> str:
    path.write_text(json.dumps(file))
    command = [sys.executable, "-I", "-S", verify.__file__, str(path), "--rpc", network.rpc_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_a_customer_verifies_a_receipt_and_a_balance_of_final_blocks_alone(network: Network, tmp_path: Path) -> None:
    grocer = network.partner("grocer")
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"]) as connection:
        row = connection.execute(
            "select p.id, p.holder, p.points from exchange.purchase p join exchange.merchant m on m.id = p.merchant_id"
            " where m.slug = 'grocer' and p.points > 0 and p.batch_number is not null order by p.id limit 1"
        ).fetchone()
    assert row is not None
    id, holder, points = str(row[0]), f"0x{row[1].hex()}", row[2]
    rpc(network, "anvil_mine", hex(70))

    def is_final() -> bool:
        return bool(network.get(f"/v1/purchases/{id}", key=grocer["key"])["status"] == "final")

    until(is_final)
    receipt = network.get(f"/v1/purchases/{id}/proof?entries=true", key=grocer["key"])
    assert receipt["as_of"]["block"] <= receipt["as_of"]["finalized_block"]
    said = verified(network, receipt, tmp_path / "receipt.json")
    assert said.startswith(f"proved: {points // 100}.{points % 100:02} points of {grocer['programme'].lower()}")
    assert f"minted in batch {receipt['batch']}, place {receipt['index']}" in said
    assert "the contract's code is a programme's, whose issuer signed" in said
    assert "the node says the block is final" in said
    balance = network.get(f"/v1/holders/{holder}/balances/{grocer['programme']}/proof")
    assert balance["as_of"]["block"] <= balance["as_of"]["finalized_block"]
    shown = network.get(f"/v1/holders/{holder}/balances")["balances"]
    held = next(each["points"] for each in shown if each["programme"].lower() == grocer["programme"].lower())
    assert base_units(held) == int(balance["balance_base_units"])
    assert "the node says the block is final" in verified(network, balance, tmp_path / "balance.json")
