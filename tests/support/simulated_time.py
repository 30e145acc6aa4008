# SPDX-License-Identifier: Apache-2.0
"""An event loop whose time passes at once: hours of timers and sleeps, in order, in seconds.

For what does no network I/O. While something runs in a thread, time stands still.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # which one is for the platform to say
    loop: SimulatedEventLoop

    def select(self, timeout: float | None = None) -> Any:
        if (events := super().select(0)) or timeout == 0:
            return events
        if self.loop.threads:
            return super().select(timeout)
        if timeout is None:  # for a thread that the loop itself has started, at its end, or for nothing
            if events := super().select(10):
                return events
            raise RuntimeError("all tasks wait for something that never happens")
        self.loop.now += timeout
        return []


class SimulatedEventLoop(asyncio.SelectorEventLoop):
    """An event loop that goes on to its next timer at once."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        """Seconds."""
        self.threads = 0
        """Functions that run in threads."""
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        def ended(_: object) -> None:
            self.threads -= 1

        self.threads += 1
        future = super().run_in_executor(executor, function, *arguments)
        future.add_done_callback(ended)
        return future


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in an event loop of simulated time, and return its result."""
    with asyncio.Runner(loop_factory=SimulatedEventLoop) as runner:
        return runner.run(main())
