# SPDX-License-Identifier: Apache-2.0
"""What a submission takes, how it goes over the wire, and every response to it."""

from __future__ import annotations

import json
import math
import pickle
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pendulum
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TransNoNotFoundError,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimParameterError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.protocol import build_submission
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.submission import TrimSubmission
from airflow_provider_trim.vod.times import as_seconds
from tests.support.parsing import parse_submission

TRANS_NO = "036b6f4a01611000a79c3a7800000000"
NOW = 1516182478.9
CLIP: dict[str, Any] = {
    "trans_no": TRANS_NO,
    "video_id": "V1",
    "seek_start": 30,
    "duration": 12,
    "filename": "片段 1.flv",
}
OPTIONAL: dict[str, Any] = {
    "resolution": "640x480",
    "frame_rate": 25,
    "video_bit_rate": 800,
    "audio_bit_rate": 64,
    "sampling_rate": 22050,
    "notify_url": "https://example.com/done?a=b&c=d",
    "suffix": "flv",
    "enable_video_transcode": True,
}
WIRE = {"transNo": TRANS_NO, "videoId": "V1", "seekStart": 30, "duration": 12, "filename": "片段 1.flv"}


def settings(auth: str = "token", host: str = "", **extra: object) -> TrimSettings:
    return TrimSettings.from_connection(host=host, login="me", password="s3cret", extra={"auth": auth, **extra})


def wire(connection: TrimSettings | None = None, **parameters: Any) -> dict[str, Any]:
    return dict(TrimSubmission.parse(**{**CLIP, **parameters}).to_wire(connection or settings()))


# --- what is taken ---


def test_required_parameters_only() -> None:
    assert wire() == WIRE


def test_everything_under_its_name_on_the_wire() -> None:
    assert wire(**OPTIONAL) == {
        **WIRE,
        "resolution": "640x480",
        "frameRate": 25,
        "videoBitRate": 800,
        "audioBitRate": 64,
        "samplingRate": 22050,
        "notifyUrl": "https://example.com/done?a=b&c=d",
        "suffix": "flv",
        "enableVideoTranscode": 1,
    }


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_parameter_that_is_empty_is_left_out(name: str, empty: Any) -> None:
    """As templates leave them; the service would take an empty one for a wrong one."""
    assert wire(**{name: empty}) == WIRE


def test_numbers_as_templates_render_them() -> None:
    digits = {name: str(OPTIONAL[name]) for name in OPTIONAL}
    assert wire(**digits) == wire(**OPTIONAL)
    assert wire(video_id=7, filename=8) == {**WIRE, "videoId": "7", "filename": "8"}
    assert wire(enable_video_transcode="False")["enableVideoTranscode"] == 0
    assert wire(frame_rate="25.0", video_bit_rate=Decimal(800)) == {**WIRE, "frameRate": 25, "videoBitRate": 800}


@pytest.mark.parametrize(
    ("auth", "host", "name"),
    [
        ("token", "", "samplingRate"),
        ("ws3-hmac-sha256", "", "samplingRate"),
        ("cnc-hmac-sha256", "", "tassamplingRatekId"),
        ("api-key", "", "tassamplingRatekId"),
        ("token", "api.cdnetworks.com", "tassamplingRatekId"),
        ("token", "https://OPEN.chinanetcenter.com:443", "tassamplingRatekId"),
        ("token", "http://127.0.0.1:8766", "samplingRate"),
    ],
)
def test_sampling_rate_has_the_name_that_the_host_understands(auth: str, host: str, name: str) -> None:
    assert wire(settings(auth, host), sampling_rate=44100) == {**WIRE, name: 44100}


@pytest.mark.parametrize("rate", [44100, 22050, 11025])
@pytest.mark.parametrize("suffix", [None, "flv"])
def test_sampling_rates_of_flv(suffix: str | None, rate: int) -> None:
    assert wire(sampling_rate=rate, suffix=suffix)["samplingRate"] == rate


@pytest.mark.parametrize("suffix", [None, "", "flv"])
def test_flv_takes_no_other_sampling_rate(suffix: str | None) -> None:
    with pytest.raises(
        TrimParameterError, match=r"^sampling_rate: flv takes only 44100, 22050, 11025 Hz \(given: 48000\)$"
    ) as refused:
        wire(sampling_rate=48000, suffix=suffix)
    assert refused.value.parameter == "sampling_rate"
    assert wire(sampling_rate=48000, suffix="MP4")["samplingRate"] == 48000


# --- times ---

TIMES = [
    (0, 0.0),
    (90, 90.0),
    (90.5, 90.5),
    ("90", 90.0),
    (" 90.25 ", 90.25),
    (timedelta(minutes=1, seconds=30), 90.0),
    (timedelta(milliseconds=1500), 1.5),
    (pendulum.duration(hours=1, seconds=1), 3601.0),
    ("00:01:30", 90.0),
    ("01:30", 90.0),
    ("1:30", 90.0),
    ("01:02:03.456", 3723.456),
    ("1:02.5", 62.5),
    ("90:00", 5400.0),
    ("105:20.5", 6320.5),
    ("100:00:00", 360000.0),
    ("33.333333333333336", 33.333333),
    ("0.30000000000000004", 0.3),
    (Decimal("5.25"), 5.25),
    (Fraction(16, 3), 5.333333),
    ("1e-05", 1e-05),
    ("1.5E+3", 1500.0),
    ("1e3", 1000.0),
    ("-0.0", 0.0),
    ("00:01:30.3333333333333", 90.333333),
    ("1 day, 1:00:00", 90000.0),
    ("2 days, 0:00:05.500000", 172805.5),
    ("0:00:05.500000", 5.5),
]


@pytest.mark.parametrize(("value", "seconds"), TIMES, ids=repr)
def test_times(value: Any, seconds: float) -> None:
    assert as_seconds(value) == seconds
    assert TrimSubmission.parse(**{**CLIP, "seek_start": value}).seek_start == seconds


@pytest.mark.parametrize(
    "value",
    [
        *(-1, -0.001, float("nan"), float("inf"), 1e9, 10**400, True, None, [], b"90", timedelta(seconds=-1)),
        *("", "soon", "-5", "1e9", "1:60:00", "00:00:60", "1:2:3:4", "12:", ":30", "٣", "1:٣0", "9" * 20, "90s"),
        *(
            "1e",
            "e3",
            "1e400",
            "nan",
            "inf",
            "-1e-05",
            "999999999.9999999",
            "9" * 5000,
            "1 day",
            "1 day, 90",
            "1 day, 1:30",
        ),
        *(str(timedelta(seconds=-1)), "1 day, 24:00:00", "1 day,1:00:00", "9999999 days, 0:00:00"),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal(-1), Fraction(10**400), Fraction(-(10**400))),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["seek_start", "duration"])
def test_malformed_times(name: str, value: Any) -> None:
    with pytest.raises(TrimParameterError, match=f"^{name}: must be seconds, a timedelta or 'HH:MM:SS'") as refused:
        wire(**{name: value})
    assert refused.value.parameter == name


@given(st.integers(0, 10**9 - 1) | st.floats(0, 1e9, exclude_max=True) | st.timedeltas(timedelta(), timedelta(11574)))
def test_the_text_of_a_time_is_the_same_time(value: Any) -> None:
    """So the derived transNo is the same, whether or not a template has made a text of it."""
    assume(round(value.total_seconds() if isinstance(value, timedelta) else value, 6) < 1e9)
    times = [TrimSubmission.parse(**{**CLIP, "seek_start": form}) for form in (value, str(value))]
    assert times[0].identity() == times[1].identity()
    assert times[0] == times[1]


@pytest.mark.parametrize("nothing", [0, "0", timedelta(), "00:00:00", 1e-9, "1e-09"])
def test_a_clip_without_length(nothing: Any) -> None:
    with pytest.raises(TrimParameterError, match=r"^duration: must be > 0 seconds \(given: ") as refused:
        wire(duration=nothing)
    assert refused.value.parameter == "duration"


@pytest.mark.parametrize(
    ("start", "lasts", "sent"),
    [
        (30, 12, (30, 12)),
        ("00:00:30.900", "00:00:12", (30, 13)),
        (30.9, 0.05, (30, 1)),
        (30.9, 0.2, (30, 2)),
        (0, 0.4, (0, 1)),
        (0.1, 0.2, (0, 1)),
        (0.7, 0.3, (0, 1)),
        (1.1, 1.9, (1, 2)),
        (999_999_998.999999, 0.000001, (999_999_998, 1)),
    ],
)
def test_a_fraction_widens_the_clip_to_whole_seconds(start: Any, lasts: Any, sent: tuple[int, int]) -> None:
    given = wire(seek_start=start, duration=lasts)
    assert (given["seekStart"], given["duration"]) == sent
    assert type(given["seekStart"]) is type(given["duration"]) is int


@given(st.floats(0, 1e6), st.floats(0.001, 1e6))
def test_the_clip_sent_holds_the_clip_asked_for(start: float, lasts: float) -> None:
    given = wire(seek_start=start, duration=lasts)
    assert given["seekStart"] <= start + 1e-6
    assert start + lasts <= given["seekStart"] + given["duration"] + 1e-5
    assert given["duration"] <= lasts + 2


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("video_id", "", "must be a text, and not empty"),
        ("video_id", None, "must be a text"),
        ("video_id", True, "must be a text"),
        ("filename", "", "must be a text, and not empty"),
        ("filename", ["a"], "must be a text"),
        *(
            (
                name,
                bad,
                rf"must be a text, not {kind}; native rendering .* \(given: {shown}\)$",
            )
            for name in ("video_id", "filename")
            for bad, kind, shown in (
                (4e10, "float", "40000000000.0"),
                (math.inf, "float", "inf"),
                (1.1, "float", "1.1"),
                (False, "bool", "False"),
                (Decimal(4), "float", "4.0"),
            )
        ),
        ("filename", "a\0b", "must not contain the character NUL, which Airflow can't store"),
        ("video_id", "\ud800", "must not contain an unpaired surrogate, which Airflow can't store"),
        *(("resolution", bad, "width x height") for bad in ("640", "640X480", "0x480", "640x", "６x4", "640x480\n")),
        *(("resolution", bad, "width x height") for bad in (640, 640.5, True)),
        ("resolution", (640, 480), "width x height"),
        *(
            (name, bad, "must be a whole number of .*, such as [0-9]+ ")
            for name in ("frame_rate", "video_bit_rate", "audio_bit_rate", "sampling_rate")
            for bad in (0, -1, 2.5, True, "many", 10**9, 10**400, float("nan"))
        ),
        ("notify_url", "ftp://example.com/", "http or https URL$"),
        ("notify_url", "example.com", "http or https"),
        ("notify_url", "http://", "http or https"),
        ("notify_url", "https://example.com/a b", "http or https"),
        ("notify_url", "http://[", "http or https"),
        ("suffix", "avi", "'flv' or 'mp4'"),
        ("suffix", ".mp4", r"'flv' or 'mp4' \(given: '.mp4'\)$"),
        ("enable_video_transcode", "maybe", "must be true or false"),
        ("enable_video_transcode", 2, "must be true or false"),
        ("colour", "red", "is unknown; allowed are trans_no, video_id, seek_start, duration, filename, resolution"),
        ("videoId", "V1", "is unknown; allowed are"),
    ],
)
def test_invalid_parameter_is_named(name: str, value: Any, words: str) -> None:
    with pytest.raises(TrimParameterError, match=f"^{name}: .*{words}") as refused:
        wire(**{name: value})
    assert refused.value.parameter == name
    assert (refused.value.code, refused.value.http_status, refused.value.retryable) == (None, None, False)


def test_an_object_in_the_place_of_its_field() -> None:
    """``videoInfo`` of another task, say."""
    words = r"^video_id: .*\(given: an object with the fields videoId, videoName; name the one that is meant\)$"
    with pytest.raises(TrimParameterError, match=words):
        wire(video_id={"videoId": "V", "videoName": "geheim"})


@pytest.mark.parametrize("name", ["video_id", "seek_start", "duration", "filename"])
def test_missing_parameter_is_named(name: str) -> None:
    with pytest.raises(TrimParameterError, match=f"^{name}: must be given$") as refused:
        TrimSubmission.parse(**{key: value for key, value in CLIP.items() if key != name})
    assert refused.value.parameter == name


@pytest.mark.parametrize(
    ("trans_no", "kind"),
    [("", TransNoEmptyError), (None, TransNoEmptyError), ("x" * 33, TransNoIllegalError), (7, TransNoIllegalError)],
)
def test_an_impossible_trans_no(trans_no: Any, kind: type[TrimError]) -> None:
    """Of this package's own making or not, it is the same error as that of a query."""
    with pytest.raises(kind):
        wire(trans_no=trans_no)


def test_values_stay_out_of_the_message() -> None:
    with pytest.raises(TrimParameterError) as refused:
        wire(notify_url="ftp://me:s3cret@example.com/")
    assert "s3cret" not in str(refused.value)


# --- requests ---


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_submission_is_always_posted(method: str) -> None:
    """Even where the connection asks for GET: a submission in a URL might be replayed."""
    connection = settings(method=method, token_header="X-Token")
    request = build_submission(connection, wire(connection, **OPTIONAL), NOW)
    assert request.method == "POST"
    assert request.url == "https://api.cloudv.haplat.net/vod/videoManage/videoClip"
    assert request.headers["X-Token"] == "s3cret"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    form = {name: value for name, (value,) in parse_qs(request.body.decode(), strict_parsing=True).items()}
    sent = wire(**OPTIONAL)
    assert {name: form[name] for name in sent} == {name: str(value) for name, value in sent.items()}
    assert form.keys() - sent.keys() <= {"userId", "timeStamp"}
    assert connection.method == method


def test_the_token_goes_into_the_body() -> None:
    request = build_submission(settings(), wire(), NOW)
    form = parse_qs(request.body.decode())
    assert (form["userId"], form["token"], form["timeStamp"]) == (["me"], ["s3cret"], ["1516182478"])
    assert not urlsplit(request.url).query


@pytest.mark.parametrize("auth", ["cnc-hmac-sha256", "api-key"])
def test_newer_hosts_get_json(auth: str) -> None:
    connection = settings(auth, "api.cdnetworks.com")
    request = build_submission(connection, wire(connection, sampling_rate=11025), NOW)
    assert request.url == "https://api.cdnetworks.com/vod/videoManage/videoClip"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {**WIRE, "tassamplingRatekId": 11025}
    assert "Authorization" in request.headers


# --- responses ---


def response(code: object = 200, data: object = "task-1", message: object = "操作成功") -> bytes:
    return json.dumps({"code": code, "message": message, "data": data}, ensure_ascii=False).encode()


def refusal(body: bytes, http_status: int = 200, **headers: str) -> TrimError:
    with pytest.raises(TrimError) as caught:
        parse_submission(http_status, {"X-WS-RequestId": "r-1", **headers}, body)
    error = caught.value
    assert (error.http_status, error.request_id) == (http_status, "r-1")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))
    return error


@pytest.mark.parametrize(("data", "said"), [("task-1", "task-1"), ("", ""), (None, ""), (17, "17")])
def test_accepted(data: object, said: str) -> None:
    assert parse_submission(200, {}, response(data=data)) == said
    assert parse_submission(200, {}, response("200", data)) == said


@pytest.mark.parametrize("data", [{}, {"taskId": "t"}, [], ["t"], 1.5], ids=repr)
def test_data_that_is_no_string(data: object) -> None:
    """It may have been accepted: retryable, which makes the hook ask before it sends again."""
    error = refusal(response(data=data))
    assert (type(error), error.retryable, error.code) == (TrimResponseError, True, 200)
    assert "data must be a string" in str(error)


@pytest.mark.parametrize(
    ("code", "parameter"),
    [
        (1561, "frame_rate"),
        (1562, "sampling_rate"),
        (1563, "video_bit_rate"),
        (1564, "audio_bit_rate"),
        (1565, "resolution"),
        (1000, None),
        (24112000, None),
    ],
)
@pytest.mark.parametrize("http_status", [200, 400])
def test_a_refused_parameter_is_named(code: int, parameter: str | None, http_status: int) -> None:
    """What the service says is kept."""
    for wire_code in (code, str(code)):
        error = refusal(response(wire_code, None, "参数错误"), http_status)
        assert isinstance(error, TrimParameterError)
        assert (error.parameter, error.code, error.retryable) == (parameter, code, False)
        assert str(error) == (
            f"{parameter or 'a parameter'} was refused: API error: 参数错误 "
            f"(code {code}, HTTP status {http_status}, request id r-1)"
        )


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (1301, TrimAuthError, False),
        (1560, VideoProcessingError, True),
        (1601, TransNoEmptyError, False),
        (1602, TransNoIllegalError, False),
        (1603, TransNoNotFoundError, False),
        (1604, TrimApiError, False),
        (1566, TrimApiError, False),
        (0, TrimApiError, False),
    ],
)
def test_unlisted_codes(code: int, kind: type[TrimError], retryable: bool) -> None:
    """Those unknown keep code, message and request id."""
    error = refusal(response(code, None, "no"))
    assert (type(error), error.code, error.retryable) == (kind, code, retryable)
    assert "API error: no" in str(error)


@pytest.mark.parametrize(
    ("body", "http_status", "kind"),
    [
        (b"<html>", 200, TrimResponseError),
        (b"", 200, TrimResponseError),
        (b"<html>", 502, TrimTransportError),
        (response(1565), 503, TrimTransportError),
        (response(1565), 401, TrimAuthError),
        (response(429, None), 429, TrimQuotaExceededError),
        (response(), 404, TrimResponseError),
    ],
)
def test_responses_of_a_proxy(body: bytes, http_status: int, kind: type[TrimError]) -> None:
    assert type(refusal(body, http_status)) is kind


def test_retry_after_is_kept() -> None:
    assert refusal(response(429, None), 429, **{"Retry-After": "7"}).retry_after == 7
    assert refusal(response(1000, None), 400, **{"Retry-After": "7"}).retry_after == 7


def test_a_local_refusal_survives_pickling() -> None:
    with pytest.raises(TrimParameterError) as refused:
        wire(resolution="big")
    again = pickle.loads(pickle.dumps(refused.value))
    assert (type(again), vars(again), str(again)) == (TrimParameterError, vars(refused.value), str(refused.value))
    assert isinstance(again, ValueError)


# --- whatever comes ---

anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=3)
    | st.timedeltas()
    | st.lists(st.integers(), max_size=2)
    | st.sampled_from([10**400, "1:30", "640x480", "mp4", "flv", 44100, "https://example.com", "http://[", "off"])
    | st.from_regex(r"\A[0-9]{1,3}:[0-9]{1,2}(:[0-9]{1,2})?(\.[0-9]{1,7})?\Z")
)
parameters_ = st.fixed_dictionaries(
    {name: st.just(value) | anything for name, value in CLIP.items()},
    optional={name: st.just(value) | anything for name, value in OPTIONAL.items()},
) | st.dictionaries(st.text(max_size=9).filter(lambda name: name != "cls"), anything, max_size=4)


@given(parameters_, st.sampled_from([settings(), settings("api-key"), settings("cnc-hmac-sha256")]))
def test_any_parameters_are_sent_or_refused(parameters: dict[str, Any], connection: TrimSettings) -> None:
    """There is no undocumented error."""
    try:
        sent = TrimSubmission.parse(**parameters).to_wire(connection)
    except (TransNoEmptyError, TransNoIllegalError):
        return
    except TrimParameterError as error:
        if not (error.parameter and str(error).startswith(f"{error.parameter}: ")):
            raise
        return
    request = build_submission(connection, sent, NOW)
    body = request.body.decode()
    got = json.loads(body) if connection.auth != "token" else {k: v for k, (v,) in parse_qs(body).items()}
    assert {name: str(got[name]) for name in sent} == {name: str(value) for name, value in sent.items()}
    assert got["transNo"] == parameters["trans_no"]
    assert int(got["seekStart"]) >= 0
    assert int(got["duration"]) > 0


@given(
    st.integers(100, 599) | st.sampled_from([200, 400]),
    st.binary(max_size=20)
    | st.builds(
        response,
        st.integers() | st.sampled_from([200, 1000, "1561", 1301, None]),
        anything.filter(lambda value: not isinstance(value, bytes | timedelta)),
    ),
)
def test_any_response_is_read_or_an_error(http_status: int, body: bytes) -> None:
    outcome: str | TrimError
    try:
        outcome = parse_submission(http_status, {}, body)
    except TrimError as error:
        outcome = error
    if isinstance(outcome, TrimError):
        assert vars(pickle.loads(pickle.dumps(outcome))) == vars(outcome)
    else:
        assert http_status == 200
        assert isinstance(outcome, str)
