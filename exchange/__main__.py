"""`python -m exchange`: the gateway, by uvicorn, with as many workers as the settings say."""

from __future__ import annotations

import gc

import uvicorn
from fastapi import FastAPI

from contracts import crash
from exchange import logs
from exchange.app import create_app
from exchange.settings import Settings


def application() -> FastAPI:
    """Made in each worker: uvicorn imports it by name."""
    logs.configure()
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    crash.arm(settings.crash_at)
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # what lives as long as the worker is not looked through again and again: that took 50 ms each time
    gc.set_threshold(10_000, 20, 50)
    return app


def main() -> None:
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    uvicorn.run(
        "exchange.__main__:application",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
