# SPDX-License-Identifier: Apache-2.0
"""The ways the emulated service can misbehave, and the plan of who meets which.

A fault of one's own is a subclass of :class:`Fault`.
"""

from __future__ import annotations

import asyncio
import http
import itertools
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args

from aiohttp import web

from airflow_provider_trim.emulator.exchange import Exchange
from airflow_provider_trim.emulator.wire import JSON_HEADERS, SUCCESS_CODE, SUCCESS_MESSAGE, Answer, envelope

Moment = Literal["before", "after"]
"""When a submission meets a fault: before it is accepted, or after."""


class Fault(ABC):
    """What happens to one call instead of the ordinary answer."""

    @abstractmethod
    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Answer or reset ``exchange``. May be cancelled at any ``await``: the client left or the emulator stops."""


@dataclass(frozen=True, slots=True)
class Normal(Fault):
    """No fault: the ordinary answer. For a place in a sequence, or after a :class:`Delay`."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(exchange.ordinary())


@dataclass(frozen=True, slots=True)
class HttpError(Fault):
    """An HTTP status, by default with a small HTML page, as a proxy in front of a service answers.

    ``HttpError(429, headers={"Retry-After": "30"})``
    """

    status: int
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"a final HTTP status is 200 to 599, not {self.status}")

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        body = self.body
        if body is None:
            body = f"<html><body><h1>{self.status} {_reason(self.status)}</h1></body></html>".encode()
        headers = {"Content-Type": "text/html", **self.headers}
        return await exchange.reply(Answer(self.status, body, headers))


@dataclass(frozen=True, slots=True)
class RawAnswer(Fault):
    """These bytes as the body, by default announced as the service announces its JSON."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(Answer(self.status, self.body, self.headers))


@dataclass(frozen=True, slots=True)
class ServiceCode(Fault):
    """An envelope with this code and message; the service's errors come with HTTP status 200."""

    code: int
    message: str = "error"
    http_status: int = 200

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(envelope(self.code, self.message, http_status=self.http_status))


@dataclass(frozen=True, slots=True)
class ServiceData(Fault):
    """An envelope of success with this ``data``, any JSON value."""

    data: Any

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(envelope(SUCCESS_CODE, SUCCESS_MESSAGE, self.data))


@dataclass(frozen=True, slots=True)
class ConnectionReset(Fault):
    """The connection is reset (TCP RST) before any byte of an answer."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reset()


@dataclass(frozen=True, slots=True)
class ResetMidAnswer(Fault):
    """The connection is reset after the head and half of the body of the ordinary answer."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        answer = exchange.ordinary()
        return await exchange.reset(answer, len(answer.body) // 2)


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """``seconds`` of real time pass, then comes ``then``, by default the ordinary answer of that moment."""

    seconds: float
    then: Fault = field(default_factory=Normal)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await self.then.apply(exchange)


class Hold(Fault):
    """The call waits until :meth:`release`, then comes ``then``, by default the ordinary answer of that moment.

    One Hold may hold any number of calls; once released it holds no more. Its methods may be called from any thread.
    """

    def __init__(self, then: Fault | None = None) -> None:
        self.then = Normal() if then is None else then
        self._changed = threading.Condition()
        self._released = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def held(self) -> int:
        """How many calls are held at the moment."""
        with self._changed:
            return len(self._waiting)

    def wait_until_held(self, count: int = 1, timeout: float = 60.0) -> None:
        """Block until ``count`` calls are held at once.

        :raises TimeoutError: after ``timeout`` seconds
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waiting) >= count, timeout):
                raise TimeoutError(f"{len(self._waiting)} of {count} calls held after {timeout} s")

    def wait_until_left(self, timeout: float = 60.0) -> None:
        """Block until no call is held: each was released, or its client left.

        :raises TimeoutError: after ``timeout`` seconds
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._waiting, timeout):
                raise TimeoutError(f"{len(self._waiting)} calls still held after {timeout} s")

    def release(self) -> None:
        """Let all held calls go on, and all later ones pass."""
        with self._changed:
            self._released = True
            for loop, released in self._waiting:
                loop.call_soon_threadsafe(released.set)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        place = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            if self._released:
                place[1].set()
            self._waiting.add(place)
            self._changed.notify_all()
        try:
            await place[1].wait()
        finally:
            with self._changed:
                self._waiting.discard(place)
                self._changed.notify_all()
        return await self.then.apply(exchange)


FaultT = TypeVar("FaultT")


class Plan(Generic[FaultT]):
    """Which call meets which fault. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[str | None, deque[Iterator[FaultT]]] = {}

    def add(self, trans_no: str | None, faults: tuple[FaultT, ...], repeat: bool) -> None:
        """Queue ``faults`` behind those planned already.

        :raises ValueError: if there are none
        """
        if not faults:
            raise ValueError("a plan takes at least one fault")
        sequence = itertools.cycle(faults) if repeat else iter(faults)
        with self._lock:
            self._plans.setdefault(trans_no, deque()).append(sequence)

    def clear(self, trans_no: str | None) -> None:
        """Drop what is planned for ``trans_no``, or for any call."""
        with self._lock:
            self._plans.pop(trans_no, None)

    def clear_all(self) -> None:
        """Drop all that is planned."""
        with self._lock:
            self._plans.clear()

    def take(self, trans_no: str | None) -> FaultT | None:
        """The fault this call meets: its transNo's own first, then one meant for any call."""
        if not self._plans:
            return None
        with self._lock:
            for key in (trans_no, None):
                sequences = self._plans.get(key)
                while sequences:
                    fault = next(sequences[0], None)
                    if fault is not None:
                        return fault
                    sequences.popleft()
                self._plans.pop(key, None)
            return None


FaultPlan = Plan[Fault]


class SubmissionFaultPlan:
    """Which submission meets which fault, and when. Safe to use from any thread."""

    def __init__(self) -> None:
        self._planned: deque[tuple[Moment, Fault]] = deque()

    def add(self, when: Moment, fault: Fault, times: int) -> None:
        """Queue ``fault`` that many times behind those planned already."""
        if when not in get_args(Moment):
            raise ValueError(f"a submission fails {' or '.join(get_args(Moment))} it is accepted, not {when!r}")
        if times < 1:
            raise ValueError(f"a fault is met once or more often, not {times} times")
        self._planned.extend([(when, fault)] * times)

    def clear(self) -> None:
        """Drop all that is planned."""
        self._planned.clear()

    def take(self) -> tuple[Moment, Fault] | None:
        """The fault this submission meets."""
        try:
            return self._planned.popleft()
        except IndexError:
            return None


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
