# SPDX-License-Identifier: Apache-2.0
"""What processes have learned of one account, kept in Redis for those that know less, such as after a restart.

The process that has seen most writes; a process that has seen less reads. The text is advice: nothing here raises or
makes a caller wait, and whatever goes wrong leaves each process with what it knows itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider_trim.ratelimit.storage import BackgroundCall, RedisStorage, key_of

EXCHANGE_INTERVAL = 30.0
"""Seconds between two exchanges of one process."""

KNOWLEDGE_TTL = 14 * 24 * 3600.0
"""Seconds for which a text is kept after it was last written."""

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
    :param purpose: what it is, and the version of its format
    :param max_weight: the highest weight that a text can have
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        storage: RedisStorage,
        account: str,
        purpose: str = "durations:2",
        *,
        max_weight: int = 1_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._background = BackgroundCall(storage)
        self._script = storage.script(EXCHANGE)
        self._key = key_of(account, purpose)
        self._max_weight = max_weight
        self._clock = clock
        self._next_exchange = float("-inf")
        self._received: bytes | None = None

    def exchange_soon(self, text: Callable[[], str], weight: int) -> None:
        """Do as :meth:`exchange` in another thread, unless that has just been done."""
        now = self._clock()
        if now >= self._next_exchange and not self._background.is_running:
            self._next_exchange = now + EXCHANGE_INTERVAL
            own = text()
            self._background.start(lambda: self.exchange(own, weight))

    def exchange(self, text: str, weight: int) -> None:
        """Write this process's text to Redis, or receive the one there if it weighs more.

        :param text: what this process knows
        :param weight: how much that is; at 0 nothing is written
        """
        arguments: list[str | int] = [text, weight, MAX_TEXT, round(KNOWLEDGE_TTL), self._max_weight]
        try:
            reply = self._script([self._key], arguments)
            self._received = reply if isinstance(reply, bytes) else None
        # Advice can't fail. If Redis is unreachable, the window meets that too, and says so.
        except Exception:
            return

    def take(self) -> bytes | None:
        """Return the text that was received since the last call, or None."""
        received, self._received = self._received, None
        return received

    def reject(self) -> None:
        """Read no text from Redis any more, since one could not be understood, but replace it."""
        self._max_weight = -1
