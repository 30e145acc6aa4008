# SPDX-License-Identifier: Apache-2.0
"""The moving windows in which calls are counted in this process."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

WINDOW_MARGIN = 0.5
"""Seconds by which a window is longer than the service's, in addition to :data:`WINDOW_MARGIN_FRACTION` of it. A call
reaches the service some time after its permit."""

WINDOW_MARGIN_FRACTION = 0.005

FALLBACK_FRACTION = 0.1
"""Part of the quota that one process takes while the shared storage is unreachable."""

_serials = itertools.count()


@functools.cache
def process_name() -> str:
    """Return a name that no other process has, even a forked one: Celery and Airflow fork workers that use this."""
    return uuid.uuid4().hex


def _rename() -> None:
    process_name.cache_clear()
    process_name()  # now, since two threads that came first together would each have another


_rename()
os.register_at_fork(after_in_child=_rename)


class CountedCall(NamedTuple):
    """A call that counts against the quota."""

    made_at: float
    """Monotonic seconds."""
    name: str
    """Unique over all processes, so that recording a call twice changes nothing."""


class Window:
    """What counts the calls of an account. This one is for an account whose quota is off: it permits all."""

    @property
    def used(self) -> int:
        """Calls of this process that still count."""
        return len(self.made())

    def made(self) -> tuple[CountedCall, ...]:
        """Return the calls of this process that still count, the oldest first."""
        return ()

    def acquire(self, fraction: float = 1.0) -> float:
        """Take a permit while less than that part of the quota is used. Returns 0.0, or the seconds until it may be."""
        return 0.0

    async def aacquire(self) -> float:
        """Take a permit without blocking the event loop; otherwise as :meth:`acquire`."""
        return self.acquire()

    def release(self) -> CountedCall | None:
        """Give back the last permit, with which no call is made, and return what was counted for it."""
        return None


class LocalWindow(Window):
    """An exact moving window: each call counts for one period. Thread-safe.

    :param calls: the most calls in any period, at least 1
    :param period: seconds, without the margin
    :param clock: monotonic seconds
    :param made: calls that count already, the oldest first
    """

    def __init__(
        self,
        calls: int,
        period: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        made: Iterable[CountedCall] = (),
    ) -> None:
        self.limit = calls
        self.period = period * (1.0 + WINDOW_MARGIN_FRACTION) + WINDOW_MARGIN
        """Seconds, with the margin."""
        self._clock = clock
        self._made = deque(made)
        self._lock = threading.Lock()

    def made(self) -> tuple[CountedCall, ...]:
        """Return the calls that still count, the oldest first."""
        with self._lock:
            self._expire(self._clock())
            return tuple(self._made)

    def limit_of(self, fraction: float) -> int:
        """Return how many calls a part of the quota is: at least one, and at most all."""
        return max(1, math.floor(self.limit * min(fraction, 1.0)))

    def reserve(self, fraction: float = 1.0) -> CountedCall | float:
        """Count a call and return it, or return the seconds until less than that part of the quota is used."""
        limit = self.limit_of(fraction)
        with self._lock:
            now = self._clock()
            self._expire(now)
            if len(self._made) >= limit:
                return self._made[-limit].made_at + self.period - now
            call = CountedCall(now, f"{process_name()}:{next(_serials)}")
            self._made.append(call)
            return call

    def cancel(self, call: CountedCall) -> None:
        """Stop counting a call that is not made."""
        with self._lock:
            if self._made and self._made[-1] is call:
                self._made.pop()
            elif call in self._made:
                self._made.remove(call)

    def acquire(self, fraction: float = 1.0) -> float:
        """Take a permit while less than that part of the quota is used. Returns 0.0, or the seconds until it is."""
        reserved = self.reserve(fraction)
        return 0.0 if isinstance(reserved, CountedCall) else reserved

    def release(self) -> CountedCall | None:
        """Give back the last permit."""
        with self._lock:
            return self._made.pop() if self._made else None

    def _expire(self, now: float) -> None:
        while self._made and self._made[0].made_at + self.period <= now:
            self._made.popleft()


class FallbackPace:
    """Permits while the shared storage is unreachable: a tenth of the quota, evenly spaced.

    Other processes' calls of the last window still count at the service, and so do those that they make meanwhile.

    :param calls: the quota's calls
    :param period: the quota's window in seconds
    :param clock: monotonic seconds
    """

    def __init__(self, calls: int, period: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = max(1, math.floor(calls * FALLBACK_FRACTION))
        self.period = period
        self._clock = clock
        self._next_call = float("-inf")
        self._lock = threading.Lock()

    def acquire(self) -> float:
        """Take a permit. Returns 0.0, or the seconds until one is free."""
        with self._lock:
            now = self._clock()
            if now < self._next_call:
                return self._next_call - now
            self._next_call = now + self.period / self.calls
            return 0.0
