"""Contracts on an in-process chain, fresh for each test."""

from __future__ import annotations

import pytest

from tests.contracts.world import World, make_world


@pytest.fixture
def world() -> World:
    return make_world()
