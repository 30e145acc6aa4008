# SPDX-License-Identifier: Apache-2.0
"""What receivers of metrics have in common: waiting for what is to come."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

LIMIT = 60.0
"""Seconds until what is waited for must have come."""


class MetricsReceiver(ABC):
    """Notifies ``_news`` of what it receives."""

    def __init__(self) -> None:
        self._news = threading.Condition(threading.RLock())

    @abstractmethod
    def names(self) -> set[str]:
        """Return the names that were received."""

    def wait_for(self, names: Iterable[str], limit: float = LIMIT) -> None:
        """Return when all these have been received."""
        wanted = set(names)
        self.wait_until(lambda: wanted <= self.names(), lambda: f"{wanted - self.names()} did not come", limit)

    def wait_until(self, true: Callable[[], bool], message: Callable[[], str], limit: float = LIMIT) -> None:
        """Return when something is true of what was received."""
        with self._news:
            arrived = self._news.wait_for(true, limit)
        assert arrived, message()
