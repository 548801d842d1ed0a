"""The gateway's figures for Prometheus, and a line in the log for every request that changes or refuses something.

A registry of its own per application, so that tests and workers do not share: with several workers each answers
`/metrics` for itself; scrape them one by one, or add up over time. A line names its request (`X-Request-Id`, the
caller's or ours), the route, never the address with what it may hold of a person, and what the use case bound: the id
of the purchase, refund or intent, by which `points trace` finds the rest of the way.
"""

from __future__ import annotations

import re
import time
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SILENT: Final = frozenset({"GET", "HEAD", "OPTIONS"})


_log = structlog.get_logger(__name__)


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
    """Pure-ASGI middleware: counts and times every request under its route, not its path, and names it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500
        start = time.perf_counter()
        request = _request_id(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request.decode())

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request)]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route, seconds = getattr(scope.get("route"), "path", "none"), time.perf_counter() - start
            self.metrics.requests.labels(scope["method"], route, status).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            if status >= 400 or scope["method"] not in _SILENT:
                milliseconds = round(seconds * 1000, 1)
                _log.info("answered", method=scope["method"], route=route, status=status, milliseconds=milliseconds)


def _request_id(scope: Scope) -> bytes:
    """The caller's, if it is a plain one, or a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return bytes(given) if _REQUEST_ID.fullmatch(given) else str(uuid7()).encode()
