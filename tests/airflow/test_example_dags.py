# SPDX-License-Identifier: Apache-2.0
"""Each example DAG runs to its end against the emulator, deferral included."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def test_wait(trim_default: TrimEmulator, example_answer: dict, run_dag: Any, xcom: Any) -> None:
    data = example_answer["data"]
    trim_default.add_trim(data["transNo"], seconds=0.5, video_info=data["videoInfo"])
    run = run_dag(load("example_trim_wait"), trans_no=data["transNo"])
    assert run.state == "success"
    assert xcom(run, "wait") == data["videoInfo"]
    assert xcom(run, "video_info") == data["videoInfo"]
    assert xcom(run, "video_info", "video_id") == data["videoInfo"]["videoId"]
    assert xcom(run, "pick_best_rendition") == data["videoInfo"]["videoResolutions"][2]


def test_many(trim_default: TrimEmulator, run_dag: Any, xcom: Any) -> None:
    names = ["clip-1", "clip-2", "clip-3"]
    for name in names:
        trim_default.add_trim(name, seconds=0.2)
    run = run_dag(load("example_trim_many"), trans_nos=names)
    assert run.state == "success"
    sizes = [int(trim_default.video_info(name)["videoSize"]) for name in names]
    assert xcom(run, "summarise") == {"videos": 3, "bytes": sum(sizes)}
    for index, name in enumerate(names):
        assert xcom(run, "wait", map_index=index) == trim_default.video_info(name)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_has_a_test(path: Path) -> None:
    assert f'load("{path.stem}")' in Path(__file__).read_text(encoding="utf-8")


def test_the_dag_of_the_readme(trim_default: TrimEmulator, run_dag: Any, capsys: pytest.CaptureFixture) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    trim_default.add_trim("T", seconds=0)
    run = run_dag(names["wait"].dag, trans_no="T")
    assert run.state == "success"
    printed = capsys.readouterr().out
    for rendition in trim_default.video_info("T")["videoResolutions"]:
        assert f"{rendition['width']} {rendition['height']} {rendition['fileSize']}" in printed
