"""Seeded lives of an indexer on a simulated chain: `SEED`, `N` reorganisations (`make reorgs`), and how they end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from itertools import cycle
from multiprocessing import get_context
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import uvloop

from indexer import pack, project, source, store, window
from indexer.blocks import Block
from indexer.pack import Packed
from indexer.project import Known
from indexer.source import Answer
from tests.indexer.faults import FORKING, HONEST, Faults
from tests.indexer.simulator import KINDS, Counts, Temper, life, lives

SEED = os.environ.get("SEED", "1")
N = int(os.environ.get("N", "200"))
FALSE = int(os.environ.get("FALSE", "100"))
PROCESSES = int(os.environ.get("PROCESSES", "2"))
LIFE = 250
"""Reorganisations in each life of a long campaign."""
MOST = 12
"""Lives of the short form, which ends when every kind of thing has happened."""

HELL = Temper(Faults(FORKING, 0.25), crashes=0.03, cuts=0.003, window=150, move=0.06, halts=True)
TWO = Temper(Faults(FORKING, 0.03), crashes=0.005, drops=0.004, window=12, writers=2, halts=True)
HONEST_NODES = Temper(Faults((*HONEST, *3 * ("lagging", "head back")), 0.3), crashes=0.005, window=40, forks=False)
BALANCED = Temper(Faults(HONEST, 0.02), window=40, forks=False, balanced=True)


@pytest.fixture
def databases(postgres_url: str, database: str) -> Iterator[list[tuple[str, str]]]:
    """For each process, a database of the mirror that lives and one of fresh mirrors."""
    names = [f"{urlsplit(database).path[1:]}_{number}" for number in range(2 * PROCESSES)]
    urls = [urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")) for name in names]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f'create database "{name}"'.encode())
    yield list(zip(urls[::2], urls[1::2], strict=True))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f'drop database "{name}" with (force)'.encode())


def test_whatever_chain_and_nodes_do_the_mirror_holds_what_a_fresh_one_would(databases: list[tuple[str, str]]) -> None:
    """Every kind of fault, crash and reorganisation happens, or the test fails."""
    print(f"\nseed {SEED}, {N:,} reorganisations")  # noqa: T201
    counts = _campaign(databases) if N > 300 else _few(*databases[0])
    print(counts)  # noqa: T201
    assert counts.missing(KINDS) == []
    assert counts.reorganisations >= N
    assert counts.rollbacks > N / 3


def _few(url: str, fresh_url: str) -> Counts:
    """Lives that have everything in them, until all of it has happened."""
    counts = Counts()
    for number, (terms, times) in zip(range(MOST), cycle(((HELL, 150), (TWO, 30))), strict=False):
        counts.add(uvloop.run(life(f"{SEED}/short/{number}", url=url, fresh_url=fresh_url, times=times, terms=terms)))
        if counts.reorganisations >= N and not counts.missing(KINDS):
            break
    return counts


def _campaign(databases: list[tuple[str, str]]) -> Counts:
    """Lives in several processes, in portions of two, so that there is something to tell meanwhile."""
    counts, begun = Counts(), time.monotonic()
    everyone = range(-(-N // LIFE))
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        waiting = [everyone[start : start + 2] for start in range(0, len(everyone), 2)]
        free = list(databases)
        running: dict[Future[Counts], tuple[str, str]] = {}
        while waiting or running:
            while waiting and free:
                url, fresh_url = pair = free.pop()
                numbers = waiting.pop(0)
                running[pool.submit(lives, SEED, numbers, url=url, fresh_url=fresh_url, times=LIFE)] = pair
            done = next(as_completed(running))
            counts.add(done.result())
            free.append(running.pop(done))
            seconds = time.monotonic() - begun
            print(f"{seconds:7.0f} s  {counts.reorganisations:>9,} reorganisations, 0 differences", flush=True)  # noqa: T201
    return counts


@pytest.mark.parametrize("terms", [HONEST_NODES, BALANCED], ids=["faulty nodes", "behind a balancer"])
def test_nodes_that_lag_lie_or_begin_anew_are_never_taken_for_a_reorganisation(
    databases: list[tuple[str, str]], terms: Temper
) -> None:
    url, fresh_url = databases[0]
    counts = uvloop.run(life(f"{SEED}/false", url=url, fresh_url=fresh_url, times=FALSE, terms=terms))
    print(f"\nseed {SEED}, {FALSE:,} false heads\n{counts}")  # noqa: T201
    assert counts.false_heads >= FALSE
    assert counts.rollbacks == 0
    assert counts.missing([f"fault: {name}" for name in terms.faults.names]) == [] or terms.balanced


def _rollback_forgets_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_FOLDS", store._FOLDS[:-1])


def _rollback_forgets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PLACED", [table for table in store._PLACED if table.name != "partner"])
    store._delete_above.cache_clear()
    monkeypatch.setattr(store, "_delete_above", store._delete_above.__wrapped__)


def _logs_are_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trust(*_: object) -> None:
        return

    monkeypatch.setattr(source, "require_none_left_out", trust)


def _logs_are_not_checked_against_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(answer: Answer, known: Known) -> Packed:
        raw = source.raw_logs(answer.logs)
        pack.require_asked(answer, raw, known)
        logs = sorted(source.logs(raw), key=lambda log: (log.block, log.index))
        rows, known = project.project(logs, known)
        silent = answer.admitting - {log.block for log in logs}
        return Packed(
            answer.blocks, pack.lines(rows), len(logs), known,
            [block for block in answer.blocks if block.number in silent],
        )  # fmt: skip

    monkeypatch.setattr(pack, "pack", unchecked)


def _a_lower_head_is_a_reorganisation(monkeypatch: pytest.MonkeyPatch) -> None:
    def meaning(head: Block, *, tip: int, held: bytes | None) -> window.Head:
        found = real(head, tip=tip, held=held)
        return window.Head.SAME if found is window.Head.PARTED else found

    real = window.meaning
    monkeypatch.setattr(window, "meaning", meaning)


@pytest.mark.parametrize(
    "bug",
    [
        _rollback_forgets_margins,
        _rollback_forgets_a_table,
        _logs_are_not_asked_for_again,
        _logs_are_not_checked_against_headers,
        _a_lower_head_is_a_reorganisation,
    ],
    ids=lambda bug: bug.__name__.strip("_"),
)
def test_the_simulator_finds_bugs(
    databases: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, bug: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """A campaign that finds nothing says something only if it would find these."""
    url, fresh_url = databases[0]

    def some_lives() -> None:
        for number in range(6):
            uvloop.run(life(f"{SEED}/bug/{number}", url=url, fresh_url=fresh_url, times=100, terms=HELL))

    bug(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011 - some contradict the rows, some halt the indexer
        some_lives()
    print(f"\n{type(found.value).__name__}: {str(found.value)[:300]}")  # noqa: T201
