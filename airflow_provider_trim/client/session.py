# SPDX-License-Identifier: Apache-2.0
"""The cached Airflow connection of a poller, and the HTTP session over which its polls are made."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from airflow_provider_trim.client.calls import Query
from airflow_provider_trim.client.flow import adrive, exchange
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import NO_METRICS, AccountMetrics, Metrics
from airflow_provider_trim.metrics.catalog import POLLS, RELOADS, Outcome, Reload
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiter_for
from airflow_provider_trim.supervision import is_cancelled
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.network import network_fingerprint
from airflow_provider_trim.vod.errors import TrimError, TrimTransportError
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.settings import TrimSettings

SettingsLoader = Callable[[], Awaitable[TrimSettings]]
"""Loads an Airflow connection; raises a :class:`TrimError` where that fails."""


class Transport(Protocol):
    """What sends requests."""

    async def send(self, request: Request) -> Response:
        """Send a request and return its response; raise a :class:`TrimError` if there is none."""

    async def close(self) -> None:
        """Close all network connections."""


class TransportOpener(Protocol):
    """What opens a transport, such as :class:`AioTransport`."""

    def __call__(self, settings: TrimSettings, connections: int, *, keep_alive: bool = True) -> Transport:
        """Open a transport with a number of network connections, which are kept for the next request or not."""


LIFETIME = 600.0
"""Seconds after which a connection is reloaded, so that a changed one is noticed."""

RECHECK_INTERVAL = 30.0
"""Seconds between two loads while calls fail."""

LOAD_TIMEOUT = 30.0
"""Seconds that a load may take. The first one in a triggerer took some seconds on a loaded machine."""

MIN_RELOAD_DELAY, MAX_RELOAD_DELAY = 1.0, 60.0
"""Seconds from a failed load to the next: the first delay, and where its doubling ends."""

CALL_MARGIN = 5.0
"""Seconds that a call may take beyond the connection's timeout, which the transport itself keeps."""

CLOSE_TIMEOUT = 5.0
"""Seconds that it may take to close a session's network connections."""

log = contained_logger(__name__)


class Session:
    """What polls are made with, for as long as the connection stays as it is.

    :param settings: of the connection
    :param calls: how many may be made at a time
    :param fingerprint: of the proxy and the certificate authorities that the session was made with
    :param open_transport: opens what sends requests
    :param metrics: takes measurements of its calls
    """

    def __init__(
        self,
        settings: TrimSettings,
        calls: int,
        fingerprint: object,
        open_transport: TransportOpener,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self.settings = settings
        self.limiter: RateLimiter = limiter_for(settings, metrics)
        self.fingerprint = fingerprint
        self._max_calls = calls
        self._open_transport = open_transport
        self._transport = open_transport(settings, calls)
        self._without_keep_alive: Transport | None = None
        self._calls = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def query(self, trans_no: str, *, new_connection: bool = False) -> TrimTask:
        """Query a trim's status; a permit must have been acquired.

        :param new_connection: send the request over a new network connection
        :raises TrimError: the call failed, or the trim did
        """
        self._calls += 1
        self._unused.clear()
        timeout = self.settings.timeout + CALL_MARGIN
        try:
            transport = self._connecting_transport() if new_connection else self._transport
            async with asyncio.timeout(timeout):
                return await adrive(
                    exchange(Query(trans_no), self.settings, self.limiter),
                    acquire=self.limiter.aacquire,
                    claim=self.limiter.aclaim_signature,
                    send=transport.send,
                    sleep=asyncio.sleep,
                )
        except TrimError:
            raise
        except TimeoutError:
            self.limiter.metrics.count(POLLS.name, Outcome.NO_RESPONSE)  # which the cancelled call could not know
            raise TrimTransportError(f"the call did not end within {timeout:.0f} s") from None
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise TrimTransportError("the call was cancelled from within") from None
        # A fault of the transport, the signer or the parser fails this call, and nothing else.
        except Exception as error:
            log.exception("Querying trim %s failed unexpectedly", trans_no)
            raise TrimTransportError(f"the call failed unexpectedly: {type(error).__name__}: {error}") from error
        finally:
            self._calls -= 1
            if not self._calls:
                self._unused.set()

    def _connecting_transport(self) -> Transport:
        """Return the transport that opens a network connection for each request, made when it is first needed."""
        if self._without_keep_alive is None:
            self._without_keep_alive = self._open_transport(self.settings, self._max_calls, keep_alive=False)
        return self._without_keep_alive

    async def retire(self) -> None:
        """Close the session when its calls have ended."""
        await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """Close the session's network connections."""
        try:
            await _close(self._transport)
        finally:
            if self._without_keep_alive is not None:
                await _close(self._without_keep_alive)


async def _close(transport: Transport) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await transport.close()
    # What is closed serves nothing any more, so nothing may depend on how that goes.
    except Exception as error:
        log.warning("Network connections could not be closed: %s: %s", type(error).__name__, error)


class ConnectionCache:
    """The Airflow connection, loaded when it is needed, and its session.

    A reload runs in the background while the session that is there serves, unless the service has refused its
    credentials.

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
        open_transport: TransportOpener = AioTransport,
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
        """Use the connection no more before it is reloaded, unless that has happened since it had this version."""
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
    """Keep asyncio from logging the exception of a load that nothing waits for any more."""
    if not task.cancelled():
        task.exception()
