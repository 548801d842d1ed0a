"""Times as they are shown."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """Unix seconds as `2026-11-21T17:04:05Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat()[:19] + "Z"
