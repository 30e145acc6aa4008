# SPDX-License-Identifier: Apache-2.0
"""Writes the table of faults into docs/reliability.md: ``python -m tests.support.matrix_page``."""

from __future__ import annotations

from pathlib import Path

from tests.support.faults import CASES, Case
from tests.support.waits import SENSOR_MODES

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- The table: written by tests/support/matrix_page.py -->"
END = "<!-- The end of the table -->"


def table() -> str:
    """Return the table, and a line that counts what is in it."""
    cells = 2 * len(CASES) * len(SENSOR_MODES)
    rows = [
        "| fault | when it passes | when it lasts | the message names |",
        "|---|---|---|---|",
        *(_row(case) for case in CASES),
        "",
        f"{len(CASES)} faults, passing and lasting, in {len(SENSOR_MODES)} modes: {cells} cells, each of them a test.",
    ]
    return "\n".join(rows)


def _row(case: Case) -> str:
    says = " or ".join(f"“{text}”" for text in case.says)
    return f"| {case.name} | {case.verdict.when_it_passes} | {case.verdict.when_it_lasts} | {says} |"


def with_table(page: str) -> str:
    """Return a page with the table of today between its two markers.

    :raises ValueError: a marker is missing
    """
    before, old, after = page.partition(BEGIN)
    _, end, rest = after.partition(END)
    if not (old and end):
        raise ValueError(f"the page should have {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
