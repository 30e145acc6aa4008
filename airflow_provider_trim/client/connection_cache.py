# SPDX-License-Identifier: Apache-2.0
"""The cached Airflow connection of a poller: when it is loaded, and which session serves meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import time
from collections.abc import Awaitable, Callable

from airflow_provider_trim.client.session import OpenTransport, Session
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import AccountMetrics
from airflow_provider_trim.metrics.catalog import RELOADS, Reload
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.network import network_fingerprint
from airflow_provider_trim.vod.errors import TrimError, TrimTransportError
from airflow_provider_trim.vod.settings import TrimSettings

SettingsLoader = Callable[[], Awaitable[TrimSettings]]
"""Loads an Airflow connection; raises a :class:`TrimError` where that fails."""

LIFETIME = 600.0
"""Seconds after which a connection is reloaded, so that a changed one is noticed."""

RECHECK_INTERVAL = 30.0
"""Seconds between two loads while calls fail."""

LOAD_TIMEOUT = 30.0
"""Seconds that a load may take. The first one in a triggerer took some seconds on a loaded machine."""

MIN_RELOAD_DELAY, MAX_RELOAD_DELAY = 1.0, 60.0
"""Seconds from a failed load to the next: the first delay, and where its doubling ends."""

log = contained_logger(__name__)


class ConnectionCache:
    """The Airflow connection, loaded when it is needed, and its session.

    A reload runs in the background while the session that is there serves, unless the service has refused its
    credentials. Loading, expiry and retries are in one class, since the next load depends on all of them.

    :param load: loads the connection
    :param clock: seconds, monotonic
    :param calls: how many calls may be made at a time
    :param jitter: returns a random number from 0 to 1
    :param load_timeout: seconds that a load may take
    :param open_transport: opens what sends requests
    :param metrics: takes measurements; its account is set when the connection is loaded
    """

    def __init__(
        self,
        load: SettingsLoader,
        calls: int,
        *,
        load_timeout: float = LOAD_TIMEOUT,
        open_transport: OpenTransport = AioTransport,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        metrics: AccountMetrics | None = None,
    ) -> None:
        self.version = 0
        """How often the connection has been loaded."""
        self._load = load
        self._calls = calls
        self._clock = clock
        self._jitter = jitter
        self._load_timeout = load_timeout
        self._open_transport = open_transport
        self._metrics = metrics or AccountMetrics()
        self._session: Session | None = None
        self._loaded_at = self._expires_at = float("-inf")
        self._usable = False
        self._failures = 0
        self._failure: TrimError | None = None
        self._retry_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self._load_task: asyncio.Task[tuple[TrimSettings, object]] | None = None
        """The load itself. One that goes on in spite of its cancellation is waited for again, not started twice."""
        self._retiring: dict[asyncio.Task[None], Session] = {}

    def invalidate(self, version: int) -> None:
        """Reload the connection before its next use, unless it was reloaded since it had this version."""
        if version == self.version:
            self._usable = False

    def is_current(self, session: Session) -> bool:
        """Return whether a session is still the one to poll with."""
        return session is self._session

    def recheck(self) -> None:
        """Reload the connection soon: a host, a proxy or a CA file that no longer works may have been replaced."""
        self._expires_at = min(self._expires_at, self._loaded_at + RECHECK_INTERVAL)

    async def session(self) -> Session:
        """Return what to poll with; :attr:`version` is its connection's.

        :raises TrimError: the connection can't be loaded
        """
        now = self._clock()
        if self._session is not None and self._usable:
            if now >= self._expires_at and now >= self._retry_at and self._loading is None:
                self._start_loading()
            return self._session
        if self._loading is None:
            if self._failure is not None and now < self._retry_at:
                raise copy.copy(self._failure)
            self._start_loading()
        assert self._loading is not None
        await asyncio.shield(self._loading)
        if self._session is None or not self._usable:
            assert self._failure is not None
            raise copy.copy(self._failure)
        return self._session

    def _start_loading(self) -> None:
        self._loading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        if self._load_task is None or self._load_task.done():
            self._load_task = asyncio.create_task(self._load_all())
            self._load_task.add_done_callback(_retrieve_exception)
        load = self._load_task
        try:
            # Not asyncio.timeout(): a loader that ignores its cancellation must hold up nothing.
            done, _ = await asyncio.wait({load}, timeout=self._load_timeout)
            if not done:
                reason = f"the connection could not be loaded within {self._load_timeout:.0f} s"
                self._on_failure(TrimTransportError(reason))
            elif load.cancelled():
                self._on_failure(TrimTransportError("the connection could not be loaded: its loader was cancelled"))
            else:
                self._use(*load.result())
        except TrimError as error:
            self._on_failure(error)
        # A secrets backend, a hook or Airflow's own decryption may raise anything.
        except Exception as error:
            log.debug("Loading the connection failed", exc_info=True)
            reason = f"the connection could not be loaded: {type(error).__name__}"
            self._on_failure(TrimTransportError(reason))
        finally:
            load.cancel()
            self._loading = None

    async def _load_all(self) -> tuple[TrimSettings, object]:
        settings = await self._load()
        return settings, await asyncio.to_thread(network_fingerprint, settings)

    def _use(self, settings: TrimSettings, fingerprint: object) -> None:
        current = self._session
        self._metrics.account = settings.account_label
        if current is None or settings != current.settings or fingerprint != current.fingerprint:
            self._session = Session(settings, self._calls, fingerprint, self._open_transport, self._metrics.metrics)
            if current is not None:
                self._metrics.count(RELOADS.name, Reload.CHANGED)
                task = asyncio.create_task(current.retire())
                self._retiring[task] = current
                task.add_done_callback(self._retiring.pop)
        else:
            self._metrics.count(RELOADS.name, Reload.UNCHANGED)
        self._usable, self._failure, self._failures = True, None, 0
        self._loaded_at = self._clock()
        self._expires_at = self._loaded_at + LIFETIME
        self.version += 1

    def _on_failure(self, error: TrimError) -> None:
        self._metrics.count(RELOADS.name, Reload.FAILED)
        if self._session is not None and self._usable:
            log.warning("%s; keeping the cached connection", error)
        delay = min(MIN_RELOAD_DELAY * 2.0**self._failures, MAX_RELOAD_DELAY) * (0.5 + 0.5 * self._jitter())
        self._failures = min(self._failures + 1, 16)
        self._failure = error
        self._retry_at = self._clock() + delay

    async def close(self) -> None:
        """Close all sessions, even if this is cancelled on the way."""
        sessions = [*self._retiring.values(), *([self._session] if self._session else [])]
        tasks = [*self._retiring, *([self._loading] if self._loading else [])]
        for task in tasks:
            task.cancel()
        async with contextlib.AsyncExitStack() as stack:
            for session in sessions:
                stack.push_async_callback(session.close)
            await asyncio.gather(*tasks, return_exceptions=True)


def _retrieve_exception(task: asyncio.Task[object]) -> None:
    """Keep asyncio from logging the exception of a load that nothing waits for."""
    if not task.cancelled():
        task.exception()
