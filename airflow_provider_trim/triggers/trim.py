# SPDX-License-Identifier: Apache-2.0
"""The trigger: a wait for trims in the triggerer."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_provider_trim.polling.state import PollState, Verdict

_PLAN = "Waiting for %s until %s, a look every %g s or less often, as the account's quota allows"


class TrimTaskStatusTrigger(BaseTrigger):
    """Waits until a trim has finished, or several have, and yields one event.

    All waits of a connection in a triggerer share one poller.

    A triggerer that takes over from a killed one begins again from these arguments, so times that must not move are
    absolute.

    :param trans_no: the transNo under which the trim was submitted, or a list of them
    :param trim_conn_id: Airflow connection of type ``trim``
    :param poll_interval: least pause between two looks, in seconds
    :param deadline: Unix seconds of the last look, or None for a wait without end
    :param first_poll_after: seconds from ``started_at`` before which the trim is not asked about, or None
    :param max_consecutive_failures: looks in a row that may fail; None for any number
    :param started_at: Unix seconds when the wait began; by default when it first runs
    :param exponential_backoff: double the pause with every look
    :param max_interval: seconds; where the doubling ends, or None
    :param stop_at_failure: of several trims, the first that ends without success ends the wait for all
    :param timeout: seconds from the wait's beginning to its deadline, where that is not given, since nobody knew yet
        when it begins
    :param deferral_timeout: seconds after which Airflow itself ends the deferral, from whose end the wait's beginning
        is found
    :param finish: end the task in the triggerer where all trims were successful; otherwise a worker does it
    :param expects_callback: the service was asked to call this triggerer when a trim is done, so look rarely meanwhile
    """

    def __init__(
        self,
        trans_no: str | list[str],
        trim_conn_id: str = "trim_default",
        poll_interval: float = 10.0,
        deadline: float | None = None,
        first_poll_after: float | None = None,
        max_consecutive_failures: int | None = 10,
        started_at: float | None = None,
        exponential_backoff: bool = False,
        max_interval: float | None = None,
        stop_at_failure: bool = True,
        timeout: float | None = None,
        deferral_timeout: float | None = None,
        finish: bool = False,
        expects_callback: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.trans_no = trans_no
        self.trim_conn_id = trim_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.first_poll_after = first_poll_after
        self.max_consecutive_failures = max_consecutive_failures
        self.started_at = started_at
        self.exponential_backoff = exponential_backoff
        self.max_interval = max_interval
        self.stop_at_failure = stop_at_failure
        self.timeout = timeout
        self.deferral_timeout = deferral_timeout
        self.finish = finish
        self.expects_callback = expects_callback

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments, which are plain JSON values without secrets."""
        names = (
            "trans_no",
            "trim_conn_id",
            "poll_interval",
            "deadline",
            "first_poll_after",
            "max_consecutive_failures",
            "started_at",
            "exponential_backoff",
            "max_interval",
            "stop_at_failure",
            "timeout",
            "deferral_timeout",
            "finish",
            "expects_callback",
        )
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the trims' verdicts and yield them, in one event."""
        # Imported here, so that whoever only defers to this trigger loads no HTTP client.
        from airflow_provider_trim.hooks.connections import load_settings
        from airflow_provider_trim.polling.group import WaitGroup, wait_for_group
        from airflow_provider_trim.polling.poller import poller_for
        from airflow_provider_trim.polling.state import Failure
        from airflow_provider_trim.vod.errors import TrimError
        from airflow_provider_trim.vod.protocol import check_trans_no

        async def wait(watch: PollState) -> Verdict:
            try:
                check_trans_no(watch.trans_no)  # which a template may have rendered to anything
            except TrimError as error:
                return Failure(error)
            return await poller_for(self.trim_conn_id, functools.partial(load_settings, self.trim_conn_id)).wait(watch)

        started_at = self._when_started()
        deadline = self.deadline
        if deadline is None and self.timeout is not None:
            deadline = (started_at or time.time()) + self.timeout
        until = "the end" if deadline is None else f"{datetime.fromtimestamp(deadline, UTC):%F %T} UTC"
        if not isinstance(self.trans_no, list | tuple):
            self.log.info(_PLAN, f"trim {self.trans_no}", until, self.poll_interval)
            yield await self._event([await wait(self._watch(self.trans_no, started_at, deadline))])
            return
        watches = [self._watch(trans_no, started_at, deadline) for trans_no in self.trans_no]
        self.log.info(_PLAN, f"{len(watches)} trims", until, self.poll_interval)
        tally = WaitGroup(watches, stop_at_failure=self.stop_at_failure)
        yield await self._event(await wait_for_group(wait, tally, functools.partial(self.log.info, "Trims: %s")))

    async def _event(self, verdicts: Sequence[Verdict | None]) -> TriggerEvent:
        """Tell a worker of the verdicts, or end the task where all is well and nobody is needed any more."""
        from airflow_provider_trim.polling.state import Success
        from airflow_provider_trim.triggers.finish_in_triggerer import build_xcoms, exceeds_max_map_length, success
        from airflow_provider_trim.triggers.payload import encode, encode_many
        from airflow_provider_trim.triggers.results import unwrap_verdicts

        many = isinstance(self.trans_no, list | tuple)
        if self.finish and all(isinstance(verdict, Success) for verdict in verdicts):
            trans_nos = self.trans_no if isinstance(self.trans_no, list | tuple) else [self.trans_no]
            xcoms = build_xcoms(unwrap_verdicts(trans_nos, verdicts, "fail", self.log), many=many)
            if not exceeds_max_map_length(xcoms):
                return await success(self.task_instance, xcoms)
        (first, *_) = verdicts or [None]
        return TriggerEvent(encode_many(verdicts) if many or first is None else encode(first))

    def _when_started(self) -> float | None:
        """Return when the wait began, in Unix seconds, or None for now; a triggerer may have been killed since then."""
        ends_at = getattr(self, "timeout_after", None) or getattr(self.task_instance, "trigger_timeout", None)
        if self.started_at is not None or self.deferral_timeout is None or ends_at is None:
            return self.started_at
        aware = ends_at if ends_at.tzinfo else ends_at.replace(tzinfo=UTC)
        return float(aware.timestamp()) - self.deferral_timeout

    def _watch(self, trans_no: str, started_at: float | None, deadline: float | None) -> PollState:
        from airflow_provider_trim.polling.options import WaitOptions
        from airflow_provider_trim.polling.state import PollState

        options = WaitOptions(
            interval=self.poll_interval,
            deadline=deadline,
            first_poll_after=self.first_poll_after,
            started_at=started_at,
            max_consecutive_failures=self.max_consecutive_failures,
            exponential_backoff=self.exponential_backoff,
            max_interval=self.max_interval,
            expects_callback=self.expects_callback,
        )
        # The clock of the poller does not jump; times that cross processes are on the wall clock.
        now = time.monotonic()
        return PollState(trans_no, options.shifted(now - time.time()), now=now)
