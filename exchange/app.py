"""The application: settings in, FastAPI out. Nothing is opened before the lifespan begins, nothing is global."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI

from contracts import deployment
from contracts.rpc import Rpc
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
    liability,
    margin,
    me,
    merchants,
    openings,
    pins,
    privacy,
    problems,
    profiles,
    proofs,
    purchases,
    recoveries,
    refunds,
    signin,
    statements,
    webhooks,
)
from exchange.api.bounds import Bounded
from exchange.database import connect, refuse_unsafe_login
from exchange.gateway import Gateway
from exchange.gathering import Gathering
from exchange.hashing import Hashing
from exchange.limits import make_limits
from exchange.metrics import Measured, Metrics
from exchange.settings import Settings, refuse_unsafe_origin
from exchange.streams import Streams

APART: Final = 0.01
"""Seconds between rounds of look-ups of keys, and between rounds of a merchant's purchases, in each worker."""

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
        refuse_unsafe_origin(settings)
        await refuse_unsafe_login(settings)
        database, rpc = connect(settings), Rpc(settings.rpc_url, timeout=settings.rpc_timeout)
        app.state.gateway = Gateway(
            settings=settings,
            database=database,
            deployment=deployment.load(settings.deployment),
            metrics=metrics,
            limits=make_limits(settings),
            clock=clock,
            streams=Streams(),
            keys=Gathering(partial(auth.callers, database), apart=APART),
            purchases=Gathering(purchases_together.accept_round, apart=APART),
            rpc=rpc,
            hashing=Hashing(),
        )
        await database.open()
        try:
            async with rpc:
                yield
        finally:
            await database.close()

    app = FastAPI(title="points-exchange", version="1", description=DESCRIPTION, lifespan=lifespan)
    # Routes of several customers come before those of one, which would take "intents" or "find" for an id.
    for router in (
        purchases.reporting, purchases.router, refunds.router, openings.router, custody.router, pins.router,
        pins.rules, profiles.router,
        customers.router, customers.holders, privacy.router, intents.router, intents.quotes, merchants.router,
        merchants.programmes, keys.router, keys.own, charities.router, charities.campaigns, holds.router,
        webhooks.router, statements.router, liability.router, expiry.router, margin.router, recoveries.router,
        signin.ups, signin.router, me.router, privacy.own, proofs.purchases, proofs.holders, proofs.own, health.router,
    ):  # fmt: skip
        app.include_router(router)
    problems.install(app, metrics)
    app.add_middleware(Bounded)
    app.add_middleware(Measured, metrics=metrics)
    return app
