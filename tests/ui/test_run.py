# SPDX-License-Identifier: Apache-2.0
"""An example in Airflow's web UI: triggered, deferred, done; its XCom, its link, its log."""

from __future__ import annotations

import json
import math
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.servers import RawServer
from tests.support.ui_steps import RunPage

TRANS_NO = "goal-2026-11-25-1"
POSTER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 19\r\n\r\n<h1>The poster</h1>"


def test_a_run_from_its_trigger_to_the_video(
    page: Page, context: BrowserContext, service: TrimEmulator, example_response: dict, picture: Any
) -> None:
    run = RunPage(page)
    with RawServer(POSTER) as poster:
        info = {**example_response["data"]["videoInfo"], "imageUrl": f"http://{poster.address}/{TRANS_NO}.jpg"}
        service.add_trim(TRANS_NO, seconds=math.inf, video_info=info)
        run.trigger("example_trim_wait", transNo=TRANS_NO)
        run.expect_state("wait", "Deferred")
        picture("dag-deferred")
        service.finish(TRANS_NO)
        for task_id in ("wait", "video_info", "pick_best_rendition"):
            run.expect_state(task_id, "Success")
        picture("dag-success")

        run.open_task("wait")
        check_log(page, picture)
        check_xcom(run, page, info, picture)
        run.tab("Details")
        link = page.get_by_role("link", name="Video", exact=True)
        expect(link).to_have_attribute("href", info["imageUrl"])
        picture("extra-link")
        with context.expect_page() as opened:
            link.click()
        expect(opened.value.get_by_role("heading", name="The poster")).to_be_visible()


def check_log(page: Page, picture: Any) -> None:
    log = page.get_by_role("code").first
    expect(log).to_contain_text(f"Polling trim {TRANS_NO}")
    expect(log).to_contain_text(f"Trim {TRANS_NO} is done")
    page.keyboard.press("w")  # wraps its lines
    picture("log", height=800)


def check_xcom(run: RunPage, page: Page, info: dict[str, Any], picture: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run.tab("Storage", "XCom")
    row = page.get_by_role("row").filter(has=page.get_by_text("return_value", exact=True))
    row.get_by_role("button", name="Copy to clipboard").click()
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == info
    page.get_by_role("button", name="Expand all").click()
    expect(row).to_contain_text(info["videoId"])
    picture("xcom", height=860)
