# SPDX-License-Identifier: Apache-2.0
"""One request by requests, for workers."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import requests
import urllib3

from airflow_provider_trim.transports.environment import CONNECT_TIMEOUT, ca_file, proxy_url, transport_error
from airflow_provider_trim.vod.messages import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings


class _Session(requests.Session):
    """Looks at no redirect: ``Session.send`` resolves even one it does not follow, and fails on a bad ``Location``."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class SyncTransport:
    """Sends requests of one connection over one session; redirects are not followed."""

    def __init__(self, settings: TrimSettings) -> None:
        proxy = proxy_url(settings)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._verify = ca_file(settings) or False
        self._timeout = (min(CONNECT_TIMEOUT, settings.timeout), settings.timeout)
        self._session = _Session()

    def send(self, request: Request) -> Response:
        """Send a request and return its answer, whatever its status.

        :raises TrimTransportError: there is none
        """
        try:
            # Prepared without the session, whose defaults (.netrc, cookies, headers) would change what was signed.
            prepared = requests.Request(request.method, request.url, dict(request.headers), data=request.body).prepare()
            answer = self._session.send(
                prepared,
                timeout=self._timeout,
                verify=self._verify,
                proxies=self._proxies,
                allow_redirects=False,
            )
            return Response(answer.status_code, answer.headers, answer.content)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise transport_error(request, error) from None

    def close(self) -> None:
        """Close the session's connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
