# SPDX-License-Identifier: Apache-2.0
"""One trim's wait as a state machine. It has no clock and does no I/O: time is passed in.

A poll state says when the trim is polled next (:attr:`PollState.next_poll_at`), takes the outcome of each poll
(:meth:`PollState.record_response`), and returns what it means: poll again, or a verdict. Which state follows, a table
says (:data:`~airflow_provider_trim.polling.transitions.TRANSITIONS`); no other transition can be made.

The last poll is made at the deadline, whatever the interval. The deadline is checked after a poll, never before, so a
trim that is done by then succeeds.
"""

from __future__ import annotations

import copy
import logging
import math
import random
from collections.abc import Callable

from airflow_provider_trim.client.credentials import retry_delay
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.transitions import TRANSITIONS, Event, State, event_of
from airflow_provider_trim.polling.verdicts import Decision, Failure, PollAgain, Success, TimedOut
from airflow_provider_trim.vod.errors import (
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
)
from airflow_provider_trim.vod.models import TrimTask

MIN_INTERVAL = 0.01
"""Seconds. Airflow's sensors accept an interval of 0, but no poll follows another without a pause."""

FIRST_PROGRESS_LOG = 60.0
"""Seconds after which a wait logs that it goes on; then after twice as long, and so on."""

MAX_PROGRESS_LOG_INTERVAL = 600.0
"""Seconds between two such lines, at most."""


class PollState:
    """The wait for one trim.

    :param trans_no: of the trim
    :param options: how to wait for it; its times are on the clock of ``now``
    :param now: seconds, on any clock that does not jump
    :param jitter: returns a random number from 0 to 1
    """

    def __init__(
        self,
        trans_no: str,
        options: WaitOptions = WaitOptions(),  # noqa: B008  # frozen
        *,
        now: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.trans_no = trans_no
        self.options = options
        self.state = State.POLLING
        self.interval = max(options.interval, MIN_INTERVAL)
        # Another host's clock may be ahead of this one's.
        self.started_at = now if options.started_at is None else min(now, options.started_at)
        self.last_poll_at = math.inf if options.deadline is None else options.deadline
        """When the last poll is made; infinite where the wait has no deadline."""
        self.next_poll_at = min(max(now, self.started_at + (options.first_poll_after or 0.0)), self.last_poll_at)
        self._jitter = jitter
        self._progress_log_at = now + FIRST_PROGRESS_LOG
        self._polls = 0
        self._failures = 0
        self._failing_since = now
        self._auth_failures = 0
        self._refused_version: int | None = None
        self._credentials_accepted = False
        self.repeats_last_poll = False
        """Whether the next poll repeats the last one, over a new network connection."""
        self.processing_at: float | None = None
        """When a poll found the trim processing last."""
        self.last_error: TrimError | None = None
        """Why the last poll failed, None where it showed a trim that is processing."""

    def is_last_poll(self, now: float) -> bool:
        """Return whether a poll that is made now is the last one."""
        return now >= self.last_poll_at

    def record_response(
        self,
        outcome: TrimTask | TrimError,
        now: float,
        *,
        sent_at: float | None = None,
        version: int = 0,
        credentials_accepted: bool = False,
    ) -> Decision:
        """Decide what the outcome of a poll means. Like all methods that decide, it is not for a wait that is over.

        :param outcome: of the poll; a trim is processing or successful, all else comes as an error
        :param now: when it came
        :param sent_at: when the poll was made, by default at ``now``. Only one that is made at the deadline is the last
        :param version: of the connection with which the poll was made; each reload has a higher one
        :param credentials_accepted: whether the service has accepted the connection's credentials before
        :raises RuntimeError: there is a verdict already
        """
        self._require_open()
        event = event_of(outcome)
        if event is Event.SUCCESSFUL and isinstance(outcome, TrimTask):
            self._transition(event)
            return Success(outcome)
        if event is Event.PERMANENT_ERROR:
            if isinstance(outcome, TrimTask):
                outcome = TrimApiError(f"trim {self.trans_no} has status {int(outcome.status)}")
            return self._fail(event, outcome)
        if now < self.next_poll_at:  # the poll was made for another wait of the trim
            return PollAgain(self.next_poll_at)
        decision = self._decide(event, outcome, now, version, credentials_accepted)
        if not isinstance(decision, PollAgain):
            return decision
        if self.is_last_poll(now if sent_at is None else sent_at):
            if event is not Event.TRANSIENT_ERROR or self.repeats_last_poll:
                return self.expire()
            self.repeats_last_poll = True
            decision = PollAgain(now, message=f"{outcome}; repeating the last poll over a new network connection")
        self._transition(event)
        self.next_poll_at = decision.at
        return decision

    def record_refused_credentials(self, error: TrimAuthError, refusals: int, credentials_accepted: bool) -> Decision:
        """Decide what it means that the service refuses the credentials that this wait shares with others.

        :param refusals: of the connection's credentials, in a row, by whichever wait's poll
        """
        self._require_open()
        self.last_error = error
        if refusals >= self._allowed_auth_failures(credentials_accepted):
            return self._fail(Event.GIVE_UP, error, worth_retrying=True)
        return PollAgain(self.next_poll_at)

    def skip_poll(self, now: float) -> None:
        """Make the next poll after the interval, because the one that is due can't be made."""
        self.next_poll_at = min(max(self.next_poll_at, now + self.interval), self.last_poll_at)

    def expedite(self, now: float) -> None:
        """Make the next poll now, because the trim may be done."""
        self.next_poll_at = min(self.next_poll_at, now)

    def expire(self, reason: TrimError | None = None) -> TimedOut:
        """End the wait at its deadline.

        :param reason: why there was no last poll, if there was none
        """
        self._transition(Event.DEADLINE)
        return TimedOut(reason or self.last_error)

    def _require_open(self) -> None:
        if not TRANSITIONS[self.state]:
            raise RuntimeError(f"the wait for trim {self.trans_no} is over: {self.state.value}")

    def _transition(self, event: Event) -> None:
        self._require_open()
        self.state = TRANSITIONS[self.state][event]

    def _decide(
        self, event: Event, outcome: TrimTask | TrimError, now: float, version: int, credentials_accepted: bool
    ) -> Decision:
        if event is Event.PROCESSING or isinstance(outcome, TrimTask):
            return self._on_processing(now)
        self.last_error = outcome
        if isinstance(outcome, TrimAuthError):
            return self._on_auth_error(outcome, now, version, credentials_accepted)
        if isinstance(outcome, TrimQuotaExceededError):
            return self._on_rate_limit(outcome, now)
        return self._on_transient_error(outcome, now)

    def _on_processing(self, now: float) -> Decision:
        message = None
        if self._failures:
            message = f"responding again after {self._failures} failed polls"
        elif now >= self._progress_log_at:
            waited = now - self.started_at
            message = f"still processing after {waited:.0f} s"
            self._progress_log_at = now + min(max(FIRST_PROGRESS_LOG, waited), MAX_PROGRESS_LOG_INTERVAL)
        self._failures = self._auth_failures = 0
        self.last_error = self._refused_version = None
        self._credentials_accepted = True
        self.processing_at = now
        return self._poll_again(now, self._next_interval(), message, logging.INFO)

    def _on_auth_error(self, error: TrimAuthError, now: float, version: int, credentials_accepted: bool) -> Decision:
        if self._refused_version is None or version > self._refused_version:
            self._refused_version = version
            self._auth_failures += 1
        if self._auth_failures >= self._allowed_auth_failures(credentials_accepted):
            return self._fail(Event.GIVE_UP, error, worth_retrying=True)
        delay = max(retry_delay(self._auth_failures, self.interval, self._jitter), error.retry_after or 0.0)
        message = f"{error}; reloading the connection in case its credentials were rotated"
        at = min(now + delay, self.last_poll_at)
        first = self.state is not State.REAUTHENTICATING
        return PollAgain(at, message=message if first else None)

    def _on_rate_limit(self, error: TrimQuotaExceededError, now: float) -> Decision:
        # Without a call, because this process knew that there is no permit, the interval has not started again.
        pause = self._next_interval() if error.http_status is not None else 0.0
        at = min(now + max(pause, error.retry_after or 0.0), self.last_poll_at)
        first = self.state is not State.RATE_LIMITED
        return PollAgain(at, message=f"{error}; next poll in {max(0.0, at - now):.0f} s" if first else None)

    def _on_transient_error(self, error: TrimError, now: float) -> Decision:
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        limit = self.options.max_consecutive_failures
        # The repetition of the last poll is not one more in a row: the wait ends with it anyway, at its deadline.
        if limit is not None and self._failures >= limit and not self.repeats_last_poll:
            return self._fail(Event.GIVE_UP, self._with_count(error, now), worth_retrying=True)
        allowed = "" if limit is None else f" (failure {self._failures} of at most {limit} in a row)"
        first = self._failures == 1
        pause = max(self._next_interval(), error.retry_after or 0.0)
        return self._poll_again(now, pause, f"{error}; will retry{allowed}" if first else None)

    def _with_count(self, error: TrimError, now: float) -> TrimError:
        """Return the error with how many polls failed in a row, and for how long, in its message."""
        if self._failures < 2:
            return error
        counted = copy.copy(error)
        counted.message = (
            f"{error.message}; {self._failures} polls in a row failed in {now - self._failing_since:.0f} s"
        )
        return counted

    def _allowed_auth_failures(self, credentials_accepted: bool) -> float:
        """Return how many refusals in a row end the wait.

        Credentials that were accepted before may be refused by a gateway's fault, or because they were rotated. Others
        are wrong until the connection is changed, so one reload must do.
        """
        limit = self.options.max_consecutive_failures
        if limit is None:
            return math.inf
        return max(limit, 2) if credentials_accepted or self._credentials_accepted else 2

    def _fail(self, event: Event, error: TrimError, worth_retrying: bool = False) -> Failure:
        self._transition(event)
        return Failure(error, worth_retrying)

    def _poll_again(self, now: float, pause: float, message: str | None, level: int = logging.WARNING) -> PollAgain:
        self._polls += 1
        return PollAgain(min(now + pause, self.last_poll_at), message=message, level=level)

    def _next_interval(self) -> float:
        interval, options = self.interval, self.options
        if options.exponential_backoff:
            interval *= 2.0 ** min(self._polls, 32)
            if options.max_interval is not None:
                interval = min(interval, max(options.max_interval, self.interval))
        return interval
