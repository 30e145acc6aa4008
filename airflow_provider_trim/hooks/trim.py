# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection of type ``trim``, and the trimming interface spoken over it."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from tenacity import AsyncRetrying, Retrying

from airflow_provider_trim.compat import BaseHook
from airflow_provider_trim.get_provider_info import CONNECTION_TYPE
from airflow_provider_trim.hooks.connections import form_widgets, load_settings, look_up_errors, settings_of
from airflow_provider_trim.hooks.retries import retry_options
from airflow_provider_trim.polling.quota import quota_for, used_up
from airflow_provider_trim.polling.signing import sign_once
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimAuthError,
    TrimError,
    TrimSettingsError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.messages import Request
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.protocol import (
    build_query,
    build_submission,
    check_trans_no,
    decipher,
    decipher_submission,
)
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.submission import TrimSubmission

_Answer = TypeVar("_Answer")

PAUSE_WORTH_A_LINE = 5.0
"""Seconds of waiting for a turn under the quota from which the log says so."""


class TrimApiHook(BaseHook):
    """Holds a connection and its token, and speaks the trimming interface.

    One HTTP session serves its lifetime; use it as a context manager, or call :meth:`close`.

    :param trim_conn_id: Airflow connection of type ``trim``
    :param patience: seconds for which a call waits for its turn under the account's quota, at most; by default the
        connection's ``timeout``
    """

    conn_name_attr = "trim_conn_id"
    default_conn_name = "trim_default"
    conn_type = "trim"
    hook_name = "Cloud VoD Trim"

    def __init__(self, trim_conn_id: str = default_conn_name, *, patience: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trim_conn_id = trim_conn_id
        self._given_patience = patience
        self._settings: TrimSettings | None = None
        self._transport: SyncTransport | None = None
        self._aio_transport: AioTransport | None = None
        self._sleep = time.sleep

    @property
    def settings(self) -> TrimSettings:
        """The connection's parts, validated; looked up at the first use.

        :raises TrimSettingsError: the connection does not exist (retryable), or can't work
        :raises TrimTransportError: it can't be looked up just now
        """
        if self._settings is None:
            with look_up_errors(self.trim_conn_id):
                connection = self.get_connection(self.trim_conn_id)
            self._settings = settings_of(connection, connection.extra_dejson)
        return self._settings

    def get_conn(self) -> SyncTransport:
        """Return the transport that sends this hook's requests."""
        if self._transport is None:
            self._transport = SyncTransport(self.settings)
        return self._transport

    @property
    def _patience(self) -> float:
        return self.settings.timeout if self._given_patience is None else self._given_patience

    def get_task(self, trans_no: str) -> TrimTask:
        """Ask how far a trim is.

        Up to four calls are made where the service does not answer or answers nonsense, with growing pauses;
        ``Retry-After`` is honoured up to a minute.

        :param trans_no: the transNo under which the trim was submitted, at most 32 characters
        :returns: a trim that is processing or successful
        :raises TransNoEmptyError: ``trans_no`` is empty
        :raises TransNoIllegalError: ``trans_no`` is no string, or too long
        :raises TransNoNotFoundError: the service does not know it
        :raises VideoProcessingError: code 1560, the video is being processed
        :raises TrimTaskFailedError: status 3
        :raises TrimError: anything else that :mod:`airflow_provider_trim.vod.errors` lists
        """
        return self._retrying()(self.ask, trans_no, self._patience)

    def ask(self, trans_no: str, patience: float = 0.0) -> TrimTask:
        """Ask once, without retries; otherwise as :meth:`get_task`.

        :param patience: seconds to wait at most for a turn under the account's quota
        :raises TrimQuotaExceededError: the turn does not come so soon; no call was made
        """
        check_trans_no(trans_no)
        build = functools.partial(build_query, self.settings, trans_no)
        return self._call(build, functools.partial(decipher, trans_no=trans_no), patience)

    def submit_trim(self, **parameters: Any) -> str:
        """Start a trim: cut a clip out of a video.

        After an answer was lost, the service is asked whether it knows the transNo before anything is sent again, so
        that no trim is paid for twice.

        :param parameters: those of :class:`~airflow_provider_trim.vod.submission.TrimSubmission`: ``video_id``,
            ``seek_start``, ``duration``, ``filename``, and what is optional; without ``trans_no``, a random one is used
        :returns: the transNo under which the trim can be waited for
        :raises TransNoEmptyError, TransNoIllegalError: ``trans_no`` can't be one; nothing was sent
        :raises TrimParameterError: another parameter is wrong, by its name
        :raises TrimError: anything else that :mod:`airflow_provider_trim.vod.errors` lists
        """
        submission = TrimSubmission.check(**{"trans_no": uuid.uuid4().hex, **parameters})
        build = functools.partial(build_submission, self.settings, submission.on_the_wire(self.settings))
        for attempt in self._retrying():
            with attempt:
                again = attempt.retry_state.attempt_number > 1
                if again and self._knows(submission.trans_no):
                    break
                try:
                    self._call(build, decipher_submission, self._patience)
                except TrimError as error:
                    # Refused as a duplicate, say: what looked lost may have arrived in the meantime.
                    if not (again and not error.retryable and self._knows(submission.trans_no)):
                        raise
        return submission.trans_no

    def _knows(self, trans_no: str) -> bool:
        try:
            self.ask(trans_no, self._patience)
        except TransNoNotFoundError:
            return False
        except (VideoProcessingError, TrimTaskFailedError):
            return True
        return True

    def _call(self, build: Callable[[float], Request], read: Callable[..., _Answer], patience: float) -> _Answer:
        """Make one call, when it is this caller's turn under the account's quota."""
        quota = quota_for(self.settings)
        waited = 0.0
        while pause := quota.acquire():
            if waited + pause > patience:
                raise used_up(pause)
            if pause >= PAUSE_WORTH_A_LINE:
                self.log.info("The account's quota is used up for now: the call has to wait for %.0f s", pause)
            self._sleep(pause)
            waited += pause
        answer = self.get_conn().send(sign_once(build, time.time()))
        with quota.watch_answer():
            return read(answer.status, answer.headers, answer.body, **self._whom())

    def _retrying(self) -> Retrying:
        return Retrying(sleep=self._sleep, **retry_options(self.log))

    async def aget_task(self, trans_no: str) -> TrimTask:
        """Ask how far a trim is, from within an event loop; otherwise as :meth:`get_task`.

        The session belongs to the first event loop that asks; call :meth:`aclose` there, or use ``async with``.
        """
        retrying = AsyncRetrying(sleep=asyncio.sleep, **retry_options(self.log))
        return await retrying(self._aask, trans_no)

    async def _aask(self, trans_no: str) -> TrimTask:
        if self._settings is None:
            self._settings = await load_settings(self.trim_conn_id)
        check_trans_no(trans_no)
        if self._aio_transport is None:
            self._aio_transport = AioTransport(self._settings)
        quota = quota_for(self._settings)
        waited = 0.0
        while pause := await quota.aacquire():
            if waited + pause > self._patience:
                raise used_up(pause)
            await asyncio.sleep(pause)
            waited += pause
        build = functools.partial(build_query, self._settings, trans_no)
        answer = await self._aio_transport.send(sign_once(build, time.time()))
        with quota.watch_answer():
            return decipher(answer.status, answer.headers, answer.body, trans_no=trans_no, **self._whom())

    def _whom(self) -> dict[str, Any]:
        """Return what an answer is read beside: the secret that is not to be quoted, and this machine's clock."""
        return {"secret": self.settings.password.get_secret_value(), "now": time.time()}

    def test_connection(self) -> tuple[bool, str]:
        """Ask for a transNo that can't exist: code 1603 proves host, path and credentials.

        :returns: whether the connection works, and a sentence for the user
        """
        try:
            self.ask(uuid.uuid4().hex, self.settings.timeout)
        except TransNoNotFoundError:
            return True, f"{self.settings.base_url} answered and accepted the credentials."
        except TrimAuthError as error:
            return False, f"{error}. Check user, token (or key) and authentication scheme of the connection."
        except TrimError as error:
            return False, str(error)
        finally:
            self.close()
        return False, "The service claims to know a transNo that was just made up; is the host the right one?"

    def check_exists(self) -> None:
        """Look for the connection, up to four times with growing pauses; what else is wrong with it, calls tell.

        :raises TrimSettingsError: it does not exist
        """
        try:
            self._retrying()(lambda: self.settings)
        except TrimSettingsError as error:
            if error.retryable:
                raise
        except TrimTransportError:
            return  # it may exist

    def refresh(self) -> None:
        """Look the connection up afresh before the next call."""
        self.close()
        self._settings = None

    def close(self) -> None:
        """Close the session; the next call opens another."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def aclose(self) -> None:
        """Close the sessions, the event loop's one as well."""
        self.close()
        if self._aio_transport is not None:
            await self._aio_transport.close()
            self._aio_transport = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Fields of the connection form of Airflow 2.11; Airflow 3 reads the provider info instead."""
        return {name.replace("-", "_"): value for name, value in CONNECTION_TYPE["ui-field-behaviour"].items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Extras of the connection form of Airflow 2.11; Airflow 3 reads the provider info instead."""
        return form_widgets()
