# SPDX-License-Identifier: Apache-2.0
"""Writes the table of oddities into docs/network.md: ``python -m tests.support.wire_page``."""

from __future__ import annotations

from pathlib import Path

from tests.support.wire import ODDITIES, Oddity

PAGE = Path(__file__).parents[2] / "docs" / "network.md"
BEGIN = "<!-- The table: written by tests/support/wire_page.py -->"
END = "<!-- The end of the table -->"


def table() -> str:
    """Return the table, and a line that counts what is in it."""
    rows = ["| the service sends | both clients |", "|---|---|", *map(_row, ODDITIES)]
    return "\n".join([*rows, "", f"{len(ODDITIES)} oddities in two clients: {2 * len(ODDITIES)} tests."])


def _row(oddity: Oddity) -> str:
    return f"| {oddity.name} | {'take it' if oddity.error is None else f'refuse it: “{oddity.error}”'} |"


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
