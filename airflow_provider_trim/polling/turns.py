# SPDX-License-Identifier: Apache-2.0
"""A priority queue of keys by time, in which the owners of those that are due take turns. Pure: time is passed in."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

from airflow_provider_trim.polling.queue import TimeQueue


class TurnQueue:
    """Keys, each with an owner and the time at which it is due.

    Keys that are due form a line for each owner, in the order of their times, and the owners take turns. So a long line
    delays no key of another owner.
    """

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._upcoming, self._due = TimeQueue(), TimeQueue()
        """Each key is in one of them: those in the lines are in the second."""
        self._lines: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        """Keys that are due by owners, who stand in the order of their turns."""

    def __iter__(self) -> Iterator[str]:
        return iter([*self._due, *self._upcoming])

    def __contains__(self, key: str) -> bool:
        return key in self._owners

    def put(self, key: str, time: float, owner: str) -> None:
        """Add a key, or move it to another time or owner."""
        self.remove(key)
        self._owners[key] = owner
        self._upcoming.put(key, time)

    def remove(self, key: str) -> None:
        """Remove a key, if it is there."""
        owner = self._owners.pop(key, None)
        if owner is None:
            return
        self._upcoming.remove(key)
        if key in self._due:
            self._due.remove(key)
            del self._lines[owner][key]
            if not self._lines[owner]:
                del self._lines[owner]

    def move(self, key: str, time: float) -> None:
        """Move a key that is there to another time; :meth:`line_up` puts it into its line again.

        An owner keeps its turn meanwhile, if it still has a key that is due.
        """
        if key in self._due:
            self._due.remove(key)
            del self._lines[self._owners[key]][key]
            self._upcoming.put(key, time)
        else:
            self._upcoming.move(key, time)

    def first(self) -> tuple[float, str] | None:
        """Return the first key by time, and its time, or None."""
        due, upcoming = self._due.peek(), self._upcoming.peek()
        if due is None or upcoming is None:
            return due or upcoming
        return min(due, upcoming)

    def line_up(self, now: float, most: float) -> bool:
        """Put keys that are due into their lines, a number of them at most, and return whether those were all."""
        while (first := self._upcoming.peek()) is not None and first[0] <= now:
            if not most:
                return False
            time, key = first
            self._upcoming.remove(key)
            self._due.put(key, time)
            self._lines.setdefault(self._owners[key], OrderedDict())[key] = None
            most -= 1
        return True

    def pop_due(self, now: float) -> str | None:
        """Take the key whose turn it is out of those that are due, or return None if none is."""
        self.line_up(now, math.inf)
        while self._lines:
            owner, line = next(iter(self._lines.items()))
            if line:
                key = next(iter(line))
                self.remove(key)
                if owner in self._lines:
                    self._lines.move_to_end(owner)
                return key
            del self._lines[owner]  # nothing of it is due any more
        return None
