# SPDX-License-Identifier: Apache-2.0
"""The faults of the emulated service, and the plan of which call meets which.

Subclass :class:`Fault` for a fault of your own.
"""

from __future__ import annotations

import asyncio
import http
import itertools
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args

from aiohttp import web

from airflow_provider_trim.emulator.exchange import Exchange
from airflow_provider_trim.emulator.numbers import require_integer, require_seconds
from airflow_provider_trim.emulator.wire import JSON_HEADERS, SUCCESS_CODE, SUCCESS_MESSAGE, Response, envelope

Moment = Literal["before", "after"]
"""When a submission meets a fault: before it is accepted, or after."""


class Fault(ABC):
    """What one call gets instead of the default response."""

    @abstractmethod
    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Reply to or reset ``exchange``.

        Any ``await`` may raise CancelledError: the client disconnected, or the emulator stops.
        """


@dataclass(frozen=True, slots=True)
class NoFault(Fault):
    """No fault, but the default response. Fills a place in a sequence, or follows a :class:`Delay`."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(exchange.default_response())


@dataclass(frozen=True, slots=True)
class HttpError(Fault):
    """An HTTP status, by default with a small HTML page, as a proxy sends it.

    ``HttpError(429, headers={"Retry-After": "30"})``
    """

    status: int
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.status, int) or not 200 <= self.status <= 599:
            raise ValueError(f"status must be a final HTTP status, 200 to 599, not {self.status!r}")

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        body = self.body
        if body is None:
            body = f"<html><body><h1>{self.status} {_reason(self.status)}</h1></body></html>".encode()
        headers = {"Content-Type": "text/html", **self.headers}
        return await exchange.reply(Response(self.status, body, headers))


@dataclass(frozen=True, slots=True)
class RawResponse(Fault):
    """A response with these bytes as its body, by default with the headers of the service's JSON."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(Response(self.status, self.body, self.headers))


@dataclass(frozen=True, slots=True)
class ServiceCode(Fault):
    """An envelope with this code and message. The service reports its errors with HTTP status 200."""

    code: int
    message: str = "error"
    http_status: int = 200

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(envelope(self.code, self.message, http_status=self.http_status))


@dataclass(frozen=True, slots=True)
class ServiceData(Fault):
    """A success envelope with this ``data``, any JSON value."""

    data: Any

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(envelope(SUCCESS_CODE, SUCCESS_MESSAGE, self.data))


@dataclass(frozen=True, slots=True)
class ConnectionReset(Fault):
    """A connection reset (TCP RST) before the first byte of a response."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reset()


@dataclass(frozen=True, slots=True)
class ResetMidResponse(Fault):
    """A connection reset (TCP RST) after the headers and half of the body of the default response."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        response = exchange.default_response()
        return await exchange.reset(response, len(response.body) // 2)


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """A delay of ``seconds`` of real time, followed by ``then``: by default the default response at that time."""

    seconds: float
    then: Fault = field(default_factory=NoFault)

    def __post_init__(self) -> None:
        require_seconds("seconds", self.seconds)
        require_faults(Fault, [self.then])

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await self.then.apply(exchange)


class Hold(Fault):
    """Holds calls until :meth:`release`, then applies ``then``: by default the default response at that time.

    One Hold takes any number of calls. Once released, it lets every call pass. Safe to use from any thread.
    """

    def __init__(self, then: Fault | None = None) -> None:
        self.then = NoFault() if then is None else then
        require_faults(Fault, [self.then])
        self._changed = threading.Condition()
        self._released = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def held(self) -> int:
        """Number of calls held now."""
        with self._changed:
            return len(self._waiting)

    def wait_until_held(self, count: int = 1, timeout: float = 60.0) -> None:
        """Block until at least ``count`` calls are held at the same time.

        :param timeout: seconds of real time
        :raises TimeoutError: after ``timeout`` seconds
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waiting) >= count, timeout):
                raise TimeoutError(f"{len(self._waiting)} of {count} calls held after {timeout} s")

    def wait_until_left(self, timeout: float = 60.0) -> None:
        """Block until no call is held: each was released, or its client disconnected.

        :param timeout: seconds of real time
        :raises TimeoutError: after ``timeout`` seconds
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._waiting, timeout):
                raise TimeoutError(f"{len(self._waiting)} calls still held after {timeout} s")

    def release(self) -> None:
        """Let the held calls and all later ones pass."""
        with self._changed:
            self._released = True
            for loop, released in self._waiting:
                loop.call_soon_threadsafe(released.set)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        waiting = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            if self._released:
                waiting[1].set()
            self._waiting.add(waiting)
            self._changed.notify_all()
        try:
            await waiting[1].wait()
        finally:
            with self._changed:
                self._waiting.discard(waiting)
                self._changed.notify_all()
        return await self.then.apply(exchange)


FaultT = TypeVar("FaultT")


def require_faults(kind: type, faults: Iterable[object]) -> None:
    """Check that faults are some.

    :raises TypeError: one is not, such as a class instead of an instance
    """
    for fault in faults:
        if not isinstance(fault, kind):
            raise TypeError(f"a fault must be an instance of {kind.__name__}, not {fault!r}")


class Plan(Generic[FaultT]):
    """Which call meets which fault. Safe to use from any thread.

    :param kind: of the faults
    """

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._plans: dict[str | None, deque[Iterator[FaultT]]] = {}

    def add(self, trans_no: str | None, faults: tuple[FaultT, ...], repeat: bool) -> None:
        """Append ``faults`` to those planned.

        :raises ValueError: if there are none
        :raises TypeError: if one is none
        """
        if not faults:
            raise ValueError("at least one fault is required")
        require_faults(self._kind, faults)
        sequence = itertools.cycle(faults) if repeat else iter(faults)
        with self._lock:
            self._plans.setdefault(trans_no, deque()).append(sequence)

    def clear(self, trans_no: str | None) -> None:
        """Drop the faults planned for ``trans_no``; None stands for those of any call."""
        with self._lock:
            self._plans.pop(trans_no, None)

    def clear_all(self) -> None:
        """Drop all planned faults."""
        with self._lock:
            self._plans.clear()

    def pop(self, trans_no: str | None) -> FaultT | None:
        """Return the next fault of a call: one planned for its ``transNo`` first, then one for any call."""
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


class SubmissionFaultPlan:
    """Which submission meets which fault, before or after its acceptance. Safe to use from any thread."""

    def __init__(self) -> None:
        self._planned: deque[tuple[Moment, Fault]] = deque()

    def add(self, when: Moment, fault: Fault, times: int) -> None:
        """Append ``fault`` to those planned, ``times`` times.

        :raises ValueError: if ``when`` is not a :data:`Moment`, or ``times`` is less than 1
        """
        if when not in get_args(Moment):
            raise ValueError(f"when must be {' or '.join(get_args(Moment))}, not {when!r}")
        require_integer("times", times, 1)
        require_faults(Fault, [fault])
        self._planned.extend([(when, fault)] * times)

    def clear(self) -> None:
        """Drop all planned faults."""
        self._planned.clear()

    def pop(self) -> tuple[Moment, Fault] | None:
        """Return the next fault of a submission."""
        try:
            return self._planned.popleft()
        except IndexError:
            return None


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
