"""Settings of the indexer, read once by `main` from the environment (`POINTS_` and the field's name in capitals)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts import crash


class Settings(BaseSettings):
    """Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="POINTS_", frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Literal["development", "production"] = "development"
    database_url: str
    rpc_url: str = "http://127.0.0.1:8545"
    rpc_urls: str = ""  # several nodes of the chain instead, separated by commas; the first is asked first
    rpc_timeout: float = 30.0  # of one request, which may bring many thousand logs
    deployment: Path  # the JSON file that deployment wrote: chain id, first block and addresses
    poll: float = 0.05  # between looks at the head
    indexer_metrics_port: int | None = None  # serves Prometheus on 127.0.0.1 when set
    crash_at: str | None = None  # a point of `contracts/crash.py` at which the process kills itself, in tests

    @property
    def nodes(self) -> list[str]:
        """The URLs of the nodes to read from."""
        return [url for part in self.rpc_urls.split(",") if (url := part.strip())] or [self.rpc_url]

    @model_validator(mode="after")
    def _production_does_not_crash(self) -> Self:
        crash.refuse_in_production(self.crash_at, self.environment)
        return self
