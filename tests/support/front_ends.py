# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx, HAProxy and Squid on loopback, each in the foreground, with a configuration of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tests.support.live_airflow import HOST

LIMIT = 60.0
"""Seconds to start or end."""


@contextlib.contextmanager
def _running(program: str, options: list[str], files: dict[str, str], ports: tuple[int, ...]) -> Iterator[None]:
    """Run a program until the block ends; it listens when the block begins.

    :param options: of the command line, in which ``{folder}`` is a folder of its own, as in the files
    :param files: what is in that folder
    """
    path = shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if path is None:
        raise RuntimeError(f"{program} is not installed; on Debian: apt-get install {program}")
    with tempfile.TemporaryDirectory(prefix=f"trim-{program}-") as name, contextlib.ExitStack() as stack:
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


def nginx(http: str, *ports: int) -> contextlib.AbstractContextManager[None]:
    """Run nginx.

    :param http: what is in the ``http`` block
    :param ports: on which it then listens
    """
    paths = "".join(f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = f"""
        daemon off; master_process off; pid pid; error_log stderr;
        events {{ worker_connections 256; }}
        http {{ access_log off; {paths} {http} }}
    """
    return _running("nginx", ["-p", "{folder}", "-c", "conf", "-e", "stderr"], {"conf": config}, ports)


def haproxy(sections: str, *ports: int) -> contextlib.AbstractContextManager[None]:
    """Run HAProxy.

    :param sections: of its configuration, after the defaults
    """
    config = f"""
defaults
    mode http
    timeout connect 30s
    timeout client 30s
    timeout server 30s
{sections}
"""
    return _running("haproxy", ["-db", "-f", "{folder}/conf"], {"conf": config}, ports)


def squid(port: int, user: str, password: str) -> contextlib.AbstractContextManager[None]:
    """Run Squid as a forward proxy that wants credentials; it has no name server, and forbids *forbidden.example*."""
    config = f"""
        http_port {HOST}:{port}
        pid_filename none
        access_log none
        cache deny all
        pinger_enable off
        shutdown_lifetime 0 seconds
        dns_nameservers {HOST}
        dns_timeout 1 seconds
        dns_retransmit_interval 1 seconds
        auth_param basic program /bin/sh {{folder}}/users
        acl known proxy_auth REQUIRED
        acl forbidden dstdomain forbidden.example
        http_access deny !known
        http_access deny forbidden
        http_access allow all
    """
    expected = f"{quote(user)} {quote(password, safe='@:')}"
    users = f'while read -r given; do if [ "$given" = "{expected}" ]; then echo OK; else echo ERR; fi; done'
    return _running("squid", ["-N", "-f", "{folder}/conf"], {"conf": config, "users": users}, (port,))
