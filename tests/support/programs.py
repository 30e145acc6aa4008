# SPDX-License-Identifier: Apache-2.0
"""A server program on loopback, in the foreground, with a folder of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.live_airflow import HOST

LIMIT = 60.0
"""Seconds to start or end."""


@contextlib.contextmanager
def running_program(program: str, options: list[str], files: dict[str, str], ports: tuple[int, ...]) -> Iterator[None]:
    """Run a program until the block ends; it listens when the block begins.

    :param options: of the command line, in which ``{folder}`` is a folder of its own, as in the files
    :param files: what is in that folder
    """
    path = shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if path is None:
        raise RuntimeError(f"{program} is not installed; on Debian: apt-get install {program}")
    with tempfile.TemporaryDirectory(prefix=f"trim-{Path(program).name}-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # Squid has it read by another user
        for file, text in files.items():
            (folder / file).write_text(text.replace("{folder}", name), encoding="utf-8")
        log = stack.enter_context((folder / "log").open("wb"))
        command = [path, *(option.replace("{folder}", name) for option in options)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=name)
        stack.callback(process.kill)
        stack.callback(process.wait, LIMIT)
        stack.callback(process.terminate)
        end = time.monotonic() + LIMIT
        while not all(_listens(port) for port in ports):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{program} did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.02)
        yield


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=LIMIT):
        return True
    return False
