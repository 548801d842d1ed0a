"""How the gateway, the relayer and the notifier log: a JSON object a line, to standard output."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import ExcInfo

_VALUES: Final = re.compile(r"^(?:DETAIL|HINT|CONTEXT):.*$\n?", re.MULTILINE)


def _without_values(exc_info: ExcInfo) -> str:
    """A traceback without what PostgreSQL says of the rows in question ("Key (reference)=(…) already exists")."""
    return _VALUES.sub("", "".join(traceback.format_exception(*exc_info))).rstrip()


def configure() -> None:
    """For the whole process: called by each program's `main`, never at import."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_without_values),
            structlog.processors.JSONRenderer(_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )


def _json(line: Any, **options: Any) -> str:
    return msgspec.json.encode(line, enc_hook=options["default"]).decode()
