# SPDX-License-Identifier: Apache-2.0
"""docs/start.md as printed, in an empty folder and an environment of its own, up to the emulator's end.

Other than on the page: the package is this checkout and its dependencies are those of the tests' environment, the
emulator has a free port, and the web UI is left out; tests/ui has it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.live_airflow import HOST, clean_environment, free_port
from tests.support.pages import ROOT, blocks

PAGE = ROOT / "docs" / "start.md"
LIMIT = 900.0
"""Seconds after which it hangs."""

STANDINS = r"""
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
pip() {
    test "$*" = "install airflow-provider-trim"
    echo "$DEPENDENCIES" > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dependencies.pth"
    command pip install -q --no-index --no-deps --no-build-isolation "$CHECKOUT"
}
airflow() { if test "$1" != standalone; then python -m airflow "$@"; fi; }
trim-emulator() { exec "$(type -P trim-emulator)" --port "$PORT" "$@"; }
"""
"""What the page's commands are in the test. The emulator's takes the place of the shell that is in the background."""


def script() -> str:
    """The page's shell, in one piece, as it is typed into one terminal."""
    shell = "\n".join(block.text for block in blocks(PAGE) if block.language == "bash")
    pythons = set(re.findall(r"^python[\d.]*(?= )", shell, re.MULTILINE))
    return "\n".join([STANDINS, *(f'{name}() {{ "$BASE_PYTHON" "$@"; }}' for name in pythons), shell, "wait"])


def run(folder: Path, port: int) -> tuple[int, str]:
    """Return the exit code, and what the terminal showed."""
    environment = clean_environment() | {
        "BASE_PYTHON": os.path.realpath(sys.executable),
        "CHECKOUT": str(ROOT),
        "DEPENDENCIES": sysconfig.get_path("purelib"),
        "PORT": str(port),
        "NO_PROXY": "*",
    }
    process = subprocess.Popen(
        ["bash", "-c", script().replace("8766", str(port))],
        cwd=folder,
        env={name: value for name, value in environment.items() if not name.startswith("COVERAGE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


def test_the_page_as_printed(tmp_path: Path) -> None:
    for block in blocks(PAGE):
        if block.file:
            (tmp_path / block.file).parent.mkdir(exist_ok=True)
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    port = free_port()
    code, output = run(tmp_path, port)
    assert code == 0, output[-5000:]
    for shown in (block for block in blocks(PAGE) if block.language == "text"):
        for line in shown.text.splitlines():
            assert line in output, output[-5000:]
    assert "POST 'clip-1': processing" in output, "it has been deferred"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port)).close()


def test_its_steps_are_numbered_without_a_gap() -> None:
    numbers = re.findall(r"^## (\d+)\. ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))
