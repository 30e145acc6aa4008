# SPDX-License-Identifier: Apache-2.0
"""The four authentication schemes, as pure functions of request, settings and time, and those that are installed.

============== ============================================ =============================================
scheme         login, password                              host
============== ============================================ =============================================
token          userId, verification token                   api.cloudv.haplat.net
ws3-hmac-…     AccessKey ID, AccessKey Secret               api.cloudv.haplat.net ("V3")
cnc-hmac-…     AccessKey ID, AccessKey Secret               api.cdnetworks.com, open.chinanetcenter.com
api-key        user name, API key                           api.cdnetworks.com
============== ============================================ =============================================

Sources: the vendor's pages `AK/SK Authentication
<https://documents.cdnetworks.com/document/api-doc/ak-sk-authentication>`_ and `API-Key Authentication
<https://documents.cdnetworks.com/document/api-doc/api-key-authentication>`_, its Python SDK, and for
``token`` its mobile SDKs. What is signed is what is sent, so a signed request must not be changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote, unquote, urlencode, urlsplit

from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.http import Request
from airflow_provider_trim.vod.schemes import load_signer
from airflow_provider_trim.vod.settings import TrimSettings

Signer = Callable[[Request, TrimSettings, int], Request]
"""A pure function of a request without credentials, the connection's settings and the time in Unix seconds."""

_SIGNED_HEADERS = ("content-type", "host")


def sign(request: Request, settings: TrimSettings, now: float) -> Request:
    """Add to a request what proves the connection's identity.

    :param request: complete but for the proof, with its ``Content-Type``
    :param settings: scheme, login and password
    :param now: Unix seconds; the service refuses clocks more than 5 minutes off
    :raises TrimSettingsError: an installed scheme can't be loaded, or failed
    """
    signer = _SCHEMES.get(settings.auth)
    if signer is not None:
        return signer(request, settings, int(now))
    return _sign_by_entry_point(request, settings, int(now))


def _sign_by_entry_point(request: Request, settings: TrimSettings, now: int) -> Request:
    signer = load_signer(settings.auth)
    try:
        signed: object = signer(request, settings, now)
    except Exception as error:  # of another's function, which may raise anything and must end no other wait
        raise TrimSettingsError(f"authentication scheme {settings.auth!r} failed: {type(error).__name__}") from error
    if not isinstance(signed, Request) or signed.host != request.host:
        raise TrimSettingsError(f"authentication scheme {settings.auth!r} must return a Request to the same host")
    return signed


def _token(request: Request, settings: TrimSettings, now: int) -> Request:
    token = settings.password.get_secret_value()
    parameters = {"userId": settings.login}
    if not any(name == "timeStamp" for name, _ in settings.parameters):
        parameters["timeStamp"] = str(now)
    headers = dict(request.headers)
    if settings.token_header:
        headers[settings.token_header] = token
    else:
        parameters["token"] = token
    if request.method == "GET":
        return replace(request, url=f"{request.url}&{urlencode(parameters, quote_via=quote)}", headers=headers)
    return replace(request, body=request.body + b"&" + urlencode(parameters).encode(), headers=headers)


def _ws3(request: Request, settings: TrimSettings, now: int) -> Request:
    headers = {"X-WS-AccessKey": settings.login, "X-WS-Timestamp": str(now)}
    return _with_hmac("WS3-HMAC-SHA256", headers, request, settings, now)


def _cnc(request: Request, settings: TrimSettings, now: int) -> Request:
    headers = {"x-cnc-accessKey": settings.login, "x-cnc-timestamp": str(now), "x-cnc-auth-method": "AKSK"}
    return _with_hmac("CNC-HMAC-SHA256", headers, request, settings, now)


def _api_key(request: Request, settings: TrimSettings, now: int) -> Request:
    date = format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)
    digest = hmac.digest(settings.password.get_secret_value().encode(), date.encode(), "sha1")
    user_and_password = f"{settings.login}:{base64.b64encode(digest).decode()}"
    authorization = f"Basic {base64.b64encode(user_and_password.encode()).decode()}"
    headers = {"Authorization": authorization, "Date": date, "x-cnc-auth-method": "BASIC"}
    return replace(request, headers={**request.headers, **headers})


def _with_hmac(label: str, headers: dict[str, str], request: Request, settings: TrimSettings, now: int) -> Request:
    to_sign = "\n".join((label, str(now), _sha256(_canonical(request).encode())))
    secret = settings.password.get_secret_value().encode()
    signature = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    names = ";".join(_SIGNED_HEADERS)
    authorization = f"{label} Credential={settings.login}, SignedHeaders={names}, Signature={signature}"
    return replace(request, headers={**request.headers, "Authorization": authorization, **headers})


def _canonical(request: Request) -> str:
    parts = urlsplit(request.url)
    values = {"content-type": request.headers["Content-Type"].lower(), "host": request.host}
    return "\n".join(
        (
            request.method,
            parts.path,
            unquote(parts.query) if request.method == "GET" else "",
            "".join(f"{name}:{values[name]}\n" for name in _SIGNED_HEADERS),
            ";".join(_SIGNED_HEADERS),
            _sha256(request.body),
        )
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_SCHEMES: dict[str, Signer] = {
    "token": _token,
    "ws3-hmac-sha256": _ws3,
    "cnc-hmac-sha256": _cnc,
    "api-key": _api_key,
}
