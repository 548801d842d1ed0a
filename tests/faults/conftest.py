"""A database server and a chain that these tests may kill, which no other test shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from contracts.deployment import Deployment
from tests.faults.processes import Postgres, own_postgres
from tests.faults.world import deployed


@pytest.fixture(scope="session")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, Path]:
    return deployed(tmp_path_factory.mktemp("contracts"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with own_postgres() as made:
        yield made


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """With an empty database `world`."""
    admin = postgres_server.admin
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database if exists world with (force)")
        connection.execute("create database world")
    postgres_server.kills.clear()
    return postgres_server
