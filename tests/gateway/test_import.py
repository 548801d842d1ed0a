"""`points import` brings whole files along: each row once, through kills, in constant memory, refusals named."""

from __future__ import annotations

import asyncio
import csv
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from scripts.importing import Row, Unreadable, read
from tests.gateway.conftest import Client, Shop
from tests.gateway.serving import points, serving


def rows(path: Path) -> list[Row]:
    return [row for row, _ in read(path)]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- reading


def test_a_csv_file_is_read_with_its_line_numbers(tmp_path: Path) -> None:
    text = '\ufeffMember,points,email\n"a, b",1.00,x\n\nc , 2,y\n'
    first, second = rows(write(tmp_path / "f", text))
    assert (first.number, dict(first.fields)) == (2, {"member": "a, b", "points": "1.00"})
    assert (second.number, dict(second.fields)) == (4, {"member": "c", "points": "2"})


def test_a_line_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    text = b'member,points\na,1\nb\nc\xff,1\nd,1,2\n"e"x,1\nf,1\n'
    found = rows(write(tmp_path / "f", text))
    assert [(row.number, row.problem is None) for row in found] == [
        (2, True), (3, False), (4, False), (5, False), (6, False), (7, True),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "member\n", "who,points\n", "member,points,points\n"])
def test_a_file_without_the_columns_is_no_import(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unreadable, match="member and points"):
        rows(write(tmp_path / "f", text))


def test_a_parquet_file_is_read_whatever_exact_type_its_points_have(tmp_path: Path) -> None:
    for values in (["1.50", "2"], [Decimal("1.50"), Decimal("2.00")], [1, 2]):
        table = pyarrow.table({"member": ["a", "b"], "points": values, "reference": ["r", None], "email": ["x", "y"]})
        parquet.write_table(table, tmp_path / "f.parquet")
        first, second = rows(tmp_path / "f.parquet")
        assert (first.number, first.fields) == (1, {"member": "a", "points": str(values[0]), "reference": "r"})
        assert (second.number, second.fields) == (2, {"member": "b", "points": str(values[1])})


def test_points_that_are_floats_are_refused_as_a_whole(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"member": ["a"], "points": [0.1]}), tmp_path / "f")
    with pytest.raises(Unreadable, match="points is double"):
        rows(tmp_path / "f")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        with (tmp_path / "big").open("w") as file:
            file.write("member,points\n")
            file.writelines(f"card-{number},12.34\n" for number in range(count))
        tracemalloc.start()
        for _ in read(tmp_path / "big"):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    small, large = peak(2_000), peak(60_000)
    assert large < small + 100_000, (small, large)


# --- the whole command, on a gateway of its own


def stored(client: Client) -> dict[str, int]:
    found = client.chain.run("select reference, points from exchange.purchase where kind = 'opening'")
    return {row["reference"]: row["points"] for row in found}


def run(client: Client, shop: Shop, url: str, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    process = points(
        client.settings, url, tmp_path / "data", "import", shop.slug, *arguments, POINTS_MERCHANT_KEY=shop.key
    )
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


@pytest.mark.asyncio
async def test_a_file_is_tried_dry_and_then_imported_but_for_its_bad_rows(client: Client, tmp_path: Path) -> None:
    shop = await client.shop()
    file = write(tmp_path / "old.csv", "member,points\na,1.50\nb,nonsense\nc,2\nd\na,1.50\n")
    with serving(client.settings) as url:
        code, said = run(client, shop, url, tmp_path, str(file), "--enrol", "--dry-run")
        assert (code, stored(client)) == (1, {}), said
        assert "Dry run" in said
        code, said = run(client, shop, url, tmp_path, str(file), "--enrol")
        assert (code, stored(client)) == (1, {"opening/a": 150, "opening/c": 200}), said
        with (tmp_path / "old.csv.errors.csv").open(newline="") as beside:
            refused = list(csv.DictReader(beside))
        assert [(each["row"], each["member"], each["type"]) for each in refused] == [
            ("3", "b", "invalid-amount"), ("5", "d", "unreadable"),
        ]  # fmt: skip
        assert all(len(each["reason"]) > 20 for each in refused)
        write(file, "member,points\na,1.50\nb,3\nc,2\n")
        code, said = run(client, shop, url, tmp_path, str(file), "--enrol")
        assert (code, stored(client)["opening/b"], len(stored(client))) == (0, 300, 3), said
        assert not (tmp_path / "old.csv.errors.csv").exists()
        other = await client.shop("other")
        code, said = run(client, Shop("", "grocer", b"", other.key, {}), url, tmp_path, str(file))
        assert (code, "not of" in said) == (2, True), said


@pytest.mark.asyncio
async def test_an_import_that_is_killed_is_run_again_and_adds_nothing_twice(client: Client, tmp_path: Path) -> None:
    shop = await client.shop()
    count = 6_000
    table = pyarrow.table({
        "member": [f"card-{number}" for number in range(count)], "points": [Decimal(number) for number in range(count)],
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "f.parquet")
    arguments = ("import", shop.slug, str(tmp_path / "f.parquet"), "--enrol")
    with serving(client.settings) as url:
        killed = points(client.settings, url, tmp_path / "data", *arguments, POINTS_MERCHANT_KEY=shop.key)
        while not 1_000 <= len(stored(client)) < count:
            assert killed.poll() is None, killed.communicate()
            await asyncio.sleep(0.02)
        killed.kill()
        killed.communicate()
        code, said = run(client, shop, url, tmp_path, str(tmp_path / "f.parquet"), "--enrol")
    assert code == 0, said
    assert stored(client) == {f"opening/card-{number}": number * 100 for number in range(count)}
    assert client.counts()["customer"] == count
