# SPDX-License-Identifier: Apache-2.0
"""Authentication schemes that other distributions add, as entry points of the group ``airflow_provider_trim.auth``.

Installing a package is what makes its code run: a connection names a scheme, never a code path.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from airflow_provider_trim.vod.errors import TrimSettingsError

GROUP = "airflow_provider_trim.auth"
"""Name of the entry point group."""

Scheme = Literal["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"]
"""Those of this package; no entry point replaces one."""

BUILT_IN: tuple[Scheme, ...] = get_args(Scheme)


def scheme_names() -> tuple[str, ...]:
    """Return the names that a connection's ``auth`` can have."""
    return (*BUILT_IN, *sorted(_entry_points().keys() - set(BUILT_IN)))


def load_signer(name: str) -> Callable[..., Any]:
    """Return the function of a scheme that another distribution adds.

    :raises TrimSettingsError: it can't be imported
    """
    entry_point = _entry_points().get(name)
    try:
        signer = None if entry_point is None else entry_point.load()
    except Exception as error:  # of another's module, which may raise anything
        raise TrimSettingsError(f"authentication scheme {name!r} can't be loaded: {type(error).__name__}") from error
    if not callable(signer):
        raise TrimSettingsError(f"authentication scheme {name!r} can't be loaded: no function")
    loaded: Callable[..., Any] = signer
    return loaded


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    return {entry_point.name.lower(): entry_point for entry_point in entry_points(group=GROUP)}
