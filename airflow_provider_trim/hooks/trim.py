# SPDX-License-Identifier: Apache-2.0
"""The hook: the trimming API, called over an Airflow connection of type ``trim``."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import Any, Self, TypeVar

from tenacity import AsyncRetrying, Retrying

from airflow_provider_trim.client.calls import Call, query, submission
from airflow_provider_trim.client.flow import adrive, drive, permitted_exchange
from airflow_provider_trim.compat import BaseHook
from airflow_provider_trim.hooks import airflow2
from airflow_provider_trim.hooks.connections import connection_errors, load_settings, parse_settings
from airflow_provider_trim.hooks.metrics import process_metrics
from airflow_provider_trim.hooks.naming import naming
from airflow_provider_trim.hooks.retries import retry_options
from airflow_provider_trim.metrics import NO_METRICS, AccountMetrics
from airflow_provider_trim.metrics.catalog import RELOADS, Reload
from airflow_provider_trim.ratelimit.limiter import limiter_for
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.advice import callback_note
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimAuthError,
    TrimError,
    TrimSettingsError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.submission import TrimSubmission
from airflow_provider_trim.waiting.options import to_optional_seconds

_Result = TypeVar("_Result")


class TrimApiHook(BaseHook):
    """Calls the trimming API over an Airflow connection.

    It keeps one HTTP session; use it as a context manager, or call :meth:`close`. A process that is forked has a
    network connection of its own.

    :param trim_conn_id: Airflow connection of type ``trim``
    :param quota_timeout: seconds for which the account's quota, and HTTP 429, may hold a call up; by default the
        connection's ``timeout``, and up to a minute after HTTP 429
    :param quota_fraction: from 0 to 1; once that part of the account's quota is used, this hook's synchronous calls get
        no permit. For calls that are worth less than others
    :raises ValueError: ``quota_timeout`` is no number of seconds
    """

    conn_name_attr = "trim_conn_id"
    default_conn_name = "trim_default"
    conn_type = "trim"
    hook_name = "Cloud VoD Trim"
    # Airflow 2.11 asks the hook's own class for these, and none that it inherits from.
    get_ui_field_behaviour = staticmethod(airflow2.get_ui_field_behaviour)
    get_connection_form_widgets = staticmethod(airflow2.get_connection_form_widgets)

    def __init__(
        self,
        trim_conn_id: str = default_conn_name,
        *,
        quota_timeout: float | None = None,
        quota_fraction: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trim_conn_id = trim_conn_id
        self._given_quota_timeout = to_optional_seconds("quota_timeout", quota_timeout)
        self._quota_fraction = quota_fraction
        self._settings: TrimSettings | None = None
        self._replaced: TrimSettings | None = None
        """The connection before it was reloaded."""
        self.metrics = AccountMetrics(process_metrics())
        """Takes measurements of the connection's account."""
        self._transport: SyncTransport | None = None
        self._aio_transport: AioTransport | None = None
        self._aio_loop: asyncio.AbstractEventLoop | None = None
        self._sleep = time.sleep

    @property
    def settings(self) -> TrimSettings:
        """The connection's parts, validated; loaded at the first use.

        :raises TrimSettingsError: the connection does not exist (retryable), or can't work
        :raises TrimTransportError: it can't be loaded just now
        """
        if self._settings is None:
            try:
                with connection_errors(self.trim_conn_id):
                    connection = self.get_connection(self.trim_conn_id)
                return self._use(parse_settings(connection, connection.extra_dejson))
            except TrimError:
                self.metrics.count(RELOADS.name, Reload.FAILED)
                raise
        return self._settings

    def _use(self, settings: TrimSettings) -> TrimSettings:
        self._settings = settings
        self.metrics.account = settings.account_label
        if self._replaced is not None:
            self.metrics.count(RELOADS.name, Reload.UNCHANGED if settings == self._replaced else Reload.CHANGED)
            self._replaced = None
        return settings

    def get_conn(self) -> SyncTransport:
        """Return the transport that sends this hook's requests."""
        if self._transport is None:
            self._transport = SyncTransport(self.settings)
        return self._transport

    @property
    def _quota_timeout(self) -> float:
        return self.settings.timeout if self._given_quota_timeout is None else self._given_quota_timeout

    def get_task(self, trans_no: str) -> TrimTask:
        """Query a trim's status.

        It makes up to four calls, with growing pauses, if there is no response, or not a documented one; those that
        HTTP 429 refuses are counted for themselves. ``Retry-After`` is honoured up to a minute.

        :param trans_no: the transNo under which the trim was submitted, at most 32 characters
        :returns: a trim that is processing or successful
        :raises TransNoEmptyError: ``trans_no`` is empty
        :raises TransNoIllegalError: ``trans_no`` is no string, or too long
        :raises TransNoNotFoundError: the service does not know it
        :raises VideoProcessingError: code 1560, the video is being processed
        :raises TrimTaskFailedError: status 3
        :raises TrimError: anything else that :mod:`airflow_provider_trim.vod.errors` lists
        """
        with naming(trans_no):
            return self._retrying()(self.query_once, trans_no, self._quota_timeout)

    def query_once(self, trans_no: str, quota_timeout: float = 0.0) -> TrimTask:
        """Query a trim's status once, without retries; otherwise as :meth:`get_task`.

        :param quota_timeout: seconds to wait at most for a permit of the account's rate limiter
        :raises TrimQuotaExceededError: there is no permit so soon; no call was made
        """
        return self._call(query(trans_no), quota_timeout)

    def submit_trim(self, *, trans_no: str | None = None, **parameters: Any) -> str:
        """Start a trim: cut a clip out of a video.

        If a response is lost, the transNo is queried before anything is sent again, so that no trim is paid for twice.

        :param trans_no: the caller's own id of the trim; None for a random one
        :param parameters: ``video_id``, ``seek_start``, ``duration``, ``filename``, and what else is a field of
            :class:`~airflow_provider_trim.vod.submission.TrimSubmission`
        :returns: the transNo under which the trim can be waited for
        :raises TransNoEmptyError, TransNoIllegalError: ``trans_no`` can't be one; nothing was sent
        :raises TrimParameterError: another parameter is wrong, by its name
        :raises TrimError: anything else that :mod:`airflow_provider_trim.vod.errors` lists
        """
        parsed = TrimSubmission.parse(**parameters, trans_no=uuid.uuid4().hex if trans_no is None else trans_no)
        call = submission(parsed.to_wire(self.settings))
        for attempt in self._retrying():
            with attempt:
                again = attempt.retry_state.attempt_number > 1
                if again and self._is_submitted(parsed.trans_no):
                    break
                try:
                    self._call(call, self._quota_timeout)
                except TrimError as error:
                    # Rejected as a duplicate, for example: the request that seemed lost may have arrived.
                    if not (again and not error.retryable and self._is_submitted(parsed.trans_no)):
                        raise
        return parsed.trans_no

    def _is_submitted(self, trans_no: str) -> bool:
        try:
            with contextlib.suppress(VideoProcessingError, TrimTaskFailedError):
                self.query_once(trans_no, self._quota_timeout)
        except TransNoNotFoundError:
            return False
        return True

    def _call(self, call: Call[_Result], quota_timeout: float) -> _Result:
        """Acquire a permit and make one call."""
        limiter = limiter_for(self.settings, self.metrics.metrics)
        flow = permitted_exchange(call, self.settings, limiter, quota_timeout=quota_timeout, on_wait=self._log_wait)
        return drive(
            flow, limiter, lambda it: self.get_conn().send(it), fraction=self._quota_fraction, sleep=self._sleep
        )

    def _log_wait(self, seconds: float) -> None:
        self.log.info("Quota exhausted; waiting %.0f s", seconds)

    def _retrying(self) -> Retrying:
        return Retrying(sleep=self._sleep, **retry_options(self.log, self._given_quota_timeout))

    async def aget_task(self, trans_no: str) -> TrimTask:
        """Query a trim's status from within an event loop; otherwise as :meth:`get_task`.

        The session belongs to the first event loop that queries; call :meth:`aclose` there, or use ``async with``.

        :raises RuntimeError: that was another event loop
        """
        retrying = AsyncRetrying(sleep=asyncio.sleep, **retry_options(self.log, self._given_quota_timeout))
        with naming(trans_no):
            return await retrying(self._aquery_once, trans_no)

    async def _aquery_once(self, trans_no: str) -> TrimTask:
        settings = self._settings or self._use(await load_settings(self.trim_conn_id))
        call = query(trans_no)
        loop = asyncio.get_running_loop()
        if self._aio_transport is None:
            self._aio_transport, self._aio_loop = AioTransport(settings), loop
        elif self._aio_loop is not loop:
            raise RuntimeError(
                "this hook's session belongs to another event loop; call aclose() there, or use a hook for each, "
                "such as 'async with TrimApiHook() as hook' within asyncio.run()"
            )
        limiter = limiter_for(settings, self.metrics.metrics)
        flow = permitted_exchange(call, settings, limiter, quota_timeout=self._quota_timeout, on_wait=self._log_wait)
        return await adrive(flow, limiter, self._aio_transport.send)

    def test_connection(self) -> tuple[bool, str]:
        """Query a transNo that can't exist: code 1603 proves host, path and credentials.

        :returns: whether the connection works, and a sentence for the user
        """
        try:
            self.query_once(uuid.uuid4().hex, self.settings.timeout)
        except TransNoNotFoundError:
            works, message = True, f"{self.settings.base_url} responded and accepted the credentials."
        except TrimAuthError as error:
            works, message = False, f"{error}. Check user, token (or key) and authentication scheme of the connection."
        except TrimError as error:
            works, message = False, str(error)
        else:
            works, message = False, "The service returned a result for a random transNo; check the host."
        finally:
            self.close()
        if self._settings is not None:
            if why := limiter_for(self._settings).storage_error:
                works = False
                message += (
                    f" The quota storage is unreachable ({why}), so the quota is not shared; check quota_storage."
                )
            if note := callback_note(self._settings):
                message += f" {note}."
        return works, message

    def require_connection(self) -> None:
        """Check that the connection exists, up to four times with growing pauses; calls report other faults of it.

        :raises TrimSettingsError: it does not exist
        """
        try:
            self._retrying()(lambda: self.settings)
        except TrimSettingsError as error:
            if error.retryable:
                raise
        except TrimTransportError:
            return  # it may exist

    def reload_connection(self) -> None:
        """Reload the connection before the next call."""
        self._close_transport()
        self._settings, self._replaced = None, self._settings

    def close(self) -> None:
        """Close the session; the next call opens another. Metrics are sent, since the process may end."""
        self._close_transport()
        self.metrics.metrics.flush()

    def _close_transport(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def aclose(self) -> None:
        """Close the sessions, the event loop's one as well."""
        self._close_transport()
        if self._aio_transport is not None:
            await self._aio_transport.close()
            self._aio_transport = None
        if self.metrics.metrics is not NO_METRICS:
            await asyncio.to_thread(self.metrics.metrics.flush)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
