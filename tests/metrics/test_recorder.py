# SPDX-License-Identifier: Apache-2.0
"""Measurements are added up, and taken once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_trim.metrics import NO_METRICS, AccountMetrics, Sample
from airflow_provider_trim.metrics.recorder import MAX_DURATIONS, MAX_SERIES, Recorder


def test_counts_are_added_up_and_taken_once() -> None:
    recorder = Recorder()
    account = AccountMetrics(recorder, "host/1")
    for _ in range(3):
        account.count("trim.polls", "done")
    account.count("trim.cooldowns")
    assert recorder.take().counts == {("trim.polls", "host/1", "done"): 3, ("trim.cooldowns", "host/1"): 1}
    assert not recorder.take()


def test_of_durations_the_latest_are_kept() -> None:
    recorder = Recorder()
    for seconds in range(MAX_DURATIONS + 5):
        recorder.time("trim.poll.duration", float(seconds), "host/1")
    (durations,) = recorder.take().durations.values()
    assert (len(durations), durations[-1]) == (MAX_DURATIONS, MAX_DURATIONS + 4.0)


def test_series_are_bounded() -> None:
    recorder = Recorder()
    for number in range(MAX_SERIES + 10):
        recorder.count("trim.cooldowns", f"host/{number}")
        recorder.time("trim.poll.duration", 1.0, f"host/{number}")
    recorder.count("trim.cooldowns", "host/0")
    taken = recorder.take()
    assert (len(taken.counts), len(taken.durations)) == (MAX_SERIES, MAX_SERIES)
    assert taken.counts["trim.cooldowns", "host/0"] == 2


def test_gauges_of_one_account_are_combined_and_set_to_0_at_the_end() -> None:
    recorder = Recorder()

    def one() -> Iterator[Sample]:
        yield "trim.waits.open", ("host/1",), 2
        yield "trim.quota.used", ("host/1",), 7
        yield "trim.quota.limit", ("host/1",), 300

    def other() -> Iterator[Sample]:
        yield "trim.waits.open", ("host/1",), 3
        yield "trim.quota.used", ("host/1",), 7

    recorder.watch(one)
    recorder.watch(other)
    waits, used, limit = ((f"trim.{name}", "host/1") for name in ("waits.open", "quota.used", "quota.limit"))
    assert recorder.take().gauges == {waits: 5, used: 7, limit: 300}
    recorder.unwatch(one)
    assert recorder.take().gauges == {waits: 3, used: 7}
    recorder.unwatch(other)
    assert recorder.take().gauges == {waits: 0, used: 0}
    assert not recorder.take()


def test_a_gauge_that_raises_costs_that_gauge() -> None:
    recorder = Recorder()

    def fails() -> Iterator[Sample]:
        yield "trim.waits.open", ("host/1",), 2
        raise RuntimeError("dictionary changed size during iteration")

    recorder.watch(fails)
    recorder.watch(lambda: [("trim.quota.limit", ("host/1",), 300)])
    assert recorder.take().gauges == {("trim.waits.open", "host/1"): 2, ("trim.quota.limit", "host/1"): 300}


def test_it_says_once_that_there_is_something_to_export() -> None:
    calls: list[str] = []
    recorder = Recorder()
    recorder.on_active = lambda: calls.append("active")
    recorder.count("trim.cooldowns", "host/1")
    recorder.time("trim.poll.duration", 1.0, "host/1")
    assert (calls, recorder.rest(), recorder.active) == (["active"], False, True)
    recorder.take()
    assert (recorder.rest(), recorder.active) == (True, False)
    source = list[Sample]
    recorder.watch(source)
    assert (len(calls), recorder.rest()) == (2, False)
    recorder.unwatch(source)
    assert (len(calls), recorder.rest()) == (2, True)


@pytest.mark.parametrize("method", ["count", "time", "watch", "unwatch", "flush"])
def test_without_metrics_nothing_happens(method: str) -> None:
    arguments = {"time": ("trim.poll.duration", 1.0), "flush": ()}.get(method, ("trim.cooldowns",))
    assert getattr(NO_METRICS, method)(*arguments) is None
