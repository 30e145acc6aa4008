# SPDX-License-Identifier: Apache-2.0
"""``trim`` on the command line, with the emulator as the service."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_trim.cli import main
from airflow_provider_trim.emulator import HttpError, TrimEmulator

NAME = "[red]not markup[/red]\x1b[2J"
SUBMISSION = ("source", "--seek-start", "00:10", "--duration", "20", "--filename", "goal", "--suffix", "mp4")


@pytest.fixture(autouse=True)
def service(trim_default: TrimEmulator) -> TrimEmulator:
    trim_default.add_trim("done", seconds=0)
    trim_default.add_trim("processing", seconds=3600)
    trim_default.add_trim("failed", seconds=0, outcome="fail")
    return trim_default


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What is printed; not what Airflow logs to pytest's own output if these tests are the first to import it."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]


def test_status_of_several(service: TrimEmulator, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "done", "processing", "failed", "unknown", "--json"]) == 1
    rows = lines(capfd)
    assert [row["status"] for row in rows] == ["successful", "processing", "failed", "unknown"]
    assert rows[0]["videoInfo"] == service.video_info("done")
    assert rows[3]["code"] == 1603


@pytest.mark.parametrize(("trans_no", "code"), [("done", 0), ("failed", 1), ("processing", 3)])
def test_exit_codes(trans_no: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", trans_no]) == code
    assert trans_no in capfd.readouterr().out


def test_wait(service: TrimEmulator, capfd: pytest.CaptureFixture[str]) -> None:
    service.add_trim("soon", seconds=0.05, start_on_first_poll=True)
    assert main(["wait", "soon", "done", "--poll-interval", "0.1", "--json"]) == 0
    assert [row["transNo"] for row in lines(capfd)] == ["soon", "done"]


def test_wait_that_times_out(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["wait", "processing", "--timeout", "0.1", "--poll-interval", "0.05", "--json"]) == 3
    assert lines(capfd) == [{"transNo": "processing", "status": "processing"}]


def test_a_wait_without_a_response_does_not_say_processing(
    service: TrimEmulator, capfd: pytest.CaptureFixture[str]
) -> None:
    service.misbehave("processing", HttpError(503), repeat=True)
    assert main(["wait", "processing", "--timeout", "0.1", "--poll-interval", "0.05", "--json"]) == 1
    (row,) = lines(capfd)
    assert row["status"] == "unknown"
    assert "503" in str(row["error"])


def test_submit(service: TrimEmulator, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *SUBMISSION, "--trans-no", "mine"]) == 0
    assert capfd.readouterr().out == "mine\n"
    assert [call.trans_no for call in service.calls] == ["mine"]


def test_submit_and_wait(service: TrimEmulator, capfd: pytest.CaptureFixture[str]) -> None:
    service.duration = 0
    assert main(["submit", *SUBMISSION, "--wait", "--json"]) == 0
    (row,) = lines(capfd)
    assert row["status"] == "successful"


def test_a_submission_that_is_waited_for_names_its_trans_no_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *SUBMISSION, "--wait", "--timeout", "0.1", "--poll-interval", "0.05"]) == 3
    assert re.search(r"submitted, transNo [0-9a-f]{32}\n", capfd.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("status",),
        ("status", "x" * 33),
        ("wait", "done", "--timeout", "soon"),
        ("submit", "source", "--duration", "20"),
    ],
    ids=" ".join,
)
def test_wrong_arguments(service: TrimEmulator, arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: trim" in capfd.readouterr().err
    assert not service.calls


def test_a_wrong_value_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "source", "--seek-start", "x", "--duration", "1", "--filename", "f"]) == 2
    assert "seek_start" in capfd.readouterr().err


def test_a_timeout_without_a_wait(service: TrimEmulator, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *SUBMISSION, "--timeout", "5"]) == 2
    assert "--wait" in capfd.readouterr().err
    assert not service.calls


def test_an_unknown_connection_is_named(capfd: pytest.CaptureFixture[str], airflow_db: None) -> None:
    assert main(["status", "done", "--conn-id", "elsewhere", "--json"]) == 1
    assert "elsewhere" in str(lines(capfd))


HELP = """
import sys
from airflow_provider_trim.cli import main
try:
    main(["--help"])
finally:
    print("airflow" in sys.modules)
"""


def test_help_does_not_import_airflow() -> None:
    said = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.startswith("usage: trim")
    assert said.endswith("\nFalse\n")


def test_the_end_of_a_long_error_is_shown(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """There it says what to do."""
    monkeypatch.setenv("AIRFLOW_CONN_QUOTED", '"trim://me:geheim@host"')
    assert main(["status", " done ", "--conn-id", "quoted"]) == 1
    words = " ".join(capfd.readouterr().out.replace("│", " ").split())
    assert "remove" in words
    assert "around it" in words
    assert "geheim" not in words


def test_texts_are_neither_markup_nor_commands(service: TrimEmulator, capfd: pytest.CaptureFixture[str]) -> None:
    service.add_trim("[b]t[/b]", seconds=0, video_info={"videoName": NAME})
    main(["status", "[b]t[/b]"])
    shown = capfd.readouterr().out
    assert "\x1b" not in shown
    assert "[b]t[/b]" in shown
    assert "[red]" in shown


def command(*arguments: str, redirect: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command by a shell, which reports the exit code of the first one that fails in a pipe."""
    environment = {name: value for name, value in os.environ.items() if name != "AIRFLOW__CORE__UNIT_TEST_MODE"}
    line = f"{shlex.join([str(Path(sys.executable).parent / 'trim'), *arguments])} {redirect}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment, capture_output=True, text=True, check=False
    )


def test_an_outage_is_not_a_failed_trim(service: TrimEmulator) -> None:
    service.misbehave("done", HttpError(503), HttpError(401), repeat=True)
    done = command("status", "done", "--json")
    assert done.returncode == 1
    row = json.loads(done.stdout)  # scripts read it, so no line of a log is there
    assert row["status"] == "unknown"
    assert "401" in row["error"]
    assert "retrying" in done.stderr


def test_the_command_prints_nothing_else(service: TrimEmulator) -> None:
    done = command("status", "done", "--json")
    assert json.loads(done.stdout)["status"] == "successful"


FULL = "trim: can't write to the standard output: No space left on device\n"
CLOSED = "trim: can't write to the standard output: Bad file descriptor\n"


@contextmanager
def unwritable(kind: str) -> Iterator[None]:
    """Have a standard output to which nothing can be written."""
    if kind == "full":
        broken = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, broken = os.pipe()
        os.close(reader)
    saved = os.dup(1)
    os.dup2(broken, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(broken)


@pytest.mark.parametrize(("kind", "code", "said"), [("full", 1, FULL), ("closed pipe", 141, "")])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_output_that_cannot_be_written(
    kind: str, code: int, said: str, options: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with unwritable(kind):
        assert main(["status", *["done"] * 20, *options]) == code  # more than is written at once
    assert capfd.readouterr().err == said


@pytest.mark.parametrize(("kind", "code", "said"), [("full", 1, FULL), ("closed pipe", 141, "")])
def test_a_submission_is_named_even_if_the_output_cannot_be_written(
    kind: str, code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with unwritable(kind):
        assert main(["submit", *SUBMISSION, "--trans-no", "mine"]) == code
    assert capfd.readouterr().err == f"trim: submitted, transNo mine\n{said}"


def test_nothing_is_submitted_if_its_trans_no_cannot_be_shown(
    service: TrimEmulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it after >&-
    assert main(["submit", *SUBMISSION]) == 1
    assert capfd.readouterr().err == CLOSED
    assert not service.calls


def test_the_interpreter_does_not_complain_of_what_is_left_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    done = command("--help", redirect="> /dev/full")
    assert (done.returncode, done.stderr) == (1, FULL)
    done = command("--help", redirect="| true")
    assert (done.returncode, done.stderr) == (141, "")


STREAMS = """
import os
from airflow_provider_trim.output import check_standard_streams, say
check_standard_streams()
say("lost")
print(os.path.samefile("/proc/self/fd/2", os.devnull))
"""


def test_what_is_said_on_a_closed_standard_error_goes_nowhere() -> None:
    line = f"{shlex.join([sys.executable, '-c', STREAMS])} 2>&-"
    assert subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout == "True\n"
