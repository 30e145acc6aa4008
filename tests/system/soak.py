# SPDX-License-Identifier: Apache-2.0
"""Hours of waiting: hundreds of trims at a time, with faults, outages of the service, and triggerers killed.

``make soak`` (``MINUTES=…``). Writes a plot and a table into ``build/soak``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import sys
import time
from pathlib import Path

from airflow_provider_trim.emulator import (
    ConnectionReset,
    Delay,
    HttpError,
    RawResponse,
    ResetMidResponse,
    TrimEmulator,
)
from tests.system.account import WITHOUT_WORKERS, Account
from tests.system.deployment import TRIGGERERS, Deployment
from tests.system.figures import most_in_any, say
from tests.system.soak_report import Sample, Soak

OUT = Path(__file__).parents[2] / "build" / "soak"
QUOTA = (3000, 300)
"""Ten times that of an account, for ten times as many trims as one sustains well."""
FAULTS = (ConnectionReset(), ResetMidResponse(), HttpError(503), RawResponse(b"<html>busy</html>"), Delay(8.0))
RANDOM = random.Random(6)
SURVIVOR, VICTIM = TRIGGERERS
SAMPLE_EVERY, FAULT_EVERY, KILL_EVERY, OUTAGE_EVERY = 15.0, 3.0, 300.0, 720.0
OUTAGE = 30.0
WORKERS_SHARE = 0.2
"""Part of the runs that start workers as usual; no task of the others starts any, which spares the machine."""


def duration() -> float:
    """Return how long a trim takes, in seconds: five to ten minutes mostly, half an hour at most."""
    return min(RANDOM.lognormvariate(math.log(480), 0.5), 1800.0)


class Soaking:
    """The trims and runs of a soak, and what is done to them."""

    def __init__(self, airflow: Deployment, account: Account, trims: int) -> None:
        self.airflow, self.account, self.trims = airflow, account, trims
        self.emulator = account.emulator
        self.soak = Soak(QUOTA)
        self.by_hand: set[str] = set()
        """Trims that were ended because the time was over."""
        self.faults = 0
        self._began = time.monotonic()

    @property
    def count(self) -> int:
        """All trims so far."""
        return self.airflow.trims_per_run * (len(self.account.runs) + len(self.account.runs_without_workers))

    @property
    def minute(self) -> float:
        return (time.monotonic() - self._began) / 60

    def top_up(self) -> None:
        """Start one run where there is room for its trims."""
        if len(self.emulator.running) > self.trims - self.airflow.trims_per_run:
            return
        self.account.wait_in(1, without_workers=RANDOM.random() > WORKERS_SHARE, duration=duration)

    def sample(self) -> None:
        memory = {name: self.airflow.memory(name) for name in TRIGGERERS}
        sample = Sample(self.minute, memory, self.emulator.call_count, len(self.emulator.running))
        self.soak.samples.append(sample)
        if len(self.soak.samples) % 8 == 1:
            held = ", ".join(f"{mib:.0f} MiB" for mib in memory.values())
            say(f"{sample.running} trims run, {self.count - sample.running} are done; triggerers {held}")

    def fault(self) -> None:
        """Let the next call meet a fault."""
        self.emulator.misbehave(None, RANDOM.choice(FAULTS))
        self.faults += 1

    def kill(self) -> None:
        self.soak.kills.append(self.minute)
        self.airflow.kill(VICTIM)
        self.airflow.start_process(VICTIM)

    def outage(self) -> None:
        began = self.minute
        self.emulator.stop()
        time.sleep(OUTAGE)
        self.emulator.start()
        self.soak.outages.append((began, self.minute))

    def run(self, minutes: float) -> None:
        """Let it run for so long, and then until all trims have ended."""
        actions = [
            [self.sample, SAMPLE_EVERY, 0.0],
            [self.fault, FAULT_EVERY, FAULT_EVERY],
            [self.kill, KILL_EVERY, KILL_EVERY],
            [self.outage, OUTAGE_EVERY, OUTAGE_EVERY],
        ]
        while self.minute < minutes:
            self.top_up()
            for action in actions:
                if self.minute * 60 >= action[2]:
                    action[0]()
                    action[2] = self.minute * 60 + action[1]
            time.sleep(0.5)
        self.emulator.clear_faults()
        self.by_hand = set(self.account.waiting)
        self.account.finish(self.by_hand)

    def figures(self) -> Soak:
        calls = self.emulator.calls
        seen: dict[str, float] = {}
        for call in calls:
            if call.trim_status == 2:
                seen.setdefault(str(call.trans_no), call.time)
        self.soak.delays = sorted(
            ((end - self._began) / 60, seen[trans_no] - end)
            for trans_no, end in self.account.ends.items()
            if trans_no not in self.by_hand
        )
        minutes = self.soak.samples[-1].minute
        self.soak.figures = [
            ("minutes, trims in all, trims at a time", f"{minutes:.0f}, {self.count:,}, {self.trims}"),
            ("faults, outages of 30 s, triggerers killed",
             f"{self.faults:,}, {len(self.soak.outages)}, {len(self.soak.kills)}"),
            ("trims lost, results that were wrong or came twice, tasks that failed", "0, 0, 0"),
            ("calls, for each trim", f"{len(calls):,}, {len(calls) / self.count:.1f}"),
            (f"most calls in any {QUOTA[1]} s, of {QUOTA[0]:,}; calls refused",
             f"{most_in_any(calls, QUOTA[1]):,}; {self.emulator.rate_limited}"),
        ]  # fmt: skip
        self.soak.note_delays()
        self.soak.note_memory(SURVIVOR)
        return self.soak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--trims", type=int, default=500, help="at a time")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    OUT.mkdir(parents=True, exist_ok=True)
    with Deployment(OUT / "airflow") as airflow, TrimEmulator(user="soak", quota=QUOTA) as emulator:
        for dag_id in ("waits", WITHOUT_WORKERS):
            airflow.wait_for_dag(dag_id)
        extra = {"quota": f"{QUOTA[0]}/{QUOTA[1]} seconds", "quota_storage": airflow.quota.url}
        soaking = Soaking(airflow, Account(airflow, "soak", emulator, OUT / "received", **extra), arguments.trims)
        soaking.run(arguments.minutes)
        soaking.account.check_results()
        soak = soaking.figures()
    soak.draw(OUT / "soak.svg")
    (OUT / "soak.md").write_text(soak.table(), encoding="utf-8")
    (OUT / "samples.jsonl").write_text("".join(json.dumps(vars(sample)) + "\n" for sample in soak.samples))
    print(f"\n{soak.table()}\n{OUT / 'soak.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
