# SPDX-License-Identifier: Apache-2.0
"""Relays callbacks between triggerers over Redis, since behind one address the wrong one may receive them.

Each triggerer publishes the callbacks that it receives, and subscribes to those of the others, on one channel for each
account. What arrives is a callback's path, and is authenticated like any other: Redis is not trusted. While Redis is
unreachable, each triggerer has only the callbacks that it receives itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.supervision import is_cancelled, supervise
from airflow_provider_trim.vod.callbacks import Claim, read_claim
from airflow_provider_trim.vod.settings import TrimSettings

RECONNECT_DELAY = 5.0
"""Seconds until Redis is tried again."""

CONNECT_TIMEOUT = 1.0
"""Seconds to wait for Redis, so that no poll is held up for long."""

HEALTH_CHECK_INTERVAL = 10.0
"""Seconds after which a silent connection is checked."""

MAX_QUEUED = 1000
"""Callbacks that wait to be published. Those beyond are dropped; polling finds their trims."""

log = contained_logger(__name__)


def channel_of(account: str) -> str:
    """Return the name of an account's channel."""
    return f"airflow-provider-trim:callbacks:{hashlib.blake2b(account.encode(), digest_size=16).hexdigest()}"


class CallbackRelay:
    """Publishes and receives until it is closed.

    :param settings: of a connection whose ``quota_storage`` is Redis
    :param on_claim: is given the callbacks of other triggerers
    :param on_gap: called when Redis is reachable again: callbacks of the meantime may have been missed
    """

    def __init__(
        self, settings: TrimSettings, on_claim: Callable[[Claim], object], on_gap: Callable[[], object] = lambda: None
    ) -> None:
        self.connected = asyncio.Event()
        self._uri = settings.quota_storage.get_secret_value()
        self._channel = channel_of(settings.account)
        self._on_claim = on_claim
        self._on_gap = on_gap
        self._queue: asyncio.Queue[Claim] = asyncio.Queue(MAX_QUEUED)
        self._disconnected = False
        self._has_gap = False
        """Whether callbacks may have been missed since the relay was connected, for whatever reason."""
        self._task = asyncio.create_task(supervise("the callback relay", self._run, log))

    def publish(self, claim: Claim) -> None:
        """Publish a callback, some time later."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(claim)

    def close(self) -> asyncio.Task[None]:
        """Begin to end, and return the task that does."""
        self._task.cancel()
        return self._task

    async def wait_until_connected(self) -> None:
        """Return when it is subscribed, or Redis has had its time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self.connected.wait()

    async def _run(self) -> None:
        from redis.exceptions import RedisError

        while True:
            try:
                await self._serve()
            except* (RedisError, OSError) as errors:
                self._on_disconnected(errors.exceptions[0])
            finally:
                self._has_gap = self._has_gap or self.connected.is_set()
                self.connected.clear()
            await asyncio.sleep(RECONNECT_DELAY)

    async def _serve(self) -> None:
        from redis.asyncio import Redis

        client = Redis.from_url(
            self._uri,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=CONNECT_TIMEOUT,
            health_check_interval=HEALTH_CHECK_INTERVAL,
        )
        async with client, client.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            while not await subscription.get_message(timeout=CONNECT_TIMEOUT):  # the first says that it is subscribed
                _reraise_cancellation()
            _reraise_cancellation()
            self._on_reconnected()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._receive(subscription))
                both.create_task(self._send(client))

    async def _receive(self, subscription: Any) -> None:
        while True:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=HEALTH_CHECK_INTERVAL)
            if message is not None and (claim := read_claim(message["data"].decode("utf-8", "replace"))) is not None:
                self._handle(claim)
            _reraise_cancellation()

    def _handle(self, claim: Claim) -> None:
        try:
            self._on_claim(claim)
        # What is done with one callback must not keep the others from arriving.
        except Exception:
            log.exception("A callback could not be handled")

    async def _send(self, client: Any) -> None:
        while True:
            claim = await self._queue.get()
            await client.publish(self._channel, f"/{claim.trans_no}/{claim.signature}")
            _reraise_cancellation()

    def _on_disconnected(self, error: BaseException) -> None:
        if not self._disconnected:
            log.warning("Callback relay down: Redis unreachable (%s)", type(error).__name__)
        self._disconnected = True

    def _on_reconnected(self) -> None:
        self.connected.set()
        if self._disconnected:
            log.info("Callback relay up")
        if self._disconnected or self._has_gap:
            self._disconnected = self._has_gap = False
            self._on_gap()


def _reraise_cancellation() -> None:
    """Make up for a cancellation that redis-py (8.1) has swallowed, as it does while it connects."""
    if is_cancelled():
        raise asyncio.CancelledError
