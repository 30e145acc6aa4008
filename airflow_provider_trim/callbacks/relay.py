# SPDX-License-Identifier: Apache-2.0
"""Callbacks passed on through Redis, since behind one address the wrong triggerer may be called.

Each triggerer publishes the callbacks that it gets and listens to those of the others, on a channel of the account's
own. What arrives is a callback's path, verified by its signature like any other: Redis is not trusted. Where Redis is
away, each triggerer hears only what it is told itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable
from typing import Any

from airflow_provider_trim.vod.callbacks import Claim, read_claim
from airflow_provider_trim.vod.settings import TrimSettings

RECONNECT_PAUSE = 5.0
"""Seconds until Redis is tried again."""

CONNECT_TIME = 1.0
"""Seconds to wait for Redis, so that no look is held up by it for long."""

CHECK_PAUSE = 10.0
"""Seconds after which a silent connection is checked."""

MAX_QUEUED = 1000
"""Callbacks that wait to be passed on; those beyond are found by polling."""

log = logging.getLogger(__name__)


def channel_of(account: str) -> str:
    """Return the name of an account's channel."""
    return f"airflow-provider-trim:callbacks:{hashlib.blake2b(account.encode(), digest_size=16).hexdigest()}"


class Relay:
    """Sends and receives until it is closed.

    :param settings: of a connection whose ``quota_storage`` is Redis
    :param told: takes what others have been told
    :param missed: called when Redis is back, after which others may have been told what this one has not
    """

    def __init__(
        self, settings: TrimSettings, told: Callable[[Claim], object], missed: Callable[[], object] = lambda: None
    ) -> None:
        self.connected = asyncio.Event()
        self._uri = settings.quota_storage.get_secret_value()
        self._channel = channel_of(settings.account)
        self._told = told
        self._missed = missed
        self._unsent: asyncio.Queue[Claim] = asyncio.Queue(MAX_QUEUED)
        self._away = False
        self.task = asyncio.get_running_loop().create_task(self._run())
        """Ends some time after :meth:`close`."""

    def publish(self, claim: Claim) -> None:
        """Tell the others, some time later."""
        with contextlib.suppress(asyncio.QueueFull):
            self._unsent.put_nowait(claim)

    def close(self) -> None:
        """Begin to end."""
        self.task.cancel()

    async def wait_until_connected(self) -> None:
        """Return when it hears the others, or Redis has had its time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIME):
                await self.connected.wait()

    async def _run(self) -> None:
        from redis.exceptions import RedisError

        while True:
            try:
                await self._serve()
            except* (RedisError, OSError) as errors:
                self._is_away(errors.exceptions[0])
            finally:
                self.connected.clear()
            await asyncio.sleep(RECONNECT_PAUSE)

    async def _serve(self) -> None:
        from redis.asyncio import Redis

        client = Redis.from_url(
            self._uri,
            socket_connect_timeout=CONNECT_TIME,
            socket_timeout=CONNECT_TIME,
            health_check_interval=CHECK_PAUSE,
        )
        async with client, client.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            while not await subscription.get_message(timeout=CONNECT_TIME):  # the first says that it is subscribed
                _reraise_cancellation()
            _reraise_cancellation()
            self._is_back()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._receive(subscription))
                both.create_task(self._send(client))

    async def _receive(self, subscription: Any) -> None:
        while True:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=CHECK_PAUSE)
            if message is not None and (claim := read_claim(message["data"].decode("utf-8", "replace"))) is not None:
                self._told(claim)
            _reraise_cancellation()

    async def _send(self, client: Any) -> None:
        while True:
            claim = await self._unsent.get()
            await client.publish(self._channel, f"/{claim.trans_no}/{claim.signature}")
            _reraise_cancellation()

    def _is_away(self, error: BaseException) -> None:
        if not self._away:
            log.warning(
                "Callbacks are not passed on between triggerers: Redis is away (%s)",
                type(error).__name__,
            )
        self._away = True

    def _is_back(self) -> None:
        self.connected.set()
        if self._away:
            log.info("Redis is back: callbacks are passed on between triggerers again")
            self._away = False
            self._missed()


def _reraise_cancellation() -> None:
    """Make up for a cancellation that redis-py (8.1) has swallowed, as it does while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
