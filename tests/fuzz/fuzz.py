# SPDX-License-Identifier: Apache-2.0
"""Fuzz the targets, guided by coverage; what is found lies in build/fuzz/findings/ afterwards.

Each target runs in a process of its own. Inputs that led to something new are kept in build/fuzz/corpus/
and, with what was found before, are what the next run begins with.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import os
import re
import resource
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "fuzz"
MAX_INPUT = 4096
SLOWEST_INPUT = 60
"""Seconds that one input may take, however busy the machine is; the CPU time that it takes has a bound of its own."""


class Outcome(NamedTuple):
    target: str
    executions: int
    findings: list[Path]
    broken: bool


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (600)")
    parser.add_argument("--target", help="only this one")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at a time (as many as there are cores)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        fuzz(options.target, options.seconds)
    from targets import TARGETS

    if options.target not in (None, *TARGETS):
        parser.error(f"targets are {', '.join(TARGETS)}")
    names = [options.target] if options.target else list(TARGETS)
    processes = min(options.processes, len(names))
    share = max(1, options.seconds * processes // len(names))
    print(f"Fuzzing {len(names)} targets for {share} s each, {processes} at a time …", flush=True)
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        outcomes = list(pool.map(lambda name: _run(name, share), names))
    print(f"\n{'target':24}{'executions':>12}{'findings':>10}")
    for outcome in outcomes:
        print(f"{outcome.target:24}{outcome.executions:12,}{len(outcome.findings):10}")
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    executions, seconds = sum(outcome.executions for outcome in outcomes), cpu.ru_utime + cpu.ru_stime
    print(f"\n{executions:,} executions in {seconds:,.0f} s of CPU time")
    for outcome in outcomes:
        for path in outcome.findings:
            print(f"\n{path.relative_to(ROOT)}\n{_what_happened(path)}")
        if outcome.broken:
            print(f"\n{outcome.target} broke off; see {(FOLDER / outcome.target).relative_to(ROOT)}.log")
    return int(any(outcome.findings or outcome.broken for outcome in outcomes))


def _run(name: str, seconds: int) -> Outcome:
    """One target in a process of its own."""
    from seeds import SEEDS

    corpus, found = FOLDER / "corpus" / name, FOLDER / "findings" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS[name]:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    for before in found.iterdir():
        if before.suffix == ".txt":
            before.unlink()
        else:
            before.rename(corpus / before.name)
    command = [sys.executable, __file__, "--here", "--target", name, "--seconds", str(seconds)]
    with (FOLDER / f"{name}.log").open("w") as log:
        ended = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False)
    text = (FOLDER / f"{name}.log").read_text(errors="replace")
    counts = re.findall(r"^#(\d+)\s|number_of_executed_units:\s*(\d+)", text, re.MULTILINE)
    executions = max((int(early or last) for early, last in counts), default=0)
    findings = sorted(path for path in found.iterdir() if path.suffix != ".txt")
    return Outcome(name, executions, findings, ended.returncode != 0 and not findings)


def _what_happened(path: Path) -> str:
    story = path.with_suffix(".txt")
    return story.read_text() if story.exists() else "See its target's log."


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which then ends."""
    import atheris

    with atheris.instrument_imports(include=["airflow_provider_trim", "email", "targets", "cost", "journey"]):
        from targets import TARGETS, WORDS
    target, found = TARGETS[name], FOLDER / "findings" / name
    seen: set[str] = set()

    def one_input(data: bytes) -> None:
        # A finding is noted, and the search goes on: behind one that is shallow there may be others.
        try:
            target(data)
        except Exception as error:
            where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            key = hashlib.sha1(f"{type(error)} {where}".encode()).hexdigest()[:12]
            if key not in seen:
                seen.add(key)
                (found / key).write_bytes(data)
                (found / f"{key}.txt").write_text(traceback.format_exc(), errors="backslashreplace")

    dictionary = FOLDER / f"{name}.dict"
    words = {word.encode("utf-8", "replace") for word in WORDS.get(name, ()) if word}
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in sorted(words)))
    options = {
        "max_total_time": seconds,
        "max_len": MAX_INPUT,
        "timeout": SLOWEST_INPUT,
        "report_slow_units": SLOWEST_INPUT,
        "rss_limit_mb": 2048,
        "artifact_prefix": f"{found}/",
        "dict": dictionary,
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(FOLDER / "corpus" / name)], one_input)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
