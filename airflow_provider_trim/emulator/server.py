# SPDX-License-Identifier: Apache-2.0
"""The emulator as tests use it: a server to start and stop, with the controls of a test."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from typing import Self

from airflow_provider_trim.emulator.authentication import Authentication
from airflow_provider_trim.emulator.callbacks import Callback
from airflow_provider_trim.emulator.connections import BACKLOG, ConnectionCounter, ServerThread
from airflow_provider_trim.emulator.controls import TrimControls
from airflow_provider_trim.emulator.gateway import Gateway
from airflow_provider_trim.emulator.quota import SlidingWindow
from airflow_provider_trim.emulator.records import Call, CallLog
from airflow_provider_trim.emulator.service import TrimService
from airflow_provider_trim.emulator.signatures import build_authentication
from airflow_provider_trim.emulator.submissions import Duration
from airflow_provider_trim.emulator.validation import SamplingRateParameter

_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  it is the key, not bound to
"""Addresses that stand for all of a machine's: what a client on it calls instead."""


class TrimEmulator(TrimControls):
    """The Cloud VoD trimming service on this machine, for experiments and tests.

    ::

        with TrimEmulator() as emulator:
            emulator.add_trim("036b6f4a01611000a79c3a7800000000", seconds=3)
            ...  # a connection with host=emulator.url, login=emulator.user, password=emulator.token

    Safe to use from any thread. Trims, planned faults and records outlive ``stop()`` and ``start()``.

    :param host: address to listen on
    :param port: TCP port; 0 takes a free one at the first ``start()`` and keeps it
    :param user: the accepted ``userId``, AccessKey ID or user name
    :param token: its verification token, AccessKey Secret or API key; may be set later, because tokens rotate
    :param duration: seconds that a trim takes unless :meth:`add_trim` overrides it, or a function of the seconds of its
        clip
    :param auth: the authentication scheme, by its name in a connection. The signing schemes reject a clock more than 5
        minutes off ``wall_clock``, and an HMAC signature that was used within the last 5 minutes
    :param authentication: verifies the credentials of a scheme that is not built in; ``user`` and ``token`` are ignored
    :param token_header: a request header that may carry the token
    :param required_parameters: parameters that each call must have, with these values
    :param quota: ``(calls, seconds)``: the account's calls over that number in a sliding window get HTTP 429. The
        vendor documents 300 calls in 5 minutes per account. How the window moves, and the response to a call over the
        quota, are this emulator's assumptions
    :param quota_retry_after: whether that response carries ``Retry-After``, in whole seconds
    :param sampling_rate_parameter: the name of a submission's sampling rate, which differs between the service's hosts.
        The other name is ignored, as any unknown parameter is
    :param record: False keeps no records of calls, submissions and callbacks, for benchmarks
    :param clock: gives the seconds at which trims end, the quota's window moves and calls arrive
    :param wall_clock: gives the Unix seconds of ``uploadTime``, ``updateTime`` and the ``Date`` of responses
    :param on_call: called in the server's thread with every :class:`Call`
    :param on_callback: called in the server's thread with every completed :class:`Callback`
    :raises ValueError: if ``quota`` is less than 1 call or not above 0 seconds, ``duration`` is negative, or
        ``sampling_rate_parameter`` or ``auth`` is unknown
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "emulator",
        token: str = "emulator-token",
        duration: Duration = 5.0,
        *,
        auth: str = "token",
        authentication: Authentication | None = None,
        token_header: str | None = None,
        required_parameters: Mapping[str, str] | None = None,
        quota: tuple[int, float] | None = None,
        quota_retry_after: bool = True,
        sampling_rate_parameter: SamplingRateParameter = "samplingRate",
        record: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        on_call: Callable[[Call], None] | None = None,
        on_callback: Callable[[Callback], None] | None = None,
    ) -> None:
        super().__init__(duration, sampling_rate_parameter, record, clock, wall_clock, on_callback)
        self._host = host
        self._port = port
        self._auth = auth
        self._token_header = token_header
        self._required_parameters = {name: str(value) for name, value in (required_parameters or {}).items()}
        self._authentication = authentication or build_authentication(auth, user, token, token_header, wall_clock)
        if quota is not None and not (isinstance(quota, tuple | list) and len(quota) == 2):
            raise ValueError(f"quota must be (calls, seconds), such as (300, 300), not {quota!r}")
        window = SlidingWindow(*quota) if quota else None
        self._gateway = Gateway(self._authentication, window, quota_retry_after, self._required_parameters)
        self._log = CallLog(record, on_call)
        self._connections = ConnectionCounter()
        self._service = TrimService(
            trims=self._trims,
            submission_handler=self._submission_handler,
            faults=self._faults,
            submission_faults=self._submission_faults,
            log=self._log,
            gateway=self._gateway,
            clock=clock,
            wall_clock=wall_clock,
        )
        self._thread: ServerThread | None = None

    # --- lifecycle ---

    def start(self) -> Self:
        """Listen, and return once connections are accepted.

        :raises OSError: if it cannot listen on the address
        :raises RuntimeError: if it is running already
        """
        if self._thread is not None:
            raise RuntimeError("the emulator is running already")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)
        self._port = listener.getsockname()[1]
        self._trims.base_url = self.url
        thread = ServerThread(listener, self._service.handle, self._connections, self._callback_sender.run)
        thread.start()
        self._thread = thread
        return self

    def stop(self) -> None:
        """Close the socket and all connections, cancel the handling of requests, and end the thread. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    # --- address and account ---

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._host

    @property
    def port(self) -> int:
        """The TCP port it listens on.

        :raises RuntimeError: if the port is 0, before the first ``start()``
        """
        if self._port == 0:
            raise RuntimeError("the port is not known until the emulator is started")
        return self._port

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8766``, as this machine reaches it.

        Where it listens on all addresses (``0.0.0.0`` or ``::``), that is the loopback address.

        :raises RuntimeError: if the port is 0, before the first ``start()``
        """
        host = _WILDCARDS.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def auth(self) -> str:
        """The authentication scheme, by its name in a connection."""
        return self._auth

    @property
    def token_header(self) -> str | None:
        """The request header that may carry the token."""
        return self._token_header

    @property
    def required_parameters(self) -> dict[str, str]:
        """A copy of the parameters that each call must have, with their values."""
        return dict(self._required_parameters)

    @property
    def user(self) -> str:
        """The accepted ``userId``, AccessKey ID or user name."""
        return self._authentication.user

    @property
    def token(self) -> str:
        """The accepted token, AccessKey Secret or API key. A new one counts from the next call on."""
        return self._authentication.token

    @token.setter
    def token(self, token: str) -> None:
        self._authentication.token = token

    # --- records ---

    @property
    def calls(self) -> list[Call]:
        """A copy of the recorded calls, queries and submissions, in the order of their responses."""
        return self._log.all()

    @property
    def call_count(self) -> int:
        """Number of calls, recorded or not."""
        return self._log.count

    @property
    def rate_limited(self) -> int:
        """Number of calls rejected over the quota."""
        return self._gateway.rate_limited

    @property
    def connections_opened(self) -> int:
        """Number of connections that clients opened."""
        return self._connections.opened

    @property
    def connections_open(self) -> int:
        """Number of connections open now."""
        return self._connections.open

    def calls_for(self, trans_no: str) -> list[Call]:
        """Return the recorded calls for one ``transNo``, queries and submissions, in the order of their responses."""
        return self._log.all(trans_no)

    def clear_calls(self) -> None:
        """Remove the recorded calls and reset their count."""
        self._log.clear()

    def wait_for_calls(self, count: int, timeout: float = 60.0, trans_no: str | None = None) -> list[Call]:
        """Block until at least ``count`` calls are complete, and return them all. One held or delayed is not complete.

        :param timeout: seconds of real time
        :param trans_no: count and return only the calls for this one
        :raises RuntimeError: if nothing is recorded (``record=False``)
        :raises TimeoutError: after ``timeout`` seconds
        """
        return self._log.wait(count, timeout, trans_no)

    async def async_wait_for_calls(self, count: int, timeout: float = 60.0, trans_no: str | None = None) -> list[Call]:
        """Wait as :meth:`wait_for_calls` does, without blocking the event loop."""
        return await asyncio.to_thread(self._log.wait, count, timeout, trans_no)
