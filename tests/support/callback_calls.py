# SPDX-License-Identifier: Apache-2.0
"""Callbacks over loopback: a connection that has them, and callers that the emulator can't be."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Self

from airflow_provider_trim.callbacks.listener import Listener
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.metrics.catalog import Ignored
from airflow_provider_trim.vod.callbacks import callback_address
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support import callback_waiter
from tests.support.emulators import connection_parts, settings_for
from tests.support.live_airflow import HOST, free_port

_numbers = itertools.count()


class Callbacks:
    """An emulator's connection with callbacks, on a port of its own.

    :param extra: in addition to those that callbacks need
    """

    def __init__(self, emulator: TrimEmulator, **extra: Any) -> None:
        self.emulator = emulator
        self.port = free_port()
        self.extra = {
            "quota": "1000000/minute",
            "callback_listen": f"{HOST}:{self.port}",
            "callback_url": f"http://{HOST}:{self.port}/trims",
            "callback_poll_factor": 100_000,
            **extra,
        }
        self.settings = settings_for(emulator, **self.extra)

    async def load(self) -> TrimSettings:
        return self.settings

    def address(self, trans_no: str) -> str:
        address = callback_address(self.settings, trans_no)
        assert address is not None
        return address

    def target(self, trans_no: str) -> str:
        """Return the path of a trim's address."""
        return self.address(trans_no).removeprefix(f"http://{HOST}:{self.port}")

    def forged_target(self, trans_no: str) -> str:
        """Return a path that looks like one, another at each call."""
        return f"/trims/{trans_no}/{next(_numbers):043d}"

    def add_trim(self, trans_no: str, seconds: float | None = None) -> None:
        self.emulator.add_trim(trans_no, seconds, notify_url=self.address(trans_no))

    async def listening(self) -> None:
        """Return when the port is listened on."""
        await self._until(heard=True)

    async def gone(self) -> None:
        """Return when nothing listens any more."""
        await self._until(heard=False)

    async def _until(self, *, heard: bool) -> None:
        async with asyncio.timeout(60):
            while await self.heard() != heard:  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def heard(self) -> bool:
        """Return whether the port is listened on."""
        try:
            await self.call("/", b"", "GET")
        except ConnectionRefusedError:
            return False
        return True

    async def say(self, data: bytes) -> bytes:
        """Send these bytes over a connection of their own and return what comes back until it is closed."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        response = b""
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
            while chunk := await reader.read(4096):
                response += chunk
        writer.close()
        return response

    async def flood(self, head: bytes) -> int:
        """Send a head and a body without end, and return how many bytes of it went before the connection was closed."""
        _, writer = await asyncio.open_connection(HOST, self.port)
        sent = 0
        writer.write(head)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(4096))
                await writer.drain()
                sent += 4096
                await asyncio.sleep(0)
        writer.close()
        return sent

    async def call(self, target: str, body: bytes = b"{}", method: str = "POST", *headers: str) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *headers, "", ""]
        return await self.say("\r\n".join(lines).encode() + body)


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when something has become true, where no event tells."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


GENUINE = f"/trims/genuine/{'x' * 43}"


def request(target: str = GENUINE, *headers: str, version: str = "HTTP/1.1", body: bytes = b"") -> bytes:
    lines = [f"POST {target} {version}", "Host: h", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Caller:
    """A listener, and what calls it; it takes what names the trim *genuine*."""

    def __init__(self, host: str = "::", port: int | None = None) -> None:
        self.taken = 0
        self.port = port or free_port()
        self.listener = Listener(host, self.port)

    def handle(self, claim: tuple[str, str]) -> bool:
        self.taken += claim[0] == "genuine"
        return claim[0] == "genuine"

    async def __aenter__(self) -> Self:
        await self.listener.subscribe(self.handle)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listener.unsubscribe(self.handle)
        await until(lambda: len(asyncio.all_tasks()) == 1)

    async def open(self, host: str = HOST, port: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port or self.port)

    async def say(self, data: bytes, host: str = HOST, port: int = 0) -> bytes:
        """Send bytes, to another port where it is given, and return what comes back until the connection is closed."""
        reader, writer = await self.open(host, port)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            writer.write(data)
            return await reader.read()
        return b""

    async def ignored(self, reason: Ignored) -> None:
        """Return when one connection was ignored, for that reason."""
        await until(lambda: self.listener.ignored.total() > 0)
        assert (self.listener.ignored, self.taken) == (Counter({reason: 1}), 0)


@contextlib.contextmanager
def waiting(callbacks: Callbacks, *trims: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that waits for trims; it is ready when the block begins."""
    parts = connection_parts(callbacks.emulator, **callbacks.extra)
    line = [sys.executable, callback_waiter.__file__, f"--connection={json.dumps(parts)}", "--interval=3600"]
    process = subprocess.Popen([*line, *trims], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()
