# SPDX-License-Identifier: Apache-2.0
"""The fixtures for users, in a pytest of its own that finds them as an installed package's."""

from __future__ import annotations

import importlib.metadata
import os

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.hooks.trim import TrimApiHook  # Airflow can't be imported again after a nested run
from tests.support.nested import run_nested


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose pytest has the plugins that are installed, and none of this project's settings."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider")
    return pytester


def test_a_wait_against_the_emulator(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import os, urllib.request
        from airflow_provider_trim.hooks.trim import TrimApiHook

        def test_hook(trim_connection, trim_emulator):
            trim_emulator.add_trim("clip-1", seconds=0)
            with TrimApiHook(trim_connection) as hook:
                assert hook.test_connection()[0]
                assert hook.get_task("clip-1").raw["videoInfo"] == trim_emulator.video_info("clip-1")

        def test_the_next_one_gets_an_emulator_of_its_own(trim_emulator):
            assert not trim_emulator.calls

        def test_nothing_is_left_of_it():
            assert "AIRFLOW_CONN_TRIM_DEFAULT" not in os.environ
        """
    )
    run_nested(project).assert_outcomes(passed=3)


def test_an_emulator_of_the_projects_own(project: pytest.Pytester) -> None:
    """The connection follows an overridden emulator in whatever decides whether a call is accepted."""
    project.makeconftest(
        """
        import pytest
        from airflow_provider_trim.emulator import TrimEmulator

        OPTIONS = [
            {"auth": "cnc-hmac-sha256", "user": "key", "token": "secret"},
            {"auth": "ws3-hmac-sha256", "required_parameters": {"format": "json"}},
            {"auth": "api-key", "required_parameters": {"format": "json", "n": 1}},
            {"token_header": "X-Token", "required_parameters": {"timeStamp": "1516182478"}},
            {"host": "0.0.0.0"},
            {"host": "::1"},
        ]

        @pytest.fixture(params=OPTIONS, ids=str)
        def trim_emulator(request):
            with TrimEmulator(**request.param) as emulator:
                yield emulator
        """
    )
    project.makepyfile(
        """
        from airflow_provider_trim.hooks.trim import TrimApiHook

        def test_hook(trim_connection, trim_emulator):
            with TrimApiHook(trim_connection) as hook:
                assert hook.test_connection()[0]
                assert hook.settings.token_header == trim_emulator.token_header
        """
    )
    run_nested(project).assert_outcomes(passed=6)


def test_a_proxy_of_the_environment_is_passed_by(
    trim_emulator: TrimEmulator, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with TrimApiHook(request.getfixturevalue("trim_connection")) as hook:
        assert hook.test_connection()[0]
    assert os.environ["no_proxy"].split(",") == ["intranet.example", trim_emulator.host]


def test_a_session_that_uses_no_fixture_loads_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        def test_modules():
            assert "airflow_provider_trim.pytest_plugin" in sys.modules
            assert not {"airflow", "aiohttp", "requests", "airflow_provider_trim.emulator"} & sys.modules.keys()
        """
    )
    installed = {point.name for point in importlib.metadata.entry_points(group="pytest11")}
    without = [argument for name in installed - {"trim"} for argument in ("-p", f"no:{name}")]
    project.runpytest_subprocess(*without).assert_outcomes(passed=1)


def test_the_fixtures_say_what_they_are_for(project: pytest.Pytester) -> None:
    listed = run_nested(project, "--fixtures").stdout.str()
    assert "trim_emulator" in listed
    assert "The id of a connection" in listed
