# SPDX-License-Identifier: Apache-2.0
"""What the connections to one account say about its quota, and which of them counts if they differ."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from limits import RateLimitItem

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.vod.settings import TrimSettings

log = contained_logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How an account's calls are limited."""

    calls: int | None = None
    """Calls per window; None if the quota is off."""
    window: float = 0.0
    """Seconds; 0.0 if the quota is off."""
    storage_url: str | None = None
    """URL of the Redis in which all processes' calls are counted; None if each process counts its own."""


class ConnectionsInUse:
    """The connections of this process to one account, each for as long as its settings are referenced.

    If their quotas differ, the smaller one (by calls per second) counts, since the service counts all calls together.
    If their storages differ, that of the connection that came last counts, Redis before memory.
    """

    def __init__(self) -> None:
        self.changed = False
        """Whether a connection has come or gone since :meth:`terms` was called."""
        self._settings: dict[int, weakref.ref[TrimSettings]] = {}
        self._warned: set[str] = set()

    def add(self, settings: TrimSettings) -> None:
        """Take a connection into account until its settings are garbage."""
        key = id(settings)
        known = self._settings.get(key)
        if known is None or known() is not settings:
            self._settings[key] = weakref.ref(settings, lambda ref: self._remove(key, ref))
            self.changed = True

    def terms(self) -> Terms | None:
        """Return what counts now, or None if no connection is in use."""
        self.changed = False
        in_use = [settings for ref in list(self._settings.values()) if (settings := ref()) is not None]
        if not in_use:
            return None
        quotas = {_size(settings.quota): settings.quota for settings in in_use}
        quota = quotas[min(quotas)]
        if len(quotas) > 1:
            self._warn(in_use[0].base_url, quotas.values(), quota)
        if quota is None:
            return Terms()
        urls = [settings.quota_storage.get_secret_value() for settings in in_use]
        shared = [url for url in urls if not url.startswith("memory:")]
        return Terms(quota.amount, float(quota.get_expiry()), shared[-1] if shared else None)

    def _warn(self, host: str, quotas: Iterable[RateLimitItem | None], smallest: RateLimitItem | None) -> None:
        names = " and ".join(sorted(str(quota or "off") for quota in quotas))
        if names not in self._warned:
            self._warned.add(names)
            log.warning("Connections to one account at %s have different quotas (%s); using %s", host, names, smallest)

    def _remove(self, key: int, ref: weakref.ref[TrimSettings]) -> None:
        if self._settings.get(key) is ref:
            del self._settings[key]
            self.changed = True


def _size(quota: RateLimitItem | None) -> tuple[float, float]:
    """Return what quotas are compared by: calls per second, then calls. Equal quotas may be spelled differently."""
    return (math.inf, math.inf) if quota is None else (quota.amount / quota.get_expiry(), quota.amount)
