# SPDX-License-Identifier: Apache-2.0
"""A priority queue of keys by time, whose entries can be moved and removed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

MAX_SKIPPED = 1000
"""Old entries that are skipped one by one; for more, it costs less to rebuild the heap."""


class TimeQueue:
    """Keys in the order of their times; of equal times, the key that was put first comes first.

    A key that is moved or removed leaves its old entry in the heap, where it is skipped when its turn comes. The heap
    is rebuilt when such entries outnumber the others, or there are many to skip.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._entries: dict[str, tuple[float, int]] = {}
        self._ticket = 0

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: str, time: float) -> None:
        """Add a key, or move it to another time."""
        self._ticket += 1
        self._enter(key, time, self._ticket)

    def move(self, key: str, time: float) -> None:
        """Move a key that is there to another time; its place among equal times stays."""
        before, ticket = self._entries[key]
        if time != before:
            self._enter(key, time, ticket)

    def remove(self, key: str) -> None:
        """Remove a key, if it is there."""
        self._entries.pop(key, None)

    def _enter(self, key: str, time: float, ticket: int) -> None:
        # Two tuples, so that one is freed when the key is removed. If thousands of waits end together and free little,
        # Python collects garbage, which blocks the event loop.
        self._entries[key] = (time, ticket)
        heapq.heappush(self._heap, (time, ticket, key))
        if len(self._heap) > 2 * len(self._entries) + 16:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(*entry, key) for key, entry in self._entries.items()]
        heapq.heapify(self._heap)

    def first_due(self, now: float) -> str | None:
        """Return the first key if it is due, or None."""
        first = self.peek()
        return first[1] if first is not None and first[0] <= now else None

    def peek(self) -> tuple[float, str] | None:
        """Return the first key and its time, or None."""
        while self._heap:
            time, ticket, key = self._heap[0]
            if self._entries.get(key) == (time, ticket):
                return time, key
            if len(self._heap) - len(self._entries) > MAX_SKIPPED:
                self._rebuild()
            else:
                heapq.heappop(self._heap)
        return None
