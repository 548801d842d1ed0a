"""Every route of the application with what it says about who may call it, and a way to call it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from exchange.api.access import Policy, Requires, SignedIn
from exchange.scopes import Role, Scope

DESCRIPTION = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
"""FastAPI's own pages: they describe the API, and hold nothing else."""


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    policies: tuple[Policy, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def needs(self) -> dict[Role, Scope]:
        """By role, of the roles that may call it; empty if it is public."""
        [policy] = self.policies
        if not isinstance(policy, Requires):
            return {}
        found: dict[Role, Scope | None] = {
            "merchant": policy.merchant, "operator": policy.operator, "auditor": policy.auditor,
        }  # fmt: skip
        return {role: scope for role, scope in found.items() if scope is not None}

    @property
    def customers(self) -> bool:
        """Whether it is for customers that have signed in."""
        return isinstance(self.policies[0], SignedIn)

    def url(self, **names: str) -> str:
        """With `names` in its path; the others name nothing."""
        return re.sub(r"{(\w+)}", lambda match: names.get(match[1], str(uuid4())), self.path)


def routes(app: FastAPI) -> list[Route]:
    found = []
    for route in _flat(app.routes):
        if getattr(route, "path", None) in DESCRIPTION:
            continue
        assert isinstance(route, APIRoute), f"{route} is no route of ours"
        found += [
            Route(method, route.path, tuple(_policies(route.dependant))) for method in sorted(route.methods or ())
        ]
    return found


def _flat(items: Any) -> Iterator[Any]:
    """FastAPI keeps a router that was included whole; ours are included as they are, with nothing added."""
    for each in items:
        inner = getattr(each, "original_router", None)
        if inner is None:
            yield each
        else:
            yield from _flat(inner.routes)


def _policies(dependant: Dependant) -> Iterator[Policy]:
    if isinstance(dependant.call, Policy):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _policies(inner)
