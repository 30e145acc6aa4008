# SPDX-License-Identifier: Apache-2.0
"""Signed requests, which these tests sign by the vendor's documented algorithm, without the client's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
import requests

from airflow_provider_trim.emulator import HttpError, TrimEmulator

PATH = "/vod/videoManage/videoClipQuery"
SUBMIT_PATH = "/vod/videoManage/videoClip"
NOW = 1516182478
USER, SECRET = "AKEXAMPLE0001", "SKEXAMPLE0001secret"
JSON, FORM = "application/json", "application/x-www-form-urlencoded; charset=utf-8"
HMAC = ("ws3-hmac-sha256", "cnc-hmac-sha256")
SCHEMES = (*HMAC, "api-key")
SIGNATURE_WRONG, KEY_WRONG = "the signature is wrong", "user name or API key is wrong"
PREFIXES = {"ws3-hmac-sha256": "X-WS", "cnc-hmac-sha256": "x-cnc"}

every_scheme = pytest.mark.parametrize("auth", SCHEMES)
every_hmac = pytest.mark.parametrize("auth", HMAC)
every_method = pytest.mark.parametrize("method", ["POST", "GET"])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hmac_signature(
    label: str,
    secret: str,
    time: object,
    method: str,
    signed: dict[str, str],
    *,
    path: str = PATH,
    query: str = "",
    body: bytes = b"",
) -> str:
    """Return a signature by the documented algorithm, line by line.

    :param signed: the signed headers
    """
    lines = [method, path, unquote(query) if method == "GET" else ""]
    lines += [f"{name}:{value}".lower() for name, value in signed.items()]
    lines += ["", ";".join(signed), sha256(body)]
    to_sign = f"{label}\n{time}\n{sha256(chr(10).join(lines).encode())}"
    return hmac.new(secret.encode(), to_sign.encode(), "sha256").hexdigest()


def api_key_password(key: str, date: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), date.encode(), "sha1").digest()).decode()


class Caller:
    """A client of one emulator. Builds signed requests, and sends them changed or unchanged."""

    def __init__(self, emulator: TrimEmulator, auth: str) -> None:
        self.emulator = emulator
        self.auth = auth
        self.session = requests.Session()

    def build(self, method: str = "POST", trans_no: str = "T", **signing: Any) -> requests.PreparedRequest:
        """Build a correctly signed query, except for what ``signing`` overrides."""
        query = urlencode({"transNo": trans_no}, quote_via=quote) if method == "GET" else ""
        if method == "GET":
            body = b""
        elif self.auth.startswith("ws3"):
            body = urlencode({"transNo": trans_no}).encode()
        else:
            body = json.dumps({"transNo": trans_no}, ensure_ascii=False).encode()
        content_type = FORM if self.auth.startswith("ws3") else JSON
        if self.auth == "api-key":
            proof = self._api_key(**signing)
        else:
            signed = {"content-type": content_type, "host": self.emulator.url.removeprefix("http://")}
            proof = self._hmac(signed, method, query, body, **signing)
        url = f"{self.emulator.url}{PATH}?{query}".removesuffix("?")
        request = requests.Request(method, url, {"Content-Type": content_type, **proof}, data=body)
        return self.session.prepare_request(request)

    def _hmac(
        self,
        signed: dict[str, str],
        method: str,
        query: str,
        body: bytes,
        *,
        at: object = NOW,
        user: str = USER,
        secret: str = SECRET,
        label: str | None = None,
        names: tuple[str, ...] = ("content-type", "host"),
        extra: dict[str, str] | None = None,
    ) -> dict[str, str]:
        label = label or self.auth.upper()
        extra = extra or {}
        signed = {name: {**signed, **extra}[name] for name in names}
        signature = hmac_signature(label, secret, at, method, signed, query=query, body=body)
        headers = {
            "Authorization": f"{label} Credential={user}, SignedHeaders={';'.join(names)}, Signature={signature}",
            f"{PREFIXES[self.auth]}-AccessKey": user,
            f"{PREFIXES[self.auth]}-Timestamp": str(at),
            **extra,
        }
        return headers if self.auth.startswith("ws3") else {**headers, "x-cnc-auth-method": "AKSK"}

    def _api_key(
        self,
        *,
        at: float = NOW,
        date: str | None = None,
        user: str = USER,
        secret: str = SECRET,
        date_header: str = "Date",
    ) -> dict[str, str]:
        date = formatdate(at, usegmt=True) if date is None else date
        basic = base64.b64encode(f"{user}:{api_key_password(secret, date)}".encode()).decode()
        return {"Authorization": f"Basic {basic}", date_header: date, "x-cnc-auth-method": "BASIC"}

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        return self.session.send(request, timeout=60)

    def call(self, method: str = "POST", trans_no: str = "T", **signing: Any) -> requests.Response:
        return self.send(self.build(method, trans_no, **signing))


def assert_accepted(response: requests.Response, trans_no: str = "T") -> None:
    document = response.json()
    assert (response.status_code, document["code"]) == (200, 200), document
    assert document["data"]["transNo"] == trans_no


def assert_rejected(response: requests.Response, reason: str) -> None:
    """Assert that the call was rejected for this reason alone, without the secret in the message."""
    document = response.json()
    assert (response.status_code, document["code"], document["data"]) == (401, 401, None)
    assert reason in document["message"]
    assert SECRET not in response.text


@pytest.fixture
def emulator_options(clock: Any, auth: Any) -> dict[str, Any]:
    clock.now = NOW
    return {"auth": auth, "user": USER, "token": SECRET, "wall_clock": clock}


@pytest.fixture
def caller(emulator: TrimEmulator, auth: str) -> Iterator[Caller]:
    emulator.add_trim("T", seconds=0)
    caller = Caller(emulator, auth)
    with caller.session:
        yield caller


# --- the signatures of these tests ---


@pytest.mark.parametrize(
    ("label", "method", "host", "content_type", "query", "body", "signature"),
    [
        (
            *("CNC-HMAC-SHA256", "POST", "api.cdnetworks.com", JSON),
            *("", b'{"transNo": "036b6f4a01611000a79c3a7800000000"}'),
            "d709c16711630a7a5946f06c3782f81bbacb003eb38edb66eeb01a32f3f70dbb",
        ),
        (
            *("CNC-HMAC-SHA256", "GET", "api.cdnetworks.com", JSON),
            *("transNo=036b6f4a01611000a79c3a7800000000", b""),
            "2ed9c1d3d79ce711a643064f816bcda079c8678a5a4ed002a05342f57116967e",
        ),
        (
            *("WS3-HMAC-SHA256", "POST", "api.cloudv.haplat.net", FORM),
            *("", b"transNo=036b6f4a01611000a79c3a7800000000"),
            "afab52405055718e931d90d1c37270286bf41339ef5fcf6550564b4d61f785a2",
        ),
    ],
    ids=["cnc-post", "cnc-get", "ws3-post"],
)
def test_signatures_of_these_tests_match_known_values(
    label: str, method: str, host: str, content_type: str, query: str, body: bytes, signature: str
) -> None:
    signed = {"content-type": content_type, "host": host}
    assert hmac_signature(label, SECRET, NOW, method, signed, query=query, body=body) == signature


def test_password_of_these_tests_matches_a_known_value() -> None:
    assert formatdate(NOW, usegmt=True) == "Wed, 17 Jan 2018 09:47:58 GMT"
    assert api_key_password("APIKEYEXAMPLE", formatdate(NOW, usegmt=True)) == "kQm3ne3qaRXbPsedQSPrBmVh4fg="


# --- accepted ---


@every_scheme
@every_method
@pytest.mark.parametrize("trans_no", ["036b6f4a01611000a79c3a7800000000", "操作 1+1=2&a%2F/?"])
def test_correct_signature_is_accepted(emulator: TrimEmulator, caller: Caller, method: str, trans_no: str) -> None:
    emulator.add_trim(trans_no, seconds=0)
    assert_accepted(caller.call(method, trans_no), trans_no)


@every_scheme
@every_method
@pytest.mark.parametrize("off", [300, -300])
def test_clock_can_be_off_by_five_minutes(caller: Caller, method: str, off: int) -> None:
    assert_accepted(caller.call(method, at=NOW + off))


@every_hmac
def test_more_headers_can_be_signed(caller: Caller) -> None:
    """In the order that ``SignedHeaders`` names."""
    names = ("content-type", "host", "x-request-note")
    request = caller.build(names=names, extra={"x-request-note": "As It Is"})
    assert_accepted(caller.send(request))
    request = caller.build(names=names, extra={"x-request-note": "As It Is"}, at=NOW + 1)
    request.headers["x-request-note"] = "otherwise"
    assert_rejected(caller.send(request), SIGNATURE_WRONG)


@pytest.mark.parametrize("auth", ["api-key"])
def test_date_can_come_as_x_cnc_date(caller: Caller) -> None:
    assert_accepted(caller.call(date_header="x-cnc-date"))
    assert_rejected(caller.call(date_header="x-cnc-date", at=NOW - 301), "more than 300 s off")
    request = caller.build(date_header="x-cnc-date")
    request.headers["x-cnc-date"] = formatdate(NOW + 1, usegmt=True)
    assert_rejected(caller.send(request), KEY_WRONG)


@pytest.mark.parametrize("auth", ["api-key"])
def test_api_key_signs_only_the_date(caller: Caller) -> None:
    """Two calls within one second have the same password, and both are accepted."""
    for _ in range(2):
        assert_accepted(caller.call())


# --- rejected ---


@every_scheme
@every_method
def test_wrong_secret_is_rejected(caller: Caller, auth: str, method: str) -> None:
    why = KEY_WRONG if auth == "api-key" else SIGNATURE_WRONG
    assert_rejected(caller.call(method, secret="wrong"), why)
    assert_rejected(caller.call(method, secret=SECRET.upper()), why)


@every_scheme
@every_method
def test_other_user_is_rejected(caller: Caller, auth: str, method: str) -> None:
    why = KEY_WRONG if auth == "api-key" else "the AccessKey is unknown"
    assert_rejected(caller.call(method, user="another"), why)


@every_scheme
@every_method
@pytest.mark.parametrize("off", [301, -301])
def test_clock_further_off_is_rejected(caller: Caller, method: str, off: int) -> None:
    assert_rejected(caller.call(method, at=NOW + off), "more than 300 s off")


@every_hmac
@every_method
def test_other_label_is_rejected(caller: Caller, auth: str, method: str) -> None:
    other = HMAC[1 - HMAC.index(auth)].upper()
    assert_rejected(caller.call(method, label=other), f"not of the scheme {auth.upper()}")


@every_hmac
@every_method
@pytest.mark.parametrize("names", [("content-type",), ("host",), ("x-request-note",)], ids=";".join)
def test_content_type_and_host_must_be_signed(caller: Caller, method: str, names: tuple[str, ...]) -> None:
    request = caller.build(method, names=names, extra={"x-request-note": "1"})
    assert_rejected(caller.send(request), "content-type and host must be signed")


@every_hmac
@every_method
@pytest.mark.parametrize(
    "at",
    ["", "yesterday", f"{NOW}.5", f"-{NOW}", f"+{NOW}", f"{NOW} {NOW}", hex(NOW)],
)
def test_malformed_time_stamp_is_rejected(caller: Caller, method: str, at: str) -> None:
    assert_rejected(caller.call(method, at=at), "the timestamp is not an integer")


@every_hmac
def test_time_stamp_in_non_ascii_digits_is_rejected(caller: Caller, auth: str) -> None:
    request = caller.build()
    request.headers[f"{PREFIXES[auth]}-Timestamp"] = "１５１６１８２４７８".encode()  # type: ignore[assignment]
    assert_rejected(caller.send(request), "the timestamp is not an integer")


@every_hmac
@pytest.mark.parametrize("at", ["0", "9" * 400, NOW * 1000], ids=["0", "nines", "milliseconds"])
def test_time_stamp_far_off_is_rejected(caller: Caller, at: object) -> None:
    assert_rejected(caller.call(at=at), "more than 300 s off")


@pytest.mark.parametrize("auth", ["api-key"])
@every_method
@pytest.mark.parametrize(
    "date",
    ["", "yesterday", str(NOW), "Wed, 17 Foo 2018 09:47:58 GMT", "Wed, 32 Jan 2018 09:47:58 GMT", "2018-01-17"],
)
def test_malformed_date_is_rejected(caller: Caller, method: str, date: str) -> None:
    assert_rejected(caller.call(method, date=date), "Date is not an RFC 1123 date")


PROOFS = [
    # scheme, header, the error without it, another value, and the error with that
    *(
        proof
        for auth in HMAC
        for proof in (
            (auth, "Authorization", "not of the scheme", "another", "not of the scheme"),
            (auth, "Content-Type", SIGNATURE_WRONG, "application/x-www-form-urlencoded", SIGNATURE_WRONG),
            (auth, "Host", None, "api.cdnetworks.com", SIGNATURE_WRONG),
            (auth, f"{PREFIXES[auth]}-AccessKey", "AccessKey is unknown", "another", "AccessKey is unknown"),
            (auth, f"{PREFIXES[auth]}-Timestamp", "timestamp is not an integer", str(NOW + 1), SIGNATURE_WRONG),
        )
    ),
    ("cnc-hmac-sha256", "x-cnc-auth-method", "auth-method is not AKSK", "BASIC", "auth-method is not AKSK"),
    ("api-key", "Authorization", KEY_WRONG, "another", KEY_WRONG),
    ("api-key", "x-cnc-auth-method", "auth-method is not BASIC", "AKSK", "auth-method is not BASIC"),
    ("api-key", "Date", "Date is not an RFC 1123 date", formatdate(NOW + 1, usegmt=True), KEY_WRONG),
]


@every_method
@pytest.mark.parametrize(
    ("auth", "name", "without", "changed", "why"), PROOFS, ids=[f"{auth}-{name}" for auth, name, *_ in PROOFS]
)
def test_missing_or_changed_header_is_rejected(
    caller: Caller, method: str, name: str, without: str | None, changed: str, why: str
) -> None:
    # The HTTP library adds a Host header if it is missing.
    if without is not None:
        request = caller.build(method)
        assert request.headers.pop(name)
        assert_rejected(caller.send(request), without)
    request = caller.build(method)
    assert request.headers.get(name) != changed
    request.headers[name] = changed
    assert_rejected(caller.send(request), why)
    # A rejected signature does not count as used.
    assert_accepted(caller.call(method))


@every_hmac
@every_method
def test_changed_path_is_rejected(caller: Caller, method: str) -> None:
    request = caller.build(method)
    request.url = request.url.replace(PATH, SUBMIT_PATH) if request.url else None
    assert_rejected(caller.send(request), SIGNATURE_WRONG)


@every_hmac
@pytest.mark.parametrize("query", ["transNo=U", "transNo=T&transNo=U", "", "transNo=t"])
def test_changed_query_string_is_rejected(caller: Caller, query: str) -> None:
    request = caller.build("GET")
    request.url = f"{caller.emulator.url}{PATH}?{query}".removesuffix("?")
    assert_rejected(caller.send(request), SIGNATURE_WRONG)


@every_hmac
@pytest.mark.parametrize(("old", "new"), [(b"T", b"U"), (b"T", b"t"), (b"transNo", b" transNo"), (b"T", b"")])
def test_changed_body_is_rejected(caller: Caller, old: bytes, new: bytes) -> None:
    request = caller.build()
    assert isinstance(request.body, bytes)
    request.body = new.join(request.body.rsplit(old, 1))
    request.headers["Content-Length"] = str(len(request.body))
    assert_rejected(caller.send(request), SIGNATURE_WRONG)


@every_hmac
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Signature=", "Signature=0", "not of the scheme"),
        ("Credential=", "Credential=,", "not of the scheme"),
        (f"Credential={USER}", "Credential=another", "the AccessKey is unknown"),
        (f"Credential={USER}, ", "", "not of the scheme"),
        ("SignedHeaders=content-type;host, ", "", "not of the scheme"),
        ("content-type;host", "host;content-type", SIGNATURE_WRONG),
        ("-SHA256", "-SHA1", "not of the scheme"),
    ],
)
def test_changed_authorization_is_rejected(caller: Caller, old: str, new: str, why: str) -> None:
    request = caller.build()
    request.headers["Authorization"] = request.headers["Authorization"].replace(old, new)
    assert_rejected(caller.send(request), why)


@pytest.mark.parametrize("auth", ["api-key"])
@every_method
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Basic ", "Basic !"),
        ("Basic ", "Basic A"),
        ("Basic ", "Bearer "),
        ("Basic ", "Basic"),
        ("Basic ", ""),
    ],
)
def test_invalid_base64_is_rejected(caller: Caller, method: str, old: str, new: str) -> None:
    request = caller.build(method)
    authorization = request.headers["Authorization"]
    assert old in authorization
    request.headers["Authorization"] = authorization.replace(old, new)
    assert_rejected(caller.send(request), KEY_WRONG)


@pytest.mark.parametrize("auth", ["api-key"])
def test_authorization_that_is_not_text_is_rejected(caller: Caller) -> None:
    request = caller.build()
    request.headers["Authorization"] = b"Basic \xff\xfe"  # type: ignore[assignment]
    assert_rejected(caller.send(request), KEY_WRONG)


@every_scheme
def test_token_does_not_replace_a_signature(caller: Caller) -> None:
    data = {"userId": USER, "token": SECRET, "timeStamp": str(NOW), "transNo": "T"}
    assert caller.session.post(caller.emulator.url + PATH, data=data, timeout=60).status_code == 401


# --- used signatures ---


@every_hmac
@every_method
@pytest.mark.parametrize("ahead", [0, 200])
def test_signature_is_accepted_again_only_after_five_minutes(
    caller: Caller, clock: Any, method: str, ahead: int
) -> None:
    """The service's clock counts, not the time of the signature."""
    request = caller.build(method, at=NOW + ahead)
    assert_accepted(caller.send(request))
    assert_rejected(caller.send(request), "the signature has been used already")
    clock.now += 299
    assert_rejected(caller.send(request), "the signature has been used already")
    clock.now += 1
    assert_accepted(caller.send(request))


@every_hmac
@every_method
def test_other_second_or_trim_has_another_signature(emulator: TrimEmulator, caller: Caller, method: str) -> None:
    emulator.add_trim("U", seconds=0)
    assert_accepted(caller.call(method))
    assert_accepted(caller.call(method, at=NOW + 1))
    assert_accepted(caller.call(method, "U"), "U")


@every_hmac
def test_call_that_fails_uses_its_signature(emulator: TrimEmulator, caller: Caller) -> None:
    emulator.misbehave("T", HttpError(503))
    request = caller.build()
    assert caller.send(request).status_code == 503
    assert_rejected(caller.send(request), "the signature has been used already")


# --- the emulator's arguments ---


@every_scheme
@every_method
def test_new_secret_counts_from_the_next_call(emulator: TrimEmulator, caller: Caller, method: str) -> None:
    assert_accepted(caller.call(method))
    emulator.token = "the next one"
    assert_rejected(caller.call(method, at=NOW + 1), "wrong")
    assert_accepted(caller.call(method, at=NOW + 1, secret="the next one"))


@pytest.mark.parametrize("auth", ["nonsense", "", "WS3-HMAC-SHA256", None])
def test_unknown_scheme_raises(auth: Any) -> None:
    with pytest.raises(ValueError, match="auth must be one of token, ws3-hmac-sha256, cnc-hmac-sha256, api-key, not"):
        TrimEmulator(auth=auth)
