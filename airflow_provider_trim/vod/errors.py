# SPDX-License-Identifier: Apache-2.0
"""The errors of the trimming API, as one tree of exceptions.

::

    TrimError
    ├── TransNoEmptyError        1601, or an empty transNo before any call
    ├── TransNoIllegalError      1602, or a transNo too long or no string before any call
    ├── TransNoNotFoundError     1603
    ├── VideoProcessingError     1560 (retryable)
    ├── TrimAuthError            HTTP 401 or 403, code 1301
    ├── TrimQuotaExceededError   HTTP 429, or 403 with Retry-After (retryable)
    ├── TrimTransportError       no response, HTTP 408 or 5xx (retryable)
    ├── TrimResponseError        a response that is not of the documented shape (retryable)
    ├── TrimTaskFailedError      status 3
    ├── TrimSettingsError        a connection that can't work
    ├── TrimParameterError       a parameter of a submission that can't work; 1000, 1561 to 1565
    └── TrimApiError             any other code or status

Codes: the vendor's page `Get Trimming Task Status
<https://documents.cdnetworks.com/document/cloud-vod/20391-get-trimming-task-status>`_ and its page of common codes.
"""

from __future__ import annotations

from typing import Any


class TrimError(Exception):
    """The base of all errors of this package; not an ``AirflowException``.

    :param message: what happened, and what to do about it where that is known
    :param code: ``code`` of the response's envelope, None where there was none
    :param request_id: the service's id of the request, for its support
    :param http_status: HTTP status of the response, None if there was none
    :param retryable: whether a retry can help; by default as the class says
    :param retry_after: seconds to wait as the service demands, None if it does not
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        request_id: str | None = None,
        http_status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id
        self.http_status = http_status
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        context = {"code": self.code, "HTTP status": self.http_status, "request id": self.request_id}
        known = ", ".join(f"{name} {value}" for name, value in context.items() if value is not None)
        return f"{self.message} ({known})" if known else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ loses keyword arguments; exceptions are pickled between processes.
        return type(self), (self.message,), self.__dict__


class TransNoEmptyError(TrimError):
    """Code 1601: the transNo is empty."""


class TransNoIllegalError(TrimError):
    """Code 1602: the transNo is not one (longer than 32 characters, or no string)."""


class TransNoNotFoundError(TrimError):
    """Code 1603: the service knows no trim of this transNo."""


class VideoProcessingError(TrimError):
    """Code 1560: the video is being processed; query again later."""

    retryable = True


class TrimAuthError(TrimError):
    """The service refused the connection's login or password (HTTP 401, 403 without ``Retry-After``, or code 1301)."""


class TrimQuotaExceededError(TrimError):
    """The quota is used up: so says the service (HTTP 429, or 403 with ``Retry-After``), or this package's own count.

    ``retry_after`` is the seconds until the next call can be made, None where the service does not say.
    """

    retryable = True


class TrimTransportError(TrimError):
    """There was no response (refused, reset, timed out, TLS), or the service is unavailable (HTTP 408, 5xx)."""

    retryable = True


class TrimResponseError(TrimError):
    """The response is not of the documented shape. The message quotes at most 200 characters of it."""

    retryable = True


class TrimTaskFailedError(TrimError):
    """Status 3: the trim has failed at the service."""


class TrimSettingsError(TrimError, ValueError):
    """The connection has a field that can't work; the message names it and says what is allowed."""


class TrimParameterError(TrimError, ValueError):
    """A parameter of a submission is wrong, by this package's own check or the service's.

    :param parameter: its name as the hook and the operator have it, None where the service does not say
    """

    def __init__(self, message: str, *, parameter: str | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.parameter = parameter


class TrimApiError(TrimError):
    """Any other code or status of the service."""


ERRORS_BY_CODE: dict[int, type[TrimError]] = {
    1301: TrimAuthError,
    1560: VideoProcessingError,
    1601: TransNoEmptyError,
    1602: TransNoIllegalError,
    1603: TransNoNotFoundError,
}
"""Codes of the envelope that have their own class; every other one is a :class:`TrimApiError`."""

PARAMETERS_BY_CODE: dict[int, str] = {
    1561: "frame_rate",
    1562: "sampling_rate",
    1563: "video_bit_rate",
    1564: "audio_bit_rate",
    1565: "resolution",
}
"""Codes with which the service refuses one parameter of a submission."""
