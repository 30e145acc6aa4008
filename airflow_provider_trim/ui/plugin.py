# SPDX-License-Identifier: Apache-2.0
"""The plugin that adds the page: static files, and the menu item that shows them.

Every process of Airflow imports this module, since it is an entry point; only the api-server reads the attributes of
:class:`TrimsPlugin`. So they are computed when they are read.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import AirflowPlugin, conf

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

STATIC = Path(__file__).with_name("static")
PREFIX = "/trims"

HEADERS = {
    # What is not listed is forbidden: inline code and styles, eval, other hosts, and frames of other sites.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again by its ETag, so that an upgrade is seen at once
}


def is_enabled() -> bool:
    """Return whether this Airflow can show the page (3.1 and later), and whether it is to."""
    return hasattr(AirflowPlugin, "external_views") and conf.getboolean("trim", "ui_page", fallback=True)


def create_app() -> FastAPI:
    """Return the app that serves the page's files. They hold no data, so it asks for no login."""
    from fastapi import FastAPI
    from fastapi.staticfiles import StaticFiles

    app = FastAPI(title="Trims", openapi_url=None, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)  # an error's, too
        response.headers.update(HEADERS)
        return response

    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _apps() -> list[dict[str, Any]]:
    return [{"app": create_app(), "url_prefix": PREFIX, "name": "Trims"}] if is_enabled() else []


def _views() -> list[dict[str, str]]:
    view = {
        "name": "Trims",
        "href": f"{PREFIX.strip('/')}/",  # relative to [api] base_url, which may have a path
        "destination": "nav",
        "category": "browse",
        "url_route": "trims",
    }
    return [view] if is_enabled() else []


class _WhenRead:
    """A class attribute that is computed once, when it is first read."""

    def __init__(self, compute: Callable[[], list[Any]]) -> None:
        self._compute = functools.cache(compute)

    def __get__(self, instance: object, owner: type) -> list[Any]:
        return self._compute()


class TrimsPlugin(AirflowPlugin):
    """The page "Trims", in the menu *Browse*."""

    name = "trims"
    fastapi_apps: Any = _WhenRead(_apps)
    external_views: Any = _WhenRead(_views)
