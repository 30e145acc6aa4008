# SPDX-License-Identifier: Apache-2.0
"""The HTTP session over which polls are made, and what their calls share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airflow_provider_trim.client.calls import query
from airflow_provider_trim.client.flow import adrive, exchange
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import NO_METRICS, Metrics
from airflow_provider_trim.metrics.catalog import POLLS, Outcome
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiter_for
from airflow_provider_trim.supervision import is_cancelled
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.vod.errors import TrimError, TrimTransportError
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.settings import TrimSettings

OpenTransport = Callable[[TrimSettings, int], AioTransport]
"""Opens a transport, as :class:`AioTransport` itself does."""

CALL_MARGIN = 5.0
"""Seconds that a call may take beyond the connection's timeout, which the transport itself keeps."""

CLOSE_TIMEOUT = 5.0
"""Seconds that it may take to close a session's network connections."""

log = contained_logger(__name__)


class Session:
    """What polls are made with, for as long as the connection stays as it is.

    :param settings: of the connection
    :param max_calls: how many may be made at a time
    :param fingerprint: of the proxy and the certificate authorities that the session was made with
    :param open_transport: opens what sends requests
    :param metrics: takes measurements of its calls
    """

    def __init__(
        self,
        settings: TrimSettings,
        max_calls: int,
        fingerprint: object,
        open_transport: OpenTransport,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self.settings = settings
        self.limiter: RateLimiter = limiter_for(settings, metrics)
        self.fingerprint = fingerprint
        self._open_transport = open_transport
        self._transport = open_transport(settings, max_calls)
        self._in_flight = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def query(self, trans_no: str, *, new_connection: bool = False) -> TrimTask:
        """Query a trim's status; a permit must have been acquired.

        :param new_connection: send the request over a new network connection
        :raises TrimError: the call failed, or the trim did
        """
        self._in_flight += 1
        self._unused.clear()
        timeout = self.settings.timeout + CALL_MARGIN
        opened = None
        try:
            if new_connection:
                opened = self._open_transport(self.settings, 1)
            transport = opened or self._transport
            async with asyncio.timeout(timeout):
                flow = exchange(query(trans_no), self.settings, self.limiter)
                return await adrive(flow, self.limiter, transport.send)
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
            self._in_flight -= 1
            if not self._in_flight:
                self._unused.set()
            if opened is not None:
                await _close(opened)

    async def retire(self) -> None:
        """Close the session when its calls have ended."""
        await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """Close the session's network connections."""
        await _close(self._transport)


async def _close(transport: AioTransport) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await transport.close()
    # Nothing uses a closed session, so a failure to close it must affect nothing.
    except Exception as error:
        log.warning("Network connections could not be closed: %s: %s", type(error).__name__, error)
