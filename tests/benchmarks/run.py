# SPDX-License-Identifier: Apache-2.0
"""Run the benchmarks and write the results as a page, every figure with its bar.

A bar that is missed is reported, and no error; a benchmark that breaks is one.
"""

from __future__ import annotations

import argparse
import importlib
import pickle
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from environment import HERE, machine, versions
from report import Report, bar_table, table

ROOT = HERE.parent.parent
KEPT = ROOT / "build" / "benchmarks" / "kept"
"""The last report of each benchmark, so that one of them can be run again for the page."""
NAMES = (
    "policy",
    "bursts",
    "callbacks",
    "shared_quota",
    "triggerer",
    "load",
    "synchronous",
    "imports",
    "many",
    "workers",
    "scale",
)


def run_benchmark(name: str, quick: bool) -> Report | None:
    """Run one benchmark; where it breaks, say why and return None."""
    print(f"{name} …", flush=True)
    begin = time.monotonic()
    try:
        report: Report = importlib.import_module(name).benchmark(quick)
    except Exception:
        traceback.print_exc()
        return None
    seconds = time.monotonic() - begin
    print(f"  done in {seconds:.0f} s", flush=True)
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    report.text = f"{report.text.strip()}\n\nMeasured on {when} in {seconds / 60:.0f} minutes."
    if not quick:
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / name).write_bytes(pickle.dumps(report))
    return report


def kept_report(name: str) -> Report | None:
    """Return the report of an earlier run, if there is one."""
    file = KEPT / name
    return pickle.loads(file.read_bytes()) if file.exists() else None


def page(reports: list[Report], quick: bool) -> str:
    """Return the page."""
    bars = [bar for report in reports for bar in report.bars]
    parts = [
        "<!-- Written by tests/benchmarks/run.py; changes here get lost. -->",
        "# Benchmarks",
        "**A quick run, to try the benchmarks out: its figures mean little.**" if quick else "",
        f"`python tests/benchmarks/run.py{' --quick' if quick else ''}`, on a quiet machine. Peers and floors are "
        "measured in the same run: ratios travel from machine to machine, absolute figures do not.",
        f"Machine: {machine()}.",
        table(("", "version"), [[name, version] for name, version in versions().items()]),
        "## Figures and their bars",
        f"{sum(bar.met for bar in bars)} of {len(bars)} are met.",
        bar_table(bars),
        *(report.markdown() for report in reports),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(folder: Path, text: str, reports: list[Report]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for report in reports:
        report.write_plots(folder)
    (folder / "README.md").write_text(text, encoding="utf-8")
    print(f"written: {folder / 'README.md'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything; written into build/benchmarks")
    parser.add_argument("--only", choices=NAMES, nargs="+", help="only these; the page keeps the others' last reports")
    arguments = parser.parse_args()
    names = arguments.only or NAMES
    reports = {name: run_benchmark(name, arguments.quick) for name in names}
    if None in reports.values():
        return 1
    if not arguments.quick:
        reports = {name: reports.get(name) or kept_report(name) for name in NAMES}
    found = [report for report in reports.values() if report is not None]
    if arguments.only and len(found) < len(NAMES):
        print(page(found, arguments.quick))
    else:
        write(
            ROOT / ("build/benchmarks" if arguments.quick else "docs/benchmarks"), page(found, arguments.quick), found
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
