# SPDX-License-Identifier: Apache-2.0
"""What an input costs: the memory that is allocated for it and the CPU time that it takes, bounded by its bytes."""

from __future__ import annotations

import math
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

T = TypeVar("T")

ATTEMPTS = 5
"""A call that costs too much is repeated: only one that does so each time is a finding, whatever else the machine does,
and whatever is compiled or cached once.
"""


class Bound(NamedTuple):
    """What one call may cost, however few bytes it gets, and for each of them."""

    memory: int
    memory_per_byte: int
    seconds: float
    seconds_per_byte: float

    def of(self, size: int) -> tuple[int, float]:
        return self.memory + self.memory_per_byte * size, self.seconds + self.seconds_per_byte * size


PARSED = Bound(512 * 1024, 200, 0.1, 20e-6)
"""Whatever reads bytes or a text: an empty JSON object takes two of them, and 64 bytes of memory."""

UNPACKED = Bound(2 * 1024 * 1024, 400, 0.1, 100e-6)
"""A compressed body: a hundred times its bytes, up to a mebibyte, once as parts and once as a whole."""

HANDED_ON = Bound(1024 * 1024, 400, 0.1, 40e-6)
"""A verdict on its way from the triggerer to XCom, log and link, by the bytes of the response."""


def bounded(bound: Bound, size: int, call: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; an AssertionError if it costs more than it may.

    :param size: bytes of what it reads
    """
    most, longest = bound.of(size)
    memory, took = sys.maxsize, math.inf
    for _ in range(ATTEMPTS):
        spent, time_spent, outcome = _measured(call)
        memory, took = min(memory, spent), min(took, time_spent)
        if memory <= most and took <= longest:
            break
        took = min(took, _timed(call)[0])  # without the cost of measuring
    assert memory <= most, f"{memory:,} bytes of memory for {size:,} bytes of input; {most:,} are allowed"
    assert took <= longest, f"{took:.3f} s of CPU for {size:,} bytes of input; {longest:.3f} s are allowed"
    climb(max(memory / most, took / longest))
    return outcome()


def _timed(call: Callable[[], T]) -> tuple[float, Callable[[], T]]:
    """Return the seconds of CPU that a call takes, and how to get at its outcome."""
    began = time.thread_time()
    try:
        result = call()
    except Exception as error:
        failure = error
        return time.thread_time() - began, lambda: _throw(failure)
    return time.thread_time() - began, lambda: result


def _throw(error: Exception) -> NoReturn:
    raise error


def _measured(call: Callable[[], T]) -> tuple[int, float, Callable[[], T]]:
    """Return the peak of what is allocated in a call, and the rest as :func:`_timed` does."""
    tracemalloc.start()
    try:
        took, outcome = _timed(call)
        return tracemalloc.get_traced_memory()[1], took, outcome
    finally:
        tracemalloc.stop()


def climb(part: float) -> int:  # noqa: C901
    """Return how much of the bound was used, in steps, each of which is a branch.

    A fuzzer that is guided by coverage keeps the inputs that reach another branch. So it searches for dearer ones.
    """
    step = 0
    if part > 0.02:
        step = 1
    if part > 0.05:
        step = 2
    if part > 0.1:
        step = 3
    if part > 0.2:
        step = 4
    if part > 0.3:
        step = 5
    if part > 0.4:
        step = 6
    if part > 0.5:
        step = 7
    if part > 0.6:
        step = 8
    if part > 0.7:
        step = 9
    if part > 0.8:
        step = 10
    if part > 0.9:
        step = 11
    return step
