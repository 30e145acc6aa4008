# SPDX-License-Identifier: Apache-2.0
"""Every block of code in README and docs is run, against the emulator where it speaks to the service.

A page's Python is run from top to bottom, as its reader does, in one namespace, and the DAGs that it defines are run to
their end. JSON is a connection. Shell, and the tests that a page shows: ``test_shell.py``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.vod.schemes import GROUP
from tests.support.nested import run_nested
from tests.support.pages import PAGES, Block, blocks, name_of
from tests.support.running import AIRFLOW_3, run

SHOWN = {"", "text", "dockerfile"}
"""Languages of what is read and not run, such as output."""
RUN = {"python", "bash", "json", "toml", "yaml"}
TRANS_NOS = ("clip-1", "036b6f4a01611000a79c3a7800000000")
"""The trims there are when a page is run; they are done."""


def code_of(page: Path) -> list[Block]:
    """The Python of a page that neither is for pytest nor for another Airflow."""
    return [
        block
        for block in blocks(page)
        if block.language == "python"
        and not (block.file or "").startswith(("test_", "conftest"))
        and (AIRFLOW_3 or "airflow.sdk" not in block.text)
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if code_of(page)], ids=name_of)
def test_python(page: Path, trim_default: TrimEmulator, airflow_db: None) -> None:
    for trans_no in TRANS_NOS:
        trim_default.add_trim(trans_no, seconds=0)
    trim_default.duration = 0
    names: dict[str, Any] = {"__name__": "page"}
    for block in code_of(page):
        with DAG(dag_id="around", schedule=None):  # where a page shows a task alone
            exec(compile(block.text, str(block), "exec"), names)
        for dag in [names.pop(name) for name, value in list(names.items()) if isinstance(value, DAG)]:
            conf = {"trans_no": TRANS_NOS[0]} if "trans_no" in dag.params else {}
            assert run(dag, **conf).state == "success", block


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in blocks(page) if block.language == "json"], ids=str
)
def test_json(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OF_THE_PAGE", block.text)
    assert TrimApiHook("of_the_page").settings.base_url


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in blocks(page) if block.language == "yaml"], ids=str
)
def test_yaml(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for manifest in yaml.safe_load_all(block.text):
        if block.text.startswith("# values.yaml"):
            assert "triggerer" in manifest
            continue
        assert {"apiVersion", "kind", "metadata"} <= manifest.keys()
        if manifest["kind"] == "Secret":
            (connection,) = manifest["stringData"].values()
            monkeypatch.setenv("AIRFLOW_CONN_OF_THE_PAGE", connection)
            assert TrimApiHook("of_the_page").settings.base_url
        else:
            assert "spec" in manifest


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in blocks(page) if block.language == "toml"], ids=str
)
def test_toml(block: Block) -> None:
    groups = tomllib.loads(block.text)["project"]["entry-points"]
    assert groups.keys() == {GROUP}


CONFTESTS = [block for page in PAGES for block in blocks(page) if block.file == "conftest.py"]


@pytest.mark.parametrize("block", CONFTESTS, ids=str)
def test_conftest(block: Block, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(block.text)
    pytester.makepyfile(
        """
        from airflow_provider_trim.hooks.trim import TrimApiHook

        def test_connection(trim_emulator, trim_connection):
            assert TrimApiHook(trim_connection).test_connection()[0]
            assert trim_emulator.calls
        """
    )
    run_nested(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_run_or_shown(page: Path) -> None:
    for block in blocks(page):
        assert block.language in SHOWN | RUN or block.language.startswith("{"), block
