# SPDX-License-Identifier: Apache-2.0
"""The plugin that adds the page "Trims", as this Airflow loads it, and the page's files. In a browser: tests/ui."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow import plugins_manager

from airflow_provider_trim.ui import plugin
from airflow_provider_trim.ui.plugin import HEADERS, PREFIX, STATIC, TrimsPlugin

HAS_VIEWS = hasattr(plugins_manager.AirflowPlugin, "external_views")
needs_views = pytest.mark.skipif(not HAS_VIEWS, reason="the page needs Airflow 3.1")
FILES = sorted(STATIC.iterdir())


def test_airflow_loads_it() -> None:
    """By its entry point; in every process, so the web framework is not imported before the api-server asks for it."""
    code = (
        "import sys, airflow.plugins_manager as manager; manager.ensure_plugins_loaded(); "
        "loaded = getattr(manager, 'plugins', None) or manager._get_plugins()[0]; "
        "(ours,) = [plugin for plugin in loaded if plugin.name == 'trims']; before = set(sys.modules); "
        "print(len(ours.external_views), 'fastapi.staticfiles' in before, len(ours.fastapi_apps))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.splitlines()[-1] == ("1 False 1" if HAS_VIEWS else "0 False 0")


@pytest.mark.parametrize("setting", [None, "True", "False"])
def test_it_can_be_hidden(setting: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if setting:
        monkeypatch.setenv("AIRFLOW__TRIM__UI_PAGE", setting)
    assert plugin.is_enabled() is (HAS_VIEWS and setting != "False")


def test_before_airflow_3_1_there_is_no_page_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "AirflowPlugin", object)
    assert plugin._apps() == plugin._views() == []


@needs_views
def test_the_menu_item_leads_to_the_app() -> None:
    (view,) = TrimsPlugin.external_views
    (app,) = TrimsPlugin().fastapi_apps
    assert f"/{view['href']}" == f"{app['url_prefix']}/" == f"{PREFIX}/"
    assert TrimsPlugin.fastapi_apps[0] is app


@needs_views
@pytest.mark.parametrize("path", ["/", *(f"/{file.name}" for file in FILES), "/absent.js", "/%2e%2e/plugin.py"])
def test_every_response_has_the_policy(path: str) -> None:
    from fastapi.testclient import TestClient

    response = TestClient(plugin.create_app()).get(path)
    assert response.status_code == (404 if "absent" in path or "plugin" in path else 200)
    assert HEADERS.items() <= {name.title(): value for name, value in response.headers.items()}.items()
    expected = {"content-length", "content-type", "last-modified", "etag", "accept-ranges"}
    assert {name.lower() for name in response.headers} <= expected | {name.lower() for name in HEADERS}


def test_the_policy_allows_this_host_only() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert policy["script-src"] == policy["connect-src"] == policy["frame-ancestors"] == "'self'"


FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|style=|\son\w+="
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_makes_no_markup_and_names_no_other_host(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not FORBIDDEN.findall(text)
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[\w/.-]*", text)) <= {"http://www.w3.org/2000/svg"}  # a namespace
