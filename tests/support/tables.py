# SPDX-License-Identifier: Apache-2.0
"""Tables of the pages that are made of tests: ``python -m tests.support.tables`` writes them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.network.test_callbacks import NAMES, REQUESTS
from tests.network.test_gateways import CASES as GATEWAYS
from tests.support.collaborators import ROWS, Impossible, Moment, Row
from tests.support.containment import Kind
from tests.support.faults import CASES as FAULTS
from tests.support.routes import ROUTES
from tests.support.waits import SENSOR_MODES
from tests.support.wire import ODDITIES

DOCS = Path(__file__).parents[2] / "docs"


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *body))


def faults() -> str:
    """Return the fault matrix, the faults of one outcome together, and a line that counts what is in it."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for case in FAULTS:
        verdict = (case.verdict.when_it_passes, case.verdict.when_it_lasts)
        groups.setdefault(verdict, []).append((case.name, " or ".join(f"“{s}”" for s in case.says)))
    tables = [
        f"### {_outcome(*verdict)}\n\n{_table(('fault', 'the message names'), *rows)}"
        for verdict, rows in groups.items()
    ]
    cells = 2 * len(FAULTS) * len(SENSOR_MODES)
    count = (
        f"{len(FAULTS)} faults, passing and lasting, in {len(SENSOR_MODES)} modes: {cells} cells, each of them a test."
    )
    return "\n\n".join([*tables, count])


def _outcome(passing: str, lasting: str) -> str:
    """Return a heading that says what a fault leads to."""
    if passing == lasting:
        return passing.capitalize()
    return f"{passing.capitalize()}; if it lasts, {lasting}"


def oddities() -> str:
    """Return what a service may send, and what becomes of it."""
    rows = [(odd.name, "take it" if odd.error is None else f"refuse it: “{odd.error}”") for odd in ODDITIES]
    return _table(("the service sends", "both clients"), *rows)


def routes() -> str:
    """Return the ways to a service, and what becomes of a request."""
    rows = [(route.name, "reach it" if route.error is None else f"“{_shown(route.error)}”") for route in ROUTES]
    return _table(("the way to the service", "both clients"), *rows)


def _shown(error: str) -> str:
    """Return a message as it may stand in a table, without the names of ports."""
    return error.replace(":{", ":‹").replace("}", "›").strip()


def counts() -> str:
    """Return how many of each there are."""
    clients = "requests and aiohttp"
    rows = [
        ("[oddities of HTTP](network.md#accepted-and-rejected-responses)", len(ODDITIES), clients, 2),
        ("[ways to the service](network.md#ways-to-the-service): names, TLS, proxies", len(ROUTES), clients, 2),
        ("nginx and Squid in front of the service", len(GATEWAYS), "poke and deferrable mode", 2),
        (f"requests through {len(NAMES)} set-ups of nginx and HAProxy to the callback listener", len(REQUESTS),
         "each set-up", len(NAMES)),
    ]  # fmt: skip
    shown = [(what, str(number), where, str(number * times)) for what, number, where, times in rows]
    return _table(("what", "cases", "each in", "tests"), *shown)


def collaborators() -> str:
    """Return what a failing collaborator of a poller affects, and a line that counts what is in it."""
    cells = [row.cell(kind, moment) for row in ROWS for kind in Kind for moment in Moment]
    impossible = sum(isinstance(cell, Impossible) for cell in cells)
    rows = [(row.collaborator.value, row.scope.value, *(_cell(row, kind) for kind in Kind)) for row in ROWS]
    return (
        f"{_table(('collaborator', 'affects at most', *(kind.value for kind in Kind)), *rows)}\n\n"
        f"{len(ROWS)} collaborators, {len(Kind)} faults, {len(Moment)} moments: {len(cells)} cells, of which "
        f"{len(cells) - impossible} are a test each, and {impossible} say why they can't be one."
    )


def _cell(row: Row, kind: Kind) -> str:
    by_moment = {moment: str(row.cell(kind, moment)) for moment in Moment}
    if len(set(by_moment.values())) == 1:
        return by_moment[Moment.START]
    return "; ".join(f"{moment.title}: {text}" for moment, text in by_moment.items())


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "faults": ("reliability.md", faults),
    "oddities": ("network.md", oddities),
    "ways to the service": ("network.md", routes),
    "cases on the wire": ("verification.md", counts),
    "collaborators": ("verification.md", collaborators),
}
"""By their names in the page, each with its page."""


def with_table(page: str, name: str) -> str:
    """Return a page with the table of today between its two markers.

    :raises ValueError: a marker is missing
    """
    begin, end = f"<!-- Table of {name}: written by tests/support/tables.py -->", f"<!-- End of {name} -->"
    before, found, after = page.partition(begin)
    _, closed, rest = after.partition(end)
    if not (found and closed):
        raise ValueError(f"the page must have {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{TABLES[name][1]()}\n\n{end}{rest}"


if __name__ == "__main__":
    for name, (page, _) in TABLES.items():
        (DOCS / page).write_text(with_table((DOCS / page).read_text(encoding="utf-8"), name), encoding="utf-8")
