# SPDX-License-Identifier: Apache-2.0
"""The part of a shared quota that each process may plan with, by how many trims it waits for.

If each process planned with the whole quota, all of them would spend it in bursts and then wait together until the
window has passed. So each process reports to the others, through Redis, how many trims it waits for. The share is
advice for planning: the window keeps the quota. So nothing here raises, and whatever goes wrong leaves the share as it
was.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from airflow_provider_trim.ratelimit.storage import BackgroundCall, RedisStorage, key_of

REPORT_INTERVAL = 5.0
"""Seconds between two reports of one process."""

PEER_TTL = 30.0
"""Seconds for which a report counts."""

MIN_CHANGE = 0.05
"""Relative change below which a share is kept, since each change makes the policy plan again."""

MAX_WAITING = 1_000_000
"""Trims that one report may name; a larger number is taken as this."""

MAX_PEERS = 1_000
"""Reports that are read; more of them are no reports of ours, and are deleted."""

EXCHANGE = """
-- KEYS: a hash of the reports, '<trims> <Unix seconds>', by process.
-- ARGV: this process, its trims, seconds for which a report counts, most trims of a report, most reports.
-- Returns how many trims the other processes wait for.
local now, ttl, largest = tonumber(redis.call('TIME')[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[5]) then redis.call('DEL', KEYS[1]) end
local others = 0
local reports = redis.call('HGETALL', KEYS[1])
for i = 1, #reports, 2 do
  local waiting, reported_at = string.match(reports[i + 1], '^(%d+) (%d+)$')
  local age = now - (tonumber(reported_at) or 0)
  -- A report of the future is one from before Redis' clock was set back, or no report of ours.
  if not waiting or age < 0 or age >= ttl then
    redis.call('HDEL', KEYS[1], reports[i])
  elseif reports[i] ~= ARGV[1] then
    others = others + math.min(tonumber(waiting), largest)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
redis.call('EXPIRE', KEYS[1], 2 * ttl)
return others
"""


class FairShare:
    """This process's share of one account's quota.

    :param storage: where reports are exchanged
    :param account: whose quota it is
    :param clock: monotonic seconds
    """

    def __init__(self, storage: RedisStorage, account: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.share = 1.0
        """Part of the quota, above 0.0 and at most 1.0."""
        self._background = BackgroundCall(storage)
        self._script = storage.script(EXCHANGE)
        self._key = key_of(account, "waiting")
        self._clock = clock
        self._name = uuid.uuid4().hex
        self._next_report = float("-inf")

    def publish_soon(self, waiting: int) -> None:
        """Do as :meth:`publish_and_update`, without waiting for Redis."""
        if not self._background.is_running and self._claim_report():
            self._background.start(lambda: self._exchange(waiting))

    def publish_and_update(self, waiting: int) -> None:
        """Report how many trims this process waits for, unless that has just been done, and update the share.

        :param waiting: trims, at least 1
        """
        if self._claim_report():
            self._exchange(waiting)

    def _claim_report(self) -> bool:
        now = self._clock()
        if now < self._next_report:
            return False
        self._next_report = now + REPORT_INTERVAL
        return True

    def _exchange(self, waiting: int) -> None:
        arguments: list[str | int] = [self._name, waiting, round(PEER_TTL), MAX_WAITING, MAX_PEERS]
        try:
            others = int(self._script([self._key], arguments))
        # Advice can't fail. Whatever Redis or its client makes of this, the window meets it too if calls can't be
        # counted, and says so.
        except Exception:
            return
        share = waiting / (waiting + max(0, others))
        if abs(share - self.share) > MIN_CHANGE * self.share:
            self.share = share
