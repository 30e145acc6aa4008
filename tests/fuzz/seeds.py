# SPDX-License-Identifier: Apache-2.0
"""Inputs to begin with: the vendor's example, and some by hand."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence

from targets import HEADERS, SECRETS, STATUSES, WORDS, encoded, response_words
from values import EXAMPLE, pack, pack_text, paths

_NOON = "Wed, 17 Jan 2018 12:00:00 GMT"


_ODD_DATES = (
    "Wed, 17 Jan 99999999999999999999 12:00:00 GMT",
    "Wed, 17 Jan 2018 12:00:00 +99999999999999999999",
    "Wed, 17 Jan 2018 12:00:00 -0000",
    "Wed, 17 Jan 0001 00:00:00 -0000",
    "31 Dec 9999 23:59:59 -0000",
    "Wed, 99 Jan 2018 12:00:00 GMT",
    "1-Jan- 12:00:00 GMT",
    "1 Jan 12:00 +1",
    "yesterday",
    ",",
    "",
)
_ODD_VALUES = (None, "x", "", "inf", "nan", "1e400", 1e300, True, [], {})
_CUT = pack("")[:1] + bytes([125, 120]) + b"x" + bytes([0, 4]) + b"xxxx" + pack_text("", [""]) + pack_text("", [""])
"""A text of a hundred characters, four more, and twice the first word, which is the secret."""


def _response(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: int = 0, trans_no: int | None = 0
) -> bytes:
    """A response as its targets read it, at a time that is known."""
    inner = b"".join(bytes([HEADERS.index(name)]) + pack_text(text) for name, text in headers.items())
    asked = b"" if trans_no is None else bytes([trans_no])
    return bytes([secret, STATUSES.index(status), len(headers)]) + inner + bytes([1]) + asked + body


def _responses(trans_no: int | None) -> list[bytes]:
    example = json.dumps(EXAMPLE, ensure_ascii=False).encode()
    bodies = [
        b"\0\0",  # the documented one, unchanged
        b"\x01" + pack(EXAMPLE),
        b"\x03" + example,
        b"\x03" + example.replace(b'"status": 2', b'"status": 3'),
        b'\x03{"code": 1565, "message": "token {secret} is unknown", "data": null}',
        b'\x03{"code": 200, "message": "", "data": {"status": 3, "taskId": "{secret}"}}',
        b'\x03{"code": 200, "message": "", "data": {"status": 2, "videoInfo": {"videoDuration": "{secret}"}}}',
        b'\x03{"code": 200, "message": "", "data": "task-1"}',
        b'\x03{"code": "1603"}',
        b"\x03<html>{secret}</html>",
    ]
    heads: list[tuple[int, dict[str, str]]] = [
        (200, {"X-WS-RequestId": "r-1", "Date": _NOON}),
        (401, {"Date": _NOON}),
        (429, {"Retry-After": "7"}),
        (503, {"Retry-After": "Wed, 17 Jan 2018 12:00:30 GMT", "Date": _NOON}),
        (301, {"Location": "https://new.example.com/vod?token=1"}),
        (301, {"Location": "http://["}),
        *((401, {"Date": date}) for date in _ODD_DATES),
        *((429, {"Retry-After": date, "Date": _NOON}) for date in _ODD_DATES),
    ]
    mutations = [
        bytes([0, 1]) + place.to_bytes(2) + b"\0" + value
        for place in range(len(paths(EXAMPLE)))
        for value in (_CUT, *map(pack, _ODD_VALUES))
    ]
    return [
        *(_response(200, {}, body, secret=secret, trans_no=trans_no) for body in bodies for secret in (0, 1, 2)),
        *(_response(200, {}, body, secret=1, trans_no=trans_no) for body in mutations),
        *(_response(status, headers, bodies[-1], secret=1, trans_no=trans_no) for status, headers in heads),
        *_repeating(trans_no),
    ]


def _repeating(trans_no: int | None) -> list[bytes]:
    """Responses that repeat the secret, in each way and at each place."""
    found = []
    for number, secret in enumerate(SECRETS, 1):
        words = response_words(secret)
        for form in encoded(secret):
            said = (
                {"code": 1565, "message": form},
                {"code": 200, "data": {"status": 3, "taskId": form}},
                {"code": 200, "data": {"status": 9, "transNo": form}},
                {"error": form},
            )
            found += [
                _response(status, {}, b"\x01" + pack(body, words), secret=number, trans_no=trans_no)
                for body in said
                for status in (200, 404)
            ]
    return found


def _handed_on() -> list[bytes]:
    words = WORDS["handed_on"]
    values = (*_ODD_VALUES, -(2**63), 2**63 - 1, 1e308, "\u202e", "\x1b[31m", "é" * 50, {"a": [{"b": "c"}]}, ["x"] * 30)
    one = [pack_text("T") + b"\0" + pack(value, words) for value in values]
    inner = [b"\1\1" + place.to_bytes(2) + b"\0" + pack(value, words) for place in range(40) for value in values[:6]]
    lists = [b"\2" + pack_text("T") * 3 + b"\0" + pack(value, words) + b"\1\0\1\0" for value in values]
    return [*(b"\0" + seed for seed in one), *(b"\0" + pack_text("T") + seed for seed in inner), *lists]


def _content() -> list[bytes]:
    plain = json.dumps(EXAMPLE).encode()
    bodies = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "br": plain, "identity": plain}
    raw = [b"\0" + pack_text(name) + b"\5" + body for name, body in bodies.items()]
    return raw + [b"\0" + pack_text(name) + bytes([kind]) + plain for name in ("gzip", "deflate") for kind in range(5)]


def _connection() -> list[bytes]:
    parts = [b"\0\0\0\0\0\0", b"\1\1\1\1\1\1", b"\2\2\2\2\2\2"]
    extras = [bytes([4, *(number % 11 for number in range(first, first + 4)), *range(4)]) for first in range(11)]
    texts = pack_text("https://api.example.com/cloud") + pack_text("me") + pack_text("s3cret") + pack_text("https")
    return [extra + texts + part for extra in (b"\0", *extras) for part in parts]


def _parameters() -> list[bytes]:
    times = [b"\7" + pack_text(text) for text in ("1:30", "00:01:30.5", "12.5", "-1", "")]
    times += [b"\1\0\0\0\0\0\0", b"\5" + bytes(8), b"\0" + pack(12)]
    changes = [b"\0", *(bytes([1, number, 1, which]) for number in range(13) for which in range(4))]
    return [time + change for time in times[:2] for change in changes] + [time + b"\0" for time in times]


def _requests(words: Sequence[str]) -> list[bytes]:
    forms = (b"userId=me&token=s3cret&transNo=T", b'{"transNo": "T", "token": null}', b"%zz=+&&=", b"[")
    bodies = [b"\3" + form for form in forms] + [b"\2\0", b"\2\x64", b"\2\xff", b"\0\0"]
    found = [
        bytes([method, kind]) + pack_text("a=b") + body for method in (0, 1) for kind in range(3) for body in bodies
    ]
    return [*found, b"\0\0\0\1\4" + b"".join(pack_text(word, words) for word in words[:4])]


def _submission() -> list[bytes]:
    words = WORDS["submission"]
    changed = [
        bytes([rate, 0, 1]) + place.to_bytes(2) + b"\0" + value
        for rate in (0, 1)
        for place in range(14)
        for value in (*(pack(odd, words) for odd in (None, "0", 7, "http://[", "\ud800")), b"\6\x7a0\2", b"\x0a\2")
    ]
    return [b"\0\0\0", b"\1\0\0", *changed, *(bytes([0, 2, depth]) for depth in (0, 90, 255))]


def _authentication() -> list[bytes]:
    start = [bytes([scheme, method, 0]) for scheme in range(4) for method in (0, 1)]
    dates = [b"\1\2" + pack_text("Date") + pack_text(date) for date in (_NOON, *_ODD_DATES)]
    changes = [b"\0", *dates, b"\1\3\0", b"\1\3\4", b"\1\1\2\x60", b"\1\4\4\5\1x\1", b"\1\4\5\5\1x\1", b"\1\1\0\0"]
    return [head + change for head in start for change in changes]


def _callbacks() -> list[bytes]:
    words = WORDS["callback"]
    signed = [
        pack_text(before, words) + b"\1" + pack_text(trans_no, words) + pack_text(after, words)
        for before in ("", "/trims", "http://h")
        for trans_no in ("T", "036b6f4a01611000a79c3a7800000000", "..", "x" * 33, "%2F", "é")
        for after in ("", "?a=b", "/", "\n")
    ]
    plain = [f"/T/{'A' * 43}", f"/T/{'A' * 42}", f"//{'A' * 43}", f"/../{'A' * 43}", "*", "/", ""]
    return [*signed, *(pack_text(target, words) + b"\0" for target in plain)]


SEEDS: Mapping[str, list[bytes]] = {
    "response": _responses(1),
    "response_to_submission": _responses(None),
    "handed_on": _handed_on(),
    "content": _content(),
    "connection": _connection(),
    "callback": _callbacks(),
    "parameters": _parameters(),
    "received": _requests(WORDS["received"]),
    "submission": _submission(),
    "authentication": _authentication(),
}
"""By target."""
