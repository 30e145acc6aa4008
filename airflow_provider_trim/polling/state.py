# SPDX-License-Identifier: Apache-2.0
"""One trim's wait as a state machine. It has no clock and does no I/O: time is passed in, in Unix seconds.

A poll state says when to poll (:attr:`PollState.next_poll_at`), is given the outcome (:meth:`PollState.looked`), and
decides:

=============================================  ====================================================================
what the look showed                           decision
=============================================  ====================================================================
status 1, or code 1560                         look again after the interval; failures count from zero again
status 2                                       :class:`Success`
status 3, an unknown status or code, 1601-3    :class:`Failure`, not worth a retry
credentials refused                            look again with a fresh connection, once; then Failure, not worth a
                                               retry
HTTP 429                                       look again after the interval or Retry-After; counts as no failure
no answer, HTTP 5xx, not the documented shape  look again after the interval; the ``max_consecutive_failures``-th
                                               in a row is a Failure, worth a retry
any of "look again" at or after the deadline   :class:`TimedOut`
=============================================  ====================================================================

The last look is at the deadline, whatever the interval, and the deadline is checked only after a look.

A watch that expects to be told when the trim is done looks rarely meanwhile: :attr:`PollState.callback_pause` takes the
place of a shorter interval after looks that showed a trim that is processing, and after no other. Once it was told
(:meth:`PollState.hinted`), that is over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow_provider_trim.polling.options import DEFAULT_OPTIONS, WaitOptions
from airflow_provider_trim.vod.errors import (
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimStatus, TrimTask

MIN_INTERVAL = 0.01
"""Seconds; Airflow's sensors take an interval of 0, but nothing is to be asked without a pause."""

FINAL_POLL_QUOTA_TIMEOUT = 30.0
"""Seconds for which the quota may hold up the last look of a wait."""

FIRST_PROGRESS_LOG = 60.0
"""Seconds after which a wait says that it goes on; then after twice as long, and so on."""

AUTH_RETRY_DELAY = 1.0
"""Seconds, at most, between refused credentials and the look with a connection looked up afresh."""


@dataclass(frozen=True, slots=True)
class Success:
    """The trim is done."""

    task: TrimTask


@dataclass(frozen=True, slots=True)
class Failure:
    """The wait is over without a result.

    :param error: the last cause
    :param worth_retrying: whether a retry of the Airflow task can help
    """

    error: TrimError
    worth_retrying: bool = False


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The deadline has passed and the trim was not done at the last look.

    :param last_error: why the last look showed nothing, None where it showed a trim that is processing
    """

    last_error: TrimError | None = None


@dataclass(frozen=True, slots=True)
class PollAgain:
    """Nothing is decided yet.

    :param at: Unix seconds of the next look, if no callback is relied upon
    :param reload_connection: the connection should be looked up afresh before it
    :param news: what a reader of the log should know, None where nothing has changed
    :param level: of the news, as in :mod:`logging`
    """

    at: float
    reload_connection: bool = False
    news: str | None = None
    level: int = logging.WARNING


Verdict = Success | Failure | TimedOut
Decision = Verdict | PollAgain


class PollState:
    """The wait for one trim.

    :param trans_no: whose wait it is
    :param options: how to wait
    :param now: Unix seconds
    """

    def __init__(self, trans_no: str, options: WaitOptions = DEFAULT_OPTIONS, *, now: float) -> None:
        self.expects_callback = options.expects_callback
        self.callback_pause = 0.0
        """Seconds between two looks, at least, as long as a callback is relied upon."""
        self.hears = False
        """Whether a callback has had to be heard, had it come since the last look."""
        self._was_hinted = False
        self.trans_no = trans_no
        self.interval = max(options.interval, MIN_INTERVAL)
        self.deadline = options.deadline
        self.started_at = now if options.started_at is None else options.started_at
        self.next_poll_at = self._before_deadline(max(now, self.started_at + (options.first_poll_after or 0.0)))
        self._next_poll_without_callback = self.next_poll_at
        self._max_consecutive_failures = options.max_consecutive_failures
        self._exponential_backoff = options.exponential_backoff
        self._max_interval = options.max_interval
        self._heartbeat_at = max(now, self.started_at) + FIRST_PROGRESS_LOG
        self._looks = 0
        self._failures = 0
        self._slowed_down = False
        self._refused_connection: int | None = None
        self._last_error: TrimError | None = None

    def looked(self, outcome: TrimTask | TrimError, now: float, *, connection: int = 0) -> Decision:
        """Decide what a look's outcome means.

        :param outcome: what came back; a trim is processing or successful, all else comes as an error
        :param now: Unix seconds when it came
        :param connection: number of the connection's look-up that was asked with, growing with each look-up
        """
        if (verdict := self._final(outcome)) is not None:
            return verdict
        if now < self.next_poll_at:  # another watch of this trim asked; it counts for that one
            return PollAgain(self.next_poll_at)
        self._last_error = None if isinstance(outcome, TrimTask | VideoProcessingError) else outcome
        if isinstance(outcome, TrimTask | VideoProcessingError):
            decision = self._processing(now)
        elif isinstance(outcome, TrimAuthError):
            decision = self._refused(outcome, now, connection)
        elif isinstance(outcome, TrimQuotaExceededError):
            decision = self._slow_down(outcome, now)
        else:
            decision = self._failed(outcome, now)
        if isinstance(decision, PollAgain):
            if self.deadline is not None and now >= self.deadline:
                return self.timed_out()
            self._next_poll_without_callback = decision.at
            rarely = now if self._last_error is not None else now + self.callback_pause
            self.next_poll_at = max(decision.at, self._before_deadline(rarely))
        return decision

    def postpone(self, now: float) -> None:
        """Have the first look only after the pause, since the trim's callback would have been heard."""
        self.hears = True
        self.next_poll_at = self._before_deadline(max(self.next_poll_at, now + self.callback_pause))

    def put_off(self, now: float) -> None:
        """Have the next look after the interval, since the one that was due can't be made."""
        self.next_poll_at = self._before_deadline(max(self.next_poll_at, now + self.interval))

    def hinted(self, now: float) -> bool:
        """Have a look now, since the trim is said to be done; once, and return whether that is so."""
        if self._was_hinted:
            return False
        self._was_hinted, self.expects_callback, self.callback_pause = True, False, 0.0
        self.next_poll_at = min(self.next_poll_at, now)
        return True

    def doubt(self, now: float) -> None:
        """Rely on no callback any more, nor miss one, and have the next look when it would be due without."""
        self.callback_pause, self.hears = 0.0, False
        self.next_poll_at = min(self.next_poll_at, max(now, self._next_poll_without_callback))

    def timed_out(self) -> TimedOut:
        """Return the verdict of a wait whose time is over."""
        return TimedOut(self._last_error)

    def patience(self, now: float) -> float:
        """Return for how many seconds the look that is due may wait for its turn; only the last one may at all."""
        return FINAL_POLL_QUOTA_TIMEOUT if self.deadline is not None and now >= self.deadline else 0.0

    def _final(self, outcome: TrimTask | TrimError) -> Verdict | None:
        if isinstance(outcome, TrimTask):
            if outcome.status is TrimStatus.SUCCESSFUL:
                return Success(outcome)
            if outcome.status is not TrimStatus.PROCESSING:
                return Failure(TrimApiError(f"trim {self.trans_no} has status {int(outcome.status)}"))
        elif not outcome.retryable and not isinstance(outcome, TrimAuthError):
            return Failure(outcome)
        return None

    def _processing(self, now: float) -> Decision:
        news = None
        if self._failures:
            news = f"answered again after {self._failures} failed looks"
        elif now >= self._heartbeat_at:
            waited = now - self.started_at
            news = f"still processing after {waited:.0f} s"
            self._heartbeat_at = now + max(FIRST_PROGRESS_LOG, waited)
        self._failures = 0
        self._slowed_down = False
        self._refused_connection = None
        return self._again(now, news, logging.INFO)

    def _refused(self, error: TrimAuthError, now: float, connection: int) -> Decision:
        if self._refused_connection is not None and connection > self._refused_connection:
            return Failure(error)
        self._refused_connection = connection
        pause = min(self.interval, AUTH_RETRY_DELAY)
        news = f"{error}; looking the connection up afresh, in case its credentials have been changed"
        return PollAgain(self._before_deadline(now + pause), reload_connection=True, news=news)

    def _slow_down(self, error: TrimQuotaExceededError, now: float) -> Decision:
        # Where no call was made, since this process knows that the quota is used up, the interval has not begun anew.
        pause = self._pause() if error.http_status is not None else 0.0
        at = self._before_deadline(now + max(pause, error.retry_after or 0.0))
        news = None if self._slowed_down else f"{error}; next look in {max(0.0, at - now):.0f} s"
        self._slowed_down = True
        return PollAgain(at, news=news)

    def _failed(self, error: TrimError, now: float) -> Decision:
        first = not self._failures
        self._failures += 1
        limit = self._max_consecutive_failures
        if limit is not None and self._failures >= limit:
            return Failure(error, worth_retrying=True)
        allowed = "" if limit is None else f" (at most {limit} failed looks in a row)"
        return self._again(now, f"{error}; waiting on{allowed}" if first else None)

    def _again(self, now: float, news: str | None, level: int = logging.WARNING) -> PollAgain:
        pause = self._pause()
        self._looks += 1
        return PollAgain(self._before_deadline(now + pause), news=news, level=level)

    def _pause(self) -> float:
        pause = self.interval
        if self._exponential_backoff:
            pause *= 2.0 ** min(self._looks, 32)
            if self._max_interval is not None:
                pause = min(pause, max(self._max_interval, self.interval))
        return pause

    def _before_deadline(self, time: float) -> float:
        return time if self.deadline is None else min(time, self.deadline)
