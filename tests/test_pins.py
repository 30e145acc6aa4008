# SPDX-License-Identifier: Apache-2.0
"""Versions that are written down twice are the same, and what runs on other people's machines is pinned."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONSTRAINTS = (ROOT / "constraints" / "airflow-3.3.txt").read_text(encoding="utf-8").lower().splitlines()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_pre_commit_has_the_versions_of_make_check() -> None:
    hooks = [hook for repository in read(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    pins = {pin for hook in hooks for pin in hook["additional_dependencies"]}
    assert {pin.partition("==")[0] for pin in pins} >= {"ruff", "mypy"}
    assert [pin for pin in pins if pin.lower() not in CONSTRAINTS] == []
    assert {hook["language"] for hook in hooks} == {"python"}, "a fresh clone has no environment"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    used = re.findall(r"^ +(?:- )?uses: (.+)$", workflow.read_text(encoding="utf-8"), re.MULTILINE)
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_is_used_in_one_version() -> None:
    text = "".join(workflow.read_text(encoding="utf-8") for workflow in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w/-]+)@(\w+) # (v[\d.]+)", text))
    assert len(pins) == len({name for name, *_ in pins}), pins


@pytest.mark.parametrize("job", ["ci.yml", "release.yml"])
def test_workflows_run_targets_that_there_are(job: str) -> None:
    jobs = read(f".github/workflows/{job}")["jobs"].values()
    targets = {target for job in jobs for target in job.get("strategy", {}).get("matrix", {}).get("target", [])}
    runs = [step.get("run", "") for job in jobs for step in job.get("steps", [])]
    targets |= {match[1] for run in runs if (match := re.match(r"make ([\w.-]+)", run))}
    assert targets
    for target in targets:
        assert re.search(rf"^(?:[\w.-]+ )*{re.escape(target)}(?: [\w.-]+)*:", MAKEFILE, re.MULTILINE), target


def test_read_the_docs_builds_what_make_docs_builds() -> None:
    install = "\n".join(read(".readthedocs.yaml")["build"]["jobs"]["install"])
    assert "-c constraints/airflow-3.3.txt --group docs" in install
    assert read(".readthedocs.yaml")["sphinx"]["fail_on_warning"]
