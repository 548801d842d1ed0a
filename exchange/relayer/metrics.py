"""What an operator watches of the relayer. Built by `main` around its own registry; nothing here is global."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass(frozen=True, slots=True)
class Metrics:
    batched: Counter
    queue: Gauge
    queue_age: Gauge
    promise_age: Gauge
    paused: Gauge
    funds: Gauge
    in_flight: Gauge
    included: Counter
    failures: Counter
    inclusion: Histogram


def make_metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(
        batched=Counter("points_relayer_purchases_batched", "Purchases put in a batch", registry=registry),
        queue=Gauge("points_relayer_calls_queued", "Calls that wait to be placed", registry=registry),
        queue_age=Gauge("points_relayer_oldest_call_seconds", "Age of the oldest queued call", registry=registry),
        promise_age=Gauge(
            "points_relayer_oldest_purchase_seconds", "Age of the oldest purchase in no batch", registry=registry
        ),
        paused=Gauge("points_relayer_lane_paused", "1 while a key signs nothing", ["signer"], registry=registry),
        funds=Gauge("points_relayer_signer_ether", "What a key can pay for gas", ["signer"], registry=registry),
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
