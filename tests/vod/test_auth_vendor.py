# SPDX-License-Identifier: Apache-2.0
"""Compared with the vendor's SDK for Python: it signs alike, and the emulator accepts it as a client."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wangsu.common.auth.AkSkAuth import AkSkAuth
from wangsu.common.auth.AkSkConfig import AkSkConfig
from wangsu.common.Constant.Constant import Constant

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.vod.auth import sign
from airflow_provider_trim.vod.http import Request
from airflow_provider_trim.vod.settings import TrimSettings

QUERY_PATH = "/vod/videoManage/videoClipQuery"
SUBMIT_PATH = "/vod/videoManage/videoClip"
USER, SECRET = "AKEXAMPLE0001", "SKEXAMPLE0001secret"

# The SDK signs :443 where it is given, and sends it; we leave out what is the scheme's default, and sign what we send.
ports = st.integers(1, 65535).filter(lambda port: port != 443)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,9}(\.[A-Za-z]{2,6}){1,3}", fullmatch=True) | st.just("[::1]")
hosts = names | st.builds("{}:{}".format, names, ports)

# No "#" and no control characters: neither is sent as part of a URL, and the SDK takes its path from the raw text.
paths = st.just(QUERY_PATH) | st.from_regex(r"/[A-Za-z0-9_.~!$&'()*+,;=:@%/-]{0,30}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.text("a1 +&=%/?#操作成功", max_size=12)
pairs = st.lists(st.tuples(texts, texts), max_size=4)
queries = st.one_of(
    st.builds(urlencode, pairs, quote_via=st.sampled_from([quote, quote_plus])),
    st.text("aZ19%+&=?/:;,@!~._-操作é", max_size=30),
    st.just("transNo=%E6%93%8D%E4%BD%9C%2B%26%3D%25+1"),
)
bodies = st.text(st.characters(codec="utf-8"), max_size=60) | st.builds(json.dumps, st.dictionaries(texts, texts))
content_types = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded; charset=utf-8", "Application/JSON;charset=UTF-8"]
) | st.from_regex(r"[!-~]{1,30}", fullmatch=True)
# What a connection lets through: an id that a header can take, and a secret of one line.
logins = st.from_regex(r"[!-~]{1,30}", fullmatch=True)
secrets = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)


def config(endpoint: str, method: str, uri: str, user: str = USER, secret: str = SECRET) -> AkSkConfig:
    filled = AkSkConfig()
    filled.end_point, filled.method, filled.uri = endpoint, method, uri
    filled.access_key, filled.secret_key = user, secret
    return filled


def vendors_headers(asked: AkSkConfig, content_type: str, body: str, now: float) -> dict[str, str]:
    """What the SDK would send, at that time by its clock."""
    message = AkSkAuth.transfer_http_request_msg(asked, body)
    # Not as one of the SDK's "custom headers": these it adds after it has signed.
    message.put_header("Content-Type", content_type)
    with mock.patch("wangsu.common.auth.AkSkAuth.time", SimpleNamespace(time=lambda: now)):
        AkSkAuth.get_auth_and_set_headers(message, asked.access_key, asked.secret_key, {})
    return {name.lower(): value for name, value in message.headers.items()}


# The SDK knows no WS3, which is the same algorithm under another label: hence the replaced one.
@pytest.mark.parametrize(
    ("auth", "label", "prefix"),
    [("cnc-hmac-sha256", "CNC-HMAC-SHA256", "x-cnc"), ("ws3-hmac-sha256", "WS3-HMAC-SHA256", "x-ws")],
)
@given(
    method=st.sampled_from(["GET", "POST"]),
    host=hosts,
    path=paths,
    query=st.none() | queries,
    content_type=content_types,
    body=bodies,
    now=st.floats(0, 2.0**33),
    user=logins,
    secret=secrets,
)
def test_we_sign_as_the_vendor_does(
    auth: str,
    label: str,
    prefix: str,
    method: str,
    host: str,
    path: str,
    query: str | None,
    content_type: str,
    body: str,
    now: float,
    user: str,
    secret: str,
) -> None:
    uri = path if query is None else f"{path}?{query}"
    body = "" if method == "GET" else body
    with mock.patch.object(Constant, "HEAD_SIGN_ALGORITHM", label):
        vendors = vendors_headers(config(host, method, uri, user, secret), content_type, body, now)

    connection = TrimSettings.from_connection(login=user, password=secret, extra={"auth": auth})
    request = Request(method, f"https://{host}{uri}", {"Content-Type": content_type}, body.encode())
    signed = sign(request, connection, now)

    ours = {name.lower(): value for name, value in signed.headers.items()}
    assert ours.pop("authorization") == vendors["authorization"]
    assert ours.pop("content-type") == vendors["content-type"]
    assert ours.pop(f"{prefix}-accesskey") == vendors["x-cnc-accesskey"]
    assert ours.pop(f"{prefix}-timestamp") == vendors["x-cnc-timestamp"]
    assert ours == ({"x-cnc-auth-method": vendors["x-cnc-auth-method"]} if prefix == "x-cnc" else {})
    assert (signed.method, signed.url, signed.body) == (method, request.url, request.body)


# --- the SDK as a client of the emulator ---


@pytest.fixture
def sdk_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK insists on https, which the emulator does not speak. All else is as it comes.
    monkeypatch.setattr(Constant, "HTTPS_REQUEST_PREFIX", "http://")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def emulator_options(sdk_over_http: None) -> dict[str, Any]:
    return {"auth": "cnc-hmac-sha256", "user": USER, "token": SECRET}


def call(emulator: TrimEmulator, method: str, uri: str, body: str | None = None, secret: str = SECRET) -> Any:
    """The response to the SDK's own HTTP call."""
    endpoint = emulator.url.removeprefix("http://")
    return json.loads(AkSkAuth.invoke(config(endpoint, method, uri, secret=secret), body))


@pytest.mark.parametrize("trans_no", ["T", "操作 1+1=2&a%2F/?"])
def test_the_sdk_is_let_in(emulator: TrimEmulator, trans_no: str) -> None:
    """Its own call, signature and all; only the prefix ``https://``, which it insists on, is replaced."""
    emulator.add_trim(trans_no, seconds=0)
    got = call(emulator, "GET", f"{QUERY_PATH}?{urlencode({'transNo': trans_no}, quote_via=quote)}")
    posted = call(emulator, "POST", QUERY_PATH, json.dumps({"transNo": trans_no}, ensure_ascii=False))
    for response in (got, posted):
        assert (response["code"], response["data"]["transNo"], response["data"]["status"]) == (200, trans_no, 2)


def test_the_sdk_submits(emulator: TrimEmulator) -> None:
    clip = {"transNo": "T", "videoId": "V1", "seekStart": 30, "duration": 12, "filename": "goal.flv"}
    assert call(emulator, "POST", SUBMIT_PATH, json.dumps(clip))["code"] == 200
    assert [submission.trans_no for submission in emulator.submissions] == ["T"]


def test_the_sdk_with_a_wrong_secret_is_refused(emulator: TrimEmulator) -> None:
    emulator.add_trim("T", seconds=0)
    response = call(emulator, "POST", QUERY_PATH, json.dumps({"transNo": "T"}), secret="wrong")
    assert (response["code"], response["message"]) == (401, "the signature is wrong")
    assert emulator.calls[-1].http_status == 401
