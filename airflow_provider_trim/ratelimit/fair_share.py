# SPDX-License-Identifier: Apache-2.0
"""Which part of a shared quota each process may count on, by how many trims it waits for.

Processes that each counted on all of a quota would spend it in bursts, and then wait together until the window has
passed. So each tells the others through Redis how many trims it waits for. It is advice to whoever plans calls; what
keeps the quota is the count of calls.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Callable
from typing import Any

REPORT_PAUSE = 5.0
"""Seconds between two reports of one process."""

PEER_TTL = 30.0
"""Seconds after which a process that reports no more counts no more."""

CHANGE = 0.05
"""Part by which a share has to change to be taken note of, since plans are made anew then."""


class FairShare:
    """One process's view.

    :param client: a :class:`redis.Redis`
    :param account: whose quota it is
    :param clock: Unix seconds, which the hosts agree on to some seconds
    """

    def __init__(self, client: Any, account: str, *, clock: Callable[[], float] = time.time) -> None:
        self.share = 1.0
        """Part of the quota, above 0 and at most 1."""
        self._client = client
        self._clock = clock
        self._name = uuid.uuid4().hex
        digest = hashlib.blake2b(account.encode(), digest_size=16).hexdigest()
        self._key = f"airflow-provider-trim:waiting:{digest}"
        self._due = float("-inf")

    def report(self, waiting: int) -> None:
        """Tell the others how many trims this process waits for, if it is time to, and learn what they wait for.

        Where Redis is away, the share stays as it was; who counts calls there notices that as well, and says so.

        :param waiting: trims, at least one
        """
        from redis.exceptions import RedisError

        now = self._clock()
        if now < self._due:
            return
        self._due = now + REPORT_PAUSE
        with contextlib.suppress(RedisError, OSError):
            share = waiting / (waiting + self._others(waiting, now))
            if abs(share - self.share) > CHANGE * self.share:
                self.share = share

    def _others(self, waiting: int, now: float) -> int:
        """Exchange reports, and return how many trims the others wait for; the silent are forgotten."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hset(self._key, self._name, f"{waiting} {now:.0f}")
            pipeline.expire(self._key, round(2 * PEER_TTL))
            pipeline.hgetall(self._key)
            *_, reports = pipeline.execute()
        others, silent = 0, []
        for name, report in reports.items():
            count, reported_at = _read(report)
            if not now - reported_at <= PEER_TTL:  # nor if it is no number
                silent.append(name)
            elif name != self._name.encode():
                others += count
        if silent:
            self._client.hdel(self._key, *silent)
        return others


def _read(report: bytes) -> tuple[int, float]:
    """Return how many trims somebody waits for, and when that was said; never, if it can't be read."""
    count, _, reported_at = report.partition(b" ")
    try:
        return max(0, int(count)), float(reported_at)
    except ValueError:
        return 0, float("-inf")
