# SPDX-License-Identifier: Apache-2.0
"""Waits that hold their thread: what :mod:`airflow_provider_trim.polling.poller` is for a worker."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Protocol

from airflow_provider_trim.client.credentials import CredentialGate
from airflow_provider_trim.metrics import AccountMetrics
from airflow_provider_trim.polling.group import Verdicts, WaitGroup
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.transitions import State
from airflow_provider_trim.polling.verdicts import Decision, PollAgain
from airflow_provider_trim.polling.wait_metrics import record_end
from airflow_provider_trim.vod.errors import TrimAuthError, TrimError, TrimQuotaExceededError
from airflow_provider_trim.vod.models import TrimTask

LAST_POLL_QUOTA_TIMEOUT = 30.0
"""Seconds for which the last poll of a wait waits for a permit; the others are made later instead."""


class Client(Protocol):
    """What makes the calls."""

    def query_once(self, trans_no: str, quota_timeout: float) -> TrimTask:
        """Query a trim's status without retries, waiting at most ``quota_timeout`` seconds for a permit."""

    def reload_connection(self) -> None:
        """Reload the Airflow connection before the next call."""

    def close(self) -> None:
        """Close the network connection; the next call opens another."""


class Log(Protocol):
    """What both Airflow's loggers and those of the standard library are."""

    def log(self, level: int, msg: str, /, *args: Any) -> Any:
        """Log a message of that level."""


class SyncPoller:
    """Polls trims one after another, in the thread that waits for them.

    :param client: makes the calls
    :param log: of the task
    :param clock: seconds, monotonic; by default the system's
    :param sleep: takes seconds
    :param jitter: returns a random number from 0 to 1
    :param metrics: of the account
    :param optional: a poll without a permit is left out: another process makes it
    """

    def __init__(
        self,
        client: Client,
        log: Log,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
        metrics: AccountMetrics | None = None,
        optional: bool = False,
    ) -> None:
        self._client = client
        self._log = log
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._credentials = CredentialGate(jitter)
        self._metrics = metrics or AccountMetrics()
        self._optional = optional
        self._version = 0
        """How often the connection was reloaded."""
        self._refusal: TrimAuthError | None = None
        """One that the other waits of the group have not recorded."""

    def wait(self, group: WaitGroup) -> Verdicts:
        """Wait until a group is finished."""
        while not group.finished:
            now = self._clock()
            self._sleep(max(0.0, min(self.due_at(state, now) for _, state in group.pending()) - now))
            self.poll_due(group)
        return group.verdicts

    def poll_due(self, group: WaitGroup) -> None:
        """Poll all trims of a group that are due, until it is finished."""
        for place, state in group.pending():
            now = self._clock()
            if group.verdicts[place] is None and self.due_at(state, now) <= now:
                self._record(group, place, self.poll(state))
            self._record_refusal(group)
            if group.finished:
                break
        if group.should_log(self._clock()):
            self._log.log(logging.INFO, "Trims: %s", group.progress_line(self._clock()))

    def poll_in_order(self, group: WaitGroup) -> None:
        """Poll the trims of a group one after another, up to the first that is not finished.

        This is for a process that ends then, and whose successor starts again. So verdicts that it has are not given up
        for want of a permit: it waits for one, else a list that is longer than the quota would never end.
        """
        for place, state in group.pending():
            while group.verdicts[place] is None:
                now = self._clock()
                if (due := self.due_at(state, now)) > now:
                    if state.state is not State.RATE_LIMITED or not group.successful + group.failed:
                        return
                    self._sleep(due - now)
                self._record(group, place, self.poll(state))
                self._record_refusal(group)
            if group.finished:
                return

    def poll(self, state: PollState) -> Decision:
        """Poll a trim: one call, and one more where the last poll is repeated, or the connection was reloaded.

        The second does not wait for the next process: a sensor in reschedule mode would forget that credentials which
        were never accepted had their reload.
        """
        while True:
            sent_at = self._clock()
            outcome = self._query(state)
            if self._optional and isinstance(outcome, TrimQuotaExceededError) and outcome.http_status is None:
                return PollAgain(state.next_poll_at)
            now, version = self._clock(), self._version
            if self._credentials.record(outcome, version, state.interval, now) and isinstance(outcome, TrimAuthError):
                self._refusal = outcome
                self._version += 1
                self._client.reload_connection()
            decision = state.record_response(
                outcome, now, sent_at=sent_at, version=version, credentials_accepted=self._credentials.accepted
            )
            if not isinstance(decision, PollAgain):
                return decision
            if decision.message:
                self._log.log(decision.level, "Trim %s: %s", state.trans_no, decision.message)
            if state.repeats_last_poll:
                self._client.close()
            elif isinstance(outcome, TrimAuthError) and self._credentials.refusals == 1:
                self._sleep(max(0.0, decision.at - now))
            else:
                return decision

    def due_at(self, state: PollState, now: float) -> float:
        """Return when a trim is due. While the credentials are refused, only the last poll does not wait for them."""
        due = max(state.next_poll_at, now + self._credentials.pause(now))
        return min(due, max(state.last_poll_at, state.next_poll_at))

    def _record_refusal(self, group: WaitGroup) -> None:
        """Tell all waits of a group, once, that the credentials they share were refused."""
        if self._refusal is None:
            return
        error, self._refusal = self._refusal, None
        for place, state in group.pending():
            refusals, accepted = self._credentials.refusals, self._credentials.accepted
            self._record(group, place, state.record_refused_credentials(error, refusals, accepted))

    def expire(self, group: WaitGroup) -> None:
        """End the waits without a verdict at their deadline."""
        for place, state in group.pending():
            self._record(group, place, state.expire())

    def _record(self, group: WaitGroup, place: int, decision: Decision) -> None:
        if not isinstance(decision, PollAgain) and group.verdicts[place] is None:
            group.record(place, decision)
            record_end(self._metrics, group.states[place], decision, self._clock())

    def _query(self, state: PollState) -> TrimTask | TrimError:
        quota_timeout = LAST_POLL_QUOTA_TIMEOUT if state.is_last_poll(self._clock()) else 0.0
        try:
            return self._client.query_once(state.trans_no, quota_timeout)
        except TrimError as error:
            return error
