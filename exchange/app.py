"""The application: settings in, FastAPI out. Nothing is opened before the lifespan begins, nothing is global."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from contracts import deployment
from exchange import auth, purchases_together
from exchange.api import (
    charities,
    custody,
    customers,
    expiry,
    health,
    holds,
    intents,
    keys,
    margin,
    merchants,
    openings,
    problems,
    purchases,
    refunds,
    statements,
    webhooks,
)
from exchange.api.bounds import Bounded
from exchange.database import connect, refuse_unsafe_login
from exchange.gateway import Gateway
from exchange.gathering import Gathering
from exchange.limits import make_limits
from exchange.metrics import Measured, Metrics
from exchange.settings import Settings
from exchange.streams import Streams

DESCRIPTION = """
Every merchant's loyalty points are a token that the merchant alone issues; customers earn, spend, send, swap and give
them away without gas. Amounts are decimal strings. Refusals are RFC 9457 problems with a stable `type` and what to do.
Answers that report the chain's state say `as_of` which block. A purchase or an intent goes through
`accepted`, `submitted`, `confirmed` and `final`.
"""


def create_app(settings: Settings, *, clock: Callable[[], float] = time.time) -> FastAPI:
    """`clock` answers Unix seconds; tests pass their own."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await refuse_unsafe_login(settings)
        database = connect(settings)
        app.state.gateway = Gateway(
            settings=settings,
            database=database,
            deployment=deployment.load(settings.deployment),
            metrics=metrics,
            limits=make_limits(settings),
            clock=clock,
            streams=Streams(),
            keys=Gathering(partial(auth.callers, database)),
            purchases=Gathering(purchases_together.accept_round),
        )
        await database.open()
        try:
            yield
        finally:
            await database.close()

    app = FastAPI(title="points-exchange", version="1", description=DESCRIPTION, lifespan=lifespan)
    # The bulk route of custodial acts comes before the routes of one customer, which would take "intents" for an id.
    for router in (
        purchases.reporting, purchases.router, refunds.router, openings.router, custody.router, customers.router,
        customers.holders, intents.router, intents.quotes, merchants.router, merchants.programmes, keys.router,
        keys.own, charities.router, charities.campaigns, holds.router, webhooks.router, statements.router,
        expiry.router, margin.router, health.router,
    ):  # fmt: skip
        app.include_router(router)
    problems.install(app, metrics)
    app.add_middleware(Bounded)
    app.add_middleware(Measured, metrics=metrics)
    return app
