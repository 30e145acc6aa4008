# SPDX-License-Identifier: Apache-2.0
"""Background tasks that outlive an unexpected exception."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from airflow_provider_trim.logs import ContainedLogger

MIN_RESTART_DELAY, MAX_RESTART_DELAY = 0.1, 60.0
"""Seconds until a task that failed is started again: the first delay, and where its doubling ends."""

STABLE_AFTER = 60.0
"""Seconds that a task must have run for the next delay to be the first one again."""


def is_cancelled() -> bool:
    """Return whether the running task was cancelled; otherwise, a CancelledError is a fault of what it called."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def supervise(
    name: str,
    run: Callable[[], Awaitable[object]],
    log: ContainedLogger,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    clock: Callable[[], float] | None = None,
) -> None:
    """Run a coroutine until it returns, and start it again after each unexpected exception, which is logged.

    A ``CancelledError`` without a cancellation is one of these.

    :param name: of the task, for the log
    :param run: makes the coroutine
    :param clock: seconds, monotonic; by default the event loop's
    """
    clock = clock or asyncio.get_running_loop().time
    delay = MIN_RESTART_DELAY
    while True:
        started_at = clock()
        try:
            await run()
        # Whatever it was, it must not end what other tasks depend on.
        except (Exception, asyncio.CancelledError):
            if is_cancelled():
                raise
            delay = MIN_RESTART_DELAY if clock() - started_at >= STABLE_AFTER else delay
            log.exception("%s failed unexpectedly; restarting it in %.1f s", name, delay)
        else:
            return
        await sleep(delay)
        delay = min(2.0 * delay, MAX_RESTART_DELAY)
