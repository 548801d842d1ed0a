"""The field types that requests and answers share. Amounts are decimal strings: a JSON number is refused."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Decimal = Annotated[
    str, StringConstraints(strict=True, max_length=80), Field(description="A decimal string.", examples=["12.34"])
]
Address = Annotated[
    str,
    StringConstraints(strict=True, max_length=80),
    Field(
        description="0x and 40 hex digits; mixed case is checked.",
        examples=["0xC5CF25B7296CAff543AF16b2Ed7AA85a21F5bc44"],
    ),
]
Hex = Annotated[str, StringConstraints(strict=True, max_length=400, pattern=r"^0x([0-9a-fA-F]{2})*$")]
Signature = Annotated[str, StringConstraints(strict=True, max_length=4_098, pattern=r"^0x([0-9a-fA-F]{2})*$")]
Slug = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$"),
    Field(description="Lower-case letters, digits and hyphens.", examples=["corner-grocer"]),
]
Reference = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200, pattern=_PRINTABLE),
    Field(description="The merchant's own number, unique there.", examples=["till-7/2026-11-21/0042"]),
]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, pattern=_PRINTABLE)]
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=31, pattern=_PRINTABLE)]
ProgrammeName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=64, pattern=_PRINTABLE),
    Field(description="A programme's slug or address.", examples=["corner-grocer"]),
]
LinkCode = Annotated[
    str,
    StringConstraints(strict=True, min_length=12, max_length=20, pattern=r"^[0-9A-Za-z-]+$"),
    Field(description="From POST /v1/customers/link-codes.", examples=["7KQ2-M4TX-91BC"]),
]
Seconds = Annotated[int, Field(strict=True, ge=0, lt=2**40, description="Unix seconds.")]
Nonce = Annotated[int, Field(strict=True, ge=0, lt=2**40)]


Pin = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[0-9]{4,12}$"),
    Field(description="A card's PIN, as the customer typed it; 4 to 12 digits. It is kept nowhere."),
]


class Form(BaseModel):
    """A request body: unknown fields are refused, for a misspelt one would be ignored in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AsOf(BaseModel):
    """The block that the answer is true for, and up to which nothing can change any more."""

    block: int = Field(examples=[1024])
    hash: str = Field(examples=["0x5fbdb2315678afecb367f032d93f642f64180aa3f6fbdb2315678afecb367f03"])
    finalized_block: int = Field(examples=[960])


class Placed(BaseModel):
    """Where something is on the chain."""

    block: int | None = None
    block_hash: str | None = None
    transaction: str | None = None


def answered(body: Any) -> Response:
    """JSON without a second look at its form: for answers that are large, or asked for often."""
    return Response(msgspec.json.encode(body), media_type="application/json")
