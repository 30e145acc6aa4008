# SPDX-License-Identifier: Apache-2.0
"""Debian's Prometheus on a free port of loopback, which scrapes one page every second."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from tests.support.live_airflow import HOST, free_port
from tests.support.programs import running_program

LIMIT = 120.0
"""Seconds until what is waited for must have come."""
PAUSE = 0.1


class Prometheus:
    """Its HTTP interface."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}"
        self._session = requests.Session()
        self._session.trust_env = False

    def ready(self) -> bool:
        """Return whether it evaluates queries."""
        return self._session.get(f"{self._url}/-/ready", timeout=LIMIT).ok

    def get(self, path: str, **parameters: str) -> Any:
        """Return what the interface responds with.

        :raises AssertionError: an error, such as a query that can't be parsed, with its text
        """
        response = self._session.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=LIMIT)
        body = response.json()
        assert body["status"] == "success", f"{path} {parameters}: {body}"
        return body["data"]

    def series(self, query: str) -> list[dict[str, Any]]:
        """Evaluate a query and return its series."""
        found: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return found

    def wait_for_series(self, query: str) -> list[dict[str, Any]]:
        """Return the series of a query once there are any."""
        return self.wait_until(lambda: self.series(query), lambda: f"no series: {query}")  # type: ignore[no-any-return]

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """Return the alerts that are pending or firing, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self.get("alerts")["alerts"]:
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules and how their last evaluation went."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def wait_for_evaluation(self) -> None:
        """Return when every rule has been evaluated, twice so that the last one began after this call."""
        for _ in range(2):
            before = {rule["name"]: rule["lastEvaluation"] for rule in self.rules()}
            self.wait_until(
                lambda: all(rule["lastEvaluation"] != before[rule["name"]] for rule in self.rules()),  # noqa: B023
                lambda: "the rules are not evaluated",
            )

    def wait_until(self, found: Callable[[], Any], message: Callable[[], str]) -> Any:
        """Return what a function returns once that is true."""
        end = time.monotonic() + LIMIT
        while not (result := found()):
            assert time.monotonic() < end, message()
            time.sleep(PAUSE)
        return result


@contextlib.contextmanager
def prometheus(rules: Path, target: int) -> Iterator[Prometheus]:
    """Run Prometheus.

    :param rules: file of alerting rules
    :param target: port whose ``/metrics`` it reads
    """
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "statsd", "static_configs": [{"targets": [f"{HOST}:{target}"]}]}],
    }
    options = [
        "--config.file={folder}/conf",
        "--storage.tsdb.path={folder}/data",
        f"--web.listen-address={HOST}:{port}",
    ]
    with running_program("prometheus", options, {"conf": json.dumps(config)}, (port,)):
        watching = Prometheus(port)
        watching.wait_until(watching.ready, lambda: "Prometheus is not ready")  # it listens before
        yield watching
