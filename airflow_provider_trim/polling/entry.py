# SPDX-License-Identifier: Apache-2.0
"""What a schedule knows of a trim."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_trim.polling.budget import WaitingTrim


@dataclass(slots=True, eq=False)
class Entry(WaitingTrim):
    """A trim, and what has it polled whatever a call is worth.

    :param deadline: when its last poll is due
    :param expedited_at: when a callback came
    :param task: which waits for it
    :param first_poll_at: the earliest time of its first poll
    """

    deadline: float = math.inf
    expedited_at: float = math.inf
    task: str = ""
    first_poll_at: float = -math.inf

    @property
    def last_poll_at(self) -> float:
        """When its last poll is made, or repeated; infinite where it has no deadline."""
        return self.deadline if self.polled_at < self.deadline else self.not_before

    @property
    def urgent_at(self) -> float:
        """When it is polled ahead of others."""
        return min(self.expedited_at, self.last_poll_at)
