# SPDX-License-Identifier: Apache-2.0
"""Network connections for the synchronous transport, and what its failures mean."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

import requests
from urllib3.exceptions import HTTPError
from urllib3.util.ssltransport import SSLTransport

from airflow_provider_trim.transports.failures import Failures, MalformedResponseError, PeerClosedError
from airflow_provider_trim.vod.errors import TrimTransportError

KEEP_ALIVE_OPTIONS = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds of silence before TCP probes a peer, seconds between probes, and probes without a response until the
connection is dead: a peer that is gone is noticed while a response is awaited. Set where the platform has them."""

AnySocket = socket.socket | SSLTransport


class Deadline:
    """When something must be over as a whole: a socket only knows how long to wait for its next bytes.

    :param seconds: from now on
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        :raises TimeoutError: there are none
        """
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def connect(host: str, port: int, timeout: float, failures: Failures, preferred: Any = None) -> socket.socket:
    """Connect to a host, to its next address where one does not respond.

    Each address is given its share of the time that is left, so that a dead one leaves time for the next.

    :param timeout: seconds
    :param preferred: socket address to try first, if it is still one of the host's
    :raises TrimTransportError: no address could be connected to
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise failures.name_lookup(error) from None
    found.sort(key=lambda entry: entry[4] != preferred)
    deadline = Deadline(timeout)
    failure: TrimTransportError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            _set_options(sock)
            sock.settimeout(deadline.left() / (len(found) - number))
            sock.connect(address)
        except TimeoutError:
            sock.close()
            failure = failures.connect_timed_out()
        except OSError as error:
            sock.close()
            failure = failures.connect(error)
        else:
            return sock
    raise failure or failures.name_lookup(OSError(0, "no address")) from None


@contextlib.contextmanager
def translated(failures: Failures, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Translate what goes wrong once there is a connection.

    A socket's errors are translated where they arise, before requests and urllib3 wrap them into their own. What those
    raise by themselves is about responses.

    :param passing: errors that are let through
    :raises TrimTransportError: instead of the exceptions of sockets, ``http.client``, urllib3 and requests
    """
    try:
        yield
    except passing:
        raise
    except PeerClosedError:
        raise failures.closed() from None
    except (MalformedResponseError, HTTPException, HTTPError, requests.RequestException):
        raise failures.malformed() from None
    except TimeoutError:
        raise failures.timed_out() from None
    except OSError as error:
        raise failures.read(error) from None


def _set_options(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE_OPTIONS.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
