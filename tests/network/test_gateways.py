# SPDX-License-Identifier: Apache-2.0
"""The service behind nginx with TLS, reached through Squid: sensors wait, or say why they can't.

The first poll of a deferrable sensor is made in the worker, all others in the triggerer, by the other client.
"""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_trim.emulator import ServiceCode, TrimEmulator
from airflow_provider_trim.vod.errors import TrimError
from tests.support.front_ends import nginx, squid
from tests.support.live_airflow import HOST, free_port
from tests.support.waits import sensor
from tests.transports.conftest import bare_environment  # noqa: F401

VIDEO_INFO = {"videoId": "V1"}
numbers = itertools.count()
PASSWORD = "p@ss:wörd%"
CREDENTIALS = "me:p%40ss%3Aw%C3%B6rd%25"

LOCATIONS = {
    "ok": "proxy_pass http://emulator/;",
    "HTTP/1.1, unbuffered": "proxy_pass http://emulator/; proxy_http_version 1.1; proxy_buffering off;",
    "gzip": "proxy_pass http://emulator/; gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;",
    "large headers": "proxy_pass http://emulator/; " + "".join(f"add_header X-{n} {'v' * 600};" for n in range(80)),
    "down": f"proxy_pass http://{HOST}:1/;",
    "silent": "proxy_pass http://silent/; proxy_read_timeout 1s;",
    "slow": "proxy_pass http://silent/;",
    "busy": "return 503;",
    "hangs up": "return 444;",
    "moved": "return 302 https://elsewhere.example/;",
    "login": 'auth_basic "Staff only"; auth_basic_user_file /dev/null;',
    "nothing": "return 404;",
    "page": "default_type text/html; return 200 '<h1>Welcome</h1>';",
}
"""What nginx does below ``/<number>/``."""


@dataclass(frozen=True)
class Case:
    """A way to the service, and what becomes of a wait.

    :param name: of the test
    :param host: of the connection, with the names of ports; a location's name after it
    :param location: of nginx
    :param error: what the message has; None for a success
    :param extra: of the connection
    :param environment: of the process
    """

    name: str
    host: str = "https://localhost:{tls}"
    location: str = "ok"
    error: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


PROXY = {"proxy": f"http://{CREDENTIALS}@{HOST}:{{squid}}"}
GET = {"method": "GET", "allow_token_in_url": True}
"""Without a body, which nginx may leave unread: then it resets the connection as it closes it."""
CONNECT = "proxy 127.0.0.1:{squid}: CONNECT was answered with HTTP status "
WHY_407 = " (check the proxy's user and password)"
UNTRUSTED = "certificate verification failed: "

CASES = [
    # nginx in front of the service.
    Case("TLS, HTTP/2 offered"),
    Case("plain HTTP", "http://localhost:{plain}"),
    Case("unbuffered", location="HTTP/1.1, unbuffered"),
    Case("compressed", location="gzip"),
    Case("large headers", location="large headers"),
    Case("502", location="down", error="service unavailable (HTTP status 502"),
    Case("504", location="silent", error="service unavailable (HTTP status 504"),
    Case("503", location="busy", error="service unavailable (HTTP status 503"),
    Case("no response in time", location="slow", error="failed: timed out after 2 s", extra={"timeout": 2}),
    Case("closed without a response", location="hangs up", error="failed: connection closed", extra=GET),
    Case("redirect", location="moved", error="redirects are not followed"),
    Case("a login page", location="login", error="authentication failed"),
    Case("404", location="nothing", error="check the connection's host and api_path"),
    Case("a web page", location="page", error="unexpected response (not JSON): '<h1>Welcome</h1>'"),
    Case("http to the port of https", "http://localhost:{tls}", error="plain HTTP request was sent to HTTPS port"),
    Case("https to the port of http", "https://localhost:{plain}", error="failed: TLS handshake failed: "),
    Case("unknown authority", error=UNTRUSTED, extra={"verify": True}),
    Case("another host's certificate", "https://127.0.0.1:{tls}", error=UNTRUSTED),
    Case("nothing listens", "https://localhost:1", error="failed: Connection refused"),
    # Squid in front of the client.
    Case("proxy", extra=PROXY),
    Case("proxy, plain HTTP", "http://localhost:{plain}", extra=PROXY),
    Case("proxy of the environment", environment={"HTTPS_PROXY": f"{CREDENTIALS}@{HOST}:{{squid}}"}),
    Case("proxy of the environment, for all", environment={"all_proxy": f"http://{CREDENTIALS}@{HOST}:{{squid}}"}),
    Case("proxy, and not for this host", environment={"HTTPS_PROXY": f"{HOST}:1", "NO_PROXY": "localhost"}),
    Case("proxy, compressed", location="gzip", extra=PROXY),
    Case("proxy without credentials", error=f"{CONNECT}407{WHY_407}", extra={"proxy": f"{HOST}:{{squid}}"}),
    Case("proxy with a wrong password", error=f"{CONNECT}407{WHY_407}", extra={"proxy": f"me:no@{HOST}:{{squid}}"}),
    Case(
        "proxy without credentials, plain HTTP",
        "http://localhost:{plain}",
        error=f"the proxy responded with HTTP status 407{WHY_407}",
        extra={"proxy": f"{HOST}:{{squid}}"},
    ),
    Case("proxy that forbids the host", "https://forbidden.example", error=f"{CONNECT}403", extra=PROXY),
    Case("proxy, nothing listens", "https://localhost:1", error=f"{CONNECT}503", extra=PROXY),
    Case("proxy, unknown name", "https://unknown.invalid", error=f"{CONNECT}50", extra=PROXY),
    Case("proxy, unknown name, plain HTTP", "http://unknown.invalid", error="service unavailable (", extra=PROXY),
    Case("proxy, 502", location="down", error="service unavailable (HTTP status 502", extra=PROXY),
    Case(
        "proxy, no response in time",
        location="slow",
        error="failed: timed out after 2 s",
        extra={**PROXY, "timeout": 2},
    ),
    Case("proxy, unknown authority", error=UNTRUSTED, extra={**PROXY, "verify": True}),
    Case("proxy that is gone", error="proxy 127.0.0.1:1: Connection refused", extra={"proxy": f"{HOST}:1"}),
    Case(
        "proxy that is a web server",
        error="CONNECT was answered with HTTP status 40",
        extra={"proxy": f"{HOST}:{{plain}}"},
    ),
    Case("proxy by https that has http", error="TLS handshake failed", extra={"proxy": f"https://{HOST}:{{squid}}"}),
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[TrimEmulator]:
    with TrimEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def ports(emulator: TrimEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Ports of the gateways, and the file of the authority that both trust."""
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    found = {name: free_port() for name in ("tls", "plain", "squid")}
    locations = "".join(f"location /{n}/ {{ {text} }}" for n, text in enumerate(LOCATIONS.values()))
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server((HOST, 0)))  # takes connections, by its backlog
        http = f"""
            upstream emulator {{ server {emulator.host}:{emulator.port}; }}
            upstream silent {{ server {HOST}:{silent.getsockname()[1]}; }}
            server {{
                listen {HOST}:{found["plain"]}; listen {HOST}:{found["tls"]} ssl http2;
                ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
                {locations}
            }}
        """
        stack.enter_context(nginx(http, found["tls"], found["plain"]))
        stack.enter_context(squid(found["squid"], "me", PASSWORD))
        yield {**found, "ca": str(folder / "ca.pem")}


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_wait(
    case: Case, mode: str, ports: dict[str, Any], emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trans_no = f"T{next(numbers)}"
    emulator.add_trim(trans_no, 0, video_info=VIDEO_INFO)
    emulator.misbehave(trans_no, ServiceCode(1560))
    extra = {"quota": "off", "allow_http": True, "timeout": 30, "verify": "{ca}", **case.extra}
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value.format(**ports))
    connection = {
        "conn_type": "trim",
        "host": f"{case.host.format(**ports)}/{list(LOCATIONS).index(case.location)}",
        "login": emulator.user,
        "password": emulator.token,
        "extra": {name: value.format(**ports) if isinstance(value, str) else value for name, value in extra.items()},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", json.dumps(connection))
    wait = sensor(mode, trans_no, max_consecutive_failures=1)
    if case.error is None:
        assert wait.run() == VIDEO_INFO
        return
    with pytest.raises((TrimError, AirflowException)) as caught:
        wait.run()
    message = str(caught.value)
    assert case.error.format(**ports) in message
    assert not any(secret in message for secret in (emulator.token, PASSWORD, CREDENTIALS))
