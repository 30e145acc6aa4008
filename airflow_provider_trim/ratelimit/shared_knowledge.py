# SPDX-License-Identifier: Apache-2.0
"""What processes have learned of one account, kept in Redis for those that know less, such as after a restart.

The process that has seen most writes; a process that has seen less reads. The text is advice: nothing here raises or
makes a caller wait, and whatever goes wrong leaves each process with what it knows itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow_provider_trim.ratelimit.storage import BackgroundScript, RedisStorage, key_of

EXCHANGE_INTERVAL = 30.0
"""Seconds between two exchanges of one process."""

KNOWLEDGE_TTL = 14 * 24 * 3600.0
"""Seconds for which a text is kept after it was last written."""

PURPOSE = "durations:2"
"""What the text is, and the version of its format."""

MAX_WEIGHT = 1_000
"""The highest weight that a text can have."""

MAX_TEXT = 32_768
"""Bytes; a longer text is none of ours, and is replaced."""

EXCHANGE = """
-- KEYS: a hash of the text, and its weight.
-- ARGV: this process's text, its weight, most bytes, seconds to keep it, highest weight that can be in Redis.
-- Returns the text in Redis if it weighs more than this process's own; otherwise replaces it.
local stored = redis.call('HMGET', KEYS[1], 'text', 'weight')
local own, weight = tonumber(ARGV[2]), tonumber(stored[2])
if stored[1] and weight and #stored[1] <= tonumber(ARGV[3]) and weight > own and weight <= tonumber(ARGV[5]) then
  return stored[1]
end
if own > 0 then
  redis.call('HSET', KEYS[1], 'text', ARGV[1], 'weight', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
return false
"""


class SharedKnowledge:
    """A text about one account. Thread-safe.

    :param storage: where it is kept
    :param account: that it is about
    :param clock: monotonic seconds
    """

    def __init__(self, storage: RedisStorage, account: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        key = key_of(account, PURPOSE)
        self._exchange = BackgroundScript(storage, EXCHANGE, key, interval=EXCHANGE_INTERVAL, clock=clock)
        self._max_weight = MAX_WEIGHT
        self._received: bytes | None = None

    def exchange_soon(self, text: Callable[[], str], weight: int) -> None:
        """Write this process's text to Redis, or receive the one there if it weighs more, unless that was just done.

        :param text: returns what this process knows
        :param weight: how much that is; at 0 nothing is written
        """
        self._exchange.run_soon(
            lambda: [text(), weight, MAX_TEXT, round(KNOWLEDGE_TTL), self._max_weight], self._receive
        )

    def _receive(self, reply: Any) -> None:
        self._received = reply if isinstance(reply, bytes) else None

    def take(self) -> bytes | None:
        """Return the text that was received since the last call, or None."""
        received, self._received = self._received, None
        return received

    def reject(self) -> None:
        """Stop reading the text in Redis, which could not be understood, and replace it."""
        self._max_weight = -1
