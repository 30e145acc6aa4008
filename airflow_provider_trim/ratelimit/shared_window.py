# SPDX-License-Identifier: Apache-2.0
"""The moving window in Redis, which all processes and hosts share.

The library ``limits`` counts in Redis as well, but by the clock of the host that calls: with clocks 2 s apart, a window
of 30 calls has had 31. So the script here takes Redis' own time, and nothing else of a host's clock than ages.

While Redis is unreachable, each process falls back to a tenth of the quota, evenly spaced. When Redis is reachable
again, each process records its calls of the last window once more: Redis may have lost its data, and has not seen the
calls made in the meantime. Calls have names, so that recording one twice changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.ratelimit.storage import RedisStorage, StorageUnavailableError, key_of
from airflow_provider_trim.ratelimit.window import CountedCall, FallbackPace, LocalWindow, Window

MIN_WAIT = 0.01
"""Seconds; the least wait that is returned, since 0.0 stands for a permit."""

_MICROSECONDS = 1_000_000

ACQUIRE = """
-- KEYS: a sorted set of the calls by time (microseconds); a hash about it.
-- ARGV: calls and window of the quota, name of this call, how many calls may count with it, then name and age of each
-- call to be recorded before.
-- Returns whether the call is permitted, the microseconds to wait if not, and the set's generation.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local calls, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local function number(value) return string.format('%.0f', value) end

-- Processes may have different quotas for a while: the set is kept for the largest of them.
local most = math.max(calls, tonumber(redis.call('HGET', KEYS[2], 'calls') or 0))
local longest = math.max(window, tonumber(redis.call('HGET', KEYS[2], 'window') or 0))
redis.call('HSETNX', KEYS[2], 'generation', ARGV[3])
redis.call('HSET', KEYS[2], 'calls', number(most), 'window', number(longest))

-- After Redis' clock was set back, calls of the future count as made now.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. number(now), '+inf')) do
  redis.call('ZADD', KEYS[1], number(now), name)
end
for i = 5, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'NX', number(now - ARGV[i + 1]), ARGV[i])
end

-- The window is full if the limit-th latest call is still in it.
local limit = tonumber(ARGV[4])
local oldest = redis.call('ZREVRANGE', KEYS[1], limit - 1, limit - 1, 'WITHSCORES')[2]
local wait = oldest and tonumber(oldest) + window - now or 0
if wait <= 0 then
  redis.call('ZADD', KEYS[1], number(now), ARGV[3])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -most - 1)
local expiry = number(math.ceil(longest / 1000))
redis.call('PEXPIRE', KEYS[1], expiry)
redis.call('PEXPIRE', KEYS[2], expiry)
return {wait <= 0 and 1 or 0, number(math.max(wait, 0)), redis.call('HGET', KEYS[2], 'generation')}
"""

RELEASE = "return redis.call('ZREM', KEYS[1], ARGV[1])"

log = contained_logger(__name__)


class SharedWindow(Window):
    """The calls of all processes, counted in Redis, and those of this process. Thread-safe.

    :param local: this process's calls; has the quota's calls and window
    :param storage: where all processes' calls are counted
    :param account: whose calls
    :param period: the quota's window in seconds, without a margin
    :param clock: monotonic seconds
    :param on_fall_back: called when Redis has become unreachable
    """

    def __init__(
        self,
        local: LocalWindow,
        storage: RedisStorage,
        account: str,
        period: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_fall_back: Callable[[], object] = lambda: None,
    ) -> None:
        self._local = local
        self._storage = storage
        self._acquire_script = storage.script(ACQUIRE)
        self._release_script = storage.script(RELEASE)
        self._keys = [key_of(account, "calls"), key_of(account, "calls-info")]
        self._fallback = FallbackPace(local.limit, period, clock=clock)
        self._clock = clock
        self._on_fall_back = on_fall_back
        self.falling_back = False
        """Whether Redis is unreachable."""
        self._generation: bytes | None = None
        """Changes when Redis has lost its data. None: this process's calls have to be recorded again."""

    def made(self) -> tuple[CountedCall, ...]:
        """Return this process's calls that still count, the oldest first."""
        return self._local.made()

    def acquire(self, fraction: float = 1.0) -> float:
        """Take a permit while less than that part of the quota is used; waits for Redis, with a timeout.

        :returns: 0.0, or the seconds until one may be free
        """
        call = self._local.reserve(fraction)
        if not isinstance(call, CountedCall):
            return max(MIN_WAIT, call)
        try:
            wait = self._storage.call(lambda: self._acquire(call, fraction))
        except StorageUnavailableError as error:
            return self._fall_back(call, error)
        return self._settle(call, wait)

    async def aacquire(self) -> float:
        """Take a permit without blocking the event loop; otherwise as :meth:`acquire`."""
        call = self._local.reserve()
        if not isinstance(call, CountedCall):
            return max(MIN_WAIT, call)
        try:
            wait = await self._storage.acall(lambda: self._acquire(call))
        except StorageUnavailableError as error:
            return self._fall_back(call, error)
        return self._settle(call, wait)

    def release(self) -> CountedCall | None:
        """Give back the last permit."""
        if (call := self._local.release()) is not None:
            self._storage.submit(lambda: self._release_script(self._keys[:1], [call.name]))
        return call

    def _acquire(self, call: CountedCall, fraction: float = 1.0) -> float:
        """Request a permit from Redis; returns 0.0, or the seconds until one may be free."""
        generation = self._generation
        now = self._clock()
        backlog: list[str | int] = []
        if generation is None:
            for made_at, name in self._local.made():
                if name != call.name:
                    backlog += [name, round((now - made_at) * _MICROSECONDS)]
        period = math.ceil(self._local.period * _MICROSECONDS)
        limit = self._local.limit_of(fraction)
        reply = self._acquire_script(self._keys, [self._local.limit, period, call.name, limit, *backlog])
        permitted, wait, current = int(reply[0]), int(reply[1]), bytes(reply[2])
        self._generation = current if generation in (None, current) else None
        return 0.0 if permitted else max(MIN_WAIT, min(wait / _MICROSECONDS, self._local.period))

    def _settle(self, call: CountedCall, wait: float) -> float:
        if wait:
            self._local.cancel(call)
        if self.falling_back:
            self.falling_back = False
            log.info("Quota storage reachable again; sharing the quota")
        return wait

    def _fall_back(self, call: CountedCall, error: StorageUnavailableError) -> float:
        self._generation = None
        if not self.falling_back:
            self.falling_back = True
            self._on_fall_back()
            log.warning(
                "Quota storage unreachable (%s): falling back to %d calls per %.0f s in this process",
                error,
                self._fallback.calls,
                self._fallback.period,
            )
        wait = self._fallback.acquire()
        if wait:
            self._local.cancel(call)
        return wait
