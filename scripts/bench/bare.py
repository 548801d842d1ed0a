"""What there would be without us: a FastAPI handler that inserts a purchase and its key in a transaction of its own.

`python -m scripts.bench.bare`: as many workers as the gateway, the same server, loop, parser and tables, and no
key, rule, scope, limit, log, signature or row-level security. Database and port come from the gateway's settings.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

import uvicorn
from fastapi import FastAPI, Header
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

_KEY = "insert into exchange.idempotency (scope, key, fingerprint, subject) values (%s, %s, '', %s)"
_PURCHASE = """
insert into exchange.purchase (merchant_id, id, reference, fingerprint, customer_id, holder, amount_minor, store,
    purchased_at, points, rule_version, salt, accepted_at, mint_by, signature, commitment)
values (%s, %s, %s, '', %s, %s, %s, %s, %s, %s, 1, %s, 0, 0, %s, %s)
"""


class Purchase(BaseModel):
    reference: str
    member: str
    amount: str
    currency: str
    store: str
    purchased_at: datetime


class Accepted(BaseModel):
    id: UUID
    points: int


def application() -> FastAPI:
    merchant, customer = UUID(os.environ["BARE_MERCHANT"]), UUID(os.environ["BARE_CUSTOMER"])
    pool = AsyncConnectionPool(os.environ["POINTS_DATABASE_URL"], min_size=10, max_size=10, open=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/purchases", status_code=201)
    async def report(body: Purchase, idempotency_key: str = Header()) -> Accepted:
        made, amount = uuid4(), round(float(body.amount) * 100)
        async with pool.connection() as connection:
            await connection.execute(_KEY, (str(merchant), idempotency_key, made))
            await connection.execute(
                _PURCHASE,
                (
                    merchant, made, body.reference, customer, bytes(20), amount, body.store, body.purchased_at, amount,
                    bytes(16), bytes(65), bytes(32),
                ),
            )  # fmt: skip
        return Accepted(id=made, points=amount)

    return app


if __name__ == "__main__":
    uvicorn.run(
        "scripts.bench.bare:application",
        factory=True,
        port=int(os.environ["POINTS_PORT"]),
        workers=int(os.environ["POINTS_WORKERS"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
