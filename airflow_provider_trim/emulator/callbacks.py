# SPDX-License-Identifier: Apache-2.0
"""Calling back: what the service does with the ``notifyUrl`` of a trim that is done, and how that goes wrong.

The vendor documents that the address is called, and nothing else. That it is one POST with a JSON body, which says
``transNo``, ``taskId`` and ``status``, that a failed trim is called back as well, and that nothing is tried again, are
this emulator's assumptions.

A misdelivery of one's own is a subclass of :class:`Misdelivery`.
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
from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.trims import PROCESSING, Trim, TrimStore
from airflow_provider_trim.emulator.wire import JSON_HEADERS, to_json

TIMEOUT = 60.0
"""Seconds of real time that one call may take, from when it begins to connect."""

AT_A_TIME = 64
"""Calls under way at once."""

TICK = 0.05
"""Seconds of real time after which the emulator's clock, which may be moved by hand, is looked at again."""

Delivery = tuple[float, str]
"""Seconds from the trim's end, by the emulator's clock, and the address that is called then."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A call of a trim's ``notifyUrl``.

    ``time`` is when it was made, in seconds of the emulator's clock, and ``url`` what was called. ``http_status`` is
    what was answered, None where nothing was.
    """

    time: float
    trans_no: str
    url: str
    http_status: int | None


class Misdelivery(ABC):
    """What happens instead of one call at the trim's end."""

    @abstractmethod
    def deliveries(self, url: str) -> list[Delivery]:
        """The calls that are made instead, given the trim's ``notifyUrl``."""


@dataclass(frozen=True, slots=True)
class Delivered(Misdelivery):
    """No misdelivery: one call, at once. For a place in a sequence."""

    def deliveries(self, url: str) -> list[Delivery]:
        return [(0.0, url)]


@dataclass(frozen=True, slots=True)
class Lost(Misdelivery):
    """No call at all."""

    def deliveries(self, url: str) -> list[Delivery]:
        return []


@dataclass(frozen=True, slots=True)
class Late(Misdelivery):
    """One call, so many seconds after the trim's end."""

    seconds: float

    def deliveries(self, url: str) -> list[Delivery]:
        return [(self.seconds, url)]


@dataclass(frozen=True, slots=True)
class Repeated(Misdelivery):
    """So many calls, one after the other, ``pause`` seconds apart."""

    times: int = 2
    pause: float = 0.0

    def deliveries(self, url: str) -> list[Delivery]:
        return [(number * self.pause, url) for number in range(self.times)]


@dataclass(frozen=True, slots=True)
class Forged(Misdelivery):
    """A call of somebody who knows all of the address but its last character, in place of the genuine one."""

    def deliveries(self, url: str) -> list[Delivery]:
        return [(0.0, url[:-1] + ("A" if url[-1:] != "A" else "B"))]


class CallbackDesk:
    """Calls back, from the server's thread. What is told to it may be told in any thread, and outlives the server.

    :param trims: those that there are
    :param log: takes the records of what was called
    :param on_callback: told of each call, in the server's thread
    """

    def __init__(
        self,
        trims: TrimStore,
        log: RecordLog[Callback],
        clock: Callable[[], float],
        on_callback: Callable[[Callback], None] | None = None,
    ) -> None:
        self.plan: Plan[Misdelivery] = Plan()
        self._trims = trims
        self._log = log
        self._clock = clock
        self._on_callback = on_callback
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, str, str | None]] = []
        """When to look at which trim; with an address, that is what is called then."""
        self._wake: Callable[[], object] = lambda: None

    def expect(self, trans_no: str, time: float) -> None:
        """Have a trim with a ``notifyUrl`` called back at that time, if it is done by then."""
        if math.isfinite(time):
            self._put(time, trans_no, None)

    def call(self, trans_no: str, url: str) -> None:
        """Call an address now, whatever has become of the trim."""
        self._put(self._clock(), trans_no, url)

    def _put(self, time: float, trans_no: str, url: str | None) -> None:
        with self._lock:
            heapq.heappush(self._queue, (time, next(self._numbers), trans_no, url))
            self._wake()

    async def run(self) -> None:
        """Make the calls, until this is cancelled."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        # Waiting for one of the connections is no part of a call. Each call has a connection of its own: a receiver may
        # close one that was kept open just when the next call is sent over it, and that call would be lost.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
        connector = aiohttp.TCPConnector(limit=AT_A_TIME, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as calls:
            try:
                with self._lock:
                    self._wake = lambda: loop.call_soon_threadsafe(changed.set)
                while True:
                    changed.clear()
                    for trans_no, url in self._due():
                        calls.create_task(self._call(session, trans_no, url))
                    pause = self._pause()
                    if pause is None:
                        await changed.wait()
                    elif pause > 0:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(min(pause, TICK)):
                                await changed.wait()
            finally:
                with self._lock:
                    self._wake = lambda: None

    def _pause(self) -> float | None:
        with self._lock:
            return self._queue[0][0] - self._clock() if self._queue else None

    def _due(self) -> list[tuple[str, str]]:
        """Take out what is to be called now."""
        now = self._clock()
        calls: list[tuple[str, str]] = []
        while True:
            with self._lock:
                if not self._queue or self._queue[0][0] > now:
                    return calls
                _, _, trans_no, url = heapq.heappop(self._queue)
            if url is not None:
                calls.append((trans_no, url))
            elif (trim := self._trims.take_to_call_back(trans_no, now)) is not None:
                for delay, address in self._deliveries(trim):
                    self._put(now + delay, trans_no, address)

    def _deliveries(self, trim: Trim) -> list[Delivery]:
        misdelivery = self.plan.take(trim.trans_no) or Delivered()
        return misdelivery.deliveries(trim.notify_url or "")

    async def _call(self, session: aiohttp.ClientSession, trans_no: str, url: str) -> None:
        time = self._clock()
        status = None
        try:
            body = self._body(trans_no, time)
            async with session.post(url, data=body, headers=dict(JSON_HEADERS), allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass  # nobody there; the service would hardly tell anyone either
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
