"""What anybody is promised of `points audit` after `make up`: no settings, all proved, and a changed row is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg

from tests.system.network import Network
from tests.system.test_network import until


def has_final_batches(network: Network) -> bool:
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"]) as connection:
        row = connection.execute("select from mirror.batch b, mirror.cursor c where b.block <= c.finalized").fetchone()
        return row is not None


def audited(network: Network, output: Path) -> tuple[int, str, Any]:
    """Exit code, what was said, and the report."""
    command = network.points("audit", "--output", str(output))
    said, _ = command.communicate(timeout=120)
    return command.returncode, said, json.loads(output.read_text())["report"]


def test_a_running_network_is_proved_and_a_changed_row_is_found_in_its_place(network: Network, tmp_path: Path) -> None:
    until(lambda: has_final_batches(network), seconds=180)
    code, said, report = audited(network, tmp_path / "before.json")
    assert code == 0, said
    assert report["checks"]["batches"]["proved"] > 0
    assert report["checks"]["mirror"]["proved"] > 0
    with psycopg.connect(network.settings["POINTS_DATABASE_URL"], autocommit=True) as connection:
        change = "update mirror.batch set total = total + {} where (programme, number) = (%s, 1)"
        row = connection.execute(
            "select programme from mirror.batch where number = 1 order by block limit 1"
        ).fetchone()
        assert row is not None
        connection.execute(change.format(5).encode(), row)
        try:
            code, said, report = audited(network, tmp_path / "after.json")
        finally:
            connection.execute(change.format(-5).encode(), row)
    assert code == 1, said
    [found] = report["findings"]
    assert found["place"]["table"] == "batch"
    assert (found["place"]["programme"], found["place"]["column"]) == (f"0x{row[0].hex()}", "total")
