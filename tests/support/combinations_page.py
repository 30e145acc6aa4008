# SPDX-License-Identifier: Apache-2.0
"""Writes the table of combinations into docs/combinations.md: ``python -m tests.support.combinations_page``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.airflow.combinations import FEATURES, INFO, LINES, TABLE, VIDEO, Feature
from tests.airflow.scenarios import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "combinations.md"
BEGIN = "<!-- The table: written by tests/support/combinations_page.py -->"
END = "<!-- The end of the table -->"

GROUPS = {
    "sensor": ("poke", "reschedule", "deferrable"),
    "`start_from_trigger`": ("start",),
    "`finish_in_triggerer`": ("finish",),
    "both": ("both",),
    "info operator": INFO,
    "video operator": VIDEO,
}


def table() -> str:
    """Return the tables under their headings, and a line that counts what is in them."""
    head = [" | ".join(("| with", *GROUPS, "note |")), "|---" * (len(GROUPS) + 2) + "|"]
    sections = ["\n".join([f"## {title}", "", *head, *map(_row, features)]) for title, features in TABLE.items()]
    cells = len(FEATURES) * len(COLUMNS) * len(LINES)
    count = f"{len(FEATURES)} features, {len(COLUMNS)} modes, {len(LINES)} lines of Airflow: {cells} cells."
    return "\n\n".join([*sections, count])


def _row(feature: Feature) -> str:
    return " | ".join(
        (f"| {feature.name}", *(_outcome(feature, columns) for columns in GROUPS.values()), f"{feature.note} |")
    )


def _outcome(feature: Feature, columns: Sequence[str]) -> str:
    """Return the outcome of columns that are shown as one; they must not differ."""
    outcomes = []
    for line in LINES:
        (outcome,) = {feature.outcome(column, line) for column in columns}
        outcomes.append(outcome)
    newer, older = outcomes
    return newer if newer == older else f"{newer}; 2.11: {older}"


def with_table(page: str) -> str:
    """Return a page with the table of today between its two markers.

    :raises ValueError: a marker is missing
    """
    before, old, after = page.partition(BEGIN)
    _, end, rest = after.partition(END)
    if not (old and end):
        raise ValueError(f"the page must have {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
