# SPDX-License-Identifier: Apache-2.0
"""Prometheus evaluates the dashboard's queries and the rules over what the package's exporter sends to StatsD."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_trim.metrics.catalog import METRICS, Kind, Metric
from airflow_provider_trim.metrics.exporter import send
from airflow_provider_trim.metrics.recorder import Recorder
from tests.support import airflow_stats
from tests.support.live_airflow import HOST
from tests.support.prometheus import Prometheus, prometheus
from tests.support.statsd_exporters import EXPORTERS
from tests.support.tables import DOCS

RULES = DOCS / "metrics" / "rules.yml"
MAPPINGS = DOCS / "metrics" / "statsd_exporter.yml"
DASHBOARD = json.loads((DOCS / "metrics" / "dashboard.json").read_text(encoding="utf-8"))
ALERTS = {
    rule["alert"] for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
}
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
ACCOUNT = "api.cloudv.haplat.net/3f2a9c1b"
OTHER = "api.cloudv.haplat.net/77777777"
HOSTNAME = "triggerer.example"

BROKEN = {"trim.poll.duration": 12.0, "trim.detection.delay": 400.0, "trim.wait.duration": 60.0}
"""Seconds of each timer, such that its alert is raised."""
HEALTHY = {
    "trim.polls": {"done": 5, "processing": 50},
    "trim.submissions": {"accepted": 5, "adopted": 1},
    "trim.waits.ended": {"success": 5},
    "trim.connection.reloads": {"unchanged": 5, "changed": 1},
    "trim.callbacks.refused": {"empty": 30},
    "trim.callbacks.received": {"": 5},
    "trim.callbacks.duplicate": {"": 1},
    "trim.callbacks.missed": {"": 1},
}
"""What an hour without an event worth an alert counts."""


@dataclass(frozen=True)
class Setup:
    """What Airflow sends, and how the exporter maps it."""

    tags: bool
    mappings: Path | None


SETUPS = {
    "tags": Setup(True, None),
    "tags-mappings": Setup(True, MAPPINGS),
    "mappings": Setup(False, MAPPINGS),
}


class Measured:
    """An Airflow that measures, and sends it through its StatsD backend as the package's exporter does."""

    def __init__(self, stats: Any) -> None:
        self.recorder = Recorder()
        self._stats = stats
        self._gauges: list[tuple[str, tuple[str, ...], float]] = []
        self.recorder.watch(lambda: self._gauges)

    def gauges(self, used: float, fallback: float, account: str = ACCOUNT) -> None:
        """Set the gauges: three waits are open, and so much of a quota of 300 calls is used."""
        values = {"waits.open": 3, "quota.used": used, "quota.limit": 300, "quota.fallback": fallback}
        self._gauges += [(f"trim.{name}", (account,), value) for name, value in values.items()]

    def count(self, metric: Metric, value: str, times: int) -> None:
        tags = [ACCOUNT] if "account" in metric.tags else []
        for _ in range(times):
            self.recorder.count(metric.name, *tags, *([value] if value else []))

    def send(self) -> None:
        send(self.recorder.take(), self._stats, HOSTNAME)


System = tuple[Setup, Measured, Prometheus]


@pytest.fixture(params=[(exporter, setup) for exporter in EXPORTERS for setup in SETUPS], ids="-".join)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    exporter, name = request.param
    setup = SETUPS[name]
    with EXPORTERS[exporter](setup.mappings) as ports, prometheus(RULES, ports.http) as watching:
        options = {
            "STATSD_ON": "True",
            "STATSD_HOST": HOST,
            "STATSD_PORT": str(ports.statsd),
            "STATSD_INFLUXDB_ENABLED": str(setup.tags),
        }
        for option, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{option}", value)
        stats = airflow_stats.statsd_logger()
        yield setup, Measured(stats), watching
        stats.statsd.close()


MOST = {("trim.polls", "unavailable"), ("trim.callbacks.missed", "")}


def count_all(measured: Measured, times: int) -> None:
    """Have each counter with each of its values; the polls that fail and the missed callbacks are the most."""
    for metric in METRICS.values():
        if metric.kind is Kind.COUNTER:
            for value in metric.values or ("",):
                measured.count(metric, value, times * (20 if (metric.name, value) in MOST else 1))


def begin_with_what_breaks(system: System) -> None:
    """Have a series of every metric, and two of each counter's samples, which Prometheus needs to see it grow."""
    _, measured, watching = system
    count_all(measured, 1)
    for name, seconds in BROKEN.items():
        measured.recorder.time(name, seconds, ACCOUNT)
    measured.gauges(used=295, fallback=1)
    measured.send()
    for metric in METRICS.values():
        watching.wait_for_series(exported(metric))
    count_all(measured, 50)
    measured.send()
    for metric in METRICS.values():
        if metric.kind is Kind.COUNTER:
            watching.wait_for_series(f"sum(increase({exported(metric)}[1h])) > 0")


def exported(metric: Metric) -> str:
    return f"airflow_{metric.name.replace('.', '_')}"


def test_promtool_accepts_the_rules() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is not installed; on Debian: apt-get install prometheus"
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_each_query_of_the_dashboard_finds_its_metric(system: System) -> None:
    """For all accounts, and for one that is chosen, as Grafana replaces its variables."""
    begin_with_what_breaks(system)
    setup, _, watching = system
    for account in (
        (".*", f"({re.escape(ACCOUNT)}|{re.escape(OTHER)})".replace("\\", "\\\\")) if setup.tags else (".*",)
    ):
        for target in TARGETS:
            query = target["expr"].replace("$account", account).replace("$__rate_interval", "1m")
            assert "$" not in query
            for one in watching.wait_for_series(query):
                named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                assert one["metric"].keys() == named - (set() if setup.tags else {"account"}), query
    _, accounts = DASHBOARD["templating"]["list"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", accounts["query"]).groups()  # type: ignore[union-attr]
    assert watching.get(f"label/{label}/values", **{"match[]": metric}) == ([ACCOUNT] if setup.tags else [])


def test_each_alert_is_raised(system: System) -> None:
    begin_with_what_breaks(system)
    setup, _, watching = system
    wanted = ALERTS - {"TrimPollingStopped"}
    watching.wait_until(
        lambda: wanted <= watching.alerts().keys(), lambda: f"not raised: {wanted - watching.alerts().keys()}"
    )
    watching.wait_for_evaluation()
    assert {(rule["name"], rule["health"]) for rule in watching.rules()} == {(name, "ok") for name in ALERTS}
    assert watching.alerts().keys() == wanted
    (refused,) = watching.alerts()["TrimUnauthorized"]
    if setup.tags:
        assert ACCOUNT in refused["annotations"]["summary"]


def test_what_is_sent_under_two_names_is_counted_once(system: System) -> None:
    """With a tag, and without one, with its value at the end of the name."""
    _, measured, watching = system
    measured.count(METRICS["trim.polls"], "done", 3)
    measured.gauges(used=100, fallback=0)
    measured.send()
    for name, value in (("polls", 3), ("waits_open", 3), ("quota_used", 100)):
        (one,) = watching.wait_for_series(f"airflow_trim_{name}")
        assert float(one["value"][1]) == value


def test_an_alert_is_raised_by_the_first_of_its_events(system: System) -> None:
    """Though the counter has no earlier value then, which Prometheus does not take for an increase."""
    _, measured, watching = system
    measured.count(METRICS["trim.submissions"], "rejected", 1)
    measured.count(METRICS["trim.waits.ended"], "timeout", 1)
    measured.send()
    wanted = {"TrimSubmissionsRejected", "TrimWaitsTimeOut"}
    watching.wait_until(lambda: watching.alerts().keys() == wanted, lambda: f"{watching.alerts().keys()}")


def test_an_alert_is_raised_if_trims_are_waited_for_and_none_is_polled(system: System) -> None:
    _, measured, watching = system
    measured.gauges(used=0, fallback=0)
    measured.send()
    watching.wait_until(lambda: watching.alerts().keys() == {"TrimPollingStopped"}, lambda: f"{watching.alerts()}")


def test_callbacks_of_which_none_ever_arrives_are_missed(system: System) -> None:
    _, measured, watching = system
    for _ in range(2):
        measured.count(METRICS["trim.callbacks.missed"], "", 1)
        measured.send()
        watching.wait_for_series("airflow_trim_callbacks_missed")
    watching.wait_until(lambda: watching.alerts().keys() == {"TrimCallbacksMissed"}, lambda: f"{watching.alerts()}")


def test_what_is_healthy_raises_none(system: System) -> None:
    """Nor do two accounts that each have used half of their quota."""
    _, measured, watching = system
    measured.gauges(used=160, fallback=0)
    if system[0].tags:
        measured.gauges(used=160, fallback=0, account=OTHER)
        measured.recorder.count("trim.polls", OTHER, "done")
    for times in (1, 2):
        for name, counts in HEALTHY.items():
            for value, count in counts.items():
                measured.count(METRICS[name], value, count)
        if system[0].tags:
            measured.recorder.count("trim.polls", OTHER, "done")
        for name in BROKEN:
            measured.recorder.time(name, 2.0, ACCOUNT)
        measured.send()
        watching.wait_for_series(f'sum(airflow_trim_polls{{outcome="done"}}) >= {5 * times}')
    watching.wait_for_series("count(increase(airflow_trim_polls[1h]) > 0) >= 2")
    watching.wait_for_evaluation()
    assert watching.alerts() == {}
