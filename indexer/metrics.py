"""What the indexer tells Prometheus, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Seconds are counted by stage, so that `rate` over `logs` shows which one limits."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.head = Gauge("indexer_head", "The node's newest block", registry=self.registry)
        self.next_block = Gauge("indexer_next_block", "The first block not mirrored", registry=self.registry)
        self.finalized = Gauge("indexer_finalized", "The newest final block mirrored", registry=self.registry)
        self.lag_blocks = Gauge("indexer_lag_blocks", "Blocks of the node not mirrored", registry=self.registry)
        self.lag_seconds = Gauge(
            "indexer_lag_seconds",
            "How much older our newest block is than the node's",
            registry=self.registry,
        )
        self.building = Gauge("indexer_building", "Whether a mirror is built beside", registry=self.registry)
        self.logs = Counter("indexer_logs", "Logs projected", registry=self.registry)
        self.stage_seconds = Counter("indexer_stage_seconds", "Time by stage", ["stage"], registry=self.registry)
        self.retries = Counter("indexer_retries", "Steps begun again", ["reason"], registry=self.registry)
        self.node_failures = Counter(
            "indexer_node_failures", "Requests that a node failed", ["node", "reason"], registry=self.registry
        )
        self.node_in_use = Gauge(
            "indexer_node_in_use", "Whether reads go to this node", ["node"], registry=self.registry
        )
        self.reorganisations = Counter("indexer_reorganisations", "Rollbacks", registry=self.registry)
        self.depth = Histogram(
            "indexer_reorganisation_blocks",
            "Blocks that a rollback took away",
            buckets=(1, 2, 3, 5, 8, 16, 32, 64, 128),
            registry=self.registry,
        )
