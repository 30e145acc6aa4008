# SPDX-License-Identifier: Apache-2.0
"""Redis, for all that is shared between processes: bounded in time, and off the event loop's own threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_trim.vod.errors import TrimSettingsError

if TYPE_CHECKING:
    from redis import Redis

STORAGE_TIMEOUT = 1.0
"""Seconds to wait for Redis: to connect, for a reply, and for both together in an event loop."""

STORAGE_RETRY_DELAY = 5.0
"""Seconds after which an unreachable Redis is tried again, by one call at a time."""

MAX_THREADS = 4
"""Threads for event loops' calls to one Redis. A call takes less than a millisecond, or :data:`STORAGE_TIMEOUT`."""

Script = Callable[[list[str], list[str | int]], Any]
"""A registered Lua script: takes keys and arguments."""

T = TypeVar("T")


class StorageUnavailableError(Exception):
    """Redis did not reply, or not with what was expected; says why."""


class RedisStorage:
    """A Redis server, and whether it is worth a try. One object serves all accounts that name it. Thread-safe.

    :param client: with timeouts
    :param clock: monotonic seconds
    :param executor: returns what runs event loops' calls; by default threads of this storage
    """

    def __init__(
        self,
        client: Redis,
        *,
        clock: Callable[[], float] = time.monotonic,
        executor: Callable[[], concurrent.futures.Executor] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._executor = executor
        self._running = 0
        self._retry_at: float | None = None
        self._error = ""
        self._lock = threading.Lock()

    @property
    def reachable(self) -> bool:
        """Whether the last call got a reply."""
        return self._retry_at is None

    @property
    def error(self) -> str:
        """Why the last call got no reply: the name of an exception; "" if it got one."""
        return "" if self.reachable else self._error

    def script(self, lua: str) -> Script:
        """Return a Lua script as a function; nothing is sent before the first call."""
        return self._client.register_script(lua)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function that needs Redis, in this thread.

        :raises StorageUnavailableError: it failed, or Redis has been unreachable and is not to be tried again yet
        """
        self._admit()
        return self._guarded(function)

    async def acall(self, function: Callable[[], T]) -> T:
        """Call a function in a thread of the storage's own, for at most :data:`STORAGE_TIMEOUT`; as :meth:`call`.

        Not in asyncio's default executor: a hung Redis would fill it, and Airflow's own messages use it.
        """
        self._admit()
        future = self._submit(lambda: self._guarded(function))
        try:
            async with asyncio.timeout(STORAGE_TIMEOUT):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise self._unavailable(error) from error

    def submit(self, function: Callable[[], object]) -> bool:
        """Call a function that never raises in a thread of the storage's own, some time later.

        :returns: False if Redis is unreachable, and nothing is called
        """
        with contextlib.suppress(StorageUnavailableError):
            if self.reachable:
                self._submit(function)
                return True
        return False

    def _submit(self, function: Callable[[], T]) -> concurrent.futures.Future[T]:
        # A name lookup that hangs, say, has no timeout: what waits behind such calls would pile up.
        if not self.reachable and self._running >= MAX_THREADS:
            raise StorageUnavailableError(self._error)
        try:
            executor = _executor_of(self) if self._executor is None else self._executor()
            return executor.submit(self._counted, function)
        except RuntimeError as error:  # the interpreter is shutting down
            raise self._unavailable(error) from error

    def _counted(self, function: Callable[[], T]) -> T:
        with self._lock:
            self._running += 1
        try:
            return function()
        finally:
            with self._lock:
                self._running -= 1

    def _admit(self) -> None:
        with self._lock:
            if self._retry_at is not None:
                now = self._clock()
                if now < self._retry_at:
                    raise StorageUnavailableError(self._error)
                self._retry_at = now + STORAGE_RETRY_DELAY  # one call tries; the others need not wait for it

    def _guarded(self, function: Callable[[], T]) -> T:
        try:
            result = function()
        # Redis-py raises more than RedisError, an option of the URL can break any call, and a proxy may speak another
        # protocol: whatever it is, no wait may end because calls can't be counted.
        except Exception as error:
            raise self._unavailable(error) from error
        self._retry_at = None
        return result

    def _unavailable(self, error: Exception) -> StorageUnavailableError:
        self._error = type(error).__name__  # its text may hold the URL, and that a password
        self._retry_at = self._clock() + STORAGE_RETRY_DELAY
        return StorageUnavailableError(self._error)


class BackgroundScript:
    """A script that exchanges advice between processes: it runs in the background, and nothing waits for it.

    Only one run at a time: advice that hangs must not take the threads that permits need.

    :param storage: where it runs
    :param lua: the script
    :param key: of Redis, that it is given
    :param interval: seconds between two runs, at least
    :param clock: monotonic seconds
    """

    def __init__(
        self, storage: RedisStorage, lua: str, key: str, *, interval: float, clock: Callable[[], float]
    ) -> None:
        self._storage = storage
        self._script = storage.script(lua)
        self._key = key
        self._interval = interval
        self._clock = clock
        self._next_run = float("-inf")
        self._process: int | None = None
        """The one whose thread runs the script; a forked process has no such thread."""

    def run_soon(self, arguments: Callable[[], list[str | int]], use: Callable[[Any], object]) -> None:
        """Run the script, unless it runs, has just been run, or Redis is unreachable.

        :param arguments: returns those of the script; called at once, where it is run
        :param use: takes the reply, in another thread
        """
        now = self._clock()
        if now < self._next_run or self._process == os.getpid():
            return
        self._next_run = now + self._interval
        given = arguments()
        self._process = os.getpid()
        if not self._storage.submit(lambda: self._run(given, use)):
            self._process = None

    def _run(self, arguments: list[str | int], use: Callable[[Any], object]) -> None:
        try:
            # Advice can't fail. Whatever Redis or its client makes of this, the window meets it too if calls can't be
            # counted, and says so.
            with contextlib.suppress(Exception):
                use(self._script([self._key], arguments))
        finally:
            self._process = None


class Storages:
    """The storages of this process, by URL, for as long as they are in use.

    :param clock: monotonic seconds
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._storages: weakref.WeakValueDictionary[str, RedisStorage] = weakref.WeakValueDictionary()

    def get(self, url: str) -> RedisStorage:
        """Return the storage at a URL. Connects to nothing.

        :raises TrimSettingsError: the URL can't work, or the extra ``redis`` is not installed
        """
        storage = self._storages.get(url)
        if storage is None:
            storage = self._storages[url] = RedisStorage(connect(url), clock=self._clock)
        return storage


def connect(url: str) -> Redis:
    """Return a client for a URL, without a connection as yet.

    :raises TrimSettingsError: the URL can't work, or the extra ``redis`` is not installed; shows no password
    """
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.connection import SSLConnection
        from redis.retry import Retry
    except ImportError:
        raise TrimSettingsError(
            "connection extra 'quota_storage': Redis needs an extra: pip install 'airflow-provider-trim[redis]'"
        ) from None
    try:
        client = Redis.from_url(
            url,
            socket_timeout=STORAGE_TIMEOUT,
            socket_connect_timeout=STORAGE_TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # redis-py's own three retries would take several times the timeout
        )
        pool = client.connection_pool
        if issubclass(pool.connection_class, SSLConnection) and pool.connection_kwargs.get("ssl_cert_reqs") != "none":
            pool.connection_kwargs.setdefault("ssl_check_hostname", True)  # redis-py's own default since 6.0
        # Options of the URL are passed to the connection's constructor, which is not called before the first command.
        pool.connection_class(**pool.connection_kwargs)
    except Exception as error:  # redis-py raises what its constructors make of a wrong option
        raise TrimSettingsError(
            f"connection extra 'quota_storage' must be a URL such as redis://host:6379/0 ({type(error).__name__})"
        ) from None
    return client


def key_of(account: str, purpose: str) -> str:
    """Return the name of a Redis key; keys of one account are on one node of a cluster."""
    digest = hashlib.blake2b(account.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"airflow-provider-trim:{{{digest}}}:{purpose}"


_executors: weakref.WeakKeyDictionary[RedisStorage, concurrent.futures.Executor] = weakref.WeakKeyDictionary()
"""One for each storage, so that a Redis that hangs holds up no other one's calls."""


def _executor_of(storage: RedisStorage) -> concurrent.futures.Executor:
    executor = _executors.get(storage)
    if executor is None:
        pool = concurrent.futures.ThreadPoolExecutor(MAX_THREADS, "trim-quota-storage")
        executor = _executors.setdefault(storage, pool)
    return executor


os.register_at_fork(after_in_child=_executors.clear)  # a forked process has none of the threads
