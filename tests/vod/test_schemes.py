# SPDX-License-Identifier: Apache-2.0
"""Authentication schemes that another distribution adds by an entry point, and fixed request parameters."""

from __future__ import annotations

import base64
import hmac
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trim.client import calls
from airflow_provider_trim.emulator import AuthenticationError, ServiceRequest, TrimEmulator
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod import schemes
from airflow_provider_trim.vod.errors import TrimAuthError, TrimError, TrimSettingsError
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.submission import TrimSubmission
from tests.support.pages import ROOT, blocks

NOW = 1516182478


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a distribution of one module whose functions are authentication schemes."""

    def install(source: str, module: str = "acme_trim_auth", **names: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / "acme-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        points = "\n".join(f"{name} = {target}" for name, target in names.items())
        (info / "entry_points.txt").write_text(f"[{schemes.GROUP}]\n{points}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        schemes._entry_points.cache_clear()

    yield install
    schemes._entry_points.cache_clear()
    sys.modules.pop("acme_trim_auth", None)


def settings(host: str, **extra: Any) -> TrimSettings:
    return TrimSettings.from_connection(host=host, login="me", password="geheim", extra=extra)


def query(connection: TrimSettings, trans_no: str = "T") -> Any:
    call = calls.query(trans_no)
    with SyncTransport(connection) as transport:
        return call.parse(transport.send(call.build(connection, NOW)), connection, NOW)


class Acme:
    """The service's side of the page's example."""

    user, token = "me", "geheim"
    reads_parameters = False

    def authenticate(self, request: ServiceRequest) -> str:
        """Return the account of a request with the right signature."""
        stamp = request.headers.get("X-Acme-Time", "")
        digest = hmac.digest(self.token.encode(), stamp.encode() + b"\n" + request.body, "sha256")
        expected = f"Acme {self.user}:{base64.b64encode(digest).decode()}"
        if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
            raise AuthenticationError("the signature is wrong")
        return self.user


def example() -> str:
    """The module on the page."""
    (block,) = (b for b in blocks(ROOT / "docs" / "connection.md") if b.file == "acme_trim_auth.py")
    return block.text


def test_scheme_of_the_page(install: Callable[..., None]) -> None:
    install(example(), acme="acme_trim_auth:sign")
    with TrimEmulator(auth="acme", authentication=Acme()) as emulator:
        emulator.add_trim("T")
        assert query(settings(emulator.url, auth="Acme")).trans_no == "T"
        wrong = TrimSettings.from_connection(host=emulator.url, login="me", password="other", extra={"auth": "acme"})
        with pytest.raises(TrimAuthError):
            query(wrong)


def test_unknown_scheme_names_those_installed(install: Callable[..., None]) -> None:
    install(example(), acme="acme_trim_auth:sign", token="acme_trim_auth:sign")
    with pytest.raises(TrimSettingsError) as caught:
        settings("", auth="other")
    assert caught.value.message == (
        "connection extra 'auth': must be 'token', 'ws3-hmac-sha256', 'cnc-hmac-sha256', 'api-key' or 'acme'"
    )


def test_built_in_scheme_is_not_replaced(install: Callable[..., None]) -> None:
    install("def sign(request, settings, now): raise LookupError", token="acme_trim_auth:sign")
    assert b"token=geheim" in build_query(settings(""), "T", NOW).body


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "authentication scheme 'acme' can't be loaded: ModuleNotFoundError"),
        ("raise KeyboardError('geheim')", "authentication scheme 'acme' can't be loaded: NameError"),
        ("sign = 5", "authentication scheme 'acme' can't be loaded: no function"),
        ("", "authentication scheme 'acme' can't be loaded: AttributeError"),
        ("def sign(*args): raise LookupError('geheim')", "authentication scheme 'acme' failed: LookupError"),
        ("def sign(*args): return None", "authentication scheme 'acme' must return a Request to the same host"),
        (
            "import dataclasses\n"
            "def sign(request, *args): return dataclasses.replace(request, url='https://evil.example/')",
            "authentication scheme 'acme' must return a Request to the same host",
        ),
    ],
)
def test_scheme_that_fails(install: Callable[..., None], source: str, message: str) -> None:
    install(source, acme="acme_trim_auth:sign")
    with pytest.raises(TrimSettingsError) as caught:
        build_query(settings("", auth="acme"), "T", NOW)
    assert caught.value.message == message


# --- fixed request parameters ---


@pytest.mark.parametrize("auth", ["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_parameters_are_in_each_call(auth: str, method: str) -> None:
    required = {"format": "json", "zone": "北 & 南", "timeStamp": "1516182000"}
    with TrimEmulator(
        auth=auth, user="me", token="geheim", required_parameters=required, wall_clock=lambda: NOW
    ) as emulator:
        emulator.add_trim("T")
        extra = {"auth": auth, "method": method, "allow_token_in_url": True}
        with pytest.raises(TrimError, match="format is missing or wrong"):
            query(settings(emulator.url, **extra))
        connection = settings(emulator.url, **extra, parameters=required)
        assert query(connection).trans_no == "T"
        submission = TrimSubmission.parse(trans_no="S", video_id="v", seek_start=0, duration=1, filename="f")
        call = calls.submission(submission.to_wire(connection))
        with SyncTransport(connection) as transport:
            call.parse(transport.send(call.build(connection, NOW)), connection, NOW)
        assert emulator.submissions[-1].trans_no == "S"


def test_parameters_are_not_shown() -> None:
    connection = settings("", parameters={"zone": "north"})
    assert "north" not in repr(connection)
    assert "north" not in repr(build_query(connection, "T", NOW))
