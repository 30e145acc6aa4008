# SPDX-License-Identifier: Apache-2.0
"""A real redis-server on a free port of loopback, in memory only, that can be lost and come back."""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from airflow_provider_trim.ratelimit.storage import RedisStorage
from tests.support.live_airflow import HOST, free_port

LIMIT = 60.0
"""Seconds to start or end."""


class RedisServer:
    """Use it as a context manager; its port stays the same from one start to the next.

    :param options: more of its own
    """

    def __init__(self, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not installed; on Debian: apt-get install redis-server")
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._program = program
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="trim-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and return when it responds."""
        log = Path(self._folder.name) / "redis.log"
        options = ["--bind", HOST, "--port", str(self.port), "--dir", self._folder.name, "--logfile", str(log)]
        self._process = subprocess.Popen([self._program, *options, *self._options, "--save", "", "--appendonly", "no"])
        end = time.monotonic() + LIMIT
        while not self._responds():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"redis-server did not start:\n{log.read_text() if log.exists() else ''}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT)
            self._process = None

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Stop responding for a while, and lose nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _responds(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=60) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()


class _InThisThread(concurrent.futures.Executor):
    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future = concurrent.futures.Future[Any]()
        future.set_result(function(*args, **kwargs))
        return future


def storage_in_this_thread(client: Any) -> RedisStorage:
    """A storage whose background calls are over when they have been begun."""
    return RedisStorage(client, executor=_InThisThread)
