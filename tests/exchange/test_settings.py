"""What the settings promise: production takes no secret that everybody knows, and no error prints one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from exchange.relayer.settings import DEVELOPMENT_KEYS, RelayerSettings

SECRET = "5e" * 32


def settings(**more: object) -> RelayerSettings:
    given: dict[str, object] = {
        "environment": "production",
        "database_url": "postgresql://somewhere/points",
        "deployment": Path("deployment.json"),
        "master_key": SECRET,
        "pepper": SECRET,
        "operator_api_key": SECRET,
        **more,
    }
    return RelayerSettings(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["operator_key", "relayer_keys"])
@pytest.mark.parametrize("key", DEVELOPMENT_KEYS)
def test_production_refuses_the_development_chains_keys(name: str, key: str) -> None:
    with pytest.raises(ValidationError, match="production refuses the development chain's keys"):
        settings(**{name: SecretStr(key)})
    assert settings(environment="development", **{name: SecretStr(key)}).environment == "development"


def test_an_error_about_one_setting_prints_no_secret_beside_it() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(port="no port")
    assert SECRET not in str(refused.value)
