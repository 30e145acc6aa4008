# SPDX-License-Identifier: Apache-2.0
"""The verdict table, row by row, in every mode, by real HTTP."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from tenacity import wait_none

from airflow_provider_trim.emulator import (
    ConnectionReset,
    HttpError,
    NoFault,
    RawResponse,
    ResetMidResponse,
    ServiceCode,
    ServiceData,
    TrimEmulator,
)
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.vod.errors import TrimAuthError, TrimResponseError, TrimSettingsError, TrimTransportError
from tests.support.absent_secrets import AwayAtFirst
from tests.support.emulators import connection_to, set_connection
from tests.support.waits import (
    SENSOR_MODES,
    WAIT_IDS,
    WAITS,
    AirflowRescheduleException,
    TaskInstance,
    in_waits,
    operator,
    run_trigger,
    sensor,
    verdicts_of,
)

every_wait = pytest.mark.parametrize(("make", "mode"), WAITS, ids=WAIT_IDS)
every_mode = pytest.mark.parametrize("mode", SENSOR_MODES)


@pytest.fixture
def trim_emulator() -> Iterator[TrimEmulator]:
    """An emulator whose clock is the one that ``standing_clock`` stops."""
    with TrimEmulator(clock=time.time) as emulator:
        yield emulator


PROCESSING = ServiceData({"taskId": "task", "transNo": "T", "status": 1})

PASSING: dict[str, tuple[Any]] = {
    "500": (HttpError(500),),
    "502": (HttpError(502),),
    "503": (HttpError(503, headers={"Retry-After": "0"}),),
    "reset": (ConnectionReset(),),
    "reset in the middle": (ResetMidResponse(),),
    "not JSON": (RawResponse(b"<html>maintenance</html>"),),
    "a list": (RawResponse(b"[]"),),
    "data null": (ServiceData(None),),
    "no status": (ServiceData({"transNo": "T"}),),
    "success without videoInfo": (ServiceData({"transNo": "T", "status": 2}),),
    "404": (HttpError(404),),
    "301": (HttpError(301, headers={"Location": "http://127.0.0.1:1/"}),),
}


@every_wait
def test_success_is_video_info_as_on_the_wire(
    trim_default: TrimEmulator, example_response: dict, make: Any, mode: str
) -> None:
    """The same value from every mode, Chinese text and all."""
    data = example_response["data"]
    trim_default.add_trim("T", seconds=0, video_info=data["videoInfo"])
    trim_default.misbehave("T", PROCESSING, ServiceCode(1560, "being processed"), PROCESSING)
    wait = make(mode)
    assert wait.run() == data["videoInfo"]
    assert len(trim_default.calls_for("T")) == 4
    assert len(wait.deferrals) == (mode == "deferrable")
    assert len(wait.reschedules) == (3 if mode == "reschedule" else 0)


@every_wait
def test_an_interval_of_zero_is_the_shortest(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    """Airflow allows it; it means the same in every mode, and is no loop without a pause."""
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", PROCESSING, PROCESSING, PROCESSING)
    interval = {"poke_interval" if make is sensor else "poll_interval": 0}
    assert make(mode, **interval).run() == trim_default.video_info("T")
    times = [call.time for call in trim_default.calls_for("T")]
    if mode != "reschedule":  # whose pauses the scheduler makes
        assert all(later - earlier >= 0.009 for earlier, later in itertools.pairwise(times))


@every_wait
def test_finished_at_the_first_poll(trim_default: TrimEmulator, example_response: dict, make: Any, mode: str) -> None:
    """No deferral, no reschedule, the same value."""
    trim_default.add_trim("T", seconds=0, video_info=example_response["data"]["videoInfo"])
    wait = make(mode)
    assert wait.run() == example_response["data"]["videoInfo"]
    assert len(trim_default.calls_for("T")) == 1
    assert not wait.deferrals
    assert not wait.reschedules


FINAL = {
    "status 3": (ServiceData({"taskId": "task", "transNo": "T", "status": 3}), ["status 3", "failed"]),
    "1601": (ServiceCode(1601, "empty"), ["1601"]),
    "1602": (ServiceCode(1602, "illegal"), ["1602"]),
    "1603": (ServiceCode(1603, "does not exist"), ["1603", "does not exist"]),
    "unknown code": (ServiceCode(24112000, "parameter error", http_status=400), ["24112000", "parameter error"]),
    "unknown status": (ServiceData({"taskId": "task", "transNo": "T", "status": 4}), ["status 4"]),
    "status 0": (ServiceData({"taskId": "task", "transNo": "T", "status": 0}), ["status 0"]),
}


@pytest.mark.parametrize("later", [False, True], ids=["at the first poll", "later"])
@pytest.mark.parametrize(("fault", "texts", "make", "mode"), in_waits(FINAL))
def test_final_responses_fail_at_once(
    trim_default: TrimEmulator, fault: Any, texts: list[str], later: bool, make: Any, mode: str
) -> None:
    """No success, no retries, and code, message and request id in the exception."""
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", *([PROCESSING] if later else []), fault)
    with pytest.raises(AirflowFailException) as failed:
        make(mode).run()
    last = trim_default.calls_for("T")[-1]
    assert len(trim_default.calls_for("T")) == 1 + later
    for text in [*texts, f"request id {last.request_id}", "trim T"]:
        assert text in str(failed.value)


@every_mode
@pytest.mark.parametrize("later", [False, True], ids=["at the first poll", "later"])
def test_soft_fail_makes_a_final_response_a_skip(trim_default: TrimEmulator, later: bool, mode: str) -> None:
    trim_default.misbehave("T", *([PROCESSING] if later else []), ServiceCode(1603, "does not exist"))
    with pytest.raises(AirflowSkipException):
        sensor(mode, soft_fail=True).run()


@every_wait
def test_an_unknown_trim(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    with pytest.raises(AirflowFailException, match=r"^trim T: .*code 1603.*Check the transNo .*set first_poll_after$"):
        make(mode).run()


@pytest.mark.parametrize(("fault", "make", "mode"), in_waits(PASSING))
def test_transient_failures_do_not_end_the_wait(trim_default: TrimEmulator, fault: Any, make: Any, mode: str) -> None:
    """One failure ends no wait."""
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", PROCESSING, fault, fault, PROCESSING, fault)
    wait = make(mode, max_consecutive_failures=3)
    assert wait.run() == trim_default.video_info("T")
    assert len(trim_default.calls_for("T")) == 6


@pytest.mark.parametrize(
    ("make", "mode"), [pair for pair in WAITS if pair[1] != "reschedule"], ids=[i for i in WAIT_IDS if "resch" not in i]
)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HttpError(500), TrimTransportError),
        (ConnectionReset(), TrimTransportError),
        (RawResponse(b"?"), TrimResponseError),
    ],
    ids=["500", "reset", "not JSON"],
)
def test_consecutive_failures_are_bounded(
    trim_default: TrimEmulator, fault: Any, error: type[Exception], make: Any, mode: str
) -> None:
    """Bounded, worth a retry, and no skip under soft_fail in any mode."""
    trim_default.misbehave("T", PROCESSING, *[fault] * 10)
    arguments = {"soft_fail": True} if make is sensor else {}
    with pytest.raises(error) as failed:
        make(mode, max_consecutive_failures=4, **arguments).run()
    assert not isinstance(failed.value, AirflowException)
    assert len(trim_default.calls_for("T")) == 5


def test_reschedule_mode_leaves_failures_to_the_timeout(trim_default: TrimEmulator) -> None:
    """Each poll has its own process, so failures can't be counted in a row."""
    trim_default.misbehave("T", HttpError(500), repeat=True)
    with pytest.raises(AirflowSensorTimeout):
        sensor("reschedule", timeout=0.5, max_consecutive_failures=3).run()


@every_wait
def test_refused_credentials_fail_after_one_reload(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("T", seconds=math.inf)
    trim_default.token = "another-token"
    with pytest.raises(TrimAuthError, match="authentication failed") as failed:
        make(mode).run()
    assert not isinstance(failed.value, AirflowException), "retries apply, and soft_fail makes no skip of it"
    # Deferrable: both in the worker.
    assert len(trim_default.calls) == 2


@pytest.fixture
def naps(standing_clock: None, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made."""
    made: list[float] = []
    sleep = time.sleep

    def nap(seconds: float) -> None:
        made.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", nap)
    return made


def test_refused_credentials_of_a_list_hold_its_worker_asleep(trim_default: TrimEmulator, naps: list[float]) -> None:
    """All trims of the list share the credentials, so none is poked before they are tried again."""
    for name in ("a", "b"):
        trim_default.add_trim(name, seconds=40)
    trim_default.misbehave(None, NoFault(), NoFault(), *[HttpError(401)] * 5)
    result = sensor("poke", trans_no=["a", "b"], poke_interval=1, timeout=600).run()
    assert result == [trim_default.video_info(name) for name in ("a", "b")]
    assert len(naps) <= 2 * trim_default.call_count


def test_result_that_cannot_be_pushed_is_tried_again_after_the_interval(
    trim_default: TrimEmulator, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under silent_fail, which has Airflow go on."""
    trim_default.add_trim("T", seconds=0)
    pushes = []

    def fail(*arguments: Any, **options: Any) -> None:
        pushes.append(arguments)
        raise ConnectionError("the api-server is unreachable")

    monkeypatch.setattr(TaskInstance, "xcom_push", fail)
    with pytest.raises(AirflowSensorTimeout):
        sensor("poke", poke_interval=10, timeout=50, silent_fail=True).run()
    assert 2 <= len(pushes) <= 7


@every_wait
def test_a_rotated_token_is_picked_up(monkeypatch: pytest.MonkeyPatch, make: Any, mode: str) -> None:
    def connect(token: str) -> None:
        set_connection(monkeypatch, emulator, password=token)

    def rotate(call: Any) -> None:
        if emulator.token == "old-token":
            emulator.token = "new-token"
            connect("new-token")

    with TrimEmulator(token="old-token", on_call=rotate) as emulator:
        connect("old-token")
        emulator.add_trim("T", seconds=0)
        emulator.misbehave("T", PROCESSING)
        assert make(mode).run() == emulator.video_info("T")


@every_wait
def test_http_429_is_no_failure(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("T", seconds=0)
    refusal = HttpError(429, headers={"Retry-After": "0"})
    trim_default.misbehave("T", *[PROCESSING, refusal] * 3)
    assert make(mode, max_consecutive_failures=1).run() == trim_default.video_info("T")


@pytest.mark.parametrize(("make", "mode"), [pair for pair in WAITS if pair[1] != "deferrable"])
@pytest.mark.usefixtures("standing_clock")
def test_timeout_after_one_last_poll(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    """The poll at the timeout is made, then AirflowSensorTimeout, which is never retried."""
    trim_default.add_trim("T", seconds=math.inf)
    interval = {"poke_interval" if make is sensor else "poll_interval": 20}
    with pytest.raises(AirflowSensorTimeout, match=r"^trim T: not finished within the timeout \(timeout: 30 s\)$"):
        make(mode, timeout=30, **interval).run()
    polls = [call.time for call in trim_default.calls_for("T")]
    assert [poll - polls[0] for poll in polls] == pytest.approx([0, 20, 30], abs=0.01)


@pytest.mark.parametrize("make", [sensor, operator])
def test_timeout_of_a_deferred_wait_after_one_last_poll(trim_default: TrimEmulator, make: Any) -> None:
    """The clock goes on meanwhile, so how many polls there are before depends on the machine: two at most."""
    trim_default.add_trim("T", seconds=math.inf)
    interval = {"poke_interval" if make is sensor else "poll_interval": 0.6}
    started = time.time()
    with pytest.raises(AirflowSensorTimeout):
        make("deferrable", timeout=0.9, **interval).run()
    polls = [call.time for call in trim_default.calls_for("T")]
    assert len(polls) <= 3
    assert polls[-1] - started >= 0.9


@pytest.mark.usefixtures("standing_clock")
def test_slow_start_does_not_skip_the_last_poll(trim_default: TrimEmulator) -> None:
    """Airflow's clock runs while a worker imports what the first poll needs."""

    class SlowToBegin(TrimTaskStatusSensor):
        slow = True

        def poke(self, context: Any) -> Any:
            if self.slow:
                time.sleep(20)
                self.slow = False
            return super().poke(context)

    trim_default.add_trim("T", seconds=math.inf)
    wait = sensor("poke", poke_interval=60, timeout=50)
    wait.operator = SlowToBegin
    with pytest.raises(AirflowSensorTimeout):
        wait.run()
    assert trim_default.call_count == 2


@every_wait
def test_success_at_the_last_poll(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    """The deadline has passed, but the trim is done."""
    trim_default.add_trim("T", seconds=0)
    assert make(mode, timeout=0).run() == trim_default.video_info("T")


@every_mode
def test_timeout_under_soft_fail_is_a_skip(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.add_trim("T", seconds=math.inf)
    with pytest.raises(AirflowSkipException):
        sensor(mode, timeout=0.1, soft_fail=True).run()


@every_wait
@pytest.mark.parametrize(
    ("trans_no", "text"),
    [("", "empty"), (None, "empty"), ("x" * 33, "33 characters"), (7.5, "string"), ("None", "text 'None'")],
)
def test_a_trans_no_that_cannot_be_one_fails_before_any_call(
    trim_default: TrimEmulator, trans_no: Any, text: str, make: Any, mode: str
) -> None:
    with pytest.raises(AirflowFailException, match=text):
        make(mode, trans_no=trans_no).run()
    assert not trim_default.calls


@pytest.fixture
def secrets_away_at_first(emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.support.absent_secrets.AwayAtFirst")
    monkeypatch.setattr(AwayAtFirst, "times", 2)
    monkeypatch.setattr(AwayAtFirst, "connection", json.dumps(connection_to(emulator, quota="off")))
    yield
    with contextlib.suppress(ImportError):  # Airflow 2.11 keeps no backends
        from airflow.sdk.configuration import clear_secrets_backends_cache

        clear_secrets_backends_cache()


@every_wait
@pytest.mark.usefixtures("secrets_away_at_first")
def test_a_connection_that_cannot_be_found_at_first(
    emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch, make: Any, mode: str
) -> None:
    """Airflow 3 says of an api-server that does not response in time that there is no connection."""
    emulator.add_trim("T", seconds=0)
    monkeypatch.setattr("airflow_provider_trim.hooks.retries._backoff", wait_none())
    # In the triggerer, a failed load stands for a second.
    assert make(mode, max_consecutive_failures=1000).run() == emulator.video_info("T")
    assert AwayAtFirst.times == 0


@pytest.fixture
def refused(emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When loading the connection was refused: so Airflow 3 says in a worker that the api-server answered 403."""
    times: list[float] = []

    def get_connection(conn_id: str) -> Any:
        times.append(time.time())
        raise PermissionError(f"access to {conn_id} was denied")

    monkeypatch.setattr(TrimApiHook, "get_connection", staticmethod(get_connection))
    set_connection(monkeypatch, emulator, quota="off")
    emulator.add_trim("T", seconds=0)
    return times


@pytest.mark.usefixtures("standing_clock")
def test_refused_connection_lookup_is_a_failed_poll(refused: list[float]) -> None:
    """There are pauses in between."""
    with pytest.raises(AirflowSensorTimeout, match=r"could not be loaded: PermissionError"):
        sensor("poke", poke_interval=10, timeout=50, silent_fail=True).run()
    assert [moment - refused[0] for moment in refused] == pytest.approx([0, 10, 20, 30, 40, 50, 50], abs=0.1)


def test_refused_connection_lookup_in_a_worker_is_left_to_the_triggerer(
    emulator: TrimEmulator, refused: list[float]
) -> None:
    assert sensor("deferrable").run() == emulator.video_info("T")
    assert refused


@pytest.mark.usefixtures("standing_clock")
def test_a_rescheduled_wait_without_its_connection_pauses_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_trim.hooks.retries._backoff", wait_none())
    now = time.time()
    wait = sensor("reschedule", trim_conn_id="missing", poke_interval=60, timeout=30, silent_fail=True)
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        wait.task().execute(wait.context)
    assert rescheduled.value.reschedule_date.timestamp() == pytest.approx(now + 30)  # at its timeout at the latest


@every_wait
def test_a_connection_that_is_not_there_is_worth_a_retry(monkeypatch: pytest.MonkeyPatch, make: Any, mode: str) -> None:
    monkeypatch.setattr("airflow_provider_trim.hooks.retries._backoff", wait_none())
    with pytest.raises(TrimSettingsError, match="there is no connection 'missing'") as caught:
        make(mode, trim_conn_id="missing", max_consecutive_failures=2).run()
    assert not isinstance(caught.value, AirflowException)


@every_wait
@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ('{"conn_type": "trim", "extra": {"verfy": false}}', r"'verfy' is unknown; allowed are .*verify"),
        (
            '{"login": 123}',
            "can't be read from the environment variable AIRFLOW_CONN_TRIM_DEFAULT; it must be a URI, or",
        ),
        (
            '{"login": "me"',
            "can't be read from the environment variable AIRFLOW_CONN_TRIM_DEFAULT; it must be a URI, or",
        ),
    ],
)
def test_a_connection_that_cannot_work_fails_at_once(
    trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch, connection: str, words: str, make: Any, mode: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", connection)
    with pytest.raises(AirflowFailException, match=words):
        make(mode).run()


@pytest.mark.parametrize("connection", ['{"login": 123}', '{"login": "me"'])
def test_a_connection_that_cannot_be_read_in_the_triggerer(monkeypatch: pytest.MonkeyPatch, connection: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", connection)
    (verdict,) = verdicts_of(run_trigger(TrimTaskStatusTrigger("T")))
    assert "can't be read from the environment variable AIRFLOW_CONN_TRIM_DEFAULT" in str(verdict.error)
    assert not verdict.worth_retrying
