"""How often somebody may ask: token buckets, by API key and by network address, in the memory of each worker.

They keep one caller from taking a worker from all others; they are no accounting. So they need not outlive the process
or be shared: with `n` workers a caller has at most `n` times the rate, and no request waits for a write. Each bucket is
one number, the time at which it is full again (the generic cell rate algorithm). The least recently used are forgotten
beyond a bound; by then nearly all of them are full.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from exchange.errors import TooManyRequests
from exchange.settings import Settings

MOST: Final = 100_000
"""Buckets that are remembered: some 20 MB."""


class Buckets:
    """One bucket a name, of `burst` tokens, refilled by `rate` a second. A rate of 0 limits nothing."""

    def __init__(
        self, *, rate: float, burst: int, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = 0.0 if rate == 0 else 1 / rate
        self._depth = burst * self._seconds
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> None:
        """One token. Raises `TooManyRequests` when there is none."""
        if self._seconds == 0:
            return
        now = self._clock()
        full_at = max(now, self._full_at.pop(name, now)) + self._seconds
        taken = full_at <= now + self._depth + 1e-9
        self._full_at[name] = full_at if taken else full_at - self._seconds
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        if not taken:
            raise TooManyRequests(full_at - now - self._depth)

    def require(self, name: str) -> None:
        """Takes nothing. Raises `TooManyRequests` when there is no token."""
        wait = self._full_at.get(name, 0.0) + self._seconds - self._clock() - self._depth
        if self._seconds and wait > 1e-9:
            raise TooManyRequests(wait)


@dataclass(frozen=True, slots=True)
class Limits:
    """`keys` counts what is asked with a valid key, `addresses` what is asked without one, `failures` wrong keys."""

    keys: Buckets
    addresses: Buckets
    failures: Buckets


def make_limits(settings: Settings) -> Limits:
    return Limits(
        keys=Buckets(rate=settings.key_rate, burst=settings.key_burst),
        addresses=Buckets(rate=settings.address_rate, burst=settings.address_burst),
        failures=Buckets(rate=settings.failure_rate, burst=settings.failure_burst),
    )


@lru_cache(maxsize=4_096)
def network(host: str | None) -> str:
    """Whom an address counts for: one IPv4 address, or the /64 that a single IPv6 subscriber has."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or ""  # a Unix socket, a test
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
