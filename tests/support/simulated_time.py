# SPDX-License-Identifier: Apache-2.0
"""An event loop whose time passes at once: hours of timers and sleeps, in order, in seconds.

For what does no network I/O. While something runs in a thread, time stands still, unless the thread itself says that it
stalls.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

REAL_LIMIT = 20.0
"""Seconds of real time that anything in a thread may take, so that a test which fails ends."""

_thread = threading.local()


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # which one is for the platform to say
    loop: SimulatedEventLoop

    def select(self, timeout: float | None = None) -> Any:
        if (events := super().select(0)) or timeout == 0:
            return events
        # In the second case, for a thread that the loop itself has started, at its end, or for nothing.
        if any(self.loop.threads.values()) or timeout is None:
            if events := super().select(REAL_LIMIT):
                return events
            raise RuntimeError("all tasks wait for something that never happens")
        self.loop.now += timeout
        return []


class _Call:
    """A function that runs in a thread, or is to run there.

    :param executor: whose thread it is
    """

    def __init__(self, executor: object) -> None:
        self.executor = executor


class SimulatedEventLoop(asyncio.SelectorEventLoop):
    """An event loop that goes on to its next timer at once."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        """Seconds."""
        self.threads: dict[_Call, bool] = {}
        """Functions that run in threads, and whether time stands still for them."""
        self._stalling: dict[_Call, threading.Event] = {}
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def begin_call(self, executor: object) -> _Call:
        """Let time stand still until :meth:`end_call`, unless no thread will take the call."""
        call = _Call(executor)
        self.threads[call] = True
        self._let_time_pass(executor)
        return call

    def end_call(self, call: _Call) -> None:
        self.threads.pop(call, None)

    def run_in_executor(self, executor: Any, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        call = self.begin_call(executor)

        def run(*arguments: Any) -> T:
            _thread.call = call
            return function(*arguments)

        future = super().run_in_executor(executor, run, *arguments)
        future.add_done_callback(lambda _: self.end_call(call))
        return future

    async def shutdown_default_executor(self, *timeout: float | None) -> None:  # none is passed in Python 3.11
        self.begin_call(None)
        await super().shutdown_default_executor(*timeout)

    def stall(self, seconds: float | None = None) -> None:
        """Let time pass while the calling thread, which the loop has started, does nothing.

        :param seconds: of simulated time; None until :meth:`release_threads`
        """
        call, over = _thread.call, threading.Event()

        def begin() -> None:
            self._stalling[call] = over
            if call in self.threads:
                self.threads[call] = False
            self._let_time_pass(call.executor)
            if seconds is not None:
                self.call_later(seconds, end)

        def end() -> None:
            del self._stalling[call]
            if call in self.threads:
                self.threads[call] = True
            over.set()

        self.call_soon_threadsafe(begin)
        over.wait(REAL_LIMIT)

    def _let_time_pass(self, executor: object) -> None:
        """Count the calls no more that wait for a thread while all threads of their executor stall."""
        calls = [call for call in self.threads if call.executor is executor]
        stalling = sum(call.executor is executor for call in self._stalling)
        if stalling >= getattr(executor, "_max_workers", math.inf):
            self.threads.update(dict.fromkeys(calls, False))

    def release_threads(self) -> None:
        """Have the threads go on that stall for ever."""
        for over in self._stalling.values():
            over.set()


class CountingExecutor(Executor):
    """Threads for which a simulated event loop stands still, though they are not started by it.

    :param threads: how many
    """

    def __init__(self, loop: SimulatedEventLoop, threads: int) -> None:
        self._loop = loop
        self._max_workers = threads
        self._pool = ThreadPoolExecutor(threads)

    def submit(self, function: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        call = self._loop.begin_call(self)
        result: Future[T] = Future()

        def run() -> None:
            _thread.call = call
            try:
                if result.set_running_or_notify_cancel():
                    result.set_result(function(*arguments, **options))
            except Exception as error:
                result.set_exception(error)
            finally:  # only now, when the loop has the result
                if not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(self._loop.end_call, call)

        def give_up(_: object) -> None:
            if result.cancelled():
                self._loop.end_call(call)

        result.add_done_callback(give_up)
        self._pool.submit(run)
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in an event loop of simulated time, and return its result."""
    with asyncio.Runner(loop_factory=SimulatedEventLoop) as runner:
        return runner.run(main())
