"""Where a local installation keeps its data, and the settings that its processes share.

Secrets are made once, at random, and kept in a file that only its owner can read. The two keys that pay gas are the
first accounts of the local chain: everybody knows them, and the relayer refuses them in production.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from exchange.relayer.settings import DEVELOPMENT_KEYS

LOCAL_OPERATOR_KEY, LOCAL_RELAYER_KEY = DEVELOPMENT_KEYS
LOCAL_CHAIN_ID = 31337
LOCAL_MAX_IN_FLIGHT = 64
"""The local chain keeps any number of one sender; with blocks of a second and 400 purchases each, this is no bound."""

DEFAULT_DATA = Path(".data")


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of one local installation, all under `data`."""

    data: Path

    @property
    def settings(self) -> Path:
        return self.data / "settings.env"

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def chain(self) -> Path:
        return self.data / "chain" / "state.json"

    @property
    def deployment(self) -> Path:
        return self.data / "deployment.json"

    @property
    def partners(self) -> Path:
        """The sample merchants' API keys."""
        return self.data / "merchants.json"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def run(self) -> Path:
        return self.data / "run"


def shown(path: Path) -> str:
    """As a person in this folder would write it."""
    return os.path.relpath(path)


def installation(data: Path) -> Installation:
    """Opens (and creates, if new) the data directory. PostgreSQL's own user must be able to pass through it."""
    place = Installation(data.resolve())
    for folder in (place.data, place.chain.parent, place.logs, place.run):
        folder.mkdir(parents=True, exist_ok=True)
    return place


def load(place: Installation) -> dict[str, str]:
    """The stored settings, overridden by the caller's own `POINTS_…` environment variables."""
    stored: dict[str, str] = {}
    if place.settings.exists():
        for line in place.settings.read_text().splitlines():
            name, found, value = line.partition("=")
            if found:
                stored[name] = value
    return {**stored, **{name: value for name, value in os.environ.items() if name.startswith("POINTS_")}}


def store(place: Installation, **settings: str) -> dict[str, str]:
    """Adds settings (names without the prefix, lower case) to the file, keeping the secrets that it already has."""
    known = load(place)
    fresh = {
        "POINTS_ENVIRONMENT": "development",
        "POINTS_MASTER_KEY": secrets.token_hex(32),
        "POINTS_PEPPER": secrets.token_hex(32),
        "POINTS_OPERATOR_API_KEY": f"pex_dev_operator_{secrets.token_hex(24)}",
        "POINTS_OPERATOR_KEY": LOCAL_OPERATOR_KEY,
        "POINTS_RELAYER_KEYS": LOCAL_RELAYER_KEY,
        "POINTS_MAX_IN_FLIGHT": str(LOCAL_MAX_IN_FLIGHT),
        "POINTS_DEPLOYMENT": str(place.deployment),
        "POINTS_WEBHOOK_LOOPBACK": "true",
    }
    given = {f"POINTS_{name.upper()}": value for name, value in settings.items()}
    merged = {**fresh, **known, **given}
    temporary = place.settings.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text("".join(f"{name}={value}\n" for name, value in sorted(merged.items())))
    temporary.replace(place.settings)
    return merged
