# SPDX-License-Identifier: Apache-2.0
"""The targets of ``make fuzz`` for some seconds: its seeds, any bytes, and values near the documented shape."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from seeds import SEEDS
from targets import (
    CALLBACK_KEY,
    EXTRAS,
    HEADERS,
    NOW,
    PARAMETERS,
    SCHEMES,
    SECRETS,
    STATUSES,
    SUBMISSION,
    TARGETS,
    TRANS_NO,
    check_authentication,
    check_callback,
    check_connection,
    check_content,
    check_parameters,
    check_received,
    check_response,
    check_response_to_submission,
    check_submission,
    check_time,
    encoded,
    to_wire,
)
from values import EXAMPLE, Reader, mutate, pack, to_json

from airflow_provider_trim.emulator.validation import SamplingRateParameter
from airflow_provider_trim.emulator.wire import ServiceRequest
from airflow_provider_trim.vod.schemes import Scheme
from airflow_provider_trim.vod.settings import TrimSettings

some = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

odd_texts = st.sampled_from(["", " ", "\n", "\x00", "\x85", "\u2028", "\u202e", "²", "٣", "1e400", "http://[", "//["])
texts = st.text(max_size=20) | odd_texts | st.sampled_from([form for secret in SECRETS for form in encoded(secret)])
wire_texts = texts | st.sampled_from(["\ud800", "\udcff"])
numbers = st.integers() | st.floats() | st.sampled_from([2**63, 10**400, True, 0, -1, "many digits"])
json_values = st.recursive(
    st.none() | st.booleans() | numbers | wire_texts | texts.map(lambda text: text * 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(wire_texts, inner, max_size=3),
    max_leaves=5,
)
changes = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 15), json_values), max_size=3)

dates = st.builds(
    "{}{} {} {} {} {}".format,
    st.sampled_from(["", "Wed, ", "Wednesday, ", ","]),
    st.integers(0, 32) | texts,
    st.sampled_from(["Jan", "feb", "Foo", "-"]),
    st.sampled_from(["2018", "18", "0001", "9999", "99999999999999999999", "", "²"]) | texts,
    st.sampled_from(["12:00:00", "24:00:00", "12:00", "12.00", "1:1:1:1", ":", ","]) | texts,
    st.sampled_from(["GMT", "-0000", "+0800", "-9999", "+99999999999999999999", "", "EST"]) | texts,
)
header_values = dates | st.integers(-9, 10**12).map(str) | wire_texts | texts.map(lambda text: text * 9)
headers = st.fixed_dictionaries({}, optional=dict.fromkeys(HEADERS, header_values))
clocks = st.sampled_from([None, NOW, 0.0]) | st.floats()


def changed(document: Any) -> st.SearchStrategy[Any]:
    """Documents with some of their values replaced, removed, wrapped, or with others added."""

    def change(these: Sequence[tuple[int, int, Any]]) -> Any:
        result = document
        for where, how, value in these:
            result = mutate(result, where, how, value)
        return result

    return changes.map(change)


def sent(document: Any) -> st.SearchStrategy[bytes]:
    return st.builds(lambda value, escaped: to_json(value, escaped=escaped), changed(document), st.booleans())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
@settings(some, max_examples=2 * settings.default.max_examples)
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_a_seed_is_read_as_what_was_packed() -> None:
    assert Reader(pack(EXAMPLE)).json() == EXAMPLE


@given(st.sampled_from(STATUSES), headers, sent(EXAMPLE), st.sampled_from([None, TRANS_NO]), clocks)
@some
def test_responses(
    http_status: int, headers: dict[str, str], body: bytes, trans_no: str | None, now: float | None
) -> None:
    for secret in ("", *SECRETS):
        check_response(http_status, headers, body, trans_no=trans_no, secret=secret, now=now)


@given(st.sampled_from(STATUSES), headers, sent({"code": 200, "message": "操作成功", "data": "task-1"}), clocks)
@some
def test_responses_to_submissions(http_status: int, headers: dict[str, str], body: bytes, now: float | None) -> None:
    for secret in ("", *SECRETS):
        check_response_to_submission(http_status, headers, body, secret=secret, now=now)


@given(
    st.sampled_from(["gzip", "deflate", "identity", "br", " X-GZIP"]) | texts,
    st.binary(max_size=99) | st.binary(max_size=99).map(gzip.compress),
    st.integers(0, 200),
    st.integers(0, 255),
)
@some
def test_contents(encoding: str, body: bytes, at: int, flipped: int) -> None:
    damaged = bytearray(body)
    if damaged:
        damaged[at % len(damaged)] ^= flipped
    for one in (body, bytes(damaged), body[:at], body + damaged):
        check_content({"content-encoding": encoding}, one)


extras = st.fixed_dictionaries({}, optional={name: st.sampled_from(odd) for name, odd in EXTRAS.items()})


@given(
    st.none() | texts | st.sampled_from(["h", "https://h/a", "http://127.0.0.1:1", "[::1]", "h:99999", "HTTPS://H"]),
    st.just("me") | st.none() | wire_texts,
    st.sampled_from(SECRETS) | st.none() | wire_texts,
    st.sampled_from([None, "https", "http"]) | texts,
    st.none() | st.integers(-1, 70000),
    st.none() | extras | extras.flatmap(changed),
)
@some
def test_connections(
    host: str | None, login: str | None, password: str | None, schema: str | None, port: int | None, extra: Any
) -> None:
    check_connection(host=host, login=login, password=password, schema=schema, port=port, extra=extra)


@given(st.from_regex(r"\A(/[A-Za-z0-9._~%-]{0,33}){0,3}/[A-Za-z0-9_=-]{42,44}([?#/].*)?\Z") | wire_texts)
@some
def test_callbacks(target: str) -> None:
    assert check_callback(target, CALLBACK_KEY) is None  # a signature can't be guessed


values = json_values | st.timedeltas() | st.decimals() | st.binary(max_size=3)
times = st.from_regex(r"\A ?[0-9]{0,10}(:[0-9]{1,3}){0,3}(\.[0-9]{0,7})?\n?\Z")


@given(values | times)
@some
def test_times(value: Any) -> None:
    check_time(value)


@given(
    st.fixed_dictionaries(
        {name: st.just(odd[0]) for name, odd in list(PARAMETERS.items())[:5]},
        optional={name: st.sampled_from(odd) | values for name, odd in list(PARAMETERS.items())[5:]},
    ),
    st.dictionaries(st.sampled_from(list(PARAMETERS)) | st.text(max_size=5), values | times, max_size=1),
    st.sampled_from(SCHEMES),
)
@some
def test_parameters(given_: dict[str, Any], more: Mapping[str, Any], auth: Scheme) -> None:
    check_parameters({**given_, **more}, auth)


@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.text(max_size=20) | st.from_regex(r"\A([a-z%&=+;]|%[0-9A-F]{2}){0,9}\Z"),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]) | texts,
    st.binary(max_size=50) | sent(SUBMISSION),
)
@some
def test_what_the_emulator_receives(method: str, query_string: str, content_type: str, body: bytes) -> None:
    check_received(method, query_string, content_type, body)


@given(sent(SUBMISSION), st.sampled_from(get_args(SamplingRateParameter)))
@some
def test_what_the_emulator_takes(body: bytes, name: SamplingRateParameter) -> None:
    check_submission(check_received("POST", "", "application/json", body), name)


proofs = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": st.from_regex(
            r"\A(WS3|CNC)-HMAC-SHA256 Credential=me, SignedHeaders=(content-type;host|a;b), Signature=[0-9a-f]{64}\Z"
        )
        | st.sampled_from(["Basic bWU6", "Basic é", "Basic"])
        | wire_texts,
        "Date": dates,
        "x-cnc-date": dates | st.just("Wed, 17 Jan 2018 09:47:58 GMT"),
        "x-cnc-auth-method": st.sampled_from(["BASIC", "AKSK", ""]),
        "x-cnc-accessKey": st.just("me") | texts,
        "X-WS-AccessKey": st.just("me") | texts,
        "X-WS-Timestamp": st.sampled_from(["1516182478", "²", "9" * 5000]) | texts,
        "x-cnc-timestamp": st.sampled_from(["1516182478", "²", "9" * 5000]) | texts,
        "Content-Type": wire_texts,
    },
)


@given(st.sampled_from(["GET", "POST"]), proofs, sent({"userId": "me", "token": "s3cret", "timeStamp": 1}), texts)
@some
def test_who_asks_the_emulator(method: str, headers: dict[str, str], body: bytes, query_string: str) -> None:
    read = check_received(method, query_string, "application/json", body)
    received = CIMultiDict({name: to_wire(text) for name, text in headers.items()})
    check_authentication(ServiceRequest(method, "/", query_string, received, body, read))


def test_every_extra_is_fuzzed() -> None:
    assert EXTRAS.keys() == TrimSettings.model_fields.keys() - {"base_url", "login", "password"}
