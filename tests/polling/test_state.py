# SPDX-License-Identifier: Apache-2.0
"""What the outcome of a poll means for a wait, with an injected clock."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.state import MIN_INTERVAL, PollState
from airflow_provider_trim.polling.transitions import TRANSITIONS, Event, State
from airflow_provider_trim.polling.verdicts import Failure, PollAgain, Success, TimedOut, Verdict
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
NO_RESPONSE = TrimTransportError("no response")
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


def begin(**parameters: Any) -> PollState:
    """Begin a wait; its delays are as long as jitter allows."""
    return PollState("t1", WaitOptions(**parameters), now=T, jitter=lambda: 1.0)


def refuse(state: PollState, times: int, *, accepted: bool = False, version: int = 1) -> list[Any]:
    """Refuse the credentials, each time those of a connection that was reloaded, and return the decisions."""
    return [
        state.record_response(REFUSED, state.next_poll_at, version=version + number, credentials_accepted=accepted)
        for number in range(times)
    ]


def again(decision: Any) -> PollAgain:
    assert isinstance(decision, PollAgain)
    return decision


def assert_gave_up(decision: Any, error: TrimError, text: str) -> None:
    """Assert that a wait ended for its failures in a row, with the last cause and how many there were."""
    assert isinstance(decision, Failure)
    assert decision.worth_retrying
    assert type(decision.error) is type(error)
    assert (str(decision.error), decision.error.http_status) == (text, error.http_status)


def pauses(state: PollState, outcome: TrimTask | TrimError, polls: int) -> list[float]:
    """The pauses after polls that are made exactly when they are due."""
    times = [state.next_poll_at]
    for _ in range(polls):
        times.append(again(state.record_response(outcome, times[-1])).at)
    return [later - earlier for earlier, later in itertools.pairwise(times)]


# --- what outcomes mean ---


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, NO_RESPONSE, NONSENSE, TOO_OFTEN], ids=label)
def test_what_ends_no_wait_is_polled_again_after_the_interval(outcome: TrimTask | TrimError) -> None:
    """Never the end, never without a pause, and the pause is the one asked for."""
    state = begin(interval=7)
    decision = again(state.record_response(outcome, T + 1))
    assert decision.at == state.next_poll_at == T + 8
    assert state.state is not State.REAUTHENTICATING


def test_status_2_is_success() -> None:
    assert begin().record_response(DONE, T) == Success(DONE)


@pytest.mark.parametrize("error", FINAL, ids=label)
def test_permanent_failure_ends_the_wait_and_is_not_worth_a_retry(error: TrimError) -> None:
    assert begin().record_response(error, T) == Failure(error, worth_retrying=False)


def test_by_default_a_wait_polls_every_ten_seconds_and_survives_nine_failures() -> None:
    state = begin()
    assert (state.next_poll_at, state.interval, state.options.deadline, state.started_at) == (T, 10.0, None, T)
    decisions = [state.record_response(NO_RESPONSE, state.next_poll_at) for _ in range(10)]
    assert_gave_up(decisions[-1], NO_RESPONSE, "no response; 10 polls in a row failed in 90 s")
    assert all(isinstance(decision, PollAgain) for decision in decisions[:-1])


# --- the first poll ---


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
    assert begin(**parameters).next_poll_at == first


# --- failures ---


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_nth_failure_in_a_row_ends_the_wait_with_the_last_cause(limit: int) -> None:
    state = begin(max_consecutive_failures=limit)
    for n in range(limit - 1):
        again(state.record_response(NONSENSE, T + 100 * n))
    count = "" if limit == 1 else f"; {limit} polls in a row failed in 1000 s"
    assert_gave_up(state.record_response(NO_RESPONSE, T + 1000), NO_RESPONSE, f"no response{count}")


def test_failures_are_counted_from_the_first_of_the_row() -> None:
    """The error that others hold stays as it was."""
    state = begin(max_consecutive_failures=3)
    for outcome, at in ((NO_RESPONSE, 0), (PROCESSING, 50), (NO_RESPONSE, 100), (NO_RESPONSE, 130)):
        again(state.record_response(outcome, T + at))
    error = TrimTransportError("in trouble", http_status=503, request_id="r1", retry_after=9.0)
    decision = state.record_response(error, T + 195)
    assert_gave_up(decision, error, "in trouble; 3 polls in a row failed in 95 s (HTTP status 503, request id r1)")
    assert decision.error.retry_after == 9.0
    assert error.message == "in trouble"


@pytest.mark.parametrize("response", [PROCESSING, BUSY], ids=["status 1", "1560"])
def test_response_resets_the_failure_count(response: TrimTask | TrimError) -> None:
    state = begin(max_consecutive_failures=2)
    for outcome in (NO_RESPONSE, response, NO_RESPONSE, response, NO_RESPONSE):
        again(state.record_response(outcome, state.next_poll_at))
    assert isinstance(state.record_response(NO_RESPONSE, state.next_poll_at), Failure)


@pytest.mark.parametrize(
    ("outcome", "polls"),
    [(TOO_OFTEN, 50), (BUSY, 50), (PROCESSING, 50), (REFUSED, 50)],
    ids=["429", "1560", "1", "401"],
)
def test_errors_that_count_as_no_failure(outcome: TrimTask | TrimError, polls: int) -> None:
    state = begin(max_consecutive_failures=1)
    for _ in range(polls):
        again(state.record_response(outcome, state.next_poll_at))


def test_http_429_does_not_reset_the_failure_count() -> None:
    state = begin(max_consecutive_failures=2)
    for outcome in (NO_RESPONSE, TOO_OFTEN):
        again(state.record_response(outcome, state.next_poll_at))
    assert_gave_up(
        state.record_response(NO_RESPONSE, state.next_poll_at),
        NO_RESPONSE,
        "no response; 2 polls in a row failed in 20 s",
    )


def test_none_allows_any_number_of_failures() -> None:
    assert pauses(begin(max_consecutive_failures=None, interval=10), NO_RESPONSE, 200) == [10] * 200


@pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 10), (3.0, 10), (120.0, 120)])
def test_retry_after_of_a_service_in_trouble_is_honoured(retry_after: float, pause: float) -> None:
    """503 with Retry-After."""
    error = TrimTransportError("in trouble", http_status=503, retry_after=retry_after)
    assert again(begin(interval=10).record_response(error, T)).at == T + pause
    assert again(begin(interval=10, deadline=T + 60).record_response(error, T)).at == T + min(pause, 60)


# --- refused credentials ---


def test_refused_credentials_reload_the_connection_and_fail_after_that() -> None:
    """Credentials that were never accepted. A retry of the task may find better ones."""
    state = begin(interval=10)
    decision = again(state.record_response(REFUSED, T, version=3))
    assert (decision.at, state.state) == (T + 1, State.REAUTHENTICATING)
    second = TrimAuthError("still refused", http_status=403)
    assert state.record_response(second, decision.at, version=4) == Failure(second, worth_retrying=True)


@pytest.mark.parametrize(("limit", "refusals"), [(1, 2), (2, 2), (10, 10)])
@pytest.mark.parametrize("how", ["by the poller", "in this wait"])
def test_credentials_that_were_accepted_may_be_refused_as_often_as_polls_may_fail(
    limit: int, refusals: int, how: str
) -> None:
    state = begin(max_consecutive_failures=limit)
    if how == "in this wait":
        again(state.record_response(PROCESSING, T))
    *decisions, last = refuse(state, refusals, accepted=how == "by the poller")
    assert all(again(decision) for decision in decisions)
    assert last == Failure(REFUSED, worth_retrying=True)


def test_any_number_of_refusals_is_allowed_where_any_number_of_failures_is() -> None:
    assert all(again(decision) for decision in refuse(begin(max_consecutive_failures=None), 200))


@pytest.mark.parametrize(
    ("interval", "first"), [(10.0, [1, 2, 4, 8, 16, 32, 60, 60, 60]), (0.25, [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60])]
)
def test_delays_after_refused_credentials_grow(interval: float, first: list[float]) -> None:
    state = begin(interval=interval)
    times = [again(decision).at for decision in refuse(state, 9, accepted=True)]
    assert [later - earlier for earlier, later in itertools.pairwise([T, *times])] == first


@given(jitter=st.floats(0, 1), refusals=st.integers(1, 9))
def test_delays_after_refused_credentials_are_spread(jitter: float, refusals: int) -> None:
    longest = [again(decision).at - T for decision in refuse(begin(), refusals, accepted=True)][-1]
    state = PollState("t1", now=T, jitter=lambda: jitter)
    spread = [again(decision).at - T for decision in refuse(state, refusals, accepted=True)][-1]
    assert spread == pytest.approx(longest * (0.5 + 0.5 * jitter))


def test_retry_after_of_a_refusal_is_honoured() -> None:
    error = TrimAuthError("refused", http_status=401, retry_after=30.0)
    assert again(begin().record_response(error, T)).at == T + 30


def test_response_to_the_old_connection_is_no_second_refusal() -> None:
    state = begin()
    again(state.record_response(REFUSED, T, version=1))
    again(state.record_response(REFUSED, T + 1, version=1))
    assert isinstance(state.record_response(REFUSED, T + 2, version=2), Failure)


def test_credentials_that_worked_in_between_are_counted_from_zero() -> None:
    state = begin(max_consecutive_failures=3)
    again(state.record_response(REFUSED, T, version=1))
    again(state.record_response(PROCESSING, T + 10, version=2))
    decisions = refuse(state, 3, version=2)
    assert [isinstance(decision, Failure) for decision in decisions] == [False, False, True]


@pytest.mark.parametrize("between", [NO_RESPONSE, TOO_OFTEN], ids=["no response", "429"])
def test_response_that_proves_no_credentials_allows_no_second_refusal(between: TrimError) -> None:
    state = begin()
    again(state.record_response(REFUSED, T, version=1))
    again(state.record_response(between, T + 10, version=2))
    assert state.record_response(REFUSED, T + 20, version=2) == Failure(REFUSED, worth_retrying=True)


@pytest.mark.parametrize(("accepted", "allowed"), [(False, 2), (True, 10)])
def test_refusals_of_another_wait_count_for_this_one(accepted: bool, allowed: int) -> None:
    """The trims of a connection share its credentials."""
    state = begin(first_poll_after=3600)
    for refusals in range(1, allowed):
        assert state.record_refused_credentials(REFUSED, refusals, accepted) == PollAgain(T + 3600)
    assert state.record_refused_credentials(REFUSED, allowed, accepted) == Failure(REFUSED, worth_retrying=True)


def test_a_wait_that_expires_says_that_the_credentials_were_refused() -> None:
    state = begin(first_poll_after=3600, deadline=T + 3600)
    again(state.record_refused_credentials(REFUSED, 1, True))
    assert state.expire() == TimedOut(REFUSED)


# --- HTTP 429 ---


@pytest.mark.parametrize(("retry_after", "pause"), [(None, 10), (0.0, 10), (3.0, 10), (45.0, 45)])
def test_retry_after_stretches_the_pause_but_never_shortens_it(retry_after: float | None, pause: float) -> None:
    error = TrimQuotaExceededError("too often", http_status=429, retry_after=retry_after)
    assert again(begin(interval=10).record_response(error, T)).at == T + pause


def test_a_call_that_was_not_made_begins_no_interval() -> None:
    """The quota is used up in this process already: poll as soon as there is a permit; that counts as no failure."""
    state = begin(interval=10, max_consecutive_failures=1)
    for second in range(5):
        decision = again(state.record_response(TrimQuotaExceededError("used up", retry_after=1.0), T + second))
        assert decision.at == T + second + 1
        assert (decision.message is None) == (second > 0)


def test_retry_after_ends_at_the_deadline() -> None:
    error = TrimQuotaExceededError("too often", retry_after=3600.0)
    assert again(begin(deadline=T + 60).record_response(error, T)).at == T + 60


# --- the deadline ---


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, TOO_OFTEN, REFUSED], ids=label)
def test_last_poll_is_exactly_at_the_deadline(outcome: TrimTask | TrimError) -> None:
    """The deadline decides after the last poll only; the interval does not move that."""
    state = begin(interval=1000, deadline=T + 0.5)
    assert again(state.record_response(outcome, T)).at == T + 0.5
    processing = isinstance(outcome, TrimTask | VideoProcessingError)
    expected = TimedOut(None if processing else outcome)
    assert state.record_response(outcome, T + 0.5) == expected


@pytest.mark.parametrize("first", [NO_RESPONSE, NONSENSE], ids=label)
@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (DONE, Success(DONE)),
        (PROCESSING, TimedOut()),
        (NO_RESPONSE, TimedOut(NO_RESPONSE)),
        (TOO_OFTEN, TimedOut(TOO_OFTEN)),
        (REFUSED, TimedOut(REFUSED)),
        (FINAL[0], Failure(FINAL[0])),
    ],
    ids=["2", "1", "no response", "429", "401", "1601"],
)
def test_last_poll_is_repeated_once_where_it_failed_for_a_passing_reason(
    first: TrimError, second: TrimTask | TrimError, verdict: Verdict
) -> None:
    state = begin(deadline=T + 60)
    again(state.record_response(PROCESSING, T))
    assert not state.repeats_last_poll
    assert again(state.record_response(first, T + 60)).at == T + 60
    assert state.repeats_last_poll
    assert state.record_response(second, T + 61) == verdict


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, NO_RESPONSE, TOO_OFTEN, REFUSED], ids=label)
def test_response_after_the_deadline_to_an_earlier_poll_is_followed_by_the_last_one(
    outcome: TrimTask | TrimError,
) -> None:
    state = begin(interval=10, deadline=T + 60)
    decision = state.record_response(outcome, T + 62, sent_at=T + 59)
    assert isinstance(decision, PollAgain)
    assert decision.at <= T + 62
    assert state.record_response(DONE, T + 62) == Success(DONE)


@pytest.mark.parametrize("late", [0.0, 3600.0])
def test_success_at_the_last_poll_wins(late: float) -> None:
    state = begin(deadline=T + 60)
    again(state.record_response(PROCESSING, T))
    assert state.record_response(DONE, T + 60 + late) == Success(DONE)


@pytest.mark.parametrize(("outcome", "verdict"), [(PROCESSING, TimedOut()), (DONE, Success(DONE))], ids=["1", "2"])
def test_even_a_wait_that_begins_after_its_deadline_gets_one_poll(outcome: TrimTask, verdict: Verdict) -> None:
    assert begin(deadline=T - 60).record_response(outcome, T) == verdict


def test_the_nth_failure_at_the_deadline_is_a_failure() -> None:
    state = begin(deadline=T, max_consecutive_failures=1)
    assert_gave_up(state.record_response(NO_RESPONSE, T), NO_RESPONSE, "no response")


# --- responses to polls that were made for another wait of the trim ---


@pytest.mark.parametrize("outcome", [PROCESSING, BUSY, NO_RESPONSE, TOO_OFTEN, REFUSED], ids=label)
def test_early_transient_response_counts_for_nothing(outcome: TrimTask | TrimError) -> None:
    state = begin(first_poll_after=60, max_consecutive_failures=1)
    for _ in range(3):
        assert state.record_response(outcome, T + 59) == PollAgain(T + 60)
    assert isinstance(state.record_response(NO_RESPONSE, T + 60), Failure)


@pytest.mark.parametrize("outcome", [DONE, *FINAL], ids=label)
def test_early_terminal_response_counts(outcome: TrimTask | TrimError) -> None:
    verdict = begin(first_poll_after=60).record_response(outcome, T)
    assert verdict == (Failure(outcome) if isinstance(outcome, TrimError) else Success(outcome))


# --- backoff ---


@pytest.mark.parametrize("outcome", [PROCESSING, NO_RESPONSE], ids=["processing", "failing"])
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
    state = begin(exponential_backoff=True, interval=MIN_INTERVAL)
    assert max(pauses(state, PROCESSING, 2000)) == pytest.approx(MIN_INTERVAL * 2**32, rel=1e-6)


# --- messages ---


def test_messages_come_once_per_change_of_state() -> None:
    state = begin(max_consecutive_failures=9)
    messages = []
    for outcome in [PROCESSING, *[NO_RESPONSE] * 3, PROCESSING, PROCESSING, *[TOO_OFTEN] * 3, BUSY, TOO_OFTEN, REFUSED]:
        decision = again(state.record_response(outcome, state.next_poll_at))
        if decision.message:
            messages.append((decision.level, decision.message))
    assert messages == [
        (logging.WARNING, "no response; will retry (failure 1 of at most 9 in a row)"),
        (logging.INFO, "responding again after 3 failed polls"),
        (logging.WARNING, "too often (HTTP status 429); next poll in 10 s"),
        (logging.INFO, "still processing after 90 s"),
        (logging.WARNING, "too often (HTTP status 429); next poll in 10 s"),
        (
            logging.WARNING,
            "refused (HTTP status 401); reloading the connection in case its credentials were rotated",
        ),
    ]


def test_refusals_in_a_row_are_one_message() -> None:
    decisions = refuse(begin(), 5, accepted=True)
    assert [again(decision).message is None for decision in decisions] == [False, True, True, True, True]


def test_message_about_failures_names_no_limit_where_there_is_none() -> None:
    decision = begin(max_consecutive_failures=None).record_response(NO_RESPONSE, T)
    assert again(decision).message == "no response; will retry"


def test_message_about_http_429_tells_the_time_of_the_next_poll() -> None:
    error = TrimQuotaExceededError("too often", retry_after=3600.0)
    assert again(begin(deadline=T + 60).record_response(error, T)).message == "too often; next poll in 60 s"


def test_message_about_the_last_poll_says_that_it_is_repeated() -> None:
    message = again(begin(deadline=T).record_response(NO_RESPONSE, T)).message
    assert message == "no response; repeating the last poll over a new network connection"


def test_a_wait_did_not_begin_in_the_future() -> None:
    """Another host's clock may be ahead: the first poll would be late, and the policy would plan with that time."""
    state = begin(interval=10, started_at=T + 3600, first_poll_after=5)
    assert state.started_at == T
    assert state.next_poll_at == T + 5


@pytest.mark.parametrize(
    ("started_at", "expected"),
    [
        (None, [60, 120, 240, 480, 960, 1560, 2160, 2760, 3360, 3960]),
        (T - 1000, [60, 660, 1260, 1860, 2460, 3060, 3660]),
    ],
)
def test_progress_is_logged_with_growing_pauses(started_at: float | None, expected: list[int]) -> None:
    """Of ten minutes at most."""
    state = begin(interval=10, started_at=started_at)
    before = 0 if started_at is None else 1000
    heard = {}
    while state.next_poll_at <= T + 4000:
        at = state.next_poll_at
        decision = again(state.record_response(PROCESSING, at))
        if decision.message:
            assert decision.level == logging.INFO
            heard[int(at - T)] = decision.message
    assert heard == {at: f"still processing after {at + before} s" for at in expected}


# --- any sequence ---

_OUTCOMES = [
    PROCESSING,
    BUSY,
    NO_RESPONSE,
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
    polls=st.lists(
        st.tuples(st.sampled_from(_OUTCOMES), st.just(0.0) | _SECONDS, st.none() | st.floats(0, 0.99), st.booleans()),
        max_size=30,
    ),
)
def test_invariants_of_any_wait(deadline: float | None, interval: float, polls: list[Any], **parameters: Any) -> None:
    """No poll comes too soon or after the deadline, and no wait outlives its last poll, which is repeated once."""
    state = begin(deadline=deadline, interval=interval, **parameters)
    now, connection, repeated = T, 0, False
    for outcome, late, early, reloaded in polls:
        due = state.next_poll_at
        assert deadline is None or due <= deadline or repeated
        now = max(now, due + late if early is None else now + early * (due - now))
        connection += reloaded
        decision = state.record_response(outcome, now, version=connection)
        if not isinstance(decision, PollAgain):
            return
        assert decision.at == state.next_poll_at
        if deadline is not None and now >= deadline:
            assert not repeated
            assert state.repeats_last_poll
            assert outcome in (NO_RESPONSE, NONSENSE)
            assert decision.at <= now
            repeated = True
            continue
        assert decision.at > now
        if now < due:
            assert decision == PollAgain(due)
        else:
            assert decision.at >= now + interval or decision.at == deadline or outcome is REFUSED


@pytest.mark.parametrize("status", [0, 3, 4])
def test_undocumented_status_ends_the_wait(status: int) -> None:
    """Fails closed, whatever made the response."""
    decision = begin().record_response(TrimTask.model_validate({"transNo": "t1", "status": status}), T)
    assert isinstance(decision, Failure)
    assert not decision.worth_retrying


@pytest.mark.parametrize("interval", [0.0, -1.0])
def test_no_poll_without_a_pause(interval: float) -> None:
    assert again(begin(interval=interval).record_response(PROCESSING, T)).at == T + MIN_INTERVAL


# --- the table ---

_OUTCOME_OF = {
    Event.PROCESSING: PROCESSING,
    Event.SUCCESSFUL: DONE,
    Event.PERMANENT_ERROR: FINAL[2],
    Event.AUTH_ERROR: REFUSED,
    Event.RATE_LIMIT: TOO_OFTEN,
    Event.TRANSIENT_ERROR: NO_RESPONSE,
}
_PATH_TO = {
    State.POLLING: (),
    State.RETRYING: (NO_RESPONSE,),
    State.RATE_LIMITED: (TOO_OFTEN,),
    State.REAUTHENTICATING: (REFUSED,),
    State.SUCCEEDED: (DONE,),
    State.FAILED: (FINAL[0],),
    State.TIMED_OUT: (),
}
_FINAL = (State.SUCCEEDED, State.FAILED, State.TIMED_OUT)


def reach(target: State, **parameters: Any) -> PollState:
    state = begin(**parameters)
    for outcome in _PATH_TO[target]:
        state.record_response(outcome, T)
    if target is State.TIMED_OUT:
        state.expire()
    assert state.state is target
    return state


def apply(state: PollState, event: Event) -> Any:
    """Have an event happen to a wait."""
    if event is Event.DEADLINE:
        return state.expire()
    if event is Event.GIVE_UP:
        return state.record_refused_credentials(REFUSED, 10, credentials_accepted=True)
    return state.record_response(_OUTCOME_OF[event], state.next_poll_at, credentials_accepted=True)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("source", [state for state in State if state not in _FINAL])
def test_every_event_leads_where_the_table_says(source: State, event: Event) -> None:
    state = reach(source)
    decision = apply(state, event)
    assert state.state is TRANSITIONS[source][event]
    assert isinstance(decision, PollAgain) == (state.state not in _FINAL)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("final", _FINAL)
def test_verdict_is_final(final: State, event: Event) -> None:
    assert not TRANSITIONS[final]
    state = reach(final)
    with pytest.raises(RuntimeError, match=f"the wait for trim t1 is over: {final.value}"):
        apply(state, event)
    assert state.state is final


def test_table_covers_everything_and_cannot_be_changed() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(set(TRANSITIONS[state]) == (set() if state in _FINAL else set(Event)) for state in State)
    with pytest.raises(TypeError):
        TRANSITIONS[State.FAILED] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        TRANSITIONS[State.FAILED][Event.PROCESSING] = State.POLLING  # type: ignore[index]
