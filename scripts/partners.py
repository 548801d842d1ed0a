"""The sample network: eight merchants, two charities, and which departments of the Complete Journey belong to whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Merchant:
    """A sample merchant. Money is in decimal strings, as the gateway takes it; bid and ask are dollars per point."""

    slug: str
    name: str
    symbol: str
    bid: str
    ask: str
    departments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Charity:
    slug: str
    name: str


MERCHANTS = (
    Merchant("grocer", "Corner Grocer", "GROC", "0.0098", "0.0100", ("GROCERY", "FROZEN GROCERY", "NUTRITION")),
    Merchant("greengrocer", "Green Market", "GREEN", "0.0097", "0.0101", ("PRODUCE",)),
    Merchant(
        "counter", "Fresh Counter", "FRESH", "0.0095", "0.0100",
        ("MEAT", "MEAT-PCKGD", "SEAFOOD", "SEAFOOD-PCKGD", "DELI", "PASTRY", "CHEF SHOPPE"),
    ),
    Merchant("drugstore", "Main Street Drugs", "DRUG", "0.0096", "0.0102", ("DRUG GM", "COSMETICS")),
    Merchant("fuel", "Roadside Fuel", "FUEL", "0.0049", "0.0051", ("FUEL", "AUTOMOTIVE")),
    Merchant("restaurant", "Salad & Grill", "GRILL", "0.0120", "0.0125", ("RESTAURANT", "SALAD BAR", "SPIRITS")),
    Merchant("florist", "Bloom Florist", "BLOOM", "0.0145", "0.0155", ("FLORAL", "GARDEN CENTER")),
    Merchant("emporium", "The Emporium", "EMPOR", "0.0090", "0.0100", ()),
)  # fmt: skip
"""Together they own every department: the last one takes whatever no other does."""

CHARITIES = (Charity("food-bank", "City Food Bank"), Charity("animal-shelter", "Animal Shelter"))

MARGIN = "250000.00"
"""What each programme deposits at the start, in the settlement token (dollars)."""


def merchant_of(department: str) -> Merchant:
    """The merchant that a department belongs to."""
    return next((each for each in MERCHANTS if department in each.departments), MERCHANTS[-1])
