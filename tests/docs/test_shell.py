# SPDX-License-Identifier: Apache-2.0
"""The shell on the pages, run from top to bottom in an empty folder, as a reader does.

Not run, but checked to be there: make's targets, single tests, and what asks a package index. Python whose
first line says where it is to be saved is saved there; pages without a DAG of their own have the examples. The page
for beginners has a test of its own, ``test_start.py``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trim.hooks.trim import TrimApiHook
from tests.support.live_airflow import free_port
from tests.support.pages import PAGES, ROOT, blocks, name_of

SCRIPTS = {page: [block for block in blocks(page) if block.language == "bash"] for page in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
ELSEWHERE = re.compile(
    r"(kubectl|python3\S* -m venv|\. \S+/activate|\.venv/bin/|pip|make|git|\S+ airflow connections test|"
    r"airflow standalone)\b"
)
"""What is not run here."""

TESTED = ("cli.md", "testing.md")
"""Pages of many commands, each of which has tests of its own: test_cli.py, test_pytest_plugin.py."""


def connections_of(environment: Path) -> dict[str, str]:
    """Return the connections of a process's environment, which ``env -0`` has written."""
    variables = (line.partition("=") for line in environment.read_text(encoding="utf-8").split("\0"))
    return {name: value for name, _, value in variables if name.startswith("AIRFLOW_CONN_")}


def script_of(page: Path) -> str:
    """What is run of a page's shell, the emulator in the background and on a free port; empty if nothing is."""
    port = str(free_port())
    text = "\n".join(block.text for block in SCRIPTS[page]).replace("8766", port)
    lines = [line for line in text.splitlines() if line.strip() and not ELSEWHERE.match(line)]
    for index, line in enumerate(lines):
        if line.startswith("trim-emulator "):
            command = line.partition("#")[0].strip().removesuffix("&")
            lines[index] = f"{command} --port {port} & trap 'kill $!' EXIT"
    return "\n".join(["set -euo pipefail", *lines, "env -0 > environment"] if lines else [])


def save_files(page: Path, project: Path) -> None:
    for block in blocks(page):
        if block.file and block.file != "conftest.py":
            (project / block.file).parent.mkdir(parents=True, exist_ok=True)
            (project / block.file).write_text(block.text, encoding="utf-8")
    if not (project / "dags").exists():
        shutil.copytree(ROOT / "example_dags", project / "dags", ignore=shutil.ignore_patterns("__pycache__"))


def copy_database(home: Path) -> None:
    """Give a page the test run's database, which it may change."""
    home.mkdir()
    with (
        contextlib.closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as ours,
        contextlib.closing(sqlite3.connect(home / "airflow.db")) as copy,
    ):
        ours.backup(copy)


def pages() -> Iterator[Any]:
    for page in PAGES:
        if page.name != "start.md" and script_of(page):
            yield pytest.param(page, id=name_of(page), marks=[pytest.mark.full] * (page.name in TESTED))


@pytest.mark.parametrize("page", pages())
def test_shell(page: Path, airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_files(page, tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["AIRFLOW_HOME"] = str(tmp_path / "home")
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__UNIT_TEST_MODE"):
        del environment[name]  # so that a page may have a home of its own
    copy_database(tmp_path / "home")
    done = subprocess.run(
        ["bash", "-c", script_of(page)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1800
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    for shown in (block for block in blocks(page) if block.language == "text"):
        for line in shown.text.splitlines():
            assert line in output
    for name, value in connections_of(tmp_path / "environment").items():
        monkeypatch.setenv(name, value)
        assert TrimApiHook(name.removeprefix("AIRFLOW_CONN_").lower()).settings.base_url


@pytest.mark.parametrize("page", [page for page in PAGES if SCRIPTS[page]], ids=name_of)
def test_files_of_commands_that_are_not_run_exist(page: Path) -> None:
    for block in SCRIPTS[page]:
        for target in re.findall(r"^make ([\w.-]+)", block.text, re.MULTILINE):
            assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"make {target}"
        for path in re.findall(r"\btests/[\w/.]+", block.text):
            assert (ROOT / path).exists(), path
        for extra in re.findall(r"airflow-provider-trim\[(\w+)\]", block.text):
            assert extra in EXTRAS
