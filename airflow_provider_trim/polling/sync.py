# SPDX-License-Identifier: Apache-2.0
"""Waits that hold their thread: what :mod:`airflow_provider_trim.polling.poller` is for a worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from airflow_provider_trim.client.credentials import proves_credentials
from airflow_provider_trim.polling.group import Verdicts, WaitGroup
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Decision, PollAgain
from airflow_provider_trim.vod.errors import TrimAuthError, TrimError
from airflow_provider_trim.vod.models import TrimTask

FINAL_POLL_QUOTA_TIMEOUT = 30.0
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
    :param clock: seconds, monotonic
    :param sleep: takes seconds
    """

    def __init__(
        self,
        client: Client,
        log: Log,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._version = 0
        self._credentials_accepted = False

    def wait(self, group: WaitGroup) -> Verdicts:
        """Wait until a group is finished."""
        while not group.finished:
            due = min(state.next_poll_at for _, state in group.pending())
            self._sleep(max(0.0, due - self._clock()))
            self.poll_due(group)
        return group.verdicts

    def poll_due(self, group: WaitGroup, *, in_order: bool = False) -> None:
        """Poll all trims of a group that are due, until it is finished.

        :param in_order: stop at the first that has no verdict, since those after it would have to be polled again
        """
        for place, state in group.pending():
            if state.next_poll_at <= self._clock():
                decision = self.poll(state)
                if not isinstance(decision, PollAgain):
                    group.record(place, decision)
            if group.finished or (in_order and group.verdicts[place] is None):
                break
        if group.should_log(self._clock()):
            self._log.log(logging.INFO, "Trims: %s", group.progress_line(self._clock()))

    def poll(self, state: PollState) -> Decision:
        """Poll a trim: one call, and one more at once where the last poll is repeated."""
        while True:
            outcome = self._query(state)
            self._credentials_accepted |= proves_credentials(outcome)
            decision = state.record_response(
                outcome, self._clock(), version=self._version, credentials_accepted=self._credentials_accepted
            )
            if not isinstance(decision, PollAgain):
                return decision
            if decision.message:
                self._log.log(decision.level, "Trim %s: %s", state.trans_no, decision.message)
            if isinstance(outcome, TrimAuthError):
                self._version += 1
                self._client.reload_connection()
            if not state.repeats_last_poll:
                return decision
            self._client.close()

    def _query(self, state: PollState) -> TrimTask | TrimError:
        quota_timeout = FINAL_POLL_QUOTA_TIMEOUT if state.is_final(self._clock()) else 0.0
        try:
            return self._client.query_once(state.trans_no, quota_timeout)
        except TrimError as error:
            return error
