# SPDX-License-Identifier: Apache-2.0
"""How to wait for one trim: options that go from operator to trigger to poll state."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    """The options of one wait.

    ``deadline`` and ``started_at`` are times on the clock that the wait is driven by.

    :param interval: minimum seconds between two polls of the trim
    :param deadline: when the last poll is made; None for a wait without end
    :param first_poll_after: seconds from ``started_at`` until the first poll; None for none
    :param started_at: when the wait began, if that was earlier (in another process, say)
    :param max_consecutive_failures: failed polls in a row that end the wait; None for any number
    :param exponential_backoff: double the interval with every poll
    :param max_interval: seconds at which the doubling ends; None for no end
    :param kind: trims of one kind are expected to take about as long; None where nothing says so
    :param expects_callback: the service was asked to send a callback when the trim is done
    :param task: the task that waits, with all its runs and mapped instances; tasks take turns at the quota
    """

    interval: float = 10.0
    deadline: float | None = None
    first_poll_after: float | None = None
    started_at: float | None = None
    max_consecutive_failures: int | None = 10
    exponential_backoff: bool = False
    max_interval: float | None = None
    expects_callback: bool = False
    task: str = ""
    kind: str | None = None

    def shifted(self, offset: float) -> WaitOptions:
        """Return the same options on another clock.

        :param offset: seconds from a time on this clock to the same time on the other
        """
        return replace(
            self,
            deadline=None if self.deadline is None else self.deadline + offset,
            started_at=None if self.started_at is None else self.started_at + offset,
        )
