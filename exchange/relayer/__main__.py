"""`python -m exchange.relayer`: settings from the environment, structured logs to standard output, ends on SIGTERM."""

from __future__ import annotations

import asyncio
import signal

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from contracts import crash, deployment
from contracts.rpc import Rpc
from exchange import logs
from exchange.relayer.lane import Chain
from exchange.relayer.metrics import make_metrics
from exchange.relayer.run import Relayer, relay
from exchange.relayer.settings import RelayerSettings


async def main(settings: RelayerSettings) -> None:
    crash.arm(settings.crash_at)
    deployed = deployment.load(settings.deployment)
    registry = CollectorRegistry()
    if settings.relayer_metrics_port is not None:
        start_http_server(settings.relayer_metrics_port, addr="127.0.0.1", registry=registry)
    operator, relayers = settings.signing_keys()
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to cancel")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    log = structlog.get_logger().bind(program="relayer")
    async with Rpc(settings.rpc_url, timeout=settings.rpc_timeout) as rpc:
        relayer = Relayer(
            database_url=settings.database_url,
            rpc=rpc,
            chain=Chain(
                chain_id=deployed.chain_id,
                bundle=deployed.bundle,
                fee_cap=settings.fee_cap,
                max_in_flight=settings.max_in_flight,
                patience=settings.patience,
            ),
            exchange=deployed.exchange,
            master=settings.master,
            operator_key=operator,
            relayer_keys=relayers,
            metrics=make_metrics(registry),
            log=log,
            tick=settings.tick,
            linger=settings.linger,
            batch_size=settings.batch_size,
        )
        log.info("started", chain=deployed.chain_id, lanes=len(relayers))
        try:
            await relay(relayer)
        except asyncio.CancelledError:
            log.info("stopped")


if __name__ == "__main__":
    logs.configure()
    asyncio.run(main(RelayerSettings()))  # type: ignore[call-arg]  # fields come from the environment
