# SPDX-License-Identifier: Apache-2.0
"""Several trims in one task: results in the given order, and what a failed one does to the others."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytest

from airflow_provider_trim.compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_trim.emulator import HttpError, ServiceData, TrimEmulator
from airflow_provider_trim.polling.group import WaitGroup
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Failure, Success
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.vod.errors import TrimError, TrimTaskFailedError
from airflow_provider_trim.vod.models import TrimTask
from tests.support.emulators import set_connection
from tests.support.waits import WAIT_IDS, WAITS, AirflowRescheduleException, operator, run_trigger, sensor

every_wait = pytest.mark.parametrize(("make", "mode"), WAITS, ids=WAIT_IDS)


@every_wait
def test_results_are_in_the_order_asked(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    names = ["c", "a", "b", "a"]
    for number, name in enumerate("abc"):
        trim_default.add_trim(name, seconds=0)
        trim_default.misbehave(name, *[ServiceData({"transNo": name, "status": 1})] * (3 - number))
    wait = make(mode, trans_no=names)
    assert wait.run() == [trim_default.video_info(name) for name in names]
    assert len(wait.deferrals) == (mode == "deferrable")
    if make is operator:
        assert wait.ti.pushed["trans_no"] == names
        assert wait.ti.pushed["video_id"] == [trim_default.video_info(name)["videoId"] for name in names]


@every_wait
@pytest.mark.parametrize("trans_no", ["['7', 'a']", '["7", "a"]', [7, "a"]])
def test_a_list_that_was_rendered_as_text(trim_default: TrimEmulator, make: Any, mode: str, trans_no: Any) -> None:
    """As templates without native rendering leave it, or with integers in it."""
    for name in ("7", "a"):
        trim_default.add_trim(name, seconds=0)
    assert make(mode, trans_no=trans_no).run() == [trim_default.video_info("7"), trim_default.video_info("a")]


@every_wait
def test_multiple_outputs_of_a_list_that_is_known_late(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    """Airflow would find out when all trims are done, at each try again."""
    trim_default.add_trim("a", seconds=0)
    with pytest.raises(AirflowFailException, match=r"^multiple_outputs cannot be combined with a list of transNos: "):
        make(mode, trans_no="['a']", multiple_outputs=True).run()
    assert trim_default.call_count == 0
    assert make(mode, trans_no="a", multiple_outputs=True).run() == trim_default.video_info("a")


def test_multiple_outputs_of_a_list_that_the_triggerer_has_rendered(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("a", seconds=0)
    wait = sensor("deferrable", trans_no="a", multiple_outputs=True)
    worker = wait.operator(**wait.arguments)
    with pytest.raises(AirflowFailException, match=r"^multiple_outputs cannot be combined with a list of transNos: "):
        worker.execute_complete(wait.context, run_trigger(TrimTaskStatusTrigger("['a']")))


@every_wait
def test_one_that_fails_twice_is_counted_twice(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("bad", seconds=0, outcome="fail")
    trim_default.add_trim("good", seconds=0)
    with pytest.raises(AirflowFailException, match=r"^2 of 3 trims failed:(\n  bad  .*){2}$"):
        make(mode, trans_no=["bad", "good", "bad"], on_failure="collect").run()


@every_wait
def test_empty_list(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    assert make(mode, trans_no=[]).run() == []
    assert not trim_default.calls


@every_wait
def test_fail_ends_the_wait_at_the_first_failed_one(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("bad", seconds=0, outcome="fail")
    trim_default.add_trim("slow", seconds=math.inf)
    with pytest.raises(AirflowFailException, match=r"1 of 2 trims failed:\n  bad  .*status 3"):
        make(mode, trans_no=["bad", "slow"], timeout=3600).run()


@every_wait
def test_collect_waits_for_all_and_fails_with_a_table(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("bad", seconds=0, outcome="fail")
    trim_default.add_trim("good", seconds=0)
    trim_default.misbehave("good", *[ServiceData({"transNo": "good", "status": 1})] * 3)
    with pytest.raises(AirflowFailException) as failed:
        make(mode, trans_no=["bad", "good", "missing"], on_failure="collect").run()
    lines = str(failed.value).splitlines()
    assert lines[0] == "2 of 3 trims failed:"
    assert lines[1].startswith("  bad      ")
    assert "status 3" in lines[1]
    assert lines[2].startswith("  missing  ")
    assert "1603" in lines[2]
    assert trim_default.calls_for("good")[-1].trim_status == 2


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_long_table_is_cut_off(trim_default: TrimEmulator, mode: str) -> None:
    for number in range(60):
        trim_default.add_trim(f"bad-{number}", seconds=0, outcome="fail")
    with pytest.raises(AirflowFailException) as failed:
        sensor(mode, trans_no=[f"bad-{number}" for number in range(60)], on_failure="collect").run()
    lines = str(failed.value).splitlines()
    assert lines[0] == "60 of 60 trims failed:"
    assert lines[-1] == "  and 10 more"
    assert len(lines) == 52


@every_wait
def test_ignore_leaves_none_in_its_place(
    trim_default: TrimEmulator, make: Any, mode: str, capsys: pytest.CaptureFixture, caplog: Any
) -> None:
    trim_default.add_trim("a", seconds=0)
    trim_default.add_trim("c", seconds=0)
    with caplog.at_level(logging.INFO):
        result = make(mode, trans_no=["a", "b", "c"], on_failure="ignore").run()
    assert result == [trim_default.video_info("a"), None, trim_default.video_info("c")]
    assert "Ignoring failed trim b (on_failure='ignore')" in capsys.readouterr().out + caplog.text


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_soft_fail_and_timeout(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.add_trim("a", seconds=0)
    trim_default.add_trim("slow", seconds=math.inf)
    with pytest.raises(AirflowSensorTimeout, match="1 of 2 trims failed:\n  slow  not finished"):
        sensor(mode, trans_no=["a", "slow"], timeout=0.2).run()
    with pytest.raises(AirflowSkipException):
        sensor(mode, trans_no=["a", "missing"], soft_fail=True).run()


def test_failures_that_may_pass_are_worth_a_retry(trim_default: TrimEmulator) -> None:
    trim_default.misbehave(None, HttpError(500), repeat=True)
    with pytest.raises(TrimError, match="2 of 2 trims failed") as failed:
        sensor("deferrable", trans_no=["a", "b"], max_consecutive_failures=2, on_failure="collect").run()
    assert failed.value.retryable


def test_a_rescheduled_wait_for_several_comes_back_after_its_interval(trim_default: TrimEmulator) -> None:
    """Though it has not polled those after the first that is not done."""
    trans_nos = ["a", "b", "c"]
    for trans_no in trans_nos:
        trim_default.add_trim(trans_no, seconds=0 if trans_no == "a" else math.inf)
    wait = sensor("reschedule", trans_no=trans_nos, poke_interval=60, timeout=600)
    before = time.time()
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        wait.task().execute(wait.context)
    assert rescheduled.value.reschedule_date.timestamp() >= before + 60
    assert [call.trans_no for call in trim_default.calls] == ["a", "b"]


def test_without_waiting(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("a", seconds=0)
    trim_default.add_trim("b", seconds=math.inf)
    assert operator("poke", trans_no=["a"], wait_for_completion=False).run() == [trim_default.video_info("a")]
    with pytest.raises(TrimError, match="b is still processing"):
        operator("poke", trans_no=["a", "b"], wait_for_completion=False).run()


@pytest.mark.parametrize("bad", [["a", ""], ["a", "x" * 33], ["a", None]])
def test_a_list_with_one_that_cannot_be_fails_before_any_call(trim_default: TrimEmulator, bad: list[Any]) -> None:
    with pytest.raises(AirflowFailException, match="trans_no"):
        sensor("deferrable", trans_no=bad).run()
    assert not trim_default.calls


def test_an_unknown_policy_fails_the_import() -> None:
    with pytest.raises(ValueError, match="on_failure must be 'fail', 'collect' or 'ignore', not 'skip'"):
        sensor("poke", on_failure="skip").run()


def test_a_thousand_in_one_list(trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, trim_default, quota="off")
    names = [f"clip-{number}" for number in range(1000)]
    for name in names:
        trim_default.add_trim(name, seconds=0)
    wait = sensor("deferrable", trans_no=names, poke_interval=1)
    assert [info["videoId"] for info in wait.run()] == [trim_default.video_info(name)["videoId"] for name in names]
    assert len(wait.deferrals) == 1
    assert trim_default.call_count == 1000


def test_event_with_a_missing_item_is_no_success(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("a", seconds=0)
    event = run_trigger(TrimTaskStatusTrigger(["a"]))
    wait = sensor("deferrable", trans_no=["a", "b"])
    for broken in (event, {"verdicts": None}, {"verdicts": []}, {"content": event["content"].replace("a", "b")}):
        with pytest.raises(TrimError, match="cannot decode the trigger event for 2 trims"):
            wait.resume(broken, trans_no=["a", "b"])


def test_progress_in_the_log() -> None:
    done = Success(TrimTask.model_validate({"status": 2, "videoInfo": {}}))
    tally = WaitGroup([PollState(f"clip-{n}", now=1000.0) for n in range(40)], stop_at_failure=False)
    for place in range(17):
        tally.record(place, done)
    tally.record(20, Failure(TrimTaskFailedError("status 3")))
    assert tally.progress_line(1250.0) == "17/40 done, 1 failed; longest wait 4 min 10 s"
    assert tally.progress_line(1009.0).endswith("longest wait 9 s")
    due = [second for second in range(0, 2500, 5) if tally.should_log(1000.0 + second)]
    assert due == [60, 120, 240, 480, 960, 1560, 2160]
    assert not WaitGroup([PollState("one", now=0.0)], stop_at_failure=True).should_log(1e9)
