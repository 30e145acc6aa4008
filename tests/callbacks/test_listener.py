# SPDX-License-Identifier: Apache-2.0
"""The listener: what it takes, what it ignores and why, and its bounds under a flood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_trim.callbacks import accepting
from airflow_provider_trim.callbacks.accepting import MAX_CONNECTIONS, RESERVED_DESCRIPTORS
from airflow_provider_trim.callbacks.listener import MAX_HEAD, MAX_HEADERS, MAX_LINE
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.metrics.catalog import Ignored
from tests.support.callback_calls import GENUINE, Callbacks, Caller, request, until, waiting
from tests.support.live_airflow import HOST
from tests.support.pages import ROOT

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Caller() as caller:
        yield caller


REQUESTS = {
    "many headers": request(GENUINE, *(f"X-{n}: {n}" for n in range(MAX_HEADERS - 3))),
    "a long header": request(GENUINE, f"Cookie: {'c' * (MAX_LINE - 100)}"),
    "a long query": request(f"{GENUINE}?{'q' * (MAX_LINE - 200)}"),
    "a large head": request(GENUINE, *(f"X-{n}: {'v' * (MAX_LINE - 300)}" for n in range(4))),
    "HTTP/1.0": request(version="HTTP/1.0"),
    "Expect, in HTTP/1.0": request(GENUINE, "Expect: 100-continue", version="HTTP/1.0"),
    "no body where one was declared": request(GENUINE, "X: y").replace(b": 0", b": 9") + b"123456789",
    "slash": request(f"{GENUINE}/"),
    "query": request(f"{GENUINE}?status=2&x=/a/b"),
    "percent-encoded": request(GENUINE.replace("x", "%78").replace("e", "%65")),
    "absolute form": request(f"http://h:1{GENUINE}"),
    "GET": b"GET " + request()[5:],
}


@pytest.mark.parametrize("data", REQUESTS.values(), ids=list(REQUESTS))
async def test_genuine_request_in_any_form_is_taken(caller: Caller, data: bytes) -> None:
    assert (await caller.say(data)).split(b" ", 1)[1].startswith(b"200 OK")
    assert (caller.taken, caller.listener.ignored.total()) == (1, 0)


async def test_client_that_waits_for_100_continue_gets_it(caller: Caller) -> None:
    reader, writer = await caller.open()
    with contextlib.closing(writer):
        writer.write(request(GENUINE, "Expect: 100-continue").replace(b": 0", b": 2"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.read()).startswith(OK)


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        (Ignored.PATH, request("/")),
        (Ignored.PATH, request(f"{GENUINE}/x")),
        (Ignored.SIGNATURE, request(f"/trims/forged/{'x' * 43}")),
        (Ignored.MALFORMED, b"nonsense\r\n\r\n"),
        (Ignored.MALFORMED, b"PROXY TCP4 1.2.3.4 1.2.3.4 5 6\r\n" + request()),
        (Ignored.MALFORMED, request(GENUINE, f"A: {'b' * (MAX_LINE + 1)}")),
        (Ignored.MALFORMED, request(GENUINE, *(f"X-{n}: {'v' * 5000}" for n in range(14)))),
    ],
)
async def test_ignored_request_is_counted_by_reason(caller: Caller, reason: Ignored, data: bytes) -> None:
    await caller.say(data)
    await caller.ignored(reason)


async def test_head_without_end_is_read_to_a_limit(caller: Caller) -> None:
    _, writer = await caller.open()
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        writer.write(request()[:-2])
        for number in range(MAX_HEAD):  # a hundred times the limit
            writer.write(f"X-{number}: {'v' * 100}\r\n".encode())
            await writer.drain()
    await caller.ignored(Ignored.MALFORMED)


@pytest.mark.parametrize("following", [request(), request("/"), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"])
async def test_what_is_pipelined_behind_a_request_is_not_served(caller: Caller, following: bytes) -> None:
    """64 KiB of it would take the event loop 70 ms in aiohttp 3.11."""
    response = await caller.say(request() + following * (64 * 1024 // len(following)))
    assert response.count(b"HTTP/1.1 ") == 1
    assert (caller.taken, caller.listener.ignored.total()) == (1, 0)


@pytest.mark.parametrize("data", [b"nonsense" * 1000, request() + b"\0" * 50_000])
async def test_malformed_request_is_not_repeated(caller: Caller, data: bytes) -> None:
    response = await caller.say(data)
    assert response.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert len(response) < 500


async def test_connection_without_a_request_is_counted(caller: Caller) -> None:
    _, writer = await caller.open()
    writer.close()
    await caller.ignored(Ignored.EMPTY)


async def test_slow_request_is_counted(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "CONNECTION_TIMEOUT", 0.05)
    assert await caller.say(b"POST /") == b""
    await caller.ignored(Ignored.SLOW)


async def test_displaced_connection_is_counted(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for another one, not when the limit is reached."""
    monkeypatch.setattr(accepting, "MAX_CONNECTIONS", 2)
    first, second = await caller.open(), await caller.open()
    await caller.say(request("/"))
    assert await first[0].read() == b""
    second[1].write(request())
    assert (await second[0].read()).startswith(OK)
    for _, writer in (first, second):
        writer.close()
    assert caller.listener.ignored == {Ignored.DISPLACED: 1, Ignored.PATH: 1}


async def test_without_descriptors_it_accepts_again_later(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "RETRY_DELAY", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(accepting, "RESERVED_DESCRIPTORS", 2**40)
        assert await caller.say(request()) == b""
        await caller.ignored(Ignored.DESCRIPTORS)
    assert (await caller.say(request())).startswith(OK)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_families_are_listened_on(caller: Caller, host: str) -> None:
    assert (await caller.say(request(), host)).startswith(OK)


async def test_name_is_listened_on_at_each_of_its_addresses() -> None:
    async with Caller("localhost") as caller:
        for *_, address in socket.getaddrinfo("localhost", caller.port, type=socket.SOCK_STREAM):
            assert (await caller.say(request(), str(address[0]))).startswith(OK)


def test_page_explains_each_reason() -> None:
    page = (ROOT / "docs" / "callbacks.md").read_text(encoding="utf-8")
    assert [reason for reason in Ignored if f"| {reason} |" not in page] == []


# --- a flood ---


@dataclass
class Opened:
    """Connections of a flood, the most of them that were accepted at a time, and descriptors of the process."""

    connections: int = 0
    accepted: int = 0
    descriptors: int = 0

    def count(self, port: int, process: int) -> None:
        """Count in a process that is stopped meanwhile; what is yet to be accepted has no inode."""
        os.kill(process, signal.SIGSTOP)
        while ") T " not in Path(f"/proc/{process}/stat").read_text():
            pass
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        accepted = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] != "0A"} - {"0"}
        self.accepted = max(self.accepted, len(accepted))
        self.descriptors = max(self.descriptors, sum(1 for _ in Path(f"/proc/{process}/fd").iterdir()))
        os.kill(process, signal.SIGCONT)


async def _flood(port: int, process: int, opened: Opened) -> None:
    """Open connections without end, each of which says nothing and is held for a while."""
    held: deque[asyncio.StreamWriter] = deque()
    try:
        while True:
            held.append((await asyncio.open_connection(HOST, port))[1])
            opened.connections += 1
            if len(held) > 8:
                held.popleft().close()
            if opened.connections % 100 == 0:
                opened.count(port, process)
    finally:
        for writer in held:
            writer.close()


@pytest.fixture
def emulator_options() -> dict[str, float]:
    return {"duration": 1e9}


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
@pytest.mark.parametrize("scarce", [False, True])
async def test_flood_takes_neither_callbacks_nor_descriptors(emulator: TrimEmulator, scarce: bool) -> None:
    """More than a thousand connections a second, where the machine can."""
    callbacks = Callbacks(emulator)
    trims = [f"t{number}" for number in range(20)]
    for trans_no in trims:
        emulator.add_trim(trans_no)
    opened = Opened()
    with waiting(callbacks, *trims) as process:
        opened.count(callbacks.port, process.pid)
        limit = RESERVED_DESCRIPTORS + opened.descriptors + 100 if scarce else 1024
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        flood = [asyncio.create_task(_flood(callbacks.port, process.pid, opened)) for _ in range(40)]
        for number, trans_no in enumerate(trims, 1):
            await until(lambda: opened.connections >= 100 * number)  # noqa: B023
            emulator.finish(trans_no)
            assert OK in await callbacks.call(callbacks.target(trans_no))
            await emulator.async_wait_for_calls(2, trans_no=trans_no)
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        found, logged = await asyncio.to_thread(process.communicate, timeout=60)
    assert [found.count("true"), logged] == [len(trims), ""]
    assert opened.descriptors < limit
    if not scarce:
        assert opened.accepted == MAX_CONNECTIONS
