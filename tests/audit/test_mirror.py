"""The mirror is compared with the chain cell by cell, and a clean one raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from scripts.audit import mirror as auditing
from scripts.audit.mirror import Connection, Mirror, snapshot
from scripts.audit.record import Finding, Record
from scripts.audit.rows import CURSOR, FOLDS, TABLES
from tests.audit.conftest import Lived
from tests.audit.world import Past

pytestmark = pytest.mark.asyncio


async def compare(connection: Connection, past: Past, *, last: int | None = None, **options: Any) -> Record:
    """The whole comparison, or that of the blocks up to `last`."""
    record = Record()
    mirror = Mirror(past.network, record)
    if await mirror.begin(connection):
        for block, acts in past.history:
            if last is None or block.number <= last:
                await mirror.add(block, acts)
        await mirror.end(**options)
    return record


async def judged(lived: Lived, *changes: str, last: int | None = None, **options: Any) -> Record:
    """As if somebody had made these changes, which are then undone."""
    async with await psycopg.AsyncConnection.connect(lived.database) as connection:
        for change in changes:
            await connection.execute(change.encode())
        await auditing.prepare(connection)
        record = await compare(connection, lived.past, last=last, **options)
        await connection.rollback()
    return record


def places(found: list[Finding]) -> list[dict[str, int | str]]:
    return [each.place for each in found]


async def test_a_mirror_that_nobody_touched_is_equal(lived: Lived) -> None:
    async with snapshot(lived.database) as connection:
        record = await compare(connection, lived.past)
        counts = {}
        for name in (*TABLES, *FOLDS, CURSOR.name):
            cursor = await connection.execute(f"select count(*) from mirror.{name}".encode())  # noqa: S608
            counts[name] = (await cursor.fetchone() or (0,))[0]
    assert (record.findings, record.doubts) == ([], [])
    assert min(counts.values()) > 0, counts
    assert record.tallies["mirror"].proved == sum(counts.values()) - counts["cursor"]


async def test_every_stretch_is_compared_however_short(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "STRETCH", 1)
    record = await judged(lived)
    assert (record.findings, record.doubts) == ([], [])
    record = await judged(lived, "update mirror.quote set ask = ask + 1")
    assert {place["column"] for place in places(record.findings)} == {"ask"}


async def test_a_mirror_that_is_ahead_is_judged_up_to_the_block_and_its_sums_whole(lived: Lived) -> None:
    middle = lived.past.anchor.number // 2
    record = await judged(lived, last=middle)
    assert (record.findings, record.doubts) == ([], [])
    [(holder,)] = await rows(lived, "select holder from mirror.balance order by amount desc limit 1")
    record = await judged(
        lived,
        f"update mirror.balance set amount = amount + 1 where holder = '\\x{holder.hex()}'",  # noqa: S608
        last=middle,
    )
    assert [place["holder"] for place in places(record.findings)] == [f"0x{holder.hex()}"]


REWIND = (
    *(f"delete from mirror.{table.name} where {table.block} > {{0}}" for table in TABLES.values()),  # noqa: S608
    "update mirror.cursor set next_block = {0} + 1, finalized = least(finalized, {0}),"
    " tip = (select hash from mirror.block where number = {0})",
    *(
        f"truncate mirror.{fold.name}" for fold in FOLDS.values()
    ),
    "insert into mirror.balance select holder, programme, sum(delta) from mirror.entry group by 1, 2"
    " having sum(delta) <> 0",
    "insert into mirror.supply select programme, sum(delta) from mirror.entry group by 1 having sum(delta) <> 0",
    "insert into mirror.margin select account, sum(delta) from mirror.movement group by 1 having sum(delta) <> 0",
)  # fmt: skip
"""What is left of a mirror that has not come further than a block."""


async def test_a_mirror_that_is_behind_is_judged_up_to_its_cursor_and_said_to_be_behind(lived: Lived) -> None:
    there = lived.past.anchor.number - 40
    behind = [statement.format(there) for statement in REWIND]
    record = await judged(lived, *behind)
    assert [(each.check, each.place) for each in record.findings] == [("freshness", {"block": there})]
    record = await judged(lived, *behind, tolerated=40)
    assert record.findings == []


async def rows(lived: Lived, query: str) -> list[tuple[Any, ...]]:
    async with snapshot(lived.database) as connection:
        return await (await connection.execute(query.encode(), binary=True)).fetchall()


async def test_a_null_is_no_empty_value_and_an_empty_value_no_null(lived: Lived) -> None:
    record = await judged(lived, "update mirror.entry set intent = '' where kind = 'earned'")
    assert places(record.findings)[0]["column"] == "intent"
    assert (places(record.findings)[0]["found"], places(record.findings)[0]["expected"]) == ("0x", "None")


async def test_rows_below_the_first_block_and_above_the_last_are_too_many(lived: Lived) -> None:
    for block in (-7, lived.past.anchor.number + 1):
        record = await judged(lived, f"insert into mirror.life values ({block}, 0, '\\x00', 1)")  # noqa: S608
        assert [(each["table"], each["block"]) for each in places(record.findings)] == [("life", block)]


async def test_a_row_twice_is_found_where_no_key_forbids_it(lived: Lived) -> None:
    record = await judged(
        lived,
        "alter table mirror.redemption drop constraint redemption_pkey",
        "insert into mirror.redemption select * from mirror.redemption",
    )
    assert [each["table"] for each in places(record.findings)] == ["redemption"]


async def test_what_the_audit_does_not_know_is_a_doubt_and_what_it_misses_a_finding(lived: Lived) -> None:
    more = await judged(lived, "create table mirror.more (id int)", "alter table mirror.fee add column more int")
    assert (more.findings, [each.place for each in more.doubts]) == (
        [], [{"table": "more"}, {"table": "fee", "column": "more"}],
    )  # fmt: skip
    less = await judged(lived, "alter table mirror.fee drop column account")
    assert places(less.findings) == [{"table": "fee", "column": "account"}]
    other = await judged(lived, "alter table mirror.fee alter column fee_bps type text")
    assert places(other.findings) == [{"table": "fee", "column": "fee_bps"}]


@pytest.mark.parametrize(
    "hide",
    [
        lambda: ("alter table mirror.gift rename to gifts", "create view mirror.gift as select * from mirror.gifts"),
        lambda: ("alter table mirror.gift enable row level security",),
    ],
)
async def test_a_table_that_may_show_others_other_rows_is_a_doubt(
    lived: Lived, hide: Callable[[], tuple[str, ...]]
) -> None:
    record = await judged(lived, *hide())
    assert {"table": "gift"} in [each.place for each in record.doubts]


async def test_without_a_mirror_there_is_nothing_but_a_doubt(lived: Lived) -> None:
    record = await judged(lived, "drop schema mirror cascade")
    assert (record.findings, len(record.doubts), record.exit_code) == ([], 1, 2)
    record = await judged(lived, "delete from mirror.cursor")
    assert [each.place["table"] for each in record.findings] == ["cursor"]


async def test_a_block_that_is_called_final_and_is_not_is_found(lived: Lived) -> None:
    [(finalized,)] = await rows(lived, "select finalized from mirror.cursor")
    assert (await judged(lived, finalized=finalized)).findings == []
    record = await judged(lived, finalized=finalized - 1)
    assert [(each["table"], each["column"]) for each in places(record.findings)] == [("cursor", "finalized")]


async def test_of_a_lot_of_wrong_rows_the_first_are_shown_and_the_rest_counted(lived: Lived) -> None:
    record = await judged(lived, "update mirror.entry set delta = delta + 1")
    told = [each for each in record.findings if each.place.get("table") == "entry"]
    assert len(told) == auditing.SHOWN + 1
    assert "more rows differ" in told[-1].message
