# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx, HAProxy and Squid on loopback, each in the foreground, with a configuration of its own."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

from tests.support.live_airflow import HOST
from tests.support.programs import running_program


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
    return running_program("nginx", ["-p", "{folder}", "-c", "conf", "-e", "stderr"], {"conf": config}, ports)


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
    return running_program("haproxy", ["-db", "-f", "{folder}/conf"], {"conf": config}, ports)


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
    return running_program("squid", ["-N", "-f", "{folder}/conf"], {"conf": config, "users": users}, (port,))
