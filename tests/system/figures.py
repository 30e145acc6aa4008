# SPDX-License-Identifier: Apache-2.0
"""What a run says on its way, and the table of its figures."""

from __future__ import annotations

import bisect
import time
from pathlib import Path

from airflow_provider_trim.emulator import Call

TABLE = Path(__file__).parents[2] / "build" / "system" / "figures.md"

_started = time.monotonic()
_rows: list[tuple[str, str, str]] = []


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"  {time.monotonic() - _started:5.0f} s  {text}", flush=True)


def note(scenario: str, what: str, figure: str) -> None:
    """Keep a figure for the table."""
    say(f"{what}: {figure}")
    _rows.append((scenario, what, figure))


def table() -> str:
    """Return all figures as Markdown."""
    rows = [f"| {' | '.join(row)} |" for row in [("scenario", "what", "figure"), ("---",) * 3, *_rows]]
    return "\n".join(rows) + "\n"


def write() -> None:
    """Write the table to :data:`TABLE`, and print it."""
    if _rows:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text(table(), encoding="utf-8")
        print(f"\n\n{table()}", flush=True)


def most_in_any(calls: list[Call], seconds: float) -> int:
    """Return how many calls arrived at most in a window of a number of seconds, wherever it begins."""
    times = sorted(call.time for call in calls)
    return max((bisect.bisect_left(times, start + seconds) - index for index, start in enumerate(times)), default=0)
