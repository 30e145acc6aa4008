# SPDX-License-Identifier: Apache-2.0
"""TrimVideoOperator: one trim per task instance, whichever try it is, and what comes out of it."""

from __future__ import annotations

import json
import logging
import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    task,
)
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.emulator import (
    QUERY_PATH,
    SUBMIT_PATH,
    HttpError,
    ServiceCode,
    ServiceData,
    Submission,
    TrimEmulator,
)
from airflow_provider_trim.operators.idempotent_submit import task_trans_no
from airflow_provider_trim.operators.trim import TrimVideoOperator
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.vod.errors import TrimError, TrimTaskFailedError, VideoProcessingError
from tests.support.waits import TaskInstance, derived, run_trigger, verdicts_of, video

START = pendulum.datetime(2026, 1, 1, tz="UTC")
S, Q = SUBMIT_PATH, QUERY_PATH
OURS = derived()
NEXT = derived(attempt=1)
every_mode = pytest.mark.parametrize("mode", ["worker", "deferrable"])


def retry(number: int = 2) -> TaskInstance:
    """The same task instance at a later try, whether a retry or after a clear: Airflow counts on in both cases."""
    return TaskInstance(try_number=number)


def submitted(emulator: TrimEmulator) -> list[str]:
    return [submission.trans_no for submission in emulator.submissions]


def paths(emulator: TrimEmulator) -> list[str]:
    return [call.path for call in emulator.calls]


# --- the first try ---


@every_mode
def test_a_clip_is_cut(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = 0
    how = {"resolution": "640x480", "suffix": "mp4", "sampling_rate": 48000}
    wait, ours = video(mode, **how), derived(**how)
    result = wait.run()
    (submission,) = trim_default.submissions
    assert dict(submission.parameters) == {
        "transNo": ours,
        "videoId": "V1",
        "seekStart": 30,
        "duration": 12,
        "filename": "goal",
        "resolution": "640x480",
        "suffix": "mp4",
        "samplingRate": 48000,
    }
    assert result == trim_default.video_info(ours)
    assert (result["videoName"], result["videoDuration"]) == ("goal", "12")
    ids = {"trans_no": ours, "trim_task_id": submission.task_id, "video_id": result["videoId"]}
    assert {key: wait.ti.pushed[key] for key in ids} == ids
    assert len(wait.deferrals) == (mode == "deferrable")


@every_mode
def test_first_try_submits_without_a_query(trim_default: TrimEmulator, mode: str) -> None:
    """Nothing can be there yet, and the quota is small: two calls for a trim that is done at the first poll."""
    trim_default.duration = 0
    video(mode).run()
    assert paths(trim_default) == [S, Q]


@every_mode
def test_without_waiting(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = math.inf
    wait = video(mode, wait_for_completion=False)
    assert wait.run() == OURS
    assert wait.ti.pushed == {"trans_no": OURS}
    assert (paths(trim_default), wait.deferrals) == ([S], [])


@every_mode
def test_explicit_trans_no(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = 0
    wait = video(mode, trans_no="goal-1")
    assert wait.run() == trim_default.video_info("goal-1")
    assert submitted(trim_default) == ["goal-1"]
    assert wait.ti.pushed["trans_no"] == "goal-1"


@pytest.mark.parametrize("empty", [None, "", "None"])
def test_a_trans_no_that_is_empty_is_derived(trim_default: TrimEmulator, empty: Any) -> None:
    """As a template leaves it."""
    video("worker", trans_no=empty, wait_for_completion=False).run()
    assert submitted(trim_default) == [OURS]


@pytest.mark.parametrize("missing", [None, "", "None"])
def test_what_is_optional_may_be_rendered_to_nothing(trim_default: TrimEmulator, missing: Any) -> None:
    """Jinja makes the text None of a param that is None."""
    names = ["resolution", "frame_rate", "video_bit_rate", "audio_bit_rate", "sampling_rate", "notify_url", "suffix"]
    optional = dict.fromkeys([*names, "enable_video_transcode"], missing)
    video("worker", wait_for_completion=False, **optional).run()
    (submission,) = trim_default.submissions
    assert set(submission.parameters) == {"transNo", "videoId", "seekStart", "duration", "filename"}


@every_mode
def test_the_timeout_leaves_the_trim_alone(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = math.inf
    with pytest.raises(AirflowSensorTimeout):
        video(mode, timeout=0.1).run()
    assert trim_default.running == submitted(trim_default) == [OURS]


@pytest.mark.parametrize(
    ("duration", "pause"), [(1, 2.0), ("00:01:40", 5.0), (pendulum.duration(hours=1), 30.0), ("600", 30.0)]
)
def test_first_poll_is_delayed(trim_default: TrimEmulator, standing_clock: None, duration: Any, pause: float) -> None:
    """No call for a trim that can't be done yet."""
    wait = video("deferrable", duration=duration, first_poll_after=None)
    deferred = wait.defer()
    assert deferred.trigger.first_poll_after == pytest.approx(pause)
    assert paths(trim_default) == [S]


def test_wait_parameters_reach_the_trigger(trim_default: TrimEmulator) -> None:
    wait = video(
        "deferrable",
        poll_interval=pendulum.duration(seconds=7),
        first_poll_after=pendulum.duration(seconds=9),
        timeout=pendulum.duration(hours=1),
        max_consecutive_failures=3,
    )
    deferred = wait.defer()
    _, arguments = deferred.trigger.serialize()
    assert (arguments["poll_interval"], arguments["max_consecutive_failures"]) == (7, 3)
    assert arguments["first_poll_after"] == pytest.approx(9)
    assert arguments["deadline"] - arguments["started_at"] == pytest.approx(3600)
    assert arguments["trim_conn_id"] == "trim_default"
    assert arguments["clip_seconds"] == 12
    assert trim_default.token not in json.dumps(arguments)


# --- what is there already, from the second try on ---


@every_mode
@pytest.mark.parametrize("number", [2, 7])
def test_unknown_trim_is_submitted(trim_default: TrimEmulator, mode: str, number: int) -> None:
    trim_default.duration = 0
    assert video(mode, retry(number)).run() == trim_default.video_info(OURS)
    assert paths(trim_default) == [Q, S, Q]
    assert submitted(trim_default) == [OURS]


@every_mode
@pytest.mark.parametrize("code", [None, 1560])
def test_running_trim_is_adopted(trim_default: TrimEmulator, mode: str, code: int | None) -> None:
    trim_default.add_trim(OURS, seconds=0)
    trim_default.misbehave(OURS, ServiceCode(code) if code else ServiceData({"transNo": OURS, "status": 1}))
    assert video(mode, retry()).run() == trim_default.video_info(OURS)
    assert paths(trim_default) == [Q, Q]


@every_mode
def test_finished_trim_is_returned_at_once(trim_default: TrimEmulator, mode: str) -> None:
    """The same value and the same keys as after a wait, and no deferral."""
    trim_default.add_trim(OURS, seconds=0)
    wait = video(mode, retry())
    info = wait.run()
    assert info == trim_default.video_info(OURS)
    assert (paths(trim_default), wait.deferrals) == ([Q], [])
    waited = video(mode, TaskInstance(run_id="another"))
    trim_default.duration = 0
    waited.run()
    assert wait.ti.pushed.keys() == waited.ti.pushed.keys()
    assert (wait.ti.pushed["trans_no"], wait.ti.pushed["video_id"]) == (OURS, info["videoId"])


@every_mode
def test_failed_trim_is_followed_by_another(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = 0
    trim_default.add_trim(OURS, seconds=0, outcome="fail")
    wait = video(mode, retry())
    assert wait.run() == trim_default.video_info(NEXT)
    assert wait.ti.pushed["trans_no"] == NEXT
    assert submitted(trim_default) == [NEXT]
    assert paths(trim_default) == [Q, Q, S, Q]


@every_mode
def test_successor_of_a_failed_trim_is_adopted(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.add_trim(OURS, seconds=0, outcome="fail")
    trim_default.add_trim(NEXT, seconds=0)
    trim_default.misbehave(NEXT, ServiceData({"transNo": NEXT, "status": 1}))
    assert video(mode, retry(3)).run() == trim_default.video_info(NEXT)
    assert submitted(trim_default) == []


@every_mode
def test_tries_in_a_row(trim_default: TrimEmulator, mode: str) -> None:
    """Two trims fail, the third succeeds; a clear after that returns it."""
    trim_default.duration = 0
    trim_default.submission_outcome = "fail"
    for number in (1, 2):
        with pytest.raises(TrimTaskFailedError):
            video(mode, retry(number)).run()
    trim_default.submission_outcome = "success"
    info = video(mode, retry(3)).run()
    names = [derived(attempt=attempt) for attempt in range(3)]
    assert submitted(trim_default) == names
    assert info == trim_default.video_info(names[2])
    assert video(mode, retry(4)).run() == info
    assert submitted(trim_default) == names


@every_mode
def test_finished_trim_is_not_reused_with_reuse_off(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = 0
    first = video(mode, reuse_finished=False).run()
    second = video(mode, retry(2), reuse_finished=False).run()
    assert second == trim_default.video_info(NEXT) != first
    video(mode, retry(3), reuse_finished=False).run()
    assert submitted(trim_default) == [derived(attempt=attempt) for attempt in range(3)]


def test_running_trim_is_adopted_with_reuse_off(trim_default: TrimEmulator) -> None:
    trim_default.add_trim(OURS, seconds=math.inf)
    assert video("worker", retry(), reuse_finished=False, wait_for_completion=False).run() == OURS
    assert submitted(trim_default) == []


@pytest.mark.parametrize("reuse_finished", [True, False])
@pytest.mark.parametrize("seconds", [0, math.inf])
def test_without_waiting_a_retry_returns_the_same(
    trim_default: TrimEmulator, reuse_finished: bool, seconds: float
) -> None:
    """The id for downstream tasks, whether the trim is done by then or not."""
    trim_default.add_trim(OURS, seconds=seconds)
    wait = video("worker", retry(), wait_for_completion=False, reuse_finished=reuse_finished)
    expected = OURS if reuse_finished or seconds else NEXT
    assert wait.run() == expected
    assert wait.ti.pushed == {"trans_no": expected}


def test_failed_query_submits_nothing(trim_default: TrimEmulator) -> None:
    trim_default.misbehave(OURS, HttpError(429, headers={"Retry-After": "61"}))
    with pytest.raises(TrimError) as trouble:
        video("worker", retry(), timeout=30).run()
    assert trouble.value.retryable
    assert (paths(trim_default), submitted(trim_default)) == ([Q], [])


@pytest.mark.parametrize("seconds", [0, math.inf])
def test_explicit_trans_no_is_queried_too(trim_default: TrimEmulator, seconds: float) -> None:
    trim_default.add_trim("goal-1", seconds=seconds)
    assert video("worker", retry(), trans_no="goal-1", wait_for_completion=False).run() == "goal-1"
    assert submitted(trim_default) == []


def test_explicit_trans_no_has_no_successor(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("done", seconds=0)
    trim_default.add_trim("failed", seconds=0, outcome="fail")
    with pytest.raises(AirflowFailException, match=r"trim done is already finished .*choose another trans_no"):
        video("worker", retry(), trans_no="done", reuse_finished=False).run()
    with pytest.raises(AirflowFailException, match=r"trim failed .*status 3"):
        video("worker", retry(), trans_no="failed").run()
    assert submitted(trim_default) == []


# --- failures ---


@every_mode
def test_a_failed_trim_is_worth_a_retry(trim_default: TrimEmulator, mode: str) -> None:
    """The retry submits the next; an AirflowException may end or skip the task instead."""
    trim_default.duration = 0
    trim_default.submission_outcome = "fail"
    with pytest.raises(TrimTaskFailedError, match=f"trim {OURS} .*status 3") as failed:
        video(mode).run()
    assert not isinstance(failed.value, AirflowException)
    assert failed.value.request_id == trim_default.calls[-1].request_id


@every_mode
def test_failed_trim_with_explicit_trans_no_is_not_worth_a_retry(trim_default: TrimEmulator, mode: str) -> None:
    """A retry could only find it failed again."""
    trim_default.duration = 0
    trim_default.submission_outcome = "fail"
    with pytest.raises(AirflowFailException, match=r"trim goal-1.*status 3"):
        video(mode, trans_no="goal-1").run()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seek_start": "soon"}, "^seek_start: must be seconds, a timedelta or 'HH:MM:SS'"),
        ({"seek_start": -1}, "^seek_start: "),
        ({"duration": ""}, "^duration: "),
        ({"duration": 0}, "^duration: must be > 0 seconds"),
        ({"video_id": ""}, "^video_id: "),
        ({"filename": None}, "^filename: "),
        ({"resolution": "640 x 480"}, "^resolution: "),
        ({"frame_rate": "many"}, "^frame_rate: "),
        ({"video_bit_rate": -1}, "^video_bit_rate: "),
        ({"audio_bit_rate": 0}, "^audio_bit_rate: "),
        ({"sampling_rate": 48000}, "^sampling_rate: flv takes only 44100, 22050, 11025 Hz"),
        ({"suffix": "avi"}, "^suffix: "),
        ({"notify_url": "example.com"}, "^notify_url: "),
        ({"enable_video_transcode": "maybe"}, "^enable_video_transcode: "),
        ({"trans_no": "x" * 33}, "trans_no has 33 characters; at most 32 are allowed"),
        ({"trans_no": 7.5}, r"trans_no must be a string, not float \(7\.5\); native rendering"),
        ({"trans_no": ["a"]}, "trans_no must be one transNo, not a list"),
        ({"video_id": "None"}, "^video_id: is the text 'None'"),
        ({"trim_conn_id": "None"}, "^trim_conn_id: is the text 'None'"),
    ],
)
def test_a_wrong_parameter_fails_at_once_by_its_name(
    trim_default: TrimEmulator, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        video("deferrable", **arguments).run()
    assert not trim_default.calls


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1561, "^frame_rate was refused"),
        (1565, "^resolution was refused"),
        (1000, "^a parameter was refused"),
        (1301, "^API error: no"),
        (4711, "^API error: no"),
    ],
)
def test_refused_submission_fails_at_once(trim_default: TrimEmulator, code: int, words: str) -> None:
    """With code and request id. 1301, too: a retry has no more permission."""
    trim_default.fail_submission("before", ServiceCode(code, "no"))
    with pytest.raises(AirflowFailException, match=words) as failed:
        video("deferrable").run()
    assert f"code {code}, HTTP status 200, request id {trim_default.calls[0].request_id}" in str(failed.value)


def test_a_given_trans_no_that_exists_says_what_to_write(trim_default: TrimEmulator) -> None:
    """One that is the same in each run, or for all mapped tasks, say."""
    trim_default.add_trim("theirs", seconds=0)
    with pytest.raises(AirflowFailException, match="If trans_no 'theirs' was used before, choose another, or leave"):
        video("worker", trans_no="theirs").run()
    trim_default.fail_submission("before", ServiceCode(1561, "no"))
    with pytest.raises(AirflowFailException, match=r"^frame_rate was refused") as failed:
        video("worker", trans_no="mine").run()
    assert "was used before" not in str(failed.value)


def test_transient_failure_is_worth_a_retry(trim_default: TrimEmulator) -> None:
    """The video itself is still being processed, say."""
    trim_default.fail_submission("before", ServiceCode(1560, "video is being processed"))
    with pytest.raises(VideoProcessingError):
        video("deferrable").run()
    assert submitted(trim_default) == []


# --- killed ---


def test_killing_the_task_leaves_the_trim_alone_and_says_so(
    trim_default: TrimEmulator, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no call to cancel one."""
    trim_default.duration = math.inf
    wait = video("deferrable", wait_for_completion=False)
    running = wait.task()
    running.execute(wait.context)
    with caplog.at_level(logging.WARNING):
        running.on_kill()
    assert "The trim keeps running: the API has no cancel call" in capsys.readouterr().out + caplog.text
    assert (paths(trim_default), trim_default.running) == ([S], [OURS])


def test_a_trigger_that_is_run_again_submits_nothing(trim_default: TrimEmulator) -> None:
    """A triggerer that takes over from a killed one starts with the same arguments."""
    trim_default.duration = 0
    wait = video("deferrable")
    deferred = wait.defer()
    events = [run_trigger(deferred.trigger) for _ in range(2)]
    assert all(isinstance(verdict, Success) for event in events for verdict in verdicts_of(event))
    assert paths(trim_default) == [S, Q, Q]
    assert wait.resume(events[1], **deferred.kwargs) == trim_default.video_info(OURS)
    assert submitted(trim_default) == [OURS]


def test_event_of_another_trim_is_rejected(trim_default: TrimEmulator) -> None:
    trim_default.duration = 0
    wait = video("deferrable")
    deferred = wait.defer()
    event = run_trigger(deferred.trigger)
    event["content"] = event["content"].replace(OURS, "another")
    for broken in (event, None, {"verdict": "?"}):
        with pytest.raises(TrimError, match=r"cannot decode the trigger event for trim "):
            wait.resume(broken, **deferred.kwargs)


# --- which transNo ---


def test_the_trans_no_never_changes() -> None:
    """Over tries, and over versions of this package, since a retry may run after an upgrade."""
    assert OURS == "3b5795be437be55bcd977beb28bd77b9"
    assert {derived(retry(number)) for number in range(1, 9)} == {OURS}


names = st.text(max_size=3)
instances = st.tuples(names, names, names, st.integers(-1, 3), names, st.integers(0, 3))


@given(instances, instances)
def test_each_task_instance_and_request_has_its_own(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Whatever dags, tasks and runs are called, as far as Airflow lets them be."""
    digests = [task_trans_no(TaskInstance(*where), request, attempt) for *where, request, attempt in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)
    assert all(len(digest) == 32 and int(digest, 16) >= 0 for digest in digests)


@every_mode
def test_times_of_any_type(trim_default: TrimEmulator, mode: str) -> None:
    """Nothing about a parameter may be found after the trim was paid for."""
    trim_default.duration = 0
    info = video(mode, seek_start=Decimal("30.0"), duration=Decimal(12), first_poll_after=None).run()
    assert info == trim_default.video_info(OURS)


def test_dag_test_of_a_clip_that_failed_first(trim_default: TrimEmulator, run_dag: Any, xcom: Any) -> None:
    """It drops what a deferral takes along, and begins the retry from the start."""
    trim_default.duration = 0
    outcomes = iter(["fail", "success"])
    trim_default.submission_outcome = lambda _: next(outcomes)
    with DAG(dag_id="video_retried", schedule=None, start_date=START) as dag:
        TrimVideoOperator(
            task_id="clip",
            deferrable=True,
            poll_interval=0.05,
            first_poll_after=0.05,
            retries=1,
            retry_delay=timedelta(0),
            **CLIPS[0],
            video_id="V1",
        )
    run = run_dag(dag)
    assert run.state == "success"
    second = derived(TaskInstance(dag.dag_id, "clip", run.run_id), attempt=1, **CLIPS[0])
    assert submitted(trim_default)[1:] == [second]
    assert xcom(run, "clip", "trans_no") == second


CHANGES: dict[str, Any] = {
    "video_id": "V2",
    "seek_start": 31,
    "duration": 13,
    "filename": "goal-2",
    "resolution": "640x480",
    "frame_rate": 25,
    "video_bit_rate": 100,
    "audio_bit_rate": 50,
    "sampling_rate": 22050,
    "suffix": "mp4",
    "enable_video_transcode": False,
}


@every_mode
@pytest.mark.parametrize("name", CHANGES)
def test_another_request_is_another_trim(trim_default: TrimEmulator, mode: str, name: str) -> None:
    """The DAG was corrected and the task cleared, or a list upstream has changed: not the old clip, green."""
    trim_default.duration = 0
    first = video(mode).run()
    second = video(mode, retry(), **{name: CHANGES[name]}).run()
    assert first["videoId"] != second["videoId"]
    assert submitted(trim_default) == [OURS, derived(**{name: CHANGES[name]})]
    assert video(mode, retry(3)).run() == first


@pytest.mark.parametrize(
    "same",
    [
        {"seek_start": 30},
        {"seek_start": "30.0"},
        {"seek_start": pendulum.duration(seconds=30), "duration": "12"},
        {"resolution": "", "suffix": None},
        {"notify_url": "https://example.com/other"},
        {"use_callback": False},
    ],
    ids=str,
)
def test_the_same_request_in_other_words_is_the_same_trim(trim_default: TrimEmulator, same: dict[str, Any]) -> None:
    trim_default.duration = 0
    first = video("worker").run()
    assert video("worker", retry(), **same).run() == first
    assert submitted(trim_default) == [OURS]


# --- a first try whose transNo the service has already ---


@every_mode
@pytest.mark.parametrize("seconds", [0, 0.2], ids=["finished", "running"])
def test_a_refused_duplicate_is_found(trim_default: TrimEmulator, mode: str, seconds: float) -> None:
    """A deleted run was created again, or ``airflow dags test`` runs a second time on 2.11: as a first try, again."""
    trim_default.duration = seconds
    first = video(mode).run()
    trim_default.clear_calls()
    assert video(mode).run() == first
    assert paths(trim_default)[:2] == [S, Q]
    assert submitted(trim_default) == [OURS]


def test_a_refused_duplicate_that_failed_is_followed_by_another(trim_default: TrimEmulator) -> None:
    trim_default.duration = 0
    for name in (OURS, NEXT):
        trim_default.add_trim(name, seconds=0, outcome="fail")
    third = derived(attempt=2)
    assert video("worker").run() == trim_default.video_info(third)
    assert paths(trim_default) == [S, Q, Q, Q, S, Q]


def test_a_refused_duplicate_that_is_not_to_be_reused_is_followed_by_another(trim_default: TrimEmulator) -> None:
    trim_default.duration = 0
    first = video("worker").run()
    assert video("worker", reuse_finished=False).run() == trim_default.video_info(NEXT) != first


def test_a_refusal_of_what_is_not_there_is_the_refusal(trim_default: TrimEmulator) -> None:
    trim_default.fail_submission("before", ServiceCode(4711, "no"))
    with pytest.raises(AirflowFailException, match=r"no .*code 4711"):
        video("worker").run()
    assert paths(trim_default) == [S, Q]


def test_a_duplicate_of_a_trans_no_of_ones_own_may_be_anybodys(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("theirs", seconds=0)
    with pytest.raises(AirflowFailException):
        video("worker", trans_no="theirs").run()
    assert paths(trim_default) == [S]


def test_runs_and_map_indexes_submit_their_own(trim_default: TrimEmulator) -> None:
    instances = [TaskInstance(run_id=run_id, map_index=index) for run_id in ("a", "b") for index in (0, 1)]
    names = [video("worker", ti, wait_for_completion=False).run() for ti in instances]
    assert submitted(trim_default) == names
    assert len(set(names)) == 4


# --- in a DAG ---

TEMPLATES = {
    "video_id": "{{ params.video }}",
    "seek_start": "{{ params.start }}",
    "duration": "{{ params.seconds }}",
    "filename": "{{ params.video }}-{{ params.start }}",
    "resolution": "{{ params.width }}x480",
    "frame_rate": "{{ params.frames }}",
    "video_bit_rate": "{{ params.frames * 4 }}",
    "audio_bit_rate": "{{ params.frames * 2 }}",
    "sampling_rate": "{{ params.frames * 882 }}",
    "notify_url": "https://example.com/{{ params.video }}",
    "suffix": "{{ 'flv' }}",
    "enable_video_transcode": "{{ params.frames > 20 }}",
    "trans_no": "{{ params.no or '' }}",
    "trim_conn_id": "trim_{{ params.conn }}",
}


RENDERED = {
    "video_id": "V7",
    "seek_start": 90,
    "duration": 12.5,
    "filename": "V7-00:01:30",
    "resolution": "640x480",
    "frame_rate": 25,
    "video_bit_rate": 100,
    "audio_bit_rate": 50,
    "sampling_rate": 22050,
    "suffix": "flv",
    "enable_video_transcode": True,
}
CLIPS = [{"seek_start": 60 * n, "duration": 10 + n, "filename": f"goal-{n}"} for n in range(3)]


def test_everything_about_the_trim_is_templated() -> None:
    """Nothing is read from a template before it is rendered."""
    operator = TrimVideoOperator(task_id="clip", **TEMPLATES)
    assert set(operator.template_fields) == TEMPLATES.keys()
    assert {name: getattr(operator, name) for name in TEMPLATES} == TEMPLATES


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("trans_no", ["", "clip-7"])
def test_templates(trim_default: TrimEmulator, run_dag: Any, xcom: Any, deferrable: bool, trans_no: str) -> None:
    trim_default.duration = 0
    params = {"video": "V7", "start": "00:01:30", "seconds": 12.5, "width": 640, "frames": 25, "conn": "default"}
    with DAG(
        dag_id=f"video_templates_{deferrable}_{trans_no}",
        schedule=None,
        start_date=START,
        params={**params, "no": trans_no},
    ) as dag:
        TrimVideoOperator(task_id="clip", deferrable=deferrable, poll_interval=0.05, first_poll_after=0.05, **TEMPLATES)
    run = run_dag(dag)
    assert run.state == "success"
    (submission,) = trim_default.submissions
    expected = trans_no or derived(TaskInstance(dag.dag_id, "clip", run.run_id), **RENDERED)
    assert dict(submission.parameters) == {
        "transNo": expected,
        "videoId": "V7",
        "seekStart": 90,
        "duration": 13,
        "filename": "V7-00:01:30",
        "resolution": "640x480",
        "frameRate": 25,
        "videoBitRate": 100,
        "audioBitRate": 50,
        "samplingRate": 22050,
        "notifyUrl": "https://example.com/V7",
        "suffix": "flv",
        "enableVideoTranscode": 1,
    }
    assert xcom(run, "clip") == trim_default.video_info(expected)
    assert xcom(run, "clip", "trans_no") == expected


@pytest.mark.parametrize("deferrable", [False, True])
def test_mapped_tasks(trim_default: TrimEmulator, run_dag: Any, xcom: Any, deferrable: bool) -> None:
    """What is mapped and what is partial reach each task, and each submits a trim of its own."""
    trim_default.duration = 0
    with DAG(dag_id=f"video_mapped_{deferrable}", schedule=None, start_date=START) as dag:

        @task
        def clips() -> list[dict[str, Any]]:
            return CLIPS

        clip = TrimVideoOperator.partial(
            task_id="clip", video_id="V1", deferrable=deferrable, poll_interval=0.05, first_poll_after=0.05
        ).expand_kwargs(clips())

        @task
        def collect(infos: list[dict[str, Any]]) -> list[str]:
            return [info["videoName"] for info in infos]

        collect(clip.output)
    run = run_dag(dag)
    assert run.state == "success"
    by_name = {submission.parameters["filename"]: submission for submission in trim_default.submissions}
    assert len(trim_default.submissions) == len(set(submitted(trim_default))) == len(by_name) == 3
    for n in range(3):
        mine: Submission = by_name[f"goal-{n}"]
        assert (mine.parameters["videoId"], mine.parameters["seekStart"]) == ("V1", 60 * n)
        assert mine.trans_no == derived(TaskInstance(dag.dag_id, "clip", run.run_id, n), **CLIPS[n])
        assert xcom(run, "clip", map_index=n) == trim_default.video_info(mine.trans_no)
        assert xcom(run, "clip", "trans_no", map_index=n) == mine.trans_no
    assert xcom(run, "collect") == ["goal-0", "goal-1", "goal-2"]
