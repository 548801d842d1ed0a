"""Programmes: an address commits to every parameter, and anybody may pay for the creation."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import bindings
from contracts.bindings import Limits, ProgrammeCreated, Roles, Terms
from tests.contracts.world import Refused, World, person

OWNER, ISSUER = person("owner").address, person("issuer").address
NAME, SYMBOL = b"Grocer's Thank-you".ljust(32, b"\0"), b"GRO".ljust(32, b"\0")


def parameters(**changed: object) -> dict[str, Any]:
    plain = {"name": NAME, "symbol": SYMBOL, "roles": Roles(OWNER, ISSUER), "limits": Limits(1, 2, 3, 4)}
    return plain | {"terms": Terms(5, 6), "salt": bytes(32)} | changed


def place(world: World, **changed: object) -> bytes:
    call = bindings.factory_address_of(**parameters(**changed))
    return bindings.factory_address_of_result(world.chain.ask(world.factory, call))


def test_a_programme_is_created_where_it_was_foretold(world: World) -> None:
    expected = place(world)
    (created,) = world.chain.do(world.factory, bindings.factory_create(**parameters()), sender=8)
    assert created == ProgrammeCreated(expected, OWNER, ISSUER, NAME, SYMBOL, 5, 6)
    ask = world.chain.ask
    known = bindings.factory_is_programme(account=expected)
    assert bindings.factory_is_programme_result(ask(world.factory, known))
    assert not bindings.factory_is_programme_result(ask(world.factory, bindings.factory_is_programme(account=OWNER)))
    assert bindings.points_name_result(ask(expected, bindings.points_name())) == "Grocer's Thank-you"
    assert bindings.points_symbol_result(ask(expected, bindings.points_symbol())) == "GRO"
    assert bindings.points_exchange_result(ask(expected, bindings.points_exchange())) == world.exchange
    assert bindings.factory_exchange_result(ask(world.factory, bindings.factory_exchange())) == world.exchange


def test_the_address_depends_on_every_parameter(world: World) -> None:
    variants: list[dict[str, object]] = [
        {},
        {"name": SYMBOL},
        {"symbol": NAME},
        {"roles": Roles(ISSUER, ISSUER)},
        {"roles": Roles(OWNER, OWNER)},
        {"limits": Limits(2, 2, 3, 4)},
        {"limits": Limits(1, 1, 3, 4)},
        {"limits": Limits(1, 2, 2, 4)},
        {"limits": Limits(1, 2, 3, 3)},
        {"terms": Terms(6, 6)},
        {"terms": Terms(5, 7)},
        {"salt": b"\1" * 32},
    ]
    assert len({place(world, **variant) for variant in variants}) == len(variants)


def test_the_same_programme_is_not_created_twice(world: World) -> None:
    world.chain.do(world.factory, bindings.factory_create(**parameters()))
    with pytest.raises(Refused, match=rf"AlreadyCreated\(programme=0x{place(world).hex()}\)"):
        world.chain.do(world.factory, bindings.factory_create(**parameters()))


@pytest.mark.parametrize("name", [bytes(32), b"x" * 32, b"a\0b".ljust(32, b"\0"), b"\0a".ljust(32, b"\0")])
def test_names_are_short_strings_aligned_left(world: World, name: bytes) -> None:
    for field in ("name", "symbol"):
        with pytest.raises(Refused, match="InvalidName"):
            world.chain.do(world.factory, bindings.factory_create(**parameters(**{field: name})))


def test_a_name_may_fill_its_31_bytes(world: World) -> None:
    name = "31 Bytes, davon Umlaute: äöü".encode().ljust(32, b"\0")
    assert name[30] != 0
    (created,) = world.chain.do(world.factory, bindings.factory_create(**parameters(name=name)))
    assert isinstance(created, ProgrammeCreated)
    answer = world.chain.ask(created.programme, bindings.points_name())
    assert bindings.points_name_result(answer) == "31 Bytes, davon Umlaute: äöü"
