# SPDX-License-Identifier: Apache-2.0
"""The page "Trims": with a live Airflow and its users, and with responses of the REST API that are made up here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Locator, Page, Route, expect

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.airflow_ui import AirflowUI
from tests.support.ui_steps import RUN_LIMIT_MS

HOSTILE = '<script>top.hostile = 1</script><img src="x" onerror="top.hostile = 1">'
INTERVAL_MS = 10_000
MAX_INTERVAL_MS = 120_000


def section(page: Page | FrameLocator, title: str) -> Locator:
    return page.get_by_role("table", name=title, exact=True)


def row(page: Page | FrameLocator, title: str, text: str) -> Locator:
    return section(page, title).get_by_role("row").filter(has_text=text)


# --- With a live Airflow ---


@pytest.fixture
def errors(page: Page) -> Iterator[list[str]]:
    """What the browser's console reports, a violation of the page's policy for one."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    yield found
    assert not found


def test_what_waits_what_is_done_and_what_has_failed(
    page: Page,
    context: BrowserContext,
    service: TrimEmulator,
    airflow: AirflowUI,
    example_response: dict,
    picture: Any,
    errors: list[str],
) -> None:
    info = {**example_response["data"]["videoInfo"], "imageUrl": f"{airflow.url}/trims/trims.css"}
    service.add_trim("goal-44", seconds=0, video_info={**info, "videoName": "Goal & celebration <44>"})
    service.add_trim("save-61", seconds=math.inf)
    run_id = airflow.trigger("example_trim_many", trans_nos=["goal-44", "save-61", "not-submitted"])

    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Trims").click()
    trims = page.frame_locator('iframe[title="Trims"]')
    expect(row(trims, "Waiting", "save-61")).to_contain_text(run_id, timeout=RUN_LIMIT_MS)
    expect(row(trims, "Waiting", "save-61")).to_contain_text("deferred", timeout=RUN_LIMIT_MS)
    done = row(trims, "Done lately", "goal-44")
    for text in ("Goal & celebration <44>", "3:09", "640×360, 720×480", "example_trim_many", "ago"):
        expect(done).to_contain_text(text, timeout=RUN_LIMIT_MS)
    expect(row(trims, "Failed", "not-submitted")).to_contain_text("transNo does not exist", timeout=RUN_LIMIT_MS)
    expect(trims.get_by_text("Failed in 24 h").locator("+ dd")).not_to_have_text(re.compile("^(0|…)$"))
    picture("trims-page")
    with context.expect_page() as opened:
        done.get_by_role("link", name="Poster").click()
    opened.value.wait_for_url("**/trims.css")
    assert opened.value.evaluate("[window.opener, document.referrer]") == [None, ""]
    service.finish("save-61")
    done.get_by_role("link", name="wait", exact=True).click()
    page.wait_for_url(re.compile("/dags/example_trim_many/runs/[^/]+/tasks/wait/mapped/0$"), wait_until="commit")
    expect(page.get_by_role("heading", name="wait")).to_be_visible()


def other_user(browser: Browser, browser_context_args: dict, session: dict[str, Any] | None) -> Page:
    return browser.new_context(**{**browser_context_args, "storage_state": session}).new_page()


def test_who_may_read_no_dag_sees_nothing(browser: Browser, browser_context_args: dict, airflow: AirflowUI) -> None:
    airflow.trigger("example_trim_wait", trans_no="not-submitted-either")
    page = other_user(browser, browser_context_args, airflow.session("outsider"))
    page.goto("/trims/")
    expect(page.get_by_role("alert")).to_have_text("You have no permission to read task instances.")
    expect(page.get_by_role("table")).to_have_count(0)
    expect(page.locator("html")).not_to_contain_text("example_trim")
    page.context.close()


def test_who_is_logged_out_is_sent_to_log_in(browser: Browser, browser_context_args: dict, airflow: AirflowUI) -> None:
    page = other_user(browser, browser_context_args, None)
    page.goto("/trims/")
    expect(page.get_by_role("alert")).to_contain_text("You are logged out.")
    expect(page.get_by_role("table")).to_have_count(0)
    page.get_by_role("link", name="Log in").click()
    page.get_by_role("textbox", name="Username").fill("admin")
    page.get_by_role("textbox", name="Password").fill(airflow.passwords["admin"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/trims/")
    expect(page.get_by_role("heading", name="Waiting")).to_be_visible()
    page.context.close()


# --- With made-up responses ---


class Api:
    """Airflow's REST API, as far as the page uses it: a number of waiting tasks, and those that are given."""

    def __init__(self, page: Page, waiting: int = 0) -> None:
        self.waiting = waiting
        self.done: list[dict[str, Any]] = []
        self.videos: Any = None
        self.others: list[dict[str, Any]] = []
        self.status = 200
        self.asked: list[dict[str, list[str]]] = []
        page.route("**/api/v2/dags/**", self._respond)

    @staticmethod
    def task(number: int, state: str = "deferred", **fields: Any) -> dict[str, Any]:
        trigger = {"classpath": "airflow_provider_trim.triggers.trim.TrimTaskStatusTrigger", "triggerer_id": 1}
        return {
            "id": f"{state}-{number}",
            "dag_id": "clips",
            "dag_run_id": "manual__1",
            "task_id": "wait",
            "task_display_name": "wait",
            "map_index": number,
            "state": state,
            "operator": "TrimTaskStatusSensor",
            "start_date": "2026-01-01T00:00:00Z",
            "end_date": "2026-01-01T00:01:00Z" if state != "deferred" else None,
            "try_number": 1,
            "max_tries": 2,
            "rendered_fields": {"trans_no": f"T-{number:05}"},
            "trigger": trigger if state == "deferred" else None,
            **fields,
        }

    def _respond(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        query = parse_qs(url.query)
        self.asked.append(query)
        if self.status == 0:
            route.abort()
        elif self.status != 200:
            route.fulfill(status=self.status, json={"detail": "made up"})
        elif "xcomEntries" in url.path:
            route.fulfill(json={"value": json.dumps(self.videos)})
        else:
            route.fulfill(json=self._page(query))

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        offset, limit = int(query.get("offset", ["0"])[0]), int(query["limit"][0])
        if "operator" not in query:
            return {"task_instances": self.others, "total_entries": len(self.others)}
        if "running" in query["state"]:
            numbers = range(offset, min(offset + limit, self.waiting))
            return {"task_instances": [self.task(number) for number in numbers], "total_entries": self.waiting}
        found = self.done if query["state"] == ["success"] and "end_date_gte" not in query else []
        return {"task_instances": found[offset : offset + limit], "total_entries": len(found)}


@pytest.fixture
def api(page: Page, errors: list[str]) -> Api:
    return Api(page, waiting=10_000)


def test_ten_thousand_tasks_are_paged_and_searched(page: Page, api: Api) -> None:
    page.goto("/trims/")
    pager = page.get_by_role("navigation", name="Pages of Waiting")
    rows = section(page, "Waiting").get_by_role("row")
    expect(pager).to_contain_text("1–25 of 10,000")
    expect(rows).to_have_count(1 + 25)
    pager.get_by_role("button", name="Next").press("Enter")
    expect(rows.nth(1)).to_contain_text("T-00025")
    expect(page.get_by_role("status")).to_have_text("Waiting: 26–50 of 10,000")
    expect(pager.get_by_role("button", name="Next")).to_be_focused()

    page.get_by_role("searchbox", name="Text").fill("t-024")  # the last fifth of 2,500, of which 2,000 are searched
    expect(section(page, "Waiting")).to_contain_text("Nothing found.")
    expect(pager).to_contain_text("0 found in 2,000 of 10,000")
    pager.get_by_role("button", name="Search further").click()
    expect(pager).to_contain_text("1–25 of 100 found in 4,000 of 10,000")
    pager.get_by_role("button", name="Next").click()
    expect(rows.nth(1)).to_contain_text("T-02425")
    expect(rows).to_have_count(1 + 25)
    assert max(int(query["limit"][0]) for query in api.asked if "limit" in query) <= 100


def test_updates_stop_while_the_tab_is_hidden(page: Page, api: Api) -> None:
    page.clock.install()
    page.goto("/trims/")
    updated = page.get_by_text("Updated ")
    expect(updated).to_be_visible()

    def show(state: str) -> None:
        page.evaluate(
            "state => { Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});"
            " document.dispatchEvent(new Event('visibilitychange')); }",
            state,
        )

    def expect_update(act: Callable[[], Any]) -> None:
        before = updated.inner_text()  # a time, which the clock has left behind
        act()
        expect(updated).not_to_have_text(before)

    def expect_no_request() -> None:
        before = len(api.asked)
        page.clock.run_for(10 * MAX_INTERVAL_MS)
        page.evaluate("fetch('/api/v2/dags/xcomEntries')")  # comes after those of the page, if there are any
        assert len(api.asked) == before + 1

    expect_update(lambda: page.clock.run_for(INTERVAL_MS))
    show("hidden")
    expect_no_request()
    expect_update(lambda: show("visible"))
    page.get_by_role("checkbox", name="Live").uncheck()
    expect_no_request()
    expect_update(lambda: page.get_by_role("button", name="Refresh").click())


@pytest.mark.parametrize(
    ("status", "text", "keeps"),
    [
        (401, "You are logged out.", False),
        (403, "You have no permission to read task instances.", False),
        (500, "Airflow's API server reports an error.", True),
        (0, "Airflow's API server can't be reached.", True),
    ],
)
def test_a_problem_is_shown_and_goes_by(page: Page, status: int, text: str, keeps: bool) -> None:
    api = Api(page, waiting=1)
    page.goto("/trims/")
    expect(row(page, "Waiting", "T-00000")).to_be_visible()
    api.status = status
    refresh = page.get_by_role("button", name="Refresh")
    refresh.click()
    expect(page.get_by_role("alert")).to_contain_text(text)
    expect(row(page, "Waiting", "T-00000")).to_have_count(int(keeps))
    api.status = 200
    refresh.click()
    expect(row(page, "Waiting", "T-00000")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_states_without_tasks(page: Page, errors: list[str]) -> None:
    Api(page)
    page.goto("/trims/")
    texts = {"Waiting": "Nothing is waiting.", "Failed": "Nothing has failed.", "Done lately": "Nothing is done yet."}
    for title, text in texts.items():
        expect(section(page, title)).to_contain_text(text)


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://video.example.com/a.jpg", "https://video.example.com/a.jpg"),
        ("video.example.com/a.jpg", "https://video.example.com/a.jpg"),
        ("//video.example.com/a.jpg", "https://video.example.com/a.jpg"),
        ("HTTP://video.example.com/a.jpg", "http://video.example.com/a.jpg"),
        ("/a.jpg", None),
        ("https:///a.jpg", None),
        ("a.jpg", None),
        ("N/A", None),
        ("javascript:top.hostile=1", None),
        ("data:text/html,x", None),
        (" \tjavascript://video.example.com/%0atop.hostile=1", None),
        ("", None),
    ],
)
def test_only_web_addresses_become_links(page: Page, api: Api, address: str, link: str | None) -> None:
    api.done = [Api.task(1, "success", dag_id=HOSTILE, rendered_fields={"trans_no": HOSTILE})]
    renditions = [{"width": HOSTILE}, None]
    api.videos = {"videoId": 1, "videoName": HOSTILE, "imageUrl": address, "videoResolutions": renditions}
    page.goto("/trims/")
    done = section(page, "Done lately").get_by_role("row").nth(1)
    expect(done.get_by_role("cell").first).to_have_text(HOSTILE)
    poster = done.get_by_role("link", name="Poster")
    expect(poster).to_have_count(1 if link else 0)
    if link:
        expect(poster).to_have_attribute("href", link)
        expect(poster).to_have_attribute("rel", "noopener noreferrer")
    assert page.evaluate("window.hostile") is None
    assert page.locator("main script, main img").count() == 0


def test_subclasses_are_known_by_their_trigger_or_by_name(page: Page, api: Api) -> None:
    others = Api.task(2, operator="Other", trigger={"classpath": "other.Trigger"})
    api.others = [Api.task(1, operator="GoalSensor"), others]
    page.goto("/trims/?operator=ClipOperator")
    expect(row(page, "Waiting", "T-00000")).to_be_visible()
    asked = {name for query in api.asked for name in query.get("operator", [])}
    own = {"TrimTaskStatusSensor", "TrimVideoInfoOperator", "TrimVideoOperator"}
    assert asked == own | {"ClipOperator", "GoalSensor"}


def test_the_colours_follow_airflow_and_else_the_system(page: Page, errors: list[str]) -> None:
    Api(page)
    dark, light = "rgb(24, 24, 27)", "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    page.goto("/trims/")
    expect(page.locator("body")).to_have_css("background-color", dark)
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.goto("/plugin/trims")
    frame = page.frame_locator('iframe[title="Trims"]')
    expect(frame.locator("body")).to_have_css("background-color", light)
    page.evaluate("document.documentElement.className = 'dark'")  # as its button does
    expect(frame.locator("body")).to_have_css("background-color", dark)


def test_keyboard_and_screen_reader(page: Page, api: Api) -> None:
    page.clock.install()
    page.goto("/trims/")
    expect(row(page, "Waiting", "T-00000")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Trims")
    expect(page.get_by_role("heading", level=2)).to_have_text(["Waiting", "Failed", "Done lately"])
    expect(page.get_by_role("img", name="0 tasks were done and 0 failed in the last 24 hours.")).to_be_visible()
    for table in page.get_by_role("table").all():
        expect(table).to_have_accessible_name(re.compile("."))
        assert table.locator("th:not([scope])").count() == 0
    names = [("combobox", "DAG"), ("searchbox", "Text"), ("checkbox", "Live"), ("button", "Refresh")]
    for role, name in names:
        page.keyboard.press("Tab")
        expect(page.get_by_role(role, name=name)).to_be_focused()  # type: ignore[arg-type]
    link = row(page, "Waiting", "T-00001").get_by_role("link", name="wait")
    link.focus()
    with page.expect_response(lambda response: "state=running" in response.url):
        page.clock.run_for(INTERVAL_MS)
    expect(page.locator("#waiting")).to_have_attribute("aria-busy", "false")
    expect(link).to_be_focused()
    page.get_by_role("combobox", name="DAG").fill("clips")
    page.get_by_role("combobox", name="DAG").press("Enter")
    page.clock.run_for(1)
    expect(page.get_by_role("status")).to_have_text("10000 waiting, 0 failed, 0 done")
