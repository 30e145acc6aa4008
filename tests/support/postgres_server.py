# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL on a free port of loopback, with a data folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
LIMIT = 60.0
"""Seconds to start or end."""
USER = "postgres"
"""The user it runs as where the caller is root, which PostgreSQL refuses; Debian's package makes that user."""


def _programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs; Debian keeps them off the PATH."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    if initdb := shutil.which("initdb"):
        return Path(initdb).parent
    raise RuntimeError("postgresql is not installed; on Debian: apt-get install postgresql")


class PostgresServer:
    """Use it as a context manager; what it holds is lost in the end."""

    def __init__(self) -> None:
        with socket.create_server((HOST, 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"postgresql+psycopg2://{USER}@{HOST}:{self.port}/{USER}"
        self._folder = tempfile.TemporaryDirectory(prefix="trim-postgres-")
        self._owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(self._folder.name, user.pw_uid, user.pw_gid)
            self._owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
        self._data = Path(self._folder.name) / "data"
        self._log = Path(self._folder.name) / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make a database, serve it, and return when it responds."""
        programs = _programs()
        initdb = [programs / "initdb", "-D", self._data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **self._owner)
        # Durability is for a machine that loses power, which this data folder does not outlive.
        options = {"fsync": "off", "listen_addresses": HOST, "unix_socket_directories": "", "max_connections": "300"}
        command = [programs / "postgres", "-D", self._data, "-p", str(self.port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **self._owner)
        end = time.monotonic() + LIMIT
        ready = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(self.port), "-U", USER]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"postgres did not start:\n{self._log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, even if clients are connected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(LIMIT)
            self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()
