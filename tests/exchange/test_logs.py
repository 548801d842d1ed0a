"""What is logged of an error tells where it was, and nothing of whose row it was."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import psycopg
import pytest
import structlog

from exchange import logs


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a program would write to standard output."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    logs.configure()
    yield written
    structlog.reset_defaults()


def test_a_logged_traceback_leaves_out_the_values_of_refused_rows(database: str, output: io.StringIO) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table card (number text primary key check (number like 'mark%'))")
        connection.execute("insert into card values ('mark-of-jane')")
        for value in ("mark-of-jane", "jane-unmarked"):
            with pytest.raises(psycopg.errors.IntegrityError, match=value) as refused:  # PostgreSQL tells, we do not
                connection.execute("insert into card values (%s)", (value,))
            outer = RuntimeError("while a card was stored")
            outer.__cause__ = refused.value
            structlog.get_logger().error("broken", exc_info=outer)
    said = output.getvalue()
    assert len(said.splitlines()) == 2
    for line in said.splitlines():
        shown = json.loads(line)["exception"]
        assert "while a card was stored" in shown
        assert "psycopg.errors" in shown
        assert "card_" in shown, "which constraint it was"
    assert "mark-of-jane" not in said
    assert "jane-unmarked" not in said
