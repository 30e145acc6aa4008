# SPDX-License-Identifier: Apache-2.0
"""Who is asked next. Pure: time is passed in, in Unix seconds."""

from __future__ import annotations

import heapq


class Schedule:
    """Trims in the order in which they are due."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def put(self, trans_no: str, due: float) -> None:
        """Have a trim asked at ``due``, instead of when it was due before."""
        self._due[trans_no] = due
        heapq.heappush(self._heap, (due, trans_no))

    def discard(self, trans_no: str) -> None:
        """Forget a trim, if it is known."""
        self._due.pop(trans_no, None)
        self._drop_outdated()

    def next_time(self) -> float | None:
        """Return when the next trim is due, or None where there is none."""
        self._drop_outdated()
        return self._heap[0][0] if self._heap else None

    def pick(self, now: float) -> str | None:
        """Take out the trim that has been due longest, or return None where none is due."""
        due = self.next_time()
        if due is None or due > now:
            return None
        _, trans_no = heapq.heappop(self._heap)
        del self._due[trans_no]
        return trans_no

    def _drop_outdated(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
