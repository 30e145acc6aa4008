# SPDX-License-Identifier: Apache-2.0
"""The page, the dashboard, the rules and the mappings have the metrics that the code has, and no others."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from airflow_provider_trim.metrics.catalog import METRICS, Kind, Metric
from tests.support.tables import DOCS

PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((DOCS / "metrics" / "dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((DOCS / "metrics" / "rules.yml").read_text(encoding="utf-8"))
MAPPINGS = yaml.safe_load((DOCS / "metrics" / "statsd_exporter.yml").read_text(encoding="utf-8"))["mappings"]
ALERTS = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def exported(metric: Metric) -> str:
    """Return a metric's name in Prometheus, as statsd_exporter makes it."""
    return f"airflow_{metric.name.replace('.', '_')}"


BY_EXPORTED = {exported(metric): metric for metric in METRICS.values()}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\bairflow_\w+", query))


def test_the_page_has_all_metrics_with_their_type_tags_and_unit() -> None:
    page = [(name, kind, tags, unit) for name, kind, tags, unit, *_ in rows("The metrics")]
    code = [
        (f"`{metric.name}`", metric.kind, ", ".join(f"`{tag}`" for tag in metric.tags), metric.unit)
        for metric in METRICS.values()
    ]
    assert page == code


def test_the_page_has_all_values_of_tags() -> None:
    on_page: dict[str, set[str]] = {}
    name = ""
    for metrics, value, _ in rows("Outcomes and reasons"):
        name = metrics or name
        for metric in re.findall(r"`([\w.]+)`", name):
            on_page.setdefault(metric, set()).add(value.strip("`"))
    both = set(METRICS["trim.polls"].values) | set(METRICS["trim.submissions"].values)
    assert on_page.pop("trim.polls") == on_page.pop("trim.submissions") == both
    assert on_page == {
        metric.name: set(metric.values)
        for metric in METRICS.values()
        if metric.values and metric.name not in ("trim.polls", "trim.submissions")
    }


def test_the_page_names_the_alerts_at_the_metrics_that_they_are_about() -> None:
    for name, *_, alerts in rows("The metrics"):
        metric = METRICS[name.strip("`")]
        named = set(re.findall(r"`(\w+)`", alerts))
        about = {alert for alert, query in ALERTS.items() if exported(metric) in names_in(query)}
        assert named <= about, name
        if metric.name != "trim.polls":  # with which TrimPollingStopped compares
            assert named == about, name


def test_the_dashboard_shows_all_metrics() -> None:
    assert set().union(*map(names_in, QUERIES)) == BY_EXPORTED.keys()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_rules_name_metrics_that_there_are() -> None:
    assert set().union(*map(names_in, ALERTS.values())) <= BY_EXPORTED.keys()
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in ("info", "warning", "critical")


@pytest.mark.parametrize("query", [*QUERIES, *ALERTS.values()])
def test_a_query_uses_labels_and_values_that_there_are(query: str) -> None:
    for name, selector in re.findall(r"\b(airflow_\w+)\{([^}]*)\}", query):
        metric = BY_EXPORTED[name]
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', selector):
            if label == "quantile":
                assert metric.kind is Kind.TIMER
            else:
                assert label in metric.tags
            if label == metric.tags[-1] and metric.values:
                assert set(values.split("|")) <= set(metric.values)
    for label in re.findall(r"sum by \((\w+)\)", query):
        assert all(label in BY_EXPORTED[name].tags for name in names_in(query))
    for name in names_in(query):
        if BY_EXPORTED[name].kind is Kind.COUNTER:
            assert re.search(rf"(rate|increase)\({name}\b", query), "a counter only ever grows"


def test_the_mappings_make_labels_of_names() -> None:
    made: dict[str, Any] = {one["match"]: (one["name"], one.get("labels"), one.get("action")) for one in MAPPINGS}
    wanted: dict[str, Any] = {}
    for metric in METRICS.values():
        if metric.values or metric.tags[-1] == "hostname":
            # In this order, or statsd_exporter ignores the shorter one, and all is counted twice.
            wanted[f"airflow.{metric.name}"] = ("dropped", None, "drop")
            wanted[f"airflow.{metric.name}.*"] = (exported(metric), {metric.tags[-1]: "$1"}, None)
    assert list(made.items()) == list(wanted.items())
