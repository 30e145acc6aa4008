# SPDX-License-Identifier: Apache-2.0
"""``trim`` on the command line, with the emulator as the service."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_trim.cli import main
from airflow_provider_trim.emulator import HttpError, TrimEmulator

NAME = "[red]not markup[/red]\x1b[2J"
SUBMISSION = ("source", "--seek-start", "00:10", "--duration", "20", "--filename", "goal", "--suffix", "mp4")


@pytest.fixture(autouse=True)
def service(trim_default: TrimEmulator) -> Iterator[TrimEmulator]:
    trim_default.add_trim("done", seconds=0)
    trim_default.add_trim("processing", seconds=3600)
    trim_default.add_trim("failed", seconds=0, outcome="fail")
    yield trim_default
    logging.disable(logging.NOTSET)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_status_of_several(service: TrimEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "done", "processing", "failed", "unknown", "--json"]) == 1
    rows = lines(capsys)
    assert [row["status"] for row in rows] == ["successful", "processing", "failed", "failed"]
    assert rows[0]["videoInfo"] == service.video_info("done")
    assert rows[3]["code"] == 1603


@pytest.mark.parametrize(("trans_no", "code"), [("done", 0), ("failed", 1), ("processing", 3)])
def test_exit_codes(trans_no: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", trans_no]) == code
    assert trans_no in capsys.readouterr().out


def test_wait(service: TrimEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    service.add_trim("soon", seconds=0.05, start_on_first_poll=True)
    assert main(["wait", "soon", "done", "--poll-interval", "0.1", "--json"]) == 0
    assert [row["transNo"] for row in lines(capsys)] == ["soon", "done"]


def test_wait_that_times_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wait", "processing", "--timeout", "0.1", "--poll-interval", "0.05", "--json"]) == 3
    assert lines(capsys) == [{"transNo": "processing", "status": "processing"}]


def test_submit(service: TrimEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *SUBMISSION, "--trans-no", "mine"]) == 0
    assert capsys.readouterr().out == "mine\n"
    assert [call.trans_no for call in service.calls] == ["mine"]


def test_submit_and_wait(service: TrimEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    service.duration = 0
    assert main(["submit", *SUBMISSION, "--wait", "--json"]) == 0
    (row,) = lines(capsys)
    assert row["status"] == "successful"


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
def test_wrong_arguments(service: TrimEmulator, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: trim" in capsys.readouterr().err
    assert not service.calls


def test_a_wrong_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "source", "--seek-start", "x", "--duration", "1", "--filename", "f"]) == 1
    assert "seek_start" in capsys.readouterr().err


def test_an_unknown_connection_is_named(capsys: pytest.CaptureFixture[str], airflow_db: None) -> None:
    assert main(["status", "done", "--conn-id", "elsewhere", "--json"]) == 1
    assert "elsewhere" in str(lines(capsys))


def test_text_of_the_service_commands_no_terminal(service: TrimEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    service.add_trim("named", seconds=0, video_info={"videoName": NAME})
    main(["status", "named"])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]" in shown


def test_an_outage_is_reported(service: TrimEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    service.misbehave("done", HttpError(401), repeat=True)
    assert main(["status", "done", "--json"]) == 1
    assert "401" in str(lines(capsys))


def test_the_command_prints_nothing_else(service: TrimEmulator) -> None:
    """None of Airflow's own log lines: scripts read what it prints."""
    command = [Path(sys.executable).parent / "trim", "status", "done", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "AIRFLOW__CORE__UNIT_TEST_MODE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["status"] == "successful"
