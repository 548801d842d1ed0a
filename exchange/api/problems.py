"""How a refusal travels: RFC 9457 `application/problem+json`, one form for every error the gateway can answer.

Handlers here are the only ones. `documented` gives a route's OpenAPI the problems that it can answer, an example each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from exchange.errors import (
    DatabaseUnavailable,
    ExchangeError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestTooLarge,
    SignInNeeded,
    TooManyRequests,
    Unauthenticated,
)
from exchange.metrics import Metrics

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457. Branch on `type`, show `detail` and `action` to people. Further members may follow."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:points-exchange:problem:customer-not-found"])
    title: str = Field(description="The same for every problem of this type.")
    status: int
    detail: str = Field(description="What happened this time.")
    action: str = Field(description="What you can do.")


def respond(error: ExchangeError, headers: Mapping[str, str] | None = None) -> Response:
    sent = dict(headers or {})
    if error.retry_after is not None:
        sent["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        sent["WWW-Authenticate"] = "Bearer"
    if isinstance(error, SignInNeeded):
        sent["WWW-Authenticate"] = "Cookie"
    body = msgspec.json.encode(error.problem())
    return Response(body, status_code=error.status, media_type=MEDIA_TYPE, headers=sent)


def documented(*errors: type[ExchangeError]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: by status, one example for each problem. Every route can be called in a wrong form, with
    too large a body and too often, can meet a crowd, and can lose its database."""
    responses: dict[int | str, dict[str, Any]] = {}
    always: tuple[type[ExchangeError], ...] = (
        InvalidRequest, RequestTooLarge, TooManyRequests, Overloaded, DatabaseUnavailable,
    )  # fmt: skip
    for error in dict.fromkeys((*errors, *always)):
        entry = responses.setdefault(error.status, {"description": "", "content": {MEDIA_TYPE: {"examples": {}}}})
        entry["model"] = Problem
        example = {"summary": error.title, "value": error((error.__doc__ or error.title).strip()).problem()}
        entry["content"][MEDIA_TYPE]["examples"][error.slug] = example
        entry["description"] = "; ".join(item["summary"] for item in entry["content"][MEDIA_TYPE]["examples"].values())
    return responses


def from_validation(errors: Any) -> InvalidRequest:
    """Names the fields, never their values: a body may hold secrets."""
    fields = [
        {"field": ".".join(str(part) for part in error["loc"] if part != "body") or "body", "message": error["msg"]}
        for error in errors
    ]
    named = "; ".join(f"{field['field']}: {field['message']}" for field in fields[:5])
    return InvalidRequest(f"{named}.", fields=fields[:20])


def install(app: FastAPI, metrics: Metrics) -> None:
    def answer(error: ExchangeError, headers: Mapping[str, str] | None = None) -> Response:
        metrics.refusals.labels(error.slug).inc()
        structlog.contextvars.bind_contextvars(problem=error.slug)
        return respond(error, headers)

    @app.exception_handler(ExchangeError)
    async def refused(request: Request, error: ExchangeError) -> Response:  # noqa: ARG001
        if error.status >= 500:
            structlog.get_logger().error("refused", cause=repr(error.__cause__))
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
        return answer(from_validation(error.errors()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(NotFound(f"There is nothing at {request.url.path}."))
        if error.status_code == 405:
            return answer(MethodNotAllowed(f"{request.url.path} has no {request.method}."), error.headers)
        return answer(InvalidRequest(f"{str(error.detail).rstrip('.')}."))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:  # noqa: ARG001
        structlog.get_logger().error("broken", exc_info=error)
        return answer(ExchangeError("The gateway met an error that it does not know; it has been logged."))
