# SPDX-License-Identifier: Apache-2.0
"""Run the benchmarks and write what they found as a page, every figure beside its bar.

A bar that is missed is reported, and no error; a benchmark that breaks is one.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

from environment import HERE, machine, versions
from report import Report, bar_table, table

ROOT = HERE.parent.parent
NAMES = ("policy", "shared_quota", "triggerer", "load", "synchronous", "imports", "many")


def run_benchmark(name: str, quick: bool) -> Report | None:
    """Run one benchmark; where it breaks, say why and return None."""
    print(f"{name} …", flush=True)
    begin = time.monotonic()
    try:
        report = _report(importlib.import_module(name), quick)
    except Exception:
        traceback.print_exc()
        return None
    print(f"  done in {time.monotonic() - begin:.0f} s", flush=True)
    return report


def _report(module: ModuleType, quick: bool) -> Report:
    if hasattr(module, "benchmark"):
        return module.benchmark(quick)
    found = module.main(quick)  # the simulation, which may just as well write its own page
    return found if isinstance(found, Report) else Report(module.__name__.capitalize(), str(found or ""))


def page(reports: list[Report], quick: bool, load: float, seconds: float) -> str:
    """Return the page."""
    bars = [bar for report in reports for bar in report.bars]
    parts = [
        "<!-- Written by tests/benchmarks/run.py; changes here get lost. -->",
        "# Benchmarks",
        "**A quick run, to try the benchmarks out: its figures mean little.**" if quick else "",
        f"`python tests/benchmarks/run.py{' --quick' if quick else ''}`, {seconds / 60:.0f} minutes. Peers and floors "
        "are measured beside us in the same run: ratios travel from machine to machine, absolute figures do not.",
        f"Machine: {machine()}; load average before the run {load:.1f}.",
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
    parser.add_argument("--only", choices=NAMES, nargs="+", help="only these; printed, not written")
    arguments = parser.parse_args()
    names = arguments.only or [name for name in NAMES if importlib.util.find_spec(name)]
    load, begin = os.getloadavg()[0], time.monotonic()
    results = [run_benchmark(name, arguments.quick) for name in names]
    reports = [report for report in results if report is not None]
    text = page(reports, arguments.quick, load, time.monotonic() - begin)
    if arguments.only:
        print(text)
    elif len(reports) == len(results):
        write(ROOT / ("build/benchmarks" if arguments.quick else "docs/benchmarks"), text, reports)
    return 0 if len(reports) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
