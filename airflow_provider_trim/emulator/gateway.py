# SPDX-License-Identifier: Apache-2.0
"""The checks in front of the service: authentication and the call quota."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_trim.emulator.authentication import Authentication, AuthenticationError
from airflow_provider_trim.emulator.quota import SlidingWindow
from airflow_provider_trim.emulator.wire import JSON_HEADERS, Response, ServiceRequest, envelope

UNAUTHORIZED, TOO_MANY_REQUESTS = 401, 429
"""HTTP status and code of the two rejections. An assumption: the vendor documents neither."""


class Gateway:
    """Rejects calls with wrong credentials, and those over the quota.

    :param authentication: verifies the credentials
    :param quota: counts the calls of an account; None counts none
    :param retry_after: whether a rejection over the quota carries ``Retry-After``, in whole seconds
    :param required: parameters that each call must have, with their values
    """

    def __init__(
        self,
        authentication: Authentication,
        quota: SlidingWindow | None,
        retry_after: bool,
        required: Mapping[str, str],
    ) -> None:
        self._required = required
        self.authentication = authentication
        self.rate_limited = 0
        """Number of calls rejected over the quota."""
        self._quota = quota
        self._retry_after = retry_after

    def reject(self, request: ServiceRequest, now: float) -> Response | None:
        """Return the response to a call that is rejected, or None for one that is accepted, which counts as a call."""
        try:
            account = self.authentication.authenticate(request)
            for name, value in self._required.items():
                if str(request.parameters.get(name)) != value:
                    raise AuthenticationError(f"{name} is missing or wrong")
        except AuthenticationError as error:
            return envelope(UNAUTHORIZED, str(error), http_status=UNAUTHORIZED)
        seconds = self._quota.acquire(account, now) if self._quota else None
        if seconds is None:
            return None
        self.rate_limited += 1
        headers = {**JSON_HEADERS, "Retry-After": str(seconds)} if self._retry_after else JSON_HEADERS
        return envelope(TOO_MANY_REQUESTS, "too many requests", http_status=TOO_MANY_REQUESTS, headers=headers)
