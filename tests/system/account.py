# SPDX-License-Identifier: Apache-2.0
"""An account at the service: an emulator, its connection in Airflow, and the runs that wait for its trims."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from airflow_provider_trim.emulator import TrimEmulator
from tests.system.deployment import Deployment
from tests.system.figures import say

WITHOUT_WORKERS = "waits_without_workers"
BY_DEFAULT = "waits_by_default"
"""The same, but failed polls in a row end a wait, as they do by default."""
STEP_LIMIT = 300.0
"""Seconds after which a step that should have happened has not."""


class Account:
    """What a scenario needs, apart from the other scenarios' calls and runs."""

    def __init__(self, airflow: Deployment, name: str, emulator: TrimEmulator, folder: Path, **extra: Any) -> None:
        self.airflow = airflow
        self.name = name
        self.emulator = emulator
        self.extra = extra
        self.runs: dict[str, str] = {}
        """Run ids, by the prefix of their trims."""
        self.runs_without_workers: dict[str, str] = {}
        """Those whose waits begin and end in a triggerer, so that no worker is started for any."""
        self.without_workers = WITHOUT_WORKERS
        """The DAG of those."""
        self.ends: dict[str, float] = {}
        """When each trim ends of itself, in seconds of ``time.monotonic()``, the emulator's clock."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.connect()

    def connect(self, token: str | None = None) -> None:
        """Store the connection; again, to change it."""
        service = self.emulator
        self.airflow.connect(self.name, service.url, service.user, token or service.token, **self.extra)

    def wait_in(
        self, runs: int, *, without_workers: bool = False, duration: Callable[[], float] = lambda: math.inf
    ) -> None:
        """Start a number of runs that wait for trims.

        :param duration: gives the seconds that a trim takes; by default each ends on request
        """
        dag_id, known = (self.without_workers, self.runs_without_workers) if without_workers else ("waits", self.runs)
        for _ in range(runs):
            prefix = f"{self.name}-{len(self.runs) + len(self.runs_without_workers)}"
            for trans_no in self.trans_nos(prefix):
                self.ends[trans_no] = self.emulator.add_trim(trans_no, seconds=duration()).ends
            known[prefix] = self.trigger(dag_id, prefix)

    def fail_all(self) -> None:
        """End the runs of a scenario that has failed, so that the next one has Airflow for itself."""
        for dag_id, runs in (("waits", self.runs), (self.without_workers, self.runs_without_workers)):
            for run_id in runs.values():
                if self.airflow.state_of(dag_id, run_id) not in ("success", "failed"):
                    self.airflow.api("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})

    def trigger(self, dag_id: str, prefix: str) -> str:
        """Start a run."""
        return self.airflow.trigger(dag_id, conn_id=self.name, prefix=prefix, received=str(self._folder))

    def trans_nos(self, prefix: str) -> list[str]:
        return [f"{prefix}-{number}" for number in range(self.airflow.trims_per_run)]

    @property
    def waiting(self) -> list[str]:
        """The trims that are not done."""
        return self.emulator.running

    def wait_until_deferred(self, besides: Account | None = None) -> None:
        """Return when every wait is in a triggerer.

        :param besides: an account whose waits are to be there as well
        """
        wanted, last = len(self.waiting) + (len(besides.waiting) if besides else 0), -1

        def all_deferred() -> bool:
            nonlocal last
            deferred = sum(self.airflow.count(dag_id, "deferred") for dag_id in ("waits", self.without_workers))
            if deferred != last:
                say(f"{self.name}: {deferred} of {wanted} are deferred")
            last = deferred
            return deferred == wanted

        self.airflow.wait_for(all_deferred, 2 * STEP_LIMIT, f"{wanted} waits are deferred", pause=5.0)

    def check_tries(self) -> None:
        """See that no wait needed a second try."""
        for run_id in self.runs.values():
            waits = [one for one in self.airflow.task_instances("waits", run_id) if one["task_id"] == "wait"]
            assert {one["try_number"] for one in waits} == {1}

    def finish(self, trans_nos: Iterable[str]) -> None:
        """End trims."""
        for trans_no in trans_nos:
            self.emulator.finish(trans_no)

    def wait_until_polled(self, trans_nos: Iterable[str], since: float, limit: float = STEP_LIMIT) -> float:
        """Wait until each trim has been asked for since a time, and return how long the last of them took.

        :param since: seconds of ``time.monotonic()``, the emulator's clock
        """
        missing = set(trans_nos)
        latest = since

        def all_asked() -> bool:
            nonlocal latest
            for trans_no in list(missing):
                times = [call.time for call in self.emulator.calls_for(trans_no) if call.time > since]
                if times:
                    missing.discard(trans_no)
                    latest = max(latest, times[0])
            return not missing

        self.airflow.wait_for(all_asked, limit, f"all trims of {self.name} are asked for", pause=0.2)
        return latest - since

    def check_results(self) -> None:
        """Wait for all runs, and see that each trim's result has come downstream, once, and as the service has it."""
        for done, (prefix, run_id) in enumerate(self.runs.items(), start=1):
            state = self.airflow.wait_for_end("waits", run_id, 2 * STEP_LIMIT)
            assert state == "success", f"{prefix}: {state}"
            lines = (self._folder / f"{prefix}.jsonl").read_text(encoding="utf-8").splitlines()
            expected = [self.emulator.video_info(trans_no) for trans_no in self.trans_nos(prefix)]
            assert [json.loads(line) for line in lines] == [expected], prefix
            if done % 10 == 0 or done == len(self.runs):
                say(f"{self.name}: {done} of {len(self.runs)} runs are right")
        self.check_tries()
        for done, (prefix, run_id) in enumerate(self.runs_without_workers.items(), start=1):
            assert self.airflow.wait_for_end(self.without_workers, run_id, 2 * STEP_LIMIT) == "success", prefix
            for number, trans_no in enumerate(self.trans_nos(prefix)):
                result = self.airflow.xcom(self.without_workers, run_id, f"wait-{number}")
                assert result == self.emulator.video_info(trans_no), trans_no
            if done % 50 == 0 or done == len(self.runs_without_workers):
                say(f"{self.name}: {done} of {len(self.runs_without_workers)} runs without workers are right")
