# SPDX-License-Identifier: Apache-2.0
"""No signature twice: the service refuses one that it has seen within 5 minutes.

A signature covers the request and its time in whole seconds, so two equal requests within a second would have the same.
The later one is signed for the next second that has not been used; clocks may be off by 5 minutes. This module knows
what this process has used; what others have, :mod:`airflow_provider_trim.ratelimit.signatures` knows, with Redis.
Without Redis, processes may collide. The one that is refused signs its next request for some other second, so that
those which have collided do not do so again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_provider_trim.vod.http import Request

MAX_OFFSET = 15.0
"""Seconds by which the time of a signature may be off after one was refused."""

_lock = threading.Lock()
_used: dict[int, set[str]] = {}
"""Signatures by the second they were made for."""


def signature_of(request: Request) -> str:
    """Return what must not be sent twice; empty where the request is not signed."""
    authorization = request.headers.get("Authorization", "")
    return authorization if "Signature=" in authorization else ""


def sign_once(build: Callable[[float], Request], now: float, offset: float = 0.0) -> Request:
    """Build a request so that its signature, if it has one, is new.

    :param build: takes Unix seconds
    :param now: Unix seconds
    :param offset: seconds to be added for a signature
    """
    request = build(now)
    if not signature_of(request):
        return request
    second = int(now)
    if offset:
        second += round(offset)
        request = build(float(second))
    with _lock:
        for past in [used for used in _used if used < int(now) - MAX_OFFSET]:
            del _used[past]
        while (signature := request.headers["Authorization"]) in _used.setdefault(second, set()):
            second += 1
            request = build(float(second))
        _used[second].add(signature)
    return request
