# SPDX-License-Identifier: Apache-2.0
"""A browser at a live Airflow, which takes the documentation's pictures if it is given a folder for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import oxipng
import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.airflow_ui import AirflowUI

CHROMIUM = "/usr/bin/chromium"
LIMIT_MS = 60_000.0
PAGE_HEIGHT = 720
MAX_PICTURE_BYTES = 200 * 1024

Picture = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="folder in which to put the pictures of the documentation")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    # Chromium refuses to run in its sandbox as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": arguments}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict, airflow: AirflowUI) -> dict:
    return {
        **browser_context_args,
        "base_url": airflow.url,
        "viewport": {"width": 1280, "height": PAGE_HEIGHT},
        "locale": "en-US",
        "timezone_id": "UTC",
        "storage_state": airflow.session("admin"),
    }


@pytest.fixture(scope="session")
def service() -> Iterator[TrimEmulator]:
    with TrimEmulator(token="t0ken-of-the-browser") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def airflow(service: TrimEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowUI]:
    users = {"admin": "admin", "outsider": ""}
    with AirflowUI(tmp_path_factory.mktemp("ui") / "home", service, users) as running:
        yield running


@pytest.fixture(autouse=True)
def patient(page: Page) -> None:
    page.set_default_timeout(LIMIT_MS)
    expect.set_options(timeout=LIMIT_MS)


@pytest.fixture
def picture(page: Page, request: pytest.FixtureRequest) -> Picture:
    """Takes a picture of the page, or a part of it, where pictures are asked for."""
    folder: Path | None = request.config.getoption("--pictures")

    def take(name: str, of: Locator | None = None, height: int | None = None) -> None:
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if height:
            page.set_viewport_size({"width": 1280, "height": height})
        raw = (of or page).screenshot(animations="disabled", caret="hide")
        content = oxipng.optimize_from_memory(raw, level=4, strip=oxipng.StripChunks.safe())
        assert len(content) <= MAX_PICTURE_BYTES, f"{name}.png has {len(content)} bytes"
        (folder / f"{name}.png").write_bytes(content)
        if height:
            page.set_viewport_size({"width": 1280, "height": PAGE_HEIGHT})

    return take
