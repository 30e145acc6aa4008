# SPDX-License-Identifier: Apache-2.0
"""A hook that waits for nothing."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters
from tests.support.clocks import no_jitter


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def hook(connect: Callable[..., None], slept: list[float]) -> Iterator[TrimApiHook]:
    """Return a hook that notes its pauses instead of making them."""
    with TrimApiHook("trim_test") as hook:
        hook._sleep = slept.append
        # The limiter's clock goes on as if the pauses had been made.
        limiters.clear(functools.partial(RateLimiter, clock=lambda: time.monotonic() + sum(slept), jitter=no_jitter))
        yield hook
