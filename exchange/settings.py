"""Settings of the gateway and the relayer, read once by `main` and passed down.

Everything comes from the environment (`POINTS_` and the field's name in capitals). Nothing here is read at import time.
In production the development secrets below are refused: a copy of this file must not be enough to unseal a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts import crash

DEVELOPMENT_MASTER_KEY: Final = "d0" * 32
DEVELOPMENT_PEPPER: Final = "development-pepper"
DEVELOPMENT_OPERATOR_API_KEY: Final = "development-operator-key"


class UnsafeOrigin(Exception):
    """When a production gateway would sign customers in on pages that anybody between can read."""


class Settings(BaseSettings):
    """One frozen model for both programs. Times are seconds."""

    model_config = SettingsConfigDict(
        env_prefix="POINTS_", frozen=True, extra="ignore", hide_input_in_errors=True
    )  # an error about one setting must not print the secrets beside it

    environment: Literal["development", "production"] = "development"
    database_url: str
    rpc_url: str = "http://127.0.0.1:8545"
    rpc_timeout: float = 5.0  # of the gateway's own questions to the node: whether a wallet's contract signed
    deployment: Path  # the JSON file that deployment wrote: chain id and addresses

    master_key: SecretStr = SecretStr(DEVELOPMENT_MASTER_KEY)  # 32 bytes in hex; seals the keys at rest
    old_master_key: SecretStr | None = None  # while `points rotate-keys` seals anew what this one sealed
    pepper: SecretStr = SecretStr(DEVELOPMENT_PEPPER)  # of the API keys' digests
    operator_api_key: SecretStr = SecretStr(DEVELOPMENT_OPERATOR_API_KEY)  # the first operator's, to create the others

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    pool_size: int = 10  # connections a worker for merchants, and half as many for the public and for looking keys up
    pool_timeout: float = 3.0  # for a connection, after which the database counts as down
    statement_timeout: float = 15.0
    max_head_age: float = 60.0  # of the mirror's newest block, beyond which the gateway is not ready
    origin: str = "http://localhost:8000"  # of the pages on which customers sign in: scheme, host and port
    rp_id: str = "localhost"  # whose passkeys they are: the origin's host or a parent of it, as the contracts have it
    session_idle: int = Field(default=1_800, ge=60)  # without a request, after which a session is over
    session_life: int = Field(default=43_200, ge=60)  # in all
    session_rotation: int = Field(default=300, ge=1)  # after which a session's cookie is replaced
    webhook_loopback: bool = False  # whether webhooks may go to this machine, in development
    receipt_life: int = 86_400  # from acceptance to the latest minting, as the receipt promises
    # Requests a second and at once, in each worker; a rate of 0 limits nothing. The operator is not limited.
    key_rate: float = Field(default=1_000, ge=0)
    key_burst: int = Field(default=5_000, ge=1)
    address_rate: float = Field(default=100, ge=0)  # without a key
    address_burst: int = Field(default=1_000, ge=1)
    failure_rate: float = Field(default=10, ge=0)  # with a key that is none
    failure_burst: int = Field(default=200, ge=1)
    intent_life: int = 86_400  # of an intent signed with a custodial key, and suggested to wallets
    crash_at: str | None = None  # a point of `contracts/crash.py` at which the process kills itself, in tests

    @field_validator("master_key", "old_master_key")
    @classmethod
    def _master_key_is_32_bytes(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            fits = len(bytes.fromhex(value.get_secret_value())) == 32
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("the master key must be 32 bytes in hex")
        return value

    @model_validator(mode="after")
    def _passkeys_are_of_the_origin(self) -> Self:
        parts = urlsplit(self.origin)
        if f"{parts.scheme}://{parts.netloc}" != self.origin or parts.scheme not in ("http", "https"):
            raise ValueError("the origin is a scheme and a host, perhaps with a port: https://points.example")
        host = parts.hostname or ""
        if host != self.rp_id and not host.endswith(f".{self.rp_id}"):
            raise ValueError("passkeys are of the origin's host, or of a parent of it")
        return self

    @model_validator(mode="after")
    def _production_does_not_crash(self) -> Self:
        crash.refuse_in_production(self.crash_at, self.environment)
        return self

    @model_validator(mode="after")
    def _production_has_its_own_secrets(self) -> Self:
        if self.environment == "production":
            known = {
                "POINTS_MASTER_KEY": self.master_key.get_secret_value() == DEVELOPMENT_MASTER_KEY,
                "POINTS_PEPPER": self.pepper.get_secret_value() == DEVELOPMENT_PEPPER,
                "POINTS_OPERATOR_API_KEY": self.operator_api_key.get_secret_value() == DEVELOPMENT_OPERATOR_API_KEY,
            }
            if self.webhook_loopback:
                raise ValueError("production sends no webhooks to itself: unset POINTS_WEBHOOK_LOOPBACK")
            unset = [name for name, same in known.items() if same]
            if unset:
                raise ValueError(f"production refuses the development secrets: set {', '.join(unset)}")
        return self

    @property
    def master(self) -> bytes:
        """The key that seals the other keys, and behind it the old one while there is one (`exchange/vault.py`)."""
        old = "" if self.old_master_key is None else self.old_master_key.get_secret_value()
        return bytes.fromhex(self.master_key.get_secret_value() + old)


def refuse_unsafe_origin(settings: Settings) -> None:
    """At the gateway's start."""
    if settings.environment == "production" and not settings.origin.startswith("https://"):
        raise UnsafeOrigin(
            f"Production signs customers in on https pages, and {settings.origin} is none: set POINTS_ORIGIN and"
            " POINTS_RP_ID."
        )
