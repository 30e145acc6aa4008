# SPDX-License-Identifier: Apache-2.0
"""The looked-up connection and the session that all looks of a poller share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from airflow_provider_trim.client.signing import sign_once
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiter_for
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.protocol import build_query, parse_task
from airflow_provider_trim.vod.settings import TrimSettings

SettingsLoader = Callable[[], Awaitable[TrimSettings]]
"""Looks a connection up; raises a :class:`TrimError` where that fails."""

CONNECTION_LIFETIME = 600.0
"""Seconds after which a connection is looked up afresh, so that a changed one is noticed."""

FAILED_LOOK_UP_PAUSE = 1.0
"""Seconds for which a failed look-up stands for all that ask, so that they don't queue up to fail one by one."""

STALE_CONNECTION_PAUSE = 60.0
"""Seconds for which an aged connection is kept where it can't be looked up afresh."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """What a look needs: whom to ask, by what, and how often."""

    settings: TrimSettings
    transport: AioTransport
    quota: RateLimiter


class ConnectionCache:
    """A connection, looked up when it is needed, and its session.

    :param load: looks it up
    :param clock: Unix seconds
    :param calls: how many calls may be under way at a time
    """

    def __init__(self, load: SettingsLoader, clock: Callable[[], float], calls: int) -> None:
        self.number = 0
        """How often it has been looked up."""
        self._load = load
        self._clock = clock
        self._calls = calls
        self._loading = asyncio.Lock()
        self._fresh_until = float("-inf")
        self._refused = False
        self._failure: tuple[TrimError, float] | None = None
        self._current: Session | None = None
        self._retired: list[AioTransport] = []

    def refused(self, number: int) -> None:
        """Have it looked up afresh, unless that has happened since the look-up of that number."""
        if number == self.number:
            self._fresh_until = float("-inf")
            self._refused = True

    async def current(self) -> Session:
        """Return what to call with; :attr:`number` is this look-up's.

        :raises TrimError: it can't be looked up
        """
        async with self._loading:
            if self._current is None or self._clock() >= self._fresh_until:
                self._current = await self._look_up()
            return self._current

    async def _look_up(self) -> Session:
        if self._failure is not None and self._clock() < self._failure[1]:
            raise self._failure[0]
        try:
            settings = await self._load()
            current = self._session_for(settings)
        except TrimError as error:
            if self._current is not None and not self._refused:
                log.warning("%s; going on with the connection as it was", error)
                self._fresh_until = self._clock() + STALE_CONNECTION_PAUSE
                return self._current
            self._failure = (error, self._clock() + FAILED_LOOK_UP_PAUSE)
            raise
        self._failure, self._refused = None, False
        self._fresh_until = self._clock() + CONNECTION_LIFETIME
        self.number += 1
        return current

    def _session_for(self, settings: TrimSettings) -> Session:
        if self._current is not None and settings == self._current.settings:
            return self._current
        session = Session(settings=settings, quota=limiter_for(settings), transport=AioTransport(settings, self._calls))
        if self._current is not None:
            # Calls on the old session may still be under way, so it is closed only at the end.
            self._retired.append(self._current.transport)
        return session

    async def ask(self, trans_no: str) -> tuple[TrimTask | TrimError, int]:
        """Ask how far a trim is, and return the outcome and the number of the look-up that it was asked with."""
        number = self.number
        try:
            session = await self.current()
            number = self.number
            build = functools.partial(build_query, session.settings, trans_no)
            answer = await session.transport.send(sign_once(build, self._clock()))
            with session.quota.observe_response():
                task = parse_task(
                    answer.status,
                    answer.headers,
                    answer.body,
                    trans_no=trans_no,
                    secret=session.settings.password.get_secret_value(),
                    now=self._clock(),
                )
            return task, number
        except TrimError as error:
            return error, number

    async def close(self) -> None:
        """Close all sessions, even if this is cancelled on the way."""
        async with contextlib.AsyncExitStack() as stack:
            for transport in [*self._retired, *([self._current.transport] if self._current else [])]:
                stack.push_async_callback(transport.close)
