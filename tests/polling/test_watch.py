# SPDX-License-Identifier: Apache-2.0
"""What a look's outcome means for one trim's wait, by injected time."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.polling.watch import (
    DEFAULT_INTERVAL,
    DEFAULT_MAX_CONSECUTIVE_FAILURES,
    LAST_LOOK_PATIENCE,
    SHORTEST_INTERVAL,
    Failure,
    LookAgain,
    Success,
    TimedOut,
    Verdict,
    Watch,
)
from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TransNoNotFoundError,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimSettingsError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimTask

T = 1_516_182_478.0
PROCESSING = TrimTask.model_validate({"transNo": "t1", "status": 1})
DONE = TrimTask.model_validate({"transNo": "t1", "status": 2, "videoInfo": {"videoId": "V1"}})
BUSY = VideoProcessingError("busy", code=1560)
NO_ANSWER = TrimTransportError("no answer")
NONSENSE = TrimResponseError("nonsense", http_status=200)
REFUSED = TrimAuthError("refused", http_status=401)
TOO_OFTEN = TrimQuotaExceededError("too often", http_status=429)
FINAL = [
    kind("over")
    for kind in (
        TransNoEmptyError,
        TransNoIllegalError,
        TransNoNotFoundError,
        TrimTaskFailedError,
        TrimSettingsError,
        TrimApiError,
        TrimError,
    )
]


def label(outcome: TrimTask | TrimError) -> str:
    return type(outcome).__name__ if isinstance(outcome, TrimError) else f"status {int(outcome.status)}"


def begin(**parameters: Any) -> Watch:
    return Watch("t1", now=T, **parameters)


def again(decision: Any) -> LookAgain:
    assert isinstance(decision, LookAgain)
    return decision


def pauses(watch: Watch, outcome: TrimTask | TrimError, looks: int) -> list[float]:
    """The pauses after looks that are made exactly when they are due."""
    times = [watch.next_look]
    for _ in range(looks):
        times.append(again(watch.looked(outcome, times[-1])).at)
    return [later - earlier for earlier, later in itertools.pairwise(times)]


# --- the table ---


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, NO_ANSWER, NONSENSE, TOO_OFTEN], ids=label)
def test_transient_failure_is_polled_again_after_the_interval(outcome: TrimTask | TrimError) -> None:
    """Never the end, never without a pause, and the pause is the one asked for."""
    watch = begin(interval=7)
    decision = again(watch.looked(outcome, T + 1))
    assert decision.at == watch.next_look == T + 8
    assert not decision.fresh_connection


def test_status_2_is_success() -> None:
    assert begin().looked(DONE, T) == Success(DONE)


@pytest.mark.parametrize("error", FINAL, ids=label)
def test_permanent_failure_ends_the_wait_and_is_not_worth_a_retry(error: TrimError) -> None:
    assert begin().looked(error, T) == Failure(error, worth_retrying=False)


def test_the_defaults() -> None:
    watch = begin()
    assert (watch.next_look, watch.interval, watch.deadline, watch.started_at) == (T, DEFAULT_INTERVAL, None, T)
    decisions = [watch.looked(NO_ANSWER, watch.next_look) for _ in range(DEFAULT_MAX_CONSECUTIVE_FAILURES)]
    assert decisions[-1] == Failure(NO_ANSWER, worth_retrying=True)
    assert all(isinstance(decision, LookAgain) for decision in decisions[:-1])


# --- the first look ---


@pytest.mark.parametrize(
    ("parameters", "first"),
    [
        ({}, T),
        ({"first_poll_after": 0.0}, T),
        ({"first_poll_after": 30.0}, T + 30),
        ({"first_poll_after": 30.0, "started_at": T - 10}, T + 20),
        ({"first_poll_after": 30.0, "started_at": T - 100}, T),
        ({"started_at": T - 100}, T),
        ({"first_poll_after": 30.0, "deadline": T + 5}, T + 5),
        ({"deadline": T - 5}, T - 5),
    ],
)
def test_first_poll(parameters: dict[str, float], first: float) -> None:
    """A wait that began in another process counts from then, on the wall clock."""
    assert begin(**parameters).next_look == first


# --- failures ---


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_nth_failure_in_a_row_ends_the_wait_with_the_last_cause(limit: int) -> None:
    watch = begin(max_consecutive_failures=limit)
    for n in range(limit - 1):
        again(watch.looked(NONSENSE, T + 100 * n))
    assert watch.looked(NO_ANSWER, T + 1000) == Failure(NO_ANSWER, worth_retrying=True)


@pytest.mark.parametrize("answer", [PROCESSING, BUSY], ids=["status 1", "1560"])
def test_response_resets_the_failure_count(answer: TrimTask | TrimError) -> None:
    watch = begin(max_consecutive_failures=2)
    for outcome in (NO_ANSWER, answer, NO_ANSWER, answer, NO_ANSWER):
        again(watch.looked(outcome, watch.next_look))
    assert isinstance(watch.looked(NO_ANSWER, watch.next_look), Failure)


@pytest.mark.parametrize(
    ("outcome", "looks"),
    [(TOO_OFTEN, 50), (BUSY, 50), (PROCESSING, 50), (REFUSED, 50)],
    ids=["429", "1560", "1", "401"],
)
def test_errors_that_count_as_no_failure(outcome: TrimTask | TrimError, looks: int) -> None:
    watch = begin(max_consecutive_failures=1)
    for _ in range(looks):
        again(watch.looked(outcome, watch.next_look))


def test_http_429_does_not_reset_the_failure_count() -> None:
    watch = begin(max_consecutive_failures=2)
    for outcome in (NO_ANSWER, TOO_OFTEN):
        again(watch.looked(outcome, watch.next_look))
    assert watch.looked(NO_ANSWER, watch.next_look) == Failure(NO_ANSWER, worth_retrying=True)


def test_none_allows_any_number_of_failures() -> None:
    assert pauses(begin(max_consecutive_failures=None, interval=10), NO_ANSWER, 200) == [10] * 200


# --- refused credentials ---


@pytest.mark.parametrize(("interval", "pause"), [(10.0, 1.0), (0.25, 0.25)])
def test_refused_credentials_reload_the_connection_soon_and_once(interval: float, pause: float) -> None:
    watch = begin(interval=interval)
    decision = again(watch.looked(REFUSED, T, connection=3))
    assert (decision.at, decision.fresh_connection) == (T + pause, True)
    second = TrimAuthError("still refused", http_status=403)
    assert watch.looked(second, decision.at, connection=4) == Failure(second, worth_retrying=False)


def test_response_to_the_old_connection_is_no_second_refusal() -> None:
    watch = begin()
    again(watch.looked(REFUSED, T, connection=1))
    assert again(watch.looked(REFUSED, T + 1, connection=1)).fresh_connection
    assert isinstance(watch.looked(REFUSED, T + 2, connection=2), Failure)


def test_credentials_that_worked_in_between_may_be_refused_once_more() -> None:
    watch = begin()
    again(watch.looked(REFUSED, T, connection=1))
    again(watch.looked(PROCESSING, T + 10, connection=2))
    assert again(watch.looked(REFUSED, T + 20, connection=2)).fresh_connection
    assert isinstance(watch.looked(REFUSED, T + 30, connection=3), Failure)


@pytest.mark.parametrize("between", [NO_ANSWER, TOO_OFTEN], ids=["no answer", "429"])
def test_response_that_proves_no_credentials_allows_no_second_refusal(between: TrimError) -> None:
    watch = begin()
    again(watch.looked(REFUSED, T, connection=1))
    again(watch.looked(between, T + 10, connection=2))
    assert watch.looked(REFUSED, T + 20, connection=2) == Failure(REFUSED)


# --- HTTP 429 ---


@pytest.mark.parametrize(("retry_after", "pause"), [(None, 10), (0.0, 10), (3.0, 10), (45.0, 45)])
def test_retry_after_stretches_the_pause_but_never_shortens_it(retry_after: float | None, pause: float) -> None:
    error = TrimQuotaExceededError("too often", http_status=429, retry_after=retry_after)
    assert again(begin(interval=10).looked(error, T)).at == T + pause


def test_a_call_that_was_not_made_begins_no_interval() -> None:
    """The quota is used up in this process already: look as soon as it has a call, and that counts as no failure."""
    watch = begin(interval=10, max_consecutive_failures=1)
    for second in range(5):
        decision = again(watch.looked(TrimQuotaExceededError("used up", retry_after=1.0), T + second))
        assert decision.at == T + second + 1
        assert (decision.news is None) == (second > 0)


def test_only_the_last_poll_may_wait_for_its_turn() -> None:
    watch = begin(deadline=T + 60)
    assert watch.patience(T + 59) == 0
    assert watch.patience(T + 60) == LAST_LOOK_PATIENCE
    assert begin().patience(T + 1e9) == 0


def test_retry_after_ends_at_the_deadline() -> None:
    error = TrimQuotaExceededError("too often", retry_after=3600.0)
    assert again(begin(deadline=T + 60).looked(error, T)).at == T + 60


# --- the deadline ---


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, NO_ANSWER, TOO_OFTEN, REFUSED], ids=label)
def test_last_poll_is_exactly_at_the_deadline(outcome: TrimTask | TrimError) -> None:
    """The deadline is looked at after the last status only; the interval does not move it."""
    watch = begin(interval=1000, deadline=T + 0.5)
    assert again(watch.looked(outcome, T)).at == T + 0.5
    processing = isinstance(outcome, TrimTask | VideoProcessingError)
    expected = TimedOut(None if processing else outcome)
    assert watch.looked(outcome, T + 0.5) == expected


@pytest.mark.parametrize("late", [0.0, 3600.0])
def test_success_at_the_last_poll_wins(late: float) -> None:
    watch = begin(deadline=T + 60)
    again(watch.looked(PROCESSING, T))
    assert watch.looked(DONE, T + 60 + late) == Success(DONE)


@pytest.mark.parametrize(("outcome", "verdict"), [(PROCESSING, TimedOut()), (DONE, Success(DONE))], ids=["1", "2"])
def test_even_a_wait_that_begins_after_its_deadline_gets_one_poll(outcome: TrimTask, verdict: Verdict) -> None:
    assert begin(deadline=T - 60).looked(outcome, T) == verdict


def test_the_nth_failure_at_the_deadline_is_a_failure() -> None:
    watch = begin(deadline=T, max_consecutive_failures=1)
    assert watch.looked(NO_ANSWER, T) == Failure(NO_ANSWER, worth_retrying=True)


# --- answers that another watch of the trim has asked for ---


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, NO_ANSWER, TOO_OFTEN, REFUSED], ids=label)
def test_early_transient_response_counts_for_nothing(outcome: TrimTask | TrimError) -> None:
    watch = begin(first_poll_after=60, max_consecutive_failures=1)
    for _ in range(3):
        assert watch.looked(outcome, T + 59) == LookAgain(T + 60)
    assert isinstance(watch.looked(NO_ANSWER, T + 60), Failure)


@pytest.mark.parametrize("outcome", [DONE, *FINAL], ids=label)
def test_early_terminal_response_counts(outcome: TrimTask | TrimError) -> None:
    verdict = begin(first_poll_after=60).looked(outcome, T)
    assert verdict == (Failure(outcome) if isinstance(outcome, TrimError) else Success(outcome))


# --- backoff ---


@pytest.mark.parametrize("outcome", [PROCESSING, NO_ANSWER], ids=["processing", "failing"])
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [10, 10, 10, 10, 10]),
        ({"exponential_backoff": True}, [10, 20, 40, 80, 160]),
        ({"exponential_backoff": True, "max_interval": 50}, [10, 20, 40, 50, 50]),
        ({"exponential_backoff": True, "max_interval": 5}, [10, 10, 10, 10, 10]),
        ({"max_interval": 5}, [10, 10, 10, 10, 10]),
        ({"exponential_backoff": True, "deadline": T + 100}, [10, 20, 40, 30]),
    ],
)
def test_the_pause_doubles_where_asked_for(
    parameters: dict[str, Any], expected: list[float], outcome: TrimTask | TrimError
) -> None:
    assert pauses(begin(interval=10, **parameters), outcome, len(expected)) == expected


def test_the_doubling_never_overflows() -> None:
    watch = begin(exponential_backoff=True, interval=SHORTEST_INTERVAL)
    assert max(pauses(watch, PROCESSING, 2000)) == pytest.approx(SHORTEST_INTERVAL * 2**32, rel=1e-6)


# --- news ---


def test_news_come_once_per_change_of_state() -> None:
    watch = begin(max_consecutive_failures=9)
    news = []
    for outcome in [PROCESSING, *[NO_ANSWER] * 3, PROCESSING, PROCESSING, *[TOO_OFTEN] * 3, BUSY, TOO_OFTEN, REFUSED]:
        decision = again(watch.looked(outcome, watch.next_look))
        if decision.news:
            news.append((decision.level, decision.news))
    assert news == [
        (logging.WARNING, "no answer; waiting on (at most 9 failed looks in a row)"),
        (logging.INFO, "answered again after 3 failed looks"),
        (logging.WARNING, "too often (HTTP status 429); next look in 10 s"),
        (logging.INFO, "still processing after 90 s"),
        (logging.WARNING, "too often (HTTP status 429); next look in 10 s"),
        (
            logging.WARNING,
            "refused (HTTP status 401); looking the connection up afresh, in case its credentials have been changed",
        ),
    ]


def test_news_about_failures_name_no_limit_where_there_is_none() -> None:
    assert again(begin(max_consecutive_failures=None).looked(NO_ANSWER, T)).news == "no answer; waiting on"


def test_news_about_http_429_tell_the_time_of_the_next_poll() -> None:
    error = TrimQuotaExceededError("too often", retry_after=3600.0)
    assert again(begin(deadline=T + 60).looked(error, T)).news == "too often; next look in 60 s"


@pytest.mark.parametrize(("started_at", "first"), [(None, 60), (T - 1000, 60)])
def test_heartbeats_come_with_growing_pauses(started_at: float | None, first: int) -> None:
    watch = begin(interval=10, started_at=started_at)
    before = 0 if started_at is None else 1000
    heard = {}
    while watch.next_look <= T + 4000:
        at = watch.next_look
        decision = again(watch.looked(PROCESSING, at))
        if decision.news:
            assert decision.level == logging.INFO
            heard[int(at - T)] = decision.news
    expected = [60, 120, 240, 480, 960, 1920, 3840] if not before else [60, 1120, 3240]
    assert heard == {at: f"still processing after {at + before} s" for at in expected}


# --- any sequence ---

_OUTCOMES = [
    PROCESSING,
    BUSY,
    NO_ANSWER,
    NONSENSE,
    REFUSED,
    TOO_OFTEN,
    TrimQuotaExceededError("wait", http_status=429, retry_after=99.0),
]
_SECONDS = st.floats(min_value=0, max_value=10_000)


@given(
    interval=st.floats(min_value=0.01, max_value=5000),
    deadline=st.none() | st.floats(min_value=-100, max_value=20_000).map(lambda seconds: T + seconds),
    first_poll_after=st.none() | _SECONDS,
    max_consecutive_failures=st.none() | st.integers(1, 5),
    exponential_backoff=st.booleans(),
    max_interval=st.none() | _SECONDS,
    looks=st.lists(
        st.tuples(st.sampled_from(_OUTCOMES), st.just(0.0) | _SECONDS, st.none() | st.floats(0, 0.99), st.booleans()),
        max_size=30,
    ),
)
def test_invariants_of_any_wait(deadline: float | None, interval: float, looks: list[Any], **parameters: Any) -> None:
    """No look comes too soon or after the deadline, and no wait outlives its deadline's look."""
    watch = begin(deadline=deadline, interval=interval, **parameters)
    now, connection = T, 0
    for outcome, late, early, looked_up in looks:
        due = watch.next_look
        assert deadline is None or due <= deadline
        now = max(now, due + late if early is None else now + early * (due - now))
        connection += looked_up
        decision = watch.looked(outcome, now, connection=connection)
        if deadline is not None and now >= deadline:
            assert isinstance(decision, TimedOut | Failure)
        if not isinstance(decision, LookAgain):
            return
        assert decision.at == watch.next_look > now
        if now < due:
            assert decision == LookAgain(due)
        else:
            assert decision.at >= now + interval or decision.at == deadline or decision.fresh_connection


@pytest.mark.parametrize("status", [0, 3, 4])
def test_undocumented_status_ends_the_wait(status: int) -> None:
    """Fails closed, whoever made the answer."""
    decision = begin().looked(TrimTask.model_validate({"transNo": "t1", "status": status}), T)
    assert isinstance(decision, Failure)
    assert not decision.worth_retrying


@pytest.mark.parametrize("interval", [0.0, -1.0])
def test_no_poll_without_a_pause(interval: float) -> None:
    assert again(begin(interval=interval).looked(PROCESSING, T)).at == T + SHORTEST_INTERVAL
