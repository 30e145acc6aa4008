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

from airflow_provider_trim.ratelimit.storage import BackgroundScript, RedisStorage, key_of
from airflow_provider_trim.ratelimit.window import process_name

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
        key = key_of(account, "waiting")
        self._exchange = BackgroundScript(storage, EXCHANGE, key, interval=REPORT_INTERVAL, clock=clock)
        self._name = uuid.uuid4().hex

    def publish_soon(self, waiting: int) -> None:
        """Report how many trims this process waits for, unless that has just been done, and update the share.

        :param waiting: trims, at least 1
        """
        self._exchange.run_soon(
            lambda: [f"{process_name()}:{self._name}", waiting, round(PEER_TTL), MAX_WAITING, MAX_PEERS],
            lambda others: self._update(waiting, int(others)),
        )

    def _update(self, waiting: int, others: int) -> None:
        share = waiting / (waiting + max(0, others))
        if abs(share - self.share) > MIN_CHANGE * self.share:
            self.share = share
