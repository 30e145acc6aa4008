# SPDX-License-Identifier: Apache-2.0
"""Untrusted text in messages: short, on one line, and without the secret in any form that HTTP software produces."""

from __future__ import annotations

import base64
import html
import json
import quopri
import random
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.vod.errors import TrimTransportError
from airflow_provider_trim.vod.redaction import MAX_EXCERPT, excerpt, redact, redact_json, truncate
from tests.support.parsing import parse_task

SECRETS = ("tok3n-ABC_xyz", "s3cr?t/密 +", "a\"b'c<d>&\\e", "x" * 5, "k€y=" * 40)

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "percent-encoded": lambda s: quote(s, safe=""),
    "percent-encoded, lower case": lambda s: quote(s, safe="").lower(),
    "percent-encoded as a form": quote_plus,
    "quoted-printable": lambda s: quopri.encodestring(s.encode(), quotetabs=True).decode(),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)[1:-1])[1:-1],
    "repr": lambda s: repr(s)[1:-1],
    "repr of bytes": lambda s: repr(s.encode())[2:-1],
    "HTML": html.escape,
    "HTML, decimal": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "HTML, hexadecimal": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "hexadecimal": lambda s: s.encode().hex(),
    "hexadecimal, upper case": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64, unpadded": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 with line breaks": lambda s: base64.encodebytes(s.encode()).decode(),
    "base64 of user:secret": lambda s: base64.b64encode(f"me:{s}".encode()).decode(),
    "base64 of a body": lambda s: base64.b64encode(f"userId=me&token={s}&timeStamp=1".encode()).decode(),
    "folded": lambda s: f"{s[:3]}\r\n {s[3:]}",
    "folded and shown": lambda s: f"{s[:3]}\\r\\n {s[3:]}",
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_secret_in_any_form(form: str, secret: str) -> None:
    text = FORMS[form](secret)
    shown = redact(f"token '{text}' is unknown", secret)
    assert "***" in shown
    rest = shown.partition("***")[0].removeprefix("token '") + shown.partition("***")[2].removesuffix("' is unknown")
    # In base64 what surrounds a secret may stay; nothing else may.
    assert len(rest) <= (40 if "base64 of" in form else 3), shown
    assert "base64 of" in form or text[4:12] not in rest


ESCAPES = ("\\\\", "\\n", "\\\\r", "= \n", "  ", "&#x0", "%25", "\\u00")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "secret",
    ["0123456789abcdef" * 4, "ntr" * 21, "n\\" * 32, '\\"' * 20, "\\" * 40, "a b " * 16, "%25" * 21, "&;" * 12],
)
def test_most_of_a_secret_costs_no_more_than_all_of_it(form: str, secret: str) -> None:
    """If each character could be matched in two ways, this would take longer than anyone waits."""
    spelled = FORMS[form](secret[:-1])
    for text in (spelled, f"{spelled}!" * 20, *(escape.join(secret[:-1]) for escape in ESCAPES)):
        redact(text, secret)
        redact(text * 3, secret)


@given(
    secret=st.text("nrt\\ \"'%=&;a25+/é", min_size=5, max_size=40).filter(lambda text: text.strip() == text),
    # HTML has entities with and without a semicolon, and a fold may come after a backslash: then part of it may stay.
    form=st.sampled_from(sorted(name for name in FORMS if "HTML" not in name and "folded" not in name)),
)
def test_secret_of_characters_that_are_escaped(secret: str, form: str) -> None:
    shown = redact(f"token '{FORMS[form](secret)}' is unknown", secret)
    assert "***" in shown
    assert len(shown) <= len("token '***' is unknown") + (40 if "base64 of" in form else 3)


@pytest.mark.parametrize("cut", range(190, 230))
def test_half_a_secret_at_the_end_of_an_excerpt(cut: int) -> None:
    secret = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=40))
    for length in (cut, cut + 1400):
        assert secret[:8] not in excerpt("-" * length + secret, secret)


@pytest.mark.parametrize("secret", ["", "a", "abcd"])
def test_what_is_too_short_to_be_a_secret_stays(secret: str) -> None:
    assert redact("abcde", secret) == "abcde"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nTrim t is done", r"a\nTrim t is done"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("abc\u202edcba\u2066", r"abc\u202edcba\u2066"),
        ("a\u2028b\x85c\x00", r"a\u2028b\x85c\x00"),
        ("片段 💡", "片段 💡"),
        ("\ud800", r"\ud800"),
    ],
)
def test_excerpt_is_one_line_that_does_nothing(text: str, shown: str) -> None:
    assert excerpt(text) == truncate(text) == shown


def test_excerpt_of_a_megabyte_is_short_and_costs_little() -> None:
    started = time.process_time()
    for _ in range(100):
        assert len(excerpt("\n" * 900_000, "s" * 200)) == MAX_EXCERPT
    assert time.process_time() - started < 10


def test_secret_of_a_successful_response() -> None:
    secret = "geheim/1"
    info = {"videoId": secret, "videoName": f"v {secret} w", "videoResolutions": [{"x": [secret]}], secret: 1}
    body = json.dumps({"code": 200, "data": {"status": 2, "transNo": "T", "taskId": 1, "videoInfo": info}})
    task = parse_task(200, {}, body.encode(), secret)
    assert task.video_info is not None
    assert task.video_info.raw == {
        "videoId": "***",
        "videoName": "v *** w",
        "videoResolutions": [{"x": ["***"]}],
        "***": 1,
    }
    assert secret not in repr(task)


def test_value_without_a_secret_is_left_alone() -> None:
    value = {"a": ["b", 1, None, {"c": "d"}]}
    assert redact_json(value, "geheim") is value


def test_proxy_that_wants_credentials() -> None:
    with pytest.raises(
        TrimTransportError, match=r"proxy responded with HTTP status 407 \(check the proxy's user and pass"
    ):
        parse_task(407, {}, b"<html>")
