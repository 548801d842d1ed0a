"""Whether the process lives, whether it can serve, and its figures."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from exchange import history
from exchange.api.access import InGateway, unlimited
from exchange.api.forms import AsOf
from exchange.database import one as read_one
from exchange.errors import DatabaseUnavailable, MirrorUnavailable

router = APIRouter(tags=["health"], dependencies=[unlimited()])


class Alive(BaseModel):
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """`ready` needs all; purchases are accepted as long as the database is there."""

    ready: bool
    accepting: bool = Field(description="Whether purchases are accepted: needs the database only.")
    database: Literal["up", "down"]
    mirror: Literal["fresh", "stale", "empty", "unknown"]
    head_age: int | None = Field(description="Seconds since the mirror's newest block.")
    as_of: AsOf | None


@router.get("/healthz", summary="The process lives")
async def healthz() -> Alive:
    return Alive()


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}}, summary="The gateway can serve")
async def readyz(gateway: InGateway, response: Response) -> Ready:
    state = Ready(ready=False, accepting=False, database="down", mirror="unknown", head_age=None, as_of=None)
    response.status_code = 503
    try:
        async with gateway.database.reading("public") as sql:
            await read_one(sql, "select 1 as alive from exchange.programme limit 1")
            state = state.model_copy(update={"accepting": True, "database": "up"})
            newest = await history.head(sql)
    except DatabaseUnavailable:
        return state
    except MirrorUnavailable:
        return state.model_copy(update={"mirror": "empty"})
    if newest is None or newest["time"] is None:
        return state.model_copy(update={"mirror": "empty"})
    age = max(0, gateway.now() - newest["time"])
    gateway.metrics.head_age.set(age)
    fresh = age <= gateway.settings.max_head_age
    response.status_code = 200 if fresh else 503
    found = {"ready": fresh, "mirror": "fresh" if fresh else "stale", "head_age": age}
    return state.model_copy(update={**found, "as_of": AsOf.model_validate(history.as_of(newest))})


@router.get("/metrics", response_class=Response, summary="Figures for Prometheus")
async def metrics(gateway: InGateway) -> Response:
    return Response(gateway.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
