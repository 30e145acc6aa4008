# SPDX-License-Identifier: Apache-2.0
"""The callback listener behind nginx and HAProxy, as they are configured out there."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.metrics.catalog import Ignored
from tests.support.callback_calls import GENUINE, Callbacks, Caller, request, until, waiting
from tests.support.front_ends import haproxy, nginx
from tests.support.live_airflow import HOST, free_port

NGINX = {
    "prefix kept, HTTP/1.0": "location /trims { proxy_pass http://listener; }",
    "prefix kept, HTTP/1.1": "location /trims { proxy_pass http://listener; proxy_http_version 1.1; }",
    "prefix stripped": "location /trims/ { proxy_pass http://listener/; }",
    "prefix replaced, keep-alive": """
        location /trims/ { proxy_pass http://listener/a/b/; proxy_http_version 1.1; proxy_set_header Connection ""; }
    """,
    "rewritten, unbuffered": """
        location /trims { rewrite ^/trims(/.*)$ $1 break; proxy_pass http://listener; proxy_request_buffering off; }
    """,
    "all that is usual is added": f"""
        location /trims {{ proxy_pass http://listener; proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
            {"".join(f"proxy_set_header X-Added-{n} {'v' * 50};" for n in range(70))} }}
    """,
    "the first of two triggerers is gone": "location /trims { proxy_pass http://both; }",
}

HAPROXY = {
    "HTTP": "",
    "prefix stripped": "http-request set-path %[path,regsub(^/trims,)]",
    "headers added": "option forwardfor\n" + "\n".join(f"    http-request add-header X-{n} v" for n in range(70)),
    "connections reused": "http-reuse always",
    "TCP": "mode tcp",
}


@dataclass(frozen=True)
class FrontEnds:
    """Ports of proxies, by their names, and of the listener behind them."""

    listener: int
    ports: dict[str, int]


@pytest.fixture(scope="module")
def front_ends() -> Iterator[FrontEnds]:
    listener, gone = free_port(), free_port()
    ports = {name: free_port() for name in (*NAMES, "PROXY protocol")}
    servers = "".join(f"server {{ listen {HOST}:{ports[f'nginx: {name}']}; {text} }}" for name, text in NGINX.items())
    http = f"""
        upstream listener {{ server {HOST}:{listener}; keepalive 8; }}
        upstream both {{ server {HOST}:{gone}; server {HOST}:{listener}; }}
        {servers}
    """
    sections = "\n".join(
        f"listen {number}\n    bind {HOST}:{ports[name]}\n    {text}\n    server listener {HOST}:{listener}{option}"
        for number, (name, text, option) in enumerate(
            [(f"haproxy: {name}", text, "") for name, text in HAPROXY.items()] + [("PROXY protocol", "", " send-proxy")]
        )
    )
    # HAProxy's other ports listen then, too. A connection to that of TCP would be one to the listener.
    with nginx(http, *(ports[f"nginx: {name}"] for name in NGINX)), haproxy(sections, ports["haproxy: HTTP"]):
        yield FrontEnds(listener, ports)


@pytest.fixture
async def caller(front_ends: FrontEnds) -> AsyncIterator[Caller]:
    async with Caller(HOST, front_ends.listener) as caller:
        yield caller


NAMES = [f"nginx: {name}" for name in NGINX] + [f"haproxy: {name}" for name in HAPROXY]

CHUNKED = request().replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"
REQUESTS = {
    "plain": request(body=b'{"status": 2}'),
    "GET": request().replace(b"POST", b"GET"),
    "HTTP/1.0": request(version="HTTP/1.0"),
    "a slash appended": request(f"{GENUINE}/"),
    "a query appended": request(f"{GENUINE}?status=2&url=http%3A%2F%2Fx%2F%3Fa"),
    "a query without its beginning": request(f"{GENUINE}&status=2"),
    "percent-encoded": request(GENUINE.replace("genuine", "%67enuin%65").replace("x", "%78")),
    "percent-encoded twice": request(GENUINE.replace("x", "%2578")),
    "a slash percent-encoded": request("%2F".join(GENUINE.rsplit("/", 1))),
    "Expect": request(GENUINE, "Expect: 100-continue", body=b"{}"),
    "60 headers": request(GENUINE, *(f"X-{n}: {n}" for n in range(20))),
    "a large header": request(GENUINE, f"Cookie: {'c' * 7000}"),
    "chunks": CHUNKED,
    "form": request(GENUINE, "Content-Type: application/x-www-form-urlencoded", body=b"transNo=genuine"),
}


@pytest.mark.parametrize("data", REQUESTS.values(), ids=list(REQUESTS))
@pytest.mark.parametrize("name", NAMES)
async def test_genuine_request_is_taken(front_ends: FrontEnds, caller: Caller, name: str, data: bytes) -> None:
    response = await caller.say(
        data.replace(b"Host: h\r\n", b"Host: h\r\nConnection: close\r\n"), HOST, front_ends.ports[name]
    )
    head = response.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n")[0]
    assert head.split()[1:] == [b"200", b"OK"]
    assert (caller.taken, caller.listener.ignored.total()) == (1, 0)


@pytest.mark.parametrize("name", NAMES)
async def test_huge_body_is_a_hint_all_the_same(front_ends: FrontEnds, caller: Caller, name: str) -> None:
    """It is not read to its end, which a proxy may take for a failure."""
    await caller.say(request(GENUINE, "Connection: close", body=bytes(300_000)), HOST, front_ends.ports[name])
    await until(lambda: caller.taken == 1)
    assert caller.listener.ignored.total() == 0


@pytest.mark.parametrize("name", NAMES)
async def test_forged_request_is_counted(front_ends: FrontEnds, caller: Caller, name: str) -> None:
    forged = request(f"/trims/forged/{'x' * 43}", "Connection: close", body=bytes(512))
    await caller.say(forged, HOST, front_ends.ports[name])
    await caller.ignored(Ignored.SIGNATURE)


async def test_proxy_protocol_is_malformed(front_ends: FrontEnds, caller: Caller) -> None:
    await caller.say(request(GENUINE, "Connection: close"), HOST, front_ends.ports["PROXY protocol"])
    await caller.ignored(Ignored.MALFORMED)


@pytest.mark.parametrize("name", NAMES)
def test_trim_is_found_by_its_callback(front_ends: FrontEnds, name: str) -> None:
    """From the emulator through the proxy to a process that waits, and would not poll for an hour."""
    with TrimEmulator(duration=math.inf) as emulator:
        addresses: dict[str, Any] = {
            "callback_listen": f"{HOST}:{front_ends.listener}",
            "callback_url": f"http://{HOST}:{front_ends.ports[name]}/trims",
        }
        callbacks = Callbacks(emulator, **addresses)
        callbacks.add_trim("t")
        with waiting(callbacks, "t") as process:
            emulator.finish("t")
            found, _ = process.communicate(timeout=60)
        assert found.endswith("true]\n")
        assert [callback.http_status for callback in emulator.wait_for_callbacks(1)] == [200]
