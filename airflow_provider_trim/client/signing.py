# SPDX-License-Identifier: Apache-2.0
"""No signature twice: the service refuses one that it has seen within 5 minutes.

A signature covers the request and its time in whole seconds, so two equal requests within a second would have the same.
The later one is signed for the next second that this process has not used; clocks may be off by 5 minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_provider_trim.vod.http import Request

_lock = threading.Lock()
_used: dict[int, set[str]] = {}
"""Signatures by the second they were made for."""


def sign_once(build: Callable[[float], Request], now: float) -> Request:
    """Build a request so that its signature, if it has one, is new.

    :param build: takes Unix seconds
    :param now: Unix seconds
    """
    request = build(now)
    if "Signature=" not in request.headers.get("Authorization", ""):
        return request
    second = int(now)
    with _lock:
        for past in [used for used in _used if used < second]:
            del _used[past]
        while (signature := request.headers["Authorization"]) in _used.setdefault(second, set()):
            second += 1
            request = build(float(second))
        _used[second].add(signature)
    return request
