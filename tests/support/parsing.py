# SPDX-License-Identifier: Apache-2.0
"""Parses responses as those to a connection whose secret is all that matters."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from airflow_provider_trim.vod import protocol
from airflow_provider_trim.vod.http import Response
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.settings import TrimSettings

SECRET = "not-in-any-response"


def _settings(secret: str) -> TrimSettings:
    """A connection with any secret whatever, even one that it would refuse."""
    return TrimSettings(login="user").model_copy(update={"password": SecretStr(secret)})


def _response(http_status: int, headers: Mapping[str, str], body: bytes) -> Response:
    return Response(http_status, {name.lower(): value for name, value in headers.items()}, body)


def parse_task(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    secret: str = SECRET,
    now: float | None = None,
    *,
    trans_no: str | None = None,
) -> TrimTask:
    return protocol.parse_task(_response(http_status, headers, body), _settings(secret), now or 0.0, trans_no=trans_no)


def parse_submission(
    http_status: int, headers: Mapping[str, str], body: bytes, secret: str = SECRET, now: float | None = None
) -> str:
    return protocol.parse_submission(_response(http_status, headers, body), _settings(secret), now or 0.0)
