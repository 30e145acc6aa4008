# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: whatever comes from outside goes in, and nothing but the documented errors may come out.

Each target reads its arguments out of bytes and hands them to a check, which takes them as values.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hmac
import json
import pickle
import sys
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import quote, quote_plus, unquote

from cost import HANDED_ON, PARSED, UNPACKED, bounded
from journey import any_value, check_journey, verdict_of
from multidict import CIMultiDict
from values import EXAMPLE, Reader, to_json

from airflow_provider_trim.emulator.authentication import Authentication, AuthenticationError, TokenAuthentication
from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.signatures import ApiKeyAuthentication, SignatureAuthentication
from airflow_provider_trim.emulator.submissions import Submission, SubmissionHandler
from airflow_provider_trim.emulator.trims import TrimStore
from airflow_provider_trim.emulator.validation import SamplingRateParameter
from airflow_provider_trim.emulator.wire import ServiceRequest, UnreadableBodyError, parse_parameters
from airflow_provider_trim.polling.verdicts import Verdict
from airflow_provider_trim.transports.decoding import MAX_BODY, decode
from airflow_provider_trim.vod.callbacks import callback_address, callback_key, is_genuine, read_claim
from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TrimError,
    TrimParameterError,
    TrimResponseError,
    TrimSettingsError,
)
from airflow_provider_trim.vod.http import Request
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import (
    build_query,
    build_submission,
    check_trans_no,
)
from airflow_provider_trim.vod.schemes import Scheme
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.storable import unstorable
from airflow_provider_trim.vod.submission import TrimSubmission
from airflow_provider_trim.vod.times import as_seconds
from airflow_provider_trim.waiting.trans_nos import TransNos
from tests.support.parsing import parse_submission, parse_task

NOW = 1516182478.9
TRANS_NO: str = EXAMPLE["data"]["transNo"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
CONNECTIONS = {
    auth: TrimSettings.from_connection(login="me", password="s3cret", extra={"auth": auth}) for auth in SCHEMES
}

SECRETS = (
    "Zq7t0kenOfL3ttersAndD1g1tsAl0ne4you",
    "Zq7/t0ken+w1th=signs&0f?4ll k1nds~w3 know",
    'Zq7t0k"en\\密码 with "quotes"',
)
SECRET_PART: int | None = None
"""Characters of a secret that must not be seen in a row, None for the whole of it.

None as long as test_findings.py has cases of parts that are seen; 12 is meant.
"""


def encoded(secret: str) -> tuple[str, ...]:
    """A secret as a service may repeat it."""
    raw = secret.encode()
    b64 = (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    return (secret, quote(raw, safe=""), quote_plus(raw), *b64)


@functools.cache
def _telling(secret: str) -> frozenset[str]:
    """All parts of a secret, however it is encoded, that are long enough to tell something."""
    forms = {*encoded(secret), json.dumps(secret)[1:-1]}
    if SECRET_PART is None:
        return frozenset(forms)
    return frozenset(form[at : at + SECRET_PART] for form in forms for at in range(len(form) - SECRET_PART + 1))


def tells(text: str, secret: str) -> bool:
    return bool(secret) and any(part in text for part in _telling(secret))


def check_message(error: TrimError, secret: str) -> None:
    """One line that says something, without the secret, and the same after a journey between processes."""
    text = str(error)
    assert text
    assert not [character for character in text if unicodedata.category(character) in ("Cc", "Zl", "Zp")], repr(text)
    for shown in (text, repr(error), error.request_id or ""):
        assert not tells(shown, secret), shown
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), text)


def check_request(request: Request) -> None:
    """It goes over the wire as one request, and as the one that was meant."""
    assert all("!" <= character <= "~" for character in request.url), request.url
    for name, value in request.headers.items():
        assert name, request.headers
        assert all("!" <= character <= "~" for character in name), name
        assert all(" " <= character <= "~" for character in value), (name, value)
    assert request.host
    assert request.host in request.url.lower()


# --- responses ---


def check_response(
    http_status: int, headers: Mapping[str, str], body: bytes, *, trans_no: str | None, secret: str, now: float | None
) -> None:
    size = len(body) + sum(map(len, headers.values()))
    try:
        task = bounded(PARSED, size, lambda: parse_task(http_status, headers, body, secret, now, trans_no=trans_no))
    except TrimError as error:
        _check_facts(error, http_status)
        check_message(error, secret)
        _check_journey(error, size, trans_no, secret)
        return
    _check_journey(task, size, trans_no, secret)
    assert http_status == 200
    assert task.status in (TrimStatus.PROCESSING, TrimStatus.SUCCESSFUL)
    assert task.status is TrimStatus.PROCESSING or task.video_info is not None
    assert task.trans_no in ("", trans_no) or trans_no is None


def _check_journey(outcome: TrimTask | TrimError, size: int, trans_no: str | None, secret: str) -> None:
    trans_nos, verdict = TransNos((trans_no or TRANS_NO,)), verdict_of(outcome)
    if isinstance(outcome, TrimTask) and outcome.trans_no not in ("", *trans_nos):
        return  # only a query that names no transNo takes it

    def shows(text: str) -> bool:
        # The parser finds a secret in a success in its plain form only.
        return bool(secret) and (secret in text if isinstance(outcome, TrimTask) else tells(text, secret))

    bounded(HANDED_ON, size, lambda: check_journey([verdict], trans_nos, shows))


def check_response_to_submission(
    http_status: int, headers: Mapping[str, str], body: bytes, *, secret: str, now: float | None
) -> None:
    size = len(body) + sum(map(len, headers.values()))
    try:
        said = bounded(PARSED, size, lambda: parse_submission(http_status, headers, body, secret, now))
    except TrimError as error:
        _check_facts(error, http_status)
        check_message(error, secret)
        return
    assert http_status == 200
    assert isinstance(said, str)


def _check_facts(error: TrimError, http_status: int) -> None:
    assert error.http_status == http_status
    assert error.retry_after is None or 0 <= error.retry_after < float("inf")
    assert len(error.message) < 2000


HEADERS = ("Date", "Retry-After", "Location", "X-WS-RequestId", "x-cnc-request-id", "retry-after", "date", "Via", "")
STATUSES = (200, 200, 200, 401, 403, 429, 301, 404, 408, 500, 503, 400, 204, 0, 599, 999)
_ANSWER_WORDS = (
    *("200", "1", "2", "3", "status", "videoInfo", "code", "data", "message", "taskId", "transNo", TRANS_NO, "raw"),
    *("videoDuration", "uploadTime", "videoResolutions", "clarity", "videoState", "request_id", "1560", "1565", "1000"),
    *("Mon, ", "Wed", ",", " ", "17", "Jan", "Feb", "2018", "0000", "99999999999999999999", "12:00:00", "GMT", "-0000"),
    *("+0800", "-9999", ":", "-", ".", "Wed, 17 Jan 2018 12:00:00 GMT", "Wed, 17 Jan 0001 00:00:00", "Wednesday"),
    *("17-Jan-18", "31 Dec 9999 23:59:59", "120", "https://new.example.com/", "//[", "http://", "?token=", "\ud800"),
    *("\n", "\r\n", "\x1b[31m", "\u2028", "\u202e", "{}", "[]", "\x00", "nan", "inf", "1e400", "²", "٣", "\ufeff"),
)


def response(data: bytes) -> None:
    """What comes back from a query."""
    reader, secret = _with_secret(data, Reader(data).byte())
    if reader is None:
        return
    reader.byte()
    http_status, headers, now = _head(reader)
    trans_no = reader.pick([None, TRANS_NO, "T"])
    check_response(http_status, headers, _body(reader, secret, EXAMPLE), trans_no=trans_no, secret=secret, now=now)


def response_to_submission(data: bytes) -> None:
    """What comes back from a submission."""
    reader, secret = _with_secret(data, Reader(data).byte())
    if reader is None:
        return
    reader.byte()
    http_status, headers, now = _head(reader)
    body = _body(reader, secret, {"code": 200, "message": "操作成功", "data": "task-1"})
    check_response_to_submission(http_status, headers, body, secret=secret, now=now)


def _with_secret(data: bytes, which: int) -> tuple[Reader | None, str]:
    """The reader, unless a fuzzer that traces comparisons has put parts of the secret into its bytes."""
    secret = ("", *SECRETS)[which % (1 + len(SECRETS))]
    if secret and tells(data.decode("utf-8", "replace"), secret):
        return None, secret
    return Reader(data, response_words(secret)), secret


def response_words(secret: str) -> tuple[str, ...]:
    return (*(encoded(secret) if secret else ()), *_ANSWER_WORDS)


def _head(reader: Reader) -> tuple[int, dict[str, str], float | None]:
    kind = reader.byte()
    http_status = reader.number() % 1000 if kind == 255 else STATUSES[kind % len(STATUSES)]
    headers = {reader.pick(HEADERS): reader.text() for _ in range(reader.byte() % 5)}
    now = reader.pick([None, NOW, 0.0, reader.real])
    return http_status, headers, now() if callable(now) else now


def _body(reader: Reader, secret: str, document: Any) -> bytes:
    match reader.byte() % 4:
        case 0:
            return to_json(reader.mutated(document), escaped=bool(reader.byte() % 2))
        case 1:
            return to_json(reader.json())
        case 2:
            return reader.text().encode("utf-8", "replace") + reader.text().encode("utf-8", "replace")
        case _:
            return reader.rest().replace(b"{secret}", secret.encode())


def handed_on(data: bytes) -> None:
    """Several trims' results, whatever the service puts into them, on their way to the task that waits for them."""
    reader = Reader(data, _ANSWER_WORDS)
    texts = [reader.text()[:32] for _ in range(1 + reader.byte() % 4)]
    names = [name for name in texts if _is_trans_no(name)]
    bodies = [
        to_json(
            {"code": 200, "data": reader.mutated(EXAMPLE["data"]) if reader.byte() % 2 else any_value(reader.json())}
        )
        for _ in names
    ]
    if names:
        check_handed_on(names, bodies)


def _is_trans_no(name: str) -> bool:
    try:
        return bool(check_trans_no(name))
    except TrimError:
        return False


def check_handed_on(names: Sequence[str], bodies: Sequence[bytes]) -> None:
    try:
        trans_nos = TransNos.parse(list(names))
    except TrimError:
        return  # such a wait does not begin
    names, verdicts = trans_nos.names, list[Verdict]()
    for body in bodies:
        try:
            task = parse_task(200, {}, body)
            if task.trans_no not in ("", names[len(verdicts)]):
                task = parse_task(200, {}, body.replace(b'"transNo"', b'"former"'))
            verdicts.append(verdict_of(task))
        except TrimError as error:
            verdicts.append(verdict_of(error))
    size = sum(map(len, bodies))
    bounded(HANDED_ON, size, lambda: check_journey(verdicts, trans_nos, lambda _: False))


_CONTENT_WORDS = ("gzip", "x-gzip", "deflate", "identity", "br", "gzip, deflate", " GZIP ", "\n", "\u2028")


def content(data: bytes) -> None:
    """A response's body, compressed."""
    reader = Reader(data, _CONTENT_WORDS)
    name, encoding = reader.pick(["Content-Encoding", "content-encoding", "Content-Type"]), reader.text()
    match reader.byte() % 6:
        case 0:
            body = gzip.compress(reader.rest(), 1)
        case 1:
            body = zlib.compress(reader.rest(), 1)
        case 2:
            packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
            body = packer.compress(reader.rest()) + packer.flush()
        case 3:
            at, flipped, damaged = reader.number(), reader.byte(), bytearray(gzip.compress(reader.rest(), 1))
            damaged[at % len(damaged)] ^= flipped
            body = bytes(damaged)
        case 4:
            body = gzip.compress(bytes(reader.number() * 40), 1) + reader.rest()
        case _:
            body = reader.rest()
    check_content({name.lower(): encoding}, body)


def check_content(headers: Mapping[str, str], body: bytes) -> None:
    size = len(body) + sum(map(len, headers.values()))
    try:
        decoded = bounded(UNPACKED, size, lambda: decode(headers, body))
    except TrimResponseError as error:
        check_message(error, "")
        return
    assert decoded == body or len(decoded) <= MAX_BODY


# --- settings ---

EXTRAS: dict[str, tuple[Any, ...]] = {
    "auth": SCHEMES,
    "token_header": ("X-Token", "Authorization", "X Token", "X-Token\n", ""),
    "method": ("POST", "GET", "PUT"),
    "timeout": (30, 0.001, 600, "5", 0, float("nan"), float("inf")),
    "verify": (True, "false", "/etc/ssl/ca.pem", 0, "\ud800"),
    "proxy": ("http://proxy:3128", "https://u:p@proxy", "http://[", "socks5://p"),
    "parameters": ('{"format": "json"}', {"timeStamp": "5"}, {"a": "片 &"}, {"token": "x"}, {"": 1}, "[", [], 5),
    "allow_http": (True, False, "yes", 2),
    "allow_token_in_url": (True, False),
    "quota": (
        "300/5 minutes",
        "off",
        "1/second",
        "5 per 0 hour",
        "0/minute",
        "1/s;2/m",
        "9" * 4301 + "/s",
        "1/99999999999999999 years",
    ),
    "quota_storage": ("memory://", "redis://h/0", "redis://[", "mongodb://h"),
    "api_path": ("/", "/v2/", "/vod/videoManage", "/..", "/a%0a", "/a\n", "/a?b", "v2"),
    "callback_listen": ("0.0.0.0:8790", "[::]:1", "h:0", "h:99999", ":1", "[:1", "h:²", 1),
    "callback_url": ("https://h/a", "http://127.0.0.1:1", "http://[", "https://u:p@h", "//h", "https://h/a\n"),
    "callback_poll_factor": (60, "1", 0, float("inf"), "²"),
}
_SETTINGS_WORDS = (
    *EXTRAS,
    *("base_url", "login", "password", "https", "http", "://", "api.cdnetworks.com", "127.0.0.1", "localhost", "[::1]"),
    *("@", "?", "#", ":", "/", "[", "]", "%", " ", "\n", "\r\n", "\x00", "\x7f", "\x85", "\u2028", "\ud800", "\ufeff"),
    *("https://api.cloudv.haplat.net", "HTTPS://H", "99999", ":0", "example.com", "ﬀ.example", "度", "²", "٣", "per"),
)


def connection(data: bytes) -> None:
    """A connection, as a user fills it in."""
    reader = Reader(data, _SETTINGS_WORDS)
    known = {name: reader.pick(EXTRAS[name]) for name in [reader.pick(tuple(EXTRAS)) for _ in range(reader.byte() % 5)]}
    check_connection(
        host=reader.pick([None, "api.example.com", reader.text()]),
        login=reader.pick(["me", None, reader.text()]),
        password=reader.pick([SECRETS[0], SECRETS[1], None, reader.text()]),
        schema=reader.pick([None, "http", "https", reader.text()]),
        port=reader.pick([None, 443, 0, -1, 65536, reader.number()]),
        extra=reader.pick([None, known, reader.mutated(known)]),
    )


def check_connection(*, extra: Any, **parts: Any) -> None:
    extra = extra if isinstance(extra, dict) else None
    elsewhere = repr([extra, {**parts, "password": ""}])
    secret = parts["password"] if parts["password"] in SECRETS and not tells(elsewhere, parts["password"]) else ""
    try:
        settings = bounded(PARSED, _size([extra, parts]), lambda: TrimSettings.from_connection(extra=extra, **parts))
    except TrimSettingsError as error:
        check_message(error, secret)
        return
    assert settings.account
    assert not tells(repr(settings), secret)
    submission = {"transNo": "T", "filename": "a b\n片"}
    for request in (build_query(settings, "片 T&1", NOW), build_submission(settings, submission, NOW)):
        check_request(request)
        assert not tells(repr(request), secret)
    if address := callback_address(settings, "T"):
        assert all("!" <= character <= "~" for character in address), address
        assert not tells(address.removeprefix(str(settings.callback_url)), secret)
        assert check_callback(address, callback_key(settings)) == "T"


# --- callbacks ---

CALLBACK_KEY = bytes(range(32))
_CALLBACK_WORDS = (
    *("/", "//", "?", "#", "&", ";", "%2F", "%252D", "%54", "%", ".", "..", "~", "_", "-", "="),
    *("T", TRANS_NO, "x" * 33, "A" * 43, "A" * 42),
    *("http://h", "*", "\n", "\x00", "\u2028", "\ud800", "é", "²", "ſ"),
)


def callback(data: bytes) -> None:
    """A request line, whole or with a signature that is genuine for some text."""
    reader = Reader(data, _CALLBACK_WORDS)
    target = reader.text()
    if reader.byte() % 2:
        trans_no = reader.text()
        digest = hmac.digest(CALLBACK_KEY, trans_no.encode("utf-8", "surrogatepass"), "sha256")
        target += f"/{trans_no}/{base64.urlsafe_b64encode(digest).decode().rstrip('=')}{reader.text()}"
    check_callback(target, CALLBACK_KEY)


def check_callback(target: str, key: bytes) -> str | None:
    """The transNo of a genuine callback, if it is one: one that the service can know, and signed for itself."""
    claim = bounded(PARSED, len(target), lambda: read_claim(target))
    if claim is None or not is_genuine(claim, key):
        return None
    assert check_trans_no(claim.trans_no) == claim.trans_no
    assert f"/{claim.trans_no}/{claim.signature}" in unquote(unquote(target))
    digest = hmac.digest(key, claim.trans_no.encode(), "sha256")
    assert base64.urlsafe_b64decode(claim.signature + "=") == digest
    return claim.trans_no


# --- parameters of a submission ---

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "trans_no": ("T-1", "", None, "x" * 33, 7),
    "video_id": ("V1", "", 17, "\ud800", "a\nb"),
    "seek_start": (30, "1:30", "00:01:30.5", 0, -1, float("nan"), timedelta(seconds=5), "99:99"),
    "duration": (12, 0.001, "0", 10**9, timedelta.max, "12.5", True),
    "filename": ("goal.flv", "进球", "", "a\x00b"),
    "resolution": ("640x480", "0x1", "٣x1", "", None),
    "frame_rate": (25, "25", 0, 10**9, True, 25.5),
    "video_bit_rate": (800, "", -1),
    "audio_bit_rate": (64, None, "64 "),
    "sampling_rate": (44100, "22050", 48000),
    "notify_url": ("https://example.com/done", "http://[", "http://h\n", "ftp://h", "https://度"),
    "suffix": ("mp4", "flv", "avi", None),
    "enable_video_transcode": (True, "no", 1, "maybe"),
}
_PARAMETER_WORDS = (
    *PARAMETERS,
    *(":", ".", "00", "59", "60", "1:30", "-", "+", "e5", "_", "x", "http://", "[", "\n", " ", "\u2028", "\ud800", "٣"),
)


def parameters(data: bytes) -> None:
    """Times and parameters, as an operator or its template gives them."""
    reader = Reader(data, _PARAMETER_WORDS)
    check_time(_value(reader))
    given: dict[str, Any] = {name: values[0] for name, values in list(PARAMETERS.items())[:5]}
    for _ in range(reader.byte() % 5):
        name = reader.pick(tuple(PARAMETERS))
        given[name] = reader.pick(PARAMETERS[name]) if reader.byte() % 2 else _value(reader)
    if reader.byte() % 8 == 7:
        given[reader.text().encode("utf-8", "replace").decode()] = _value(reader)
    check_parameters(given, reader.pick(SCHEMES))


def _value(reader: Reader) -> Any:
    match reader.byte() % 12:
        case 1:
            return timedelta(reader.number() - 100, reader.number(), reader.number())
        case 2:
            return reader.take(3)
        case 3:
            return Decimal(reader.number()) / 7
        case 4:
            return tuple(reader.take(2))
        case 5 | 6:
            return reader.real()
        case 7 | 8 | 9:
            return reader.text()
        case _:
            return reader.json()


def _size(value: object) -> int:
    """About the bytes of an argument."""
    if isinstance(value, dict):
        return sum(_size(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return len(value) if isinstance(value, str | bytes) else sys.getsizeof(value)


def check_time(value: Any) -> None:
    try:
        seconds = bounded(PARSED, _size(value), lambda: as_seconds(value))
    except ValueError:
        return
    assert type(seconds) is float
    assert 0 <= seconds <= 1e9


def check_parameters(given: dict[str, Any], auth: Scheme) -> None:
    given = {name: value for name, value in given.items() if name != "cls"}
    try:
        submission = bounded(PARSED, _size(given), lambda: TrimSubmission.parse(**given))
    except (TransNoEmptyError, TransNoIllegalError) as error:
        check_message(error, "")
        return
    except TrimParameterError as error:
        _check_refusal(error, given)
        return
    sent = submission.to_wire(CONNECTIONS[auth])
    assert int(sent["seekStart"]) >= 0
    assert int(sent["duration"]) > 0
    request = build_submission(CONNECTIONS[auth], sent, NOW)
    check_request(request)
    # The emulator is stricter than we are, but what we let through it must be able to read.
    content_type = request.headers["Content-Type"].partition(";")[0]
    received = parse_parameters(request.method, "", content_type, request.body)
    assert {name: str(received[name]) for name in sent} == {name: str(value) for name, value in sent.items()}


def _check_refusal(error: TrimParameterError, given: dict[str, Any]) -> None:
    assert error.parameter in {*PARAMETERS, *given}
    assert str(error).startswith(f"{error.parameter}: ")
    if error.parameter in PARAMETERS:
        check_message(error, "")


# --- the emulator ---

_EMULATOR_WORDS = (
    *("userId", "token", "timeStamp", "transNo", "me", "s3cret", "videoId", "seekStart", "duration", "filename"),
    *("resolution", "640x480", "x", "1", "0", "suffix", "mp4", "flv", "notifyUrl", "http://", "https://h", "frameRate"),
    *("samplingRate", "44100", "videoBitRate", "=", "&", "%", "+", ";", "{", "}", '"', ":", ",", "[", "]", "\ud800"),
    *("GET", "POST", "PUT", "application/json", "application/x-www-form-urlencoded", "text/plain", "Infinity", "NaN"),
    *("Authorization", "WS3-HMAC-SHA256 Credential=me, SignedHeaders=", "Basic ", "content-type;host", "Signature="),
    *("Date", "x-cnc-date", "Wed, 17 Jan 2018 09:47:58 GMT", "Jan", "9999", "-0000", "+9999", "²", "٣", "e", "\\u0000"),
)
SUBMISSION: dict[str, Any] = {
    "transNo": "T-1",
    "videoId": "V1",
    "seekStart": "30",
    "duration": 12,
    "filename": "goal.flv",
    "suffix": "mp4",
    "notifyUrl": "https://example.com/done",
    "enableVideoTranscode": 1,
    "resolution": "640x480",
    "frameRate": 25,
    "videoBitRate": "800",
    "audioBitRate": 64,
    "samplingRate": 44100,
}


def received(data: bytes) -> None:
    """A request's parameters, as the emulator reads them."""
    reader = Reader(data, _EMULATOR_WORDS)
    method = reader.pick(["POST", "GET", "PUT", ""])
    content_type = reader.pick(["application/json", "application/x-www-form-urlencoded", "", reader.text()])
    check_received(method, reader.text(), content_type, _sent(reader, SUBMISSION))


def check_received(method: str, query_string: str, content_type: str, body: bytes) -> dict[str, Any]:
    """The parameters, where they can be read."""
    try:
        size = len(query_string) + len(content_type) + len(body)
        read = bounded(PARSED, size, lambda: parse_parameters(method, query_string, content_type, body))
    except UnreadableBodyError:
        return {}
    assert all(isinstance(name, str) for name in read)
    return read


def _sent(reader: Reader, document: Any) -> bytes:
    match reader.byte() % 4:
        case 0:
            return to_json(reader.mutated(document), escaped=True)
        case 1:
            return b"".join(reader.text().encode("utf-8", "replace") for _ in range(reader.byte() % 16))
        case 2:
            # As deep as Python's parser goes, and deeper.
            depth = 900 + reader.byte()
            return b'{"userId":"me","token":"s3cret","timeStamp":' + b"[" * depth + b"]" * depth + b"}"
        case _:
            return reader.rest()


def submission(data: bytes) -> None:
    """A submission, as the emulator takes it, and queries of what it has taken."""
    reader = Reader(data, _EMULATOR_WORDS)
    name = reader.pick(get_args(SamplingRateParameter))
    check_submission(check_received("POST", "", "application/json", _sent(reader, SUBMISSION)), name)


def check_submission(given: Mapping[str, Any], sampling_rate_parameter: SamplingRateParameter) -> None:
    trims = TrimStore()
    log: RecordLog[Submission] = RecordLog("submissions", True)
    handler = SubmissionHandler(trims, log, 5.0, sampling_rate_parameter, lambda: 0.0, lambda: NOW)
    first = handler.submit(given)
    again = handler.submit(given)
    accepted = first.code == 200
    assert len(log.all()) == accepted
    assert again.code == (1604 if accepted else first.code)
    for answered in (first, again, *(trims.query(given.get("transNo"), now) for now in (0.0, 9.0))):
        assert answered.http_status == 200
        assert json.loads(answered.body)["code"] == answered.code
    # The package sends nothing else.
    if accepted and _is_trans_no(given["transNo"]) and unstorable(given, "submission") is None:
        task = parse_task(200, {}, trims.query(given["transNo"], 9.0).body, trans_no=given["transNo"])
        assert task.status is TrimStatus.SUCCESSFUL


def authentication(data: bytes) -> None:
    """The credentials of a client: right, but for what is changed of them."""
    reader = Reader(data, _EMULATOR_WORDS)
    auth, method = reader.pick(SCHEMES), reader.pick(["POST", "GET"])
    extra = {"auth": auth, "method": method, "allow_token_in_url": True}
    settings = TrimSettings.from_connection(login="me", password="s3cret", extra=extra)
    request = build_query(settings, reader.pick(["T", "片 %"]), NOW)
    headers = CIMultiDict({**request.headers, "Host": request.host})
    path, _, query_string = request.url.removeprefix("https://").partition("/")[2].partition("?")
    body = request.body
    changes = reader.byte() % 5
    for _ in range(changes):
        match reader.byte() % 8:
            case 0:
                query_string = to_wire(reader.text())
            case 1:
                body = _sent(reader, {"userId": "me", "token": "s3cret", "timeStamp": 1516182478})
            case 2:
                headers[reader.text()] = to_wire(reader.text())
            case 3:
                headers.pop(reader.pick(list(headers) or [""]), None)
            case _:
                name = reader.pick(list(headers) or ["Date"])
                text, at = headers.get(name, ""), reader.byte()
                headers[name] = to_wire(text[:at] + reader.text() + text[at + reader.byte() :])
    content_type = headers.get("Content-Type", "").partition(";")[0]
    read = check_received(method, query_string, content_type, body)
    request_ = ServiceRequest(method, f"/{path}", query_string, headers, body, read)
    let_in = check_authentication(request_)
    assert changes or let_in[auth]


def check_authentication(request: ServiceRequest) -> dict[Scheme, bool]:
    """Which schemes let a request in."""
    let_in: dict[Scheme, bool] = {}
    for auth, authenticate in schemes().items():
        try:
            let_in[auth] = authenticate.authenticate(request) == "me"
        except AuthenticationError:
            let_in[auth] = False
    return let_in


def to_wire(text: str) -> str:
    """A text as aiohttp reads it from the wire, where bytes that are no UTF-8 become half characters, and no others."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")


def schemes() -> dict[Scheme, Authentication]:
    def clock() -> float:
        return NOW

    return {
        "token": TokenAuthentication("me", "s3cret"),
        "ws3-hmac-sha256": SignatureAuthentication("WS3-HMAC-SHA256", "me", "s3cret", clock),
        "cnc-hmac-sha256": SignatureAuthentication("CNC-HMAC-SHA256", "me", "s3cret", clock),
        "api-key": ApiKeyAuthentication("me", "s3cret", clock),
    }


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        response,
        response_to_submission,
        handed_on,
        content,
        connection,
        callback,
        parameters,
        received,
        submission,
        authentication,
    )
}
WORDS: Mapping[str, Sequence[str]] = {
    "response": _ANSWER_WORDS,
    "response_to_submission": _ANSWER_WORDS,
    "handed_on": _ANSWER_WORDS,
    "content": _CONTENT_WORDS,
    "connection": _SETTINGS_WORDS,
    "callback": _CALLBACK_WORDS,
    "parameters": _PARAMETER_WORDS,
    "received": _EMULATOR_WORDS,
    "submission": _EMULATOR_WORDS,
    "authentication": _EMULATOR_WORDS,
}
