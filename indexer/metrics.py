"""What the indexer tells Prometheus, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """Seconds are counted by stage, so that `rate` over `logs` shows which one limits."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.head = Gauge("indexer_head", "The node's newest block", registry=self.registry)
        self.next_block = Gauge("indexer_next_block", "The first block not mirrored", registry=self.registry)
        self.finalized = Gauge("indexer_finalized", "The newest final block mirrored", registry=self.registry)
        self.logs = Counter("indexer_logs", "Logs projected", registry=self.registry)
        self.stage_seconds = Counter("indexer_stage_seconds", "Time by stage", ["stage"], registry=self.registry)
        self.retries = Counter("indexer_retries", "Steps begun again", ["reason"], registry=self.registry)
        self.reorganisations = Counter("indexer_reorganisations", "Rollbacks", registry=self.registry)
        self.depth = Gauge("indexer_last_reorganisation_blocks", "Blocks of the last rollback", registry=self.registry)
