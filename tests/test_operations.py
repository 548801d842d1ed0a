"""What operators are given fits what the programs say of themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from exchange.metrics import Metrics
from exchange.relayer.metrics import make_metrics
from indexer.metrics import Metrics as IndexerMetrics
from tests.conftest import ROOT

OPERATIONS = ROOT / "docs" / "operations"
ALERTS = (OPERATIONS / "alerts.yml").read_text()
NAME = re.compile(r"\b(?:points|indexer)_[a-z_]+")


def series() -> set[str]:
    """Every name under which Prometheus knows a figure of ours."""
    relayer = CollectorRegistry()
    make_metrics(relayer)
    found = set()
    for registry in (Metrics().registry, relayer, IndexerMetrics().registry):
        for metric in registry._collector_to_names:
            assert isinstance(metric, MetricWrapperBase)
            suffixes = {Counter: ("_total",), Histogram: ("_bucket", "_sum", "_count")}.get(type(metric), ("",))
            found |= {metric._name + suffix for suffix in suffixes}
    return found


def test_alerts_and_panels_ask_for_figures_that_exist() -> None:
    panels = json.loads((OPERATIONS / "dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    asked += re.findall(r"expr: (.*)", ALERTS)
    assert len(asked) > 30
    assert {name for expression in asked for name in NAME.findall(expression)} <= series()


def test_every_figure_is_on_the_dashboard_or_behind_an_alert() -> None:
    shown = (OPERATIONS / "dashboard.json").read_text() + ALERTS
    stems = {name.removesuffix("_sum").removesuffix("_count").removesuffix("_bucket") for name in series()}
    assert {stem for stem in stems if stem not in shown} <= {
        "points_refunds_accepted_total",
        "points_intents_accepted_total",
        "points_mirror_head_age_seconds",
        "points_relayer_transactions_included_total",
    }


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS)
    headings = re.findall(r"^## (\w+)$", (OPERATIONS / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert alerts == headings
    assert re.findall(r"runbook: (\S+)", ALERTS) == [f"docs/operations/RUNBOOK.md#{name.lower()}" for name in alerts]


def test_the_runbooks_settings_exist() -> None:
    named = set(re.findall(r"POINTS_[A-Z_]+", Path(OPERATIONS / "RUNBOOK.md").read_text()))
    sources = [path.read_text() for folder in ("exchange", "indexer") for path in (ROOT / folder).rglob("*ettings.py")]
    fields = {f"POINTS_{name.upper()}" for text in sources for name in re.findall(r"^    (\w+):", text, re.MULTILINE)}
    assert named
    assert named <= fields
