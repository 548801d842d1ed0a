"""What a request needs of the running gateway: built once by `create_app`, passed to the use cases, never global."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.deployment import Deployment
from contracts.eip712 import domain_separator
from contracts.rpc import Rpc
from exchange.database import Database
from exchange.gathering import Gathering
from exchange.hashing import Hashing
from exchange.limits import Limits
from exchange.metrics import Metrics
from exchange.settings import Settings
from exchange.streams import Streams


@dataclass(frozen=True, slots=True)
class Gateway:
    """`clock` answers Unix seconds. `keys` looks up who calls, `purchases` accepts what is reported, in rounds."""

    settings: Settings
    database: Database
    deployment: Deployment
    metrics: Metrics
    limits: Limits
    clock: Callable[[], float]
    streams: Streams
    keys: Gathering[Any, Any]
    purchases: Gathering[Any, Any]
    rpc: Rpc
    hashing: Hashing

    def now(self) -> int:
        return int(self.clock())

    @property
    def master(self) -> bytes:
        return self.settings.master

    @property
    def pepper(self) -> bytes:
        return self.settings.pepper.get_secret_value().encode()

    def domain(self, contract: bytes) -> bytes:
        """The EIP-712 domain separator of a programme's token or of the exchange."""
        return domain_separator(self.deployment.chain_id, contract)
