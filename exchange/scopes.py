"""What API keys may do: the scopes of each role, and sets of them for what people make keys for. Pure.

A route names the scope that it needs, for each role that may call it at all (`exchange/api/access.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from exchange.errors import Forbidden, InvalidRequest

Role = Literal["operator", "merchant", "auditor"]

Scope = Literal[
    "purchases:read",  # purchases, refunds and holds
    "purchases:write",
    "refunds:write",
    "holds:write",  # authorise, capture and release: a till takes points
    "customers:read",
    "customers:write",  # enrol
    "customers:profile",  # names, addresses, consents; export
    "customers:erase",
    "customers:act",  # send, redeem, swap and give for card customers
    "customers:unlock",  # one-time codes for card customers, and unlocking their PINs
    "programme:read",
    "programme:write",  # quotes and partners: what the points are worth, hence the margin
    "keys:read",
    "keys:write",
    "merchants:write",  # the operator's: onboard merchants, hand out and revoke their keys
    "margin:write",
    "charities:write",
    "openings:write",  # opening balances: points for no sale
    "margin:withdraw",  # out of the margin, after a week's notice
    "points:recover",  # of a holder who lost the key, after two weeks' notice
    "webhooks:read",
    "webhooks:write",  # where events are sent
]

SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    "merchant": frozenset(
        (
            "purchases:read", "purchases:write", "refunds:write", "holds:write", "customers:read", "customers:write",
            "customers:act", "customers:unlock", "customers:profile", "customers:erase", "programme:read",
            "programme:write", "keys:read", "keys:write", "openings:write", "margin:withdraw", "points:recover",
            "webhooks:read", "webhooks:write",
        )
    ),
    "operator": frozenset(
        (
            "merchants:write", "margin:write", "charities:write", "customers:read", "customers:erase",
            "programme:read", "programme:write", "keys:read", "keys:write",
        )
    ),
    "auditor": frozenset(("programme:read", "keys:read")),
}  # fmt: skip

Preset = Literal["till", "shop", "reader", "all"]

_TILL: Final[frozenset[Scope]] = frozenset(
    ("purchases:read", "purchases:write", "refunds:write", "holds:write", "customers:read", "customers:write")
)
_READER: Final[frozenset[Scope]] = frozenset(
    ("purchases:read", "customers:read", "programme:read", "keys:read", "webhooks:read")
)


def scopes_of(preset: Preset, role: Role) -> frozenset[Scope]:
    """A till reports, refunds and takes points; a shop also acts for card customers; a reader changes nothing."""
    if preset == "all":
        return SCOPES[role]
    if preset == "reader":
        return _READER & SCOPES[role]
    if role != "merchant":
        raise InvalidRequest(f'The preset "{preset}" is for keys of merchants.', field="preset")
    return _TILL if preset == "till" else _TILL | {"customers:act"}


def require_of_role(scopes: Collection[str], role: Role) -> None:
    """Raises `InvalidRequest` for a scope that keys of this role never have."""
    if foreign := sorted(set(scopes) - SCOPES[role]):
        raise InvalidRequest(f"A key of the role {role} cannot have {', '.join(foreign)}.", field="scopes")


def require_held(scopes: Collection[str], held: Collection[str]) -> None:
    """Raises `Forbidden` if a key would grant what it has not."""
    if missing := sorted(set(scopes) - set(held)):
        raise Forbidden(f"This API key has no {', '.join(missing)}, so it cannot give it to another.")
