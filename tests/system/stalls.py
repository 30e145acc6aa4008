# SPDX-License-Identifier: Apache-2.0
"""How long an event loop that is about as busy as a triggerer's stands still, for others' processes have the machine.

As a program it measures until it is asked to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

PAUSE = 0.1
"""Seconds between two readings of the clock; Airflow's own watch over its triggerer's loop does the same."""
WORK = 0.02
"""Seconds of processor time used in between: a thread that only sleeps is scheduled ahead of one that works."""


class Stalls:
    longest = 0.0
    """Seconds; known when the measurement is over."""


@contextlib.contextmanager
def measured() -> Iterator[Stalls]:
    """Measure in a process of its own."""
    found = Stalls()
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE)
    try:
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=60)
        found.longest = float(printed or 0.0)


async def measure() -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    longest = 0.0
    while not over.is_set():
        before, used = time.monotonic(), time.process_time()
        while time.process_time() < used + WORK:
            pass
        await asyncio.sleep(PAUSE)
        worked = time.process_time() - used
        longest = max(longest, time.monotonic() - before - PAUSE - worked)
    print(longest)


if __name__ == "__main__":
    asyncio.run(measure())
