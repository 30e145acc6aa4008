# SPDX-License-Identifier: Apache-2.0
"""The trigger: a wait for trims in the triggerer."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_provider_trim.polling.watch import Verdict, Watch


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
        )
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the trims' verdicts and yield them, in one event."""
        # Imported here, so that whoever only defers to this trigger loads no HTTP client.
        from airflow_provider_trim.hooks.connections import load_settings
        from airflow_provider_trim.polling.many import Tally, wait_for_all
        from airflow_provider_trim.polling.poller import poller_for
        from airflow_provider_trim.triggers.events import encode, encode_many

        async def wait(watch: Watch) -> Verdict:
            return await poller_for(self.trim_conn_id, functools.partial(load_settings, self.trim_conn_id)).wait(watch)

        until = "the end" if self.deadline is None else f"{datetime.fromtimestamp(self.deadline, UTC):%F %T} UTC"
        if isinstance(self.trans_no, str):
            self.log.info("Waiting for trim %s until %s, a look every %g s", self.trans_no, until, self.poll_interval)
            yield TriggerEvent(encode(await wait(self._watch(self.trans_no))))
            return
        watches = [self._watch(trans_no) for trans_no in self.trans_no]
        self.log.info("Waiting for %d trims until %s, a look every %g s", len(watches), until, self.poll_interval)
        tally = Tally(watches, stop_at_failure=self.stop_at_failure)
        verdicts = await wait_for_all(wait, tally, functools.partial(self.log.info, "Trims: %s"))
        yield TriggerEvent(encode_many(verdicts))

    def _watch(self, trans_no: str) -> Watch:
        from airflow_provider_trim.polling.watch import Watch

        return Watch(
            trans_no,
            now=time.time(),
            interval=self.poll_interval,
            deadline=self.deadline,
            first_poll_after=self.first_poll_after,
            started_at=self.started_at,
            max_consecutive_failures=self.max_consecutive_failures,
            exponential_backoff=self.exponential_backoff,
            max_interval=self.max_interval,
        )
