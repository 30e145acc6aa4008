# SPDX-License-Identifier: Apache-2.0
"""The emulator as its users see it: a server to start and stop, and the controls of a test."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Self, get_args

from airflow_provider_trim.emulator.authentication import Authentication, Scheme, TokenAuthentication
from airflow_provider_trim.emulator.callbacks import Callback
from airflow_provider_trim.emulator.connections import BACKLOG, ConnectionCounter, ServerThread
from airflow_provider_trim.emulator.controls import TrimControls
from airflow_provider_trim.emulator.quota import MovingWindow
from airflow_provider_trim.emulator.records import Call, CallLog
from airflow_provider_trim.emulator.service import TrimService
from airflow_provider_trim.emulator.signatures import ApiKeyAuthentication, SignatureAuthentication
from airflow_provider_trim.emulator.submission_checks import SamplingRateParameter
from airflow_provider_trim.emulator.submissions import Duration


class TrimEmulator(TrimControls):
    """The Cloud VoD trimming service on this machine, for trying things out and for tests.

    ::

        with TrimEmulator() as emulator:
            emulator.add_trim("036b6f4a01611000a79c3a7800000000", seconds=3)
            ...  # a connection with host=emulator.url, login=emulator.user, password=emulator.token

    All of it may be used from any thread. Trims, planned faults and records outlive ``stop()`` and ``start()``.

    :param host: address to listen on
    :param port: TCP port; 0 takes a free one at the first ``start()`` and keeps it
    :param user: the ``userId``, AccessKey ID or user name that is let in
    :param token: its verification token, AccessKey Secret or API key; may be set later on, since tokens rotate
    :param duration: seconds a trim takes unless ``add_trim`` says otherwise, or what gives them from the seconds of
        the clip
    :param auth: the authentication scheme, by the name it has in a connection. Those that sign refuse a clock more than
        5 minutes off, by ``wall_clock``, and HMAC signatures seen within 5 minutes
    :param token_header: name of a request header in which the token is accepted, too
    :param quota: ``(calls, seconds)``: calls of the account beyond that many in a moving window are answered with HTTP
        429. The vendor documents 300 calls in 5 minutes for an account, but neither how the window moves nor what an
        exceeded limit answers: both are this emulator's assumptions
    :param quota_retry_after: whether such an answer says ``Retry-After``, in whole seconds
    :param sampling_rate_parameter: the submission's parameter that is understood as the sampling rate. The front doors
        of the service differ in it; the other name is ignored, as any unknown parameter is
    :param record: False keeps no records of calls, submissions and callbacks, for benchmarks
    :param clock: gives the seconds by which trims end, the quota's window moves and calls are stamped
    :param wall_clock: gives the Unix seconds of ``uploadTime`` and ``updateTime``, and of the ``Date`` of answers
    :param on_call: called in the server's thread with every :class:`Call`
    :param on_callback: called in the server's thread with every :class:`Callback`, when it has ended
    :raises ValueError: if ``quota`` allows less than 1 call or has no time, ``duration`` is negative, or
        ``sampling_rate_parameter`` or ``auth`` is no name of it
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "emulator",
        token: str = "emulator-token",
        duration: Duration = 5.0,
        *,
        auth: Scheme = "token",
        token_header: str | None = None,
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
        self._authentication = _authentication(auth, user, token, token_header, wall_clock)
        self._log = CallLog(record, on_call)
        self._connections = ConnectionCounter()
        self._service = TrimService(
            trims=self._trims,
            desk=self._desk,
            faults=self._faults,
            submission_faults=self._submission_faults,
            log=self._log,
            authentication=self._authentication,
            quota=MovingWindow(*quota) if quota else None,
            quota_retry_after=quota_retry_after,
            clock=clock,
            wall_clock=wall_clock,
        )
        self._thread: ServerThread | None = None

    # --- life ---

    def start(self) -> Self:
        """Listen, and return when calls are accepted.

        :raises OSError: if the address can't be listened on
        :raises RuntimeError: if it runs already
        """
        if self._thread is not None:
            raise RuntimeError("the emulator runs already")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)
        self._port = listener.getsockname()[1]
        thread = ServerThread(listener, self._service.handle, self._connections, self._callback_desk.run)
        thread.start()
        self._thread = thread
        return self

    def stop(self) -> None:
        """Close the socket and all connections, cancel what is being answered, end the thread. Twice does no harm."""
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

        :raises RuntimeError: if it is not known before the first ``start()``
        """
        if self._port == 0:
            raise RuntimeError("the emulator was not started yet, so its port is not known")
        return self._port

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8766``.

        :raises RuntimeError: if the port is not known before the first ``start()``
        """
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def auth(self) -> Scheme:
        """The authentication scheme, by the name it has in a connection."""
        return self._auth

    @property
    def user(self) -> str:
        """The ``userId``, AccessKey ID or user name that is let in."""
        return self._authentication.user

    @property
    def token(self) -> str:
        """The token, AccessKey Secret or API key. Set it, and from the next call on only the new one is let in."""
        return self._authentication.token

    @token.setter
    def token(self, token: str) -> None:
        self._authentication.token = token

    # --- records ---

    @property
    def calls(self) -> list[Call]:
        """All calls recorded so far, queries and submissions, in the order of their answers; a copy."""
        return self._log.all()

    @property
    def call_count(self) -> int:
        """How many calls there were, recorded or not."""
        return self._log.count

    @property
    def refused(self) -> int:
        """How many calls the quota refused."""
        return self._service.refused

    @property
    def connections_opened(self) -> int:
        """How many connections clients opened."""
        return self._connections.opened

    @property
    def connections_open(self) -> int:
        """How many connections are open now."""
        return self._connections.open

    def calls_for(self, trans_no: str) -> list[Call]:
        """The calls recorded for one ``transNo``, queries and submissions, in the order of their answers."""
        return self._log.all(trans_no)

    def clear_calls(self) -> None:
        """Forget the recorded calls and their count."""
        self._log.clear()

    def wait_for_calls(self, count: int, timeout: float = 60.0, trans_no: str | None = None) -> list[Call]:
        """Block until ``count`` calls were answered, and return all of them; one held or delayed is not answered yet.

        :param timeout: seconds of real time
        :param trans_no: count only the calls for that one
        :raises RuntimeError: if nothing is recorded (``record=False``)
        :raises TimeoutError: after ``timeout`` seconds
        """
        return self._log.wait(count, timeout, trans_no)

    async def await_calls(self, count: int, timeout: float = 60.0, trans_no: str | None = None) -> list[Call]:
        """:meth:`wait_for_calls` for a coroutine, blocking no event loop."""
        return await asyncio.to_thread(self._log.wait, count, timeout, trans_no)


def _authentication(
    auth: Scheme, user: str, token: str, token_header: str | None, wall_clock: Callable[[], float]
) -> Authentication:
    if auth == "token":
        return TokenAuthentication(user, token, token_header)
    if auth == "api-key":
        return ApiKeyAuthentication(user, token, wall_clock)
    if auth == "ws3-hmac-sha256":
        return SignatureAuthentication("WS3-HMAC-SHA256", user, token, wall_clock)
    if auth == "cnc-hmac-sha256":
        return SignatureAuthentication("CNC-HMAC-SHA256", user, token, wall_clock)
    raise ValueError(f"auth is one of {', '.join(get_args(Scheme))}, not {auth!r}")
