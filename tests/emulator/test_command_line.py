# SPDX-License-Identifier: Apache-2.0
"""The emulator as a process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest
import requests

from airflow_provider_trim.emulator.__main__ import main
from tests.support.servers import RawServer

PATH = "/vod/videoManage/videoClipQuery"
SUBMIT_PATH = "/vod/videoManage/videoClip"


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the emulator; yield its process and the URL that it printed."""
    command_line = [sys.executable, "-m", "airflow_provider_trim.emulator", "--port", "0", *arguments]
    process = subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Trim emulator on (http://127\.0\.0\.1:\d+) \(user (\S+)\)\n", line)
        assert found, line
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def query(url: str, trans_no: str, user: str = "emulator", token: str = "emulator-token") -> requests.Response:
    data = {"userId": user, "token": token, "timeStamp": "1", "transNo": trans_no}
    return requests.post(url + PATH, data=data, timeout=60)


def test_serves_the_given_trims_and_prints_a_line_per_call() -> None:
    arguments = ["--user", "me", "--token", "s3cret", "--duration", "0"]
    arguments += ["--trim", "done", "--trim", "slow:3600", "--trim", "bad:0:fail"]
    with command(*arguments) as (process, url):
        statuses = [
            query(url, trans_no, "me", "s3cret").json()["data"]["status"] for trans_no in ("done", "slow", "bad")
        ]
        assert statuses == [2, 1, 3]
        assert query(url, "\x1b[2J", "me", "s3cret").json()["code"] == 1603
        assert query(url, "done", "me", "wrong").status_code == 401
        assert requests.get(url + "/elsewhere").status_code == 404
        clip = {"videoId": "V", "seekStart": 0, "duration": 9, "filename": "f", "userId": "me", "token": "s3cret"}
        for _ in range(2):
            requests.post(url + SUBMIT_PATH, data={**clip, "transNo": "new", "timeStamp": "1"}, timeout=60)
        assert requests.get(url + SUBMIT_PATH).status_code == 401
        assert query(url, "new", "me", "s3cret").json()["data"]["videoInfo"]["videoDuration"] == "9"
        code, out, err = end(process, signal.SIGTERM)
    assert (code, err) == (0, "")
    assert "s3cret" not in out
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in out.splitlines()]
    assert lines == [
        "POST 'done': successful",
        "POST 'slow': processing",
        "POST 'bad': failed",
        "POST '\\x1b[2J': code 1603 (HTTP 200)",
        "POST 'done': code 401 (HTTP 401)",
        "GET None: HTTP 404",
        "POST 'new': submitted",
        "POST 'new': submission, code 1604 (HTTP 200)",
        "GET None: submission, code 401 (HTTP 401)",
        "POST 'new': successful",
    ]


def test_a_trim_begins_with_its_first_poll() -> None:
    with command("--trim", "t1:0.2") as (_, url):
        first = query(url, "t1").json()["data"]
        assert first["status"] == 1
        while (later := query(url, "t1").json()["data"])["status"] == 1:
            pass
        assert later["status"] == 2


def test_quiet_prints_no_line_per_call_and_ctrl_c_ends_it_cleanly() -> None:
    with command("--quiet") as (process, url):
        assert query(url, "t1").json()["code"] == 1603
        assert end(process, signal.SIGINT) == (0, "", "")


def test_it_serves_on_if_its_lines_cannot_be_written() -> None:
    with command() as (process, url):
        assert process.stdout is not None
        process.stdout.close()
        for _ in range(2):
            assert query(url, "t1").json()["code"] == 1603
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.stdout = None  # for communicate()


def query_with_api_key(url: str, trans_no: str, user: str, key: str) -> requests.Response:
    date = formatdate(usegmt=True)
    password = base64.b64encode(hmac.digest(key.encode(), date.encode(), hashlib.sha1)).decode()
    headers = {"Date": date, "x-cnc-auth-method": "BASIC"}
    return requests.post(url + PATH, json={"transNo": trans_no}, headers=headers, auth=(user, password), timeout=60)


def test_default_scheme_is_the_token() -> None:
    with command("--trim", "done:0") as (_, url):
        assert query(url, "done").json()["code"] == 200
        assert query_with_api_key(url, "done", "emulator", "emulator-token").status_code == 401


def test_other_schemes_use_the_same_options_for_credentials() -> None:
    arguments = ["--auth", "api-key", "--user", "u", "--token", "k3y-of-u", "--trim", "done:0"]
    with command(*arguments) as (process, url):
        response = query_with_api_key(url, "done", "u", "k3y-of-u")
        assert (response.status_code, response.json()["code"], response.json()["data"]["status"]) == (200, 200, 2)
        assert query_with_api_key(url, "done", "u", "another").status_code == 401
        assert query(url, "done", "u", "k3y-of-u").status_code == 401
        code, out, err = end(process, signal.SIGTERM)
    assert (code, err) == (0, "")
    assert "k3y-of-u" not in out


def test_port_in_use_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cannot listen: ")
    assert "in use" in err
    assert str(port) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "seven"], "must be an integer from 0 to 65535, not 'seven'"),
        (["--port", "65536"], "must be an integer from 0 to 65535, not '65536'"),
        (["--auth", "basic"], "argument --auth: invalid choice: 'basic'"),
        (["--auth", ""], "argument --auth: invalid choice: ''"),
        (["--user", ""], "argument --user: must not be empty"),
        (["--token", ""], "argument --token: must not be empty"),
        (["--duration", "-1"], "must be a number of seconds, 0 or more, not '-1'"),
        (["--duration", "inf"], "must be a number of seconds, 0 or more, not 'inf'"),
        (["--trim", ""], "TRANSNO of 1 to 32 characters, not ''"),
        (["--trim", "x" * 33], "TRANSNO of 1 to 32 characters"),
        (["--trim", "t:1:fail:now"], "must be TRANSNO[:SECONDS[:success|fail]]"),
        (["--trim", "t:soon"], "must be a number of seconds, 0 or more, not 'soon'"),
        (["--trim", "t:1:maybe"], "outcome must be success or fail, not 'maybe'"),
        (["--trim", "t", "--trim", "t"], "trim 't' exists already"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_arguments_are_explained(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_the_schemes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # no line breaks at hyphens
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "token, ws3-hmac-sha256, cnc-hmac-sha256, api-key (default: token)" in capsys.readouterr().out


def test_help_names_the_default_port(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "8766" in capsys.readouterr().out


def test_prints_a_line_per_callback() -> None:
    with RawServer(b"HTTP/1.1 204 No Content\r\n\r\n") as listener, command("--duration", "0") as (process, url):
        clip = {"videoId": "V1", "seekStart": 30, "duration": 12, "filename": "goal", "transNo": "t1"}
        proof = {"userId": "emulator", "token": "emulator-token", "timeStamp": "1"}
        address = f"http://{listener.address}/done"
        requests.post(url + SUBMIT_PATH, data={**clip, **proof, "notifyUrl": address}, timeout=60)
        assert process.stdout is not None
        lines = sorted(process.stdout.readline()[9:] for _ in range(2))
    assert lines == ["POST 't1': submitted\n", "callback 't1': HTTP 204\n"]
