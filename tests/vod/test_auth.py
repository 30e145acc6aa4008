# SPDX-License-Identifier: Apache-2.0
"""Test vectors of the signatures, the first two computed with the vendor's own SDK (``wangsu-sdk-python``)."""

import base64

import pytest

from airflow_provider_trim.vod.auth import sign
from airflow_provider_trim.vod.http import Request
from airflow_provider_trim.vod.settings import TrimSettings

NOW = 1516182478.9
TRANS_NO = "036b6f4a01611000a79c3a7800000000"
PATH = "/vod/videoManage/videoClipQuery"


def settings(auth: str, **extra: object) -> TrimSettings:
    return TrimSettings.from_connection(
        login="AKEXAMPLE0001", password="SKEXAMPLE0001secret", extra={"auth": auth, **extra}
    )


@pytest.mark.parametrize(
    ("auth", "request_", "signature"),
    [
        (
            "cnc-hmac-sha256",
            Request(
                "POST",
                f"https://api.cdnetworks.com{PATH}",
                {"Content-Type": "application/json"},
                b'{"transNo": "' + TRANS_NO.encode() + b'"}',
            ),
            "d709c16711630a7a5946f06c3782f81bbacb003eb38edb66eeb01a32f3f70dbb",
        ),
        (
            "cnc-hmac-sha256",
            Request(
                "GET", f"https://api.cdnetworks.com{PATH}?transNo={TRANS_NO}", {"Content-Type": "application/json"}
            ),
            "2ed9c1d3d79ce711a643064f816bcda079c8678a5a4ed002a05342f57116967e",
        ),
        (
            "ws3-hmac-sha256",
            Request(
                "POST",
                f"https://api.cloudv.haplat.net{PATH}",
                {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
                f"transNo={TRANS_NO}".encode(),
            ),
            "afab52405055718e931d90d1c37270286bf41339ef5fcf6550564b4d61f785a2",
        ),
    ],
    ids=["cnc-post", "cnc-get", "ws3-post"],
)
def test_hmac_signatures_are_the_vendors(auth: str, request_: Request, signature: str) -> None:
    signed = sign(request_, settings(auth), NOW)
    label = auth.upper()
    assert signed.headers["Authorization"] == (
        f"{label} Credential=AKEXAMPLE0001, SignedHeaders=content-type;host, Signature={signature}"
    )
    assert (signed.method, signed.url, signed.body) == (request_.method, request_.url, request_.body)
    names = {name.lower(): value for name, value in signed.headers.items()}
    prefix = label[:3].lower().replace("ws3", "ws")
    assert names[f"x-{prefix}-accesskey"] == "AKEXAMPLE0001"
    assert names[f"x-{prefix}-timestamp"] == "1516182478"


def test_api_key_password_is_the_vendors() -> None:
    connection = TrimSettings.from_connection(login="someone", password="APIKEYEXAMPLE", extra={"auth": "api-key"})
    signed = sign(Request("POST", f"https://api.cdnetworks.com{PATH}", {}, b"{}"), connection, NOW)
    assert signed.headers["Date"] == "Wed, 17 Jan 2018 09:47:58 GMT"
    basic = signed.headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"someone:kQm3ne3qaRXbPsedQSPrBmVh4fg="
    assert signed.headers["x-cnc-auth-method"] == "BASIC"


def test_token_goes_with_the_other_parameters() -> None:
    form = Request("POST", f"https://h{PATH}", {"Content-Type": "x"}, b"transNo=T")
    assert sign(form, settings("token"), NOW).body == (
        b"transNo=T&userId=AKEXAMPLE0001&timeStamp=1516182478&token=SKEXAMPLE0001secret"
    )
    query = Request("GET", f"https://h{PATH}?transNo=T", {"Content-Type": "x"})
    signed = sign(query, settings("token", method="GET", allow_token_in_url=True), NOW)
    assert signed.url.endswith("?transNo=T&userId=AKEXAMPLE0001&timeStamp=1516182478&token=SKEXAMPLE0001secret")
    assert signed.body == b""


def test_token_header_keeps_the_token_out_of_the_parameters() -> None:
    signed = sign(Request("POST", f"https://h{PATH}", {}, b"transNo=T"), settings("token", token_header="X-Token"), NOW)
    assert signed.headers["X-Token"] == "SKEXAMPLE0001secret"
    assert signed.body == b"transNo=T&userId=AKEXAMPLE0001&timeStamp=1516182478"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.example.com/x", "api.example.com"),
        ("https://api.example.com:443/x", "api.example.com"),
        ("https://api.example.com:80/x", "api.example.com:80"),
        ("http://127.0.0.1:8766/x", "127.0.0.1:8766"),
        ("http://[::1]:80/x", "[::1]"),
    ],
)
def test_signed_host_is_the_host_header(url: str, host: str) -> None:
    assert Request("GET", url, {}).host == host


def test_repr_shows_no_secret() -> None:
    signed = sign(Request("POST", f"https://h{PATH}", {}, b"transNo=T"), settings("token"), NOW)
    assert "SKEXAMPLE0001secret" not in repr(signed)
    assert "SKEXAMPLE0001secret" not in repr(settings("token"))
