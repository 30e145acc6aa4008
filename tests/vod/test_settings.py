# SPDX-License-Identifier: Apache-2.0
"""Every part of a connection: what is taken, and what an error says where it is not."""

import pickle
import re
from typing import Any

import pytest
from limits import parse
from pydantic import SecretStr

from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.settings import DEFAULT_HOST, TrimSettings


def plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def refusal(**parts: Any) -> str:
    with pytest.raises(TrimSettingsError) as caught:
        TrimSettings.from_connection(**parts)
    assert not caught.value.retryable
    return str(caught.value)


@pytest.mark.parametrize("field", ["login", "password"])
@pytest.mark.parametrize("value", ["secret\n", "a\r\nX-Evil: 1", "\x00", "a\x7f", "\x85", "half \ud800"])
def test_a_line_break_in_the_credentials_is_refused(field: str, value: str) -> None:
    with pytest.raises(TrimSettingsError) as caught:
        TrimSettings.from_connection(**{field: value})
    assert str(caught.value) == (f"connection {field}: contains control characters (a stray newline from pasting?)")


@pytest.mark.parametrize(
    ("field", "extra"),
    [
        ("login", {"auth": "ws3-hmac-sha256"}),
        ("login", {"auth": "cnc-hmac-sha256"}),
        ("password", {"token_header": "X-Token"}),
    ],
)
@pytest.mark.parametrize("value", ["密", "sécret"])
def test_what_goes_into_a_header_has_to_fit_there(field: str, extra: dict[str, str], value: str) -> None:
    with pytest.raises(TrimSettingsError, match=f"^connection {field}: goes into a header") as caught:
        TrimSettings.from_connection(**{field: value}, extra=extra)
    assert value not in str(caught.value)
    TrimSettings.from_connection(**{field: value})  # in a form it may be anything


@pytest.mark.parametrize("value", ["secret ", " secret"])
def test_token_in_a_header_has_no_surrounding_spaces(value: str) -> None:
    text = refusal(password=value, extra={"token_header": "X-Token"})
    assert text == "connection password: goes into a header, so it must be ASCII without surrounding spaces"


def test_login_loses_surrounding_spaces() -> None:
    """They are pasted along, and would make another account of it."""
    assert TrimSettings.from_connection(login=" me\u00a0").login == "me"


@pytest.mark.parametrize(
    ("parts", "base_url"),
    [
        ({}, "https://api.cloudv.haplat.net"),
        ({"host": ""}, DEFAULT_HOST),
        ({"host": "  "}, DEFAULT_HOST),
        ({"host": "", "port": 443, "schema": "HTTPS"}, DEFAULT_HOST),
        ({"port": 0, "schema": " "}, DEFAULT_HOST),
        ({"host": "api.cdnetworks.com"}, "https://api.cdnetworks.com"),
        ({"host": " api.cdnetworks.com\n"}, "https://api.cdnetworks.com"),
        ({"host": "api.cdnetworks.com", "port": 8443}, "https://api.cdnetworks.com:8443"),
        ({"host": "api.cdnetworks.com:8443"}, "https://api.cdnetworks.com:8443"),
        ({"host": "gateway.example.com/vod", "port": 8443}, "https://gateway.example.com:8443/vod"),
        ({"host": "127.0.0.1", "port": 8766, "schema": "http"}, "http://127.0.0.1:8766"),
        ({"host": "http://127.0.0.1", "port": 8766}, "http://127.0.0.1:8766"),
        ({"host": "http://127.0.0.1:8765/base", "port": 8766}, "http://127.0.0.1:8765/base"),
        ({"host": "api.cdnetworks.com", "schema": "https"}, "https://api.cdnetworks.com"),
        ({"host": "https://gateway.example.com/vod/"}, "https://gateway.example.com/vod"),
        ({"host": "http://127.0.0.1:8766"}, "http://127.0.0.1:8766"),
        ({"host": "http://127.9.9.9"}, "http://127.9.9.9"),
        ({"host": "http://LOCALHOST:1"}, "http://localhost:1"),
        ({"host": "[::1]", "port": 8766, "schema": "http"}, "http://[::1]:8766"),
        ({"host": "http://[::1]:8766"}, "http://[::1]:8766"),
        ({"host": "[2001:db8::1]"}, "https://[2001:db8::1]"),
        ({"host": "http://example.com", "extra": {"allow_http": True}}, "http://example.com"),
        # One spelling for each host.
        ({"host": "API.CDNetworks.com."}, "https://api.cdnetworks.com"),
        ({"host": "HTTPS://api.cdnetworks.com:443/"}, "https://api.cdnetworks.com"),
        ({"host": "api.cdnetworks.com", "port": 443, "schema": "HTTPS"}, "https://api.cdnetworks.com"),
        ({"host": "http://127.0.0.1:80"}, "http://127.0.0.1"),
        ({"host": "Bücher.example"}, "https://xn--bcher-kva.example"),
        ({"host": "中文.example.com"}, "https://xn--fiq228c.example.com"),
        ({"host": "::1", "port": 8766, "schema": "http"}, "http://[::1]:8766"),
        ({"host": "2001:DB8:0:0::1"}, "https://[2001:db8::1]"),
        ({"host": "[2001:DB8:0:0::1]:8443"}, "https://[2001:db8::1]:8443"),
        ({"host": "a_b.example"}, "https://a_b.example"),
    ],
)
def test_host(parts: dict[str, Any], base_url: str) -> None:
    assert TrimSettings.from_connection(**parts).base_url == base_url


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("ftp://example.com", "scheme 'ftp' must be http or https"),
        ("https://", "must be a host name, or a base URL such as https://api.cloudv.haplat.net"),
        ("https://http:8443//h.example", "is http://h.example meant?"),  # and the field port
        ("https://user:geheim@example.com", "must be a host name, or a base URL"),
        ("https://:geheim@example.com", "must be a host name, or a base URL"),
        ("https://user:geheim℀@example.com", "must be a host name, or a base URL"),
        ("https://example.com/?a=geheim", "must be a host name, or a base URL"),
        ("https://example.com/#", "must be a host name, or a base URL"),
        ("https://a..b", "must be a host name, or a base URL"),
        ("https://.", "must be a host name, or a base URL"),
        ("https://a,b", "must be a host name, or a base URL"),
        ("https://a\\b", "must be a host name, or a base URL"),
        ("https://[fe80::1%25eth0]", "must be a host name, or a base URL"),
        ("https://h/a/../b", "must not contain '.' or '..' as a part of its path"),
        ("https://h/%2E%2e/b", "must not contain '.' or '..' as a part of its path"),
        ("https://h/ü", "must be ASCII"),
        ("exa mple.com", "must not contain spaces or control characters"),
        ("https://exa\nmple.com", "must not contain spaces or control characters"),
        ("https://example.com:99999", "port must be a number from 1 to 65535"),
        ("https://example.com:0", "port must be a number from 1 to 65535"),
        ("http//h.example:8443/vod", "must be a base URL; is http://h.example:8443/vod meant?"),
        ("HTTPS//h.example", "must be a base URL; is https://h.example meant?"),
        ("https:/h.example", "must be a base URL; is https://h.example meant?"),
        ("https:h.example", "must be a base URL; is https://h.example meant?"),
        ("http://https://h.example", "must be a base URL; is https://h.example meant?"),
        ("http://http//h.example", "must be a base URL; is http://h.example meant?"),
        ("http//user:geheim@h.example", "must be a host name, or a base URL"),
        ("https://example.com:geheim", "port must be a number from 1 to 65535"),
        ("https://[::1", "must be a host name, or a base URL"),
    ],
)
def test_refused_host(host: str, said: str) -> None:
    text = refusal(host=host)
    assert text.startswith("connection host: ")
    assert said in text
    assert "geheim" not in text


@pytest.mark.parametrize(
    ("parts", "name"), [({"port": 8766}, "port"), ({"host": " ", "port": 80}, "port"), ({"schema": "http"}, "schema")]
)
def test_what_belongs_to_another_host_is_refused_without_it(parts: dict[str, Any], name: str) -> None:
    """The credentials went to the default host."""
    assert refusal(**parts) == (
        f"connection {name} is given without a host: set the host, such as http://127.0.0.1:8766, or leave both out "
        "for https://api.cloudv.haplat.net"
    )


@pytest.mark.parametrize("host", ["https://http:8443/vod", "https://http/vod", "https://https"])
def test_a_host_may_be_named_like_a_scheme(host: str) -> None:
    assert TrimSettings.from_connection(host=host).base_url == host


@pytest.mark.parametrize(
    "parts",
    [
        {"host": "http://example.com"},
        {"host": "example.com", "schema": "http"},
        {"host": "http://127.0.0.1.example.com"},
        {"host": "http://192.168.0.1"},
        {"host": "http://[2001:db8::1]"},
        {"host": "http://example.com", "extra": {"allow_http": "false"}},
    ],
)
def test_plain_http_is_refused(parts: dict[str, Any]) -> None:
    text = refusal(**parts)
    assert text.startswith("connection host: plain http")
    assert "allow_http" in text


def test_token_in_the_url_is_refused() -> None:
    text = refusal(extra={"method": "GET"})
    assert text.startswith("connection extra 'method': GET puts the token into the URL")
    assert "token_header" in text
    assert "allow_token_in_url" in text
    for extra in ({"token_header": "X-Token"}, {"allow_token_in_url": "true"}, {"auth": "api-key"}):
        assert TrimSettings.from_connection(extra={"method": "GET", **extra}).method == "GET"


@pytest.mark.parametrize(
    ("name", "default", "accepted"),
    [
        ("auth", "token", {s: s for s in ("token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key")}),
        ("auth", "token", {"TOKEN": "token", "API-Key ": "api-key"}),
        ("token_header", None, {"X-Token": "X-Token"}),
        ("method", "POST", {"POST": "POST", "post": "POST"}),
        ("timeout", 30.0, {5: 5.0, 0.2: 0.2, "30": 30.0, "1.5": 1.5, 600: 600.0}),
        ("verify", True, {True: True, "true": True, "False": False, "/etc/ca.pem": "/etc/ca.pem"}),
        ("verify", True, {False: False, "no": False, "0": False, "OFF": False, " 1": True, "on": True}),
        ("verify", True, {0: False}),
        ("verify", True, {1: True}),
        ("proxy", None, {"http://u:p@proxy:3128": "http://u:p@proxy:3128", "https://proxy": "https://proxy"}),
        ("proxy", None, {"proxy:3128": "http://proxy:3128", "u:p%40@Proxy.:80": "http://u:p%40@proxy"}),
        ("allow_http", False, {True: True, "true": True, "yes": True, "false": False}),
        ("allow_token_in_url", False, {True: True, "true": True, "no": False}),
        (
            "quota",
            parse("300/5 minutes"),
            {
                "30/5 minutes": parse("30/5 minutes"),
                "1 per second": parse("1/second"),
                "1000000/10 seconds": parse("1000000/10 seconds"),
                "1000/month": parse("1000/month"),
                "off": None,
                "OFF": None,
                False: None,
            },
        ),
        (
            "quota_storage",
            "memory://",
            {
                uri: uri
                for uri in (
                    "memory://",
                    "redis://:p@h/1",
                    "redis://h?db=1",
                    "rediss://h?ssl_cert_reqs=none",
                    "redis://h",
                )
            },
        ),
        ("quota_storage", "memory://", {"memory:///": "memory://", "MEMORY://": "memory://"}),
        (
            "quota_storage",
            "memory://",
            {
                "REDIS://:P@H.:6379/0?db=1": "redis://:P@h?db=1",
                "redis://[::1]/": "redis://[::1]",
                "redis://h/12/": "redis://h/12",
                "redis://h/10": "redis://h/10",
                "redis://u:a%2F%3F%23@h?db=&protocol=3": "redis://u:a%2F%3F%23@h?db=&protocol=3",
                "rediss://h?ssl_check_hostname=False&max_connections=10&health_check_interval=0": (
                    "rediss://h?ssl_check_hostname=False&max_connections=10&health_check_interval=0"
                ),
            },
        ),
        ("api_path", "/vod/videoManage", {"/a/b": "/a/b", "/a/": "/a", "/": "", "/%E4%B8%AD~x": "/%E4%B8%AD~x"}),
        (
            "parameters",
            (),
            {
                '{"format": "json", "n": 5}': (("format", "json"), ("n", "5")),
                '{"timeStamp": "1516182478"}': (("timeStamp", "1516182478"),),
            },
        ),
        ("callback_listen", None, {a: a for a in ("0.0.0.0:8790", "[::]:1", "localhost:65535", "10.0.0.1:80")}),
        (
            "callback_url",
            None,
            {"https://a.example/trims/": "https://a.example/trims", "http://[::1]:1": "http://[::1]:1"},
        ),
        ("callback_poll_factor", 60.0, {1: 1.0, "6": 6.0}),
    ],
)
def test_extra(name: str, default: object, accepted: dict[Any, object]) -> None:
    for nothing in ({}, {name: None}, {name: ""}):
        assert plain(getattr(TrimSettings.from_connection(extra=nothing), name)) == default
    for given, value in accepted.items():
        got = plain(getattr(TrimSettings.from_connection(extra={name: given}), name))
        assert got == value
        assert type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("auth", ["basic", "tokens", 5], "must be 'token', 'ws3-hmac-sha256', 'cnc-hmac-sha256' or 'api-key'"),
        (
            "token_header",
            ["X Token", "X:Token", "X\r\nToken", "Ü", 5],
            "must be the name of an HTTP header, such as X-Token",
        ),
        ("method", ["PUT", 5], "must be 'POST' or 'GET'"),
        ("timeout", [0, "0", -1, True], "must be a number of seconds without a unit, more than 0 and at most 600"),
        ("timeout", ["10s"], "such as 30 (given: '10s')"),
        ("timeout", [601, "inf", "nan"], "at most 600, such as 30 (given: "),
        ("timeout", ["soon", [], {}], "must be a number of seconds"),
        (
            "verify",
            [2, 0.5, [], {}, "a\0geheim", "/ca\n.pem", "/\ud800"],
            "must be true, false, or the path of a CA file",
        ),
        ("proxy", ["http://", "ftp://proxy", "http://proxy/geheim"], "must be a URL such as http://proxy.example.com"),
        ("proxy", ["http://proxy:geheim", "proxy:0x50", "proxy:0"], "port must be a number from 1 to 65535"),
        ("proxy", ["socks5://user:geheim@proxy", "SOCKS5h://proxy"], "SOCKS proxies are not supported"),
        ("proxy", [5], "must be a URL such as http://proxy.example.com"),
        ("allow_http", ["perhaps", 2, []], "must be true or false"),
        ("allow_token_in_url", ["perhaps", 2], "must be true or false"),
        (
            "quota",
            ["300", 300, "lots", "0/minute", "9/minute; 1/second", "3/fortnight", [], True],
            "must be calls per time, such as '300/5 minutes', or 'off'",
        ),
        (
            "quota",
            [
                "300/0 minutes",
                "300 per 00minutes",
                "1000001/5 minutes",
                "1/32 days",
                "1/99999999999999999 years",
                "99999999999999999999/99999999 days",
                f"1/{'9' * 5000} days",
                parse("1/32 days"),
                parse("0/minute"),
            ],
            "at most 1000000 calls, in 1 second to 31 days",
        ),
        ("quota_storage", ["memcached://h", "h:6379", "redis:geheim"], "must be memory://, redis://… or rediss://…"),
        ("quota_storage", [5, {}], "must be memory://, redis://… or rediss://…"),
        ("quota_storage", ["redis://h?decode_responses=true"], "option 'decode_responses' is not allowed; allowed are"),
        ("quota_storage", ["redis://h?ssl_cert_reqs=none"], "option 'ssl_cert_reqs' is not allowed; allowed are"),
        ("quota_storage", ["rediss://h?visibility_timeout=5"], "option 'visibility_timeout' is not allowed"),
        ("quota_storage", ["redis://h?socket_timeout=60&db=1"], "option 'socket_timeout' is not allowed"),
        ("quota_storage", ["redis://:a?geheim@h"], "must be written as %3F"),
        ("quota_storage", ["redis://:a#geheim@h"], "must be written as %23"),
        ("quota_storage", ["redis://:6379/geheim@h/0"], "must be written as %2F"),
        ("quota_storage", ["redis://:geheim@["], "must be a URL such as"),
        (
            "quota_storage",
            ["redis://h/geheim", "redis://h:0", "redis://h/1/2"],
            "the number of a database, such as redis:",
        ),
        ("quota_storage", ["redis://h?db=geheim", "redis://h?db=-1"], "option 'db' must be the number of a database"),
        ("quota_storage", ["redis://h?protocol=9"], "option 'protocol' must be 2 or 3"),
        (
            "quota_storage",
            ["redis://h?max_connections=geheim", "redis://h?max_connections=0", "redis://h?db=1&max_connections=1.5"],
            "option 'max_connections' must be a number",
        ),
        (
            "quota_storage",
            ["redis://h?health_check_interval=geheim", "redis://h?health_check_interval=30s"],
            "option 'health_check_interval' must be whole seconds",
        ),
        ("quota_storage", ["redis://h?client_name=a+b"], "option 'client_name' must be ASCII without spaces"),
        ("quota_storage", ["redis://h?password=geheim%00"], "option 'password' must be without null characters"),
        ("quota_storage", ["rediss://h?ssl_cert_reqs=geheim"], "option 'ssl_cert_reqs' must be none, optional or req"),
        ("quota_storage", ["rediss://h?ssl_check_hostname=off"], "option 'ssl_check_hostname' must be true or false"),
        ("quota_storage", ["rediss://h?ssl_ca_certs=a%00b"], "option 'ssl_ca_certs' must be without null characters"),
        (
            "parameters",
            ["format=json", "[]", "5", 5, ["a"], {f"a{n}": "" for n in range(21)}],
            "must be a JSON object",
        ),
        ("parameters", [{"transNo": "x"}, {"userId": "x"}, {"token": "x"}, {"videoId": "x"}], "is set by each call"),
        ("parameters", [{"": "x"}, {"a b": "x"}, {"ü": "x"}, {"a&b": "x"}, {"a" * 65: "x"}], "names must be letters"),
        (
            "parameters",
            [{"a": None}, {"a": True}, {"a": 1.5}, {"a": []}, {"a": "x\n"}, {"a": "x" * 1001}],
            "must be a text",
        ),
        (
            "callback_listen",
            ["8790", ":8790", "0.0.0.0", "h:0", "h:65536", "h:1/x", "http://h:1", "h:1\n1", "::1:5", "[h]:1", "h:²"],
            "must be address:port, such as 0.0.0.0:8790 or [::]:8790",
        ),
        (
            "callback_url",
            ["ftp://h", "h:1", "https://h?geheim", "https://u:geheim@h", "https://", "https://h/ü"],
            "must be",
        ),
        ("callback_url", ["https://h:99999", "https://h/a b", "https://h/\n1", "https://h/../x"], None),
        (
            "callback_poll_factor",
            [0, 0.5, -1, "nan", "inf", True],
            "must be a number from 1 to 100000, such as 60 (given: ",
        ),
        ("callback_poll_factor", ["often", []], "must be a number from 1 to 100000"),
        (
            "api_path",
            ["vod", "/a b", "/中", "/a?b", "/a#b", "/a\n1", 5, "/a{b}"],
            "must begin with a slash and have no spac",
        ),
        ("api_path", ["/a/../b"], "must not contain '.' or '..'"),
    ],
)
def test_refused_extra(name: str, values: list[Any], said: str | None) -> None:
    for value in values:
        text = refusal(login="somebody", password="geheim", extra={name: value})
        assert text.startswith(f"connection extra {name!r}: ")
        assert (said or "") in text
        assert "geheim" not in text


def test_every_extra_is_among_these() -> None:
    extras = TrimSettings.model_fields.keys() - {"base_url", "login", "password"}
    for test in (test_extra, test_refused_extra):
        (parametrized,) = test.pytestmark
        assert {row[0] for row in parametrized.args[1]} == extras


def test_unknown_extra_names_those_there_are() -> None:
    assert refusal(extra={"time_out": 5}) == (
        "connection extra 'time_out' is unknown; allowed are allow_http, allow_token_in_url, api_path, auth, "
        "callback_listen, callback_poll_factor, callback_url, method, parameters, proxy, quota, quota_storage, "
        "timeout, token_header, verify"
    )


def test_plain_http_to_the_outside_is_refused_for_callbacks_as_well() -> None:
    text = refusal(extra={"callback_url": "http://airflow.example.com"})
    assert text.startswith("connection extra 'callback_url': plain http would show where callbacks go")
    TrimSettings.from_connection(extra={"callback_url": "http://airflow.example.com", "allow_http": True})


@pytest.mark.parametrize("name", ["base_url", "login", "password"])
def test_a_field_of_the_connection_is_no_extra(name: str) -> None:
    assert refusal(extra={name: "geheim"}) == f"extra {name!r} is a connection field, not an extra"


def test_no_secret_is_shown() -> None:
    secrets = {"password": "geheim1", "proxy": "http://u:geheim2@h", "quota_storage": "redis://:geheim3@h"}
    login, password = "the-login", secrets.pop("password")
    settings = TrimSettings.from_connection(login=login, password=password, extra=secrets)
    assert settings.password.get_secret_value() == password
    for text in (repr(settings), str(settings), str(settings.model_dump(exclude={"login"})), f"{settings!s:s}"):
        assert "geheim" not in text
    assert login not in repr(settings)
    for wrong in ({"timeout": "geheim4"}, {"method": "GET"}, {"geheim": 1, "timeout": -1}):
        text = refusal(login=login, password=password, extra={**secrets, **wrong})
        assert "geheim1" not in text
        assert "geheim2" not in text
        assert "geheim3" not in text
        assert "geheim4" not in text
        assert login not in text


def test_no_input_is_shown_by_the_model_itself() -> None:
    with pytest.raises(ValueError, match="proxy") as caught:
        TrimSettings(proxy="socks5://u:geheim@h", timeout="geheim")
    assert "geheim" not in str(caught.value)


def test_account_is_host_and_login() -> None:
    account = TrimSettings.from_connection(host="https://h:8443/base", login="me", password="geheim").account
    assert account == "h:8443/me"
    assert TrimSettings.from_connection().account == "api.cloudv.haplat.net/"


@pytest.mark.parametrize(
    "host", ["API.cdnetworks.com", "https://api.cdnetworks.com:443", "api.cdnetworks.com/base", "api.cdnetworks.com."]
)
def test_an_account_is_the_same_however_its_host_is_written(host: str) -> None:
    assert TrimSettings.from_connection(host=host, login="me", password="geheim").account == "api.cdnetworks.com/me"


def test_settings_are_values() -> None:
    """Whether a rotated token is another connection is found out by comparing."""
    first, same, other = (TrimSettings.from_connection(login="me", password=p) for p in ("a", "a", "b"))
    assert first == same == pickle.loads(pickle.dumps(first))
    assert first != other
    with pytest.raises(ValueError, match="frozen"):
        first.login = "you"
    assert TrimSettings(quota=parse("1/second")).quota == parse("1/second")


def test_no_longer_retry_after_than_a_window_is_honoured() -> None:
    assert TrimSettings.from_connection().max_retry_after == 300.0
    assert TrimSettings.from_connection(extra={"quota": "10/minute"}).max_retry_after == 60.0
    assert TrimSettings.from_connection(extra={"quota": "off"}).max_retry_after == 300.0


@pytest.mark.parametrize(
    ("host", "shown"), [("https://[2001:db8::1]:8443", "2001-db8--1"), ("api.example.com", "api.example.com")]
)
def test_account_in_metrics_has_nothing_that_ends_a_name(host: str, shown: str) -> None:
    """A colon, a comma or a bar would, in StatsD's lines and their tags."""
    settings = TrimSettings.from_connection(host=host, login="confidential")
    assert re.fullmatch(rf"{re.escape(shown)}/[0-9a-f]{{8}}", settings.account_label)


def test_a_secret_in_the_wrong_place_is_masked() -> None:
    text = refusal(password="geheim-1", extra={"geheim-1": 5})
    assert text.startswith("connection extra '***' is unknown; ")
