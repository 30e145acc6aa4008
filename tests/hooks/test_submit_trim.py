# SPDX-License-Identifier: Apache-2.0
"""The hook's submit_trim against the emulator: one trim, whatever is lost on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from airflow_provider_trim.emulator import (
    DUPLICATE_CODE,
    QUERY_PATH,
    SUBMIT_PATH,
    ConnectionReset,
    Exchange,
    Fault,
    Hold,
    HttpError,
    RawResponse,
    ResetMidResponse,
    ServiceCode,
    ServiceData,
    TrimEmulator,
)
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimParameterError,
    TrimQuotaExceededError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimStatus

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]

CLIP: dict[str, Any] = {"video_id": "V1", "seek_start": "00:00:30", "duration": 12, "filename": "goal"}
WIRE = {"videoId": "V1", "seekStart": 30, "duration": 12, "filename": "goal"}
S, Q = SUBMIT_PATH, QUERY_PATH
Connect = Callable[..., None]


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": math.inf}


def paths(emulator: TrimEmulator) -> list[str]:
    """What was called, in order."""
    return [call.path for call in emulator.calls]


# --- one call ---


def test_a_trim_is_submitted(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    (submission,) = emulator.submissions
    assert dict(submission.parameters) == {**WIRE, "transNo": "T"}
    assert (paths(emulator), slept) == ([S], [])
    assert hook.get_task("T").status is TrimStatus.PROCESSING


def test_all_parameters_arrive(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    hook.submit_trim(
        **CLIP,
        trans_no="片段",
        resolution="640x480",
        frame_rate=25,
        video_bit_rate="800",
        audio_bit_rate=64,
        sampling_rate=22050,
        notify_url="https://example.com/done?a=b&c=d",
        suffix="flv",
        enable_video_transcode=True,
    )
    (submission,) = emulator.submissions
    assert dict(submission.parameters) == {
        **WIRE,
        "transNo": "片段",
        "resolution": "640x480",
        "frameRate": 25,
        "videoBitRate": 800,
        "audioBitRate": 64,
        "samplingRate": 22050,
        "notifyUrl": "https://example.com/done?a=b&c=d",
        "suffix": "flv",
        "enableVideoTranscode": 1,
    }


def test_without_a_trans_no_it_makes_one_up(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    made_up = [hook.submit_trim(**CLIP, **trans_no) for trans_no in ({}, {}, {"trans_no": None})]
    assert [submission.trans_no for submission in emulator.submissions] == made_up
    assert len(set(made_up)) == 3
    assert {len(name) for name in made_up} == {32}


def test_a_connection_that_asks_with_get_submits_by_post(connect: Connect, emulator: TrimEmulator) -> None:
    connect(method="GET", allow_token_in_url=True)
    with TrimApiHook("trim_test") as hook:
        hook.submit_trim(**CLIP, trans_no="T")
        hook.get_task("T")
    assert [(call.path, call.method) for call in emulator.calls] == [(S, "POST"), (Q, "GET")]


@pytest.mark.parametrize("number", [Decimal, Fraction, float, str])
def test_any_kind_of_number_is_taken(hook: TrimApiHook, emulator: TrimEmulator, number: Callable[[int], Any]) -> None:
    hook.submit_trim(**{**CLIP, "seek_start": number(30)}, frame_rate=number(25), trans_no="T")
    (submission,) = emulator.submissions
    assert dict(submission.parameters) == {**WIRE, "transNo": "T", "frameRate": 25}


# --- refusals ---


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"trans_no": ""}, TransNoEmptyError, "trans_no is empty"),
        ({"trans_no": " "}, TransNoEmptyError, "trans_no is empty"),
        ({"trans_no": "x" * 33}, TransNoIllegalError, "at most 32"),
        ({"seek_start": -1}, TrimParameterError, "^seek_start: "),
        ({"duration": 0}, TrimParameterError, "^duration: "),
        ({"resolution": "640"}, TrimParameterError, "^resolution: "),
        ({"suffix": "avi"}, TrimParameterError, "^suffix: "),
        ({"sampling_rate": 48000}, TrimParameterError, "^sampling_rate: "),
        ({"notify_url": "ftp://x"}, TrimParameterError, "^notify_url: "),
        ({"colour": "red"}, TrimParameterError, "^colour: is unknown"),
    ],
)
def test_invalid_parameters_cost_no_call(
    hook: TrimApiHook, emulator: TrimEmulator, wrong: dict[str, Any], kind: type[TrimError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        hook.submit_trim(**{**CLIP, **wrong})
    assert (emulator.call_count, emulator.connections_opened) == (0, 0)


@pytest.mark.parametrize(
    ("code", "kind", "parameter"),
    [
        (1561, TrimParameterError, "frame_rate"),
        (1562, TrimParameterError, "sampling_rate"),
        (1563, TrimParameterError, "video_bit_rate"),
        (1564, TrimParameterError, "audio_bit_rate"),
        (1565, TrimParameterError, "resolution"),
        (1000, TrimParameterError, None),
        (24112000, TrimParameterError, None),
        (1301, TrimAuthError, None),
        (4711, TrimApiError, None),
        (1560, VideoProcessingError, None),
    ],
)
def test_refused_submission_is_not_retried(
    hook: TrimApiHook,
    emulator: TrimEmulator,
    slept: list[float],
    code: int,
    kind: type[TrimError],
    parameter: str | None,
) -> None:
    emulator.fail_submission("before", ServiceCode(code, "no"))
    with pytest.raises(kind) as refused:
        hook.submit_trim(**CLIP, trans_no="T")
    assert (refused.value.code, refused.value.request_id) == (code, emulator.calls[0].request_id)
    assert getattr(refused.value, "parameter", None) == parameter
    assert (paths(emulator), slept, emulator.submissions) == ([S], [], [])


def test_a_duplicate_on_the_first_call_is_an_error(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    """Another client's trim of the same transNo is not adopted."""
    emulator.add_trim("T")
    with pytest.raises(TrimApiError) as refused:
        hook.submit_trim(**CLIP, trans_no="T")
    assert (refused.value.code, refused.value.retryable) == (DUPLICATE_CODE, False)
    assert (paths(emulator), emulator.submissions) == ([S], [])


# --- lost responses ---

LOST = [ConnectionReset(), ResetMidResponse(), HttpError(502), RawResponse(b"<html>"), ServiceData({"task": 1})]


@pytest.mark.parametrize("fault", LOST, ids=repr)
@pytest.mark.parametrize("ends", ["runs", "success", "fail", "1560"])
def test_response_lost_after_acceptance(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float], fault: Fault, ends: str
) -> None:
    """The service is asked, and nothing is sent again."""
    if ends in ("success", "fail"):
        emulator.duration = 0
        emulator.submission_outcome = ends  # type: ignore[assignment]
    elif ends == "1560":
        emulator.misbehave("T", ServiceCode(1560, "processing"))
    emulator.fail_submission("after", fault)
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert paths(emulator) == [S, Q]
    (pause,) = slept
    assert 0.5 <= pause <= 1.0


@pytest.mark.parametrize("fault", [ConnectionReset(), HttpError(502), HttpError(408), RawResponse(b"<html>")], ids=repr)
def test_response_lost_before_acceptance(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float], fault: Fault
) -> None:
    """It is asked for, and then sent again once."""
    emulator.fail_submission("before", fault)
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert paths(emulator) == [S, Q, S]
    assert len(slept) == 1


def test_submission_timeout_is_resolved_by_a_query(connect: Connect, emulator: TrimEmulator) -> None:
    """The call times out, and what it did is found out, within the same timeout."""
    connect(timeout=1.0)
    hold = Hold()
    emulator.fail_submission("after", hold)
    with TrimApiHook("trim_test") as hook:
        hook._sleep = lambda seconds: None
        try:
            assert hook.submit_trim(**CLIP, trans_no="T") == "T"
        finally:
            hold.release()
    assert len(emulator.submissions) == 1


def test_response_lost_twice(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    """Lost before acceptance, then after."""
    emulator.fail_submission("before")
    emulator.fail_submission("after")
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert paths(emulator) == [S, Q, S, Q]


def test_no_resubmission_while_the_query_fails(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    """A lost response to the question is no "no"."""
    emulator.fail_submission("after")
    emulator.misbehave("T", HttpError(500), ConnectionReset())
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert paths(emulator) == [S, Q, Q, Q]


def test_query_that_never_succeeds(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    emulator.fail_submission("after")
    emulator.misbehave("T", HttpError(500), repeat=True)
    with pytest.raises(TrimTransportError) as lost:
        hook.submit_trim(**CLIP, trans_no="T")
    assert lost.value.retryable
    assert paths(emulator) == [S, Q, Q, Q]
    assert len(slept) == 3
    assert len(emulator.submissions) == 1


def test_resubmissions_are_bounded(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    emulator.fail_submission("before", HttpError(503), times=9)
    with pytest.raises(TrimTransportError) as lost:
        hook.submit_trim(**CLIP, trans_no="T")
    assert (lost.value.http_status, lost.value.retryable) == (503, True)
    assert paths(emulator) == [S, Q, S, Q, S, Q, S]
    assert len(slept) == 3
    assert emulator.submissions == []


class AcceptedLate(Fault):
    """The submission that was lost on the way reaches the service just before the one that follows it."""

    def __init__(self, emulator: TrimEmulator) -> None:
        self.emulator = emulator

    async def apply(self, exchange: Exchange) -> Any:
        self.emulator.add_trim(exchange.request.trans_no or "")
        return await exchange.reply(exchange.default_response())


def test_refused_as_a_duplicate_after_a_lost_response(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    """What seemed lost has arrived in the meantime, and is adopted, whichever code the service has for it."""
    emulator.fail_submission("before")
    emulator.fail_submission("before", AcceptedLate(emulator))
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert [call.code for call in emulator.calls] == [None, 1603, DUPLICATE_CODE, 200]
    assert emulator.running == ["T"]


def test_refused_for_another_reason_after_a_lost_response(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    emulator.fail_submission("before")
    emulator.fail_submission("before", ServiceCode(1565, "too large"))
    with pytest.raises(TrimParameterError, match="resolution was refused: API error: too large"):
        hook.submit_trim(**CLIP, trans_no="T")
    assert paths(emulator) == [S, Q, S, Q]


# --- the quota ---


def test_http_429_waits_and_sends_again(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    emulator.fail_submission("before", HttpError(429, headers={"Retry-After": "20"}))
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert paths(emulator)[-1] == S
    assert sum(slept) == pytest.approx(20, abs=0.5)


def test_http_429_for_longer_than_a_minute(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    emulator.fail_submission("before", HttpError(429, headers={"Retry-After": "61"}))
    with pytest.raises(TrimQuotaExceededError) as refused:
        hook.submit_trim(**CLIP, trans_no="T")
    assert (refused.value.retry_after, refused.value.retryable) == (61, True)
    assert (emulator.call_count, slept, emulator.submissions) == (1, [], [])


@pytest.mark.parametrize(("retry_after", "times"), [(90, 1), (90, 6), (1, 10)])
def test_http_429_waits_as_long_as_it_may(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float], retry_after: int, times: int
) -> None:
    hook._given_quota_timeout = 3600.0
    for _ in range(times):
        emulator.fail_submission("before", HttpError(429, headers={"Retry-After": str(retry_after)}))
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert sum(slept) >= retry_after * times


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize(("quota_timeout", "refused"), [(60.0, 4), (None, 3)])
def test_http_429_takes_no_attempt_from_a_call_that_is_lost(
    hook: TrimApiHook,
    emulator: TrimEmulator,
    slept: list[float],
    quota_timeout: float | None,
    refused: int,
    lost: int,
) -> None:
    hook._given_quota_timeout = quota_timeout
    emulator.fail_submission("before", HttpError(429, headers={"Retry-After": "1"}), times=refused)
    emulator.fail_submission("before", HttpError(503), times=lost)
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert len(emulator.submissions) == 1
    assert len(slept) >= refused + lost
    assert slept[refused] <= 1.0  # the first lost call, not the fifth: pauses grow for each kind


def test_a_lost_call_takes_no_time_from_http_429(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    hook._given_quota_timeout = 60.0
    emulator.fail_submission("before", HttpError(503, headers={"Retry-After": "50"}), times=2)
    emulator.fail_submission("before", HttpError(429, headers={"Retry-After": "50"}))
    assert hook.submit_trim(**CLIP, trans_no="T") == "T"
    assert sum(slept) >= 150


def test_http_429_that_lasts_ends_at_the_limit(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    hook._given_quota_timeout = 200.0
    for _ in range(10):
        emulator.fail_submission("before", HttpError(429, headers={"Retry-After": "90"}))
    with pytest.raises(TrimQuotaExceededError):
        hook.submit_trim(**CLIP, trans_no="T")
    assert sum(slept) <= 200 + 1
    assert emulator.submissions == []


def test_a_quota_that_is_used_up_costs_no_call(connect: Connect, emulator: TrimEmulator) -> None:
    connect(quota="2/hour")
    with TrimApiHook("trim_test") as hook:
        hook._sleep = lambda seconds: pytest.fail(f"slept {seconds} s")
        for _ in range(2):
            hook.submit_trim(**CLIP)
        with pytest.raises(TrimQuotaExceededError, match="the account's call quota is exhausted") as refused:
            hook.submit_trim(**CLIP)
    assert refused.value.retryable
    assert emulator.call_count == 2
    assert len(emulator.submissions) == 2


def test_each_retry_is_logged_with_its_cause(
    hook: TrimApiHook, emulator: TrimEmulator, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.fail_submission("after", HttpError(502))
    hook.submit_trim(**CLIP, trans_no="T")
    logged = capsys.readouterr().out + caplog.text
    assert "HTTP status 502" in logged
    assert emulator.token not in logged
