# SPDX-License-Identifier: Apache-2.0
"""What a live triggerer and its workers measure arrives at StatsD."""

from __future__ import annotations

import math
import re

import pytest

from airflow_provider_trim.emulator import HttpError
from tests.live.waits import LIMIT, Waits
from tests.support.emulators import settings_for
from tests.support.statsd_server import StatsdServer

pytestmark = pytest.mark.xdist_group("live")


def test_a_triggerer_sends_metrics(waits: Waits, statsd: StatsdServer) -> None:
    """Since Airflow 3.2 it has another Stats than its workers."""
    label = re.escape(settings_for(waits.service).account_label)
    opened = re.compile(rf"trim\.waits\.open,account={label},hostname=[^,]+:[1-9]\d*\|g")
    waits.service.add_trim("measured", seconds=math.inf)
    waits.service.misbehave("measured", HttpError(502))
    run_id = waits.airflow.trigger("of_conf", trans_no="measured")
    statsd.wait_until(lambda: any(map(opened.fullmatch, statsd.lines())), lambda: f"{statsd.lines()}", LIMIT)
    waits.service.finish("measured")
    assert waits.airflow.wait_for_end("of_conf", run_id, LIMIT) == "success"
    names = ("polls.done", "polls.processing", "polls.unavailable", "poll.duration", "waits.ended.success")
    gauges = ("waits.open", "quota.used", "quota.limit")
    more = ("wait.duration", "detection.delay")
    statsd.wait_for((f"trim.{name}" for name in (*names, *gauges, *more)), LIMIT)
    assert waits.service.token not in "".join(statsd.lines(""))


def test_a_worker_sends_metrics(waits: Waits, statsd: StatsdServer) -> None:
    """Before its process ends."""
    assert waits.run("submits")[0] == "success"
    statsd.wait_for(("trim.submissions", "trim.submissions.accepted"), LIMIT)
