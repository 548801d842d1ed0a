"""The gateway's figures for Prometheus: a registry of its own per application, so that tests and workers do not share.

With several workers each answers `/metrics` for itself; scrape them one by one, or add up over time.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "points_http_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "points_http_request_seconds",
            "Time to answer",
            ("route",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.purchases = Counter("points_purchases_accepted", "Purchases accepted", registry=self.registry)
        self.refunds = Counter("points_refunds_accepted", "Refunds accepted", registry=self.registry)
        self.intents = Counter("points_intents_accepted", "Intents accepted", ("kind",), registry=self.registry)
        self.refusals = Counter("points_refusals", "Problems answered, by type", ("type",), registry=self.registry)
        self.head_age = Gauge(
            "points_mirror_head_age_seconds",
            "Age of the mirror's newest block when last looked at",
            registry=self.registry,
        )

    def render(self) -> bytes:
        return generate_latest(self.registry)


class Measured:
    """Pure-ASGI middleware: counts and times every request under its route, not its path."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500
        start = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.requests.labels(scope["method"], route, status).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - start)
