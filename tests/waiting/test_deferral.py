# SPDX-License-Identifier: Apache-2.0
"""What goes to the triggerer, what comes back, and what happens when something else does."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import math
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowException

from airflow_provider_trim.compat import AirflowSensorTimeout, AirflowSkipException, BaseHook
from airflow_provider_trim.emulator import Hold, ServiceData, TrimEmulator
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.vod.errors import TrimError, TrimTransportError
from tests.support.emulators import set_connection
from tests.support.waits import operator, run_trigger, sensor, verdicts_of

PROCESSING = ServiceData({"taskId": "task", "transNo": "T", "status": 1})

both = pytest.mark.parametrize("make", [sensor, operator], ids=["sensor", "operator"])


@both
def test_everything_that_shapes_the_wait_reaches_the_trigger(trim_default: TrimEmulator, make: Any) -> None:
    """Nothing is lost, times are wall-clock, values are plain JSON."""
    trim_default.add_trim("T", seconds=math.inf)
    interval = {"poke_interval" if make is sensor else "poll_interval": timedelta(seconds=45)}
    before = time.time()
    deferred = make("deferrable", timeout=600, max_consecutive_failures=7, **interval).defer()
    path, arguments = deferred.trigger.serialize()
    assert path == "airflow_provider_trim.triggers.trim.TrimTaskStatusTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert arguments["trans_no"] == "T"
    assert arguments["trim_conn_id"] == "trim_default"
    assert arguments["poll_interval"] == 45
    assert arguments["max_consecutive_failures"] == 7
    after = time.time()
    assert before <= arguments["started_at"] <= after
    assert arguments["deadline"] == pytest.approx(arguments["started_at"] + 600)
    # The first poll was in the worker, so the next one is an interval later.
    assert 45 <= arguments["first_poll_after"] <= 45 + after - before
    assert deferred.method_name == "execute_complete"
    # The deferral's own limit is only a backstop behind the deadline.
    assert 600 < deferred.timeout.total_seconds() <= 600 + 600


def test_base_class_settings_reach_the_trigger(trim_default: TrimEmulator) -> None:
    """``exponential_backoff``, max_wait and silent_fail mean the same when deferred."""
    trim_default.add_trim("T", seconds=math.inf)
    wait = sensor("deferrable", exponential_backoff=True, max_wait=timedelta(minutes=5), silent_fail=True)
    _, arguments = wait.defer().trigger.serialize()
    assert arguments["exponential_backoff"] is True
    assert arguments["max_interval"] == 300
    assert arguments["max_consecutive_failures"] is None


@both
def test_no_secret_in_the_trigger(trim_default: TrimEmulator, make: Any) -> None:
    trim_default.add_trim("T", seconds=math.inf)
    trigger = make("deferrable").defer().trigger
    assert trim_default.token not in repr(trigger) + json.dumps(trigger.serialize())


@both
def test_first_poll_after_saves_early_polls(trim_default: TrimEmulator, make: Any) -> None:
    """No poll in the worker, none in the triggerer before its time, and none later than the deadline."""
    trim_default.add_trim("T", seconds=0)
    wait = make("deferrable", first_poll_after=timedelta(seconds=0.3))
    started = time.monotonic()
    assert wait.run() == trim_default.video_info("T")
    assert len(trim_default.calls) == 1
    assert trim_default.calls[0].time - started >= 0.3


@both
def test_first_polls_in_workers_leave_most_of_the_quota_to_the_triggerer(
    make: Any, trim_emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A thousand tasks that start at once would use it up, and no trim would be polled for the rest of the window."""
    set_connection(monkeypatch, trim_emulator, quota="8/minute")
    trim_emulator.add_trim("T", seconds=math.inf)
    waited = [make("deferrable").defer().trigger.serialize()[1]["first_poll_after"] > 0 for _ in range(5)]
    assert waited == [True, True, False, False, False]
    assert trim_emulator.call_count == 2
    assert "quota" not in caplog.text


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.usefixtures("standing_clock")
def test_first_poll_after_in_a_worker(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.add_trim("T", seconds=0)
    wait = sensor(mode, first_poll_after=30)
    started = time.time()
    assert wait.run() == trim_default.video_info("T")
    assert len(trim_default.calls) == 1
    assert time.time() == pytest.approx(started + 30, abs=0.01)
    assert [date.timestamp() for date in wait.reschedules] == pytest.approx([started + 30] * (mode == "reschedule"))


def test_old_arguments_stay_accepted(trim_default: TrimEmulator) -> None:
    """The arguments of the contract alone are enough."""
    trim_default.add_trim("T", seconds=0)
    oldest = TrimTaskStatusTrigger(
        trans_no="T",
        trim_conn_id="trim_default",
        poll_interval=0.02,
        deadline=None,
        first_poll_after=None,
        max_consecutive_failures=10,
    )
    assert sensor("deferrable").resume(run_trigger(oldest)) == trim_default.video_info("T")
    assert sensor("deferrable").resume(run_trigger(TrimTaskStatusTrigger("T"))) == trim_default.video_info("T")


async def test_one_event_and_the_trigger_ends(trim_default: TrimEmulator) -> None:
    """Nothing comes after the event, and nothing is polled any more."""
    trim_default.add_trim("T", seconds=0)
    events = TrimTaskStatusTrigger("T", poll_interval=0.01).run()
    await anext(events)
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    assert len(trim_default.calls) == 1


def test_a_triggerer_that_takes_over_keeps_the_deadline(trim_default: TrimEmulator) -> None:
    """``run()`` begins again from the arguments, long after the deadline: one poll, then the timeout."""
    trim_default.add_trim("T", seconds=math.inf)
    trigger = TrimTaskStatusTrigger("T", deadline=time.time() - 3600, started_at=time.time() - 7200)
    with pytest.raises(AirflowSensorTimeout):
        sensor("deferrable").resume(run_trigger(trigger))
    assert len(trim_default.calls) == 1


def test_the_interval_is_kept(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", *[PROCESSING] * 4)
    sensor("deferrable", poke_interval=0.15).run()
    times = [call.time for call in trim_default.calls]
    assert len(times) == 5
    assert all(later - earlier >= 0.14 for earlier, later in itertools.pairwise(times))


@pytest.mark.skipif(
    not hasattr(BaseHook, "aget_connection"),
    reason="Airflow 2.11 and 3.0 have no loader for event loops; a thread does it there",
)
def test_the_event_loop_is_never_made_to_wait_for_a_connection(
    trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocking loader is not used in the triggerer where Airflow has one that does not block."""
    trim_default.add_trim("T", seconds=0)

    def blocking(*_: Any, **__: Any) -> None:
        raise AssertionError("blocking load in the event loop")

    monkeypatch.setattr(BaseHook, "get_connection", blocking)
    (verdict,) = verdicts_of(run_trigger(TrimTaskStatusTrigger("T")))
    assert isinstance(verdict, Success)


@both
@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        [],
        "success",
        {"status": "success"},
        {"verdict": "done"},
        {"verdict": "success", "data": {"status": 1}},
    ],
    ids=repr,
)
def test_events_that_are_not_understood_fail_closed(make: Any, soft_fail: bool, event: Any) -> None:
    """No success, and no skip either."""
    arguments = {"soft_fail": True} if soft_fail and make is sensor else {}
    with pytest.raises(TrimError, match="cannot decode the trigger event") as failed:
        make("deferrable", **arguments).resume(event)
    assert not isinstance(failed.value, AirflowException)


def test_a_crashed_trigger_is_no_skip() -> None:
    """Airflow would make one of it under soft_fail."""
    task = TrimTaskStatusSensor(task_id="wait", trans_no="T", deferrable=True, soft_fail=True)
    with pytest.raises(Exception, match="Trigger failure") as failed:
        task.resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["boom"]}, {})
    assert not isinstance(failed.value, AirflowSkipException)


def test_a_crashed_trigger_is_a_skip_under_never_fail() -> None:
    task = TrimTaskStatusSensor(task_id="wait", trans_no="T", deferrable=True, never_fail=True)
    with pytest.raises(AirflowSkipException):
        task.resume_execution("__fail__", {"error": "Trigger failure"}, {})
    with pytest.raises(AirflowSkipException):
        task.execute_complete({}, {"verdict": "?"})


@pytest.mark.parametrize(("soft_fail", "expected"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_trigger_timeout_counts_as_the_timeout(soft_fail: bool, expected: type[Exception]) -> None:
    """An execution_timeout that ends a deferral never reaches execute_complete; a timeout it is."""
    task = TrimTaskStatusSensor(task_id="wait", trans_no="T", deferrable=True, soft_fail=soft_fail)
    with pytest.raises(expected):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_every_call_has_a_timeout(trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that never responds is a passing failure, in a worker and in the triggerer."""
    set_connection(monkeypatch, trim_default, timeout=0.2)
    hold = Hold()
    trim_default.misbehave("T", hold, repeat=True)
    try:
        for mode in ("poke", "deferrable"):
            with pytest.raises(TrimTransportError, match="timed out"):
                sensor(mode, max_consecutive_failures=1).run()
    finally:
        hold.release()


def test_log_has_no_line_per_poll(trim_default: TrimEmulator, capsys: pytest.CaptureFixture, caplog: Any) -> None:
    """Lines for the beginning and the end, none per poll."""
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", *[PROCESSING] * 30)
    with caplog.at_level(logging.INFO):
        sensor("deferrable", poke_interval=0.01).run()
    # Up to Airflow 3.0 a line is in both; its own lines, about the connection, are not counted.
    lines = set(re.findall(r"(?i:polling trim|trim) T .*", capsys.readouterr().out + caplog.text))
    assert len(trim_default.calls) == 31
    assert len(lines) <= 3, lines
    assert any("Polling trim T every" in line for line in lines)
    info = trim_default.video_info("T")
    (done,) = [line for line in lines if "Trim T is done" in line]
    size, renditions = int(info["videoSize"]) / 1e6, len(info["videoResolutions"])
    assert f", {size:.1f} MB, {renditions} renditions up to 1280x720, " in done
    assert f", video {info['videoId']} {info['videoName']!r}" in done


def test_two_deferred_waits_of_one_trim_share_their_calls(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", *[PROCESSING] * 5)

    async def first_events() -> list[Any]:
        triggers = [TrimTaskStatusTrigger("T", poll_interval=0.02) for _ in range(2)]
        return await asyncio.gather(*(anext(trigger.run()) for trigger in triggers))

    events = asyncio.run(first_events())
    assert all(isinstance(verdict, Success) for event in events for verdict in verdicts_of(event.payload))
    assert len(trim_default.calls) <= 7
