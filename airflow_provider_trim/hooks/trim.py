# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection of type ``trim``, and the trimming interface spoken over it."""

from __future__ import annotations

import asyncio
import time
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from airflow_provider_trim.get_provider_info import CONNECTION_TYPE
from airflow_provider_trim.polling.quota import quota_for, used_up
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimError,
    TrimSettingsError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.protocol import build_query, check_trans_no, decipher
from airflow_provider_trim.vod.settings import TrimSettings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

ATTEMPTS = 4
"""Calls of one :meth:`TrimApiHook.get_task`, where the earlier ones fail for a passing reason."""

LONGEST_PAUSE = 60.0
"""Seconds between two of them. A service that wants to be left alone for longer is not asked again."""

_backoff = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.5)


def _settings(connection: Connection, extra: Any) -> TrimSettings:
    if not isinstance(extra, dict):
        raise TrimSettingsError(f"connection extra should be a JSON object, not {type(extra).__name__}")
    return TrimSettings.from_connection(
        host=connection.host,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        port=connection.port,
        extra=extra,
    )


def _not_found(conn_id: str, *, retryable: bool = False) -> TrimSettingsError:
    return TrimSettingsError(
        f"there is no connection {conn_id!r}; add one of type trim, or correct trim_conn_id", retryable=retryable
    )


async def load_settings(conn_id: str) -> TrimSettings:
    """Look a connection up from within an event loop.

    :raises TrimSettingsError: it does not exist (retryable), or can't work
    :raises TrimTransportError: it can't be looked up just now
    """
    try:
        connection = await get_async_connection(conn_id)
    except AirflowNotFoundException:
        # Airflow 3 says so of a secrets backend that is away as well, and that must not end all waits of a triggerer.
        raise _not_found(conn_id, retryable=True) from None
    except Exception as error:
        # Secrets backends raise what they like, and none of it may end the waits of a whole triggerer.
        reason = type(error).__name__
        raise TrimTransportError(f"connection {conn_id!r} could not be looked up: {reason}") from error
    return _settings(connection, await get_async_extra_dejson(connection))


def _worth_another_call(error: BaseException) -> bool:
    return (
        isinstance(error, TrimError)
        and error.retryable
        and not isinstance(error, VideoProcessingError)
        and (error.retry_after or 0.0) <= LONGEST_PAUSE
    )


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), getattr(error, "retry_after", None) or 0.0)


class TrimApiHook(BaseHook):
    """Holds a connection and its token, and speaks the trimming interface.

    One HTTP session serves its lifetime; use it as a context manager, or call :meth:`close`.

    :param trim_conn_id: Airflow connection of type ``trim``
    """

    conn_name_attr = "trim_conn_id"
    default_conn_name = "trim_default"
    conn_type = "trim"
    hook_name = "Cloud VoD Trim"

    def __init__(self, trim_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trim_conn_id = trim_conn_id
        self._settings: TrimSettings | None = None
        self._transport: SyncTransport | None = None
        self._aio_transport: AioTransport | None = None
        self._sleep = time.sleep

    @property
    def settings(self) -> TrimSettings:
        """The connection's parts, validated; looked up at the first use.

        :raises TrimSettingsError: the connection does not exist, or can't work
        """
        if self._settings is None:
            try:
                connection = self.get_connection(self.trim_conn_id)
            except AirflowNotFoundException:
                raise _not_found(self.trim_conn_id) from None
            self._settings = _settings(connection, connection.extra_dejson)
        return self._settings

    def get_conn(self) -> SyncTransport:
        """Return the transport that sends this hook's requests."""
        if self._transport is None:
            self._transport = SyncTransport(self.settings)
        return self._transport

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
        retrying = Retrying(
            retry=retry_if_exception(_worth_another_call),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            sleep=self._sleep,
            before_sleep=self._log_retry,
            reraise=True,
        )
        return retrying(self.ask, trans_no, self.settings.timeout)

    def ask(self, trans_no: str, patience: float = 0.0) -> TrimTask:
        """Ask once, without retries; otherwise as :meth:`get_task`.

        :param patience: seconds to wait at most for a turn under the account's quota
        :raises TrimQuotaExceededError: the turn does not come so soon; no call was made
        """
        check_trans_no(trans_no)
        quota = quota_for(self.settings)
        waited = 0.0
        while pause := quota.acquire():
            if waited + pause > patience:
                raise used_up(pause)
            self._sleep(pause)
            waited += pause
        answer = self.get_conn().send(build_query(self.settings, trans_no, time.time()))
        with quota.watch_answer():
            return decipher(answer.status, answer.headers, answer.body, trans_no=trans_no)

    async def aget_task(self, trans_no: str) -> TrimTask:
        """Ask how far a trim is, from within an event loop; otherwise as :meth:`get_task`.

        The session belongs to the first event loop that asks; call :meth:`aclose` there, or use ``async with``.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(_worth_another_call),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            sleep=asyncio.sleep,
            before_sleep=self._log_retry,
            reraise=True,
        )
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
            if waited + pause > self._settings.timeout:
                raise used_up(pause)
            await asyncio.sleep(pause)
            waited += pause
        answer = await self._aio_transport.send(build_query(self._settings, trans_no, time.time()))
        with quota.watch_answer():
            return decipher(answer.status, answer.headers, answer.body, trans_no=trans_no)

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        self.log.warning(
            "%s; asking again in %.1f s (call %d of %d failed)", error, pause, state.attempt_number, ATTEMPTS
        )

    def test_connection(self) -> tuple[bool, str]:
        """Ask for a transNo that can't exist: code 1603 proves host, path and credentials.

        :returns: whether the connection works, and a sentence for the user
        """
        try:
            self.ask(uuid.uuid4().hex, self.settings.timeout)
        except TransNoNotFoundError:
            return True, f"{self.settings.base_url} answered and accepted the credentials."
        except TrimError as error:
            return False, str(error)
        finally:
            self.close()
        return False, "The service claims to know a transNo that was just made up; is the host the right one?"

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
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import BooleanField, PasswordField, StringField

        widgets: dict[str, Any] = {}
        for name, definition in CONNECTION_TYPE["conn-fields"].items():
            kind, schema = StringField, definition["schema"]
            options: dict[str, Any] = {"widget": BS3TextFieldWidget()}
            if "boolean" in schema["type"]:
                kind, options = BooleanField, {}
            elif schema.get("format") == "password":
                kind, options = PasswordField, {"widget": BS3PasswordFieldWidget()}
            widgets[name] = kind(definition["label"], description=definition["description"], **options)
        return widgets
