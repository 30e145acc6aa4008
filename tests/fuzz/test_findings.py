# SPDX-License-Identifier: Apache-2.0
"""What fuzzing has found, by the inputs that show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from targets import PARAMETERS, SECRETS, SUBMISSION, check_parameters, check_submission

from airflow_provider_trim.emulator.validation import SamplingRateParameter
from airflow_provider_trim.vod.errors import TrimError
from tests.support.parsing import parse_task

SECRET = SECRETS[0]
QUOTED = 'Zq7t0k"en\\密码 with "quotes"'
GIVEN = {name: values[0] for name, values in list(PARAMETERS.items())[:5]}


def response(**data: Any) -> bytes:
    return json.dumps({"code": 200, "message": "", "data": data}, ensure_ascii=False).encode()


def said(
    body: bytes, secret: str, http_status: int = 200, headers: Mapping[str, str] | None = None, **more: Any
) -> str:
    with pytest.raises(TrimError) as caught:
        parse_task(http_status, headers or {}, body, secret, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (response(status=3, taskId="x" * 175 + SECRET), {}),
        (response(status=9, transNo="x" * 175 + SECRET), {}),
        (b"", {"X-WS-RequestId": "x" * 175 + SECRET}),
        (response(status=2, videoInfo={"videoDuration": "x" * 140 + SECRET}), {}),
        (response(status=2, videoInfo={"uploadTime": "x" * 140 + SECRET}), {}),
    ],
    ids=["taskId", "transNo", "request id", "videoDuration", "uploadTime"],
)
def test_no_half_of_a_secret_is_left_where_a_quote_is_cut(body: bytes, headers: Mapping[str, str]) -> None:
    """What is cut off before it is redacted ends in a part of the secret, which is not known for one."""
    assert SECRET[:12] not in said(body, SECRET, headers=headers)


def test_no_half_of_a_secret_is_left_where_it_is_repeated_many_times() -> None:
    """Redacting shortens the 1600 bytes that are read, so that the half one at their end is shown."""
    assert SECRET[:12] not in said((SECRET * 60).encode(), SECRET)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": QUOTED}, ensure_ascii=False).encode(),
        json.dumps({"code": 1603, "message": [QUOTED]}).encode(),
        response(status=2, videoInfo={"videoDuration": QUOTED}),
    ],
    ids=["JSON in UTF-8", "message that is no string", "no number"],
)
def test_a_secret_with_quotes_is_not_passed_on(body: bytes) -> None:
    """JSON that is not escaped to ASCII, and Python's repr, are two more ways to write it."""
    assert "密码" not in said(body, QUOTED)


@pytest.mark.parametrize("form", ["Zq7\\/t0ken\\/abc\\/def", "Zq7%2ft0ken%2fabc%2fdef"], ids=["JSON", "percent"])
def test_a_secret_with_slashes_is_not_passed_on(form: str) -> None:
    """Some servers write "\\/" in JSON, and lower case after "%"."""
    assert form not in said(form.encode(), "Zq7/t0ken/abc/def", 404)


def test_a_trans_no_stays_on_its_line() -> None:
    """It may come out of a template, and forge a line of the log."""
    assert "\n" not in said(response(status=3), "", trans_no="a\n2026-01-01 ERROR b")


@pytest.mark.parametrize("name", ["video_id", "filename"])
def test_a_number_with_too_many_digits_for_a_text(name: str) -> None:
    """ValueError instead of TrimParameterError."""
    check_parameters({**GIVEN, name: 10**4300}, "token")


@pytest.mark.parametrize("sampling_rate_parameter", get_args(SamplingRateParameter))
def test_a_resolution_with_too_many_zeros(sampling_rate_parameter: SamplingRateParameter) -> None:
    """The emulator takes it, and then Python does not: ValueError from the handler, HTTP status 500."""
    check_submission({**SUBMISSION, "resolution": f"{'0' * 4300}640x480"}, sampling_rate_parameter)


def test_a_trans_no_with_nul_at_the_emulator() -> None:
    """It takes one that the package would not send, since no store of Airflow holds it."""
    check_submission({**SUBMISSION, "transNo": "T\0"}, "samplingRate")
