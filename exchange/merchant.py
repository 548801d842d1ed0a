"""A merchant as the rest of the gateway sees it: one row, with its keys sealed. Holds no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self
from uuid import UUID

from exchange import vault


@dataclass(frozen=True, slots=True)
class Merchant:
    id: UUID
    slug: str
    name: str
    symbol: str
    currency: str
    minor_digits: int
    programme: bytes
    owner: bytes
    owner_key: bytes | None
    issuer: bytes
    issuer_key: bytes
    entry_cap: int
    supply_cap: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row with `COLUMNS`."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values.update(entry_cap=int(row["entry_cap"]), supply_cap=int(row["supply_cap"]))
        return cls(**values)

    def issuer_secret(self, master: bytes) -> bytes:
        return vault.unseal(master, self.issuer_key, purpose=f"issuer:{self.id}")

    def owner_secret(self, master: bytes) -> bytes | None:
        """None when the merchant keeps its own key."""
        if self.owner_key is None:
            return None
        return vault.unseal(master, self.owner_key, purpose=f"owner:{self.id}")


COLUMNS = ", ".join(f"m.{field.name}" for field in fields(Merchant))
"""For a select from `exchange.merchant m`."""
