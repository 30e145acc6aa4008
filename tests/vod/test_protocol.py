# SPDX-License-Identifier: Apache-2.0
"""Requests as they are built, and every kind of response as it is read."""

import base64
import inspect
import json
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim import __version__
from airflow_provider_trim.vod import errors
from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TransNoNotFoundError,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import build_query, check_trans_no
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.parsing import parse_task

EXAMPLE = (Path(__file__).parents[1] / "data" / "interface-example.json").read_bytes()
TRANS_NO = "036b6f4a01611000a79c3a7800000000"
URL = "https://api.cloudv.haplat.net/vod/videoManage/videoClipQuery"
NOW = 1516182478.9


NOON = 1516190400.0
"""Wed, 17 Jan 2018 12:00:00 GMT."""


def settings(auth: str = "token", **extra: object) -> TrimSettings:
    return TrimSettings.from_connection(login="me", password="s3cret", extra={"auth": auth, **extra})


def envelope(data: object = None, code: object = 200, message: object = "操作成功") -> bytes:
    return json.dumps({"code": code, "message": message, "data": data}, ensure_ascii=False).encode()


def processing(**others: object) -> dict[str, object]:
    return {"taskId": "t", "transNo": TRANS_NO, "status": 1, **others}


def ask(
    body: bytes, http_status: int = 200, headers: Mapping[str, str] | None = None, trans_no: str | None = TRANS_NO
) -> TrimTask:
    return parse_task(http_status, headers or {}, body, trans_no=trans_no)


def refusal(body: bytes, http_status: int = 200, headers: Mapping[str, str] | None = None) -> TrimError:
    """The error a response is read as; whatever it is, it keeps the facts and survives pickling."""
    headers = {"X-WS-RequestId": "r-1", **(headers or {})}
    with pytest.raises(TrimError) as caught:
        ask(body, http_status, headers)
    error = caught.value
    assert error.request_id == "r-1"
    assert error.http_status == http_status
    assert f"HTTP status {http_status}" in str(error)
    assert "request id r-1" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    return error


# --- requests ---


@pytest.mark.parametrize("auth", ["token", "ws3-hmac-sha256"])
def test_post_is_a_form(auth: str) -> None:
    request = build_query(settings(auth), TRANS_NO, NOW)
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"] == f"airflow-provider-trim/{__version__}"
    assert parse_qs(request.body.decode())["transNo"] == [TRANS_NO]


@pytest.mark.parametrize("auth", ["cnc-hmac-sha256", "api-key"])
def test_newer_hosts_get_json(auth: str) -> None:
    request = build_query(settings(auth), TRANS_NO, NOW)
    assert request.url == URL
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {"transNo": TRANS_NO}


@pytest.mark.parametrize("auth", ["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"])
def test_get_has_no_body(auth: str) -> None:
    request = build_query(settings(auth, method="GET", allow_token_in_url=True), TRANS_NO, NOW)
    assert (request.method, request.body) == ("GET", b"")
    assert request.url.startswith(f"{URL}?transNo={TRANS_NO}")


def test_address_is_host_and_path_of_the_connection() -> None:
    connection = TrimSettings.from_connection(host="https://gateway.example.com/cloud/", extra={"api_path": "/v2/"})
    assert build_query(connection, "T", NOW).url == "https://gateway.example.com/cloud/v2/videoClipQuery"


@pytest.mark.parametrize("trans_no", ["a b", "a+b", "a&userId=x", "50%", "片段-1", "a/b?c#d", "💡=;", "~._-"])
def test_odd_trans_no_arrives_as_it_is(trans_no: str) -> None:
    form = build_query(settings(), trans_no, NOW)
    assert parse_qs(form.body.decode())["transNo"] == [trans_no]
    assert parse_qs(form.body.decode())["userId"] == ["me"]
    query = build_query(settings(method="GET", token_header="X-Token"), trans_no, NOW)
    assert parse_qs(urlsplit(query.url).query)["transNo"] == [trans_no]
    assert "+" not in query.url  # a space as %20 is read alike by all servers
    assert json.loads(build_query(settings("api-key"), trans_no, NOW).body)["transNo"] == trans_no
    assert all("!" <= character <= "~" for character in query.url)


@pytest.mark.parametrize(
    ("trans_no", "kind"),
    [
        ("", TransNoEmptyError),
        (None, TransNoEmptyError),
        ("x" * 33, TransNoIllegalError),
        (12, TransNoIllegalError),
        (b"T", TransNoIllegalError),
        (["T"], TransNoIllegalError),
        ("\ud800", TransNoIllegalError),
    ],
)
def test_impossible_trans_no_fails_before_any_call(trans_no: Any, kind: type[TrimError]) -> None:
    for call in (check_trans_no, lambda value: build_query(settings(), value, NOW)):
        with pytest.raises(kind, match=r"^trans_no ") as caught:
            call(trans_no)
        assert (caught.value.code, caught.value.http_status, caught.value.retryable) == (None, None, False)


@pytest.mark.parametrize("trans_no", ["x", "x" * 32, "片" * 32])
def test_possible_trans_no(trans_no: str) -> None:
    assert check_trans_no(trans_no) == trans_no


# --- responses that are a trim ---


def test_documented_example() -> None:
    task = ask(EXAMPLE, headers={"x-ws-requestID": "r-7"})
    assert task.status is TrimStatus.SUCCESSFUL
    assert task.video_info is not None
    assert task.video_info.player_name == "基础播放器"
    assert task.request_id == "r-7"
    assert task.raw == json.loads(EXAMPLE)["data"]


@pytest.mark.parametrize(
    "body",
    [
        envelope(processing()),
        envelope(processing(status="1")),
        envelope(processing(videoInfo=None)),
        envelope(processing(videoInfo="")),
        envelope(processing(requestId="the wire's")),
        envelope({"status": 1}),
        envelope(processing(), code="200"),
        envelope(processing(), message=None),
        b"\xef\xbb\xbf" + envelope(processing()),
        json.dumps({"data": processing(), "code": 200, "more": 1}).encode(),
        envelope(processing(unheardOf=10**100)),
    ],
)
def test_a_trim_that_is_processing(body: bytes) -> None:
    task = ask(body)
    assert (task.status, task.video_info, task.request_id) == (TrimStatus.PROCESSING, None, None)


def test_trans_no_of_the_response_is_checked() -> None:
    assert ask(envelope(processing(transNo=None))).trans_no == ""
    assert ask(envelope(processing()), trans_no=None).trans_no == TRANS_NO
    assert ask(envelope(processing(transNo=123)), trans_no="123").trans_no == "123"
    assert "response is for another transNo" in refusal(envelope(processing(transNo="other"))).message


# --- responses that are not of the documented shape ---


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>502</html>", "not JSON"),
        (b'{"code": 200', "not JSON"),
        (b'{"code": 200, "message": "\xff\xfe"}', "not JSON"),
        (b'{"code": 200, "message": "\\ud800"}', "not JSON"),
        (envelope(processing(x=float("nan"))), "not JSON"),
        (envelope(processing(status=float("inf"))), "not JSON"),
        (b"[" * 9_000, "not JSON"),
        (b'{"code": 200, "data": ' + b'{"a":' * 9_000, "not JSON"),
        (b'{"code": ' + b"9" * 10_000 + b"}", "not JSON"),
        (envelope(processing()).decode().encode("utf-16"), "not JSON"),
        (b"null", "response: must be an object)"),
        (b"[]", "response: must be an object)"),
        (b'"200"', "response: must be an object)"),
        (b"{}", "code: Field required"),
        (envelope(processing(), code=None), "code: must be a valid integer"),
        (envelope(processing(), code=True), "code: must be an integer, not a boolean"),
        (envelope(processing(), code="OK"), "code: must be a valid integer"),
        (envelope(processing(), code="9" * 10_000), "code: Unable to parse"),
        (envelope(processing(), code=2**63), "code: must be less than"),
        (envelope(processing(), code=10**4000), "code: "),
        (envelope(None), "data must be an object"),
        (envelope(""), "data must be an object"),
        (envelope([processing()]), "data must be an object"),
        (b'{"code": 200}', "data must be an object"),
        (envelope({}), "data.status: Field required"),
        (envelope(processing(status=None)), "data.status: must be 1, 2 or 3"),
        (envelope(processing(status=True)), "data.status: must be an integer, not a boolean"),
        (envelope(processing(status="")), "data.status: "),
        (envelope(processing(status=10**4000)), "data.status: "),
        (envelope(processing(transNo={})), "data.transNo: must be a valid string"),
        (envelope(processing(status=2)), "status 2 (successful) without videoInfo"),
        (envelope(processing(status="2", videoInfo=None)), "status 2 (successful) without videoInfo"),
        (envelope(processing(status=2, videoInfo="")), "status 2 (successful) without videoInfo"),
        (envelope(processing(status=2, videoInfo=[])), "data.videoInfo: must be an object)"),
        *(
            (envelope(processing(status=2, videoInfo={name: value})), f"data.videoInfo.{where}: {words})")
            for name, value, where, words in (
                ("videoResolutions", "x", "videoResolutions", "must be an array"),
                ("videoResolutions", [1], "videoResolutions.0", "must be an object"),
                ("uploadTime", "noon", "uploadTime", "must be a time in Unix seconds"),
                ("uploadTime", {}, "uploadTime", "must be a time in Unix seconds"),
                ("updateTime", 1e300, "updateTime", "must be a time in Unix seconds"),
                ("videoDuration", "x", "videoDuration", "must be a duration in seconds"),
                ("videoDuration", [], "videoDuration", "must be a duration in seconds"),
            )
        ),
        (envelope(processing(status=2, videoInfo={"videoSize": "x"})), "data.videoInfo.videoSize: "),
        (
            envelope(processing(status=2, videoInfo={"videoResolutions": [{}, {"clarity": "x"}]})),
            "data.videoInfo.videoResolutions.1.clarity: ",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_undocumented_shape(body: bytes, why: str) -> None:
    """Never read as a success."""
    error = refusal(body)
    assert type(error) is TrimResponseError
    assert error.retryable
    assert error.message.startswith("unexpected response (")
    assert f"({why}" in error.message
    assert error.code == (200 if why.startswith(("data", "status 2")) else None)
    assert len(str(error)) < 700


@pytest.mark.parametrize("http_status", [201, 204, 301, 404, 400])
def test_http_status_with_code_200(http_status: int) -> None:
    error = refusal(envelope(processing()), http_status)
    assert type(error) is TrimResponseError
    assert f"HTTP status {http_status} with code 200" in error.message


def test_at_most_200_characters_are_quoted() -> None:
    assert f"): '{'坏' * 199}…'" in refusal(("坏" * 201).encode()).message
    assert f"): '{'💡' * 199}…'" in refusal(("💡" * 201).encode()).message
    assert f"): '{'x' * 199}…'" in refusal(b"x" * 201).message
    assert refusal(envelope(code=1565, message="坏" * 200)).message.endswith(f"error: {'坏' * 200}")
    assert refusal(envelope(code=1565, message="坏" * 201)).message.endswith(f"error: {'坏' * 199}…")
    for body in (envelope(processing(status=3, taskId="x" * 9999)), envelope({"status": 7, "taskId": "x" * 9999})):
        assert "x" * 199 + "…" in refusal(body).message
    with pytest.raises(TrimTaskFailedError, match=r"^trim x{199}… "):
        ask(envelope(processing(status=3, transNo="x" * 9999)), trans_no=None)


# --- responses that say no ---


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (1560, VideoProcessingError, True),
        (1601, TransNoEmptyError, False),
        (1602, TransNoIllegalError, False),
        (1603, TransNoNotFoundError, False),
        (1301, TrimAuthError, False),
        (1000, TrimApiError, False),
        (1565, TrimApiError, False),
        (24112000, TrimApiError, False),
        (0, TrimApiError, False),
        (499, TrimApiError, False),
        (500, TrimTransportError, True),
        (503, TrimTransportError, True),
        (599, TrimTransportError, True),
        (600, TrimApiError, False),
        (-1, TrimApiError, False),
        (2**63 - 1, TrimApiError, False),
    ],
)
@pytest.mark.parametrize("data", [None, "", [], {}, processing(), processing(status=2)])
def test_error_codes(code: int, kind: type[TrimError], retryable: bool, data: object) -> None:
    """Whatever ``data`` is."""
    for wire in (code, str(code)):
        error = refusal(envelope(data, wire, "视频不存在"))
        assert (type(error), error.code, error.retryable) == (kind, code, retryable)
        assert str(error) == f"API error: 视频不存在 (code {code}, HTTP status 200, request id r-1)"


@pytest.mark.parametrize(
    "body", [envelope(code=1603, message=None), b'{"code": 1603}', envelope(code=1603, message="")]
)
def test_code_without_message(body: bytes) -> None:
    error = refusal(body)
    assert (type(error), error.message) == (TransNoNotFoundError, "API error: no message")


@pytest.mark.parametrize("message", [[], {"a": 1}, 5, 1.5, False])
def test_a_message_that_is_no_string_hides_no_code(message: object) -> None:
    error = refusal(envelope(code=1603, message=message))
    assert (type(error), error.code) == (TransNoNotFoundError, 1603)
    assert error.message == f"API error: {message!r}"


SECRET = "s3cr?t/密 +"
SECRET_FORMS = (
    SECRET,
    "s3cr%3Ft%2F%E5%AF%86%20%2B",
    "s3cr%3Ft%2F%E5%AF%86+%2B",
    base64.b64encode(SECRET.encode()).decode(),
    base64.urlsafe_b64encode(SECRET.encode()).decode(),
)


@pytest.mark.parametrize("form", SECRET_FORMS)
@pytest.mark.parametrize("padding", ["", "x" * 190], ids=["short", "cut"])
@pytest.mark.parametrize("http_status", [200, 401, 404, 429, 500])
def test_a_secret_that_the_service_repeats_is_not_passed_on(form: str, padding: str, http_status: int) -> None:
    said = f"{padding}token {form} is unknown"
    bodies = (
        said.encode(),
        envelope(code=1565, message=said),
        envelope(processing(status=3, taskId=said)),
        envelope(processing(status=9, transNo=said)),
    )
    for body in bodies:
        with pytest.raises(TrimError) as caught:
            parse_task(http_status, {"X-WS-RequestId": f"r-{form}"}, body, SECRET)
        shown = str(caught.value) + repr(caught.value)
        assert form[:5] not in shown.replace("s3cr***", "")
        assert "r-***" in shown


def test_a_secret_that_is_repeated_in_json_is_not_passed_on() -> None:
    with pytest.raises(TrimResponseError) as caught:
        parse_task(404, {}, json.dumps({"error": f"token {SECRET} is unknown"}).encode(), SECRET)
    assert "token *** is unknown" in str(caught.value)


def test_what_the_service_says_stays_on_its_line() -> None:
    """A message must not forge lines of the log, nor speak to the terminal."""
    error = refusal(envelope(code=1565, message="a\n2026-01-01 ERROR b\r\x1b[31mc\u2028d\u202e操作"))
    assert error.message == "API error: a\\n2026-01-01 ERROR b\\r\\x1b[31mc\\u2028d\\u202e操作"


@pytest.mark.parametrize(
    ("now", "note"),
    [
        (NOON, ""),
        (NOON + 29, ""),
        (NOON + 400.4, "; your clock is off by 400 s (ahead)"),
        (NOON - 31, "; your clock is off by 31 s (behind)"),
    ],
)
def test_a_refusal_says_how_far_the_clock_is_off(now: float, note: str) -> None:
    for http_status in (401, 403):
        with pytest.raises(TrimAuthError) as caught:
            parse_task(http_status, {"Date": "Wed, 17 Jan 2018 12:00:00 GMT"}, b"", now=now)
        assert caught.value.message == f"authentication failed{note}"


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 99 Jan 2018 12:00:00 GMT"])
def test_a_refusal_without_a_usable_date(date: str | None) -> None:
    with pytest.raises(TrimAuthError) as caught:
        parse_task(401, {} if date is None else {"Date": date}, b"", now=0.0)
    assert "clock" not in caught.value.message


@pytest.mark.parametrize(
    ("http_status", "location", "hint"),
    [
        (404, None, "not JSON; check the connection's host and api_path"),
        (301, "https://new.example.com/vod?token=1", "is new.example.com the right host?"),
        (302, "/elsewhere", "is the same the right host?"),
        (307, "http://[", "is another the right host?"),
    ],
)
def test_an_address_that_is_wrong_is_said_to_be(http_status: int, location: str | None, hint: str) -> None:
    with pytest.raises(TrimResponseError) as caught:
        parse_task(http_status, {} if location is None else {"Location": location}, b"<html>")
    assert hint in caught.value.message
    assert "token=1" not in caught.value.message


def test_code_with_a_client_error() -> None:
    error = refusal(envelope(code=24112000, message="parameter error"), 400)
    assert (type(error), error.code, error.http_status) == (TrimApiError, 24112000, 400)


def test_failed_trim() -> None:
    error = refusal(envelope(processing(status=3)))
    assert (type(error), error.code, error.retryable) == (TrimTaskFailedError, 200, False)
    assert error.message.startswith(f"trim {TRANS_NO} (taskId t) failed: status 3.")


@pytest.mark.parametrize("status", [0, 4, -1, "7"])
def test_unknown_status_is_named(status: object) -> None:
    """Fail closed."""
    error = refusal(envelope(processing(status=status, videoInfo={"videoId": "v"})))
    assert (type(error), error.code, error.retryable) == (TrimApiError, 200, False)
    assert f"unknown status {status}" in error.message


RETRY = {"Retry-After": "7"}


@pytest.mark.parametrize(
    ("http_status", "headers", "kind", "retryable", "retry_after"),
    [
        (401, {}, TrimAuthError, False, None),
        (403, {}, TrimAuthError, False, None),
        (403, RETRY, TrimQuotaExceededError, True, 7.0),
        (429, {}, TrimQuotaExceededError, True, None),
        (429, RETRY, TrimQuotaExceededError, True, 7.0),
        (408, {}, TrimTransportError, True, None),
        (500, {}, TrimTransportError, True, None),
        (502, {}, TrimTransportError, True, None),
        (503, RETRY, TrimTransportError, True, 7.0),
        (599, {}, TrimTransportError, True, None),
    ],
)
def test_http_status(
    http_status: int, headers: dict[str, str], kind: type[TrimError], retryable: bool, retry_after: float | None
) -> None:
    """The status counts whatever the body is, and the envelope's words are kept."""
    said = {
        b"<html><h1>Bad Gateway</h1></html>": (None, ""),
        b"": (None, ""),
        envelope(code=5, message="忙"): (5, ": 忙"),
        envelope(code=1603, message="no"): (1603, ": no"),
        envelope(processing(), message=""): (200, ""),
    }
    for body, (code, words) in said.items():
        error = refusal(body, http_status, headers)
        assert type(error) is kind
        assert (error.code, error.retryable, error.retry_after) == (code, retryable, retry_after)
        assert error.message.endswith(("failed" + words, "exceeded" + words, "unavailable" + words))


@pytest.mark.parametrize("http_status", [301, 302, 404, 400, 204])
def test_other_http_status_without_json(http_status: int) -> None:
    assert type(refusal(b"<html>moved</html>", http_status)) is TrimResponseError


DATE = {"date": "Wed, 17 Jan 2018 09:47:58 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"RETRY-AFTER": "1" * 5000}, 300.0),
        ({"Retry-After": "Wed, 17 Jan 2018 09:48:28 GMT", **DATE}, 30.0),
        ({"Retry-After": "Wednesday, 17-Jan-18 09:48:28 GMT", **DATE}, 30.0),
        ({"Retry-After": "Wed, 17 Jan 2018 09:47:00 GMT", **DATE}, 0.0),
        ({"Retry-After": "Wed, 17 Jan 2018 09:48:28 GMT"}, None),
        ({"Retry-After": "Wed, 17 Jan 2018 09:48:28 GMT", "Date": "yesterday"}, None),
        ({"Retry-After": "Wed, 17 Jan 2018 09:48:28 -0000", **DATE}, None),
        ({"Retry-After": "Wed, 17 Jan 99999999999999999999 09:48:28 GMT", **DATE}, None),
        ({"Retry-After": "Wed, 17 Jan 2018 09:48:28 +99999999999999999999", **DATE}, None),
        *(({"Retry-After": text, **DATE}, None) for text in ("", "soon", "-5", "1.5", "²", "٣", "nan", "1e3")),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """A date counts from the response's own date, since clocks differ."""
    assert refusal(b"", 429, headers).retry_after == seconds


@pytest.mark.parametrize("name", ["X-WS-RequestId", "x-ws-requestid", "X-CNC-REQUEST-ID", "x-cnc-request-id"])
def test_request_id(name: str) -> None:
    assert ask(EXAMPLE, headers={name: "r-9"}).request_id == "r-9"
    for body, http_status in [(b"", 200), (b"", 500), (envelope(), 200), (envelope(code=1603), 200), (b"", 429)]:
        with pytest.raises(TrimError, match="request id r-9") as caught:
            ask(body, http_status, {name: "r-9"})
        assert caught.value.request_id == "r-9"


# --- whatever comes ---

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([1, 2, 3, "1", "2", TRANS_NO]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def objects(*names: str, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={**dict.fromkeys(names, json_values), **fixed})


renditions = objects("clarity", "serverType", "width", "height", "fileSize")
video_infos = objects(
    "videoId",
    "videoName",
    "encrypt",
    "videoSize",
    "videoDuration",
    "uploadTime",
    "updateTime",
    "videoState",
    "transcodeState",
    "videoSourceCode",
    "raw",
    videoResolutions=json_values | st.lists(renditions, max_size=2),
)
trims = objects(
    "taskId",
    "raw",
    "requestId",
    transNo=json_values | st.just(TRANS_NO),
    status=json_values | st.integers(0, 4),
    videoInfo=json_values | video_infos,
)
envelopes = objects(
    code=json_values | st.sampled_from([200, 200, 1560, 1601, "1603"]), message=json_values, data=json_values | trims
)
bodies = st.binary() | (json_values | envelopes).map(lambda value: json.dumps(value).encode())
statuses = st.just(200) | st.integers(100, 599) | st.sampled_from([401, 403, 429, 503])
dates = st.from_regex(r"(Mon, )?[0-9]{1,9} Jan [0-9]{1,25} [0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3} (GMT|[+-][0-9]{1,25})")
headers_ = st.dictionaries(st.sampled_from(["Retry-After", "date", "X-WS-RequestId", "x"]), st.text() | dates)


@given(statuses, headers_, bodies, st.sampled_from([None, TRANS_NO]))
def test_only_trim_errors_come_out(
    http_status: int, headers: dict[str, str], body: bytes, trans_no: str | None
) -> None:
    """There is no undocumented error."""
    outcome: TrimTask | TrimError
    try:
        outcome = parse_task(http_status, headers, body, trans_no=trans_no)
    except TrimError as error:
        outcome = error
    if isinstance(outcome, TrimTask):
        assert http_status == 200
        assert outcome.status in (TrimStatus.PROCESSING, TrimStatus.SUCCESSFUL)
        assert outcome.status is TrimStatus.PROCESSING or outcome.video_info is not None
        assert outcome.raw == json.loads(body)["data"]
    else:
        assert str(outcome)
        assert vars(pickle.loads(pickle.dumps(outcome))) == vars(outcome)
        assert outcome.retry_after is None or outcome.retry_after >= 0


@given(
    st.text(max_size=40), st.sampled_from([settings(), settings("api-key"), settings(method="GET", token_header="X")])
)
def test_any_text_is_sent_or_refused(trans_no: str, connection: TrimSettings) -> None:
    try:
        request = build_query(connection, trans_no, NOW)
    except (TransNoEmptyError, TransNoIllegalError):
        return
    query = request.body.decode() if request.method == "POST" else urlsplit(request.url).query
    sent = json.loads(query)["transNo"] if connection.auth == "api-key" else parse_qs(query)["transNo"][0]
    assert sent == trans_no.strip()


# --- the exceptions ---


def classes() -> dict[str, type]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }


def test_tree_of_the_docstring_is_the_tree_of_the_classes() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"^    (?:[├└]── )?(\w+Error)\b(.*)", errors.__doc__, re.MULTILINE)
    assert {name for name, _ in drawn} == classes().keys()
    for name, text in drawn:
        kind = classes()[name]
        assert issubclass(kind, TrimError)
        assert name == "TrimError" or kind.__bases__[0] is TrimError
        assert kind.retryable == text.endswith("(retryable)")
        for code, listed in errors.ERRORS_BY_CODE.items():
            assert (listed is kind) == (str(code) in text)


def test_promised_names() -> None:
    """The design's public contract; additions are free."""
    assert classes().keys() >= {
        "TrimError",
        "TransNoEmptyError",
        "TransNoIllegalError",
        "TransNoNotFoundError",
        "VideoProcessingError",
        "TrimAuthError",
        "TrimQuotaExceededError",
        "TrimTransportError",
        "TrimResponseError",
        "TrimTaskFailedError",
        "TrimApiError",
    }


@pytest.mark.parametrize("kind", classes().values())
def test_error_keeps_its_facts(kind: Callable[..., TrimError]) -> None:
    error = kind("坏了", code=1, request_id="r", http_status=2, retryable=True, retry_after=3.5)
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        facts = (one.message, one.code, one.request_id, one.http_status, one.retryable, one.retry_after)
        assert facts == ("坏了", 1, "r", 2, True, 3.5)
        assert str(one) == "坏了 (code 1, HTTP status 2, request id r)"
    assert kind("x", retryable=False).retryable is False
    assert str(kind("x")) == "x"
    assert not any(base.__module__.startswith("airflow.") for base in type(error).__mro__)
