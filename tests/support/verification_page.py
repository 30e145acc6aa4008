# SPDX-License-Identifier: Apache-2.0
"""Writes the table of collaborators into docs/verification.md: ``python -m tests.support.verification_page``."""

from __future__ import annotations

from pathlib import Path

from tests.support.collaborators import ROWS, Impossible, Moment, Row
from tests.support.containment import Kind

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"
BEGIN = "<!-- The table: written by tests/support/verification_page.py -->"
END = "<!-- The end of the table -->"


def table() -> str:
    """Return the table, and a line that counts what is in it."""
    cells = [row.cell(kind, moment) for row in ROWS for kind in Kind for moment in Moment]
    impossible = sum(isinstance(cell, Impossible) for cell in cells)
    rows = [
        f"| collaborator | affects at most | {' | '.join(kind.value for kind in Kind)} |",
        f"|---|---|{'---|' * len(Kind)}",
        *(f"| {row.collaborator.value} | {row.scope.value} | {' | '.join(_cells(row))} |" for row in ROWS),
        "",
        f"{len(ROWS)} collaborators, {len(Kind)} faults, {len(Moment)} moments: {len(cells)} cells, of which "
        f"{len(cells) - impossible} are a test each, and {impossible} say why they can't be one.",
    ]
    return "\n".join(rows)


def _cells(row: Row) -> list[str]:
    texts = []
    for kind in Kind:
        by_moment = {moment: str(row.cell(kind, moment)) for moment in Moment}
        if len(set(by_moment.values())) == 1:
            texts.append(by_moment[Moment.START])
        else:
            texts.append("; ".join(f"{moment.title}: {text}" for moment, text in by_moment.items()))
    return texts


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
