# SPDX-License-Identifier: Apache-2.0
"""One wait's callback: whether it is expected, whether it has come, and how long it puts off polls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_trim.vod.errors import TrimError, VideoProcessingError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask

if TYPE_CHECKING:
    from airflow_provider_trim.callbacks.receiver import CallbackReceiver


class Expectation:
    """The callback of one wait.

    :param receiver: of the connection's callbacks
    :param expected: whether one was requested from the service
    :param interval: seconds between two polls without a callback
    :param clock: seconds, monotonic
    """

    __slots__ = ("_clock", "_expected", "_interval", "_receivable", "_receiver", "hold_until", "received_at")

    def __init__(
        self, receiver: CallbackReceiver, *, expected: bool, interval: float, clock: Callable[[], float]
    ) -> None:
        self.hold_until = float("-inf")
        """When the next poll is made if no callback comes until then."""
        self.received_at: float | None = None
        """When a callback came."""
        self._receiver = receiver
        self._expected = expected
        self._interval = interval
        self._clock = clock
        self._receivable = False
        """Whether a callback that came after the last poll was received."""

    @property
    def interval(self) -> float:
        """Seconds between two polls, as things stand."""
        return max(self._interval, self._poll_interval())

    def begin(self, started_at: float) -> None:
        """Hold the first poll, if a callback can't have been missed since the wait began."""
        self._receivable = self._expected and self._receiver.receiving
        if self._receivable and self._receiver.has_received_since(started_at):
            self._hold()

    def record_poll(self, outcome: TrimTask | TrimError) -> None:
        """Record the outcome of a poll."""
        done = isinstance(outcome, TrimTask) and outcome.status is TrimStatus.SUCCESSFUL
        if done and self._receivable and self._expected:
            self._receiver.record_delivery(False)
        self._receivable = self._expected and self._receiver.receiving
        self.hold_until = float("-inf")
        if isinstance(outcome, TrimTask | VideoProcessingError):  # others say nothing about the trim
            self._hold()

    def record_callback(self) -> bool:
        """Record a callback, and return whether it is the first one."""
        if self.received_at is not None:
            return False
        if self._expected:
            self._receiver.record_delivery(True)
        self.received_at, self._expected, self.hold_until = self._clock(), False, float("-inf")
        return True

    def distrust(self) -> bool:
        """Stop holding polls, since the callback may have been missed; return whether one was held."""
        held, self.hold_until, self._receivable = self.hold_until > float("-inf"), float("-inf"), False
        return held

    def _hold(self) -> None:
        if interval := self._poll_interval():
            self.hold_until = self._clock() + interval

    def _poll_interval(self) -> float:
        return self._receiver.poll_interval(self._interval) if self._expected else 0.0
