# SPDX-License-Identifier: Apache-2.0
"""A day of a triggerer in simulated time: ``python -m tests.benchmarks.long_life [hours]``."""

from __future__ import annotations

import sys
from unittest import mock

from tests.support.containment import AsyncRedis
from tests.support.long_life import live

if __name__ == "__main__":
    with mock.patch("redis.asyncio.Redis", AsyncRedis), mock.patch("tests.support.containment.AUTH", "token"):
        for sample in live(int(sys.argv[1]) if len(sys.argv) > 1 else 24):
            print(sample)
