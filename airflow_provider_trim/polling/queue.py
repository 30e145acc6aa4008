# SPDX-License-Identifier: Apache-2.0
"""A priority queue of keys by time, whose entries can be moved and removed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator


class TimeQueue:
    """Keys in the order of their times; of equal times, the key that was put first comes first.

    A key that is moved or removed leaves its old entry in the heap, where it is skipped when its turn comes. The heap
    is rebuilt when such entries outnumber the others.
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
        self._entries[key] = (time, self._ticket)
        heapq.heappush(self._heap, (time, self._ticket, key))
        if len(self._heap) > 2 * len(self._entries) + 16:
            self._heap = [(*entry, key) for key, entry in self._entries.items()]
            heapq.heapify(self._heap)

    def remove(self, key: str) -> None:
        """Remove a key, if it is there."""
        self._entries.pop(key, None)

    def reorder(self, times: Iterable[tuple[str, float]]) -> None:
        """Move keys that are there to other times, all at once; their order among equal times stays."""
        for key, time in times:
            self._entries[key] = (time, self._entries[key][1])
        self._heap = [(*entry, key) for key, entry in self._entries.items()]
        heapq.heapify(self._heap)

    def peek(self) -> tuple[float, str] | None:
        """Return the first key and its time, or None."""
        while self._heap:
            time, ticket, key = self._heap[0]
            if self._entries.get(key) == (time, ticket):
                return time, key
            heapq.heappop(self._heap)
        return None
