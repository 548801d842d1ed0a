"""What an operator watches of the relayer. Built by `main` around its own registry; nothing here is global."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass(frozen=True, slots=True)
class Metrics:
    batched: Counter
    queue: Gauge
    in_flight: Gauge
    included: Counter
    failures: Counter
    inclusion: Histogram


def make_metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(
        batched=Counter("points_relayer_purchases_batched", "Purchases put in a batch", registry=registry),
        queue=Gauge("points_relayer_calls_queued", "Calls that wait to be placed", registry=registry),
        in_flight=Gauge(
            "points_relayer_transactions_in_flight", "Signed or sent, not included", ["signer"], registry=registry
        ),
        included=Counter("points_relayer_transactions_included", "Receipts stored", ["signer"], registry=registry),
        failures=Counter(
            "points_relayer_calls_failed", "Calls refused, failed or to be tried again", ["fate", "reason"],
            registry=registry,
        ),
        inclusion=Histogram(
            "points_relayer_inclusion_seconds", "From the sending of a transaction to its receipt",
            buckets=(0.5, 1, 2, 3, 5, 10, 30, 60, 300), registry=registry,
        ),
    )  # fmt: skip
