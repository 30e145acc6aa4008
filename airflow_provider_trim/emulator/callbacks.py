# SPDX-License-Identifier: Apache-2.0
"""Callbacks to the ``notifyUrl`` of a trim that has ended, and their faults.

The vendor documents only that the address is called. The rest is this emulator's assumption: one POST without retries,
whose JSON body has ``transNo``, ``taskId`` and ``status``, for successful and failed trims alike.

Subclass :class:`CallbackFault` for a fault of your own.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from airflow_provider_trim.emulator.faults import Plan
from airflow_provider_trim.emulator.numbers import require_integer, require_seconds
from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.trims import PROCESSING, Trim, TrimStore
from airflow_provider_trim.emulator.wire import JSON_HEADERS, to_json

TIMEOUT = 60.0
"""Seconds of real time that a callback may take to connect, and then to get its response."""

MAX_CONCURRENT = 64
"""Maximum number of callbacks in flight."""

CLOCK_POLL = 0.05
"""Seconds of real time between two readings of the emulator's clock, which a test may move by hand."""

Delivery = tuple[float, str]
"""Seconds after the trim's end, by the emulator's clock, and the URL that is called then."""


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback.

    ``time`` is its start, in seconds of the emulator's clock, and ``url`` its address. ``http_status`` is that of the
    response, or None without one.
    """

    time: float
    trans_no: str
    url: str
    http_status: int | None


class CallbackFault(ABC):
    """What happens instead of one callback at the trim's end."""

    @abstractmethod
    def deliveries(self, url: str) -> list[Delivery]:
        """Return the callbacks that are sent instead.

        :param url: the trim's ``notifyUrl``
        """


@dataclass(frozen=True, slots=True)
class Delivered(CallbackFault):
    """No fault, but one callback at once. Fills a place in a sequence."""

    def deliveries(self, url: str) -> list[Delivery]:
        return [(0.0, url)]


@dataclass(frozen=True, slots=True)
class Lost(CallbackFault):
    """No callback."""

    def deliveries(self, url: str) -> list[Delivery]:
        return []


@dataclass(frozen=True, slots=True)
class Late(CallbackFault):
    """One callback, ``seconds`` after the trim's end."""

    seconds: float

    def __post_init__(self) -> None:
        require_seconds("seconds", self.seconds)

    def deliveries(self, url: str) -> list[Delivery]:
        return [(self.seconds, url)]


@dataclass(frozen=True, slots=True)
class Repeated(CallbackFault):
    """``times`` callbacks, one every ``interval`` seconds."""

    times: int = 2
    interval: float = 0.0

    def __post_init__(self) -> None:
        require_integer("times", self.times, 1)
        require_seconds("interval", self.interval)

    def deliveries(self, url: str) -> list[Delivery]:
        return [(number * self.interval, url) for number in range(self.times)]


@dataclass(frozen=True, slots=True)
class Forged(CallbackFault):
    """One callback with a wrong last character in its URL, as an attacker would send it."""

    def deliveries(self, url: str) -> list[Delivery]:
        return [(0.0, url[:-1] + ("A" if url[-1:] != "A" else "B"))]


class CallbackSender:
    """Sends callbacks from the server's thread. Any thread may schedule them; the schedule outlives the server.

    :param trims: the trims that may have ended
    :param log: gets a record of each callback
    :param clock: seconds at which callbacks are due
    :param on_callback: called with each record in the server's thread
    """

    def __init__(
        self,
        trims: TrimStore,
        log: RecordLog[Callback],
        clock: Callable[[], float],
        on_callback: Callable[[Callback], None] | None = None,
    ) -> None:
        self.plan: Plan[CallbackFault] = Plan(CallbackFault)
        self._trims = trims
        self._log = log
        self._clock = clock
        self._on_callback = on_callback
        self._lock = threading.Lock()
        self._sequence = itertools.count()
        self._queue: list[tuple[float, int, str, str | None]] = []
        """A heap of due time, tie-breaker, transNo and URL. Without a URL, the trim may have ended by then."""
        self._wake: Callable[[], object] = lambda: None

    def schedule(self, trans_no: str, ends: float) -> None:
        """Send the callback of a trim at its end, if it has ended by then.

        :param ends: seconds of the emulator's clock
        """
        if math.isfinite(ends):
            self._push(ends, trans_no, None)

    def send(self, trans_no: str, url: str) -> None:
        """Call ``url`` now, whatever the state of the trim."""
        self._push(self._clock(), trans_no, url)

    def _push(self, time: float, trans_no: str, url: str | None) -> None:
        with self._lock:
            heapq.heappush(self._queue, (time, next(self._sequence), trans_no, url))
            self._wake()

    async def run(self) -> None:
        """Send callbacks as they come due, until cancelled."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        # Waiting for one of the connections is no part of a callback. Each has a connection of its own: a receiver may
        # close one that was kept open just when the next callback is sent over it, which would be lost.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
        connector = aiohttp.TCPConnector(limit=MAX_CONCURRENT, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as tasks:
            try:
                with self._lock:
                    self._wake = lambda: loop.call_soon_threadsafe(changed.set)
                while True:
                    changed.clear()
                    for trans_no, url in self._pop_due():
                        tasks.create_task(self._post(session, trans_no, url))
                    delay = self._seconds_until_next()
                    if delay is None:
                        await changed.wait()
                    elif delay > 0:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(min(delay, CLOCK_POLL)):
                                await changed.wait()
            finally:
                with self._lock:
                    self._wake = lambda: None

    def _seconds_until_next(self) -> float | None:
        with self._lock:
            return self._queue[0][0] - self._clock() if self._queue else None

    def _pop_due(self) -> list[tuple[str, str]]:
        """Remove the due callbacks from the queue, and return the transNo and URL of each."""
        now = self._clock()
        due: list[tuple[str, str]] = []
        while True:
            with self._lock:
                if not self._queue or self._queue[0][0] > now:
                    return due
                _, _, trans_no, url = heapq.heappop(self._queue)
            if url is not None:
                due.append((trans_no, url))
            elif (trim := self._trims.claim_callback(trans_no, now)) is not None:
                for delay, address in self._deliveries(trim):
                    self._push(now + delay, trans_no, address)

    def _deliveries(self, trim: Trim) -> list[Delivery]:
        fault = self.plan.pop(trim.trans_no) or Delivered()
        return fault.deliveries(trim.notify_url or "")

    async def _post(self, session: aiohttp.ClientSession, trans_no: str, url: str) -> None:
        time = self._clock()
        status = None
        try:
            body = self._body(trans_no, time)
            async with session.post(url, data=body, headers=dict(JSON_HEADERS), allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass  # The callback failed; its record says so, and the service does not retry.
        callback = Callback(time, trans_no, url, status)
        self._log.add(callback)
        if self._on_callback:
            self._on_callback(callback)

    def _body(self, trans_no: str, now: float) -> bytes:
        try:
            trim = self._trims.get(trans_no)
        except KeyError:
            return to_json({"transNo": trans_no, "status": PROCESSING})
        return to_json({"transNo": trans_no, "taskId": trim.task_id, "status": trim.status(now)})
