"""The relayer's own settings, beside those it shares with the gateway."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from exchange.settings import Settings

GWEI = 10**9

# The first accounts of the mnemonic that every development chain starts with: everybody knows them.
DEVELOPMENT_KEYS = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
)


class RelayerSettings(Settings):
    """Times are seconds, fees wei per gas, patience blocks."""

    operator_key: SecretStr | None = None  # 32 bytes in hex: owns the exchange, pays for the operator's own acts
    relayer_keys: SecretStr | None = None  # the same, comma-separated: one lane each
    fee_cap: int = 500 * GWEI
    max_in_flight: int = Field(default=16, ge=1)  # what nodes keep of one sender without doubt
    patience: int = Field(default=5, ge=1)  # before the lowest pending transaction is outbid
    rpc_timeout: float = 10.0  # of one request; what meets it was perhaps sent
    tick: float = 0.15
    linger: float = 0.25  # how long a purchase may wait for company in its batch
    batch_size: int = Field(default=200, ge=1, le=400)
    relayer_metrics_port: int | None = None

    @model_validator(mode="after")
    def _production_has_its_own_keys(self) -> Self:
        operator, lanes = self.signing_keys()
        known = {_key(key) for key in DEVELOPMENT_KEYS}
        if self.environment == "production" and known & {operator, *lanes}:
            raise ValueError(
                "production refuses the development chain's keys: set POINTS_OPERATOR_KEY and _RELAYER_KEYS"
            )
        return self

    def signing_keys(self) -> tuple[bytes | None, tuple[bytes, ...]]:
        """The operator's key and the lanes' keys."""
        operator = _key(self.operator_key.get_secret_value()) if self.operator_key else None
        lanes = self.relayer_keys.get_secret_value().split(",") if self.relayer_keys else []
        return operator, tuple(_key(lane) for lane in lanes if lane.strip())


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("a signing key must be 32 bytes in hex")
    return key
