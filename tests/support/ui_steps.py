# SPDX-License-Identifier: Apache-2.0
"""What a person does in Airflow's web UI (3.3), by what they see: labels, buttons, rows."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

RUN_LIMIT_MS = 300_000.0
"""Until a task has reached a state, in milliseconds, as Playwright has them."""


class ConnectionForm:
    """The dialog in which a connection is added or edited."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialog = page.get_by_role("dialog")

    def choose_type(self, name: str) -> None:
        """Choose the connection's type."""
        types = self.dialog.get_by_role("combobox", name="Connection Type")
        types.fill(name)
        self.page.get_by_role("option", name=name, exact=True).click()

    def show(self, section: str) -> None:
        """Unfold a part of the form: ``Standard Fields`` or ``Extra Fields``."""
        button = self.dialog.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        expect(button).to_have_attribute("aria-expanded", "true")

    def row(self, label: str) -> Locator:
        """Return the row of a field: its label, its input, and its description."""
        return self.dialog.get_by_role("group").filter(has=self.page.get_by_text(label, exact=True))

    def fill(self, **values: str) -> None:
        """Fill standard fields in, by the names they have in a connection."""
        self.show("Standard Fields")
        for name, value in values.items():
            self.dialog.locator(f'[name="{name}"]').fill(value)

    def fill_extra(self, label: str, value: str) -> None:
        """Fill an extra field in."""
        self.show("Extra Fields")
        field = self.row(label).locator("input:visible").first
        field.fill(value)
        field.blur()

    def save(self) -> None:
        """Save the connection."""
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog).to_be_hidden()


class ConnectionsPage:
    """Admin → Connections."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self) -> None:
        """Go there by the menu."""
        self.page.goto("/")
        self.page.get_by_role("button", name="Admin").click()
        self.page.get_by_role("menuitem", name="Connections").click()
        expect(self.page.get_by_role("button", name="Add Connection")).to_be_visible()

    def row(self, conn_id: str) -> Locator:
        """Return a connection's row."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_text(conn_id, exact=True))

    def add(self) -> ConnectionForm:
        """Open the form for a new connection."""
        self.page.get_by_role("button", name="Add Connection").click()
        return ConnectionForm(self.page)

    def edit(self, conn_id: str) -> ConnectionForm:
        """Open the form of a connection."""
        self.row(conn_id).get_by_role("button", name="Edit Connection").click()
        return ConnectionForm(self.page)

    def test(self, conn_id: str) -> Locator:
        """Press the button that tests a connection, and return the notification of how it went."""
        before = self.page.get_by_role("status").filter(has_text="Test Connection")
        expect(before).to_have_count(0)
        self.row(conn_id).get_by_role("button", name="Test Connection").click()
        return before


class RunPage:
    """A DAG run, with its tasks."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def trigger(self, dag_id: str, **parameters: str) -> None:
        """Find a DAG in the list, trigger it with some of its parameters, and go to the run.

        :param parameters: by the label of each in the form
        """
        self.page.goto("/dags")
        self.page.get_by_role("link", name=dag_id, exact=True).first.click()
        trigger = self.page.get_by_role("button", name="Trigger Dag")
        expect(trigger).to_have_count(1)  # the list, which goes, has one for each DAG
        trigger.click()
        dialog = self.page.get_by_role("dialog")
        for label, value in parameters.items():
            field = dialog.get_by_role("group").filter(has_text=label).get_by_role("textbox")
            field.fill(value)
            field.blur()
        dialog.get_by_role("button", name="Trigger", exact=True).click()
        expect(dialog).to_be_hidden()
        self.page.wait_for_url("**/runs/**", wait_until="commit")

    def task(self, task_id: str) -> Locator:
        """Return a task's row."""
        rows = self.page.get_by_role("table").get_by_role("row")
        return rows.filter(has=self.page.get_by_role("link", name=task_id, exact=True))

    def expect_state(self, task_id: str, state: str) -> None:
        """Wait until a task has a state, as the page shows it without a reload."""
        expect(self.task(task_id).get_by_text(state, exact=True)).to_be_visible(timeout=RUN_LIMIT_MS)

    def open_task(self, task_id: str) -> None:
        """Go to a task of the run."""
        self.task(task_id).get_by_role("link", name=task_id, exact=True).click()
        expect(self.page.get_by_role("heading", name=task_id, exact=True)).to_be_visible()

    def tab(self, *names: str) -> None:
        """Choose a tab of a task, and one below it."""
        for name in names:
            self.page.get_by_role("link", name=name, exact=True).click()
